//! Does what was planned. What fails becomes a line of the report, and the rest goes on.

use std::time::Duration;

use super::{
    Options, Plan,
    plan::Step,
    report::{Failure, Measured, Report, title},
};
use crate::load::now;

/// The report is written after each round: who interrupts the runner keeps what was measured.
pub(super) fn perform(plan: &Plan, options: &Options, report: &mut Report) -> Result<(), String> {
    let begin = now();
    let mut done = 0;
    for (round, steps) in plan.rounds.iter().enumerate() {
        for step in steps {
            let Step { group, setting } = step;
            done += 1;
            let name = title(setting.design, setting.dialect.name(), setting.threads);
            let time = clock(begin.elapsed());
            eprintln!("{time} {done}/{} round {}: {name}: {group:?}", plan.steps(), round + 1);
            match group.run(setting) {
                Ok(figures) => {
                    let figures = figures.into_iter().map(|figure| Measured { round, figure });
                    report.measured.extend(figures);
                }
                Err(error) => {
                    eprintln!("    failed: {error}");
                    report.failures.push(Failure {
                        round,
                        design: setting.design,
                        dialect: setting.dialect.name().to_owned(),
                        threads: setting.threads,
                        workload: format!("{group:?}").to_lowercase(),
                        why: error.to_string(),
                    });
                }
            }
        }
        report.settings.seconds = begin.elapsed().as_secs();
        report.write(&options.out).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn clock(time: Duration) -> String {
    format!("{:2}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
