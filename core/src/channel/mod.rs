//! Channels: named groups that connections subscribe to, what is published to them, and who is in them.
//!
//! `membership`, `roster`, `feed` and `remembered` are plain values with all the rules; `hub` holds them behind locks,
//! `seats` is what one connection holds of them.

mod entering;
mod feed;
mod graces;
pub(crate) mod here_now;
mod hub;
mod leaving;
mod listen;
mod membership;
#[cfg(test)]
mod model;
mod name;
mod remembered;
mod request;
mod roster;
mod seats;
mod shown;
mod snapshot;
mod state;
mod telling;
mod view;
mod viewing;
mod watch;

pub(crate) use entering::By;
pub use entering::JoinError;
pub use here_now::{HereNow, HereNowChannel, HereNowReport, HereNowUser};
pub(crate) use hub::{Around, Hub, Receivers};
pub(crate) use leaving::Gone;
pub use listen::ChannelEvents;
pub use name::ChannelKey;
pub(crate) use request::{answer, authorize_anew, authorize_as};
pub(crate) use seats::Seats;
pub(crate) use snapshot::Snapshot;
#[cfg(test)]
pub(crate) use snapshot::SnapshotUser;
pub(crate) use viewing::{AGAIN, fetch_all, fetch_later};
pub(crate) use watch::Watching;
