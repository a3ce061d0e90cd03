//! What is done in which order: every design once, then every design again, so that what else the machine does, and how
//! it does, is shared fairly.

use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use super::{
    Cores, Options,
    launch::{Skipped, launch},
    options::Part,
    workloads::{Group, Setting},
};
use crate::{
    design::Design,
    load::{Dialect, Error},
};

/// One server from start to end.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) group: Group,
    pub(super) setting: Setting,
}

/// A design that cannot be run here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Missing {
    pub(crate) design: Design,
    pub(crate) why: String,
}

/// Rounds of steps.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) rounds: Vec<Vec<Step>>,
    pub(super) missing: Vec<Missing>,
}

impl Plan {
    pub(super) fn of(options: &Options, cores: &Cores, skipped: &Skipped) -> Result<Self, Error> {
        let (settings, missing) = settings(options, cores, skipped)?;
        let round = |round| {
            let groups = Group::value_variants().iter().copied();
            let steps = groups.flat_map(|group| settings.iter().map(move |setting| (group, setting)));
            let wanted = steps
                .filter(|(group, setting)| wants(options, *group, setting))
                .filter(|(group, setting)| round == 0 || !is_done_once(*group, setting));
            wanted.map(|(group, setting)| Step { group, setting: setting.clone() }).collect()
        };
        Ok(Self { rounds: (0..options.repetitions()).map(round).collect(), missing })
    }

    /// The most that any workload asks for at a time.
    pub(super) fn most_connections(&self) -> usize {
        let scale = |step: &Step| match step.group {
            Group::Heartbeat => step.setting.scale.idle,
            Group::Kick => step.setting.scale.kicked,
            _ => step.setting.scale.connections,
        };
        self.rounds.iter().flatten().map(scale).max().unwrap_or(0)
    }

    pub(super) fn steps(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }
}

/// Some run so long that they are their own repetition; and two threads are a look at what threads share, in which the
/// load generator's core may have to help.
fn is_done_once(group: Group, setting: &Setting) -> bool {
    matches!(group, Group::Heartbeat | Group::Churn | Group::Slow) || setting.threads > 1
}

fn settings(
    options: &Options,
    cores: &Cores,
    skipped: &Skipped,
) -> Result<(Vec<Setting>, Vec<Missing>), Error> {
    let (mut settings, mut missing) = (Vec::new(), Vec::new());
    for &design in Design::value_variants().iter().filter(|design| options.wants_design(**design)) {
        for threads in [1, 2] {
            let Some(cores) = cores.for_threads(threads) else { continue };
            let launch = match launch(design, threads, cores, skipped)? {
                Ok(launch) => launch,
                Err(why) => {
                    missing.push(Missing { design, why });
                    break;
                }
            };
            for &dialect in Dialect::of(design) {
                let (launch, scale) = (launch.clone(), options.scale());
                settings.push(Setting { design, dialect, threads, launch, scale });
            }
        }
    }
    Ok((settings, missing))
}

fn wants(options: &Options, group: Group, setting: &Setting) -> bool {
    let Setting { design, dialect, threads, .. } = *setting;
    let ours = Dialect::of(design).contains(&Dialect::Envelope);
    let shown = design == Design::HerenowAxum && dialect == Dialect::Envelope;
    let short = options.quick && options.only.is_empty();
    let named = options.workloads.contains(&Part::Sockets(group));
    options.wants(Part::Sockets(group))
        && group.suits(setting)
        && match (group, threads) {
            (Group::Traffic, 1) => true,
            // Two threads are about what is shared between threads, which is ours.
            (Group::Traffic, _) => design == Design::Raw || if short { shown } else { ours },
            (_, 2..) => false,
            (_, _) if short && !named => shown,
            // Waiting for heartbeats takes a minute and a half a time.
            (Group::Heartbeat, _) => named || (ours && dialect == Dialect::Envelope),
            // A slow reader is the outbox's business: the same in both modes, and whatever is read into.
            (Group::Slow, _) if ours => named || dialect == Dialect::Envelope,
            (Group::Slow, _) => {
                named || !matches!(design, Design::AxumSmall | Design::PoemSmall | Design::ActixWsSmall)
            }
            _ => true,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::options::of_line;

    fn plan(line: &str) -> Plan {
        let options = of_line(line);
        Plan::of(&options, &Cores::for_tests(), &Skipped::default()).unwrap()
    }

    fn has(steps: &[Step], group: Group, design: Design, threads: usize) -> bool {
        let is_it = |step: &Step| {
            step.group == group && (step.setting.design, step.setting.threads) == (design, threads)
        };
        steps.iter().any(is_it)
    }

    #[test]
    fn every_round_begins_with_the_raw_limit_and_has_every_design_once() {
        let plan = plan("--only axum,herenow-axum --workloads traffic");
        assert_eq!(plan.rounds.len(), 3);
        let of = |round: usize, design| {
            plan.rounds[round].iter().filter(|step| step.setting.design == design).count()
        };
        let all = |round| (of(round, Design::Raw), of(round, Design::HerenowAxum), of(round, Design::Axum));
        assert!(plan.rounds.iter().all(|round| round[0].setting.design == Design::Raw));
        // In the first, two threads too; ours in both modes.
        assert_eq!([all(0), all(1), all(2)], [(2, 4, 1), (1, 2, 1), (1, 2, 1)]);
    }

    #[test]
    fn what_takes_long_is_done_once() {
        let plan = plan("--only herenow-axum");
        assert!(has(&plan.rounds[0], Group::Churn, Design::HerenowAxum, 1));
        assert!(!has(&plan.rounds[1], Group::Churn, Design::HerenowAxum, 1));
        assert!(has(&plan.rounds[1], Group::Presence, Design::HerenowAxum, 1));
    }

    #[test]
    fn a_quick_look_shows_what_is_not_traffic_on_axum_alone_unless_others_are_named() {
        let quick = plan("--quick");
        assert_eq!(quick.rounds.len(), 1);
        assert!(has(&quick.rounds[0], Group::Traffic, Design::Poem, 1));
        assert!(has(&quick.rounds[0], Group::Kick, Design::HerenowAxum, 1));
        assert!(!has(&quick.rounds[0], Group::Kick, Design::HerenowPoem, 1));
        let named = plan("--quick --only herenow-poem");
        assert!(has(&named.rounds[0], Group::Kick, Design::HerenowPoem, 1));
    }

    #[test]
    fn the_descriptors_of_the_largest_workload_count() {
        assert_eq!(plan("--only herenow-axum").most_connections(), 19_500);
        assert_eq!(plan("--only axum --workloads traffic --connections 12").most_connections(), 12);
    }
}
