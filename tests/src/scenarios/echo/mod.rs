//! Autobahn's cases against `/echo`, by its groups. Its own client wants a Python that few machines have
//! (`tests/autobahn/run`), so each of its cases stands here too, in effect, and a few more beside it.
//!
//! | group | what | file |
//! |---|---|---|
//! | 1, 10 | every form of a length, whole, in chops and in fragments | `framing` |
//! | 2 | pings and pongs | `pings` |
//! | 3, 4 | reserved bits and opcodes | `reserved` |
//! | 5 | fragments, and what may stand between them | `fragments` |
//! | 6 | what is UTF-8 and what is not, and how early it is found out | `utf8`, with its sequences in `sequences` |
//! | 7 | close frames | `closing` |
//! | 9 | large messages, many messages, many small pieces | `volume` |
//!
//! It has no groups 8 and 11. Groups 12 and 13 are compression, which this server does not negotiate: a frame that
//! claims it has RSV1 set, and is in `reserved`.

mod case;
mod closing;
mod fragments;
mod framing;
mod pings;
mod reserved;
mod sequences;
mod utf8;
mod volume;

pub use closing::*;
pub use fragments::*;
pub use framing::*;
pub use pings::*;
pub use reserved::*;
pub use utf8::*;
pub use volume::*;

/// As Autobahn wants it: its largest message has 16 MiB.
pub const OPTIONS: &[&str] = &["--max-message", "20000000"];
