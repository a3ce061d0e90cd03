//! Every behaviour once. A scenario takes a server that runs with the `OPTIONS` of its theme, and knows nothing of a
//! framework.

pub mod auth;
pub mod channels;
pub mod churn;
pub mod echo;
pub mod events;
pub mod expiry;
pub mod feeds;
pub mod heartbeat;
pub mod here_now;
pub mod hostile;
pub mod kick;
pub mod lifecycle;
pub mod limits;
pub mod mounting;
pub mod nodes;
pub mod origin;
pub mod presence;
pub mod push;
pub mod refusal;
pub mod resume;
pub mod shutdown;
pub mod slow;
pub mod upgrade;
