//! Server-sent events: a connection like any other that says nothing.

use std::pin::pin;

use futures_util::{FutureExt as _, StreamExt as _};
use herenow::{
    Clock as _, KickOut, OnlineManager, Outgoing, Target,
    auth::{AuthError, Credential, Identity, Sources},
    http::{Api, Body, RequestInfo, Route, Visit},
};
use http::{Extensions, HeaderMap, HeaderValue, Method, Response, Uri};

use crate::support::{millis, online, pass, secs, timed, with};

/// An `EventSource` that is open.
struct Listener(Outgoing);

impl Listener {
    /// What has come by now, without the welcome's changing parts.
    async fn heard(&mut self) -> String {
        pass(millis(1)).await;
        let mut heard = Vec::new();
        while let Some(Some(Ok(bytes))) = self.0.next().now_or_never() {
            heard.extend(bytes);
        }
        String::from_utf8(heard).unwrap()
    }

    async fn is_over(&mut self) -> bool {
        pass(millis(1)).await;
        matches!(pin!(self.0.next()).now_or_never(), Some(None))
    }
}

async fn ask(
    online: &OnlineManager,
    who: Option<Identity>,
    method: Method,
    headers: &[(&'static str, &str)],
) -> Response<Body> {
    let uri = Uri::from_static("/presence/events");
    let mut map = HeaderMap::new();
    for &(name, value) in headers.iter().chain(&[("host", "app.example")]) {
        map.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let mut extensions = Extensions::new();
    if let Some(who) = who {
        extensions.insert(std::sync::Arc::new(who));
    }
    let visit = Visit::look(online, RequestInfo::new(method, &uri, map), &uri, &extensions).await;
    Api::new().handle(&visit, Route::Events, "/presence/events", b"").await
}

async fn listen_as(online: &OnlineManager, who: Identity) -> Listener {
    match ask(online, Some(who), Method::GET, &[]).await.into_body() {
        Body::Events(events) => Listener(events),
        Body::Whole(body) => panic!("{body:?}"),
    }
}

async fn listen(online: &OnlineManager) -> Listener {
    let mut listener = listen_as(online, Identity::new("alice")).await;
    let welcome = listener.heard().await;
    assert!(welcome.starts_with("id: 0.") && welcome.contains("\ndata: {\"type\":\"welcome\""), "{welcome}");
    assert!(welcome.ends_with("}\n\n") && welcome.matches("data:").count() == 1, "{welcome}");
    listener
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_online_hears_pushes_in_order_and_leaves_with_its_body() {
    let online = online();
    let mut listener = listen(&online).await;
    assert!(online.is_online("alice").await);
    for n in 0..3 {
        assert_eq!(online.push_to_user("alice", n.to_string()).await.unwrap().enqueued, 1);
    }
    let heard = listener.heard().await;
    let found: Vec<_> =
        heard.split("\n\n").filter(|event| event.contains("\ndata: {\"type\":\"push\"")).collect();
    assert_eq!(found.len(), 3, "{heard}");
    for (n, event) in found.iter().enumerate() {
        assert!(event.contains(&format!("\"data\":\"{n}\"")), "{event}");
    }
    drop(listener);
    pass(millis(1)).await;
    assert_eq!(online.get_connection_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_is_neither_asked_to_acknowledge_nor_waited_for() {
    let online = online();
    let mut listener = listen(&online).await;
    let asked = online.push_with_ack("alice", "important", secs(5));
    let report = tokio::time::timeout(millis(1), asked).await.expect("nobody is waited for").unwrap();
    assert_eq!((report.push.enqueued, report.acked.len(), report.missing.len()), (1, 0, 0), "{report:?}");
    assert!(listener.heard().await.contains("important"));
}

/// The last id of what was heard: what a browser sends when it comes back.
fn last_id(heard: &str) -> String {
    let mut ids = heard.lines().rev().filter_map(|line| line.strip_prefix("id: "));
    ids.next().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_comes_back_hears_what_it_missed_once() {
    let online = online();
    let mut listener = listen_as(&online, Identity::new("alice")).await;
    let mut id = last_id(&listener.heard().await);
    for round in 0..3 {
        online.push_to_user("alice", "heard").await.unwrap();
        let heard = listener.heard().await;
        assert_eq!(heard.matches("\"heard\"").count(), 1, "round {round}: {heard}");
        id = last_id(&heard);
        drop(listener);
        pass(secs(1)).await;
        for text in ["missed", "missed too"] {
            assert_eq!(online.push_to_user("alice", text).await.unwrap().held, 1);
        }
        let back = ask(&online, Some(Identity::new("alice")), Method::GET, &[("last-event-id", &id)]).await;
        listener = match back.into_body() {
            Body::Events(events) => Listener(events),
            Body::Whole(body) => panic!("{body:?}"),
        };
        let heard = listener.heard().await;
        assert!(heard.contains("\"resumed\":true"), "{heard}");
        assert_eq!(
            (heard.matches("\"missed\"").count(), heard.matches("\"missed too\"").count()),
            (1, 1),
            "{heard}"
        );
        id = last_id(&heard);
    }
    assert!(id.starts_with("9."), "three pushes in each of three rounds: {id}");
    assert_eq!(online.get_connection_count().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_was_left_open_gives_way_to_its_own_return() {
    let online = online();
    let mut old = listen_as(&online, Identity::new("alice")).await;
    let id = last_id(&old.heard().await);
    let back = ask(&online, Some(Identity::new("alice")), Method::GET, &[("last-event-id", &id)]).await;
    let Body::Events(events) = back.into_body() else { panic!("no stream") };
    let mut new = Listener(events);
    assert!(new.heard().await.contains("\"resumed\":true"));
    assert!(old.is_over().await);
    drop(old);
    online.push_to_user("alice", "still here").await.unwrap();
    assert!(new.heard().await.contains("still here"));
    assert_eq!(online.get_connection_count().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_says_nothing_stays_and_is_pinged() {
    let online = online();
    let mut listener = listen(&online).await;
    for _ in 0..20 {
        pass(secs(30)).await;
        assert_eq!(listener.heard().await, "data: {\"type\":\"ping\"}\n\n");
    }
    assert!(online.is_online("alice").await);
}

#[tokio::test(start_paused = true)]
async fn a_kick_is_the_last_event_and_tells_the_browser_to_stay_away() {
    let online = online();
    let mut listener = listen(&online).await;
    let kick = tokio::spawn({
        let online = online.clone();
        async move { online.kick_out(Target::user("alice"), KickOut::because("Go")).await.unwrap() }
    });
    let heard = listener.heard().await;
    assert!(heard.contains("\"type\":\"kicked\"") && heard.ends_with("\n\nid: stop\n\n"), "{heard}");
    assert!(listener.is_over().await);
    drop(listener);
    let report = kick.await.unwrap();
    assert_eq!((report.matched, report.closed, report.lingering), (1, 1, 0));
    let back = ask(&online, Some(Identity::new("alice")), Method::GET, &[("last-event-id", "stop")]).await;
    assert_eq!(back.status(), 204);
    assert_eq!(online.get_connection_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_victim_whose_server_takes_nothing_is_out_at_once_and_reported_as_lingering() {
    let online = online();
    let mut listener = listen(&online).await;
    let kick = online.kick_out(Target::user("alice"), KickOut::new());
    let report = kick.await.unwrap();
    assert_eq!((report.matched, report.closed, report.aborted, report.lingering), (1, 0, 0, 1));
    assert!(!report.is_complete());
    assert!(listener.is_over().await, "what waited is not handed over any more");
    assert_eq!(online.push_to_user("alice", "late".to_owned()).await.unwrap().matched, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_token() {
    let (online, clock) = timed(|builder| builder);
    let soon = clock.utc() + chrono::TimeDelta::seconds(5);
    let mut listener = listen_as(&online, Identity::new("alice").expires_at(soon)).await;
    listener.heard().await;
    pass(secs(6)).await;
    let heard = listener.heard().await;
    assert!(heard.contains("\"type\":\"goodbye\"") && heard.contains("4301"), "{heard}");
    assert!(!heard.contains("id:") && listener.is_over().await, "fetching a token makes sense: {heard}");
}

#[tokio::test(start_paused = true)]
async fn a_drain_says_when_to_come_back() {
    let online = online();
    let mut listener = listen(&online).await;
    let drain = tokio::spawn({
        let online = online.clone();
        async move { online.shutdown(secs(1)).await }
    });
    let heard = listener.heard().await;
    assert!(heard.starts_with("retry: ") && heard.contains("\"type\":\"goodbye\""), "{heard}");
    assert!(listener.is_over().await);
    drop(listener);
    assert_eq!(drain.await.unwrap().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_nobody_or_comes_from_another_page_is_refused() {
    let online = online();
    let status = async |who, headers| ask(&online, who, Method::GET, headers).await.status().as_u16();
    assert_eq!(status(None, &[]).await, 401);
    let alice = || Some(Identity::new("alice"));
    assert_eq!(status(alice(), &[("origin", "https://evil.example")]).await, 403);
    assert_eq!(ask(&online, None, Method::HEAD, &[]).await.status(), 401);
    let head = ask(&online, alice(), Method::HEAD, &[]).await;
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-type"].to_str().unwrap()),
        (200, "text/event-stream")
    );
    pass(millis(1)).await;
    assert_eq!(online.get_connection_count().await, 0);
}

/// A `GET` without Origin, as every page can make a browser send it.
#[tokio::test(start_paused = true)]
async fn an_image_of_another_site_opens_no_stream() {
    let image =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("accept", "image/avif,*/*")];
    let by_layer = ask(&online(), Some(Identity::new("alice")), Method::GET, &image).await;
    assert_eq!(by_layer.status(), 403);
    let online = with(|builder| {
        let alice = async |_: Credential, _: RequestInfo| Ok::<_, AuthError>(Identity::new("alice"));
        builder.authenticator(alice).sources(Sources::default().cookie("session"))
    });
    let cookie = ("cookie", "session=t");
    let status = async |headers: &[_]| ask(&online, None, Method::GET, headers).await.status().as_u16();
    assert_eq!(status(&[&image[..], &[cookie]].concat()).await, 403);
    assert_eq!(status(&[cookie]).await, 403, "nobody says where it comes from");
    assert_eq!(online.get_connection_count().await, 0);
    assert_eq!(status(&[cookie, ("sec-fetch-site", "same-origin")]).await, 200);
}
