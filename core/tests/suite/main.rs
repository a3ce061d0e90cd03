//! What the core promises, through its public API and over in-memory connections. Time is paused unless a test says
//! why not.

#![allow(clippy::unwrap_used)] // Helpers of tests are no `#[test]` functions.

mod auth;
mod channels;
mod cluster;
mod corners;
mod ends;
mod engine_down;
mod events;
mod handlers;
mod here_now;
mod kick;
mod login;
mod model;
mod overflow;
mod presence;
mod push;
mod pushers;
mod race;
mod rendezvous;
mod resume;
mod seed1;
mod shutdown;
mod status;
mod stream;
mod support;
