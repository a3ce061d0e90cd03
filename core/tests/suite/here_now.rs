//! `hereNow` as an application asks it, over the socket and over REST: one answer.

use std::sync::Arc;

use ::http::{Extensions, HeaderMap, Method, Uri};
use herenow::{
    HereNow, OnlineManager, UserKey,
    auth::{Action, Identity},
    http::{Api, Body, RequestInfo, Route, Visit},
    testing::{Connect, TestClient, connect, joined_nodes},
};
use serde_json::{json, value::RawValue};

use crate::support::{millis, pass, secs, with};

fn anybody(_: &Identity, _: &Action) -> bool {
    true
}

fn online() -> OnlineManager {
    with(|builder| builder.authorize(anybody).grace(secs(5)))
}

fn identity(user: impl Into<UserKey>, data: &str) -> Identity {
    Identity::new(user).data(RawValue::from_string(data.to_owned()).unwrap())
}

async fn member(online: &OnlineManager, identity: Identity) -> TestClient {
    let client = Connect::new(online).identity(identity).open().await;
    client.connection().join("lobby").unwrap();
    client
}

/// The body of `GET /herenow`, as this user gets it.
async fn rest(online: &OnlineManager, who: Identity, query: &str) -> String {
    let uri: Uri = format!("/herenow?{query}").parse().unwrap();
    let mut extensions = Extensions::new();
    extensions.insert(Arc::new(who));
    let request = RequestInfo::new(Method::GET, &uri, HeaderMap::new());
    let visit = Visit::look(online, request, &uri, &extensions).await;
    let target = uri.path_and_query().unwrap().as_str();
    match Api::new().handle(&visit, Route::HereNow, target, b"").await.into_body() {
        Body::Whole(body) => String::from_utf8(body.to_vec()).unwrap(),
        Body::Events(_) => panic!("a stream"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_application_rest_and_the_socket_have_one_answer() {
    let online = online();
    let _jack = member(&online, identity("Jack", r#""18 years old""#)).await;
    let _ted = member(&online, Identity::new("Ted")).await;
    let asked = || HereNow::of(["lobby", "nobody's"]).include_users().distinct();
    let report = online.here_now(asked()).await;
    let lobby = report.channel("lobby").unwrap();
    assert_eq!((lobby.client_amount, lobby.user_amount), (2, 2));
    let users = lobby.users.as_ref().unwrap();
    assert_eq!((&*users[0].id, &*users[1].id), ("Jack", "Ted"));
    assert_eq!((users[0].data.as_ref().unwrap().get(), users[1].data.is_none()), (r#""18 years old""#, true));

    let body = serde_json::to_string(&report).unwrap();
    let query = "channel=lobby&channel=nobody%27s&includeUsers=true&distinct=true";
    assert_eq!(rest(&online, Identity::new("asker"), query).await, body);
    let mut asker = connect(&online, "asker").await;
    let channels = ["lobby", "nobody's"];
    let mut asked = json!({"type": "hereNow", "channels": channels, "includeUsers": true, "distinct": true});
    asked["id"] = 7.into();
    asker.send_json(&asked);
    assert_eq!(asker.expect_text().await, format!(r#"{{"type":"reply","id":7,"result":{body}}}"#));
}

#[tokio::test(start_paused = true)]
async fn a_user_in_its_grace_period_is_listed_once_and_is_no_client() {
    let online = online();
    let jack = member(&online, Identity::new("Jack")).await;
    let amounts = async || {
        let report = online.here_now(HereNow::of(["lobby"]).include_users()).await;
        let lobby = &report.channels[0];
        (lobby.client_amount, lobby.user_amount, lobby.users.as_ref().map_or(0, Vec::len))
    };
    let tab = member(&online, Identity::new("Jack")).await;
    assert_eq!(amounts().await, (2, 1, 2));
    tab.close(1000).await;
    pass(millis(1)).await;
    assert_eq!(amounts().await, (1, 1, 1));
    jack.vanish().await;
    pass(millis(1)).await;
    assert_eq!(amounts().await, (0, 1, 1));
    pass(secs(5)).await;
    assert_eq!(amounts().await, (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_application_names_the_account_and_a_user_has_its_own() {
    let online = online();
    let _ours = member(&online, Identity::new("alice")).await;
    let theirs = UserKey::in_account("tenant", "bob");
    let _theirs = member(&online, identity(&theirs, "[1]")).await;
    let of = async |asked: HereNow| serde_json::to_string(&online.here_now(asked).await).unwrap();
    let asked = || HereNow::of(["lobby"]).include_users();
    assert!(of(asked()).await.contains(r#"[{"id":"alice","data":""}]"#));
    assert_eq!(of(asked().in_account("")).await, of(asked()).await);
    let tenants = of(asked().in_account("tenant")).await;
    assert!(tenants.contains(r#"[{"id":"bob","data":[1]}]"#));
    let query = "channel=lobby&includeUsers=true";
    assert_eq!(rest(&online, Identity::new(&theirs), query).await, tenants);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_an_answer_is_refused() {
    let online = online();
    let data = format!("\"{}\"", "x".repeat(4000));
    let mut members = Vec::new();
    for n in 0..300 {
        members.push(member(&online, identity(format!("u{n}"), &data)).await);
    }
    let refused = rest(&online, Identity::new("asker"), "channel=lobby&includeUsers=true").await;
    assert!(
        refused.starts_with(r#"{"code":400,"content":"the answer would be over 1048576 bytes"#),
        "{refused}"
    );
    let some = rest(&online, Identity::new("asker"), "channel=lobby&includeUsers=true&limit=100").await;
    assert!(some.starts_with(r#"{"code":200,"#) && some.len() > 400_000);
    let mut asker = connect(&online, "asker").await;
    let asked = |limit: usize| json!({"type": "hereNow", "channels": ["lobby"], "includeUsers": true, "limit": limit});
    assert_eq!(asker.request(asked(1000)).await["error"]["code"], "limit_exceeded");
    // A long answer goes out whole, and in its turn.
    let answer = asker.request(asked(100)).await;
    assert_eq!(answer["result"]["content"]["channels"]["lobby"]["users"].as_array().unwrap().len(), 100);
    assert_eq!(asker.request(asked(1)).await["result"]["content"]["channels"]["lobby"]["userAmount"], 300);
}

#[tokio::test(start_paused = true)]
async fn all_channels_are_in_an_answer_though_more_is_known_of_one_than_is_listed() {
    let [here, there] = joined_nodes(|builder| builder.authorize(anybody));
    let data = format!("\"{}\"", "x".repeat(4000));
    let mut members = Vec::new();
    for _ in 0..300 {
        members.push(member(&there, Identity::new("anybody")).await);
    }
    for n in 0..300 {
        members.push(member(&there, identity(format!("u{n}"), &data)).await);
    }
    let query = "channel=lobby&channel=empty&includeUsers=true&limit=300";
    let answer: serde_json::Value =
        serde_json::from_str(&rest(&here, Identity::new("asker"), query).await).unwrap();
    let channels = &answer["content"]["channels"];
    assert_eq!(channels["lobby"]["users"].as_array().map(Vec::len), Some(300), "{answer}");
    assert_eq!(channels["empty"]["userAmount"], 0);
}
