//! Every answer of "no": over HTTP, and as a close code where the client speaks envelopes.

use serde_json::json;

use crate::Server;

/// The library's own choice.
pub const OPTIONS: &[&str] = &["--grace-ms", "0"];
/// HTTP for everyone.
pub const HTTP: &[&str] = &["--grace-ms", "0", "--refusal", "http"];

/// Nobody learns whether a token is missing, forged or unknown.
pub async fn a_401_is_the_same_for_every_reason(server: &Server) {
    let good = server.login("alice").await;
    let forged = format!("{}x", &good[..good.len() - 1]);
    let missing = server.raw().send().await;
    assert_eq!((missing.status, missing.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(missing.header("connection"), Some("close"));
    assert_eq!(missing.header("content-type"), Some("application/json"));
    assert_eq!(missing.json()["code"], 401);
    for dial in [server.raw().token(&forged), server.raw().token("x"), server.raw().token(&"x".repeat(4000))]
    {
        let answer = dial.send().await;
        assert_eq!((answer.status, &answer.body), (401, &missing.body));
    }
    assert_eq!(server.counts().await, (0, 0));
}

/// A browser sees nothing of an HTTP status.
pub async fn a_client_of_envelopes_sees_its_refusal(server: &Server) {
    let mut client = server.envelope().token("forged").open().await;
    let ending = client.expect_close(4401).await;
    let error = ending.frame("error").expect("the error comes before the close frame");
    assert_eq!(error["code"], "unauthorized");
    assert_eq!(ending.close, Some((4401, "unauthorized".to_owned())));
    assert_eq!(server.counts().await, (0, 0));
}

/// One that is shown and does not go away by itself is cut.
pub async fn a_refused_client_that_stays_is_cut(server: &Server) {
    let mut client = server.envelope().token("forged").open().await;
    client.expect_json("error").await;
    let start = crate::now();
    while !matches!(client.hear().await, crate::client::Heard::End { .. }) {}
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

/// Only so many refusals are shown at once: after that plain HTTP.
pub async fn beyond_256_visible_refusals_the_answer_is_http(server: &Server) {
    let began = crate::now();
    let attempts = (0..300).map(|_| server.envelope().token("forged").attempt());
    let answers = futures_util::future::join_all(attempts).await;
    let plain = answers.iter().filter(|answer| answer.as_ref().is_err_and(|no| no.status == 401)).count();
    let shown = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(plain + shown, 300);
    // Each is open for 2 s, since nobody answers its close frame: 300 within that time are too many.
    assert!(shown > 0 && (plain > 0 || began.elapsed().as_secs() >= 2), "{shown} were shown");
    drop(answers);
    assert_eq!(server.counts().await, (0, 0));
}

/// Where the builder says so.
pub async fn a_refusal_is_http_where_visible_ones_are_off(server: &Server) {
    let answer = server.envelope().token("forged").send().await;
    assert_eq!((answer.status, &answer.json()["code"]), (401, &json!(401)));
    let expired = server.login_as(&json!({"loginId": "alice", "ttlSeconds": 0})).await;
    assert_eq!(server.envelope().token(&expired).send().await.status, 401);
}
