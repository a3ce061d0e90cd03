//! After a loss: everything of this node is written anew.

use herenow::{
    Cause, Clock, Status, SystemClock,
    cluster::{Change, Entry, Wish},
};

use super::Directory;
use crate::{
    error::Unavailable,
    keys::{Keys, TAGS},
};

/// Tags that are written at once: of a million users no more than a part is on its way, and those of one bucket go
/// together, as in one batch of the writer.
const TAGS_AT_ONCE: usize = 8;

impl Directory {
    /// Brings the directory in line with this node; `silent` where what was there before this epoch was lost, and nobody
    /// came or went by that.
    pub(crate) async fn resync(&self, epoch: u64, silent: bool) -> Result<(), Unavailable> {
        let Some(local) = self.local() else { return Ok(()) };
        local.each_wish(&mut |wish| {
            if wish == Wish::Everything {
                return;
            }
            if self.owns_wish(&wish) {
                self.dirty.lock().wish(wish, true);
            }
        });
        self.written().await?;
        for first in (0..TAGS).step_by(TAGS_AT_ONCE) {
            let is_now =
                |tag: u8| (first..first + TAGS_AT_ONCE).contains(&usize::from(tag)) && (self.owns)(tag);
            local.each_entry(&mut |entry| {
                if is_now(Keys::tag_of_entry(&entry)) {
                    let cause =
                        if matches!(entry, Entry::User(_)) { Cause::Connect } else { Cause::Subscribe };
                    let (is_new, at, status) = (false, SystemClock.utc(), Status::Online);
                    self.dirty.lock().again(Change { entry, is_new, cause, at, status, data: None }, silent);
                }
            });
            self.written().await?;
        }
        self.dirty.lock().whole(epoch);
        Ok(())
    }

    /// Waits until all that is marked was written, however long that takes, or the connection is lost.
    async fn written(&self) -> Result<(), Unavailable> {
        self.changed.notify_one();
        let marked = self.dirty.lock().marked();
        let (mut written, mut number) = (self.written.subscribe(), self.link.number());
        let connection = *number.borrow_and_update();
        if connection.is_none() {
            return Err(Unavailable::Down);
        }
        tokio::select! {
            _ = written.wait_for(|written| *written >= marked) => Ok(()),
            _ = number.wait_for(|number| *number != connection) => Err(Unavailable::Down),
        }
    }
}
