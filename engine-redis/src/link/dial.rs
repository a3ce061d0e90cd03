//! [`Dial`]: opens connections to a Redis, or to whichever one the sentinels call the master, or a Redis Cluster the owner of
//! a slot.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo,
    RedisError, ServerErrorKind, Value,
    aio::MultiplexedConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
};

use crate::{config::Server, error::ConnectError, slots};

/// How connections to one Redis are opened. Clones are cheap enough for one per task.
#[derive(Clone)]
pub(crate) struct Dial {
    way: Way,
    tls_ca: Option<Vec<u8>>,
    timeout: Duration,
}

#[derive(Clone)]
enum Way {
    Single(ConnectionInfo),
    /// Of the master only the address is missing.
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        name: String,
        master: ConnectionInfo,
    },
    /// Whichever master has the slot.
    Cluster {
        seeds: Vec<ConnectionInfo>,
        slot: u16,
    },
}

/// Dead connections are noticed by beats and answers; these are for what no longer sends.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Commands that wait to be written to one connection.
const UNDER_WAY: usize = 1 << 20;

impl Dial {
    /// To a server of the configuration; every step has so long.
    pub(crate) fn new(server: &Server, prefix: &str, timeout: Duration) -> Result<Self, ConnectError> {
        let settled = |info: ConnectionInfo| {
            let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            let tcp = TcpSettings::default()
                .set_nodelay(true)
                .set_keepalive(TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3));
            info.set_redis_settings(redis).set_tcp_settings(tcp)
        };
        let way = match server.parse()? {
            (seeds, None) if server.is_cluster() => {
                let slot = slots::slot_of_prefix(&server.prefix(prefix));
                Way::Cluster { seeds: seeds.into_iter().map(settled).collect(), slot }
            }
            (mut single, None) if single.len() == 1 => Way::Single(settled(single.remove(0))),
            (sentinels, Some((name, master))) => {
                let sentinels = sentinels.into_iter().map(settled).collect();
                Way::Sentinel { sentinels, name, master: settled(master) }
            }
            _ => {
                return Err(ConnectError::Config("a server has one address, or sentinels and a name".into()));
            }
        };
        install_tls();
        Ok(Self { way, tls_ca: server.tls_ca.clone(), timeout })
    }

    /// The same, where every step has another time.
    pub(crate) fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// Opens a connection to the master; what Redis pushes goes to `pushes`, which must not block.
    pub(crate) async fn open(
        &self,
        pushes: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, ConnectError> {
        let info = match &self.way {
            Way::Single(info) => info.clone(),
            Way::Sentinel { sentinels, name, master } => self.master(sentinels, name, master).await?,
            Way::Cluster { seeds, slot } => self.owner(seeds, *slot).await?,
        };
        let config = self.config().set_push_sender(move |info| {
            pushes(info);
            Ok::<(), redis::aio::SendError>(())
        });
        let mut connection = self.connect(&info, config).await?;
        let role = self.within(&info, super::ask(&mut connection, &redis::cmd("ROLE"))).await;
        match role {
            Ok(role) if is_master(&role) => Ok(connection),
            Ok(_) => Err(ConnectError::Replica { address: info.addr().to_string() }),
            // A user who may not ask is believed to have been given the right address.
            Err(ConnectError::Refused { .. } | ConnectError::Unsuitable { .. }) => Ok(connection),
            Err(error) => Err(error),
        }
    }

    /// How long a step has.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Asks the sentinels, in turn, for the master's address.
    async fn master(
        &self,
        sentinels: &[ConnectionInfo],
        name: &str,
        master: &ConnectionInfo,
    ) -> Result<ConnectionInfo, ConnectError> {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let mut error = ConnectError::Config("there are no sentinels to ask".into());
        for sentinel in sentinels {
            let answer = match self.connect(sentinel, self.config()).await {
                Ok(mut connection) => self.within(sentinel, super::ask(&mut connection, &ask)).await,
                Err(error) => Err(error),
            };
            let address: Option<(String, u16)> = match answer.map(redis::from_redis_value) {
                Ok(Ok(address)) => address,
                Ok(Err(_)) => None,
                Err(why) => {
                    error = why;
                    continue;
                }
            };
            if let Some((host, port)) = address {
                return Ok(master.clone().set_addr(at(master.addr(), host, port)));
            }
            let reason = format!("this sentinel knows no master of the name `{name}`");
            error = ConnectError::Unreachable { address: sentinel.addr().to_string(), reason };
        }
        Err(error)
    }

    /// Asks nodes of a Redis Cluster, in turn, for the master that has a slot.
    async fn owner(&self, seeds: &[ConnectionInfo], slot: u16) -> Result<ConnectionInfo, ConnectError> {
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("SLOTS");
        let mut error = ConnectError::Config("there are no nodes of the cluster to ask".into());
        for seed in seeds {
            let answer = match self.connect(seed, self.config()).await {
                Ok(mut connection) => self.within(seed, super::ask(&mut connection, &ask)).await,
                Err(error) => Err(error),
            };
            match answer.map(|slots| owner_of(&slots, slot)) {
                // Without a host it is the one that was asked.
                Ok(Some((host, port))) if host.is_empty() => {
                    let own = host_of(seed.addr());
                    return Ok(seed.clone().set_addr(at(seed.addr(), own, port)));
                }
                Ok(Some((host, port))) => return Ok(seed.clone().set_addr(at(seed.addr(), host, port))),
                Ok(None) => {
                    let reason = format!("no master of this cluster has slot {slot}");
                    error = ConnectError::Unreachable { address: seed.addr().to_string(), reason };
                }
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    fn config(&self) -> AsyncConnectionConfig {
        // Answers are waited for by whoever asked.
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(None)
            // Whoever hands a command over never waits for room, and so nobody gets in before it.
            .set_pipeline_buffer_size(UNDER_WAY)
    }

    async fn connect(
        &self,
        info: &ConnectionInfo,
        config: AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, ConnectError> {
        let client = self.client(info).map_err(|error| ConnectError::Config(error.to_string()))?;
        // A Redis that accepts and then says nothing is no connection either.
        self.within(info, client.get_multiplexed_async_connection_with_config(&config)).await
    }

    #[cfg(feature = "tls")]
    fn client(&self, info: &ConnectionInfo) -> Result<Client, RedisError> {
        match &self.tls_ca {
            Some(ca) if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => Client::build_with_tls(
                info.clone(),
                redis::TlsCertificates { client_tls: None, root_cert: Some(ca.clone()) },
            ),
            _ => Client::open(info.clone()),
        }
    }

    #[cfg(not(feature = "tls"))]
    fn client(&self, info: &ConnectionInfo) -> Result<Client, RedisError> {
        debug_assert!(self.tls_ca.is_none(), "the configuration was checked");
        Client::open(info.clone())
    }

    async fn within<T>(
        &self,
        info: &ConnectionInfo,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, ConnectError> {
        let address = info.addr().to_string();
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(|error| said(error, address)),
            Err(_) => {
                let reason = format!("no answer within {:?}", self.timeout);
                Err(ConnectError::Unreachable { address, reason })
            }
        }
    }
}

/// What an error of Redis means for those who want to connect.
pub(super) fn said(error: RedisError, address: String) -> ConnectError {
    let reason = error.to_string();
    let code = error.code().unwrap_or_default();
    match error.kind() {
        ErrorKind::AuthenticationFailed => ConnectError::Refused { address, reason },
        _ if matches!(code, "NOAUTH" | "WRONGPASS") => ConnectError::Refused { address, reason },
        ErrorKind::Server(ServerErrorKind::NoPerm) => ConnectError::Unsuitable { address, reason },
        ErrorKind::Server(kind) if is_elsewhere(kind) => ConnectError::Unreachable { address, reason },
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::RESP3NotSupported => {
            ConnectError::Unsuitable { address, reason }
        }
        ErrorKind::InvalidClientConfig => ConnectError::Config(reason),
        _ => ConnectError::Unreachable { address, reason },
    }
}

/// Whether another server, or this one later, is the one to ask.
pub(super) fn is_elsewhere(kind: ServerErrorKind) -> bool {
    matches!(
        kind,
        ServerErrorKind::ReadOnly
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
    )
}

pub(super) fn is_master(role: &Value) -> bool {
    let Value::Array(parts) = role else { return false };
    match parts.first() {
        Some(Value::BulkString(word)) => word == b"master",
        Some(Value::SimpleString(word)) => word == "master",
        _ => false,
    }
}

/// Which master has a slot, as `CLUSTER SLOTS` tells: ranges, each with its master first.
fn owner_of(slots: &Value, slot: u16) -> Option<(String, u16)> {
    let Value::Array(ranges) = slots else { return None };
    ranges.iter().find_map(|range| {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else {
            return None;
        };
        if !(*first..=*last).contains(&i64::from(slot)) {
            return None;
        }
        let [host, Value::Int(port), ..] = master.as_slice() else { return None };
        let host = redis::from_redis_value_ref::<Option<String>>(host).ok().flatten().unwrap_or_default();
        Some((host, u16::try_from(*port).ok()?))
    })
}

fn host_of(addr: &ConnectionAddr) -> String {
    match addr {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    }
}

/// The same way to another host.
fn at(addr: &ConnectionAddr, to: String, on: u16) -> ConnectionAddr {
    match addr {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            let (insecure, tls_params) = (*insecure, tls_params.clone());
            ConnectionAddr::TcpTls { host: to, port: on, insecure, tls_params }
        }
        _ => ConnectionAddr::Tcp(to, on),
    }
}

/// Without a provider the first TLS connection panics; whoever installed one before keeps it.
fn install_tls() {
    #[cfg(feature = "tls")]
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Without passwords, which addresses are.
impl std::fmt::Display for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.way {
            Way::Single(info) => info.addr().fmt(f),
            Way::Sentinel { name, .. } => write!(f, "the master {name}"),
            Way::Cluster { slot, .. } => write!(f, "the owner of slot {slot}"),
        }
    }
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dial").field(&format_args!("{self}")).finish()
    }
}
