//! An envelope connection as server-sent events (`docs/PROTOCOL.md`, section 9): each message is the `data` of one event.
//!
//! Everything that a connection says is WebSocket frames already; here they are taken out of their frames, so that
//! rules, kick and outbox know nothing of this.

use bytes::Bytes;
use serde::Deserialize;

use super::codec::{OpCode, next_frame};
use crate::{auth::Token, close::Advice, limits::MAX_TOKEN, resume::Asked};

/// The event id that says "stop": a client that comes back with it is told to stay away.
pub(crate) const STOP: &str = "stop";

/// What a client that comes back had before: its event id is the count of pushes, a dot, and the resume token.
pub(crate) fn asked(id: &str) -> Option<Asked> {
    let (seq, token) = id.split_once('.')?;
    let seq = seq.parse().ok()?;
    (token.len() <= MAX_TOKEN).then(|| Asked { token: Token::new(token.to_owned()), seq })
}

/// Writes events in place of frames.
#[derive(Debug, Default)]
pub(super) struct Writer {
    over: bool,
    /// What resumes the connection, once `welcome` said it.
    token: Option<Token>,
    /// Pushes so far.
    seq: u64,
}

/// The fields of `welcome` that event ids are made of.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Welcome {
    resume_token: Option<String>,
    seq: u64,
}

/// The field of a `gap`.
#[derive(Deserialize)]
struct Gap {
    count: u64,
}

/// The one field of a `goodbye` that has a field of its own in the format of events.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Goodbye {
    reconnect_in_ms: Option<u64>,
}

impl Writer {
    /// Whether the close frame came.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The events of whole frames; pings and pongs of the WebSocket are none.
    pub(super) fn write(&mut self, mut frames: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(frames.len() + 16);
        while let Some((op, payload)) = next_frame(&mut frames) {
            match op {
                OpCode::Text => {
                    self.write_id(payload, &mut out);
                    write_event(payload, &mut out);
                }
                OpCode::Close => {
                    self.over = true;
                    write_end(payload, &mut out);
                    break;
                }
                _ => {}
            }
        }
        out.into()
    }
}

impl Writer {
    /// What counts as pushes has an id, and so has what goes before the first of them.
    fn write_id(&mut self, json: &[u8], out: &mut Vec<u8>) {
        if json.starts_with(br#"{"type":"push""#) {
            self.seq += 1;
        } else if let Some(gap) = read::<Gap>(json, br#"{"type":"gap""#) {
            self.seq += gap.count;
        } else if let Some(welcome) = read::<Welcome>(json, br#"{"type":"welcome""#) {
            (self.token, self.seq) = (welcome.resume_token.map(Token::new), welcome.seq);
        } else {
            return;
        }
        if let Some(token) = &self.token {
            out.extend_from_slice(format!("id: {}.{}\n", self.seq, token.expose()).as_bytes());
        }
    }
}

/// A message of ours, where it is of this type: the type always stands first.
fn read<'a, T: Deserialize<'a>>(json: &'a [u8], start: &[u8]) -> Option<T> {
    json.starts_with(start).then(|| serde_json::from_slice(json).ok()).flatten()
}

fn write_event(json: &[u8], out: &mut Vec<u8>) {
    if let Some(Goodbye { reconnect_in_ms: Some(delay) }) = read(json, br#"{"type":"goodbye""#) {
        out.extend_from_slice(format!("retry: {delay}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    // JSON has no line breaks but between its parts, where a space will do; in an event they would end the field.
    out.extend(json.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    out.extend_from_slice(b"\n\n");
}

/// Where coming back makes no sense, an id without data: it is all that a browser sends when it comes back.
fn write_end(payload: &[u8], out: &mut Vec<u8>) {
    let Some(code) = payload.first_chunk().map(|code| u16::from_be_bytes(*code)) else { return };
    if Advice::of(code) == Advice::Stop {
        out.extend_from_slice(format!("id: {STOP}\n\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Close,
        connection::codec::{encode, encode_close, encode_text},
    };

    fn written(frames: &[Bytes]) -> (String, bool) {
        let mut writer = Writer::default();
        let out = writer.write(&frames.concat());
        (String::from_utf8(out.to_vec()).unwrap(), writer.is_over())
    }

    #[test]
    fn a_message_is_the_data_of_one_event() {
        let big = format!("\"{}\"", "x".repeat(70_000));
        let (out, over) =
            written(&[encode_text("{\"a\":1}"), encode_text(&"x".repeat(300)), encode_text(&big)]);
        assert_eq!(out, format!("data: {{\"a\":1}}\n\ndata: {}\n\ndata: {big}\n\n", "x".repeat(300)));
        assert!(!over);
    }

    #[test]
    fn line_breaks_between_parts_of_json_do_not_end_the_event() {
        assert_eq!(written(&[encode_text("{\r\n\"a\":\n1}")]).0, "data: {  \"a\": 1}\n\n");
    }

    #[test]
    fn pings_of_the_websocket_are_no_events() {
        assert_eq!(written(&[encode(OpCode::Ping, b""), encode(OpCode::Pong, b"x")]).0, "");
    }

    #[test]
    fn an_end_for_good_leaves_an_id_and_nothing_follows_it() {
        let (out, over) = written(&[encode_text("{}"), encode_close(&Close::KICKED), encode_text("late")]);
        assert_eq!((out.as_str(), over), ("data: {}\n\nid: stop\n\n", true));
        assert_eq!(written(&[encode_close(&Close::DRAIN)]), (String::new(), true));
    }

    #[test]
    fn a_drain_says_when_to_come_back() {
        let goodbye =
            r#"{"type":"goodbye","code":4302,"reason":"drain","reconnect":true,"reconnectInMs":250}"#;
        assert_eq!(written(&[encode_text(goodbye)]).0, format!("retry: 250\ndata: {goodbye}\n\n"));
    }
}
