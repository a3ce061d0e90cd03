//! Keeps the connection for commands: opens it, loads the scripts, and opens it anew when it is lost.

use std::{sync::Arc, time::Duration};

use redis::{Value, aio::ConnectionLike};
use tokio::{sync::watch, time::timeout};

use super::{Backoff, Dial, Link, load};
use crate::{error::ConnectError, observe, script};

/// A connection as Redis names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Client {
    id: String,
    addr: String,
}

/// Keeps the link connected for as long as it is polled; `trouble` says what an attempt came to, `None` once one works.
/// A connection that nobody uses is tried once in so long.
pub(crate) async fn keep_connected(
    link: Link,
    dial: Dial,
    every: Duration,
    lease: Duration,
    trouble: Arc<watch::Sender<Option<ConnectError>>>,
) {
    let (mut backoff, mut before) = (Backoff::new(lease), None);
    loop {
        backoff.wait().await;
        match open(&link, &dial, &mut before).await {
            Ok(number) => {
                backoff.reset();
                observe::connected("commands");
                trouble.send_if_modified(|trouble| trouble.take().is_some());
                tracing::debug!(number, "connected to Redis");
                let mut told = link.number();
                // Nobody but this task puts another one in its place.
                while timeout(every, told.wait_for(|told| *told != Some(number))).await.is_err() {
                    // What does not come back ends the connection, and so does a master that is none any more.
                    let role = link.call::<Value>(redis::cmd("ROLE")).await;
                    if role.is_ok_and(|role| !super::dial::is_master(&role)) {
                        link.lost(number);
                    }
                }
                tracing::warn!(number, "lost the connection to Redis");
            }
            Err(error) => {
                tracing::debug!(%error, "cannot connect to Redis");
                trouble.send_replace(Some(error));
            }
        }
    }
}

async fn open(link: &Link, dial: &Dial, before: &mut Option<Client>) -> Result<u64, ConnectError> {
    // The connection tells of its end, which may come before it has a number.
    let (end, ended) = watch::channel(false);
    let mut connection = dial
        .open(move |info| {
            if matches!(info.kind, redis::PushKind::Disconnection) {
                end.send_replace(true);
            }
        })
        .await?;

    let mut setup = redis::pipe();
    let killing = before.take().inspect(|client| {
        // What was written to the old connection and not read yet must not be carried out after what comes next.
        setup.cmd("CLIENT").arg("KILL").arg("ID").arg(&client.id).arg("ADDR").arg(&client.addr);
    });
    setup.cmd("CLIENT").arg("INFO");
    setup.cmd("INFO").arg("memory");
    script::all().for_each(|script| {
        setup.add_command(load(script));
    });
    let steps = setup.len();
    let setting_up = connection.req_packed_commands(&setup, 0, steps);
    let address = || dial.to_string();
    let answers = match timeout(dial.timeout(), setting_up).await {
        Ok(answers) => answers.map_err(|error| super::dial::said(error, address()))?,
        Err(_) => {
            let reason = "no answer while scripts were loaded".to_owned();
            return Err(ConnectError::Unreachable { address: address(), reason });
        }
    };
    let mut answers = answers.into_iter();
    if killing.is_some() {
        let _ = answers.next(); // It is gone, or Redis is another one.
    }
    *before = answers.next().as_ref().and_then(client);
    if let Some(policy) = answers.next().as_ref().and_then(evicts) {
        tracing::warn!(
            policy,
            "this Redis drops keys when its memory is full: set maxmemory-policy to noeviction"
        );
    }
    for answer in answers {
        answer.extract_error().map_err(|error| super::dial::said(error, address()))?;
    }

    let number = link.install(connection);
    let (link, mut ended) = (link.downgrade(), ended);
    tokio::spawn(async move {
        // The sender goes with the connection, so this ends in any case.
        let _ = ended.wait_for(|ended| *ended).await;
        if let Some(link) = link.upgrade() {
            link.lost(number);
        }
    });
    Ok(number)
}

/// The policy by which keys would be dropped that nobody asked to drop, as `INFO memory` says; `None` where none are.
fn evicts(info: &Value) -> Option<&str> {
    let of = |name: &str| text(info)?.lines().find_map(|line| line.strip_prefix(name));
    of("maxmemory:").filter(|limit| *limit != "0")?;
    of("maxmemory_policy:").filter(|policy| *policy != "noeviction")
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// What `CLIENT INFO` says of this connection.
fn client(info: &Value) -> Option<Client> {
    let text = text(info)?;
    let of = |name: &str| {
        let word = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        word.map(str::to_owned)
    };
    Some(Client { id: of("id")?, addr: of("addr")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_known_by_its_number_and_address() {
        let text = "id=7 addr=127.0.0.1:5000 laddr=127.0.0.1:6379 fd=8 name= age=0\n".to_owned();
        let known = Some(Client { id: "7".into(), addr: "127.0.0.1:5000".into() });
        let verbatim = Value::VerbatimString { format: redis::VerbatimFormat::Text, text: text.clone() };
        assert_eq!(client(&verbatim), known);
        assert_eq!(client(&Value::BulkString(text.into_bytes())), known);
        assert_eq!(client(&Value::Nil), None);
    }

    #[test]
    fn a_redis_that_may_drop_keys_is_known_by_its_policy() {
        let says = |limit: &str, policy: &str| {
            let info =
                format!("# Memory\r\nused_memory:1\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
            evicts(&Value::BulkString(info.into_bytes())).map(str::to_owned)
        };
        assert_eq!(says("100", "allkeys-lru"), Some("allkeys-lru".to_owned()));
        assert_eq!((says("0", "allkeys-lru"), says("100", "noeviction")), (None, None));
    }
}
