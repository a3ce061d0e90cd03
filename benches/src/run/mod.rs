//! The runner: every design, interleaved, and one table.
//!
//! [`plan`] says what is done in which order, [`perform`](mod@perform) does it (one [`workloads`] group on one [`child`] at a time), and
//! [`report`] makes medians, tables and the picture of it.

use std::{error::Error, thread};

mod child;
mod cores;
mod cpu;
mod figure;
mod launch;
mod machine;
mod memory;
mod options;
mod perform;
mod plan;
mod report;
mod workloads;

use self::{
    cores::Cores,
    launch::Skipped,
    machine::Machine,
    options::Part,
    perform::perform,
    plan::Plan,
    report::{Report, Settings},
};
pub(crate) use self::{
    options::Options,
    report::{PlotOptions, TablesOptions, plot, tables},
};
use crate::{load, registry};

/// Measures, and writes `report.json`, `table.md` and `picture.svg`.
pub(crate) fn main(options: &Options) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&options.out)
        .map_err(|error| format!("cannot make the folder {}: {error}", options.out.display()))?;
    load::raise_descriptor_limit()?;
    let cores = Cores::of(options)?;
    let skipped = if options.wants_more_than_rust() { Skipped::by_install() } else { Skipped::default() };
    let machine = Machine::look();
    machine.warn_when_busy();
    let plan = Plan::of(options, &cores, &skipped)?;
    load::room_for(plan.most_connections())?;

    let mut report = Report::new(machine, Settings::of(options), plan.missing.clone());
    // On a thread of its own, which is kept on one core; the registry may have all of them.
    thread::scope(|scope| {
        let sockets = scope.spawn(|| {
            load::pin(options.load_core).map_err(|error| error.to_string())?;
            perform(&plan, options, &mut report)
        });
        sockets.join().map_err(|_| "the load generator panicked")?
    })?;
    if options.wants(Part::Registry) {
        eprintln!("the registry in process");
        report.registry = Some(registry::measure(&options.registry())?);
    }
    report.write(&options.out)?;
    print!("{}", report.tables());
    let out = options.out.display();
    println!("\nWritten: {out}/report.json, {out}/table.md, {out}/picture.svg");
    Ok(())
}
