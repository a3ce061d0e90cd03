//! [`Bucket`]: which part of a cluster's directory a user stands in.

use std::hash::Hasher;

use fnv::FnvHasher;

use crate::UserKey;

/// One of 16,384 parts of a directory. It is the same on every node, in every process and in every version, so that an engine
/// may store users by it, and pages of users go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket(u16);

impl Bucket {
    /// How many there are.
    pub const COUNT: u16 = 16_384;

    /// A user's bucket: the low 14 bits of FNV-1a (64 bits) over account, a zero byte, and login id.
    pub fn of(user: &UserKey) -> Self {
        let mut hasher = FnvHasher::default();
        hasher.write(user.account().unwrap_or_default().as_bytes());
        hasher.write_u8(0);
        hasher.write(user.login_id().as_bytes());
        Self((hasher.finish() & u64::from(Self::COUNT - 1)) as u16)
    }

    /// The bucket of a number below [`COUNT`](Self::COUNT).
    pub fn new(index: u16) -> Option<Self> {
        (index < Self::COUNT).then_some(Self(index))
    }

    /// Its number.
    pub fn index(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_stands_where_every_version_looks_for_it() {
        assert_eq!(Bucket::of(&"alice".into()).index(), 6281);
        assert_eq!(Bucket::of(&UserKey::in_account("tenant-1", "alice")).index(), 13099);
    }

    #[test]
    fn users_spread_over_all_buckets() {
        let mut users = vec![0u32; usize::from(Bucket::COUNT)];
        for n in 0..1_000_000 {
            users[usize::from(Bucket::of(&UserKey::from(format!("u{n}"))).index())] += 1;
        }
        // 61 on average.
        assert!(users.iter().all(|users| (10..200).contains(users)), "{:?}", users.iter().max());
    }
}
