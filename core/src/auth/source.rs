//! Where a token may stand in a request, and in which order it is looked for (`docs/PROTOCOL.md`, section 6).

use ::http::{HeaderMap, Uri, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;

use super::{Credential, Token};
use crate::{
    error::BuildError,
    http::list,
    limits::{MAX_TOKEN, check_name},
};

/// What the subprotocol that carries a token begins with; the token follows as unpadded base64url.
pub(crate) const BEARER_PROTOCOL: &str = "base64url.bearer.herenow.";
/// The query parameter of a one-time ticket.
const TICKET: &str = "ticket";

/// Where a credential stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// `Authorization: Bearer`.
    Header,
    /// The subprotocol `base64url.bearer.herenow.…`.
    Subprotocol,
    /// A named cookie.
    Cookie,
    /// `hello.token`, the first message of a connection.
    FirstMessage,
    /// A one-time `?ticket=`. Its text is no token: herenow takes it itself, no authenticator sees it.
    Ticket,
    /// A named query parameter.
    Query,
    /// `auth.token`, a refresh on an open connection.
    InBand,
}

/// Where tokens are taken from. Two different ones in one request are refused, equal ones are one.
///
/// | source | default |
/// |---|---|
/// | `Authorization: Bearer` | on |
/// | subprotocol `base64url.bearer.herenow.…` | on |
/// | cookie | off: name it with [`cookie`](Self::cookie) |
/// | first message | on |
/// | one-time `?ticket=` | on |
/// | query parameter | off: it ends up in access logs |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    header: bool,
    subprotocol: bool,
    cookie: Option<String>,
    first_message: bool,
    ticket: bool,
    query: Option<String>,
}

impl Default for Sources {
    fn default() -> Self {
        Self { header: true, subprotocol: true, cookie: None, first_message: true, ticket: true, query: None }
    }
}

impl Sources {
    /// Takes tokens from the cookie of this name too, on requests of an allowed Origin only. Default: off. The
    /// cookie's value is taken as it stands; an empty one counts as none, since that is how cookies are cleared.
    #[must_use]
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.cookie = Some(name.into());
        self
    }

    /// Takes tokens from the query parameter of this name too. Default: off, because access logs, proxies and
    /// histories keep what stands there; a one-time ticket does what it is for.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>) -> Self {
        self.query = Some(name.into());
        self
    }

    /// Takes none from `Authorization`. Default: on.
    #[must_use]
    pub fn without_header(mut self) -> Self {
        self.header = false;
        self
    }

    /// Takes none from the subprotocol. Default: on.
    #[must_use]
    pub fn without_subprotocol(mut self) -> Self {
        self.subprotocol = false;
        self
    }

    /// Takes none from the first message. Default: on.
    #[must_use]
    pub fn without_first_message(mut self) -> Self {
        self.first_message = false;
        self
    }

    /// Takes no one-time tickets. Default: on.
    #[must_use]
    pub fn without_ticket(mut self) -> Self {
        self.ticket = false;
        self
    }

    pub(crate) fn takes_first_message(&self) -> bool {
        self.first_message
    }

    pub(crate) fn takes_tickets(&self) -> bool {
        self.ticket
    }

    pub(crate) fn takes_cookies(&self) -> bool {
        self.cookie.is_some()
    }

    /// Whether the names can stand where they are looked for.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.cookie.as_deref().is_some_and(|name| !is_http_token(name)) {
            let problem = "not a cookie's name: letters, digits and -_. are".to_owned();
            return Err(BuildError::Unreadable { name: "cookie", problem });
        }
        match self.query.as_deref() {
            Some("") => Err(BuildError::Unreadable { name: "query", problem: "is empty".to_owned() }),
            Some(TICKET) => {
                Err(BuildError::Contradiction("`query`: the parameter `ticket` is taken by tickets"))
            }
            _ => Ok(()),
        }
    }

    /// The credential of a request, if it carries one.
    pub(crate) fn find(&self, uri: &Uri, headers: &HeaderMap) -> Result<Found, Ambiguous> {
        let mut found = Found::default();
        if self.header {
            found.take_all(Source::Header, bearer_headers(headers))?;
        }
        if self.subprotocol {
            found.take_all(Source::Subprotocol, bearer_protocols(headers))?;
        }
        if let Some(name) = &self.cookie {
            found.take_all(Source::Cookie, cookies(headers, name))?;
        }
        if self.ticket {
            found.take_all(Source::Ticket, parameters(uri, TICKET))?;
        }
        if let Some(name) = &self.query {
            found.take_all(Source::Query, parameters(uri, name))?;
        }
        Ok(found)
    }
}

/// Two different credentials in one request: there is no saying which one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two different credentials in one request: send one")]
pub struct Ambiguous;

/// What [`Sources::find`] found. At most one of the two is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// A credential to ask about.
    pub(crate) credential: Option<Credential>,
    /// Where something stood that can be no token. It is a wrong credential (401), not none.
    pub(crate) malformed: Option<Source>,
}

impl Found {
    /// Where it stood; what the Origin check asks.
    pub(crate) fn source(&self) -> Option<Source> {
        self.credential.as_ref().map(|credential| credential.source).or(self.malformed)
    }

    fn take_all(
        &mut self,
        source: Source,
        candidates: impl Iterator<Item = Option<Token>>,
    ) -> Result<(), Ambiguous> {
        candidates.into_iter().try_for_each(|candidate| self.take(source, candidate))
    }

    fn take(&mut self, source: Source, candidate: Option<Token>) -> Result<(), Ambiguous> {
        match (&self.credential, candidate) {
            _ if self.malformed.is_some() => return Err(Ambiguous),
            (None, Some(token)) => self.credential = Some(Credential { token, source }),
            (None, None) => self.malformed = Some(source),
            (Some(first), Some(token)) if first.token == token => {}
            (Some(_), _) => return Err(Ambiguous),
        }
        Ok(())
    }
}

/// `None` for what can be no token: empty, too long, with control characters, not UTF-8.
fn token(bytes: &[u8]) -> Option<Token> {
    let text = std::str::from_utf8(bytes).ok()?;
    check_name("token", text, MAX_TOKEN).ok()?;
    Some(Token::new(text))
}

/// Other schemes are somebody else's and are passed over.
fn bearer_headers(headers: &HeaderMap) -> impl Iterator<Item = Option<Token>> {
    headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| {
        let value = value.as_bytes().trim_ascii();
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        scheme.eq_ignore_ascii_case(b"bearer").then(|| bearer(rest.trim_ascii()))
    })
}

/// White space inside is refused: it is how a proxy joins two headers into one.
fn bearer(text: &[u8]) -> Option<Token> {
    if text.iter().any(u8::is_ascii_whitespace) { None } else { token(text) }
}

fn bearer_protocols(headers: &HeaderMap) -> impl Iterator<Item = Option<Token>> {
    list(headers, header::SEC_WEBSOCKET_PROTOCOL).filter_map(|name| name.strip_prefix(BEARER_PROTOCOL)).map(
        |encoded| {
            // Looked at before it is decoded, so that nobody makes us allocate what we refuse anyway.
            let short = encoded.len() <= MAX_TOKEN.div_ceil(3) * 4;
            let bytes = short.then(|| URL_SAFE_NO_PAD.decode(encoded).ok()).flatten()?;
            token(&bytes)
        },
    )
}

fn cookies(headers: &HeaderMap, name: &str) -> impl Iterator<Item = Option<Token>> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b';'))
        .filter_map(move |pair| value_of(pair.trim_ascii(), name.as_bytes()))
        .map(unquoted)
        .filter(|value| !value.is_empty())
        .map(token)
}

fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pair.strip_prefix(name)?.strip_prefix(b"=")
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

/// Percent-decoded; a `+` stays one, since base64 has it.
fn parameters(uri: &Uri, name: &str) -> impl Iterator<Item = Option<Token>> {
    let pairs = uri.query().unwrap_or("").split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .filter(move |(key, _)| percent_decode_str(key).eq(name.bytes()))
        .map(|(_, value)| token(&percent_decode_str(value).collect::<Vec<u8>>()))
}

/// RFC 9110's `token`: what a header, a cookie and a subprotocol may be called.
pub(crate) fn is_http_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let entry = |&(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(entry).collect()
    }

    fn all() -> Sources {
        Sources::default().cookie("token").query("token")
    }

    fn find(sources: &Sources, uri: &str, pairs: &[(&'static str, &str)]) -> Result<Found, Ambiguous> {
        sources.find(&uri.parse().unwrap(), &map(pairs))
    }

    /// What was found in words: the source and the token, `!` for a malformed one.
    fn seen(uri: &str, pairs: &[(&'static str, &str)]) -> String {
        match find(&all(), uri, pairs) {
            Err(Ambiguous) => "ambiguous".to_owned(),
            Ok(Found { credential: Some(Credential { token, source }), .. }) => {
                format!("{source:?} {}", token.expose())
            }
            Ok(Found { malformed: Some(source), .. }) => format!("{source:?} !"),
            Ok(_) => "none".to_owned(),
        }
    }

    fn proto(token: &str) -> String {
        format!("{BEARER_PROTOCOL}{}", URL_SAFE_NO_PAD.encode(token))
    }

    #[test]
    fn every_source_is_found() {
        assert_eq!(seen("/", &[]), "none");
        assert_eq!(seen("/", &[("authorization", "bEaReR  abc ")]), "Header abc");
        let offer = format!("herenow.v1.json , {}", proto("a/b+ö"));
        assert_eq!(seen("/", &[("sec-websocket-protocol", &offer)]), "Subprotocol a/b+ö");
        assert_eq!(seen("/", &[("cookie", "x=1; token=abc"), ("cookie", "y=2")]), "Cookie abc");
        assert_eq!(seen("/", &[("cookie", "token=\"abc\"")]), "Cookie abc");
        assert_eq!(seen("/ws?a=1&ticket=t%2Dt", &[]), "Ticket t-t");
        assert_eq!(seen("/ws?tok%65n=a+b", &[]), "Query a+b");
    }

    #[test]
    fn what_is_not_ours_is_passed_over() {
        assert_eq!(seen("/", &[("authorization", "Basic YTpi")]), "none");
        assert_eq!(seen("/", &[("authorization", "Bearerabc")]), "none");
        assert_eq!(seen("/", &[("cookie", "mytoken=a; token2=b; token=; token")]), "none");
        assert_eq!(seen("/?tokens=1&ticketx=2", &[]), "none");
        assert_eq!(
            seen("/", &[("sec-websocket-protocol", "herenow.v1.json, base64url.bearer.other.YWJj")]),
            "none"
        );
        assert_eq!(
            seen("/", &[("authorization", "Basic YTpi"), ("authorization", "Bearer abc")]),
            "Header abc"
        );
    }

    #[test]
    fn by_default_neither_cookie_nor_query_counts() {
        let found = find(&Sources::default(), "/?token=a", &[("cookie", "token=b")]).unwrap();
        assert!(found.source().is_none());
    }

    #[test]
    fn a_source_that_was_switched_off_is_passed_over() {
        let off = Sources::default()
            .without_header()
            .without_subprotocol()
            .without_ticket()
            .without_first_message();
        let offer = proto("b");
        let found =
            find(&off, "/?ticket=c", &[("authorization", "Bearer a"), ("sec-websocket-protocol", &offer)]);
        assert!(found.unwrap().source().is_none());
        assert!(!off.takes_first_message() && !off.takes_tickets() && !off.takes_cookies());
    }

    #[test]
    fn two_different_tokens_are_ambiguous_wherever_they_stand() {
        let (a, b) = (("authorization", "Bearer a"), ("authorization", "Bearer b"));
        assert_eq!(seen("/", &[a, b]), "ambiguous");
        assert_eq!(seen("/", &[a, ("cookie", "token=b")]), "ambiguous");
        assert_eq!(seen("/", &[("cookie", "token=a; token=b")]), "ambiguous");
        assert_eq!(seen("/", &[("cookie", "token=a"), ("cookie", "token=b")]), "ambiguous");
        let two = format!("{},{}", proto("a"), proto("b"));
        assert_eq!(seen("/", &[("sec-websocket-protocol", &two)]), "ambiguous");
        assert_eq!(seen("/?token=b", &[a]), "ambiguous");
        assert_eq!(seen("/?ticket=b", &[a]), "ambiguous");
        assert_eq!(seen("/?token=a&token=b", &[]), "ambiguous");
    }

    #[test]
    fn a_malformed_token_beside_a_good_one_is_ambiguous() {
        assert_eq!(seen("/?token=%00", &[("authorization", "Bearer a")]), "ambiguous");
        assert_eq!(seen("/?token=a&token=%00", &[]), "ambiguous");
        assert_eq!(seen("/?token=%00&token=a", &[]), "ambiguous");
    }

    #[test]
    fn equal_tokens_are_one_and_the_first_source_names_it() {
        let offer = format!("{},{}", proto("a"), proto("a"));
        assert_eq!(
            seen("/?token=a", &[("cookie", "token=a"), ("sec-websocket-protocol", &offer)]),
            "Subprotocol a"
        );
        assert_eq!(seen("/", &[("authorization", "Bearer a"), ("authorization", "bearer a")]), "Header a");
    }

    #[test]
    fn a_malformed_token_is_a_wrong_one_and_not_none() {
        let long = format!("Bearer {}", "x".repeat(MAX_TOKEN + 1));
        assert_eq!(seen("/", &[("authorization", &long)]), "Header !");
        assert_eq!(seen("/", &[("authorization", "Bearer")]), "Header !");
        assert_eq!(seen("/", &[("authorization", "Bearer a, Bearer b")]), "Header !");
        for bad in ["", "YQ==", "Y", "Y*", "////"] {
            let offer = format!("{BEARER_PROTOCOL}{bad}");
            assert_eq!(seen("/", &[("sec-websocket-protocol", &offer)]), "Subprotocol !", "{bad:?}");
        }
        for bad in ["a\nb", "\u{202e}"] {
            assert_eq!(seen("/", &[("sec-websocket-protocol", &proto(bad))]), "Subprotocol !", "{bad:?}");
        }
        assert_eq!(seen("/?ticket=", &[]), "Ticket !");
        assert_eq!(seen("/?token=%ff", &[]), "Query !");
    }

    #[test]
    fn the_longest_token_passes_by_every_source() {
        let token = "x".repeat(MAX_TOKEN);
        assert_eq!(seen("/", &[("authorization", &format!("Bearer {token}"))]), format!("Header {token}"));
        assert_eq!(seen("/", &[("sec-websocket-protocol", &proto(&token))]), format!("Subprotocol {token}"));
        assert_eq!(seen("/", &[("sec-websocket-protocol", &proto(&(token + "x")))]), "Subprotocol !");
    }

    #[test]
    fn names_that_cannot_stand_there_are_found_when_built() {
        assert_eq!(all().check(), Ok(()));
        assert!(Sources::default().cookie("a b").check().is_err());
        assert!(Sources::default().cookie("").check().is_err());
        assert!(Sources::default().query("").check().is_err());
        assert!(Sources::default().query("ticket").check().is_err());
    }

    proptest! {
        #[test]
        fn no_request_makes_it_panic(
            query in "[ -~&&[^#<>\"`{}\\\\^| ]]{0,60}",
            values in proptest::collection::vec((0..3usize, proptest::collection::vec(any::<u8>(), 0..80)), 0..6),
        ) {
            let names = [header::AUTHORIZATION, header::COOKIE, header::SEC_WEBSOCKET_PROTOCOL];
            let prefixes: [&[u8]; 3] = [b"Bearer ", b"token=", BEARER_PROTOCOL.as_bytes()];
            let mut headers = HeaderMap::new();
            for (which, bytes) in values {
                if let Ok(value) = HeaderValue::from_bytes(&[prefixes[which], &bytes].concat()) {
                    headers.append(names[which].clone(), value);
                }
            }
            if let Ok(uri) = format!("/?{query}&token=a").parse::<Uri>() {
                let _ = all().find(&uri, &headers);
            }
        }

        #[test]
        fn a_token_comes_out_of_the_subprotocol_as_it_went_in(token in "[^\\p{C}\u{200e}\u{200f}]{1,60}") {
            let found = find(&all(), "/", &[("sec-websocket-protocol", &proto(&token))]).unwrap();
            let credential = found.credential.unwrap();
            prop_assert_eq!(credential.token.expose(), token);
        }
    }
}
