//! Redis servers, a proxy that fails on demand, and nodes to try them with.

mod masters;
mod node;
mod proxy;
mod redis;
mod wait;

pub(crate) use self::{
    masters::Masters,
    node::{Node, quick},
    proxy::Proxy,
    redis::Redis,
    wait::{eventually, within},
};

#[cfg(feature = "tls")]
pub(crate) use self::redis::free_port;
