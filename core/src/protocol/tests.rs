//! Every fixture under `protocol/fixtures/`, both ways, and what is refused.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{Close, Content, MessageType, PushMessage, Status};

#[derive(Deserialize)]
struct Fixture {
    direction: String,
    note: String,
    frame: Value,
}

/// All fixtures of one direction, by the name between the direction and the ending.
fn fixtures(direction: &str) -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/fixtures");
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".json").unwrap().to_owned();
        let fixture: Fixture = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let (prefix, rest) = name.split_once('.').unwrap();
        assert_eq!(prefix, fixture.direction, "{name}");
        assert!(["client", "server"].contains(&prefix) && !fixture.note.is_empty(), "{name}");
        if prefix == direction {
            all.insert(rest.to_owned(), fixture.frame);
        }
    }
    all
}

/// A parsed message, written out again by hand: what of the fixture was understood.
fn understood(message: ClientMessage) -> Value {
    match message {
        ClientMessage::Hello(hello) => json!({
            "hello": [hello.token.as_ref().map(|token| token.expose()), hello.device, hello.data, hello.client],
            "resume": hello.resume.as_ref().map(|asked| json!([asked.token.expose(), asked.seq])),
        }),
        ClientMessage::Auth { id, token } => json!({"auth": [id, token.expose()]}),
        ClientMessage::Status { status } => json!({"status": status}),
        ClientMessage::Message { id, data, channel } => json!({"message": [id, data, channel]}),
        ClientMessage::Ack { seq } => json!({"ack": seq}),
        ClientMessage::Ping => json!("ping"),
        ClientMessage::Pong => json!("pong"),
        ClientMessage::Ask { id, ask } => json!({"ask": [id, asked(ask)]}),
        ClientMessage::Unknown { id, kind } => json!({"unknown": [id, kind]}),
    }
}

fn asked(ask: Ask) -> Value {
    match ask {
        Ask::Subscribe { channel } => json!({"subscribe": channel}),
        Ask::Unsubscribe { channel } => json!({"unsubscribe": channel}),
        Ask::SubscribePresence { channel } => json!({"subscribePresence": channel}),
        Ask::UnsubscribePresence { channel } => json!({"unsubscribePresence": channel}),
        Ask::HereNow { channels, include_users, distinct, limit } => {
            json!({"hereNow": [channels, include_users, distinct, limit]})
        }
        Ask::Watch { users } => json!({"watch": users}),
        Ask::Unwatch { users } => json!({"unwatch": users}),
        Ask::Publish { channel, data } => json!({"publish": [channel, data]}),
    }
}

#[test]
fn every_client_fixture_is_understood() {
    let expected = json!({
        "hello": {"hello": ["s3cret", "web", {"name": "Alice"}, "chat/1.0"], "resume": null},
        "hello-empty": {"hello": [null, null, null, null], "resume": null},
        "hello-resume": {"hello": [null, null, null, null], "resume": ["r3sume", 17]},
        "auth": {"auth": [1, "s3cret-2"]},
        "status": {"status": "in a call"},
        "message": {"message": [2, {"to": "bob", "text": "你好"}, "lobby"]},
        "message-no-reply": {"message": [null, null, null]},
        "ack": {"ack": 17},
        "ping": "ping",
        "pong": "pong",
        "subscribe": {"ask": [3, {"subscribe": "lobby"}]},
        "unsubscribe": {"ask": [5, {"unsubscribe": "lobby"}]},
        "subscribe-presence": {"ask": [6, {"subscribePresence": "大厅"}]},
        "unsubscribe-presence": {"ask": [7, {"unsubscribePresence": "大厅"}]},
        "here-now": {"ask": [8, {"hereNow": [["lobby", "sports"], true, true, 50]}]},
        "here-now-amounts": {"ask": [9, {"hereNow": [["lobby"], false, false, null]}]},
        "watch": {"ask": [10, {"watch": ["bob", "carol"]}]},
        "unwatch": {"ask": [11, {"unwatch": ["bob"]}]},
        "publish": {"ask": [12, {"publish": ["lobby", {"text": "你好"}]}]},
        "unknown": {"unknown": [4, "dance"]},
    });
    let parse = |frame: &Value| understood(ClientMessage::parse(&frame.to_string()).unwrap());
    let found: BTreeMap<_, _> =
        fixtures("client").iter().map(|(name, frame)| (name.clone(), parse(frame))).collect();
    assert_eq!(json!(found), expected);
}

/// The payload of a short or medium text frame.
fn payload(frame: &Bytes) -> Value {
    assert_eq!(frame[0], 0x81, "one final text frame");
    let start = if frame[1] == 126 { 4 } else { 2 };
    serde_json::from_slice(&frame[start..]).unwrap()
}

fn message(content: impl Into<Content>) -> PushMessage {
    let mut message = PushMessage::new(content);
    message.message_id = "019b7713-9a7b-7c52-8f0e-5a3b1c2d4e6f".to_owned();
    message.timestamp = DateTime::from_timestamp_millis(1_767_225_600_123).unwrap();
    message
}

fn welcome() -> Welcome<'static> {
    Welcome {
        connection: "c_0198a3f2",
        user: "alice",
        resume_token: None,
        resumed: false,
        seq: 0,
        expires_in: None,
        server_time: 1_767_225_600_123,
        heartbeat: Heartbeat { interval: 30_000, timeout: 10_000 },
        limits: Limits { max_frame: 65_536, max_channels: 0 },
    }
}

/// The result of a reply's fixture. What makes it is tested where it is made; here it is only carried.
fn result_of(name: &str) -> Box<RawValue> {
    RawValue::from_string(fixtures("server")[name]["result"].to_string()).unwrap()
}

#[test]
fn every_server_fixture_is_written() {
    let text = message("Maintenance at \"noon\"");
    let chat = message(Content::json(&json!({"from": "alice", "text": "你好"})).unwrap())
        .kind(MessageType::Custom("chat".into()))
        .metadata("severity", "low");
    let binary = message(b"\x00\xFF\xFEhere".to_vec());
    let kick_out = message("elsewhere").kind(MessageType::KickOut);
    let result = RawValue::from_string("{\"reached\":3}".into()).unwrap();
    let slow =
        WireError::new(ErrorCode::TooManyRequests, "slow down").retry_after(Duration::from_millis(1500));
    let limits = Limits { max_channels: 100, ..welcome().limits };
    let full = Welcome { resume_token: Some("r3sume"), expires_in: Some(3_600_000), limits, ..welcome() };
    let [done, matched, watched, here_now] =
        ["reply-done", "reply-publish", "reply-watch", "reply-here-now"].map(result_of);
    let alice = RawValue::from_string(json!({"name": "Alice"}).to_string()).unwrap();
    let carol = RawValue::from_string("\"18 years old\"".into()).unwrap();
    let busy = Status::from("in a call");
    let listed = [("alice", Some(&*alice), &Status::Online), ("bob", None, &busy)];
    let users = listed.map(|(id, data, status)| PresenceUser { id, data: UserData(data), status });
    let (channel, ver, time) = ("lobby", 1_767_225_600_123_456, 1_767_225_600_123);
    let [state, more] = [(3, 2, users.to_vec(), false), (1204, 1001, Vec::new(), true)].map(
        |(client_amount, user_amount, users, more)| PresenceState {
            channel,
            ver,
            client_amount,
            user_amount,
            users,
            more,
        },
    );
    let event = |action, cause, id, data, status, last_seen| PresenceEvent {
        action,
        cause,
        user: PresenceOf { id, data: UserData(data) },
        status,
        last_seen,
        time,
    };
    let place = |client_amount, user_amount| {
        Some(PresencePlace { channel, ver: ver + 1, client_amount, user_amount })
    };
    let events = vec![
        event("join", "subscribe", "carol", Some(&*carol), &Status::Online, None),
        event("offline", "disconnect", "dave", None, &Status::Offline, Some(time)),
        event("update", "status", "alice", Some(&*alice), &Status::Away, None),
    ];
    let presence = Presence { place: place(3, 3), events };
    let amounts = Presence { place: place(1210, 1007), events: Vec::new() };
    let online = event("online", "connect", "bob", None, &Status::Online, None);
    let watched_user = Presence { place: None, events: vec![online] };
    let written = [
        ("welcome", ServerMessage::Welcome(full)),
        ("welcome-plain", ServerMessage::Welcome(welcome())),
        ("reply", ServerMessage::Reply { id: 2, result: Some(&result) }),
        ("reply-empty", ServerMessage::Reply { id: 2, result: None }),
        ("reply-error", ServerMessage::Refusal { id: 2, error: slow }),
        ("reply-forbidden", ServerMessage::refuse(Some(2), ErrorCode::Forbidden, "not yours")),
        ("push", ServerMessage::push(&text)),
        ("push-ack", ServerMessage::push(&text).asking_for_ack()),
        ("push-json", ServerMessage::push_in(&chat, "lobby")),
        ("push-binary", ServerMessage::push(&binary)),
        ("push-kick-out", ServerMessage::push(&kick_out)),
        ("kicked", ServerMessage::kicked(&Close::KICKED, "by the admin")),
        ("goodbye", ServerMessage::goodbye(&Close::SLOW_CONSUMER, None)),
        ("goodbye-drain", ServerMessage::goodbye(&Close::DRAIN, Some(Duration::from_millis(2500)))),
        ("gap", ServerMessage::Gap { count: 12 }),
        ("auth-expiring", ServerMessage::AuthExpiring { expires_in: 60_000 }),
        ("push-channel", ServerMessage::push_in(&text, "lobby")),
        ("reply-done", ServerMessage::Reply { id: 3, result: Some(&done) }),
        ("reply-publish", ServerMessage::Reply { id: 12, result: Some(&matched) }),
        ("reply-watch", ServerMessage::Reply { id: 10, result: Some(&watched) }),
        ("reply-here-now", ServerMessage::Reply { id: 8, result: Some(&here_now) }),
        ("presence-state", ServerMessage::PresenceState(state)),
        ("presence-state-more", ServerMessage::PresenceState(more)),
        ("presence", ServerMessage::Presence(presence)),
        ("presence-amounts", ServerMessage::Presence(amounts)),
        ("presence-watched", ServerMessage::Presence(watched_user)),
        ("error", ServerMessage::refuse(None, ErrorCode::BadFrame, "`id` must be an integer above zero")),
        ("ping", ServerMessage::Ping),
        ("pong", ServerMessage::Pong),
    ];
    let written: BTreeMap<_, _> =
        written.iter().map(|(name, message)| ((*name).to_owned(), payload(&message.to_frame()))).collect();
    assert_eq!(written, fixtures("server"));
}

#[test]
fn json_content_goes_out_byte_for_byte() {
    let raw = RawValue::from_string("{\"n\":1.50,\"big\":12345678901234567890123}".into()).unwrap();
    let message = message(Content::Json(raw));
    let frame = ServerMessage::push(&message).to_frame();
    let text = String::from_utf8_lossy(&frame[4..]).into_owned();
    assert!(text.contains("\"data\":{\"n\":1.50,\"big\":12345678901234567890123}"), "{text}");
}

#[test]
fn error_codes_are_the_words_of_the_protocol() {
    let word = |code: ErrorCode| serde_json::to_value(code).unwrap();
    assert_eq!(word(ErrorCode::TooManyRequests), "too_many_requests");
    assert_eq!(word(ErrorCode::OriginDenied), "origin_denied");
    assert!(ErrorCode::Internal.temporary() && ErrorCode::Timeout.temporary());
    assert!(!ErrorCode::Unauthorized.temporary());
}

#[test]
fn what_is_no_object_with_a_type_is_no_envelope() {
    for text in [
        "",
        "hi",
        "[]",
        "1",
        "null",
        "{}",
        "{\"type\":1}",
        "{\"type\":null}",
        "{\"type\":\"ping\"",
        "[\"ping\"]",
    ] {
        let bad = ClientMessage::parse(text).unwrap_err();
        assert_eq!((bad.id, bad.fault), (None, Fault::NotAnEnvelope), "{text}");
    }
}

#[test]
fn missing_and_wrong_fields_are_named() {
    for (frame, id, words) in [
        (json!({"type": "auth", "token": "t"}), None, "`auth` needs `id`"),
        (json!({"type": "auth", "id": 3}), Some(3), "`auth` needs `token`"),
        (json!({"type": "auth", "id": 0, "token": "t"}), None, "above zero"),
        (json!({"type": "auth", "id": -1, "token": "t"}), None, "above zero"),
        (json!({"type": "auth", "id": 1.5, "token": "t"}), None, "above zero"),
        (json!({"type": "auth", "id": "1", "token": "t"}), None, "above zero"),
        (json!({"type": "auth", "id": 3, "token": 7}), Some(3), "`token` must be a string"),
        (json!({"type": "auth", "id": 3, "token": ""}), Some(3), "token is empty"),
        (json!({"type": "hello", "device": "a\u{202e}b"}), None, "device contains a control"),
        (json!({"type": "status"}), None, "`status` needs `status`"),
        (json!({"type": "status", "status": ""}), None, "status is empty"),
        (json!({"type": "status", "status": "a\nb"}), None, "status contains a control"),
        (json!({"type": "status", "status": "offline"}), None, "close the connection"),
        (json!({"type": "message", "id": 3}), Some(3), "`message` needs `data`"),
        (json!({"type": "message", "id": 0, "data": 1}), None, "above zero"),
        (json!({"type": "ack"}), None, "`ack` needs `seq`"),
        (json!({"type": "subscribe", "channel": "c"}), None, "`subscribe` needs `id`"),
        (json!({"type": "subscribe", "id": 3}), Some(3), "`subscribe` needs `channel`"),
        (json!({"type": "unsubscribe", "id": 3, "channel": 7}), Some(3), "`channel` must be a string"),
        (json!({"type": "subscribePresence", "id": 3, "channel": ""}), Some(3), "channel is empty"),
        (
            json!({"type": "subscribePresence", "id": 3, "channel": "a\nb"}),
            Some(3),
            "channel contains a control",
        ),
        (json!({"type": "hereNow", "id": 3, "channel": "c"}), Some(3), "`hereNow` needs `channels`"),
        (json!({"type": "hereNow", "id": 3, "channels": ["c", 7]}), Some(3), "an array of strings"),
        (json!({"type": "hereNow", "id": 3, "channels": ["c"], "limit": 0}), Some(3), "`limit` must be"),
        (
            json!({"type": "hereNow", "id": 3, "channels": ["c"], "distinct": 1}),
            Some(3),
            "`distinct` must be",
        ),
        (json!({"type": "watch", "id": 3}), Some(3), "`watch` needs `users`"),
        (json!({"type": "unwatch", "id": 3, "users": [""]}), Some(3), "users is empty"),
        (json!({"type": "publish", "id": 3, "channel": "c"}), Some(3), "`publish` needs `data`"),
    ] {
        let bad = ClientMessage::parse(&frame.to_string()).unwrap_err();
        assert_eq!((bad.id, bad.fault), (id, Fault::Field), "{frame}");
        assert!(bad.message.contains(words), "{frame}: {}", bad.message);
    }
}

#[test]
fn a_field_over_its_limit_is_too_big() {
    for frame in [
        json!({"type": "hello", "token": "x".repeat(4097)}),
        json!({"type": "hello", "device": "x".repeat(65)}),
        json!({"type": "hello", "data": "x".repeat(4095)}),
        json!({"type": "status", "status": "x".repeat(33)}),
        json!({"type": "message", "data": 1, "channel": "x".repeat(256)}),
        json!({"type": "subscribe", "id": 1, "channel": "x".repeat(256)}),
        json!({"type": "hereNow", "id": 1, "channels": ["c", "x".repeat(256)]}),
        json!({"type": "watch", "id": 1, "users": ["x".repeat(129)]}),
    ] {
        let bad = ClientMessage::parse(&frame.to_string()).unwrap_err();
        assert_eq!(bad.fault, Fault::TooBig, "{}", bad.message);
        assert_eq!(bad.fault.code(), ErrorCode::LimitExceeded);
    }
    assert!(ClientMessage::parse(&json!({"type": "hello", "token": "x".repeat(4096)}).to_string()).is_ok());
}

#[test]
fn unknown_fields_and_fields_of_other_messages_are_ignored() {
    let text = r#"{"type":"ping","token":7,"data":[],"new":{"a":1},"id":"x"}"#;
    assert!(matches!(ClientMessage::parse(text), Ok(ClientMessage::Ping)));
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    assert!(ClientMessage::parse(&format!("{{\"type\":\"message\",\"data\":{deep}}}")).is_ok());
    assert!(ClientMessage::parse(&format!("{{\"type\":\"ping\",\"other\":{deep}}}")).is_ok());
}

#[test]
fn an_empty_label_is_none() {
    let parsed = ClientMessage::parse(r#"{"type":"hello","device":"","client":""}"#);
    let Ok(ClientMessage::Hello(hello)) = parsed else { panic!("{parsed:?}") };
    assert_eq!((hello.device, hello.client), (None, None));
}

#[test]
fn a_token_shows_in_no_log() {
    let hello = ClientMessage::parse(r#"{"type":"hello","token":"s3cret"}"#).unwrap();
    assert!(!format!("{hello:?}").contains("s3cret"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,80}", kind in "[a-zA-Z]{0,8}", value in "[\\[\\]{}\":,0-9a-z\\\\]{0,20}") {
        let _ = ClientMessage::parse(&text);
        let _ = ClientMessage::parse(&format!("{{\"type\":\"{kind}\",\"id\":{value}}}"));
        let _ = ClientMessage::parse(&format!("{{\"type\":\"message\",\"data\":{value}}}"));
    }
}
