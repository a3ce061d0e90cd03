//! What an application hears of one channel.

use std::{fmt, sync::Weak};

use tokio::sync::broadcast;

use super::{hub::Hub, name::ChannelKey};
use crate::Notice;

/// A stream of what happens in one channel, on any node: `Join`, `Leave` and `Update` of its members, each as it
/// happens. Dropping it ends the interest.
#[must_use = "it hears nothing unless it is asked"]
pub struct ChannelEvents {
    hub: Weak<Hub>,
    channel: ChannelKey,
    receiver: Option<broadcast::Receiver<Notice>>,
}

impl ChannelEvents {
    /// The next notice; `None` once the manager is gone. A listener that was too slow is told how many it
    /// [missed](Notice::Missed). Cancel safe.
    pub async fn recv(&mut self) -> Option<Notice> {
        match self.receiver.as_mut()?.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Notice::Missed(missed)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next notice that is there already; `None` when there is none.
    pub fn try_recv(&mut self) -> Option<Notice> {
        match self.receiver.as_mut()?.try_recv() {
            Ok(notice) => Some(notice),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(Notice::Missed(missed)),
            Err(_) => None,
        }
    }

    /// As a [`Stream`](futures_util::Stream).
    pub fn into_stream(self) -> impl futures_util::Stream<Item = Notice> + Send {
        futures_util::stream::unfold(self, |mut events| async {
            events.recv().await.map(|notice| (notice, events))
        })
    }
}

impl Drop for ChannelEvents {
    fn drop(&mut self) {
        drop(self.receiver.take());
        if let Some(hub) = self.hub.upgrade() {
            hub.unlisten(&self.channel);
        }
    }
}

impl fmt::Debug for ChannelEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelEvents").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Hub {
    /// Listens to a channel, whether or not somebody is in it. To a name that no channel can have, and where there are
    /// as many channels as there may be, nothing is ever heard.
    pub(crate) fn listen(self: &std::sync::Arc<Self>, channel: ChannelKey) -> ChannelEvents {
        let buffer = self.around.events_buffer;
        let subscribe = || {
            channel.check().ok()?;
            let sender = || broadcast::channel(buffer).0;
            self.open(&channel, |channel| channel.listeners.get_or_insert_with(sender).subscribe()).ok()
        };
        let receiver = subscribe();
        ChannelEvents { hub: std::sync::Arc::downgrade(self), channel, receiver }
    }

    fn unlisten(&self, channel: &ChannelKey) {
        self.change(channel, |channel| channel.listeners.take_if(|sender| sender.receiver_count() == 0));
    }
}
