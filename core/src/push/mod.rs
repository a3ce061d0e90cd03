//! From a message to the sockets: encoded once, written inline or by a lane's flusher, reported.

mod crowd;
mod encoded;
mod fanout;
mod flusher;
mod lane;
mod offline;
mod owed;
mod pusher;
mod tally;

pub(crate) use crowd::{Crowd, List};
pub(crate) use encoded::Encoded;
pub(crate) use fanout::{deliver_routed, push};
pub(crate) use lane::{Lanes, Load};
pub use offline::{Certainty, NoOfflineSink, OfflineSink};
pub(crate) use owed::store;
pub use pusher::{InMemoryPusher, MessagePusher, PushWhen, PusherError};
pub(crate) use pusher::{Pushers, run_pushers};
