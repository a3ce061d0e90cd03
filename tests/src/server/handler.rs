//! What `/ws` and `/echo` do with a client's messages, on every adapter.

use herenow::{Body, Connection, HandlerError, Inbound, Reply};

/// `echo:…` comes back as it is, `join:…` and `leave:…` too once the application has the connection in that channel or out
/// of it, `panic!` panics, anything else goes unanswered; in envelope mode as a JSON string.
pub(super) async fn ws(connection: Connection, inbound: Inbound) -> Result<Reply, HandlerError> {
    let said = match &inbound.body {
        Body::Text(text) => Some(text.clone()),
        Body::Json(_) => inbound.json::<String>().ok(),
        _ => None,
    };
    match said {
        Some(text) if text == "panic!" => panic!("a client asked for it"),
        Some(text) if text.starts_with("echo:") => Ok(Reply::text(text)),
        Some(text) => match text.split_once(':') {
            Some(("join", channel)) => {
                connection.join(channel).map_err(|error| HandlerError::bad_frame(error.to_string()))?;
                Ok(Reply::text(text))
            }
            Some(("leave", channel)) => {
                connection.leave(channel);
                Ok(Reply::text(text))
            }
            _ => Ok(Reply::None),
        },
        None => Ok(Reply::None),
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
