//! Kick-out: who is refused from now on, and how what is open comes to its end.

mod deny;
mod entries;
mod kick_out;
mod perform;
mod whom;

pub(crate) use deny::DenyTable;
pub use deny::{Denial, DenyEntry};
pub use kick_out::KickOut;
pub(crate) use perform::{
    carry_out, close_replaced, close_replaced_here, close_user, kick, kick_local, log_out,
};
