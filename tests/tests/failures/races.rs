//! Two nodes that do contrary things at once.

use std::cell::Cell;

use futures_util::future::join_all;
use herenow::Instant;
use herenow_conformance::{
    Server,
    client::{Client, Heard},
    eventually, now,
};
use serde_json::json;

use crate::site::{NO_GRACE, Site};

/// Who come anew as soon as they are kicked.
const COMERS: usize = 8;
const KICKS: usize = 100;
/// Who is let in one after the other, where one may be.
const ADMITTED: usize = 100;

/// Whatever had its token before a kick began is over when it is answered, on whichever node and however far it was.
#[tokio::test]
async fn no_connection_outlives_a_kick_of_another_node_that_began_after_its_login() {
    let site = Site::start(&[]).await;
    let [kicker, here, there] = [0, 1, 2].map(|place| site.nodes.at(place));
    // When each of those that are open had its token, and when the last kick began that was answered.
    let open: [Cell<Option<Instant>>; COMERS] = Default::default();
    let (kicked, over, ready) = (Cell::new(now()), Cell::new(false), Cell::new(0));
    let coming = async |node: &Server, open: &Cell<Option<Instant>>| {
        while !over.get() {
            let token = node.login("u1").await;
            let at = now();
            let Ok(mut client) = node.raw().token(&token).attempt().await else { continue };
            if at < kicked.get() {
                assert!(!is_open(&mut client).await, "it came too late");
                continue;
            }
            open.set(Some(at));
            client.expect_close(4423).await;
            open.set(None);
        }
        ready.set(ready.get() + 1);
    };
    let kick = async || {
        let begin = now();
        let report = kicker.admin("kick", json!({"loginId": "u1"})).await;
        assert_eq!((&report["deny"], &report["unreachable"]), (&json!("stored"), &json!(0)), "{report}");
        kicked.set(begin);
        let are_gone = || open.iter().all(|open| open.get().is_none_or(|at| at >= begin));
        eventually("those are gone who were there", async || are_gone()).await;
        report["matched"].as_u64().expect("a count")
    };
    let kicking = async {
        let mut matched = 0;
        for round in 0..KICKS {
            // The others are on their way, and each time somewhere else.
            let come = || open.iter().filter(|open| open.get().is_some()).count();
            eventually("so many are there", async || come() >= round % COMERS).await;
            matched += kick().await;
        }
        assert!(matched >= KICKS as u64, "somebody is there to be kicked: {matched}");
        over.set(true);
        eventually("nobody is on the way any more", async || {
            kick().await;
            ready.get() == COMERS
        })
        .await;
    };
    let comers = open.iter().enumerate().map(|(n, open)| coming([here, there][n % 2], open));
    tokio::join!(kicking, join_all(comers));
    site.nodes.all_count(0, 0).await;
    site.stop().await;
}

/// Whether a connection of raw mode still works.
async fn is_open(client: &mut Client) -> bool {
    client.text("echo:there").await;
    loop {
        match client.hear().await {
            Heard::Text(text) if text == "echo:there" => return true,
            Heard::Close(..) | Heard::End { .. } => return false,
            _ => {}
        }
    }
}

/// Six that come again and again, two to each node: who is let in is alone until it leaves.
#[tokio::test]
async fn never_are_two_let_in_where_one_may_be_however_hard_they_try() {
    let one = [&NO_GRACE[..], &["--max-per-user", "1", "--on-limit", "refuse"]].concat();
    let site = Site::with(&one, &[]).await;
    let (inside, admitted, tried) = (Cell::new(false), Cell::new(0), Cell::new(0));
    let trying = async |place: usize| {
        let node = site.nodes.at(place);
        let token = node.login("u1").await;
        while admitted.get() < ADMITTED {
            tried.set(tried.get() + 1);
            let mut client = node.envelope().token(&token).open().await;
            client.json(&json!({"type": "hello"})).await;
            if matches!(client.hear().await, Heard::Text(text) if text.contains(r#""type":"welcome""#)) {
                assert!(!inside.replace(true), "two are in");
                admitted.set(admitted.get() + 1);
                client.expect_silence().await;
                inside.set(false);
            }
            client.close(1000).await;
        }
    };
    join_all((0..6).map(|n| trying(n % 3))).await;
    assert!(tried.get() > admitted.get(), "some were refused");
    site.nodes.all_count(0, 0).await;
    site.stop().await;
}
