//! A word to who makes the manager in `HttpServer::new`'s closure, so that each worker has one of its own.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, ThreadId};

use actix_web::rt::System;
use herenow::OnlineManager;

/// The middlewares that live: which line of which server made them, on which thread, of which manager.
static MADE: Mutex<Vec<(Line, ThreadId, Weak<OnlineManager>)>> = Mutex::new(Vec::new());

/// A line of the application, in one of the servers that a process may have.
type Line = (&'static Location<'static>, Option<usize>);

/// Notes a middleware that is made. Says so, once, where one line makes it of one manager here and another one on
/// another thread.
#[track_caller]
pub(crate) fn note(online: &Arc<OnlineManager>) {
    static SAID: AtomicBool = AtomicBool::new(false);
    let line = (Location::caller(), System::try_current().map(|system| system.id()));
    if is_another(online, line) && !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "each worker has an `OnlineManager` of its own: make one before `HttpServer::new`, and move a clone in"
        );
    }
}

fn is_another(online: &Arc<OnlineManager>, line: Line) -> bool {
    let here = thread::current().id();
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.retain(|(.., online)| online.strong_count() > 0);
    let of_line = made.iter().filter(|(at, ..)| *at == line);
    let earlier: Vec<_> = of_line.filter_map(|(_, thread, one)| Some((*thread, one.upgrade()?))).collect();
    made.push((line, here, Arc::downgrade(online)));
    earlier.iter().any(|(thread, _)| *thread != here) && !earlier.iter().any(|(_, one)| one.is_same(online))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes middlewares of these managers on one line, on a thread of its own.
    fn made(line: Line, of: &[&Arc<OnlineManager>]) -> Vec<bool> {
        thread::scope(|scope| {
            let all = scope.spawn(|| of.iter().map(|online| is_another(online, line)).collect());
            all.join().unwrap()
        })
    }

    #[test]
    fn a_manager_of_its_own_on_every_worker_is_noticed() {
        let manager = || Arc::new(OnlineManager::new());
        let (one, other, third) = (manager(), manager(), manager());
        let line = (Location::caller(), Some(1));
        // A function that is called for two managers, on each of two workers.
        assert_eq!(made(line, &[&one, &other]), [false, false]);
        let clones = [Arc::new(OnlineManager::clone(&one)), Arc::new(OnlineManager::clone(&other))];
        assert_eq!(made(line, &[&clones[0], &clones[1]]), [false, false]);
        assert_eq!(made(line, &[&third]), [true]);
        assert_eq!(made((line.0, Some(2)), &[&third]), [false], "another server has managers of its own");
        assert_eq!(made((Location::caller(), Some(1)), &[&third]), [false], "and so has another line");
        drop((one, other, third, clones));
        assert_eq!(made(line, &[&manager()]), [false], "those of a server that ended are forgotten");
    }
}
