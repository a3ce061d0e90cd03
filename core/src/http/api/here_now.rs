//! `GET /herenow`: who is in channels, now. What is read here; the answer is `channel::here_now`'s.

use bytes::Bytes;
use percent_encoding::percent_decode_str;

use crate::{
    HereNow, OnlineManager,
    auth::Identity,
    channel::here_now::{MAX_ANSWER, answer},
    http::Refusal,
    protocol::{ErrorCode, WireError},
};

const NO_CHANNEL: &str = "name the channels: `?channel=a&channel=b`, or `?channels=a,b`";

/// The whole body, the same bytes as over the socket.
pub(super) async fn body(online: &OnlineManager, who: &Identity, query: &str) -> Result<Bytes, Refusal> {
    let asked = read(query)?;
    let body = answer(online.inner(), who, asked, MAX_ANSWER).await.map_err(refusal)?;
    Ok(body.into())
}

/// What it does not know, it passes over: GoEasy's clients send an `appkey`.
fn read(query: &str) -> Result<HereNow, Refusal> {
    let mut channels = Vec::new();
    let (mut include_users, mut distinct, mut limit) = (false, false, None);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match &*percent_decode_str(name).decode_utf8_lossy() {
            "channel" => channels.push(text("channel", value)?),
            // Decoded first: URLSearchParams writes a comma as %2C.
            "channels" => channels.extend(text("channels", value)?.split(',').map(str::to_owned)),
            "includeUsers" => include_users = truth("includeUsers", value)?,
            "distinct" => distinct = truth("distinct", value)?,
            "limit" => limit = Some(number(value)?),
            _ => {}
        }
    }
    if channels.is_empty() {
        return Err(Refusal::bad_request(NO_CHANNEL));
    }
    Ok(HereNow::asked(channels, include_users, distinct, limit))
}

/// A value of a form, where a space may be written as `+`.
fn text(name: &str, value: &str) -> Result<String, Refusal> {
    let value = value.replace('+', " ");
    match percent_decode_str(&value).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(Refusal::bad_request(format!("`{name}` is not UTF-8"))),
    }
}

fn truth(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Refusal::bad_request(format!("`{name}` must be `true` or `false` (or `1` or `0`)"))),
    }
}

/// Whether it is within bounds is looked at where the socket's is.
fn number(value: &str) -> Result<u64, Refusal> {
    value.parse().map_err(|_| {
        Refusal::bad_request(format!("`limit` must be a number from 1 to {}", HereNow::MAX_LIMIT))
    })
}

fn refusal(error: WireError) -> Refusal {
    match error.code {
        ErrorCode::Forbidden => Refusal::forbidden(error.message),
        ErrorCode::BadFrame | ErrorCode::LimitExceeded => Refusal::bad_request(error.message),
        _ => Refusal::internal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_named_one_by_one_or_in_a_list_and_each_is_one() {
        let expected = HereNow::of(["a", "b", "c d"]);
        for query in [
            "channel=a&channel=b&channel=c+d",
            "channels=a,b,c%20d",
            "channels=a%2Cb%2Cc+d",
            "appkey=k&channel=a&channels=b,a&&x&channel=c%20d&channel=a",
            "chan%6eel=a&channels=b,c+d",
        ] {
            assert_eq!(read(query), Ok(expected.clone()), "{query}");
        }
        assert_eq!(read("channel=a,b"), Ok(HereNow::of(["a,b"])), "a name may have a comma");
        assert_eq!(read("channel=%E5%A4%A7%E5%8E%85%2B%26%3D"), Ok(HereNow::of(["大厅+&="])));
    }

    #[test]
    fn what_is_asked_of_them_is_true_or_false() {
        let all = HereNow::of(["a"]).include_users().distinct().limit(7);
        for query in [
            "channel=a&includeUsers=true&distinct=1&limit=7",
            "limit=7&distinct=true&includeUsers=1&channel=a",
        ] {
            assert_eq!(read(query), Ok(all.clone()), "{query}");
        }
        assert_eq!(read("channel=a&includeUsers=false&distinct=0"), Ok(HereNow::of(["a"])));
        assert_eq!(read("channel=a&includeusers=true"), Ok(HereNow::of(["a"])), "another name");
    }

    #[test]
    fn what_cannot_be_read_is_told_what_to_send() {
        for (query, part) in [
            ("", "`?channel=a&channel=b`"),
            ("appkey=k", "`?channels=a,b`"),
            ("channel=a&includeUsers=yes", "`includeUsers` must be `true` or `false`"),
            ("channel=a&includeUsers", "`includeUsers` must be `true` or `false`"),
            ("channel=a&distinct=TRUE", "`distinct` must be `true` or `false`"),
            ("channel=a&limit=-1", "from 1 to 10000"),
            ("channel=a&limit=ten", "from 1 to 10000"),
            ("channel=%FF", "`channel` is not UTF-8"),
            ("channels=%FF", "`channels` is not UTF-8"),
        ] {
            let refusal = read(query).unwrap_err();
            assert_eq!(refusal.status(), 400, "{query}");
            assert!(refusal.message().contains(part), "{query}: {}", refusal.message());
        }
        assert_eq!(read("channel=a&nonsense=%FF&%FF=1"), Ok(HereNow::of(["a"])));
    }
}
