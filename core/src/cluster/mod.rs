//! The boundary to other nodes: what an engine does for a node, and a node for an engine.
//!
//! An engine is a crate of its own (`herenow-redis`); this one holds the traits, what travels between nodes, and
//! [`LocalEngine`], which joins nodes of one process.

mod bucket;
mod engine;
mod envelope;
mod local;
mod shared;

pub use bucket::Bucket;
pub use engine::{
    Answers, AskTo, Change, ClusterEvent, Engine, EngineError, Entry, Found, Health, Here, Kept, Leave,
    LocalNode, Lookup, Member, MemberNow, Members, OnEngineDown, Reach, Receipt, Wish,
};
pub(crate) use envelope::{Answer, Query, Routed};
pub use local::LocalEngine;
