//! Who is online: states, changes, and the events that come from them.

mod deadlines;
mod diff;
mod event;
mod last_seen;
mod registry;
mod state;
mod tokens;

pub(crate) use deadlines::{Deadlines, Due, Grace};
pub use diff::{Cause, Diff};
pub use event::{Event, EventKind, Events, Notice};
pub(crate) use event::{EventBus, Interest};
pub(crate) use last_seen::RecentlySeen;
pub use last_seen::{LastSeen, NoLastSeen};
pub(crate) use registry::{EndsGrace, Opened, Registry, STRIPES, is_idle};
pub(crate) use state::{Member, Members, UserState};
