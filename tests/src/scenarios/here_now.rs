//! Who is in channels, now: over the socket and over REST, byte for byte.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{
    Server,
    client::{Client, Response},
};

/// Longer than any scenario.
pub const OPTIONS: &[&str] = &["--grace-ms", "60000", "--event-window-ms", "0"];

/// A welcomed client of whoever the body of `/login` says, subscribed to a channel.
async fn member(server: &Server, login: Value, channel: &str) -> Client {
    let mut client = server.join_as(&login).await;
    client.subscribe(channel).await;
    client
}

/// Two of Jack's and one of Ted's in a channel, and Tom in another.
async fn the_seeds_members(server: &Server) -> Vec<Client> {
    let jack = json!({"loginId": "Jack", "data": "18 years old"});
    vec![
        member(server, json!({"loginId": "Ted"}), "channel_A").await,
        member(server, jack.clone(), "channel_A").await,
        member(server, jack, "channel_A").await,
        member(server, json!({"loginId": "Tom", "data": "18 years old"}), "channel_B").await,
    ]
}

async fn get(server: &Server, query: &str) -> Response {
    let token = server.login("somebody").await;
    server.request("GET", &format!("/presence/herenow?{query}")).token(&token).send().await
}

/// The channels of an answer that must be good.
async fn channels(server: &Server, query: &str) -> Value {
    let answer = get(server, query).await.ok();
    assert_eq!(answer["code"], 200);
    answer["content"]["channels"].clone()
}

/// The example of GoEasy's documentation, without its white space.
pub async fn the_answer_is_the_seeds_to_the_letter(server: &Server) {
    let _members = the_seeds_members(server).await;
    let expected = concat!(
        r#"{"code":200,"content":{"channels":{"#,
        r#""channel_A":{"channel":"channel_A","clientAmount":3,"userAmount":2,"#,
        r#""users":[{"id":"Jack","data":"18 years old"},{"id":"Ted","data":""}]},"#,
        r#""channel_B":{"channel":"channel_B","clientAmount":1,"userAmount":1,"#,
        r#""users":[{"id":"Tom","data":"18 years old"}]}}}}"#,
    );
    let query = "appkey=BC-x&channel=channel_A&channel=channel_B&includeUsers=true&distinct=true";
    let token = server.login("somebody").await;
    for mount in ["", "/presence", "/presence-admin", "/nested", "/nested/presence"] {
        let asked = server.request("GET", &format!("{mount}/herenow?{query}")).token(&token);
        let answer = asked.send().await;
        assert_eq!(answer.status, 200, "{mount}");
        assert_eq!(String::from_utf8_lossy(&answer.body), expected, "{mount}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{mount}");
    }
    let mut asker = server.join_enveloped("somebody").await;
    let asked = json!({
        "type": "hereNow", "channels": ["channel_A", "channel_B"], "includeUsers": true, "distinct": true,
    });
    let reply = asker.request_text(asked).await;
    assert_eq!(reply, format!(r#"{{"type":"reply","id":1,"result":{expected}}}"#));
}

/// The same question has the same bytes for an answer, whichever way it came.
pub async fn socket_and_rest_answer_with_the_same_bytes(server: &Server) {
    let _members = the_seeds_members(server).await;
    let odd = json!({"loginId": "a\"b</script>", "data": {"名": [1, null, "\u{2028}"], "n": 1.50}});
    let _odd = member(server, odd, "大厅 +&,").await;
    let mut asker = server.join_enveloped("somebody").await;
    for (query, fields) in [
        ("channel=channel_A", json!({"channels": ["channel_A"]})),
        ("channels=channel_B,channel_A", json!({"channels": ["channel_B", "channel_A", "channel_B"]})),
        ("channel=channel_A&includeUsers=1", json!({"channels": ["channel_A"], "includeUsers": true})),
        (
            "channel=channel_A&includeUsers=true&distinct=1&limit=1",
            json!({"channels": ["channel_A"], "includeUsers": true, "distinct": true, "limit": 1}),
        ),
        (
            "channel=nobody%20here&includeUsers=true",
            json!({"channels": ["nobody here"], "includeUsers": true, "distinct": null, "limit": null}),
        ),
        (
            "channel=%E5%A4%A7%E5%8E%85+%2B%26%2C&includeUsers=true",
            json!({"channels": ["大厅 +&,"], "includeUsers": true}),
        ),
    ] {
        let answer = get(server, query).await;
        assert_eq!(answer.status, 200, "{query}");
        let mut asked = fields;
        asked["type"] = "hereNow".into();
        let reply = asker.request_text(asked).await;
        let result = reply.split_once(r#""result":"#).expect("a result").1;
        let result = result.strip_suffix('}').expect("the end of the reply");
        assert_eq!(result, String::from_utf8_lossy(&answer.body), "{query}");
    }
}

/// Amounts always, users where asked, once for each client or once.
pub async fn users_are_listed_where_asked_once_for_each_client_or_once(server: &Server) {
    let mut members = the_seeds_members(server).await;
    let ids = async |query: &str| {
        let channel = channels(server, query).await["channel_A"].clone();
        assert_eq!((&channel["clientAmount"], &channel["userAmount"]), (&json!(3), &json!(2)), "{query}");
        channel["users"]
            .as_array()
            .map(|users| users.iter().map(|user| user["id"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(ids("channel=channel_A").await, None);
    assert_eq!(ids("channel=channel_A&includeUsers=false&distinct=true").await, None);
    let jack_jack_ted = Some(vec![json!("Jack"), json!("Jack"), json!("Ted")]);
    assert_eq!(ids("channel=channel_A&includeUsers=true").await, jack_jack_ted);
    let jack_ted = Some(vec![json!("Jack"), json!("Ted")]);
    assert_eq!(ids("channel=channel_A&includeUsers=true&distinct=true").await, jack_ted);
    let two = Some(vec![json!("Jack"), json!("Jack")]);
    assert_eq!(ids("channel=channel_A&includeUsers=true&limit=2").await, two);
    // Ted, whose socket is cut, is a user without a client until his grace period is over.
    drop(members.remove(0));
    server.expect_counts(3, 3).await;
    let channel = channels(server, "channel=channel_A&includeUsers=true").await["channel_A"].clone();
    assert_eq!((&channel["clientAmount"], &channel["userAmount"]), (&json!(2), &json!(2)));
    assert_eq!(channel["users"][2], json!({"id": "Ted", "data": ""}));
    // Jack unsubscribes on one client and closes the other for good.
    members[0].unsubscribe("channel_A").await;
    members.remove(1).close(1000).await;
    server.expect_counts(3, 2).await;
    let channel = channels(server, "channel=channel_A&includeUsers=true").await["channel_A"].clone();
    assert_eq!((&channel["clientAmount"], &channel["userAmount"]), (&json!(0), &json!(1)));
}

/// Nobody there is no error, and several channels are answered in the order asked.
pub async fn channels_that_nobody_is_in_have_zeros(server: &Server) {
    let _members = the_seeds_members(server).await;
    let answer = get(server, "channel=z&channel=channel_B&channels=a,z").await;
    let expected = concat!(
        r#"{"code":200,"content":{"channels":{"z":{"channel":"z","clientAmount":0,"userAmount":0},"#,
        r#""channel_B":{"channel":"channel_B","clientAmount":1,"userAmount":1},"#,
        r#""a":{"channel":"a","clientAmount":0,"userAmount":0}}}}"#,
    );
    assert_eq!(String::from_utf8_lossy(&answer.body), expected);
    assert_eq!(channels(server, "channel=z&includeUsers=true").await["z"]["users"], json!([]));
    // To ask makes no channel.
    assert_eq!(server.channels().await, 2);
}

/// What cannot be read is told what to send.
pub async fn a_question_that_makes_no_sense_is_refused_with_what_to_send(server: &Server) {
    let many = (0..101).fold(String::new(), |mut query, n| {
        let _ = write!(query, "&channel=c{n}"); // A `String` takes everything.
        query
    });
    let long = format!("channel={}", "x".repeat(256));
    for (query, part) in [
        ("", "?channel="),
        ("appkey=k&includeUsers=true", "?channel="),
        ("channel=", "empty"),
        ("channels=a,,b", "empty"),
        ("channel=a&includeUsers=yes", "`includeUsers`"),
        ("channel=a&distinct=2", "`distinct`"),
        ("channel=a&limit=0", "`limit`"),
        ("channel=a&limit=10001", "`limit`"),
        ("channel=a&limit=many", "`limit`"),
        ("channel=%FF", "UTF-8"),
        ("channel=a%00b", "control"),
        ("channel=a%E2%80%AEb", "control"),
        (&long, "256 bytes"),
        (&many, "101 channels"),
    ] {
        let answer = get(server, query).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(400)), "{query}");
        let text = answer.json()["content"].as_str().expect("a text").to_owned();
        assert!(text.contains(part), "{query}: {text}");
    }
    let mut asker = server.join_enveloped("somebody").await;
    let names: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    for (fields, code) in [
        (json!({}), "bad_frame"),
        (json!({"channels": []}), "bad_frame"),
        (json!({"channels": "a"}), "bad_frame"),
        (json!({"channels": ["a", 1]}), "bad_frame"),
        (json!({"channels": ["a", ""]}), "bad_frame"),
        (json!({"channels": ["a\u{0}"]}), "bad_frame"),
        (json!({"channels": ["a"], "includeUsers": "true"}), "bad_frame"),
        (json!({"channels": ["a"], "distinct": 1}), "bad_frame"),
        (json!({"channels": ["a"], "limit": 0}), "bad_frame"),
        (json!({"channels": ["a"], "limit": -1}), "bad_frame"),
        (json!({"channels": ["a"], "limit": 1.5}), "bad_frame"),
        (json!({"channels": ["a"], "limit": 10_001}), "limit_exceeded"),
        (json!({"channels": names}), "limit_exceeded"),
        (json!({"channels": ["x".repeat(256)]}), "limit_exceeded"),
    ] {
        let mut asked = fields;
        asked["type"] = "hereNow".into();
        asker.refused(asked, code).await;
    }
    let asked = json!({"type": "hereNow", "channels": ["a"]});
    assert_eq!(asker.request(asked).await["code"], 200, "the connection goes on");
}

/// Nobody's question is none, and what the policy refuses is named.
pub async fn who_may_not_ask_is_told_so(server: &Server) {
    let answer = server.request("GET", "/herenow?channel=a").send().await;
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(401)));
    let forged = server.request("GET", "/presence/herenow?channel=a").token("forged").send().await;
    assert_eq!((forged.status, &forged.body), (401, &answer.body));
    let refused = get(server, "channel=a&channel=secret-plans").await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &json!(403)));
    assert!(refused.json()["content"].as_str().is_some_and(|text| text.contains("secret-plans")));
    let asked = json!({"type": "hereNow", "channels": ["a", "secret-plans"]});
    let why = server.join_enveloped("somebody").await.refused(asked.clone(), "forbidden").await;
    assert!(why.contains("HereNow") && why.contains("secret-plans"), "{why}");
    assert_eq!(server.join_enveloped("root").await.request(asked).await["code"], 200);
    let root = server.login("root").await;
    let asked = server.request("GET", "/presence/herenow?channel=secret-plans").token(&root).send().await;
    assert_eq!(asked.status, 200);
}

/// Channels of one account are nobody's business in another.
pub async fn an_account_sees_its_own_channels_only(server: &Server) {
    let _ours = member(server, json!({"loginId": "alice"}), "lobby").await;
    let tenant = json!({"loginId": "bob", "tenant": "t1", "data": {"tenant": 1}});
    let mut theirs = member(server, tenant.clone(), "lobby").await;
    let asked = json!({"type": "hereNow", "channels": ["lobby"], "includeUsers": true});
    let lobby = theirs.request(asked).await["content"]["channels"]["lobby"].clone();
    assert_eq!(lobby["users"], json!([{"id": "bob", "data": {"tenant": 1}}]));
    let token = server.login_as(&tenant).await;
    let asked = server.request("GET", "/herenow?channel=lobby&includeUsers=true").token(&token);
    assert_eq!(asked.send().await.ok()["content"]["channels"]["lobby"], lobby);
    let ours = channels(server, "channel=lobby&includeUsers=true").await["lobby"]["users"].clone();
    assert_eq!(ours, json!([{"id": "alice", "data": ""}]));
}

/// A `HEAD` is a `GET` without its body, a cookie is a credential, and a `POST` is nothing.
pub async fn it_is_asked_as_every_route_is(server: &Server) {
    let token = server.login("somebody").await;
    let path = "/presence/herenow?channel=a";
    let head = server.request("HEAD", path).token(&token).send().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(server.request("HEAD", path).send().await.status, 401);
    let by_cookie = server.request("GET", path).cookie(&token).send().await;
    assert_eq!(by_cookie.status, 200);
    assert!([404, 405].contains(&server.request("POST", path).token(&token).send().await.status));
    let ticket = server.request("POST", "/presence/ticket").token(&token).send().await.ok();
    let ticket = ticket["content"]["ticket"].as_str().expect("a ticket").to_owned();
    let by_ticket = server.request("GET", &format!("{path}&ticket={ticket}")).send().await;
    assert_eq!(by_ticket.status, 200);
}
