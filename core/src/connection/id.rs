//! The name of a connection: minted by the server, unique in the cluster.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One socket or stream. Shown as 24 hexadecimal digits; not a secret, and no credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    node: u32,
    index: u64,
}

/// Where a connection stands on its node: lane, slot, and how often the slot was used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) lane: u8,
    pub(crate) generation: u32,
    pub(crate) slot: u32,
}

impl Place {
    /// The generation wraps after this many uses of a slot.
    pub(crate) const GENERATIONS: u32 = 1 << 24;
}

impl ConnectionId {
    pub(crate) fn new(node: u32, place: Place) -> Self {
        let generation = u64::from(place.generation % Place::GENERATIONS);
        Self { node, index: u64::from(place.lane) << 56 | generation << 32 | u64::from(place.slot) }
    }

    /// The id of a hand mark, which has no socket and so no lane; `serial` is its own count.
    pub(crate) fn by_hand(node: u32, serial: u64) -> Self {
        Self { node, index: u64::from(u8::MAX) << 56 | (serial & ((1 << 56) - 1)) }
    }

    pub(crate) fn place(self) -> Option<Place> {
        let lane = (self.index >> 56) as u8;
        let generation = (self.index >> 32) as u32 & (Place::GENERATIONS - 1);
        (lane != u8::MAX).then_some(Place { lane, generation, slot: self.index as u32 })
    }

    /// The node that holds the connection.
    pub fn node(self) -> u32 {
        self.node
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:016x}", self.node, self.index)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The text is not 24 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a connection id: 24 hexadecimal digits")]
pub struct NotAConnectionId;

impl FromStr for ConnectionId {
    type Err = NotAConnectionId;

    fn from_str(text: &str) -> Result<Self, NotAConnectionId> {
        if text.len() != 24 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotAConnectionId);
        }
        let node = u32::from_str_radix(&text[..8], 16).map_err(|_| NotAConnectionId)?;
        let index = u64::from_str_radix(&text[8..], 16).map_err(|_| NotAConnectionId)?;
        Ok(Self { node, index })
    }
}

impl Serialize for ConnectionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_names_its_place() {
        let place = Place { lane: 3, generation: 77, slot: 12 };
        let id = ConnectionId::new(0xdead_beef, place);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.place(), Some(place));
        assert_eq!(id.node(), 0xdead_beef);
    }

    #[test]
    fn a_hand_mark_has_no_place() {
        assert_eq!(ConnectionId::by_hand(1, 5).place(), None);
    }
}
