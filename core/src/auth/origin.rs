//! Which pages may connect: the defence against a foreign page that uses its visitor's cookie.

use ::http::header;

use super::{Source, Sources};
use crate::{error::BuildError, http::RequestInfo};

const SHAPE: &str =
    "an origin is scheme://host or scheme://host:port, without a path: https://app.example:8443";

/// The Origins a request may come from, compared by scheme, host and port. The default is
/// [`same_origin`](Self::same_origin).
///
/// Whatever the rule, a request is refused that says `null`, says two Origins, or says something that is none.
/// A request without an Origin comes from a program and passes, unless its credential is a cookie: then it
/// must come with the browser's `Sec-Fetch-Site: same-origin`, which no page can set.
///
/// ```
/// # fn main() -> Result<(), herenow::BuildError> {
/// use herenow::auth::Origins;
///
/// let origins = Origins::parse(["https://app.example", "https://admin.app.example:8443"])?;
/// # let _ = origins; Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    rule: Rule,
    /// What [`Origins::allow`] could not read; told when the builder builds.
    problem: Option<BuildError>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Rule {
    #[default]
    SameOrigin,
    List(Vec<Origin>),
    Any,
}

impl Origins {
    /// The Origin must be the host and port that the request was sent to.
    ///
    /// A port that is not said is the default one of the Origin's scheme. The scheme itself is compared where the
    /// request says whether it came over TLS ([`RequestInfo::secure`]); behind a proxy the server does not know,
    /// and takes both. The rule trusts the `Host` header; a list trusts nothing.
    pub fn same_origin() -> Self {
        Self::default()
    }

    /// Any Origin. Building fails where a cookie is a source of tokens: every page could then act for its visitors.
    pub fn any() -> Self {
        Self { rule: Rule::Any, problem: None }
    }

    /// These Origins and no others, one's own included only where it is named.
    ///
    /// # Errors
    /// [`BuildError::Unreadable`] for what is no origin.
    pub fn parse<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, BuildError> {
        let list = origins.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { rule: Rule::List(list), problem: None })
    }

    /// Adds an Origin to the list. The first one turns any other rule into a list: name your own origin too.
    /// One that cannot be read makes the builder fail.
    #[must_use]
    pub fn allow(mut self, origin: &str) -> Self {
        let mut list = match self.rule {
            Rule::List(list) => list,
            Rule::SameOrigin | Rule::Any => Vec::new(),
        };
        match read(origin) {
            Ok(origin) => list.push(origin),
            Err(problem) => self.problem = self.problem.or(Some(problem)),
        }
        self.rule = Rule::List(list);
        self
    }

    /// Whether the rule can stand beside these sources of tokens.
    pub(crate) fn check_against(&self, sources: &Sources) -> Result<(), BuildError> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        if self.rule == Rule::Any && sources.takes_cookies() {
            return Err(BuildError::Contradiction(
                "`Origins::any()` with a cookie as a source lets every page act for its visitors: name the origins",
            ));
        }
        Ok(())
    }

    /// Whether a request may go on; asked before its token is looked at.
    pub(crate) fn check(&self, request: &RequestInfo, source: Option<Source>) -> Result<(), OriginDenied> {
        let mut said = request.headers().get_all(header::ORIGIN).iter();
        let passes = match (said.next(), said.next()) {
            (None, _) => source != Some(Source::Cookie) || browser_says_same_origin(request),
            (Some(origin), None) => origin
                .to_str()
                .ok()
                .and_then(Origin::parse)
                .is_some_and(|origin| self.admits(&origin, request)),
            (Some(_), Some(_)) => false,
        };
        if passes { Ok(()) } else { Err(OriginDenied) }
    }

    fn admits(&self, origin: &Origin, request: &RequestInfo) -> bool {
        match &self.rule {
            Rule::SameOrigin => origin.is_of(request),
            Rule::List(list) => list.contains(origin),
            Rule::Any => true,
        }
    }
}

fn read(text: &str) -> Result<Origin, BuildError> {
    Origin::parse(text).ok_or_else(|| BuildError::Unreadable {
        name: "origins",
        problem: format!("{text:?} is no origin; {SHAPE}"),
    })
}

/// Browsers send no Origin with a plain GET to their own site, an EventSource for one.
fn browser_says_same_origin(request: &RequestInfo) -> bool {
    let mut said = request.headers().get_all("sec-fetch-site").iter();
    said.next().is_some_and(|site| site == "same-origin") && said.next().is_none()
}

/// Whether a browser says that a page of another site made it ask: an image or a script, which send no Origin.
pub(crate) fn browser_says_foreign(request: &RequestInfo) -> bool {
    let mut said = request.headers().get_all("sec-fetch-site").iter();
    said.any(|site| site != "same-origin" && site != "none")
}

/// The request's Origin is not one of those allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this origin is not allowed")]
pub struct OriginDenied;

/// Scheme and host in lower case, the port spelt out where the scheme has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) || scheme.is_empty() {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = split_port(authority)?;
        Some(Self { port: port.or_else(|| default_port(&scheme)), host, scheme })
    }

    fn is_of(&self, request: &RequestInfo) -> bool {
        let scheme_fits = match request.secure() {
            Some(secure) => self.scheme == if secure { "https" } else { "http" },
            None => matches!(self.scheme.as_str(), "http" | "https"),
        };
        let Some((host, port)) = request.host().and_then(split_port) else { return false };
        scheme_fits && self.host == host && self.port == port.or_else(|| default_port(&self.scheme))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The host in lower case and the port that is said; `None` for what is no host.
fn split_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(read_port(port)?)),
        _ => (authority, None),
    };
    is_host(host).then(|| (host.to_ascii_lowercase(), port))
}

/// Digits only: `u16` would take a sign too.
fn read_port(port: &str) -> Option<u16> {
    if port.bytes().all(|b| b.is_ascii_digit()) { port.parse().ok() } else { None }
}

fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::{HeaderMap, HeaderValue, Method, Uri};
    use proptest::prelude::*;

    fn request(host: &str, origins: &[&str]) -> RequestInfo {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        for origin in origins {
            headers.append(header::ORIGIN, HeaderValue::from_bytes(origin.as_bytes()).unwrap());
        }
        RequestInfo::new(Method::GET, &Uri::from_static("/ws"), headers)
    }

    fn same(host: &str, origin: &str) -> bool {
        Origins::same_origin().check(&request(host, &[origin]), None).is_ok()
    }

    #[test]
    fn same_origin_compares_host_and_port() {
        for (host, origin) in [
            ("app.example", "https://app.example"),
            ("app.example", "http://app.example"),
            ("APP.example", "https://app.EXAMPLE"),
            ("app.example:443", "https://app.example"),
            ("app.example", "https://app.example:443"),
            ("localhost:3000", "http://localhost:3000"),
            ("[::1]:3000", "http://[::1]:3000"),
            ("[::1]", "http://[::1]"),
        ] {
            assert!(same(host, origin), "{host} {origin}");
        }
        for (host, origin) in [
            ("app.example", "https://evil.example"),
            ("app.example", "https://app.example.evil.example"),
            ("app.example", "https://xapp.example"),
            ("app.example:3000", "http://app.example:3001"),
            ("app.example:3000", "http://app.example"),
            ("app.example", "http://app.example:8080"),
            ("app.example:443", "http://app.example"),
            ("app.example", "ftp://app.example"),
            ("app.example", "chrome-extension://app.example"),
        ] {
            assert!(!same(host, origin), "{host} {origin}");
        }
    }

    #[test]
    fn where_tls_is_known_the_scheme_counts_too() {
        let request = request("app.example", &["http://app.example"]);
        assert!(Origins::default().check(&request.clone().with_secure(false), None).is_ok());
        assert!(Origins::default().check(&request.with_secure(true), None).is_err());
    }

    #[test]
    fn null_two_and_unreadable_are_denied_by_every_rule() {
        let rules = [Origins::same_origin(), Origins::any(), Origins::default().allow("https://app.example")];
        let bad: [&[&str]; 9] = [
            &["null"],
            &[""],
            &["https://app.example", "https://app.example"],
            &["https://app.example https://evil.example"],
            &["https://app.example/"],
            &["https://user@app.example"],
            &["https://app.example:+443"],
            &["app.example"],
            &["https://ä.example"],
        ];
        for origins in bad {
            for rule in &rules {
                assert_eq!(
                    rule.check(&request("app.example", origins), None),
                    Err(OriginDenied),
                    "{origins:?}"
                );
            }
        }
    }

    #[test]
    fn a_list_admits_what_it_names_and_not_ones_own_origin() {
        let rule =
            Origins::parse(["https://GOOD.example", "http://dev.example:8080", "tauri://localhost"]).unwrap();
        let passes = |origin: &str| rule.check(&request("app.example", &[origin]), None).is_ok();
        assert!(passes("https://good.example") && passes("https://good.example:443"));
        assert!(passes("http://dev.example:8080") && passes("tauri://localhost"));
        for origin in [
            "http://good.example",
            "https://good.example:8443",
            "https://dev.example:8080",
            "https://sub.good.example",
            "https://app.example",
        ] {
            assert!(!passes(origin), "{origin}");
        }
    }

    #[test]
    fn without_an_origin_programs_pass_and_cookies_do_not() {
        let request = request("app.example", &[]);
        let rule = Origins::default();
        assert!(rule.check(&request, None).is_ok());
        assert!(rule.check(&request, Some(Source::Header)).is_ok());
        assert_eq!(rule.check(&request, Some(Source::Cookie)), Err(OriginDenied));
    }

    #[test]
    fn a_browsers_own_word_stands_in_for_a_missing_origin() {
        for (site, passes) in
            [("same-origin", true), ("same-site", false), ("cross-site", false), ("none", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            let request = RequestInfo::new(Method::GET, &Uri::from_static("/events"), headers);
            assert_eq!(Origins::default().check(&request, Some(Source::Cookie)).is_ok(), passes, "{site}");
        }
    }

    #[test]
    fn without_a_host_nothing_is_the_same_origin() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://app.example"));
        let request = RequestInfo::new(Method::GET, &Uri::from_static("/ws"), headers);
        assert_eq!(Origins::default().check(&request, None), Err(OriginDenied));
    }

    #[test]
    fn any_origin_and_a_cookie_do_not_go_together() {
        assert_eq!(Origins::any().check_against(&Sources::default()), Ok(()));
        assert!(Origins::any().check_against(&Sources::default().cookie("token")).is_err());
        assert_eq!(Origins::default().check_against(&Sources::default().cookie("token")), Ok(()));
    }

    #[test]
    fn an_unreadable_entry_says_what_a_good_one_looks_like() {
        let error = Origins::parse(["https://app.example/path"]).unwrap_err();
        assert!(error.to_string().contains("https://app.example:8443"), "{error}");
        let late = Origins::default().allow("app.example").allow("https://app.example");
        assert!(late.check_against(&Sources::default()).is_err());
    }

    proptest! {
        #[test]
        fn no_origin_makes_it_panic(origin in "\\PC{0,40}", host in "[!-~]{0,40}") {
            let _ = Origin::parse(&origin);
            let _ = same(&host, "https://app.example");
        }
    }
}
