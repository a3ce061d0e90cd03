//! The two pages and what they load, compiled in. No script runs that is not one of these files or the client.

use axum::{
    Router,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    routing::get,
};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [(&str, &str, &str); 15] = [
    ("/", HTML, include_str!("../web/page.html")),
    ("/page.js", SCRIPT, include_str!("../web/page.js")),
    ("/session.js", SCRIPT, include_str!("../web/session.js")),
    ("/rooms.js", SCRIPT, include_str!("../web/rooms.js")),
    ("/room.js", SCRIPT, include_str!("../web/room.js")),
    ("/here-now.js", SCRIPT, include_str!("../web/here-now.js")),
    ("/texts.js", SCRIPT, include_str!("../web/texts.js")),
    ("/dom.js", SCRIPT, include_str!("../web/dom.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../web/style.css")),
    ("/seed", HTML, include_str!("../web/seed.html")),
    ("/seed/seed.js", SCRIPT, include_str!("../web/seed/seed.js")),
    ("/seed/1-constructor.js", SCRIPT, include_str!("../web/seed/1-constructor.js")),
    ("/seed/2-subscribe-presence.js", SCRIPT, include_str!("../web/seed/2-subscribe-presence.js")),
    ("/seed/3-unsubscribe-presence.js", SCRIPT, include_str!("../web/seed/3-unsubscribe-presence.js")),
    ("/seed/4-here-now.js", SCRIPT, include_str!("../web/seed/4-here-now.js")),
];

/// A route for each file.
pub(crate) fn routes() -> Router {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        let headers = [
            (CONTENT_TYPE, kind),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-cache"),
        ];
        router.route(path, get(move || async move { (headers, text) }))
    })
}
