//! What a client may say, and when.

use super::{Body, Close, Event, Inbound, Machine, Mode, Phase};
use crate::protocol::{BadFrame, ClientMessage, ErrorCode, Fault, ServerMessage};

/// The most characters of a client's own word that an error repeats.
const ECHO: usize = 40;

impl Machine {
    pub(super) fn handle_envelope(&mut self, text: &str, out: &mut Vec<Event>) {
        match (ClientMessage::parse(text), self.phase) {
            (Ok(message), Phase::Open) => self.handle_message(message, out),
            (Ok(message), _) => self.handle_first(message, out),
            (Err(bad), _) => self.handle_bad(bad, out),
        }
    }

    /// Before `welcome`, a client may say `hello` once, and keep the connection alive. Pings wait: nothing precedes
    /// `welcome`.
    fn handle_first(&mut self, message: ClientMessage, out: &mut Vec<Event>) {
        match message {
            ClientMessage::Ping | ClientMessage::Pong => {}
            ClientMessage::Hello(hello) if self.phase == Phase::AwaitingHello => {
                self.phase = Phase::Verifying;
                out.push(Event::Hello(hello));
            }
            _ => {
                let text = "say `hello` first, and then nothing more until `welcome` is there";
                self.refuse(None, ErrorCode::BadFrame, text.to_owned(), out);
                self.end(Close::BAD_FRAME, out);
            }
        }
    }

    fn handle_message(&mut self, message: ClientMessage, out: &mut Vec<Event>) {
        match message {
            ClientMessage::Hello(_) => {
                self.refuse(None, ErrorCode::BadFrame, "`hello` was said already".to_owned(), out);
            }
            ClientMessage::Auth { id, token } => out.push(Event::Refresh { id, token }),
            ClientMessage::Status { status } => out.extend([Event::Activity, Event::Status(status)]),
            ClientMessage::Message { id, data, channel } => {
                let inbound = Inbound { id, body: Body::Json(data), channel };
                out.extend([Event::Activity, Event::Message(inbound)]);
            }
            ClientMessage::Ack { seq } => out.push(Event::Ack(seq)),
            ClientMessage::Pong => {}
            ClientMessage::Ping => out.push(Event::Write(ServerMessage::Pong.to_frame())),
            ClientMessage::Ask { id, ask } => out.extend([Event::Activity, Event::Ask { id, ask }]),
            ClientMessage::Unknown { id, kind } => {
                let kind: String = kind.chars().take(ECHO).collect();
                self.refuse(id, ErrorCode::UnknownType, format!("there is no message type {kind:?}"), out);
            }
        }
    }

    /// A text of another protocol ends the connection. A wrong field does so only before `welcome`, where there is
    /// nothing to go on with.
    fn handle_bad(&mut self, bad: BadFrame, out: &mut Vec<Event>) {
        self.refuse(bad.id, bad.fault.code(), bad.message.into_owned(), out);
        match bad.fault {
            Fault::NotAnEnvelope => self.end(Close::BAD_FRAME, out),
            Fault::Field if self.phase != Phase::Open => self.end(Close::BAD_FRAME, out),
            Fault::TooBig if self.phase != Phase::Open => self.end(Close::TOO_BIG, out),
            Fault::Field | Fault::TooBig => {}
        }
    }

    /// Tells the client what is wrong, where it speaks the protocol.
    fn refuse(&self, id: Option<u64>, code: ErrorCode, message: String, out: &mut Vec<Event>) {
        if self.mode == Mode::Envelope {
            out.push(Event::Write(ServerMessage::refuse(id, code, message).to_frame()));
        }
    }
}
