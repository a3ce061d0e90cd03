//! What a client missed while it was away, in order, once (`docs/PROTOCOL.md`, section 8).
//!
//! A connection that may come back is *parked* in place of being removed: it keeps its id, its place in the registry,
//! its lane and its channels, and what is pushed to it goes into its [`Stream`]. A new socket of the same user that
//! names it takes its place, so no push ever has to be moved from one queue to another.

mod acks;
mod bring;
mod brought;
mod claim;
mod hand_over;
mod held;
mod left;
mod moved;
mod parked;
mod recent;
mod room;
mod secret;
mod stream;

pub(crate) use acks::{Acks, push_with_ack};
pub(crate) use brought::Brought;
pub(crate) use claim::{Claim, claim};
pub(crate) use hand_over::{hand_over, leave_streams, offer};
pub(crate) use held::Held;
pub(crate) use left::Left;
pub(crate) use moved::Moved;
pub(crate) use parked::{Parked, start};
pub(crate) use recent::Recent;
pub(crate) use room::Room;
pub(crate) use secret::{Asked, Secret};
pub(crate) use stream::Stream;
