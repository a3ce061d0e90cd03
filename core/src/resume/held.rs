//! A push that nothing but streams took: if none of them is claimed, the offline sink gets it.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering},
};

use crate::{Certainty, PushMessage, UserKey, manager::Inner, push};

/// Shared by the streams of one user that hold it; the last that lets go of it settles it.
#[derive(Debug)]
pub(crate) struct Held {
    inner: Weak<Inner>,
    user: UserKey,
    message: Arc<PushMessage>,
    reached: AtomicBool,
}

impl Held {
    pub(crate) fn new(inner: &Arc<Inner>, user: UserKey, message: Arc<PushMessage>) -> Arc<Self> {
        let inner = Arc::downgrade(inner);
        Arc::new(Self { inner, user, message, reached: AtomicBool::new(false) })
    }

    /// Whom it is for.
    pub(crate) fn user(&self) -> &UserKey {
        &self.user
    }

    /// Somebody has it after all.
    pub(crate) fn reached(&self) {
        self.reached.store(true, Ordering::Release);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.reached.load(Ordering::Acquire)
            && let Some(inner) = self.inner.upgrade()
        {
            push::store(&inner, vec![self.user.clone()], self.message.clone(), Certainty::Certain);
        }
    }
}
