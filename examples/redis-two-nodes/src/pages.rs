//! The page and what it loads, compiled in. No script runs that is not one of these files.

use axum::{
    Router,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    },
    routing::get,
};

const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: [(&str, &str, &str); 4] = [
    ("/", "text/html; charset=utf-8", include_str!("../web/page.html")),
    ("/page.js", SCRIPT, include_str!("../web/page.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../web/style.css")),
    // Any node serves it at `/presence/client.js`; the page has to come up without one.
    ("/client.js", SCRIPT, include_str!("../../../core/assets/client.js")),
];

/// A route for each file; the page may open sockets to these addresses.
pub(crate) fn routes(sockets: &[String]) -> Router {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {}; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sockets.join(" ")
    );
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        let headers = [
            (CONTENT_TYPE, kind.to_owned()),
            (CONTENT_SECURITY_POLICY, policy.clone()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (REFERRER_POLICY, "no-referrer".to_owned()),
            (CACHE_CONTROL, "no-cache".to_owned()),
        ];
        router.route(path, get(move || async move { (headers, text) }))
    })
}
