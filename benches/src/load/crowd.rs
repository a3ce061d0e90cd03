//! Many connections to one server, driven by one epoll.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ops::Range,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
    io::Errno,
};

use super::{
    Error, Tally, Target,
    client::{ACK_AFTER, Client, NO_CODE, Stage, Wire},
    clock::now,
};

mod connect;
mod leave;
mod wait;

pub(crate) use leave::Ending;

/// How long nothing may come before whoever waits gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// One read; a longer answer takes several.
const BUFFER: usize = 64 * 1024;
const EVENTS: usize = 1024;
/// Latencies are told in microseconds, up to a minute.
const LONGEST_LATENCY: u64 = 60_000_000;

/// Connections, by number in the order in which they were added.
pub(crate) struct Crowd {
    epoll: OwnedFd,
    target: Target,
    clients: Vec<Client>,
    wire: Wire,
    buffer: Vec<u8>,
    events: Vec<epoll::Event>,
    /// Connections on their way to `Ready`.
    on_the_way: usize,
    /// Every so manieth connection gets a receive buffer of so many bytes.
    narrow: Option<(usize, usize)>,
    /// When to look whether somebody has to acknowledge by time.
    acks: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new(target: &Target) -> Result<Self, Error> {
        let latency = Histogram::new_with_max(LONGEST_LATENCY, 3)?;
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            target: target.clone(),
            clients: Vec::new(),
            wire: Wire::new(target.dialect, latency),
            buffer: vec![0; BUFFER],
            events: Vec::with_capacity(EVENTS),
            on_the_way: 0,
            narrow: None,
            acks: BinaryHeap::new(),
        })
    }

    /// These users, connected.
    pub(crate) fn connect(target: &Target, users: Range<usize>) -> Result<Self, Error> {
        let mut crowd = Self::new(target)?;
        crowd.add(users)?;
        Ok(crowd)
    }

    /// How many there are that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.clients.iter().filter(|client| client.stage == Stage::Ready).count()
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.wire.tally
    }

    /// Sends a text frame from connection `number`.
    pub(crate) fn send(&mut self, number: usize, text: &str) -> Result<(), Error> {
        self.wire.out.extend_from_slice(&super::frame::masked(super::frame::TEXT, text.as_bytes()));
        self.flush(number)
    }

    /// These stop reading, and hear of nothing: not of their own end either.
    pub(crate) fn pause_reading(&mut self, mut whom: impl FnMut(usize) -> bool) -> Result<usize, Error> {
        let mut paused = 0;
        for (number, client) in self.clients.iter_mut().enumerate() {
            if let (true, true, Some(socket)) = (client.is_reading, whom(number), &client.socket) {
                epoll::delete(&self.epoll, socket)?;
                client.is_reading = false;
                paused += 1;
            }
        }
        Ok(paused)
    }

    /// They read again, and take what waited for them.
    pub(crate) fn read_again(&mut self) -> Result<(), Error> {
        for (number, client) in self.clients.iter_mut().enumerate() {
            if let (false, Some(socket)) = (client.is_reading, &client.socket) {
                let data = epoll::EventData::new_u64(number as u64);
                epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN)?;
                client.is_reading = true;
            }
        }
        Ok(())
    }

    /// Reads what has come, waiting for it for at most `patience`, and answers it.
    pub(crate) fn turn(&mut self, patience: Duration) -> Result<(), Error> {
        let patience = self.acknowledge_what_is_due(patience)?;
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            self.ready(event.data.u64() as usize)?;
        }
        self.events = events;
        Ok(())
    }

    fn ready(&mut self, number: usize) -> Result<(), Error> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(()) };
        match client.stage {
            Stage::Over => Ok(()),
            Stage::Connecting => self.ask(number),
            Stage::Upgrading | Stage::Greeting | Stage::Ready => self.read(number),
        }
    }

    fn read(&mut self, number: usize) -> Result<(), Error> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(()) };
        let Some(socket) = &client.socket else { return Ok(()) };
        let before = client.stage;
        match rustix::io::read(socket, self.buffer.as_mut_slice()) {
            Ok(0) | Err(Errno::CONNRESET | Errno::PIPE | Errno::TIMEDOUT) => {
                client.over(NO_CODE, &mut self.wire);
            }
            Ok(size) => {
                self.wire.read_at = (!self.wire.ordered.is_empty()).then(now);
                let bytes = self.buffer.get(..size).unwrap_or_default();
                client
                    .hear(bytes, &mut self.wire)
                    .map_err(|error| format!("connection {number}, user u{}: {error}", client.user))?;
            }
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if client.owes() && client.owes_since.is_none() {
            let since = now();
            client.owes_since = Some(since);
            if !client.ack_waits {
                client.ack_waits = true;
                self.acks.push(Reverse((since + ACK_AFTER, number)));
            }
        }
        let after = client.stage;
        if !self.wire.out.is_empty() {
            self.flush(number)?;
        }
        if before != Stage::Ready && matches!(after, Stage::Ready | Stage::Over) {
            self.on_the_way -= 1;
            if after == Stage::Over {
                return Err(format!(
                    "connection {number} was closed before it was let in: {}",
                    self.closed()
                )
                .into());
            }
        }
        if let (Stage::Over, Some(client)) = (after, self.clients.get_mut(number)) {
            client.socket = None;
        }
        Ok(())
    }

    fn acknowledge_what_is_due(&mut self, patience: Duration) -> Result<Duration, Error> {
        while let Some(&Reverse((due, number))) = self.acks.peek() {
            let moment = now();
            if due > moment {
                return Ok(patience.min(due - moment));
            }
            self.acks.pop();
            let Some(client) = self.clients.get_mut(number) else { continue };
            client.ack_waits = false;
            match client.owes_since.map(|since| since + ACK_AFTER) {
                Some(later) if client.owes() && later > moment => {
                    client.ack_waits = true;
                    self.acks.push(Reverse((later, number)));
                }
                Some(_) if client.owes() => {
                    client.acknowledge(&mut self.wire);
                    self.flush(number)?;
                }
                _ => {}
            }
        }
        Ok(patience)
    }

    /// Writes what the connection answered. So little is always taken, unless the server has stopped reading.
    fn flush(&mut self, number: usize) -> Result<(), Error> {
        let out = std::mem::take(&mut self.wire.out);
        let Some(client) = self.clients.get_mut(number) else { return Ok(()) };
        if let Some(socket) = &client.socket {
            match rustix::io::write(socket, &out) {
                Ok(size) if size == out.len() => {}
                Ok(_) | Err(Errno::AGAIN) => {
                    return Err(format!("the server does not read what connection {number} says").into());
                }
                Err(Errno::CONNRESET | Errno::PIPE) => {
                    client.over(NO_CODE, &mut self.wire);
                    client.socket = None;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.wire.out = out;
        self.wire.out.clear();
        Ok(())
    }

    /// How connections ended, for whoever is told of a failure.
    fn closed(&self) -> String {
        let closed = &self.wire.tally.closed;
        match closed.is_empty() {
            true => "none was closed".to_owned(),
            false => format!("closed, by code: {closed:?}"),
        }
    }
}
