//! The quick start of the first seed, word for word but for its `use` line, and its eleven methods.

use std::sync::Arc;

use herenow::{InMemoryPusher, MessagePusher, MessageType, OnlineManager};

use crate::support::session;

#[allow(clippy::disallowed_methods)] // The seed's own words.
mod quick_start {
    include!("quick_start.rs");

    pub(super) fn run() -> Result<(), String> {
        main().map_err(|error| error.to_string())
    }
}

#[test]
fn the_quick_start_compiles_and_runs() {
    std::thread::spawn(quick_start::run).join().unwrap().unwrap();
}

#[tokio::test]
async fn the_quick_starts_pusher_got_both_messages() {
    let manager = Arc::new(OnlineManager::new());
    let pusher = Arc::new(InMemoryPusher::new());
    manager.register_pusher(pusher.clone()).await;
    manager.mark_online(session("user123", "token123")).await;
    let _ = manager.push_to_user("user123", "Hello!".to_string()).await.unwrap();
    let _ = manager.broadcast("System announcement".to_string()).await.unwrap();
    let messages = pusher.get_messages("user123").await;
    let texts: Vec<_> = messages.iter().filter_map(|message| message.content.as_text()).collect();
    assert_eq!(texts, ["Hello!", "System announcement"]);
    pusher.clear_messages("user123").await;
    assert!(pusher.get_messages("user123").await.is_empty());
}

#[tokio::test]
async fn the_eleven_methods_take_the_seeds_argument_types() {
    let manager = OnlineManager::new();
    let pusher: Arc<InMemoryPusher> = Arc::default();
    manager.register_pusher(pusher.clone() as Arc<dyn MessagePusher>).await;
    manager.mark_online(session("a", "t1")).await;
    manager.mark_online(session("b", "t2")).await;
    let (text, login_id) = (String::from("text"), String::from("a"));
    assert!(manager.is_online("a").await && manager.is_online(&login_id).await);
    assert!(manager.is_online(login_id.clone()).await);
    assert_eq!(manager.get_online_count().await, 2);
    let mut users: Vec<String> = manager.get_online_users().await;
    users.sort();
    assert_eq!(users, ["a", "b"]);
    let report = manager.push_to_users(vec!["a".to_string(), "b".to_string()], text.clone()).await.unwrap();
    assert_eq!(report.pushers, 2);
    assert_eq!(manager.push_to_users(["a", "b"], "text").await.unwrap().pushers, 2);
    assert_eq!(manager.push_to_user(login_id.clone(), text.clone()).await.unwrap().pushers, 1);
    assert_eq!(manager.broadcast(text).await.unwrap().pushers, 2);
    assert!(manager.kick_out_notify("b", "Logged in elsewhere".to_string()).await.unwrap().is_complete());
    let kicked = pusher.get_messages("b").await.pop().unwrap();
    assert_eq!(
        (kicked.message_type, kicked.content.as_text()),
        (MessageType::KickOut, Some("Logged in elsewhere"))
    );
    manager.mark_offline("a", "t1").await;
    manager.mark_offline_all("a").await;
    assert_eq!(manager.get_online_count().await, 0);
}
