//! How connections come to be: many at a time, and all of them or an error.

use std::ops::Range;

use rustix::{event::epoll, io::Errno, net::sockopt};

use super::{Crowd, PATIENCE};
use crate::load::{
    Error,
    client::{Client, Stage},
    machine, socket,
};

/// So many are on their way at a time: fewer than any server's backlog takes.
const ON_THE_WAY: usize = 64;

impl Crowd {
    /// From the next connection on, every so manieth gets a receive buffer of so many bytes, so that a server notices
    /// soon that it does not read.
    pub(crate) fn narrow(&mut self, every: usize, bytes: usize) {
        self.narrow = Some((every, bytes));
    }

    /// Connects these users, and waits until each is let in.
    pub(crate) fn add(&mut self, users: Range<usize>) -> Result<(), Error> {
        machine::room_for(self.len() + users.len())?;
        let mut users = users;
        loop {
            while self.on_the_way < ON_THE_WAY {
                let Some(user) = users.next() else { break };
                self.begin_one(user)?;
            }
            if self.on_the_way == 0 {
                return Ok(());
            }
            let before = self.on_the_way;
            let left = users.len();
            self.wait(
                PATIENCE,
                |crowd| (crowd.on_the_way < before).then_some(()),
                |crowd| format!("{} connections were not let in, {left} were not tried", crowd.on_the_way),
            )?;
        }
    }

    fn begin_one(&mut self, user: usize) -> Result<(), Error> {
        let number = self.clients.len();
        let window = self.narrow.and_then(|(every, bytes)| (number % every == every - 1).then_some(bytes));
        let socket = socket::open(self.target.port, window)
            .map_err(|error| format!("connection {number} could not be begun: {error}"))?;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::OUT)?;
        self.clients.push(Client::new(socket, user));
        self.on_the_way += 1;
        Ok(())
    }

    /// It is connected: asks for the upgrade.
    pub(super) fn ask(&mut self, number: usize) -> Result<(), Error> {
        let Some(client) = self.clients.get_mut(number) else { return Ok(()) };
        let Some(socket) = &client.socket else { return Ok(()) };
        if let Err(error) = sockopt::socket_error(socket)? {
            let why = match error {
                Errno::CONNREFUSED => "nobody listens: has the server ended?",
                _ => "could not connect",
            };
            return Err(format!("connection {number}: {why} ({error})").into());
        }
        client.stage = Stage::Upgrading;
        let data = epoll::EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, socket, data, epoll::EventFlags::IN)?;
        let request = self.target.request(client.user);
        self.wire.out.extend_from_slice(request.as_bytes());
        self.flush(number)
    }
}
