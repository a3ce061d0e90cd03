//! Memory of another process.

use std::{fs, io};

/// Resident memory in KiB.
pub(crate) fn resident_kib(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    find(&status).ok_or_else(|| io::Error::other(format!("process {pid} has no VmRSS: it has ended")))
}

fn find(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read() {
        assert_eq!(find("VmHWM:\t  900 kB\nVmRSS:\t    812 kB\n"), Some(812.0));
        assert_eq!(find("Name:\tgone\n"), None);
        assert!(resident_kib(std::process::id()).unwrap() > 0.0);
    }
}
