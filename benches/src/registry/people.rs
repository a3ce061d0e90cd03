//! Who is marked: ids and tokens made beforehand, in a random order that is the same in every run.
//!
//! They lie one behind the other as they are used, as if each had just come over the network: what is measured are the
//! registry's misses of the cache, and not those of a list of strings.

/// A user with one session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person<'a> {
    pub(super) login_id: &'a str,
    pub(super) token: &'a str,
}

/// As long as a session id usually is.
const TOKEN: usize = 32;

/// Users of one thread.
#[derive(Debug)]
pub(super) struct People {
    text: String,
    /// Where each begins, and the end.
    starts: Vec<usize>,
}

impl People {
    /// The share of thread `index` of `threads`, in the order of `seed`: no two threads have the same one.
    pub(super) fn share(count: usize, index: usize, threads: usize, seed: u64) -> Self {
        let mut own: Vec<usize> = (index..count).step_by(threads).collect();
        let mut numbers = Numbers(seed);
        for last in (1..own.len()).rev() {
            own.swap(last, numbers.next() as usize % (last + 1));
        }
        let (mut text, mut starts) = (String::new(), vec![0]);
        for number in own {
            text += &format!("u{number}{:0TOKEN$x}", Numbers(number as u64).next_wide());
            starts.push(text.len());
        }
        Self { text, starts }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn get(&self, index: usize) -> Person<'_> {
        let (start, end) = (self.starts[index], self.starts[index + 1]);
        let (login_id, token) = self.text[start..end].split_at(end - start - TOKEN);
        Person { login_id, token }
    }
}

/// SplitMix64: what an order needs, and the same numbers on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn next_wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ids(people: &People) -> Vec<String> {
        (0..people.len()).map(|n| people.get(n).login_id.to_owned()).collect()
    }

    #[test]
    fn every_user_belongs_to_one_thread_and_has_a_token_of_its_own() {
        let shares: Vec<People> = (0..3).map(|index| People::share(100, index, 3, 1)).collect();
        let everybody: HashSet<String> = shares.iter().flat_map(ids).collect();
        assert_eq!(everybody, (0..100).map(|n| format!("u{n}")).collect());
        let people = || shares.iter().flat_map(|share| (0..share.len()).map(|n| share.get(n)));
        assert_eq!(people().map(|person| person.token).collect::<HashSet<_>>().len(), 100);
        assert!(people().all(|person| person.token.len() == TOKEN));
    }

    #[test]
    fn the_order_is_random_and_the_same_in_every_run() {
        let one = ids(&People::share(100, 0, 1, 1));
        assert_eq!(one, ids(&People::share(100, 0, 1, 1)));
        assert_ne!(one, ids(&People::share(100, 0, 1, 2)));
        assert_ne!(one, (0..100).map(|n| format!("u{n}")).collect::<Vec<_>>());
    }
}
