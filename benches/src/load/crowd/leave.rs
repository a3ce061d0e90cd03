//! How connections end.

use rustix::net::sockopt;
use std::time::Duration;

use super::{Crowd, PATIENCE};
use crate::load::{
    Error,
    client::{NO_CODE, Stage},
    frame,
};

/// The code with which a client says that it will not be back.
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// What ends a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// A close frame, which the server answers.
    Close,
    /// The end of the stream and no word.
    Fin,
    /// A reset, as from a process that was killed with unread bytes.
    Reset,
}

impl Crowd {
    /// Ends each connection that is left in the way that `how` says for its number. Those who said so wait for the answer.
    pub(crate) fn leave(&mut self, mut how: impl FnMut(usize) -> Ending) -> Result<(), Error> {
        for number in 0..self.clients.len() {
            let Some(client) = self.clients.get_mut(number) else { break };
            let (Stage::Ready, Some(socket)) = (client.stage, &client.socket) else { continue };
            match how(number) {
                Ending::Close => {
                    self.wire.out.extend_from_slice(&frame::masked(frame::CLOSE, &NORMAL));
                    self.flush(number)?;
                    continue;
                }
                Ending::Fin => {}
                Ending::Reset => sockopt::set_socket_linger(socket, Some(Duration::ZERO))?,
            }
            client.over(NO_CODE, &mut self.wire);
            client.socket = None;
        }
        self.wait(
            PATIENCE,
            |crowd| (crowd.len() == 0).then_some(()),
            |crowd| format!("{} close frames were not answered", crowd.len()),
        )
    }
}
