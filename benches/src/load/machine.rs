//! What the machine gives: a core of its own, and descriptors.

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_setaffinity},
};

use super::Error;

/// Descriptors that are no connections: epoll, pipes, the program's own.
const OTHERS: usize = 64;

/// Keeps this thread, and what it starts from now on, on one core.
pub(crate) fn pin(core: usize) -> Result<(), Error> {
    let mut cores = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(format!("core {core} is more than the kernel counts").into());
    }
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| {
        format!("cannot run on core {core} ({error}): name one that this machine has").into()
    })
}

/// Asks for as many descriptors as may be had; servers that are started later inherit it.
pub(crate) fn raise_descriptor_limit() -> Result<(), Error> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return Ok(());
    }
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Whether a process may have so many connections at a time.
pub(crate) fn room_for(connections: usize) -> Result<(), Error> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(OTHERS);
    if connections <= room {
        return Ok(());
    }
    Err(format!(
        "{connections} connections need {} descriptors, and a process may have {limit}: \
         raise the hard limit (ulimit -Hn), or ask for at most {room} connections",
        connections + OTHERS
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_number_that_fits() {
        assert!(room_for(1).is_ok());
        if getrlimit(Resource::Nofile).current.is_some() {
            let error = room_for(usize::MAX / 2).unwrap_err().to_string();
            assert!(error.contains("ask for at most"), "{error}");
        }
    }
}
