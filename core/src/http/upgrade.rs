//! Whether a request may become a WebSocket: one validator for all frameworks (RFC 6455, 4.2; RFC 8441).

use std::borrow::Cow;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use super::{Refusal, list};
use crate::{
    auth::{BEARER_PROTOCOL, is_http_token},
    error::BuildError,
    protocol::Mode,
};

/// The subprotocol of envelope mode.
pub const ENVELOPE_PROTOCOL: &str = "herenow.v1.json";
/// The subprotocol that asks for raw mode by name.
pub const RAW_PROTOCOL: &str = "herenow.v1.raw";

/// What a server appends to a client's key (RFC 6455, 1.3).
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Which modes the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Modes {
    /// Whichever the client asks for. The default.
    #[default]
    Both,
    /// Envelopes only: a client must offer `herenow.v1.json`.
    Envelope,
    /// Raw only.
    Raw,
}

/// The subprotocols that are spoken. Default: both modes, no names of the application's own.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Protocols {
    modes: Modes,
    own: Vec<String>,
}

impl Protocols {
    /// Restricts the server to one mode. Default: [`Modes::Both`].
    #[must_use]
    pub fn modes(mut self, modes: Modes) -> Self {
        self.modes = modes;
        self
    }

    /// Adds subprotocols of the application's own; they mean raw mode. Default: none.
    #[must_use]
    pub fn own<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.own.extend(names.into_iter().map(Into::into));
        self
    }

    /// Whether the names can be subprotocols, and are none of herenow's.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.modes == Modes::Envelope && !self.own.is_empty() {
            return Err(BuildError::Contradiction(
                "`protocols` of one's own mean raw mode, which `modes` excludes",
            ));
        }
        match self.own.iter().find(|name| !is_http_token(name) || is_ours(name)) {
            Some(name) => Err(BuildError::Unreadable {
                name: "protocols",
                problem: format!("{name:?} is no name of one's own for a subprotocol; chat.v1 would be"),
            }),
            None => Ok(()),
        }
    }

    /// The mode, and the name to answer with. What the client wrote is never sent back, only a name from here.
    fn choose(&self, headers: &HeaderMap) -> Result<(Mode, Option<HeaderValue>), Refusal> {
        let offered = || list(headers, header::SEC_WEBSOCKET_PROTOCOL);
        if self.modes != Modes::Raw && offered().any(|name| name == ENVELOPE_PROTOCOL) {
            return Ok((Mode::Envelope, Some(HeaderValue::from_static(ENVELOPE_PROTOCOL))));
        }
        if self.modes == Modes::Envelope {
            return Err(self.nothing_in_common());
        }
        if offered().next().is_none() {
            return Ok((Mode::Raw, None));
        }
        let chosen =
            offered().find_map(|name| self.raw_name(name)).ok_or_else(|| self.nothing_in_common())?;
        Ok((Mode::Raw, Some(chosen)))
    }

    fn raw_name(&self, offered: &str) -> Option<HeaderValue> {
        if offered == RAW_PROTOCOL {
            return Some(HeaderValue::from_static(RAW_PROTOCOL));
        }
        let own = self.own.iter().find(|own| *own == offered && !is_ours(own))?;
        HeaderValue::from_str(own).ok()
    }

    fn nothing_in_common(&self) -> Refusal {
        let mut names: Vec<&str> = match self.modes {
            Modes::Both => vec![ENVELOPE_PROTOCOL, RAW_PROTOCOL],
            Modes::Envelope => vec![ENVELOPE_PROTOCOL],
            Modes::Raw => vec![RAW_PROTOCOL],
        };
        names.extend(self.own.iter().map(String::as_str));
        let hint =
            format!("offer one of these subprotocols, beside a token if you send one: {}", names.join(", "));
        Refusal::subprotocol(Cow::Owned(hint))
    }
}

fn is_ours(name: &str) -> bool {
    name == ENVELOPE_PROTOCOL || name == RAW_PROTOCOL || name.starts_with(BEARER_PROTOCOL)
}

/// A request that may become a WebSocket, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Handshake {
    /// `Sec-WebSocket-Accept`; `None` for HTTP/2, which has none.
    pub accept: Option<HeaderValue>,
    /// The subprotocol to answer with; `None` where the client offered none.
    pub protocol: Option<HeaderValue>,
    /// Raw or envelope mode.
    pub mode: Mode,
    /// Whether the client offered `herenow.v1.json`, so that it understands a refusal after the upgrade.
    pub offered_envelope: bool,
}

impl Handshake {
    /// No WebSocket at all: a stream of events, which speaks envelopes.
    pub(crate) fn events() -> Self {
        Self { accept: None, protocol: None, mode: Mode::Envelope, offered_envelope: false }
    }

    /// The response that makes it a WebSocket: 101, or 200 for HTTP/2.
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        if let Some(accept) = &self.accept {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.clone());
        }
        if let Some(protocol) = &self.protocol {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        response
    }
}

/// Reads an opening handshake: a `GET` of HTTP/1.1, or HTTP/2's extended `CONNECT`, where `extended_connect` says that
/// its `:protocol` is `websocket`.
///
/// # Errors
/// 426 where no WebSocket of version 13 is asked for, 400 where the request contradicts itself or no subprotocol fits.
pub fn read(
    method: &Method,
    version: Version,
    headers: &HeaderMap,
    extended_connect: bool,
    config: &Protocols,
) -> Result<Handshake, Refusal> {
    let accept = if extended_connect {
        check_extended_connect(method, version)?;
        None
    } else {
        check_upgrade(method, version, headers)?;
        Some(accept_for(only(headers, header::SEC_WEBSOCKET_KEY))?)
    };
    if only(headers, header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        return Err(Refusal::upgrade_required());
    }
    let (mode, protocol) = config.choose(headers)?;
    Ok(Handshake { accept, protocol, mode, offered_envelope: wants_visible(headers) })
}

/// Whether the client understands a refusal that is shown after the upgrade.
pub fn wants_visible(headers: &HeaderMap) -> bool {
    list(headers, header::SEC_WEBSOCKET_PROTOCOL).any(|name| name == ENVELOPE_PROTOCOL)
}

fn check_extended_connect(method: &Method, version: Version) -> Result<(), Refusal> {
    if method == Method::CONNECT && version >= Version::HTTP_2 {
        return Ok(());
    }
    Err(Refusal::bad_handshake("a WebSocket over HTTP/2 opens with CONNECT"))
}

fn check_upgrade(method: &Method, version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    if !headers.contains_key(header::UPGRADE) {
        return Err(Refusal::upgrade_required());
    }
    if method != Method::GET {
        return Err(Refusal::bad_handshake("a WebSocket opens with GET"));
    }
    if version != Version::HTTP_11 {
        return Err(Refusal::bad_handshake("an upgrade needs HTTP/1.1"));
    }
    if headers.get_all(header::HOST).iter().nth(1).is_some() {
        return Err(Refusal::bad_handshake("`Host` stands there twice")); // RFC 9112, 3.2
    }
    if !has(headers, header::UPGRADE, "websocket") {
        return Err(Refusal::bad_handshake("`Upgrade` does not say websocket"));
    }
    if !has(headers, header::CONNECTION, "upgrade") {
        return Err(Refusal::bad_handshake("`Connection` does not say upgrade: does a proxy remove it?"));
    }
    Ok(())
}

fn has(headers: &HeaderMap, name: HeaderName, entry: &str) -> bool {
    list(headers, name).any(|said| said.eq_ignore_ascii_case(entry))
}

/// The value of a header that may stand there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).into_iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes().trim_ascii())
}

fn accept_for(key: Option<&[u8]>) -> Result<HeaderValue, Refusal> {
    let bad = || Refusal::bad_handshake("`Sec-WebSocket-Key` must stand there once, 16 bytes as base64");
    let key = key.filter(|key| key.len() == 24).ok_or_else(bad)?;
    if !STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16) {
        return Err(bad());
    }
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SALT).finalize();
    HeaderValue::from_str(&STANDARD.encode(digest)).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", KEY),
        ("sec-websocket-version", "13"),
    ];

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let entry =
            |&(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(entry).collect()
    }

    /// The good handshake with the headers of one name replaced by these values.
    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = map(&GOOD);
        headers.remove(name);
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn open(headers: &HeaderMap) -> Result<Handshake, Refusal> {
        read(&Method::GET, Version::HTTP_11, headers, false, &Protocols::default())
    }

    fn status(answer: Result<Handshake, Refusal>) -> u16 {
        answer.map_or_else(
            |refusal| refusal.status().as_u16(),
            |handshake| handshake.response().status().as_u16(),
        )
    }

    fn offer(config: &Protocols, offers: &[&str]) -> Result<(Mode, Option<String>), Refusal> {
        let headers = with("sec-websocket-protocol", offers);
        let handshake = read(&Method::GET, Version::HTTP_11, &headers, false, config)?;
        let name = handshake.protocol.map(|name| name.to_str().unwrap().to_owned());
        assert_eq!(handshake.offered_envelope, offers.join(",").contains(ENVELOPE_PROTOCOL));
        Ok((handshake.mode, name))
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let response = open(&map(&GOOD)).unwrap().response();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["upgrade"], "websocket");
        assert_eq!(response.headers()["connection"], "Upgrade");
        assert!(!response.headers().contains_key("sec-websocket-protocol"));
    }

    #[test]
    fn names_are_compared_without_case_and_over_all_lines() {
        for (name, values) in [
            ("upgrade", &["WebSocket"][..]),
            ("upgrade", &["WEBSOCKET"]),
            ("upgrade", &["h2c, websocket"]),
            ("upgrade", &["h2c", "Websocket"]),
            ("connection", &["keep-alive, UPGRADE"]),
            ("connection", &["keep-alive", "upgrade"]),
        ] {
            assert_eq!(status(open(&with(name, values))), 101, "{name} {values:?}");
        }
    }

    #[test]
    fn every_broken_handshake_has_its_answer() {
        for (name, values, expected) in [
            ("upgrade", &[][..], 426),
            ("upgrade", &["websocketx"], 400),
            ("upgrade", &["websocket/13"], 400),
            ("upgrade", &["h2c"], 400),
            ("connection", &[], 400),
            ("connection", &["keep-alive"], 400),
            ("connection", &["upgraded"], 400),
            ("sec-websocket-key", &[], 400),
            ("sec-websocket-key", &[""], 400),
            ("sec-websocket-key", &["short"], 400),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ"], 400),
            ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZSE="], 400),
            ("sec-websocket-key", &["!!!!!!!!!!!!!!!!!!!!!!=="], 400),
            ("sec-websocket-key", &[KEY, KEY], 400),
            ("sec-websocket-version", &[], 426),
            ("sec-websocket-version", &["12"], 426),
            ("sec-websocket-version", &["013"], 426),
            ("sec-websocket-version", &["13, 8"], 426),
            ("sec-websocket-version", &["13", "13"], 426),
        ] {
            let refusal = open(&with(name, values)).unwrap_err();
            assert_eq!(refusal.status().as_u16(), expected, "{name} {values:?}");
            assert!(!refusal.may_be_visible());
            assert_eq!(refusal.headers()["connection"], "close");
        }
        assert_eq!(status(open(&HeaderMap::new())), 426);
    }

    #[test]
    fn another_method_or_version_is_refused() {
        let headers = map(&GOOD);
        let ask =
            |method: Method, version| status(read(&method, version, &headers, false, &Protocols::default()));
        for method in [Method::POST, Method::HEAD, Method::CONNECT] {
            assert_eq!(ask(method, Version::HTTP_11), 400);
        }
        for version in [Version::HTTP_09, Version::HTTP_10, Version::HTTP_2] {
            assert_eq!(ask(Method::GET, version), 400);
        }
    }

    #[test]
    fn http_2_opens_with_an_extended_connect_and_no_key() {
        let headers = map(&[("sec-websocket-version", "13"), ("sec-websocket-protocol", RAW_PROTOCOL)]);
        let ask = |method: Method, version, headers: &HeaderMap| {
            read(&method, version, headers, true, &Protocols::default())
        };
        let response = ask(Method::CONNECT, Version::HTTP_2, &headers).unwrap().response();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().len(), 1);
        assert_eq!(response.headers()["sec-websocket-protocol"], RAW_PROTOCOL);
        assert_eq!(status(ask(Method::CONNECT, Version::HTTP_2, &HeaderMap::new())), 426);
        assert_eq!(status(ask(Method::GET, Version::HTTP_2, &headers)), 400);
        assert_eq!(status(ask(Method::CONNECT, Version::HTTP_11, &headers)), 400);
    }

    #[test]
    fn the_offer_chooses_the_mode() {
        let config = Protocols::default().own(["chat.v1"]);
        let some = |mode, name: &str| Ok((mode, Some(name.to_owned())));
        assert_eq!(offer(&config, &[]), Ok((Mode::Raw, None)));
        assert_eq!(offer(&config, &["herenow.v1.json"]), some(Mode::Envelope, ENVELOPE_PROTOCOL));
        assert_eq!(offer(&config, &["chat.v1, herenow.v1.json"]), some(Mode::Envelope, ENVELOPE_PROTOCOL));
        assert_eq!(offer(&config, &["x", "herenow.v1.raw"]), some(Mode::Raw, RAW_PROTOCOL));
        assert_eq!(offer(&config, &["chat.v1, herenow.v1.raw"]), some(Mode::Raw, "chat.v1"));
    }

    #[test]
    fn a_token_is_never_echoed_and_never_enough() {
        let config = Protocols::default().own(["base64url.bearer.herenow.YQ"]);
        let (_, name) = offer(&config, &["base64url.bearer.herenow.YQ, herenow.v1.json"]).unwrap();
        assert_eq!(name.as_deref(), Some(ENVELOPE_PROTOCOL));
        for offers in ["base64url.bearer.herenow.YQ", "graphql-ws", "HERENOW.V1.JSON"] {
            let refusal = offer(&config, &[offers]).unwrap_err();
            assert_eq!((refusal.status().as_u16(), refusal.close().code()), (400, 4406));
            assert!(refusal.message().contains("herenow.v1.json, herenow.v1.raw"), "{}", refusal.message());
        }
    }

    #[test]
    fn a_server_of_one_mode_refuses_the_other() {
        let (envelope, raw) =
            (Protocols::default().modes(Modes::Envelope), Protocols::default().modes(Modes::Raw));
        assert!(offer(&envelope, &[]).is_err() && offer(&envelope, &[RAW_PROTOCOL]).is_err());
        assert_eq!(offer(&envelope, &[ENVELOPE_PROTOCOL]).unwrap().0, Mode::Envelope);
        assert!(offer(&raw, &[ENVELOPE_PROTOCOL]).is_err());
        let both = offer(&raw, &["herenow.v1.json, herenow.v1.raw"]).unwrap();
        assert_eq!(both, (Mode::Raw, Some(RAW_PROTOCOL.to_owned())));
    }

    #[test]
    fn names_that_cannot_be_ones_own_are_found_when_built() {
        assert_eq!(Protocols::default().own(["chat.v1"]).check(), Ok(()));
        for bad in ["", "a b", "a,b", "ä", "herenow.v1.json", "herenow.v1.raw", "base64url.bearer.herenow.YQ"]
        {
            assert!(Protocols::default().own([bad]).check().is_err(), "{bad}");
        }
        assert!(Protocols::default().own(["chat.v1"]).modes(Modes::Envelope).check().is_err());
    }

    proptest! {
        #[test]
        fn no_headers_make_it_panic_and_no_answer_repeats_the_client(
            values in proptest::collection::vec((0..5usize, proptest::collection::vec(any::<u8>(), 0..40)), 0..8),
            extended: bool,
        ) {
            let mut headers = map(&GOOD);
            for (which, bytes) in values {
                let name = ["upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol"][which];
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    headers.append(name, value);
                }
            }
            let config = Protocols::default().own(["chat.v1"]);
            let method = if extended { Method::CONNECT } else { Method::GET };
            let version = if extended { Version::HTTP_2 } else { Version::HTTP_11 };
            if let Ok(handshake) = read(&method, version, &headers, extended, &config) {
                let name = handshake.response().headers().get("sec-websocket-protocol").cloned();
                prop_assert!(name.is_none_or(|name| ["chat.v1", ENVELOPE_PROTOCOL, RAW_PROTOCOL].contains(&name.to_str().unwrap())));
            }
        }
    }
}
