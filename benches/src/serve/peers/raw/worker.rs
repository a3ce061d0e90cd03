//! One thread, its connections, and what it is ordered to write to them.

use std::{error::Error, sync::mpsc};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    fd::OwnedFd,
    io::{Errno, read, write},
    net::{SocketFlags, accept_with, sockopt},
};

use crate::{
    load,
    serve::{Order, control},
};

const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
const EVENTS: usize = 1024;
const KEY: &str = "sec-websocket-key:";
const CLOSE: [u8; 2] = [0x88, 0];

#[derive(Default)]
struct Connection {
    /// The request, until it has ended.
    request: Vec<u8>,
    is_open: bool,
    /// What the kernel did not take.
    unsent: Vec<u8>,
}

pub(super) struct Worker {
    epoll: OwnedFd,
    listener: OwnedFd,
    wake: OwnedFd,
    orders: mpsc::Receiver<Order>,
    done: mpsc::Sender<()>,
    connections: Vec<Option<(OwnedFd, Connection)>>,
    free: Vec<usize>,
    /// Whose turn it is of the users.
    turn: usize,
    buffer: Vec<u8>,
}

impl Worker {
    pub(super) fn new(
        listener: OwnedFd,
        wake: OwnedFd,
        orders: mpsc::Receiver<Order>,
        done: mpsc::Sender<()>,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let (connections, free, turn, buffer) = (Vec::new(), Vec::new(), 0, vec![0; 16 * 1024]);
        Ok(Self { epoll, listener, wake, orders, done, connections, free, turn, buffer })
    }

    pub(super) fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept()?,
                    WAKE => self.obey()?,
                    number => self.ready(number as usize, event.flags)?,
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Errno> {
        loop {
            let socket = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let number = self.free.pop().unwrap_or(self.connections.len());
            epoll::add(&self.epoll, &socket, EventData::new_u64(number as u64), EventFlags::IN)?;
            let entry = Some((socket, Connection::default()));
            match self.connections.get_mut(number) {
                Some(slot) => *slot = entry,
                None => self.connections.push(entry),
            }
        }
    }

    fn obey(&mut self) -> Result<(), Box<dyn Error>> {
        read(&self.wake, &mut [0; 8])?;
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::All { count, size } => {
                    let frame = frame(&control::payload(size));
                    for _ in 0..count {
                        self.write_all(&frame)?;
                    }
                }
                Order::Users { count, size } => {
                    let frame = frame(&control::payload(size));
                    let mut left = if self.is_empty() { 0 } else { count };
                    while left > 0 {
                        left -= usize::from(self.write(self.turn % self.connections.len(), &frame)?);
                        self.turn += 1;
                    }
                }
                Order::Channel { .. } | Order::Kick { .. } => return Err("no such order".into()),
            }
            self.done.send(())?;
        }
        Ok(())
    }

    fn write_all(&mut self, frame: &[u8]) -> Result<(), Errno> {
        for number in 0..self.connections.len() {
            self.write(number, frame)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        !self.connections.iter().flatten().any(|(_, connection)| connection.is_open)
    }

    /// Returns whether there is such a connection.
    fn write(&mut self, number: usize, frame: &[u8]) -> Result<bool, Errno> {
        let Some(Some((socket, connection))) = self.connections.get_mut(number) else { return Ok(false) };
        if !connection.is_open {
            return Ok(false);
        }
        let taken = match connection.unsent.is_empty() {
            true => taken(write(&*socket, frame))?,
            false => 0,
        };
        if let rest @ [_, ..] = frame.get(taken..).unwrap_or_default() {
            let data = EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, &*socket, data, EventFlags::IN | EventFlags::OUT)?;
            connection.unsent.extend_from_slice(rest);
        }
        Ok(true)
    }

    fn ready(&mut self, number: usize, flags: EventFlags) -> Result<(), Errno> {
        if flags.contains(EventFlags::OUT) {
            self.send_on(number)?;
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return Ok(());
        }
        let Some(Some((socket, connection))) = self.connections.get_mut(number) else { return Ok(()) };
        let is_over = match read(&*socket, self.buffer.as_mut_slice()) {
            Ok(0) => true,
            Ok(size) => {
                let bytes = self.buffer.get(..size).unwrap_or_default();
                match connection.is_open {
                    true if bytes.first().is_some_and(|head| head & 0x0f == 8) => {
                        taken(write(&*socket, &CLOSE))?;
                        true
                    }
                    true => false,
                    false => {
                        connection.request.extend_from_slice(bytes);
                        if let Some(answer) = answer(&connection.request) {
                            taken(write(&*socket, answer.as_bytes()))?;
                            connection.is_open = true;
                            connection.request = Vec::new();
                        }
                        false
                    }
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(_) => true,
        };
        if is_over {
            self.connections[number] = None;
            self.free.push(number);
        }
        Ok(())
    }

    fn send_on(&mut self, number: usize) -> Result<(), Errno> {
        let Some(Some((socket, connection))) = self.connections.get_mut(number) else { return Ok(()) };
        let taken = taken(write(&*socket, &connection.unsent))?;
        connection.unsent.drain(..taken);
        if connection.unsent.is_empty() {
            connection.unsent = Vec::new();
            epoll::modify(&self.epoll, &*socket, EventData::new_u64(number as u64), EventFlags::IN)?;
        }
        Ok(())
    }
}

/// How many bytes went out. Of a connection that has ended, reading tells.
fn taken(written: Result<usize, Errno>) -> Result<usize, Errno> {
    match written {
        Err(Errno::AGAIN | Errno::PIPE | Errno::CONNRESET) => Ok(0),
        other => other,
    }
}

/// The answer to a request that has ended.
fn answer(request: &[u8]) -> Option<String> {
    let head = request.strip_suffix(b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(head);
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_at_checked(KEY.len())?;
        name.eq_ignore_ascii_case(KEY).then(|| value.trim())
    })?;
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        load::accept_of(key)
    ))
}

/// A text frame of a server's.
fn frame(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_answered_once_it_has_ended() {
        let request = "GET /ws HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        assert!(answer(&request.as_bytes()[..40]).is_none());
        assert!(answer(request.as_bytes()).unwrap().contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }
}
