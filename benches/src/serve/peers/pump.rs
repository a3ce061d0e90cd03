//! A socket that is a stream and a sink, between its client and a channel.

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::sync::mpsc::UnboundedReceiver;

/// Sends what comes from the channel and reads what comes from the client, until one of them ends. A task for each of the two, as in
/// axum's and poem's chat examples: a task that did both would look for input at every message, and tungstenite clears its
/// whole read buffer at each look.
pub(super) async fn run<S, M, E>(socket: S, mut messages: UnboundedReceiver<M>)
where
    S: Sink<M> + Stream<Item = Result<M, E>> + Send + 'static,
    M: Send + 'static,
    S::Error: Send,
    E: Send,
{
    let (mut sink, mut stream) = socket.split();
    let sending = tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            if sink.send(message).await.is_err() {
                break;
            }
        }
    });
    while let Some(Ok(_)) = stream.next().await {}
    sending.abort();
}
