//! A last word and a connection on its way, in every order; here, and on two nodes.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use herenow::{
    Clock as _, FinishError, Finished, OnlineManager, Rendezvous,
    cluster::{LocalEngine, OnEngineDown},
    testing::{ManualClock, PATIENCE, until},
};
use tokio::sync::Barrier;

use super::{
    CONFIRMED, KEY, SCANNED, after, nobody_waits,
    page::{EXPIRED, Page, Seen, done, ended, guest, request, text},
    timed, with,
};
use crate::support::{millis, pass, secs};

const FOR_EVER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

#[tokio::test(start_paused = true)]
async fn a_last_word_that_finds_nobody_is_told_to_the_first_who_connects() {
    let (waiting, clock) = timed();
    let page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    page.leave().await;
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
    pass(secs(30)).await;
    let reloaded = Page::open(&waiting, KEY, after(&clock, 270)).await;
    assert_eq!(reloaded.sees_all().await, [text(CONFIRMED), done()]);
    let mut third = Page::open(&waiting, KEY, after(&clock, 100)).await;
    assert_eq!(third.sees().await, text(EXPIRED), "it is told once");
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn a_word_is_kept_until_its_time_is_over_and_no_longer() {
    let (waiting, clock) = timed();
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
    pass(secs(61)).await;
    let page = Page::open(&waiting, KEY, after(&clock, 30)).await;
    assert_eq!(page.sees_all().await, [text(EXPIRED), ended()]);
    assert_eq!(waiting.finish(KEY, CONFIRMED, clock.utc()).await.unwrap(), Finished::Nobody);
    let page = Page::open(&waiting, KEY, after(&clock, 30)).await;
    assert_eq!(page.sees_all().await, [text(EXPIRED), ended()]);
}

#[tokio::test(start_paused = true)]
async fn a_word_that_is_kept_goes_before_the_end_of_the_time() {
    let (waiting, clock) = timed();
    let until_then = after(&clock, 10);
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
    pass(secs(20)).await;
    let page = Page::open(&waiting, KEY, until_then).await;
    assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
}

#[tokio::test(start_paused = true)]
async fn a_second_last_word_tells_nobody_whatever_became_of_the_first() {
    let (waiting, clock) = timed();
    let keep_until = after(&clock, 60);
    let page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    assert_eq!(waiting.finish(KEY, CONFIRMED, keep_until).await.unwrap(), Finished::Told(1));
    assert_eq!(waiting.finish(KEY, "another", keep_until).await.unwrap(), Finished::Before);
    assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
    let mut late = Page::open(&waiting, KEY, after(&clock, 5)).await;
    assert_eq!(late.sees().await, text(EXPIRED));
    assert_eq!(waiting.finish("kept", CONFIRMED, keep_until).await.unwrap(), Finished::Kept);
    assert_eq!(waiting.finish("kept", "another", keep_until).await.unwrap(), Finished::Before);
    let page = Page::open(&waiting, "kept", after(&clock, 300)).await;
    assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
    pass(secs(61)).await;
    assert_eq!(waiting.finish(KEY, "a new session", after(&clock, 60)).await.unwrap(), Finished::Kept);
}

#[tokio::test(start_paused = true)]
async fn two_last_words_at_once_tell_each_page_one_of_them() {
    for kept in [0, 60] {
        let (waiting, clock) = timed();
        let pages = [
            Page::open(&waiting, KEY, after(&clock, 300)).await,
            Page::open(&waiting, KEY, after(&clock, 300)).await,
        ];
        until("both wait", async || waiting.count().await == 2).await;
        let keep_until = after(&clock, kept);
        let (one, two) =
            tokio::join!(waiting.finish(KEY, "one", keep_until), waiting.finish(KEY, "two", keep_until));
        let told = [one.unwrap(), two.unwrap()];
        assert!(told.contains(&Finished::Told(2)), "{told:?}");
        for page in pages {
            let seen = page.sees_all().await;
            assert!(seen == [text("one"), done()] || seen == [text("two"), done()], "{seen:?}");
        }
        let mut late = Page::open(&waiting, KEY, after(&clock, 5)).await;
        assert_eq!(late.sees().await, text(EXPIRED), "nothing is left of either");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_network_was_lost_hears_the_word_when_it_comes_back() {
    let (waiting, clock) = timed();
    let lost = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    lost.lose_network();
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Told(1));
    lost.server_is_done().await;
    let back = Page::open(&waiting, KEY, after(&clock, 300)).await;
    assert_eq!(back.sees_all().await, [text(CONFIRMED), done()]);
    nobody_waits(&waiting).await;
}

#[tokio::test(start_paused = true)]
async fn a_word_that_was_kept_and_taken_by_a_page_that_is_lost_is_kept_on() {
    let (waiting, clock) = timed();
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
    for _ in 0..3 {
        let lost = Page::open(&waiting, KEY, after(&clock, 300)).await;
        lost.lose_network();
        lost.server_is_done().await;
        pass(millis(10)).await;
    }
    let back = Page::open(&waiting, KEY, after(&clock, 300)).await;
    assert_eq!(back.sees_all().await, [text(CONFIRMED), done()]);
}

#[tokio::test(start_paused = true)]
async fn whoever_says_the_last_word_may_give_up_waiting_for_it() {
    let (waiting, clock) = timed();
    let page = Page::open(&waiting, KEY, after(&clock, 300)).await;
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    let said = waiting.finish(KEY, CONFIRMED, after(&clock, 60));
    assert!(futures_util::FutureExt::now_or_never(said).is_none(), "it was polled once, and dropped");
    assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
}

#[tokio::test(start_paused = true)]
async fn a_page_between_its_upgrade_and_its_first_frame_is_not_missed() {
    let (waiting, clock) = timed();
    let (arrived, go) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let mut admission = guest(request(&[])).wait(&waiting, KEY, after(&clock, 300)).await.unwrap();
    let (at, on) = (arrived.clone(), go.clone());
    let hooks = std::mem::take(admission.hooks_mut());
    *admission.hooks_mut() = hooks.on_connect(move |_| {
        let (at, on) = (at.clone(), on.clone());
        async move {
            at.wait().await;
            on.wait().await;
            Ok(())
        }
    });
    let mut page = Page::drive(admission);
    arrived.wait().await;
    assert!(!waiting.is_waiting(KEY).await, "not present yet");
    assert_eq!(waiting.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Told(1));
    assert_eq!(page.sees().await, text(CONFIRMED));
    go.wait().await;
    assert_eq!(page.sees_all().await, [done()]);
    nobody_waits(&waiting).await;
}

/// Every page hears the word exactly once, however the two meet.
async fn race(waiting: &Rendezvous, phone: &Rendezvous, rounds: usize) -> (usize, usize) {
    let (mut told, mut kept) = (0, 0);
    for round in 0..rounds {
        let key = format!("k{round}");
        let barrier = Arc::new(Barrier::new(2));
        let connecting = {
            let (waiting, key, barrier) = (waiting.clone(), key.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                Page::open(&waiting, &key, FOR_EVER).await.sees_all().await
            })
        };
        barrier.wait().await;
        for _ in 0..round % 7 {
            tokio::task::yield_now().await; // Meets every stage of the handshake in some round.
        }
        match phone.finish(&key, CONFIRMED, FOR_EVER).await.unwrap() {
            Finished::Told(1) => told += 1,
            Finished::Kept => kept += 1,
            other => panic!("round {round}: {other:?}"),
        }
        let seen = tokio::time::timeout(PATIENCE, connecting).await.expect("the page hears nothing");
        assert_eq!(seen.unwrap(), [text(CONFIRMED), done()], "round {round}");
        assert_eq!(phone.finish(&key, CONFIRMED, FOR_EVER).await.unwrap(), Finished::Before);
    }
    (told, kept)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_last_word_racing_a_connect_is_heard_exactly_once_in_1000_rounds() {
    let waiting = Rendezvous::new();
    let (told, kept) = race(&waiting, &waiting, 1000).await;
    println!("{told} were told, {kept} found it kept");
    assert!(told > 0 && kept > 0, "the race was none: {told} told, {kept} kept");
    nobody_waits(&waiting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_last_word_on_another_node_racing_a_connect_is_heard_exactly_once_in_1000_rounds() {
    let [here, there] = LocalEngine::joined().map(|engine| {
        let builder = OnlineManager::builder().engine(engine);
        Rendezvous::with(builder).unwrap()
    });
    let (told, kept) = race(&here, &there, 1000).await;
    println!("{told} were told, {kept} found it kept");
    assert!(told > 0 && kept > 0, "the race was none: {told} told, {kept} kept");
    nobody_waits(&here).await;
}

struct Nodes {
    nodes: [Rendezvous; 2],
    engines: [Arc<LocalEngine>; 2],
    clock: ManualClock,
}

fn two_nodes(set_up: impl Fn(herenow::Builder) -> herenow::Builder) -> Nodes {
    let clock = ManualClock::new();
    let engines = LocalEngine::with_clock::<2>(Arc::new(clock.clone())).map(Arc::new);
    let nodes = engines
        .each_ref()
        .map(|engine| with(|builder| set_up(builder.clock(clock.clone()).engine(engine.clone()))));
    Nodes { nodes, engines, clock }
}

#[tokio::test(start_paused = true)]
async fn the_phone_may_be_on_another_node_than_the_pages() {
    let Nodes { nodes: [here, there], clock, .. } = two_nodes(|builder| builder);
    let until_then = after(&clock, 300);
    let (mut near, mut far) =
        (Page::open(&here, KEY, until_then).await, Page::open(&there, KEY, until_then).await);
    until("both wait", async || here.count().await == 2).await;
    assert!(here.is_waiting(KEY).await && there.is_waiting(KEY).await);
    let report = here.tell(KEY, SCANNED).await.unwrap();
    assert_eq!((report.enqueued, report.remote.counts(secs(1)).await.unwrap().enqueued), (1, 1));
    assert_eq!((near.sees().await, far.sees().await), (text(SCANNED), text(SCANNED)));
    assert_eq!(here.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Told(2));
    for page in [near, far] {
        assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
    }
    nobody_waits(&here).await;
    nobody_waits(&there).await;
    assert_eq!(there.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Before);
    let mut late = Page::open(&there, KEY, after(&clock, 5)).await;
    assert_eq!(late.sees().await, text(EXPIRED));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_was_lost_on_another_node_has_told_nobody_either() {
    let Nodes { nodes: [here, there], clock, .. } = two_nodes(|builder| builder);
    let lost = Page::open(&there, KEY, after(&clock, 300)).await;
    until("it waits", async || here.is_waiting(KEY).await).await;
    lost.lose_network();
    assert_eq!(here.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Told(1));
    lost.server_is_done().await;
    let back = Page::open(&here, KEY, after(&clock, 300)).await;
    assert_eq!(back.sees_all().await, [text(CONFIRMED), done()]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_onto_another_node_finds_the_word() {
    let Nodes { nodes: [here, there], clock, .. } = two_nodes(|builder| builder);
    let page = Page::open(&here, KEY, after(&clock, 300)).await;
    until("it waits", async || there.is_waiting(KEY).await).await;
    page.leave().await;
    assert_eq!(here.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
    let page = Page::open(&there, KEY, after(&clock, 300)).await;
    assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
}

#[tokio::test(start_paused = true)]
async fn an_early_end_reaches_other_nodes() {
    let Nodes { nodes: [here, there], clock, .. } = two_nodes(|builder| builder);
    let page = Page::open(&there, KEY, after(&clock, 300)).await;
    until("it waits", async || here.is_waiting(KEY).await).await;
    assert_eq!(here.expire(KEY).await.unwrap(), 1);
    assert_eq!(page.sees_all().await, [text(EXPIRED), ended()]);
    nobody_waits(&there).await;
}

#[tokio::test(start_paused = true)]
async fn where_the_store_is_down_whoever_is_here_is_told_and_nobody_elses_word_is_promised() {
    let Nodes { nodes: [here, _there], engines, clock } = two_nodes(|builder| builder);
    engines[0].set_cut_off(true);
    let page = Page::open(&here, KEY, after(&clock, 300)).await;
    until("it waits", async || here.is_waiting(KEY).await).await;
    assert_eq!(here.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Told(1));
    assert_eq!(page.sees_all().await, [text(CONFIRMED), done()]);
    let error = here.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap_err();
    assert!(matches!(error, FinishError::NotKept(_)), "{error}");
    engines[0].set_cut_off(false);
    assert_eq!(here.finish(KEY, CONFIRMED, after(&clock, 60)).await.unwrap(), Finished::Kept);
}

#[tokio::test(start_paused = true)]
async fn where_logins_wait_for_the_store_a_page_that_may_have_missed_its_word_is_sent_away() {
    let strict = |builder: herenow::Builder| builder.on_engine_down(OnEngineDown::Refuse503);
    let Nodes { nodes: [here, _there], engines, clock } = two_nodes(strict);
    let until_then = after(&clock, 300);
    let admission = guest(request(&[])).wait(&here, KEY, until_then).await.unwrap();
    engines[0].set_cut_off(true);
    let (mut ours, theirs) = tokio::io::duplex(4096);
    admission.drive(herenow::Io::boxed(theirs), bytes::Bytes::new()).await;
    let mut seen = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut ours, &mut seen).await.unwrap();
    assert_eq!(seen[2..], *b"\x11\x97overloaded", "4503");
    let Err(refusal) = Page::start(&here, KEY, until_then, request(&[])).await else { panic!("let in") };
    assert_eq!(refusal.status(), 503);
    nobody_waits(&here).await;
}

#[test]
fn the_defaults_build_without_a_runtime() {
    let waiting = Rendezvous::new().on_expiry("over");
    assert!(format!("{waiting:?}").contains("Rendezvous"));
}

/// A page that goes away just as the last word is said, and comes back: what it finds.
async fn going(leaves: impl AsyncFnOnce(&Rendezvous, tokio::io::DuplexStream)) -> Vec<Seen> {
    let (waiting, clock) = timed();
    let until_then = after(&clock, 300);
    let admission = guest(request(&[])).wait(&waiting, KEY, until_then).await.unwrap();
    let (ours, theirs) = tokio::io::duplex(4096);
    let driver = tokio::spawn(admission.drive(herenow::Io::boxed(theirs), bytes::Bytes::new()));
    until("it waits", async || waiting.is_waiting(KEY).await).await;
    leaves(&waiting, ours).await;
    driver.await.unwrap();
    pass(secs(1)).await;
    Page::open(&waiting, KEY, until_then).await.sees_all().await
}

#[tokio::test(start_paused = true)]
async fn a_reload_whose_close_frame_crosses_the_last_word_finds_it_again() {
    let seen = going(async |waiting, mut ours| {
        let finish = tokio::spawn({
            let waiting = waiting.clone();
            async move { waiting.finish(KEY, CONFIRMED, FOR_EVER).await }
        });
        let close = [&[0x88, 0x82, 0, 0, 0, 0][..], &1001u16.to_be_bytes()].concat();
        tokio::io::AsyncWriteExt::write_all(&mut ours, &close).await.unwrap();
        let _ = finish.await.unwrap().unwrap();
    });
    assert_eq!(seen.await, [text(CONFIRMED), done()]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_killed_before_it_reads_the_last_word_finds_it_again() {
    let seen = going(async |waiting, ours| {
        let told = waiting.finish(KEY, CONFIRMED, FOR_EVER).await.unwrap();
        assert_eq!(told, Finished::Told(1));
        drop(ours);
    });
    assert_eq!(seen.await, [text(CONFIRMED), done()]);
}
