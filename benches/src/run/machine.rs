//! The machine and what it is doing besides: without it, a figure says little.

use std::{fs, process::Command, thread, time::Duration};

use rustix::process::{Resource, getrlimit};
use serde::{Deserialize, Serialize};

/// As the JSON has it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    /// Descriptors that a process may have; none: as many as it likes.
    pub(crate) descriptors: Option<u64>,
    pub(crate) load_average: f64,
    /// How busy all cores were before anything began.
    pub(crate) busy_percent: f64,
    pub(crate) herenow: String,
    pub(crate) rustc: String,
    /// Of the servers that are Rust.
    pub(crate) allocator: String,
    pub(crate) node: String,
    pub(crate) python: String,
}

/// More than this, and another program is at work.
const BUSY_PERCENT: f64 = 5.0;

impl Machine {
    pub(super) fn look() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let first_word = |text: &str| text.split_whitespace().next().map(str::to_owned).unwrap_or_default();
        Self {
            date: date(),
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_mib: first_word(&field(&read("/proc/meminfo"), "MemTotal")).parse().unwrap_or(0) / 1024,
            kernel: first_word(&read("/proc/sys/kernel/osrelease")),
            descriptors: getrlimit(Resource::Nofile).current,
            load_average: first_word(&read("/proc/loadavg")).parse().unwrap_or(0.0),
            busy_percent: busy_percent(),
            herenow: env!("CARGO_PKG_VERSION").to_owned(),
            rustc: answer("rustc"),
            allocator: if cfg!(feature = "jemalloc") { "jemalloc" } else { "the system's" }.to_owned(),
            node: answer("node"),
            python: answer("python3"),
        }
    }

    pub(super) fn warn_when_busy(&self) {
        if self.busy_percent > BUSY_PERCENT {
            eprintln!(
                "warning: the machine is {:.0} % busy (load average {}): stop what else runs, or figures will be off",
                self.busy_percent, self.load_average
            );
        }
    }
}

#[allow(clippy::disallowed_methods)] // The date of a report is the machine's own.
fn date() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// What a program says its version is.
fn answer(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    output.map_or_else(
        |_| "none".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> String {
    let value = |line: &str| {
        line.split_once(':').filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
    };
    text.lines().find_map(value).unwrap_or_default()
}

fn busy_percent() -> f64 {
    const LOOK: Duration = Duration::from_millis(500);
    let read = || fs::read_to_string("/proc/stat").ok().and_then(|text| ticks(&text));
    let before = read();
    thread::sleep(LOOK);
    match (before, read()) {
        (Some((idle, all)), Some((later_idle, later_all))) if later_all > all => {
            100.0 - (later_idle - idle) as f64 * 100.0 / (later_all - all) as f64
        }
        _ => 0.0,
    }
}

/// Idle ticks (also those that waited for a disk) and all, of all cores.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // Time of guests is in the first two already.
    Some((ticks.get(3)? + ticks.get(4)?, ticks.iter().take(8).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_told_from_the_rest() {
        assert_eq!(ticks("cpu  10 1 5 80 4 0 0 0 0 0\ncpu0 1 1 1 1\n"), Some((84, 100)));
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        assert_eq!(field("model\t: 2\nmodel name\t: Some CPU\n", "model name"), "Some CPU");
        assert_eq!(field("", "model name"), "");
    }
}
