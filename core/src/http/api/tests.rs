use std::collections::HashMap;

use ::http::{Extensions, HeaderMap, Uri};
use chrono::DateTime;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{
    MessagePusher, OnlineManager, OnlineUser, PushMessage, PusherError,
    auth::{Action, TokenId},
    http::RequestInfo,
    policy,
};

fn identity(account: &str, id: &str) -> Identity {
    Identity::new(UserKey::in_account(account, id)).token_id(TokenId::of(&format!("{account}/{id}")))
}

fn admin() -> Identity {
    identity("one", "root").scope("admin")
}

fn api() -> Api {
    Api::with_admin(|who| who.has_scope("admin"))
}

async fn mark(online: &OnlineManager, account: &str, id: &str, device: &str) {
    let user = OnlineUser {
        login_id: id.to_owned(),
        token: format!("{account}/{id}/{device}"),
        device: device.to_owned(),
        connect_time: DateTime::UNIX_EPOCH,
        last_activity: DateTime::UNIX_EPOCH,
        metadata: HashMap::from([("private".to_owned(), "yes".to_owned())]),
    };
    online.try_mark_online(user.in_account(account)).await.unwrap();
}

/// alice and bob of account one, alice of account two.
async fn town() -> OnlineManager {
    let online = OnlineManager::builder().authorize(policy::members_see_members()).build().unwrap();
    for (account, id, device) in
        [("one", "alice", "web"), ("one", "alice", "ios"), ("one", "bob", "web"), ("two", "alice", "web")]
    {
        mark(&online, account, id, device).await;
    }
    online
}

/// Keeps what is pushed to anybody of any account.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Vec<(UserKey, PushMessage)>>>);

impl Inbox {
    async fn of(online: &OnlineManager) -> Self {
        let inbox = Self::default();
        online.register_pusher(Arc::new(inbox.clone())).await;
        inbox
    }

    fn of_user(&self, account: &str, id: &str) -> Vec<PushMessage> {
        let user = UserKey::in_account(account, id);
        let kept = self.0.lock();
        kept.iter().filter(|(to, _)| *to == user).map(|(_, message)| message.clone()).collect()
    }
}

#[async_trait::async_trait]
impl MessagePusher for Inbox {
    async fn push(&self, _: &str, _: PushMessage) -> Result<(), PusherError> {
        Ok(())
    }

    async fn push_to(&self, user: &UserKey, message: PushMessage) -> Result<(), PusherError> {
        self.0.lock().push((user.clone(), message));
        Ok(())
    }
}

async fn visit(online: &OnlineManager, who: Option<Identity>) -> Visit {
    let uri = Uri::from_static("/");
    let mut extensions = Extensions::new();
    extensions.extend(
        who.map(|who| {
            let mut found = Extensions::new();
            found.insert(Arc::new(who));
            found
        })
        .unwrap_or_default(),
    );
    let request = RequestInfo::new(::http::Method::GET, &uri, HeaderMap::new());
    Visit::look(online, request, &uri, &extensions).await
}

async fn ask(online: &OnlineManager, who: Identity, route: Route, target: &str, body: &str) -> (u16, Value) {
    let response = api().handle(&visit(online, Some(who)).await, route, target, body.as_bytes()).await;
    let Body::Whole(body) = response.body() else { panic!("a stream of events") };
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["code"], response.status().as_u16());
    (response.status().as_u16(), body["content"].clone())
}

async fn get(online: &OnlineManager, target: &str) -> (u16, Value) {
    let route = if target.starts_with("/presence/online/") { Route::OnlineUser } else { Route::Online };
    ask(online, identity("one", "bob"), route, target, "").await
}

async fn post(online: &OnlineManager, route: Route, body: Value) -> (u16, Value) {
    ask(online, admin(), route, "/", &body.to_string()).await
}

#[tokio::test]
async fn without_a_user_every_route_says_401() {
    let online = town().await;
    let nobody = visit(&online, None).await;
    let for_anybody = [Route::OpenApi, Route::ClientJs, Route::Ready];
    for route in Route::ALL.iter().filter(|route| !for_anybody.contains(route)) {
        assert_eq!(api().handle(&nobody, *route, "/online/alice", b"{}").await.status(), 401, "{route:?}");
    }
    for route in for_anybody {
        assert_eq!(api().handle(&nobody, route, "/", b"").await.status(), 200, "{route:?}");
    }
}

#[tokio::test]
async fn a_node_is_ready_until_it_shuts_down() {
    let online = town().await;
    let ready = async || ask(&online, identity("one", "bob"), Route::Ready, "/ready", "").await;
    assert_eq!(ready().await, (200, json!({"engine": "up"})));
    online.shutdown(std::time::Duration::ZERO).await;
    assert_eq!(ready().await.0, 503);
}

#[cfg(feature = "testing")]
#[tokio::test]
async fn a_node_that_is_cut_off_is_ready_unless_it_refuses_logins_then() {
    use crate::cluster::OnEngineDown;

    for (policy, status) in [(OnEngineDown::AdmitLocally, 200), (OnEngineDown::Refuse503, 503)] {
        let [node, _other] = crate::testing::joined_nodes(|builder| builder.on_engine_down(policy));
        node.cut_off();
        let (answered, content) = ask(&node, identity("one", "bob"), Route::Ready, "/ready", "").await;
        assert_eq!(answered, status);
        assert!(status != 200 || content == json!({"engine": "down"}), "{content}");
    }
}

#[tokio::test]
async fn nobodys_body_is_not_read() {
    let online = town().await;
    let of = async |api: Api, who, route| {
        let visit = visit(&online, who).await;
        api.may_read_body(&visit, route).map_err(|refusal| refusal.status().as_u16())
    };
    let bob = || Some(identity("one", "bob"));
    for route in Route::ALL.iter().filter(|route| route.method() == "GET") {
        assert_eq!(of(api(), None, *route).await, Ok(0), "{route:?}");
    }
    for route in [Route::Status, Route::Ticket, Route::Push, Route::Broadcast, Route::Kick] {
        assert_eq!(of(api(), None, route).await, Err(401), "{route:?}");
        assert_eq!(of(api(), Some(admin()), route).await, Ok(Api::MAX_BODY), "{route:?}");
    }
    assert_eq!(of(api(), bob(), Route::Status).await, Ok(Api::MAX_BODY));
    assert_eq!(of(api(), bob(), Route::Kick).await, Err(403));
    assert_eq!(of(Api::new(), Some(admin()), Route::Kick).await, Err(404));
}

#[tokio::test]
async fn the_list_knows_the_account_of_the_asker_only() {
    let (status, content) = get(&town().await, "/presence/online").await;
    let users = json!([{"id": "alice", "status": "online"}, {"id": "bob", "status": "online"}]);
    assert_eq!((status, content), (200, json!({"count": 2, "users": users, "next": null})));
}

#[tokio::test]
async fn pages_follow_each_other_in_order() {
    let online = town().await;
    for id in ["carol", "Ünal & co", "dave"] {
        mark(&online, "one", id, "web").await;
    }
    let (mut seen, mut target) = (Vec::new(), "/online?limit=2".to_owned());
    loop {
        let (_, content) = get(&online, &target).await;
        assert_eq!(content["count"], 5);
        seen.extend(
            content["users"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = content["next"].as_str() else { break };
        let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
        target = format!("/online?cursor={next}&limit=2");
    }
    assert_eq!(seen, ["alice", "bob", "carol", "dave", "Ünal & co"]);
}

#[tokio::test]
async fn a_page_that_makes_no_sense_is_refused_with_what_is_expected() {
    let online = town().await;
    for query in ["limit=0", "limit=1001", "limit=many", "limit=-1", "cursor=%FF"] {
        assert_eq!(get(&online, &format!("/online?{query}")).await.0, 400, "{query}");
    }
    let (_, text) = get(&online, "/online?limit=0").await;
    assert_eq!(text, "`limit` must be a number from 1 to 1000");
    assert_eq!(get(&online, &format!("/online?cursor={}", "x".repeat(129))).await.0, 400);
}

#[tokio::test]
async fn one_user_is_shown_with_devices_and_without_anything_private() {
    let (status, content) = get(&town().await, "/presence/online/alice?x=1").await;
    assert_eq!((status, &content["id"], &content["online"]), (200, &json!("alice"), &json!(true)));
    let sessions = content["sessions"].as_array().unwrap();
    let mut devices: Vec<_> = sessions.iter().map(|session| session["device"].as_str().unwrap()).collect();
    devices.sort_unstable();
    assert_eq!(devices, ["ios", "web"]);
    assert!(content["lastSeen"].is_i64() && sessions[0]["lastActivity"].is_i64());
    assert!(!content.to_string().contains("private") && sessions[0].get("handle").is_none());
}

#[tokio::test]
async fn handles_are_for_oneself_and_for_admins() {
    let online = town().await;
    for who in [identity("one", "alice"), admin()] {
        let (_, content) = ask(&online, who, Route::OnlineUser, "/online/alice", "").await;
        assert!(content["sessions"][0]["handle"].as_str().unwrap().starts_with("tok_"));
    }
}

#[tokio::test]
async fn an_unknown_user_is_offline_like_any_other() {
    let online = town().await;
    let (status, content) = get(&online, "/presence/online/nobody").await;
    let expected =
        json!({"id": "nobody", "online": false, "status": "offline", "lastSeen": null, "sessions": []});
    assert_eq!((status, content), (200, expected));
    assert_eq!(get(&online, "/presence/online/J%C3%B8rn%20%2F%20x").await.1["id"], "Jørn / x");
}

#[tokio::test]
async fn ids_that_cannot_be_are_refused() {
    let online = town().await;
    for id in ["", "%00", "%FF", "%E2%80%AE", &"x".repeat(129)] {
        assert_eq!(get(&online, &format!("/presence/online/{id}")).await.0, 400, "{id:?}");
    }
}

#[tokio::test]
async fn the_policy_decides_what_one_may_see() {
    let alone = OnlineManager::new();
    assert_eq!(get(&alone, "/online").await.0, 403);
    assert_eq!(get(&alone, "/presence/online/alice").await.0, 403);
    assert_eq!(get(&alone, "/presence/online/bob").await.0, 200);
    let both = r#"{"users":["bob","alice"]}"#;
    let (status, text) = ask(&alone, identity("one", "bob"), Route::Status, "/status", both).await;
    assert_eq!(status, 403);
    assert!(text.as_str().unwrap().contains("SeeStatus"), "{text}");
}

#[tokio::test]
async fn a_channel_that_one_may_not_see_refuses_the_question_and_is_named() {
    let policy =
        |_: &Identity, action: &Action| matches!(action, Action::HereNow { channel } if **channel == *"open");
    let online = OnlineManager::builder().authorize(policy).build().unwrap();
    let here = async |query| ask(&online, identity("one", "bob"), Route::HereNow, query, "").await;
    let open = json!({"channels": {"open": {"channel": "open", "clientAmount": 0, "userAmount": 0}}});
    assert_eq!(here("/presence/herenow?channel=open").await, (200, open));
    let (status, text) = here("/herenow?channel=open&channel=closed").await;
    assert_eq!(status, 403);
    assert!(text.as_str().unwrap().contains("HereNow of channel \"closed\""), "{text}");
    assert_eq!(ask(&OnlineManager::new(), admin(), Route::HereNow, "/?channel=open", "").await.0, 403);
}

#[tokio::test]
async fn several_are_answered_in_the_order_asked() {
    let online = town().await;
    let (status, content) = post(&online, Route::Status, json!({"users": ["nobody", "alice"]})).await;
    let users = json!([{"id": "nobody", "status": "offline"}, {"id": "alice", "status": "online"}]);
    assert_eq!((status, content), (200, json!({"users": users})));
    let many = vec!["x"; 201];
    assert_eq!(post(&online, Route::Status, json!({"users": many})).await.0, 400);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_its_shape() {
    let online = town().await;
    for (route, part) in [
        (Route::Status, r#"{"users":["#),
        (Route::Push, r#""content":"#),
        (Route::Broadcast, r#""content":"#),
        (Route::Kick, r#""reason":"#),
    ] {
        for body in ["", "[", "{\"nonsense\":1}", "\u{0}"] {
            let (status, text) = ask(&online, admin(), route, "/", body).await;
            assert_eq!(status, 400, "{route:?} {body}");
            assert!(text.as_str().unwrap().contains(part), "{text}");
        }
    }
    let large = " ".repeat(Api::MAX_BODY + 1);
    assert_eq!(ask(&online, admin(), Route::Status, "/", &large).await.0, 413);
}

#[tokio::test]
async fn a_ticket_is_good_once_and_stands_for_the_asker() {
    let online = town().await;
    let (status, content) = ask(&online, identity("one", "bob"), Route::Ticket, "/ticket", "").await;
    assert_eq!((status, &content["expiresIn"]), (200, &json!(30_000)));
    let uri: Uri = format!("/ws?ticket={}", content["ticket"].as_str().unwrap()).parse().unwrap();
    let redeem = || async {
        let request = RequestInfo::new(::http::Method::GET, &uri, HeaderMap::new());
        Visit::look(&online, request, &uri, &Extensions::new()).await
    };
    assert_eq!(redeem().await.require_user().unwrap().user, identity("one", "bob").user);
    assert!(redeem().await.require_user().is_err());
}

#[tokio::test]
async fn admin_routes_are_for_admins_and_exist_only_where_a_guard_was_given() {
    let online = town().await;
    for route in [Route::Push, Route::Broadcast, Route::Kick] {
        let body = r#"{"loginId":"alice","content":"x"}"#;
        assert_eq!(ask(&online, identity("one", "bob"), route, "/", body).await.0, 403);
        let unguarded = Api::new();
        let response = unguarded.handle(&visit(&online, Some(admin())).await, route, "/", b"{}").await;
        assert_eq!(response.status(), 404);
        assert!(!unguarded.routes().contains(&route));
    }
}

#[tokio::test]
async fn a_push_carries_text_or_json_and_its_kind() {
    let online = town().await;
    let inbox = Inbox::of(&online).await;
    let (status, report) =
        post(&online, Route::Push, json!({"loginId": "bob", "content": "Hi \"you\"", "kind": "note"})).await;
    assert_eq!((status, &report["remote"]), (200, &json!("notAsked")));
    assert_eq!(report["offline"], json!([]));
    post(&online, Route::Push, json!({"loginId": "bob", "content": {"n": 1}})).await;
    let messages = inbox.of_user("one", "bob");
    assert_eq!(messages[0].content, "Hi \"you\"");
    assert_eq!(messages[0].message_type.as_str(), "note");
    assert_eq!(messages[1].content, r#"{"n":1}"#);
    let (_, report) = post(&online, Route::Push, json!({"loginId": "nobody", "content": ""})).await;
    assert_eq!(report["offline"], json!(["nobody"]));
    let (status, _) =
        post(&online, Route::Push, json!({"loginId": "bob", "content": "", "kind": "No word"})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_target_is_named_in_one_way() {
    let online = town().await;
    for named in [
        json!({}),
        json!({"device": "web"}),
        json!({"loginId": "bob", "token": "t"}),
        json!({"token": "t", "connection": "c"}),
        json!({"connection": "not one"}),
        json!({"loginId": ""}),
    ] {
        assert_eq!(post(&online, Route::Kick, named.clone()).await.0, 400, "{named}");
    }
}

#[tokio::test]
async fn a_kick_ends_a_device_a_session_or_a_user() {
    let online = town().await;
    let alice = UserKey::in_account("one", "alice");
    let (status, report) = post(&online, Route::Kick, json!({"loginId": "alice", "device": "ios"})).await;
    assert_eq!((status, &report["matched"]), (200, &json!(1)));
    let handle = online.get_user_sessions(&alice).await[0].token.clone();
    assert_eq!(post(&online, Route::Kick, json!({"token": handle})).await.1["closed"], 1);
    assert!(!online.is_online(&alice).await);
    let ban = json!({"loginId": "bob", "reason": "Enough", "banSeconds": 60});
    assert_eq!(post(&online, Route::Kick, ban).await.1["matched"], 1);
    assert!(online.is_online(UserKey::in_account("two", "alice")).await);
}

#[tokio::test]
async fn a_ban_has_a_sensible_end() {
    let online = town().await;
    for seconds in [json!(0), json!(u64::MAX), json!(-1), json!(4_000_000_000_u64)] {
        let body = json!({"loginId": "bob", "banSeconds": seconds});
        assert_eq!(post(&online, Route::Kick, body).await.0, 400, "{seconds}");
    }
    assert!(online.is_online(UserKey::in_account("one", "bob")).await);
}

#[tokio::test]
async fn no_admin_reaches_into_another_account() {
    let online = town().await;
    let inbox = Inbox::of(&online).await;
    let stranger = UserKey::in_account("two", "alice");
    let handle = online.get_user_sessions(&stranger).await[0].token.clone();
    assert_eq!(post(&online, Route::Kick, json!({"token": handle})).await.1["matched"], 0);
    post(&online, Route::Push, json!({"token": handle, "content": "x"})).await;
    post(&online, Route::Broadcast, json!({"content": "x"})).await;
    assert!(inbox.of_user("two", "alice").is_empty());
    assert!(!inbox.of_user("one", "bob").is_empty());
    assert!(online.is_online(&stranger).await);
}

#[tokio::test]
async fn what_the_policy_lets_kick_sees_handles_too() {
    let policy = |_: &Identity, action: &Action| !matches!(action, Action::SeeOnline);
    let online = OnlineManager::builder().authorize(policy).build().unwrap();
    mark(&online, "one", "alice", "web").await;
    let (_, content) = get(&online, "/presence/online/alice").await;
    assert!(content["sessions"][0]["handle"].is_string());
}
