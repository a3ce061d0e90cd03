//! [`RedisConfig`]: where Redis is, and how this node behaves towards it.

use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::{error::ConnectError, slots};

/// Where Redis is and how this node behaves towards it. Every node of a cluster needs the same servers, prefix and
/// lease.
///
/// ```
/// use std::time::Duration;
/// use herenow_redis::{RedisConfig, Server};
///
/// # fn main() -> Result<(), herenow_redis::ConnectError> {
/// let from_a_url = RedisConfig::try_from("redis://user:password@127.0.0.1:6379/0")?;
/// let by_fields = RedisConfig::new(Server::sentinel(["redis://10.0.0.1:26379", "redis://10.0.0.2:26379"], "mymaster"))
///     .prefix("shop")
///     .node_name("web-1")
///     .lease(Duration::from_secs(10));
/// by_fields.check()?;
/// # let _ = from_a_url; Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisConfig {
    pub(crate) servers: Vec<Server>,
    pub(crate) prefix: String,
    pub(crate) node_name: Option<String>,
    pub(crate) heartbeat: Duration,
    pub(crate) lease: Duration,
    pub(crate) command_timeout: Duration,
    pub(crate) queued_pushes: usize,
    pub(crate) queued_bytes: usize,
}

impl RedisConfig {
    /// One Redis, and everything else as it is by default.
    pub fn new(server: Server) -> Self {
        Self::sharded([server])
    }

    /// Several Redis that know nothing of each other, each holding a part of the users and channels. All nodes have to
    /// name them in the same order.
    pub fn sharded(servers: impl IntoIterator<Item = Server>) -> Self {
        Self {
            servers: servers.into_iter().collect(),
            prefix: "herenow".into(),
            node_name: None,
            heartbeat: Duration::from_secs(1),
            lease: Duration::from_secs(6),
            command_timeout: Duration::from_secs(1),
            queued_pushes: 100_000,
            queued_bytes: 64 << 20,
        }
    }

    /// What every key and channel name begins with; `herenow` by default. Clusters of different prefixes can share a
    /// Redis and know nothing of each other.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A name that stays the same when this node is started again; none by default. A node that registers under a name
    /// takes the place of the one before at once: what that one left behind is gone without waiting for its lease.
    pub fn node_name(mut self, name: impl Into<String>) -> Self {
        self.node_name = Some(name.into());
        self
    }

    /// How often the node says that it is alive; each second by default.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// How long a node is believed to be alive after its last heartbeat; 6 s by default, at least three heartbeats.
    pub fn lease(mut self, time: Duration) -> Self {
        self.lease = time;
        self
    }

    /// How long Redis has for one answer before the connection is given up; 1 s by default. A heartbeat waits no longer than
    /// for a third of the lease.
    pub fn command_timeout(mut self, time: Duration) -> Self {
        self.command_timeout = time;
        self
    }

    /// How many pushes, and how many bytes of them, may wait on their way to other nodes, and as many on their way in;
    /// 100,000 and 64 MiB by default. What is more is refused at once (`Receipt::Unavailable`), or dropped and counted.
    pub fn queue(mut self, pushes: usize, bytes: usize) -> Self {
        (self.queued_pushes, self.queued_bytes) = (pushes, bytes);
        self
    }

    /// Whether it can be used at all. Connecting checks it too.
    ///
    /// # Errors
    /// [`ConnectError::Config`], which says what to change.
    pub fn check(&self) -> Result<(), ConnectError> {
        let config = |what: &str| Err(ConnectError::Config(what.to_owned()));
        if self.servers.is_empty() {
            return config("no server is named");
        }
        if self.servers.iter().map(|server| server.parts().len()).sum::<usize>() > MAX_SHARDS {
            return config("more than 256 servers are named: each holds at least one of 256 parts");
        }
        let fits = |name: &str, longest: usize| {
            (1..=longest).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !fits(&self.prefix, 64) || self.prefix.contains(['{', '}', '*', '?', '[', ']']) {
            return config("the prefix is 1 to 64 visible ASCII characters without `{}*?[]`");
        }
        if self.node_name.as_deref().is_some_and(|name| !fits(name, 128)) {
            return config("a node's name is 1 to 128 visible ASCII characters");
        }
        if self.heartbeat < Duration::from_millis(50) {
            return config("a heartbeat under 50 ms keeps Redis busy; the default is 1 s");
        }
        if self.lease < self.heartbeat * 3 {
            return config(
                "a lease under three heartbeats ends when one is late; the default is 6 s for one of 1 s",
            );
        }
        if self.lease > Duration::from_secs(3600) {
            return config(
                "a lease over an hour keeps users of dead nodes online for that long; the default is 6 s",
            );
        }
        if self.command_timeout < Duration::from_millis(10) {
            return config("a command timeout under 10 ms ends healthy connections; the default is 1 s");
        }
        if self.queued_pushes == 0 || self.queued_bytes == 0 {
            return config("a queue without room refuses every push");
        }
        self.servers.iter().try_for_each(|server| server.parse().map(drop))
    }
}

/// As many parts as there are to be held.
const MAX_SHARDS: usize = 256;

impl TryFrom<&str> for RedisConfig {
    type Error = ConnectError;

    /// One Redis, at `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS.
    fn try_from(url: &str) -> Result<Self, ConnectError> {
        let config = Self::new(Server::at(url));
        config.check()?;
        Ok(config)
    }
}

impl TryFrom<String> for RedisConfig {
    type Error = ConnectError;

    fn try_from(url: String) -> Result<Self, ConnectError> {
        Self::try_from(url.as_str())
    }
}

impl TryFrom<&String> for RedisConfig {
    type Error = ConnectError;

    fn try_from(url: &String) -> Result<Self, ConnectError> {
        Self::try_from(url.as_str())
    }
}

/// One Redis: an address, or the sentinels that know its address; or a Redis Cluster.
#[derive(Clone)]
#[must_use]
pub struct Server {
    urls: Vec<String>,
    master: Option<(String, String)>,
    /// Of a Redis Cluster, which part of it.
    part: Option<u16>,
    pub(crate) tls_ca: Option<Vec<u8>>,
}

impl Server {
    /// At `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS (feature `tls`). What is in the URL
    /// is checked when it is used.
    pub fn at(url: impl Into<String>) -> Self {
        Self { urls: vec![url.into()], master: None, part: None, tls_ca: None }
    }

    /// Wherever the sentinels at these URLs find the master of this name. They are asked again on every connect, so a
    /// failover is followed. User, password and database of the master itself: [`credentials`](Self::credentials).
    pub fn sentinel<U: Into<String>>(urls: impl IntoIterator<Item = U>, master: impl Into<String>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self { urls, master: Some((master.into(), "redis://master/".into())), part: None, tls_ca: None }
    }

    /// The Redis Cluster of which these are some of the nodes, for those who have one: 7.0 or newer. User, password and TLS are
    /// those of the URLs, on every node of it. Where a master is lost or slots move, the cluster is asked anew.
    ///
    /// It is used in 16 parts, each in a slot of its own: up to 16 masters share the load, and a node holds three
    /// connections for each part.
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Self {
        let urls = urls.into_iter().map(Into::into).collect();
        Self { urls, master: None, part: Some(0), tls_ca: None }
    }

    /// How to reach the master that sentinels name: a URL whose host and port are left unused, as in
    /// `rediss://user:password@master/2`. Without it: no password, database 0, no TLS.
    pub fn credentials(mut self, url: impl Into<String>) -> Self {
        if let Some((_, master)) = &mut self.master {
            *master = url.into();
        }
        self
    }

    /// The certificates that servers are trusted by, in PEM; the public ones by default. Only with TLS.
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_ca = Some(pem.into());
        self
    }

    /// Each part of it: one, but for a Redis Cluster.
    pub(crate) fn parts(&self) -> Vec<Self> {
        let parts = if self.part.is_some() { slots::PARTS } else { 1 };
        (0..parts).map(|part| Self { part: self.part.map(|_| part), ..self.clone() }).collect()
    }

    /// What the keys that are held here begin with.
    pub(crate) fn prefix(&self, prefix: &str) -> String {
        self.part.map_or_else(|| prefix.to_owned(), |part| slots::prefix_of(prefix, part))
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.part.is_some()
    }

    /// The addresses, and of a master behind sentinels its name and how to reach it.
    #[allow(clippy::type_complexity)] // Read in one place.
    pub(crate) fn parse(
        &self,
    ) -> Result<(Vec<ConnectionInfo>, Option<(String, ConnectionInfo)>), ConnectError> {
        if self.urls.is_empty() {
            return Err(ConnectError::Config(
                "there is nobody to ask: name sentinels, or nodes of the cluster".into(),
            ));
        }
        if self.tls_ca.is_some() && !cfg!(feature = "tls") {
            let needs = "certificates are given, which need the feature `tls` of herenow-redis";
            return Err(ConnectError::Config(needs.into()));
        }
        let urls: Vec<ConnectionInfo> = self.urls.iter().map(|url| parse(url)).collect::<Result<_, _>>()?;
        if self.part.is_some() && urls.iter().any(|url| url.redis_settings().db() != 0) {
            return Err(ConnectError::Config("a Redis Cluster has no database but 0".into()));
        }
        let master = match &self.master {
            Some((name, _)) if name.is_empty() => {
                return Err(ConnectError::Config("the master's name is empty; sentinels need one".into()));
            }
            Some((name, url)) => Some((name.clone(), parse(url)?)),
            None => None,
        };
        Ok((urls, master))
    }
}

fn parse(url: &str) -> Result<ConnectionInfo, ConnectError> {
    if url.starts_with("rediss:") && !cfg!(feature = "tls") {
        return Err(ConnectError::Config("`rediss://` needs the feature `tls` of herenow-redis".into()));
    }
    if !url.starts_with("redis:") && !url.starts_with("rediss:") {
        let what = "a URL begins with `redis://`, or `rediss://` for TLS, as in `redis://127.0.0.1:6379/`";
        return Err(ConnectError::Config(what.into()));
    }
    url.into_connection_info().map_err(|error| ConnectError::Config(error.to_string()))
}

/// Without the URLs, which may hold passwords.
impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let addresses = self.parse().map(|(urls, _)| urls.iter().map(|url| url.addr().to_string()).collect());
        let addresses: Vec<String> = addresses.unwrap_or_default();
        let master = self.master.as_ref().map(|(name, _)| name);
        f.debug_struct("Server")
            .field("addresses", &addresses)
            .field("master", &master)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_used() {
        let config = RedisConfig::try_from("redis://127.0.0.1/").unwrap();
        assert_eq!(
            (config.prefix.as_str(), config.heartbeat.as_secs(), config.lease.as_secs()),
            ("herenow", 1, 6)
        );
        assert!(config.node_name.is_none());
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_do() {
        let good = || RedisConfig::new(Server::at("redis://127.0.0.1/"));
        let bad = [
            (RedisConfig::sharded([]), "no server"),
            (good().prefix(""), "prefix"),
            (good().prefix("a b"), "prefix"),
            (good().prefix("{a}"), "prefix"),
            (good().node_name("a\n"), "name"),
            (good().heartbeat(Duration::ZERO), "1 s"),
            (good().lease(Duration::from_secs(2)), "three heartbeats"),
            (good().lease(Duration::from_secs(7200)), "an hour"),
            (good().command_timeout(Duration::ZERO), "1 s"),
            (good().queue(0, 1), "room"),
            (RedisConfig::new(Server::at("127.0.0.1:6379")), "redis://"),
            (RedisConfig::new(Server::at("redis://127.0.0.1/nought")), "atabase"),
            (RedisConfig::new(Server::sentinel(Vec::<String>::new(), "m")), "sentinels"),
            (RedisConfig::new(Server::sentinel(["redis://127.0.0.1"], "")), "name"),
            (RedisConfig::new(Server::cluster(Vec::<String>::new())), "nodes of the cluster"),
            (RedisConfig::new(Server::cluster(["redis://127.0.0.1/3"])), "database"),
        ];
        for (config, what) in bad {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(what), "{error} does not say `{what}`");
        }
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn tls_names_the_feature_it_needs() {
        let error = RedisConfig::try_from("rediss://127.0.0.1/").unwrap_err();
        assert!(error.to_string().contains("feature `tls`"));
    }

    #[test]
    fn passwords_are_not_shown() {
        let server =
            Server::sentinel(["redis://u:secret1@127.0.0.1:1"], "m").credentials("redis://u:secret2@m/");
        let shown = format!("{:?}", RedisConfig::new(server));
        assert!(shown.contains("127.0.0.1:1") && !shown.contains("secret"), "{shown}");
    }
}
