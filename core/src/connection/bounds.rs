//! What every connection's write side keeps to.

use std::sync::Arc;

use crate::{policy, resume::Room};

#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) outbox: policy::Outbox,
    pub(crate) resume: policy::Resume,
    /// What all streams share.
    pub(crate) room: Arc<Room>,
}

impl Bounds {
    pub(crate) fn new(outbox: policy::Outbox, resume: policy::Resume) -> Self {
        let room = Arc::new(Room::new(resume.in_all));
        Self { outbox, resume, room }
    }
}
