//! What an application on this node was told, kept for whoever asks: `GET /admin/events` with `--record-events`.

use std::sync::Arc;

use herenow::{Event, Events, Notice, OnlineManager};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};

/// So many are kept of each stream; what comes after counts as missed.
const MOST: usize = 100_000;

/// Both streams of events since the start of the node. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Transitions that this node made.
    made: Arc<Mutex<Stream>>,
    /// Those of the whole cluster.
    cluster: Arc<Mutex<Stream>>,
}

#[derive(Debug, Default, Serialize)]
struct Stream {
    events: Vec<Value>,
    missed: u64,
    resyncs: u64,
}

impl Told {
    /// Begins to listen, for as long as the manager is there.
    pub(super) fn by(online: &OnlineManager) -> Self {
        let told = Self::default();
        tokio::spawn(record(online.events(), Arc::clone(&told.made)));
        tokio::spawn(record(online.cluster_events(), Arc::clone(&told.cluster)));
        told
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"made": *self.made.lock(), "cluster": *self.cluster.lock()})
    }
}

async fn record(mut events: Events, stream: Arc<Mutex<Stream>>) {
    while let Some(notice) = events.recv().await {
        let mut stream = stream.lock();
        match notice {
            Notice::Event(event) if stream.events.len() < MOST => stream.events.push(short(&event)),
            Notice::Event(_) => stream.missed += 1,
            Notice::Missed(count) => stream.missed += count,
            Notice::Resync => stream.resyncs += 1,
            _ => {}
        }
    }
}

fn short(event: &Event) -> Value {
    json!({"kind": event.kind, "user": event.user.login_id(), "channel": event.channel, "cause": event.cause})
}
