//! The `conformance-server`; see `herenow_conformance::server`.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use herenow_conformance::server::{self, Options, Running, StartError};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conformance-server: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(options: Options) -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let adapter = options.adapter.name();
    let running = server::start(options, None).await?;
    tell(&running, adapter)?;
    tokio::select! {
        _ = terminate.recv() => {}
        done = tokio::signal::ctrl_c() => done?,
    }
    running.stop().await.map_err(|panicked| StartError::Listen(panicked.into()))
}

/// The one line on stdout.
fn tell(running: &Running, adapter: &str) -> Result<(), StartError> {
    let line = serde_json::json!({"listening": format!("http://{}", running.address()), "adapter": adapter});
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
