//! Kick-out: who is hit, how soon, what the report says, and who may come back.

use chrono::TimeDelta;
use herenow::{
    Cause, Clock, Close, Deny, EventKind, Hooks, KickError, KickOut, OnlineManager, Revoke, Target,
    auth::{AuthError, Authenticator, Credential, Identity, MemoryTokens, OpaqueTokens, TokenId},
    http::RequestInfo,
    testing::{Connect, TestClient, assert_all_gone, connect},
};
use std::sync::Arc;

use crate::support::{event, heard, millis, now, online, pass, secs, session, timed, with};

/// How an upgrade that is refused afterwards was told why.
async fn refused(connect: Connect) -> u16 {
    let mut client = connect.start().await.expect("a refusal that a browser sees");
    assert!(!client.is_present().await);
    client.expect_close().await.0
}

fn user(online: &OnlineManager, token: &str, device: &str) -> Connect {
    Connect::new(online).user("u1").token(token).device(device)
}

#[tokio::test(start_paused = true)]
async fn a_kick_tells_why_closes_and_reports() {
    let online = online();
    let mut events = online.events();
    let (mut envelope, mut raw) =
        (connect(&online, "u1").await, user(&online, "t2", "web").raw().open().await);
    online.mark_online(session("u1", "t3")).await;
    let report = online.kick_out_notify("u1", "Bye 再见").await.unwrap();
    assert!(report.is_complete());
    assert_eq!((report.matched, report.closed, report.aborted, report.nodes), (3, 3, 0, 0));
    assert_eq!((report.deny, report.revoke), (Deny::Stored, Revoke::Done));
    for client in [&mut envelope, &mut raw] {
        let kicked = client.expect_type("kicked").await;
        assert_eq!((&kicked["code"], &kicked["reason"]), (&4423.into(), &"kicked".into()));
        assert_eq!((&kicked["message"], &kicked["reconnect"]), (&"Bye 再见".into(), &false.into()));
        assert_eq!(client.expect_close().await, (4423, "kicked".to_owned()));
    }
    assert!(!online.is_online("u1").await);
    let heard = heard(&mut events);
    assert_eq!(heard[1], event(EventKind::Kicked, "u1", Cause::Kicked));
    assert_eq!(heard[2..], [event(EventKind::Offline, "u1", Cause::Kicked)]);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_kick_of_nobody_is_complete_and_of_everybody_refused() {
    let online = online();
    let report = online.kick_out("nobody", "").await.unwrap();
    assert!(report.is_complete() && report.matched == 0);
    for target in [Target::everyone(), Target::all_accounts(), Target::account("a")] {
        assert!(matches!(online.kick_out(target, "").await, Err(KickError::BadTarget(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn the_kicked_token_is_refused_and_a_fresh_login_accepted() {
    let (online, clock) = timed(|builder| builder);
    let login = |token: &str| {
        let identity = Identity::new("u1").token_id(TokenId::of(token)).issued_at(clock.utc());
        Connect::new(&online).identity(identity)
    };
    let (unused, _phone) = (login("unused"), login("t1").open().await);
    let stale = login("t1");
    pass(secs(1)).await;
    assert!(online.kick_out("u1", "").await.unwrap().is_complete());
    assert_eq!(refused(stale).await, 4401);
    assert_eq!(refused(unused).await, 4401);
    assert_eq!(Connect::new(&online).user("u1").token("t1").raw().start().await.unwrap_err().status(), 401);
    pass(secs(1)).await;
    let fresh = login("t2").open().await;
    assert!(online.is_online("u1").await);
    assert!(matches!(online.mark_online(session("u1", "t1")).await, herenow::Marked::Refused(_)));
    drop(fresh);
}

#[tokio::test(start_paused = true)]
async fn a_deny_entry_lasts_as_long_as_its_token_could() {
    let (online, clock) = timed(|builder| builder.deny_ttl(secs(3600)));
    let identity =
        Identity::new("u1").token_id(TokenId::of("t")).expires_at(clock.utc() + TimeDelta::hours(5));
    let phone = Connect::new(&online).identity(identity.clone()).open().await;
    assert!(online.kick_out(Target::token("t"), "").await.unwrap().is_complete());
    phone.server_is_done().await;
    pass(secs(4 * 3600)).await;
    assert_eq!(refused(Connect::new(&online).identity(identity)).await, 4401);
    let _endless = Connect::new(&online).user("u2").open().await;
    assert!(online.kick_out("u2", "").await.unwrap().is_complete());
    pass(secs(3599)).await;
    assert_eq!(refused(Connect::new(&online).user("u2")).await, 4401);
    pass(secs(2)).await;
    let _back = connect(&online, "u2").await;
}

#[tokio::test(start_paused = true)]
async fn a_ban_holds_for_every_token_until_its_end() {
    let online = online();
    let mut phone = connect(&online, "u1").await;
    let report = online.kick_out("u1", KickOut::because("Frozen").ban_for(secs(600))).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(phone.expect_close().await, (4425, "banned".to_owned()));
    pass(secs(599)).await;
    assert_eq!(refused(user(&online, "fresh", "web")).await, 4425);
    assert_eq!(user(&online, "fresh", "web").raw().start().await.unwrap_err().status(), 403);
    pass(secs(2)).await;
    let _back = user(&online, "fresh", "web").open().await;
    let _ = online.kick_out("u1", KickOut::new().ban_for(secs(600))).await.unwrap();
    online.lift_ban("u1").await.unwrap();
    pass(millis(1)).await;
    let _back = user(&online, "fresher", "web").open().await;
}

#[tokio::test(start_paused = true)]
async fn a_kick_of_a_device_leaves_the_others_alone() {
    let online = online();
    let (mut phone, mut laptop) =
        (user(&online, "t1", "ios").open().await, user(&online, "t2", "web").open().await);
    assert_eq!(online.kick_out(Target::device("u1", "ios"), "").await.unwrap().matched, 1);
    assert_eq!(phone.expect_close().await.0, 4423);
    laptop.expect_nothing(secs(1)).await;
    assert_eq!(refused(user(&online, "t1", "ios")).await, 4401);
    let ban = KickOut::new().ban_for(secs(60));
    assert_eq!(online.kick_out(Target::device("u1", "ios"), ban).await.unwrap().matched, 0);
    assert_eq!(refused(user(&online, "t3", "ios")).await, 4425);
    assert!(online.is_online("u1").await);
}

#[tokio::test(start_paused = true)]
async fn kicks_hit_one_token_one_connection_or_all_others() {
    let online = online();
    let tabs = [user(&online, "t1", "web").open().await, user(&online, "t1", "web").open().await];
    let mut others = [user(&online, "t2", "ios").open().await, user(&online, "t3", "tv").open().await];
    let me = others[0].connection().id();
    assert_eq!(online.kick_out(Target::token("t1"), "").await.unwrap().matched, 2);
    for mut tab in tabs {
        assert_eq!(tab.expect_close().await.0, 4423);
    }
    assert_eq!(online.kick_out(Target::user("u1").except_connection(me), "").await.unwrap().matched, 1);
    assert_eq!(others[1].expect_close().await.0, 4423);
    others[0].expect_nothing(secs(1)).await;
    assert_eq!(refused(user(&online, "t3", "tv")).await, 4401);
    let spared = user(&online, "t2", "ios").open().await;
    assert_eq!(online.kick_out(Target::connection(me), "").await.unwrap().matched, 1);
    assert_eq!(others[0].expect_close().await.0, 4423);
    assert!(online.is_online("u1").await);
    drop(spared);
}

#[tokio::test(start_paused = true)]
async fn a_kick_may_close_with_a_code_of_the_applications_own() {
    let online = online();
    let mut phone = connect(&online, "u1").await;
    let kick = KickOut::because("Moved").close(Close::app(4050, "moved").unwrap());
    assert!(online.kick_out("u1", kick).await.unwrap().is_complete());
    assert_eq!(phone.expect_type("kicked").await["code"], 4050);
    assert_eq!(phone.expect_close().await, (4050, "moved".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_victim_that_does_not_read_is_cut_at_the_deadline_and_delays_nobody() {
    let online = online();
    let deaf = user(&online, "t1", "web").raw().pipe(16).open().await;
    deaf.stop_reading();
    let mut polite = user(&online, "t2", "web").open().await;
    for n in 0..10 {
        let _ = online.push(Target::token("t1"), format!("filling {n}")).await.unwrap();
    }
    let began = now();
    let kick = tokio::spawn({
        let online = online.clone();
        async move { online.kick_out("u1", "").await }
    });
    assert_eq!(polite.expect_close().await.0, 4423);
    assert!(now() - began < millis(10));
    assert_eq!(online.push_to_user("u1", "late").await.unwrap().matched, 0);
    assert!(!online.is_online("u1").await);
    let report = kick.await.unwrap().unwrap();
    assert_eq!((report.matched, report.closed, report.aborted, report.lingering), (2, 1, 1, 0));
    assert!(report.is_complete());
    assert_eq!(now() - began, secs(2));
    deaf.server_is_done().await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_kick_overtakes_what_waits() {
    let online = online();
    let mut slow = user(&online, "t1", "web").raw().pipe(300).open().await;
    slow.stop_reading();
    for n in 0..100 {
        let _ = online.push_to_user("u1", format!("{n:098}")).await.unwrap();
    }
    let kick = online.kick_out("u1", "");
    let (report, ()) = tokio::join!(kick, async { slow.read_on() });
    assert!(report.unwrap().is_complete());
    let mut pushes = 0;
    while let Some(herenow::testing::Frame::Text(text)) = slow.recv().await {
        pushes += usize::from(!text.contains("kicked"));
    }
    assert!(pushes <= 4, "{pushes}");
}

#[tokio::test(start_paused = true)]
async fn a_pending_connection_is_found_by_a_kick() {
    let online = online();
    let hooks = Hooks::default().on_connect(async |_| std::future::pending().await);
    let mut pending = user(&online, "t1", "web").hooks(hooks).start().await.unwrap();
    pass(millis(10)).await;
    assert!(!online.is_online("u1").await);
    assert_eq!(online.push_to_user("u1", "early").await.unwrap().matched, 0);
    let report = online.kick_out(Target::token("t1"), "").await.unwrap();
    assert_eq!((report.matched, report.closed), (1, 1));
    assert_eq!(pending.expect_type("kicked").await["code"], 4423);
    assert_eq!(pending.expect_close().await.0, 4423);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_kick_revokes_the_token_where_it_is_kept() {
    let tokens = MemoryTokens::new();
    let online = with(|builder| builder.authenticator(OpaqueTokens::new(tokens.clone())));
    let token = tokens.issue(Identity::new("u1"), None);
    let _phone = Connect::new(&online).bearer(token.expose()).open().await;
    assert_eq!(online.kick_out("u1", "").await.unwrap().revoke, Revoke::Done);
    assert!(!tokens.revoke(&token));
}

/// Takes everybody at their word, and never answers when asked to revoke; or fails.
struct Stubborn(bool);

#[async_trait::async_trait]
impl Authenticator for Stubborn {
    async fn authenticate(&self, credential: Credential, _: &RequestInfo) -> Result<Identity, AuthError> {
        Ok(Identity::new(credential.token.expose()))
    }

    async fn revoke(&self, _: &Identity) -> Result<(), AuthError> {
        if self.0 { Err(AuthError::Unavailable("down".into())) } else { std::future::pending().await }
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_fails_or_hangs_shows_in_the_report_and_delays_no_close() {
    for (fails, expected) in [(true, Revoke::Failed), (false, Revoke::TimedOut)] {
        let online = with(|builder| builder.authenticator(Stubborn(fails)));
        let mut phone = Connect::new(&online).bearer("u1").open().await;
        let (report, closed_after) = tokio::join!(online.kick_out("u1", ""), async {
            let began = now();
            phone.expect_close().await;
            now() - began
        });
        let report = report.unwrap();
        assert_eq!((report.revoke, report.closed, report.is_complete()), (expected, 1, false));
        assert!(closed_after < millis(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_table_of_deny_entries_says_so() {
    let online = with(|builder| builder.deny_entries(1));
    let _phone: TestClient = connect(&online, "u1").await;
    let report = online.kick_out("u1", "").await.unwrap();
    assert_eq!((report.deny, report.closed, report.is_complete()), (Deny::Failed, 1, false));
}

#[tokio::test(start_paused = true)]
async fn a_kick_within_the_grace_period_ends_it() {
    let online = online();
    connect(&online, "u1").await.vanish().await;
    assert!(online.is_online("u1").await);
    let _ = online.kick_out("u1", "").await.unwrap();
    assert!(!online.is_online("u1").await);
}

#[tokio::test(start_paused = true)]
async fn the_clients_disconnect_hook_runs_once_with_the_kicks_code() {
    let (tell, mut hear) = tokio::sync::mpsc::unbounded_channel();
    let tell = Arc::new(tell);
    let hooks = Hooks::default().on_disconnect(move |connection, ended| {
        let (tell, here) = (tell.clone(), connection.manager());
        async move {
            tell.send((ended.code, ended.cause, here.is_online("u1").await)).unwrap();
        }
    });
    let online = online();
    let _phone = Connect::new(&online).user("u1").hooks(hooks).open().await;
    let _ = online.kick_out("u1", "").await.unwrap();
    assert_eq!(hear.recv().await, Some((4423, Cause::Kicked, false)));
    assert_eq!(hear.recv().await, None);
}
