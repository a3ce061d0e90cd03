//! Where keys lie in a Redis Cluster: everything of one part lies in one slot, so that scripts see all of it, and the parts
//! lie as far apart as they can. <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>

/// How many slots there are.
const SLOTS: u16 = 16_384;

/// The parts that a Redis Cluster is divided into: more masters than these would have nothing to do.
pub(crate) const PARTS: u16 = 16;

/// The prefix of one part's keys: what is in the braces decides on the slot.
pub(crate) fn prefix_of(prefix: &str, part: u16) -> String {
    let width = SLOTS / PARTS;
    // One of about sixteen lies where it should; of so many tries it is one but for bad luck, which costs evenness alone.
    let candidates = (0..1_000_u16).map(|attempt| format!("{prefix}.{part}.{attempt}"));
    let tag = candidates.clone().find(|tag| slot_of(tag) / width == part);
    format!("{{{}}}", tag.or_else(|| candidates.clone().next()).unwrap_or_default())
}

/// The slot of a key of this prefix.
pub(crate) fn slot_of_prefix(prefix: &str) -> u16 {
    slot_of(prefix.trim_matches(['{', '}']))
}

/// CRC16 as XMODEM has it, modulo the number of slots.
fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // The test vector of the specification, and two that a server answered to CLUSTER KEYSLOT.
        assert_eq!(slot_of("123456789"), 0x31c3 % SLOTS);
        assert_eq!((slot_of("foo"), slot_of("bar")), (12_182, 5_061));
    }

    #[test]
    fn the_parts_lie_evenly() {
        for prefix in ["herenow", "p", "some-other:prefix"] {
            let slots: Vec<u16> = (0..PARTS).map(|part| slot_of_prefix(&prefix_of(prefix, part))).collect();
            assert!(slots.is_sorted_by(|a, b| a / 1024 + 1 == b / 1024), "{slots:?}");
        }
    }
}
