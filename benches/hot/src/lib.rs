//! The hot paths of herenow, one by one: what a frame, a push, a join or a login costs without any socket.
//!
//! `cargo bench -p herenow-hot` shows times, for people. `tests/budgets.rs` counts instructions and allocations, which
//! are the same on every machine, and compares them with `budgets.json`.

pub mod budget;
pub mod count;
pub mod paths;
mod wire;
mod world;
