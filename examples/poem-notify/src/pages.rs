//! The two pages and what they load. No script runs that is not one of these files.

use poem::{IntoResponse, Route, endpoint::make_sync, get, http::header};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("../web/page.html")),
    ("/admin", "text/html; charset=utf-8", include_str!("../web/admin.html")),
    ("/page.js", "text/javascript", include_str!("../web/page.js")),
    ("/admin.js", "text/javascript", include_str!("../web/admin.js")),
    ("/session.js", "text/javascript", include_str!("../web/session.js")),
    ("/style.css", "text/css", include_str!("../web/style.css")),
];

/// Adds the files to the routes.
pub(crate) fn on(routes: Route) -> Route {
    FILES.into_iter().fold(routes, |routes, (path, kind, text)| {
        let file = make_sync(move |_| {
            let response = text.with_content_type(kind).with_header(header::CONTENT_SECURITY_POLICY, POLICY);
            let response = response.with_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
            let response = response.with_header(header::REFERRER_POLICY, "no-referrer");
            response.with_header(header::CACHE_CONTROL, "no-cache").into_response()
        });
        routes.at(path, get(file))
    })
}
