//! actix-ws: its sessions in a list, as in its chat example.

use std::{error::Error, net::TcpListener, time::Duration};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, rt, web};
use actix_ws::{Message, MessageStream, Session};
use bytestring::ByteString;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};

use super::{Push, connections::Connections};
use crate::serve;

/// What is written from, in bytes.
#[derive(Clone, Copy)]
pub(super) enum Buffers {
    Default,
    Small,
}

const WRITE: usize = 4 * 1024;
/// A broadcast waits so long for those whose channels are full; they miss the message then. Its example waits for ever.
const PATIENCE: Duration = Duration::from_secs(1);

type Sessions = Connections<Session>;

pub(super) fn serve(threads: usize, buffers: Buffers) -> Result<(), Box<dyn Error>> {
    rt::System::new().block_on(async {
        let sessions = Sessions::default();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        serve::ready(listener.local_addr()?);
        let data = web::Data::new(sessions.clone());
        let app = move || App::new().app_data(data.clone()).route("/ws", web::get().to(ws));
        let server = HttpServer::new(app).workers(threads).disable_signals();
        let server = match buffers {
            Buffers::Default => server,
            Buffers::Small => server.h1_write_buffer_size(WRITE),
        };
        tokio::select! {
            ended = server.listen(listener)?.run() => Ok(ended?),
            ended = super::obey(sessions) => ended,
        }
    })
}

async fn ws(
    request: HttpRequest,
    body: web::Payload,
    sessions: web::Data<Sessions>,
) -> actix_web::Result<HttpResponse> {
    let (response, session, messages) = actix_ws::handle(&request, body)?;
    rt::spawn(attend(session, messages, sessions));
    Ok(response)
}

async fn attend(mut session: Session, mut messages: MessageStream, sessions: web::Data<Sessions>) {
    let seat = sessions.add(session.clone());
    let mut reason = None;
    while let Some(Ok(message)) = messages.recv().await {
        match message {
            Message::Ping(bytes) if session.pong(&bytes).await.is_err() => break,
            Message::Close(why) => {
                reason = why;
                break;
            }
            _ => {}
        }
    }
    drop(seat);
    let _ = session.close(reason).await;
}

/// Whether a session takes a message without waiting, or is closed, where there is nothing to wait for.
fn takes(session: &mut Session, message: &ByteString) -> bool {
    session.text(message.clone()).now_or_never().is_some()
}

impl Push for Sessions {
    /// Its example waits for all sessions together; here those that take the message at once are not even put on that list.
    async fn to_all(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        let message = ByteString::from(payload);
        let mut full = Vec::new();
        self.each(|session| {
            if !takes(session, &message) {
                full.push(session.clone());
            }
        });
        if !full.is_empty() {
            let mut sending: FuturesUnordered<_> =
                full.iter_mut().map(|session| session.text(message.clone())).collect();
            let _ = tokio::time::timeout(PATIENCE, async { while sending.next().await.is_some() {} }).await;
        }
        Ok(())
    }

    async fn to_next(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        let message = ByteString::from(payload);
        let full = self.next(|session| (!takes(session, &message)).then(|| session.clone())).flatten();
        if let Some(mut session) = full {
            let _ = tokio::time::timeout(PATIENCE, session.text(message)).await;
        }
        Ok(())
    }
}
