//! Redis servers, a proxy that fails on demand, and nodes to try them with.

mod node;
mod proxy;
mod redis;
mod wait;

pub(crate) use self::{
    node::{Node, quick},
    proxy::Proxy,
    redis::Redis,
    wait::{eventually, within},
};

#[cfg(feature = "tls")]
pub(crate) use self::redis::free_port;
