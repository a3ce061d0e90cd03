//! After a kick no socket of the token is open, none receives, and a reconnect is refused, however the two race.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Server,
    client::{Ending, Response},
    eventually, now,
};

/// An outbox that no scenario fills, so that a victim is slow but not overflowing.
pub const OPTIONS: &[&str] = &[
    "--grace-ms",
    "0",
    "--kick-deadline-ms",
    "1000",
    "--outbox-bytes",
    "67108864",
    "--outbox-messages",
    "100000",
];
const DEADLINE: Duration = Duration::from_secs(1);
/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(2);
const ROUNDS: usize = 1_000;
/// A user of each lane of rounds, all at the same time.
const LANES: usize = 4;

/// A connect with a token and a kick of it, or of its user, at the same time, a thousand times.
pub async fn a_kick_and_a_connect_that_race_leave_nothing_open(server: &Server) {
    let lanes = (0..LANES).map(|lane| race(server, lane));
    let refused: usize = futures_util::future::join_all(lanes).await.into_iter().sum();
    assert!(
        refused > 0 && refused < ROUNDS,
        "one side always won: {refused} connects of {ROUNDS} were refused"
    );
    server.expect_counts(0, 0).await;
}

/// The rounds of one lane; how many connects were refused before they were sockets.
async fn race(server: &Server, lane: usize) -> usize {
    let user = format!("user{lane}");
    let mut refused = 0;
    for round in 0..ROUNDS / LANES {
        let token = server.login(&user).await;
        let kick = if round % 2 == 0 { json!({"token": token}) } else { json!({"loginId": user}) };
        let connect = async {
            pause(round).await;
            let mut client = server.raw().token(&token).attempt().await?;
            Ok(client.ending().await)
        };
        let (came, report) = tokio::join!(connect, async {
            let report = server.admin("kick", kick).await;
            nothing_is_left(server, &user).await;
            report
        });
        assert_eq!((&report["deny"], &report["aborted"]), (&json!("stored"), &json!(0)), "{report}");
        refused += usize::from(came.is_err());
        was_not_fed(came);
        assert_eq!(server.raw().token(&token).send().await.status, 401, "a reconnect is refused");
    }
    refused
}

/// Shifts the connect against the kick, by less than either takes.
async fn pause(round: usize) {
    let turns = if round.is_multiple_of(3) { 40 * (round % 11) } else { round % 20 };
    for _ in 0..turns {
        tokio::task::yield_now().await;
    }
}

/// The kick has returned: nobody is listed, and no push finds anybody.
async fn nothing_is_left(server: &Server, user: &str) {
    let push = server.admin("push", json!({"loginId": user, "content": "too late"})).await;
    assert_eq!(push["matched"], 0, "a push found a kicked connection: {push}");
    let seen = server.user(user).await;
    assert_eq!((&seen["online"], &seen["sessions"]), (&json!(false), &json!([])));
}

/// What the client saw: a refusal, or a socket that ended with the kick and nothing else.
fn was_not_fed(came: Result<Ending, Response>) {
    match came {
        Err(refusal) => assert_eq!(refusal.status, 401),
        Ok(ending) => {
            assert_eq!(ending.code(), Some(4423), "{ending:?}");
            assert!(!ending.texts.iter().any(|text| text == "too late"), "fed after the kick: {ending:?}");
        }
    }
}

/// It reads nothing while megabytes wait for it: the kick cuts it, and delays nobody else's.
pub async fn a_victim_that_does_not_read_is_cut_at_the_deadline(server: &Server) {
    let token = server.login("victim").await;
    let mut victim = server.raw().small_window().token(&token).join().await;
    let mut other = server.join("other").await;
    stall(server, "victim").await;
    let start = now();
    let kicks = async {
        let kick = json!({"loginId": "other", "reason": "x"});
        let (report, _) = tokio::join!(server.admin("kick", kick), other.expect_close(4423));
        assert_eq!((&report["closed"], &report["aborted"]), (&json!(1), &json!(0)), "{report}");
        assert!(start.elapsed() < DEADLINE, "another's kick waited for the victim: {:?}", start.elapsed());
    };
    let (report, ()) = tokio::join!(server.admin("kick", json!({"token": token, "reason": "x"})), kicks);
    let took = start.elapsed();
    let cut = if server.keeps_sockets() { "lingering" } else { "aborted" };
    assert_eq!((&report["matched"], &report[cut]), (&json!(1), &json!(1)), "{report}");
    assert!(took < DEADLINE + SLACK, "the kick took {took:?}");
    server.expect_counts(0, 0).await;
    let ending = victim.ending().await;
    assert!(ending.close.is_none(), "what it was cut off from never arrived: {:?}", ending.close);
    assert_eq!(ending.reset, !server.keeps_sockets(), "whether what waited in the kernel is still delivered");
    assert!(start.elapsed() < Duration::from_secs(5), "its socket lived on for {:?}", start.elapsed());
}

/// Pushes until something waits in the user's outbox.
async fn stall(server: &Server, user: &str) {
    let content = "x".repeat(1_000_000);
    for _ in 0..16 {
        let report = server.admin("push", json!({"loginId": user, "content": content})).await;
        assert_eq!(report["enqueued"], 1, "{report}");
    }
}

/// One token of two.
pub async fn a_kick_by_token_leaves_the_other_sessions(server: &Server) {
    let (one, other) = (server.login("alice").await, server.login("alice").await);
    let mut kicked = server.raw().token(&one).join().await;
    let mut tab = server.raw().token(&one).join().await;
    let mut stays = server.raw().token(&other).join().await;
    let (report, ..) = tokio::join!(
        server.admin("kick", json!({"token": one, "reason": "x"})),
        kicked.expect_close(4423),
        tab.expect_close(4423),
    );
    assert_eq!((&report["matched"], &report["closed"]), (&json!(2), &json!(2)));
    stays.expect_echo("not meant").await;
    assert_eq!(server.raw().token(&one).send().await.status, 401);
    server.raw().token(&other).open().await.expect_echo("still good").await;
}

/// One connection of a token's two; the token goes with it.
pub async fn a_kick_by_connection_ends_that_one(server: &Server) {
    let token = server.login("alice").await;
    let mut kicked = server.envelope().token(&token).open().await;
    let welcome = kicked.hello(json!({})).await;
    let kick = json!({"connection": welcome["connection"], "reason": "x"});
    let (report, _) = tokio::join!(server.admin("kick", kick), kicked.expect_close(4423));
    assert_eq!(report["matched"], 1);
    server.expect_counts(0, 0).await;
    assert_eq!(server.raw().token(&token).send().await.status, 401);
}

/// A kick is no ban.
pub async fn a_fresh_login_after_a_kick_is_welcome_and_an_old_token_is_not(server: &Server) {
    let unused = server.login("alice").await;
    server.admin("kick", json!({"loginId": "alice", "reason": "x"})).await;
    assert_eq!(server.raw().token(&unused).send().await.status, 401, "issued before the kick");
    let mut client = server.join("alice").await;
    client.expect_echo("a fresh login").await;
    // The same answer as for a token that nobody knows: nobody learns which it was.
    let unknown = server.raw().token("unknown").send().await;
    assert_eq!(server.raw().token(&unused).send().await.body, unknown.body);
}

/// A ban refuses every token, until it ends.
pub async fn a_ban_refuses_fresh_logins_until_it_ends(server: &Server) {
    let mut client = server.join("alice").await;
    let ban = json!({"loginId": "alice", "reason": "spam", "banSeconds": 1.5});
    let (_, ending) = tokio::join!(server.admin("kick", ban), client.expect_close(4425));
    assert_eq!(ending.frame("kicked").expect("the reason")["message"], "spam");
    let token = server.login("alice").await;
    assert_eq!(server.raw().token(&token).send().await.status, 403);
    assert_eq!(server.request("GET", "/me").token(&token).send().await.status, 403);
    let visible: Ending = server.envelope().token(&token).open().await.expect_close(4425).await;
    assert!(visible.frame("error").is_some());
    eventually("the ban ends", async || server.raw().token(&token).attempt().await.is_ok()).await;
}

/// A kick reaches who has not said `hello` yet.
pub async fn a_token_that_was_kicked_before_hello_is_not_welcomed(server: &Server) {
    let token = server.login("alice").await;
    let mut client = server.envelope().token(&token).open().await;
    server.admin("kick", json!({"token": token, "reason": "x"})).await;
    client.json(&json!({"type": "hello"})).await;
    let ending = client.ending().await;
    assert!(ending.frame("welcome").is_none(), "{ending:?}");
    assert!([Some(4423), Some(4401)].contains(&ending.code()), "{ending:?}");
    server.expect_counts(0, 0).await;
}

/// A kick of nobody is complete.
pub async fn a_kick_of_nobody_says_so(server: &Server) {
    let report: Value = server.admin("kick", json!({"loginId": "nobody", "reason": "x"})).await;
    assert_eq!((&report["matched"], &report["unreachable"]), (&json!(0), &json!(0)));
    assert_eq!(server.try_admin("kick", &json!({"reason": "whom?"})).await.status, 400);
    let without_key = server.request("POST", "/admin/kick").body(&json!({"loginId": "a"})).send().await;
    assert_eq!(without_key.status, 403);
}
