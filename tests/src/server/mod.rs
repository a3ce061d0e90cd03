//! The `conformance-server`: one small server with the same routes on every adapter.
//!
//! Routes and options are a contract (`CONFORMANCE.md`). Beyond it there are `POST /admin/close` (`loginId`,
//! `content`, `code`?, `reason`?: a push, then a close of the application's own), the same application nested under
//! `/nested`, and `/bare/ws` and `/bare/me`, which stand behind no layer; `/presence-admin`, where `root` is an admin; the
//! library's other routes at the root beside `GET /herenow`; `data` (any JSON, public) in the body of `/login`; the messages
//! `join:…` and `leave:…` to `/ws`, by which the application itself has the connection in a channel or out of it; and
//! `--adapter actix-fast`, the server of the actix adapter that gives its sockets away; `--beat-ms` and `--lease-ms` of the Redis
//! engine; and `--record-events` with `GET /admin/events`: what `events()` (`made`) and `cluster_events()` (`cluster`) told so far.
//!
//! Every user may use the channels of its account, but for those whose names begin with `secret-`: they are for `root`.

mod actix;
mod axum;
mod handler;
mod manager;
mod options;
mod plain;
mod poem;
pub mod tls;
mod tokens;
mod told;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use futures_util::FutureExt as _;
use herenow::{BuildError, OnlineManager, cluster::Engine};
use herenow_redis::{ConnectError, RedisConfig, RedisEngine};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
pub use options::{Adapter, Mode, OnLimit, Options, Overflow, RedisDown, Refusal};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{JoinError, JoinHandle},
};

use self::{tokens::Tokens, told::Told};

/// What every route can reach.
#[derive(Clone, Debug)]
struct App {
    online: OnlineManager,
    echo: OnlineManager,
    tokens: Tokens,
    options: Options,
    metrics: PrometheusHandle,
    told: Option<Told>,
}

/// Why a server did not start.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // Unpublished.
pub enum StartError {
    /// The Redis engine cannot work.
    Redis(ConnectError),
    /// The library cannot work with these options.
    Build(BuildError),
    /// The address cannot be listened on.
    Listen(io::Error),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Redis(error) => error.fmt(f),
            Self::Build(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl From<BuildError> for StartError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<ConnectError> for StartError {
    fn from(error: ConnectError) -> Self {
        Self::Redis(error)
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Listen(error)
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drains and ends it, as SIGTERM does.
    ///
    /// # Errors
    /// Its task panicked.
    pub async fn stop(self) -> Result<(), JoinError> {
        let _ = self.stop.send(()); // One that has ended needs no telling.
        self.task.await
    }
}

/// Starts a server in this process; behind TLS where a certificate is given.
///
/// # Errors
/// [`StartError`].
pub async fn start(options: Options, tls: Option<&tls::Certificate>) -> Result<Running, StartError> {
    let engine = match &options.redis {
        Some(url) => {
            let mut config = RedisConfig::try_from(url)?;
            if let Some(name) = &options.node {
                config = config.node_name(name);
            }
            if let Some(every) = options.beat_ms {
                config = config.heartbeat(every);
            }
            if let Some(lease) = options.lease_ms {
                config = config.lease(lease);
            }
            Some(Arc::new(RedisEngine::connect(config).await?) as Arc<dyn Engine>)
        }
        None => None,
    };
    run(options, tls, engine).await
}

/// Starts a server in this process as one of several nodes.
///
/// # Errors
/// [`StartError`].
pub async fn start_node(options: Options, engine: Arc<dyn Engine>) -> Result<Running, StartError> {
    run(options, None, Some(engine)).await
}

async fn run(
    options: Options,
    tls: Option<&tls::Certificate>,
    engine: Option<Arc<dyn Engine>>,
) -> Result<Running, StartError> {
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let app = App::new(options, engine)?;
    let (stop, stopped) = oneshot::channel();
    let (tls, stop_asked) = (tls.cloned(), stopped.map(drop));
    let task = match app.options.adapter {
        Adapter::Axum => tokio::spawn(axum::serve(app, listener, tls, stop_asked)),
        Adapter::Actix | Adapter::ActixFast => tokio::spawn(actix::serve(app, listener, tls, stop_asked)),
        Adapter::Poem => tokio::spawn(poem::serve(app, listener, tls, stop_asked)),
    };
    Ok(Running { address, stop, task })
}

impl App {
    fn new(options: Options, engine: Option<Arc<dyn Engine>>) -> Result<Self, BuildError> {
        let tokens = Tokens::new()?;
        let (online, echo) = (manager::online(&options, &tokens, engine)?, manager::echo(&options)?);
        let told = options.record_events.then(|| Told::by(&online));
        Ok(Self { online, echo, tokens, options, metrics: metrics(), told })
    }

    /// What no framework's own shutdown does: goodbye to every socket.
    async fn drain(&self) {
        let within = self.options.drain_ms;
        let (report, _) = tokio::join!(self.online.shutdown(within), self.echo.shutdown(within));
        tracing::info!(?report, "drained");
    }
}

/// One recorder for the process: servers of one test process share it.
fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let builder = PrometheusBuilder::new();
        builder.install_recorder().expect("nothing else in this process installs a recorder")
    };
    HANDLE.get_or_init(install).clone()
}
