//! Which core does what.

use rustix::thread::{CpuSet, sched_getaffinity};

use super::Options;
use crate::load::Error;

/// Cores of the servers, by the number of their threads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cores {
    one: String,
    two: Option<String>,
}

impl Cores {
    pub(super) fn of(options: &Options) -> Result<Self, Error> {
        let allowed = sched_getaffinity(None)?;
        let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        Ok(Self::among(&allowed, &options.server_cores, options.load_core)?)
    }

    fn among(allowed: &[usize], servers: &[usize], load: usize) -> Result<Self, String> {
        for core in servers.iter().chain([&load]) {
            if !allowed.contains(core) {
                return Err(format!(
                    "core {core} is none of those that may be used ({}): name others by --server-cores and --load-core",
                    list(allowed)
                ));
            }
        }
        if servers.contains(&load) {
            eprintln!("warning: servers and load generator share core {load}: figures will be off");
        }
        // The load generator's core comes last, and is shared where there are but two.
        let mut two = servers.to_vec();
        let others = allowed.iter().filter(|core| **core != load).chain([&load]);
        for core in others {
            if two.len() < 2 && !two.contains(core) {
                two.push(*core);
            }
        }
        Ok(Self { one: list(servers), two: (two.len() > 1).then(|| list(&two)) })
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self { one: "0".to_owned(), two: Some("0,1".to_owned()) }
    }

    /// None where there are too few.
    pub(super) fn for_threads(&self, threads: usize) -> Option<&str> {
        match threads {
            1 => Some(&self.one),
            _ => self.two.as_deref(),
        }
    }
}

fn list(cores: &[usize]) -> String {
    let cores: Vec<_> = cores.iter().map(usize::to_string).collect();
    cores.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_share_the_load_generators_core_only_where_they_must() {
        let small = Cores::among(&[0, 1], &[0], 1).unwrap();
        assert_eq!((small.for_threads(1), small.for_threads(2)), (Some("0"), Some("0,1")));
        let large = Cores::among(&[0, 1, 2, 3], &[0], 1).unwrap();
        assert_eq!(large.for_threads(2), Some("0,2"));
        assert_eq!(Cores::among(&[4], &[4], 4).unwrap().for_threads(2), None);
    }

    #[test]
    fn a_core_that_is_not_there_is_named() {
        let error = Cores::among(&[0], &[0], 1).unwrap_err();
        assert!(error.contains("core 1") && error.contains("--load-core"), "{error}");
    }
}
