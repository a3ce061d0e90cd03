//! Ways to a user that are no socket, and what is kept for whom nothing reached.

use std::sync::{Arc, Mutex};

use herenow::{
    Certainty, InMemoryPusher, MessagePusher, MessageType, OnlineManager, PushMessage, PushWhen, PusherError,
    Target, UserKey,
    testing::{connect, until},
};

use crate::support::{Sink, now, pass, secs, session, with};

/// A pusher that does as it is told.
#[derive(Clone, Default)]
struct Pusher {
    got: Arc<Mutex<Vec<String>>>,
    manner: Manner,
    when: PushWhen,
    only: Option<MessageType>,
}

#[derive(Clone, Copy, Default)]
enum Manner {
    #[default]
    Works,
    Fails,
    Hangs,
    Panics,
}

#[async_trait::async_trait]
impl MessagePusher for Pusher {
    async fn push(&self, login_id: &str, _: PushMessage) -> Result<(), PusherError> {
        match self.manner {
            Manner::Works => self.got.lock().unwrap().push(login_id.to_owned()),
            Manner::Fails => return Err(PusherError("no".into())),
            Manner::Hangs => std::future::pending().await,
            Manner::Panics => panic!("a pusher that panics, on purpose"),
        }
        Ok(())
    }

    fn when(&self) -> PushWhen {
        self.when
    }

    fn supports(&self, kind: &MessageType) -> bool {
        self.only.as_ref().is_none_or(|only| only == kind)
    }
}

impl Pusher {
    fn got(&self) -> Vec<String> {
        let mut got = std::mem::take(&mut *self.got.lock().unwrap());
        got.sort();
        got
    }
}

#[tokio::test(start_paused = true)]
async fn a_pusher_that_fails_hangs_or_panics_fails_only_itself() {
    let good = Pusher::default();
    let online = with(|builder| {
        [Manner::Fails, Manner::Hangs, Manner::Panics]
            .into_iter()
            .fold(builder, |builder, manner| builder.pusher(Pusher { manner, ..Pusher::default() }))
            .pusher(good.clone())
            .pusher_timeout(secs(3))
    });
    let mut phone = connect(&online, "a").await;
    let began = now();
    let report = online.push_to_users(["a", "b"], "text").await.unwrap();
    assert_eq!((report.enqueued, report.pushers), (1, 2));
    assert_eq!(now() - began, secs(3));
    assert_eq!(good.got(), ["a", "b"]);
    assert_eq!(phone.expect_push().await, "text");
}

#[tokio::test(start_paused = true)]
async fn a_pusher_is_asked_when_it_wants_to_be() {
    let with_when = |when| Pusher { when, ..Pusher::default() };
    let (always, here, away) =
        (with_when(PushWhen::Always), with_when(PushWhen::Online), with_when(PushWhen::Offline));
    let online = with(|builder| builder.pusher(always.clone()).pusher(here.clone()).pusher(away.clone()));
    let _phone = connect(&online, "here").await;
    online.mark_online(session("marked", "t")).await;
    let report = online.push_to_users(["here", "marked", "away"], "text").await.unwrap();
    assert_eq!(report.pushers, 6);
    assert_eq!(always.got(), ["away", "here", "marked"]);
    assert_eq!(here.got(), ["here", "marked"]);
    assert_eq!(away.got(), ["away"]);
    let _ = online.push(Target::everyone().except_user("marked"), "text").await.unwrap();
    assert_eq!((always.got().len(), here.got(), away.got().len()), (1, vec!["here".to_owned()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_pusher_is_asked_for_the_types_it_supports() {
    let pusher = Pusher { only: Some(MessageType::Notification), ..Pusher::default() };
    let online = with(|builder| builder.pusher(pusher.clone()));
    let _ = online.push_to_user("a", "text").await.unwrap();
    assert!(pusher.got().is_empty());
    let notice = PushMessage::new("text").kind(MessageType::Notification);
    let _ = online.push_to_user("a", notice).await.unwrap();
    assert_eq!(pusher.got(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_pusher_of_login_ids_alone_is_not_asked_for_another_account() {
    let pusher = Pusher::default();
    let online = with(|builder| builder.pusher(pusher.clone()));
    let report = online.push_to_user(UserKey::in_account("tenant", "a"), "text").await.unwrap();
    assert_eq!((report.pushers, pusher.got().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_offline_sink_gets_what_reached_nobody() {
    let sink = Sink::default();
    let phones =
        Pusher { when: PushWhen::Offline, only: Some(MessageType::Notification), ..Pusher::default() };
    let online = with(|builder| builder.offline_sink(sink.clone()).pusher(phones));
    let _here = connect(&online, "here").await;
    online.mark_online(session("marked", "t")).await;
    let _ = online.push_to_users(["here", "marked", "away"], "text").await.unwrap();
    let stored = async || {
        let mut stored = sink.0.lock().unwrap().clone();
        stored.sort_by(|one, other| one.0.cmp(&other.0));
        stored
    };
    until("two are stored", async || stored().await.len() == 2).await;
    let expected = [("away".to_owned(), Certainty::Certain), ("marked".to_owned(), Certainty::Certain)];
    assert_eq!(stored().await, expected);
    let notice = PushMessage::new("text").kind(MessageType::Notification);
    let _ = online.push_to_users(["here", "away"], notice).await.unwrap();
    let _ = online.broadcast("text").await.unwrap();
    pass(secs(1)).await;
    assert_eq!(stored().await.len(), 2);
}

#[tokio::test]
async fn the_pusher_in_memory_keeps_the_latest_hundred_of_ten_thousand_users() {
    let pusher = InMemoryPusher::new();
    for n in 0..InMemoryPusher::MAX_MESSAGES + 5 {
        pusher.push("busy", PushMessage::new(n.to_string())).await.unwrap();
    }
    let kept = pusher.get_messages("busy").await;
    assert_eq!((kept.len(), kept[0].content.as_text()), (InMemoryPusher::MAX_MESSAGES, Some("5")));
    for n in 0..InMemoryPusher::MAX_USERS {
        pusher.push(&n.to_string(), PushMessage::new("text")).await.unwrap();
    }
    assert!(pusher.get_messages("busy").await.is_empty());
    assert_eq!(pusher.get_messages("0").await.len(), 1);
}

#[tokio::test]
async fn a_manager_runs_its_pushers_on_threads_of_its_own() {
    let online = OnlineManager::builder().pusher(Pusher::default()).build().unwrap();
    assert_eq!(online.push_to_user("a", "text").await.unwrap().pushers, 1);
}
