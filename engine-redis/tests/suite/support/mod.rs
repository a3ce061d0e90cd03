//! Redis servers, a proxy that fails on demand, and nodes to try them with.

mod counters;
mod gate;
mod masters;
mod node;
mod proxy;
pub(crate) mod raw;
mod redis;
mod tally;
mod wait;

pub(crate) use self::{
    counters::Counters,
    masters::Masters,
    node::{Local, Node, quick},
    proxy::Proxy,
    redis::Redis,
    tally::Tally,
    wait::{eventually, lasts, within},
};

#[cfg(feature = "tls")]
pub(crate) use self::redis::free_port;
