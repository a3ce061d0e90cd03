//! herenow beside its peers: one command, one table. See README.md beside it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod cluster;
mod design;
mod load;
mod registry;
mod run;
mod serve;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures herenow beside its peers. Without a command: `run`.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every design, interleaved, and prints one table.
    Run(run::Options),
    /// Prints the tables of a report in Markdown.
    Tables(run::TablesOptions),
    /// Draws the picture of a report.
    Plot(run::PlotOptions),
    /// Serves one design until its standard input ends; `run` starts it.
    Serve(serve::Options),
    /// Measures the registry by itself, beside sa-token-core's.
    Registry(registry::Options),
    /// Measures several nodes over Redis, beside sa-token-core's store.
    Cluster(cluster::Options),
}

fn main() -> ExitCode {
    let line = Line::parse();
    let done = match line.command.unwrap_or(Command::Run(line.run)) {
        Command::Run(options) => run::main(&options),
        Command::Tables(options) => run::tables(&options),
        Command::Plot(options) => run::plot(&options),
        Command::Serve(options) => serve::main(&options),
        Command::Registry(options) => registry::main(&options),
        Command::Cluster(options) => cluster::main(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_needs_no_command() {
        Line::command().debug_assert();
        assert!(Line::try_parse_from(["herenow-bench", "--quick"]).is_ok_and(|line| line.command.is_none()));
    }
}
