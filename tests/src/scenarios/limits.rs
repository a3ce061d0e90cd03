//! At most so many sessions of a user.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;

use crate::Server;

/// The oldest gives way.
pub const REPLACE: &[&str] = &["--grace-ms", "0", "--max-per-user", "1"];
/// The newest gives way.
pub const REFUSE: &[&str] = &["--grace-ms", "0", "--max-per-user", "1", "--on-limit", "refuse"];

const LOGINS: usize = 20;

/// 顶下线.
pub async fn the_oldest_session_gives_way_and_is_told(server: &Server) {
    let mut oldest = server.join_enveloped("alice").await;
    let mut newest = server.join("alice").await;
    let ending = oldest.expect_close(4409).await;
    let frame = ending.frame("kicked").expect("it says why");
    assert_eq!((&frame["reason"], &frame["reconnect"]), (&json!("replaced"), &json!(false)));
    server.expect_counts(1, 1).await;
    newest.expect_echo("the newest").await;
}

/// However many log in at once, one is left.
pub async fn of_many_logins_at_once_one_is_left(server: &Server) {
    let mut tokens = Vec::new();
    for _ in 0..LOGINS {
        tokens.push(server.login("alice").await);
    }
    let logins = tokens.iter().map(|token| async { server.raw().token(token).open().await.ending().await });
    let ended: Vec<_> = logins.collect::<FuturesUnordered<_>>().take(LOGINS - 1).collect().await;
    // Those that came and went are told so; the one that is left was dropped just now, and is the last.
    assert!(ended.iter().all(|ending| ending.code() == Some(4409)), "{ended:?}");
    server.expect_counts(0, 0).await;
}

/// The newest is refused, in the way it understands; a tab of the oldest is no session.
pub async fn the_newest_session_is_refused_and_a_tab_is_not(server: &Server) {
    let token = server.login("alice").await;
    let mut oldest = server.raw().token(&token).join().await;
    let other = server.login("alice").await;
    let refusal = server.raw().token(&other).send().await;
    assert_eq!((refusal.status, &refusal.json()["code"]), (429, &json!(429)));
    let mut visible = server.envelope().token(&other).open().await;
    visible.expect_json("error").await;
    visible.expect_close(4429).await;
    server.raw().token(&token).open().await.expect_echo("a tab").await;
    oldest.expect_echo("still here").await;
    oldest.close(1000).await;
    server.expect_counts(0, 0).await;
    server.raw().token(&other).open().await.expect_echo("there is room now").await;
}
