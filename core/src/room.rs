//! Where herenow's own tasks run: a small runtime of its own, or one the application names.

use std::{fmt, future::Future};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};

/// Started by the first who needs it; ended with its owner, from any thread.
pub(crate) struct Room {
    threads: usize,
    state: Mutex<State>,
}

enum State {
    Empty,
    Own(Runtime),
    Given(Handle),
    Closed,
}

impl Room {
    pub(crate) fn new(given: Option<Handle>, threads: usize) -> Self {
        let state = given.map_or(State::Empty, State::Given);
        Self { threads, state: Mutex::new(state) }
    }

    /// The runtime, started if need be; `None` once closed, or where the machine gives no more threads.
    pub(crate) fn handle(&self) -> Option<Handle> {
        let mut state = self.state.lock();
        if let State::Empty = *state {
            match Builder::new_multi_thread()
                .worker_threads(self.threads)
                .thread_name("herenow")
                .enable_all()
                .build()
            {
                Ok(runtime) => *state = State::Own(runtime),
                Err(error) => {
                    tracing::error!(%error, "herenow cannot start its threads; nothing timed will happen");
                }
            }
        }
        match &*state {
            State::Own(runtime) => Some(runtime.handle().clone()),
            State::Given(handle) => Some(handle.clone()),
            State::Empty | State::Closed => None,
        }
    }

    /// Runs a task of herenow's; dropped unrun where there is no runtime any more.
    pub(crate) fn spawn<F>(&self, task: F) -> Option<tokio::task::JoinHandle<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.handle().map(|handle| handle.spawn(task))
    }

    pub(crate) fn close(&self) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Closed);
        if let State::Own(runtime) = state {
            runtime.shutdown_background(); // A plain drop would panic inside a task.
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").field("threads", &self.threads).finish_non_exhaustive()
    }
}
