//! How often one address may log in.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use herenow_axum::Instant;
use parking_lot::Mutex;

/// One more login is free after this time.
const EVERY: Duration = Duration::from_secs(1);
/// So many may come at once; a seed page logs four people in.
const AT_ONCE: u32 = 40;
/// Beyond this many addresses with something to wait for, a new one waits too.
const ADDRESSES: usize = 10_000;

/// For each address the moment at which all its logins are paid back, one by one.
#[derive(Default)]
pub(crate) struct LoginRate(Mutex<HashMap<IpAddr, Instant>>);

impl LoginRate {
    /// Counts a login.
    ///
    /// # Errors
    /// There were too many; how long to wait.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut paid_back = self.0.lock();
        if paid_back.len() >= ADDRESSES {
            paid_back.retain(|_, at| *at > now);
        }
        let address = subnet(address);
        let known = paid_back.get(&address).copied();
        if known.is_none() && paid_back.len() >= ADDRESSES {
            return Err(EVERY);
        }
        let next = known.map_or(now, |at| at.max(now)) + EVERY;
        match (next - now).checked_sub(EVERY * AT_ONCE) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                paid_back.insert(address, next);
                Ok(())
            }
        }
    }
}

/// An IPv6 host has a whole /64 to choose its addresses from.
fn subnet(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use herenow_axum::{Clock as _, SystemClock};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_some_logins_at_once_and_then_one_at_a_time() {
        let (rate, now) = (LoginRate::default(), SystemClock.now());
        let one = address("192.0.2.1");
        for _ in 0..AT_ONCE {
            rate.take(one, now).unwrap();
        }
        assert_eq!(rate.take(one, now), Err(EVERY));
        assert_eq!(rate.take(one, now + EVERY / 4), Err(EVERY * 3 / 4));
        assert_eq!(rate.take(address("192.0.2.2"), now), Ok(()), "another address");
        assert_eq!(rate.take(one, now + EVERY), Ok(()));
        assert_eq!(rate.take(one, now + EVERY), Err(EVERY));
    }

    #[test]
    fn the_addresses_of_one_ipv6_subnet_are_one() {
        assert_eq!(subnet(address("2001:db8::1")), subnet(address("2001:db8::ffff:1:2:3")));
        assert_ne!(subnet(address("2001:db8::1")), subnet(address("2001:db8:0:1::1")));
        assert_eq!(subnet(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn no_more_addresses_are_remembered_than_have_something_to_wait_for() {
        let (rate, now) = (LoginRate::default(), SystemClock.now());
        for n in 0..ADDRESSES as u32 {
            rate.take(IpAddr::V4(n.into()), now).unwrap();
        }
        let late = address("192.0.2.1");
        assert_eq!(rate.take(late, now), Err(EVERY));
        assert_eq!(rate.take(late, now + EVERY), Ok(()));
        assert_eq!(rate.0.lock().len(), 1);
    }
}
