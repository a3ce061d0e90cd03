//! The two pages and what they load, compiled in; and the headers that keep them to themselves.

use actix_web::{
    HttpResponse,
    middleware::DefaultHeaders,
    web::{self, ServiceConfig},
};

/// Scripts and styles from here alone, no frames around the phone's "yes", nothing of a login in a cache.
const HEADERS: [(&str, &str); 4] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
];

const FILES: [(&str, &str, &str); 7] = [
    ("/", "text/html; charset=utf-8", include_str!("page.html")),
    ("/phone", "text/html; charset=utf-8", include_str!("phone.html")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page.js")),
    ("/phone.js", "text/javascript; charset=utf-8", include_str!("phone.js")),
    ("/link.js", "text/javascript; charset=utf-8", include_str!("link.js")),
    ("/logins.js", "text/javascript; charset=utf-8", include_str!("logins.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("style.css")),
];

/// `.configure(pages::routes)`
pub(crate) fn routes(config: &mut ServiceConfig) {
    for (path, kind, text) in FILES {
        let file = move || async move { HttpResponse::Ok().content_type(kind).body(text) };
        config.route(path, web::get().to(file));
    }
}

/// For every answer.
pub(crate) fn headers() -> DefaultHeaders {
    HEADERS.into_iter().fold(DefaultHeaders::new(), |headers, header| headers.add(header))
}
