//! One connection from its first frame to its last, and what bounds it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use herenow::{
    Clock as _, FinishError, Finished, InvalidInput, PushError, Rendezvous, Target,
    auth::{Identity, Origins},
    testing::{self, Connect, assert_all_gone, until},
};
use http::header;

use super::{
    CONFIRMED, KEY, SCANNED, after, nobody_waits,
    page::{EXPIRED, Page, Seen, done, ended, guest, request, text},
    timed, with,
};
use crate::support::{millis, now, pass, secs};

#[tokio::test(start_paused = true)]
async fn a_page_hears_how_it_goes_and_then_the_last_word() {
    let (waiting, clock) = timed();
    let mut page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    assert_eq!(waiting.count().await, 1);
    assert_eq!(waiting.tell(KEY, SCANNED).await.unwrap().enqueued, 1);
    assert_eq!(page.sees().await, text(SCANNED));
    let told = waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap();
    assert_eq!((told, waiting.count().await), (Finished::Told(1), 0));
    assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_last_word_comes_before_it() {
    let (waiting, clock) = timed();
    let page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    for _ in 0..20 {
        let _ = waiting.tell(KEY, SCANNED).await.unwrap();
    }
    let _ = waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap();
    let mut expected = vec![text(SCANNED); 20];
    expected.extend([text(CONFIRMED), done()]);
    assert_eq!(page.sees_all().await, expected);
}

#[tokio::test(start_paused = true)]
async fn two_tabs_are_two_and_each_is_told_once() {
    let (waiting, clock) = timed();
    let until_then = after(&clock, 300);
    let pages = [Page::open(&waiting, KEY, until_then).await, Page::open(&waiting, KEY, until_then).await];
    let other = Page::open(&waiting, "another", until_then).await;
    until("all wait", async || waiting.count().await == 3).await;
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Told(2));
    for page in pages {
        assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
    }
    assert_eq!(waiting.count().await, 1);
    other.leave().await;
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_is_over_at_the_exact_deadline_for_every_tab_whenever_it_came() {
    let (waiting, clock) = timed();
    let (began, until_then) = (now(), after(&clock, 300));
    let mut pages = vec![Page::open(&waiting, KEY, until_then).await];
    pass(secs(211)).await;
    pages.push(Page::open(&waiting, KEY, until_then).await);
    for mut page in pages {
        assert_eq!(page.sees().await, text(EXPIRED));
        // The timer's wheel turns by the millisecond.
        assert!((secs(300)..secs(300) + millis(2)).contains(&(now() - began)), "{:?}", now() - began);
        assert_eq!(page.sees_all().await, [ended()]);
    }
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_page_is_told_at_its_end_is_the_applications() {
    let waiting = with(|builder| builder).on_expiry(r#"{"over":true}"#);
    let mut page = Page::open(&waiting, KEY, DateTime::<Utc>::UNIX_EPOCH).await;
    assert_eq!(page.sees().await, text(r#"{"over":true}"#));
}

#[tokio::test(start_paused = true)]
async fn a_reload_after_the_end_is_upgraded_and_told() {
    let (waiting, clock) = timed();
    let began = now();
    for until_then in [clock.utc(), clock.utc() - Duration::from_secs(3600)] {
        let page = Page::open(&waiting, KEY, until_then).await;
        assert_eq!(page.sees_all().await, [text(EXPIRED), ended()]);
    }
    assert!(now() - began < millis(10));
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_wins_no_time() {
    let (waiting, clock) = timed();
    let (began, until_then) = (now(), after(&clock, 100));
    for _ in 0..3 {
        let page = Page::open(&waiting, KEY, until_then).await;
        pass(secs(30)).await;
        page.leave().await;
    }
    let page = Page::open(&waiting, KEY, until_then).await;
    assert_eq!(page.sees_all().await, [text(EXPIRED), ended()]);
    assert!((now() - began).as_secs() == 100);
}

#[tokio::test(start_paused = true)]
async fn an_early_end_is_told_like_the_end_and_forgets_what_was_kept() {
    let (waiting, clock) = timed();
    let page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    assert_eq!(waiting.expire(KEY).await.unwrap(), 1);
    assert_eq!(page.sees_all().await, [text(EXPIRED), ended()]);
    assert_eq!(waiting.expire(KEY).await.unwrap(), 0);
    assert_eq!(waiting.finish("kept", CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
    assert_eq!(waiting.expire("kept").await.unwrap(), 0);
    let mut page = Page::open(&waiting, "kept", after(&clock, 30)).await;
    assert_eq!(page.sees().await, text(EXPIRED));
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn a_tab_that_is_closed_killed_or_cut_off_counts_no_more() {
    let (waiting, clock) = timed();
    let until_then = after(&clock, 300);
    let closed = Page::open(&waiting, KEY, until_then).await;
    let killed = Page::open(&waiting, KEY, until_then).await;
    let cut_off = Page::open(&waiting, KEY, until_then).await;
    until("all wait", async || waiting.count().await == 3).await;
    closed.leave().await;
    assert_eq!(waiting.count().await, 2);
    drop(killed);
    until("it is noticed", async || waiting.count().await == 1).await;
    cut_off.lose_network();
    pass(secs(39)).await;
    assert_eq!(waiting.count().await, 1);
    cut_off.server_is_done().await; // A ping after 30 s, 10 s for its answer, 2 s for the farewell.
    nobody_waits(&waiting).await;
    let _ = waiting.finish(KEY, CONFIRMED, clock.utc()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_applications_handler_leaves_nothing() {
    let (waiting, clock) = timed();
    let mut admission = guest(request(&[])).wait(&waiting, KEY, after(&clock, 300)).await.unwrap();
    let hooks = std::mem::take(admission.hooks_mut());
    *admission.hooks_mut() = hooks.on_connect(|_| async { panic!("a handler's own fault") });
    let (ours, theirs) = tokio::io::duplex(1024);
    let driver = tokio::spawn(admission.drive(herenow::Io::boxed(theirs), bytes::Bytes::new()));
    assert!(driver.await.is_err());
    drop(ours);
    nobody_waits(&waiting).await;
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
}

#[tokio::test(start_paused = true)]
async fn what_a_page_sends_is_dropped() {
    let (waiting, clock) = timed();
    let admission = guest(request(&[])).wait(&waiting, KEY, after(&clock, 300)).await.unwrap();
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let driver = tokio::spawn(admission.drive(herenow::Io::boxed(theirs), bytes::Bytes::new()));
    for _ in 0..50 {
        let hello = [0x81, 0x82, 0, 0, 0, 0, b'h', b'i'];
        tokio::io::AsyncWriteExt::write_all(&mut ours, &hello).await.unwrap();
    }
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    pass(secs(1)).await;
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Told(1));
    drop(ours);
    driver.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_tabs_of_a_key_an_address_and_all_together_are_bounded() {
    let waiting = Rendezvous::with(
        testing::builder().max_connections_per_user(2).max_connections_per_address(3).max_connections(4),
    )
    .unwrap();
    let (near, far) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:1".parse().unwrap());
    let mut pages = Vec::new();
    for key in ["a", "a", "b"] {
        pages.push(Page::from(&waiting, near, key).await.unwrap());
    }
    let refused = |page: Result<Page, herenow::http::Refusal>| page.err().unwrap().status().as_u16();
    assert_eq!(refused(Page::from(&waiting, far, "a").await), 429, "of the key");
    assert_eq!(refused(Page::from(&waiting, near, "c").await), 429, "of the address");
    pages.push(Page::from(&waiting, far, "c").await.unwrap());
    assert_eq!(refused(Page::from(&waiting, far, "d").await), 503, "of all");
    until("all wait", async || waiting.count().await == 4).await;
    for page in pages.drain(..) {
        page.leave().await;
    }
    pages.push(Page::from(&waiting, near, "a").await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn by_default_a_key_has_eight_tabs() {
    let waiting = Rendezvous::with(Rendezvous::builder().runtime(tokio::runtime::Handle::current())).unwrap();
    let mut pages = Vec::new();
    for _ in 0..8 {
        pages.push(Page::open(&waiting, KEY, DateTime::<Utc>::MAX_UTC).await);
    }
    let ninth = guest(request(&[])).wait(&waiting, KEY, DateTime::<Utc>::MAX_UTC).await;
    assert_eq!(ninth.unwrap_err().status(), 429);
    assert!(guest(request(&[])).wait(&waiting, "another", DateTime::<Utc>::MAX_UTC).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_checked_like_a_login_id() {
    let (waiting, clock) = timed();
    for key in ["", "a\u{0}b", "\u{202e}x", &"k".repeat(129)] {
        let refusal = guest(request(&[])).wait(&waiting, key, after(&clock, 60)).await.unwrap_err();
        assert_eq!(
            (refusal.status().as_u16(), refusal.message().starts_with("key ")),
            (400, true),
            "{refusal:?}"
        );
        assert_eq!(refusal.headers()["connection"], "close");
        let invalid = |error| {
            matches!(
                error,
                PushError::Invalid(
                    InvalidInput::Empty { .. } | InvalidInput::Control { .. } | InvalidInput::TooLong { .. }
                )
            )
        };
        assert!(invalid(waiting.tell(key, SCANNED).await.unwrap_err()));
        assert!(invalid(waiting.expire(key).await.unwrap_err()));
        let Err(FinishError::Message(error)) = waiting.finish(key, CONFIRMED, after(&clock, 60)).await else {
            panic!("{key:?} was taken")
        };
        assert!(invalid(error));
        assert!(!waiting.is_waiting(key).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_sent_is_an_error_before_anybody_hears_of_it() {
    let waiting = with(|builder| builder.max_push(10));
    let page = Page::open(&waiting, KEY, DateTime::<Utc>::MAX_UTC).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    let error = waiting.finish(KEY, "more than ten", DateTime::<Utc>::MAX_UTC).await.unwrap_err();
    assert_eq!(error, FinishError::Message(PushError::TooLarge { size: 13, limit: 10 }));
    assert!(waiting.is_waiting(KEY).await);
    page.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_of_another_origin_and_what_is_no_upgrade_are_refused() {
    let waiting = with(|builder| builder.origins(Origins::parse(["https://app.example"]).unwrap()));
    let status = async |more: &[_]| {
        let admission = guest(request(more)).wait(&waiting, KEY, DateTime::<Utc>::MAX_UTC).await;
        admission.map(|_| 101).unwrap_or_else(|refusal| refusal.status().as_u16())
    };
    assert_eq!(status(&[(header::ORIGIN, "https://app.example")]).await, 101);
    assert_eq!(status(&[]).await, 101, "programs send none");
    assert_eq!(status(&[(header::ORIGIN, "https://evil.example")]).await, 403);
    assert_eq!(status(&[(header::SEC_WEBSOCKET_VERSION, "12")]).await, 426);
    assert_eq!(status(&[(header::SEC_WEBSOCKET_PROTOCOL, "herenow.v1.json")]).await, 400);
    assert_eq!(status(&[(header::SEC_WEBSOCKET_PROTOCOL, "herenow.v1.raw")]).await, 101);
    assert_eq!(waiting.finish(KEY, CONFIRMED, DateTime::<Utc>::MAX_UTC).await.unwrap(), Finished::Kept);
    assert_eq!(status(&[(header::ORIGIN, "https://evil.example")]).await, 403);
    let mut page = Page::open(&waiting, KEY, DateTime::<Utc>::MAX_UTC).await;
    assert_eq!(page.sees().await, text(CONFIRMED), "a refused request takes no last word");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_no_online_user_of_the_application() {
    let online = testing::builder().build().unwrap();
    let (waiting, clock) = timed();
    let page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    assert!(!online.is_online(KEY).await && online.get_connection_count().await == 0);
    assert_eq!(online.push(Target::user(KEY), "x").await.unwrap().matched, 0);
    page.leave().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_drains_sends_pages_to_another_one_and_takes_no_new_ones() {
    let (waiting, clock) = timed();
    let page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    let report = waiting.shutdown(secs(5)).await;
    assert_eq!((report.connections, report.closed), (1, 1));
    assert_eq!(page.sees_all().await, [Seen::Closed(4302, "drain".to_owned())]);
    let refusal = guest(request(&[])).wait(&waiting, KEY, after(&clock, 300)).await.unwrap_err();
    assert_eq!(refusal.status(), 503);
    let error = waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap_err();
    assert_eq!(error, FinishError::Message(PushError::ShutDown));
}

#[tokio::test(start_paused = true)]
async fn a_guest_is_who_the_application_says_and_ends_with_its_identity() {
    let online = testing::builder().build().unwrap();
    let admission = guest(request(&[])).admit(&online, Identity::new("reader").device("link")).await.unwrap();
    assert_eq!(admission.identity().unwrap().user.login_id(), "reader");
    let (ours, theirs) = tokio::io::duplex(1024);
    let driver = tokio::spawn(admission.drive(herenow::Io::boxed(theirs), bytes::Bytes::new()));
    until("it is online", async || online.is_online("reader").await).await;
    drop(ours);
    driver.await.unwrap();
    let refusal = guest(request(&[])).admit(&online, Identity::new("")).await.unwrap_err();
    assert_eq!(refusal.status(), 400);
    let _ = online.kick_out("reader", herenow::KickOut::new().ban_for(secs(60))).await.unwrap();
    let refusal = guest(request(&[])).admit(&online, Identity::new("reader")).await.unwrap_err();
    assert_eq!(refusal.status(), 403);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn an_end_of_the_applications_own_has_no_grace_in_envelopes_either() {
    let clock = testing::ManualClock::new();
    let online = testing::builder().clock(clock.clone()).build().unwrap();
    let close = herenow::Close::app(4001, "trial_over").unwrap();
    let hooks = herenow::Hooks::default().at_expiry("Your trial is over", close);
    let began = now();
    let identity = Identity::new("u1").expires_at(after(&clock, 20));
    let mut client = Connect::new(&online).identity(identity.clone()).hooks(hooks.clone()).open().await;
    client.expect_type("authExpiring").await;
    assert_eq!(client.expect_push().await, "Your trial is over");
    assert_eq!((now() - began).as_secs(), 20);
    assert_eq!(client.expect_close().await, (4001, "trial_over".to_owned()));
    let late = Connect::new(&online).identity(identity).raw().hooks(hooks).start().await;
    let mut late = late.unwrap();
    assert_eq!(late.expect_text().await, "Your trial is over");
    assert_eq!(late.expect_close().await.0, 4001);
}

#[tokio::test(start_paused = true)]
async fn who_is_just_connecting_hears_what_is_told_meanwhile() {
    let (waiting, clock) = timed();
    let mut admission = guest(request(&[])).wait(&waiting, KEY, after(&clock, 300)).await.unwrap();
    let hooks = std::mem::take(admission.hooks_mut());
    *admission.hooks_mut() = hooks.on_connect(|connection| async move {
        let _ = connection.send("so far: nothing");
        pass(secs(1)).await;
        Ok(())
    });
    let mut page = Page::drive(admission);
    pass(millis(500)).await;
    assert_eq!(waiting.count().await, 0);
    waiting.tell(KEY, SCANNED).await.unwrap();
    assert_eq!(page.sees().await, text("so far: nothing"));
    assert_eq!(page.sees().await, text(SCANNED));
    page.leave().await;
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn a_page_may_have_a_handler_of_its_own_and_still_gets_the_word_that_was_kept() {
    let (waiting, clock) = timed();
    let kept = waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap();
    assert_eq!(kept, Finished::Kept);
    let mut admission = guest(request(&[])).wait(&waiting, KEY, after(&clock, 300)).await.unwrap();
    let hooks = std::mem::take(admission.hooks_mut());
    *admission.hooks_mut() = hooks.serve(|mut socket| async move { while socket.recv().await.is_some() {} });
    assert_eq!(Page::drive(admission).sees_all().await, [text(CONFIRMED), done()]);
    nobody_waits(&waiting).await;
}
