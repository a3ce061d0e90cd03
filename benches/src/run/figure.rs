//! One measured number.

use serde::{Deserialize, Serialize};

use crate::design::Design;

/// A figure of one repetition, as the JSON has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figure {
    pub(crate) design: Design,
    /// `raw`, `envelope` or `socket.io`.
    pub(crate) dialect: String,
    /// What was done, as `broadcast 64 B`.
    pub(crate) workload: String,
    /// What was read, as `us of CPU per delivery`.
    pub(crate) metric: String,
    /// Threads of the server.
    pub(crate) threads: usize,
    pub(crate) connections: usize,
    pub(crate) value: f64,
}
