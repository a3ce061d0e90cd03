//! `GET /client.js`: the browser client, so that a page needs no build and no other server.

use std::{fmt::Write as _, sync::LazyLock};

use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::list;

const SCRIPT: &[u8] = include_bytes!("../../assets/client.js");
/// A strong one: the bytes are the same for everybody, as long as the program is.
static ETAG: LazyLock<String> = LazyLock::new(|| etag(SCRIPT));

/// A script whose address never changes and whose text does, with the program: browsers ask each time whether they
/// have it.
pub(super) fn answer(request: &HeaderMap) -> Response<Bytes> {
    let is_known = knows(request, &ETAG);
    let mut response = Response::new(if is_known { Bytes::new() } else { Bytes::from_static(SCRIPT) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let etag = HeaderValue::from_str(&ETAG); // Hexadecimal digits in quotes are a header's value.
    let fixed: [(HeaderName, HeaderValue); 3] = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let headers = response.headers_mut();
    headers.extend(fixed.into_iter().filter(|(name, _)| !is_known || *name != header::CONTENT_TYPE));
    headers.extend(etag.ok().map(|etag| (header::ETAG, etag)));
    response
}

/// Whether the client has this version already (RFC 9110, 13.1.2: compared weakly, in a list, or `*` for any).
fn knows(request: &HeaderMap, etag: &str) -> bool {
    list(request, header::IF_NONE_MATCH)
        .any(|had| had == "*" || had.strip_prefix("W/").unwrap_or(had) == etag)
}

fn etag(text: &[u8]) -> String {
    let digits = Sha256::digest(text).iter().take(16).fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}"); // A `String` takes everything.
        digits
    });
    format!("\"{digits}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(if_none_match: &[&str]) -> Response<Bytes> {
        let mut headers = HeaderMap::new();
        for line in if_none_match {
            headers.append(header::IF_NONE_MATCH, line.parse().unwrap());
        }
        answer(&headers)
    }

    fn own() -> String {
        ask(&[]).headers()[header::ETAG].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_client_is_a_script_that_browsers_ask_for_each_time() {
        let response = ask(&[]);
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::OK, SCRIPT));
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(std::str::from_utf8(SCRIPT).unwrap().contains("herenow"));
    }

    #[test]
    fn the_tag_is_strong_and_follows_the_text() {
        assert!(own().len() == 34 && own().starts_with('"') && own().ends_with('"'));
        assert_eq!(own(), etag(SCRIPT));
        assert_ne!(etag(b"a"), etag(b"b"));
    }

    #[test]
    fn whoever_has_it_is_sent_nothing() {
        let own = own();
        for lines in [
            vec![own.clone()],
            vec![format!("W/{own}")],
            vec![format!("\"other\", W/{own} ,\"more\"")],
            vec!["\"other\"".to_owned(), own.clone()],
            vec!["*".to_owned()],
        ] {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let response = ask(&lines);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{lines:?}");
            assert!(response.body().is_empty() && !response.headers().contains_key(header::CONTENT_TYPE));
            assert_eq!(response.headers()[header::ETAG], own.as_str());
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        }
    }

    #[test]
    fn whoever_has_another_version_or_says_nonsense_is_sent_all_of_it() {
        let bare = own().trim_matches('"').to_owned();
        for line in ["\"other\"", "W/\"other\"", "", ",,", "\"", &bare, "w/*"] {
            assert_eq!(ask(&[line]).status(), StatusCode::OK, "{line:?}");
        }
    }
}
