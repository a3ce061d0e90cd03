//! The limit: epoll, and one write(2) of a frame that was encoded once per message and connection. Nothing is checked but
//! that a request ended; no server can do the same work for less with these system calls.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddrV4},
    sync::mpsc,
    thread,
};

use rustix::{
    event::{EventfdFlags, eventfd},
    fd::OwnedFd,
    net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with, sockopt},
};

use super::Options;
use crate::serve::{self, Order};

mod worker;

use worker::Worker;

const BACKLOG: i32 = 4096;

/// What the main thread has of a worker.
struct Hand {
    orders: mpsc::Sender<Order>,
    wake: OwnedFd,
    done: mpsc::Receiver<()>,
}

pub(super) fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let first = listener(0)?;
    let address = SocketAddrV4::try_from(getsockname(&first)?)?;
    let mut listeners = vec![first];
    for _ in 1..options.threads {
        listeners.push(listener(address.port())?);
    }
    let hands = listeners.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    serve::ready(address.into());

    let mut orders = serve::orders();
    while let Some(order) = orders.blocking_recv() {
        for (number, hand) in hands.iter().enumerate() {
            hand.orders.send(share(order, number, hands.len())?)?;
            rustix::io::write(&hand.wake, &1_u64.to_ne_bytes())?;
        }
        for hand in &hands {
            hand.done.recv()?;
        }
        serve::done();
    }
    Ok(())
}

/// One of several listeners of a port: the kernel spreads connections over them.
fn listener(port: u16) -> Result<OwnedFd, rustix::io::Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn start(listener: OwnedFd) -> Result<Hand, Box<dyn Error>> {
    let (orders, taken) = mpsc::channel();
    let (finished, done) = mpsc::channel();
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let mut worker = Worker::new(listener, wake.try_clone()?, taken, finished)?;
    thread::spawn(move || {
        if let Err(error) = worker.run() {
            eprintln!("the worker ended: {error}");
            std::process::exit(1);
        }
    });
    Ok(Hand { orders, wake, done })
}

/// A worker's part of an order: of what goes to all, the whole for those it has; of what goes to single users, its share.
fn share(order: Order, number: usize, workers: usize) -> Result<Order, String> {
    match order {
        Order::All { .. } => Ok(order),
        Order::Users { count, size } => {
            Ok(Order::Users { count: count / workers + usize::from(number < count % workers), size })
        }
        Order::Channel { .. } | Order::Kick { .. } => Err("it knows neither channels nor kicks".to_owned()),
    }
}
