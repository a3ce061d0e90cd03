//! Processor time of another process, in nanoseconds.

use std::{collections::BTreeMap, fs, io, path::PathBuf, time::Duration};

/// The unit of /proc/PID/stat: 100 a second on Linux, whatever the kernel's own clock is.
const TICK: Duration = Duration::from_millis(10);
/// What may be lost by counting in ticks: one of user and one of system time.
const BLUR: Duration = Duration::from_millis(20);

/// What a process has used up to a moment.
#[derive(Clone, Debug)]
pub(crate) struct Cpu {
    /// Nanoseconds of each thread that lives.
    threads: BTreeMap<u32, u64>,
    /// Of the whole process, with threads that ended.
    ticks: u32,
}

impl Cpu {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(process.join("task"))? {
            let entry = entry?;
            // A thread that ended since the directory was read is in the ticks.
            let Ok(line) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let name = entry.file_name();
            if let (Some(thread), Some(time)) =
                (name.to_str().and_then(|name| name.parse().ok()), first(&line))
            {
                threads.insert(thread, time);
            }
        }
        Ok(Self {
            threads,
            ticks: ticks(&fs::read_to_string(process.join("stat"))?).ok_or(io::ErrorKind::InvalidData)?,
        })
    }

    /// The time used since `before`. Threads that ended in between are known to a tick only, and count where that is more.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let used =
            |(thread, time): (&u32, &u64)| time - before.threads.get(thread).copied().unwrap_or(0).min(*time);
        let living = Duration::from_nanos(self.threads.iter().map(used).sum());
        let all = TICK * self.ticks.saturating_sub(before.ticks);
        living.max(all.saturating_sub(BLUR))
    }
}

fn first(line: &str) -> Option<u64> {
    line.split_whitespace().next()?.parse().ok()
}

/// `utime` and `stime`, fields 14 and 15; the name in field 2 may hold anything, and ends with the last bracket.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    Some(fields.next()?? + fields.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 12 30 0 0 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat), Some(42));
    }

    #[test]
    fn a_thread_that_ended_counts_by_ticks() {
        let before = Cpu { threads: [(1, 1_000_000), (2, 5_000_000)].into(), ticks: 1 };
        let after = Cpu { threads: [(1, 3_000_000)].into(), ticks: 51 };
        assert_eq!(after.since(&before), Duration::from_millis(480));
        let alive = Cpu { threads: [(1, 3_000_000), (2, 6_000_000)].into(), ticks: 1 };
        assert_eq!(alive.since(&before), Duration::from_millis(3));
    }

    #[test]
    fn this_process_has_used_time() {
        let cpu = Cpu::of(std::process::id()).unwrap();
        assert!(cpu.threads.values().sum::<u64>() > 0);
    }
}
