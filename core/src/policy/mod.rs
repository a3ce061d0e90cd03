//! What the application decides: who gives way at a login, what happens to slow readers, how much of what, how long.

mod channels;
mod login;
mod overflow;
mod resume;
mod timing;

pub use channels::Channels;
pub use login::{Decision, LoginPolicy, OnLimit, Seat};
pub use overflow::{Outbox, Overflow};
pub use resume::Resume;
pub use timing::{Inbound, Timing};

pub use crate::auth::{members_see_members, own_status_only};
