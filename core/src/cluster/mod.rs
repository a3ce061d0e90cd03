//! The boundary to other nodes: what an engine does for a node, and a node for an engine.
//!
//! An engine is a crate of its own (`herenow-redis`); this one holds the traits, what travels between nodes, and
//! [`LocalEngine`], which joins nodes of one process.

mod engine;
mod envelope;
mod local;
mod shared;

pub use engine::{
    Answers, AskTo, ClusterEvent, Engine, EngineError, Found, Health, Leave, LocalNode, Lookup, OnEngineDown,
    Receipt,
};
pub(crate) use envelope::{Answer, Query, Routed};
pub use local::LocalEngine;
