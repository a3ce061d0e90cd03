//! Records: what is true of a user or a member on one node, packed as it stands in Redis. `scripts/users.lua` and
//! `scripts/members.lua` read and write the same.

use std::sync::Arc;

use herenow::{
    Status, UserKey,
    cluster::{Here, Member},
};
use serde_json::value::{RawValue, to_raw_value};

use crate::lease::LeaseId;

/// A status as it stands in a record: the higher one counts. 0 is for who is offline and only pushed to.
pub(crate) fn rank(status: &Status) -> (u8, &str) {
    match status {
        Status::Away => (1, ""),
        Status::Online => (2, ""),
        // No such word is let in; were one here, it must not keep the others from being written.
        Status::Custom(word) if word.is_empty() || word.len() > Status::MAX_WORD => (2, ""),
        Status::Custom(word) => (3, word),
        _ => (0, ""),
    }
}

/// The status of a rank.
pub(crate) fn status(rank: u8, word: &str) -> Status {
    match rank {
        1 => Status::Away,
        2 => Status::Online,
        3 if !word.is_empty() => Status::Custom(word.into()),
        _ => Status::Offline,
    }
}

/// A user's record, without the lease.
pub(crate) fn user(here: &Here) -> Vec<u8> {
    let (rank, word) = rank(&here.status);
    let mut record = vec![rank];
    record.extend(word.as_bytes());
    record
}

/// A member's record, without the lease.
pub(crate) fn member(here: &Here) -> Vec<u8> {
    let (rank, word) = rank(&here.status);
    let data = here.data.as_ref().map_or("", |data| data.get());
    let mut record = Vec::with_capacity(6 + word.len() + data.len());
    record.extend(here.clients.to_be_bytes());
    record.extend([rank, word.len() as u8]); // A word has at most 32 bytes.
    record.extend(word.as_bytes());
    record.extend(data.as_bytes());
    record
}

/// The leases in a user's records, with their ranks and words; reading ends where it cannot go on.
pub(crate) fn users(mut records: &[u8]) -> impl Iterator<Item = (LeaseId, u8, &str)> {
    std::iter::from_fn(move || {
        let (len, rest) = records.split_first()?;
        let (record, rest) = rest.split_at_checked(usize::from(*len))?;
        let (lease, record) = record.split_first_chunk::<4>()?;
        let (rank, word) = record.split_first()?;
        records = rest;
        Some((*lease, *rank, std::str::from_utf8(word).ok()?))
    })
}

/// The leases in a member's records.
pub(crate) fn members(mut records: &[u8]) -> impl Iterator<Item = LeaseId> {
    std::iter::from_fn(move || {
        let (len, rest) = records.split_first_chunk::<2>()?;
        let (record, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        records = rest;
        record.first_chunk::<4>().copied()
    })
}

/// A user's status by the records of nodes that live.
pub(crate) fn user_status(records: &[u8], lives: impl Fn(LeaseId) -> bool) -> Status {
    let mut best = (0, "");
    for (lease, rank, word) in users(records) {
        if rank > best.0 && lives(lease) {
            best = (rank, word);
        }
    }
    status(best.0, best.1)
}

/// A member by the records of nodes that live; `None` where there is none of these.
pub(crate) fn merged(user: UserKey, mut records: &[u8], lives: impl Fn(LeaseId) -> bool) -> Option<Member> {
    let (mut clients, mut best, mut data, mut any) = (0u32, (0, ""), "", false);
    while let Some((len, rest)) = records.split_first_chunk::<2>() {
        let (record, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        records = rest;
        let (lease, record) = record.split_first_chunk::<4>()?;
        let (own, record) = record.split_first_chunk::<4>()?;
        let ([rank, length], record) = record.split_first_chunk::<2>()?;
        let (word, more) = record.split_at_checked(usize::from(*length))?;
        if !lives(*lease) {
            continue;
        }
        (any, clients) = (true, clients.saturating_add(u32::from_be_bytes(*own)));
        if *rank > best.0 {
            best = (*rank, std::str::from_utf8(word).ok()?);
        }
        if data.is_empty() {
            data = std::str::from_utf8(more).ok()?;
        }
    }
    any.then(|| Member { user, clients, status: status(best.0, best.1), data: json(data) })
}

/// Public data as it is kept; what is none is none.
pub(crate) fn json(text: &str) -> Option<Arc<RawValue>> {
    let value: &RawValue = serde_json::from_str(text).ok()?;
    to_raw_value(value).ok().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(clients: u32, status: Status, data: &str) -> Here {
        Here { clients, status, data: json(data) }
    }

    fn stored(lease: LeaseId, record: &[u8]) -> Vec<u8> {
        [&[(4 + record.len()) as u8], &lease[..], record].concat()
    }

    fn stored_member(lease: LeaseId, record: &[u8]) -> Vec<u8> {
        [&((4 + record.len()) as u16).to_be_bytes(), &lease[..], record].concat()
    }

    #[test]
    fn of_several_nodes_the_most_awake_status_counts_and_of_dead_ones_none() {
        let (one, two, three) = ([1; 4], [2; 4], [3; 4]);
        let records = [
            stored(one, &user(&here(0, Status::Away, ""))),
            stored(two, &user(&here(0, "in a call".into(), ""))),
            stored(three, &user(&here(0, Status::Offline, ""))),
        ]
        .concat();
        assert_eq!(user_status(&records, |_| true), Status::from("in a call"));
        assert_eq!(user_status(&records, |lease| lease != two), Status::Away);
        assert_eq!(user_status(&records, |lease| lease == three), Status::Offline);
        assert_eq!(users(&records).map(|(lease, ..)| lease).collect::<Vec<_>>(), [one, two, three]);
    }

    #[test]
    fn members_add_up() {
        let records = [
            stored_member([1; 4], &member(&here(2, Status::Online, ""))),
            stored_member([2; 4], &member(&here(1, Status::Away, r#"{"a":1}"#))),
        ]
        .concat();
        let all = merged("u1".into(), &records, |_| true).unwrap();
        assert_eq!((all.clients, all.status, all.data.unwrap().get()), (3, Status::Online, r#"{"a":1}"#));
        let one = merged("u1".into(), &records, |lease| lease == [2; 4]).unwrap();
        assert_eq!((one.clients, one.status), (1, Status::Away));
        assert!(merged("u1".into(), &records, |_| false).is_none());
    }

    #[test]
    fn noise_is_read_as_nothing() {
        for noise in [&b"\xff"[..], b"\x04abc", b"\x00\x01\x02", b"\x05aaaa\xff\xff\xff"] {
            assert_eq!(user_status(noise, |_| true), Status::Offline);
            assert!(merged("u1".into(), noise, |_| true).is_none());
        }
    }
}
