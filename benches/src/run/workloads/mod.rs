//! What is done to a server, and what is read while it is done: one file per theme.
//!
//! A group of workloads starts a server of its own, so that none sees what another left behind.

use std::time::Duration;

use super::{
    child::{Child, Launch},
    cpu::Cpu,
    figure::Figure,
    memory,
};
use crate::{
    design::Design,
    load::{Crowd, Dialect, Ending, Error, Target},
};

mod broadcast;
mod churn;
mod heartbeat;
mod kick;
mod presence;
mod scale;
mod slow;
mod unicast;
mod upgrade;

pub(crate) use scale::Scale;

/// The names of what is read; the report sorts by them.
pub(crate) const PER_DELIVERY: &str = "us of CPU per delivery";
pub(crate) const PER_CONNECTION: &str = "KiB per connection";

/// Workloads that share a server.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, clap::ValueEnum)]
pub(crate) enum Group {
    /// Upgrades, idle memory, broadcasts, bursts, pushes to single users, memory after them.
    Traffic,
    /// Idle connections that are asked whether they live.
    Heartbeat,
    /// Connections that come and go.
    Churn,
    /// The presence feed of a channel.
    Presence,
    /// Everybody is kicked out.
    Kick,
    /// One reader in ten stops reading.
    Slow,
}

impl Group {
    /// Whether there is something to measure.
    pub(crate) fn suits(self, setting: &Setting) -> bool {
        match self {
            Self::Traffic | Self::Churn | Self::Slow => true,
            Self::Heartbeat => {
                setting.is_ours() || (setting.beats_by_itself() && setting.scale.heartbeat_ms == 0)
            }
            Self::Presence => setting.is_ours() && setting.dialect == Dialect::Envelope,
            Self::Kick => setting.is_ours(),
        }
    }

    /// Starts a server, does it all, and ends the server.
    pub(crate) fn run(self, setting: &Setting) -> Result<Vec<Figure>, Error> {
        let launch = match self {
            Self::Heartbeat => heartbeat::launch(setting),
            Self::Churn => churn::launch(setting),
            _ => setting.launch.clone(),
        };
        let mut stage = Stage::begin(setting, &launch)?;
        let done = match self {
            Self::Traffic => traffic(&mut stage),
            Self::Heartbeat => heartbeat::measure(&mut stage),
            Self::Churn => churn::measure(&mut stage),
            Self::Presence => presence::measure(&mut stage),
            Self::Kick => kick::measure(&mut stage),
            Self::Slow => slow::measure(&mut stage),
        };
        match done {
            Ok(()) => Ok(stage.figures),
            Err(error) => Err(stage.child.explain(&error.to_string()).into()),
        }
    }
}

fn traffic(stage: &mut Stage<'_>) -> Result<(), Error> {
    let baseline = stage.baseline()?;
    upgrade::measure(stage, baseline)?;
    broadcast::measure(stage)?;
    unicast::measure(stage)?;
    upgrade::after_traffic(stage, baseline)
}

/// Which server, and how much is done to it.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) design: Design,
    pub(crate) dialect: Dialect,
    /// Threads of the server; `launch` says so too.
    pub(crate) threads: usize,
    pub(crate) launch: Launch,
    pub(crate) scale: Scale,
}

impl Setting {
    fn is_ours(&self) -> bool {
        Dialect::of(self.design).contains(&Dialect::Envelope)
    }

    /// Whether the server asks idle clients whether they live, without being told to.
    fn beats_by_itself(&self) -> bool {
        self.dialect == Dialect::SocketIo
    }
}

/// A server, its clients, and the figures so far.
struct Stage<'a> {
    setting: &'a Setting,
    child: Child,
    target: Target,
    crowd: Crowd,
    figures: Vec<Figure>,
}

impl<'a> Stage<'a> {
    fn begin(setting: &'a Setting, launch: &Launch) -> Result<Self, Error> {
        let child = launch.start()?;
        let target = Target::new(child.port(), setting.dialect)?;
        let crowd = Crowd::new(&target)?;
        Ok(Self { setting, child, target, crowd, figures: Vec::new() })
    }

    /// Resident memory of a server that has seen some clients and has none: what it has made once for all is not counted
    /// per connection.
    fn baseline(&mut self) -> Result<f64, Error> {
        const FIRST: usize = 200;
        let mut first = Crowd::connect(&self.target, 0..FIRST)?;
        first.leave(|_| Ending::Close)?;
        self.crowd.run_for(Duration::from_secs(1))?;
        self.resident_kib()
    }

    fn resident_kib(&self) -> Result<f64, Error> {
        Ok(memory::resident_kib(self.child.pid())?)
    }

    fn cpu(&self) -> Result<Cpu, Error> {
        Ok(Cpu::of(self.child.pid())?)
    }

    /// Microseconds of the server's processor time since `before`, when what it does after its last word is over.
    fn micros_since(&mut self, before: &Cpu) -> Result<f64, Error> {
        const AFTERMATH: Duration = Duration::from_millis(50);
        self.crowd.run_for(AFTERMATH)?;
        Ok(self.cpu()?.since(before).as_secs_f64() * 1e6)
    }

    fn figure(&mut self, workload: &str, metric: &str, connections: usize, value: f64) {
        let Setting { design, dialect, threads, .. } = *self.setting;
        self.figures.push(Figure {
            design,
            dialect: dialect.name().to_owned(),
            workload: workload.to_owned(),
            metric: metric.to_owned(),
            threads,
            connections,
            value,
        });
    }
}
