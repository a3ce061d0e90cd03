use super::*;
use crate::channel::SnapshotUser;

fn user(id: &str, data: Option<&str>, clients: usize) -> SnapshotUser {
    let data = data.map(|data| RawValue::from_string(data.to_owned()).unwrap().into());
    SnapshotUser { user: id.into(), data, clients }
}

/// Jack with a tab and a phone, Ted with nothing to show, Ann within her grace period.
fn room() -> Snapshot {
    let users = vec![
        user("Ann", Some(r#"{"age": 7}"#), 0),
        user("Jack", Some(r#""18 years old""#), 2),
        user("Ted", None, 1),
    ];
    Snapshot { client_amount: 3, user_amount: 3, users }
}

fn ids(asked: &HereNow) -> Vec<String> {
    let users = asked.describe("a", room()).users.unwrap_or_default();
    users.iter().map(|user| user.id.to_string()).collect()
}

fn body(channels: &[HereNowChannel]) -> String {
    write(|| channels.iter(), MAX_ANSWER).unwrap()
}

fn refusal(asked: &HereNow) -> (ErrorCode, String) {
    let error = asked.check().unwrap_err();
    (error.code, error.message.into_owned())
}

#[test]
fn the_answer_of_the_seed_comes_to_the_letter() {
    let asked = HereNow::of(["channel_A"]).include_users().distinct();
    let users = vec![user("Jack", Some(r#""18 years old""#), 2), user("Ted", None, 1)];
    let channel_a = asked.describe("channel_A", Snapshot { client_amount: 3, user_amount: 2, users });
    let channel_b = HereNow::of(["channel_B"]).describe("channel_B", Snapshot::default());
    let expected = concat!(
        r#"{"code":200,"content":{"channels":{"channel_A":{"channel":"channel_A","clientAmount":3,"userAmount":2,"#,
        r#""users":[{"id":"Jack","data":"18 years old"},{"id":"Ted","data":""}]},"#,
        r#""channel_B":{"channel":"channel_B","clientAmount":0,"userAmount":0}}}}"#,
    );
    assert_eq!(body(&[channel_a.clone(), channel_b.clone()]), expected);
    let report = HereNowReport { channels: vec![channel_a, channel_b] };
    assert_eq!(serde_json::to_string(&report).unwrap(), expected);
    assert_eq!(report.channel("channel_A").unwrap().user_amount, 2);
    assert!(report.channel("channel_C").is_none());
}

#[test]
fn a_user_is_listed_once_per_client_or_once() {
    let asked = HereNow::of(["a"]).include_users();
    assert_eq!(ids(&asked), ["Ann", "Jack", "Jack", "Ted"], "within the grace period once");
    assert_eq!(ids(&asked.distinct()), ["Ann", "Jack", "Ted"]);
    assert_eq!(ids(&HereNow::of(["a"])), [""; 0]);
    assert!(HereNow::of(["a"]).describe("a", room()).users.is_none());
    assert!(HereNow::of(["a"]).include_users().describe("a", Snapshot::default()).users.unwrap().is_empty());
}

#[test]
fn a_limit_cuts_the_list_and_not_the_amounts() {
    let asked = HereNow::of(["a"]).include_users().limit(3);
    assert_eq!(ids(&asked), ["Ann", "Jack", "Jack"]);
    let described = asked.distinct().limit(1).describe("a", room());
    assert_eq!((described.client_amount, described.user_amount, described.users.unwrap().len()), (3, 3, 1));
    assert_eq!(HereNow::of(["a"]).limit(0).listed(), 1);
    assert_eq!(HereNow::of(["a"]).limit(usize::MAX).listed(), HereNow::MAX_LIMIT);
}

#[test]
fn channels_come_in_the_order_asked_and_once() {
    assert_eq!(HereNow::of(["b", "a", "b", "a", "c"]).channels, ["b", "a", "c"]);
    let channels: Vec<_> =
        ["b", "a"].iter().map(|name| HereNow::of([*name]).describe(name, Snapshot::default())).collect();
    let body = body(&channels);
    assert!(body.find(r#""b":{"#) < body.find(r#""a":{"#), "{body}");
}

#[test]
fn names_and_ids_are_json_whatever_they_hold() {
    let asked = HereNow::of(["a"]).include_users();
    let users = vec![user("\"}]<\\", Some("[null]"), 1)];
    let channel = asked.describe("\"quoted\"\u{2028}", Snapshot { client_amount: 1, user_amount: 1, users });
    let body: serde_json::Value = serde_json::from_str(&body(&[channel])).unwrap();
    let channel = &body["content"]["channels"]["\"quoted\"\u{2028}"];
    assert_eq!(channel["users"], serde_json::json!([{"id": "\"}]<\\", "data": [null]}]));
}

#[test]
fn nobody_may_ask_for_too_much_or_for_nothing() {
    let many = |count: usize| HereNow::of((0..count).map(|n| n.to_string()));
    assert!(many(HereNow::MAX_CHANNELS).check().is_ok());
    for (asked, code, part) in [
        (many(0), ErrorCode::BadFrame, "at least one channel"),
        (many(101), ErrorCode::LimitExceeded, "101 channels in one request; the limit is 100"),
        (HereNow::asked(vec!["a".into()], true, true, Some(0)), ErrorCode::BadFrame, "from 1 to 10000"),
        (
            HereNow::asked(vec!["a".into()], true, true, Some(u64::MAX)),
            ErrorCode::LimitExceeded,
            "from 1 to 10000",
        ),
        (HereNow::of([""]), ErrorCode::BadFrame, "channel is empty"),
        (HereNow::of(["a\nb"]), ErrorCode::BadFrame, "control"),
        (HereNow::of(["x".repeat(256)]), ErrorCode::LimitExceeded, "256 bytes"),
    ] {
        let (found, message) = refusal(&asked);
        assert!(found == code && message.contains(part), "{found:?} {message}");
    }
    assert!(HereNow::asked(vec!["大厅".into(), "x".repeat(255)], true, true, Some(10_000)).check().is_ok());
}

#[test]
fn no_answer_takes_more_memory_than_it_may() {
    let large = format!("\"{}\"", "x".repeat(4000));
    let asked = HereNow::of(["a"]).include_users();
    let users = vec![user("a", Some(&large), 1)];
    let channel = asked.describe("a", Snapshot { client_amount: 1, user_amount: 1, users });
    let looked = std::cell::Cell::new(0);
    let endless = || std::iter::repeat_with(|| looked.set(looked.get() + 1)).map(|()| &channel).take(1000);
    let refused = write(endless, MAX_ANSWER).unwrap_err();
    assert_eq!(refused.code, ErrorCode::LimitExceeded);
    assert!(refused.message.contains("over 1048576 bytes"), "{}", refused.message);
    assert!(looked.get() < 300, "what does not fit is not looked at: {}", looked.get());
    let size = write(|| iter::once(&channel), MAX_ANSWER).unwrap().len();
    assert!(
        write(|| iter::once(&channel), size).is_ok() && write(|| iter::once(&channel), size - 1).is_err()
    );
}
