//! What a crowd has heard.

use std::collections::BTreeMap;

/// Counts since the crowd began.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Messages of the bench.
    pub(crate) deliveries: u64,
    /// Frames that tell who came and went, one by one.
    pub(crate) events: u64,
    /// Frames that tell how many are there and not who: a large channel's.
    pub(crate) amounts: u64,
    /// Whole lists of members.
    pub(crate) lists: u64,
    /// Answers to requests that say that it was done.
    pub(crate) replies: u64,
    /// Pings of any kind, one for each time the server asked.
    pub(crate) pings: u64,
    /// Pushes that the server says it dropped.
    pub(crate) gaps: u64,
    /// By close code; 1005: a close frame without one, 1006: none at all.
    pub(crate) closed: BTreeMap<u16, usize>,
    /// The first refusal of a request, as it came.
    pub(crate) refusal: Option<String>,
}

impl Tally {
    /// How many connections ended.
    pub(crate) fn ended(&self) -> usize {
        self.closed.values().sum()
    }

    /// How many ended with this code.
    pub(crate) fn closed_with(&self, code: u16) -> usize {
        self.closed.get(&code).copied().unwrap_or_default()
    }
}
