//! What `/ws` and `/echo` do with a client's messages, on every adapter.

use herenow::{Body, Connection, HandlerError, Inbound, Reply};

/// `echo:…` comes back as it is, `panic!` panics, anything else goes unanswered; in envelope mode as a JSON string.
pub(super) async fn ws(_: Connection, inbound: Inbound) -> Result<Reply, HandlerError> {
    let said = match &inbound.body {
        Body::Text(text) => Some(text.clone()),
        Body::Json(_) => inbound.json::<String>().ok(),
        _ => None,
    };
    match said {
        Some(text) if text == "panic!" => panic!("a client asked for it"),
        Some(text) if text.starts_with("echo:") => Ok(Reply::text(text)),
        _ => Ok(Reply::None),
    }
}

/// Everything comes back.
pub(super) async fn echo(_: Connection, inbound: Inbound) -> Result<Reply, HandlerError> {
    Ok(match inbound.body {
        Body::Text(text) => Reply::text(text),
        Body::Binary(bytes) => Reply::binary(bytes),
        _ => Reply::None,
    })
}
