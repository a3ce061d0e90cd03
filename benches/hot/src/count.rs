//! Counting what the hot paths cost: builds the program `hot-paths`, and runs it under callgrind.

use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    budget::Cost,
    paths::{HotPath, PATHS},
};

/// The profile of the workspace that it is built with.
const PROFILE: &str = "hot";

/// Builds `hot-paths`, in a folder of its own so that other builds are left alone; returns the program.
///
/// # Errors
/// If it does not compile.
pub fn build(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--profile", PROFILE, "--bin", "hot-paths"]);
    cargo.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(folder);
    // What the build around this one was told is not meant for it.
    for word in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(word);
    }
    output(&mut cargo)?;
    Ok(folder.join(PROFILE).join("hot-paths"))
}

/// Counts every hot path.
///
/// # Errors
/// If valgrind is missing, or a run fails.
pub fn count_all(program: &Path, folder: &Path) -> Result<BTreeMap<String, Cost>, Box<dyn Error>> {
    // Two at a time: a count does not depend on what else the machine does.
    let halves: Vec<Vec<&HotPath>> =
        (0..2).map(|half| PATHS.iter().skip(half).step_by(2).collect()).collect();
    let count_half = |half: &[&HotPath]| -> Result<Vec<(String, Cost)>, String> {
        let named = |path: &&HotPath| count(program, folder, path).map(|cost| (path.name.to_owned(), cost));
        half.iter().map(|path| named(path).map_err(|error| format!("{}: {error}", path.name))).collect()
    };
    let counted = std::thread::scope(|scope| {
        let running: Vec<_> = halves.iter().map(|half| scope.spawn(|| count_half(half))).collect();
        running
            .into_iter()
            .map(|half| half.join().map_err(|_| "a thread panicked"))
            .collect::<Result<Vec<_>, _>>()
    })?;
    Ok(counted.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Counts one hot path.
///
/// # Errors
/// If valgrind is missing, or the run fails.
pub fn count(program: &Path, folder: &Path, path: &HotPath) -> Result<Cost, Box<dyn Error>> {
    let written = folder.join(format!("callgrind.{}", path.name));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--toggle-collect=*measured*"]);
    valgrind.arg(format!("--callgrind-out-file={}", written.display()));
    valgrind.arg(program).arg(path.name).arg(path.times.to_string());
    let output = output(&mut valgrind)?;
    let instructions = instructions(&std::fs::read_to_string(&written)?)?;
    let numbers = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = numbers.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[allocations, bytes, operations] = &numbers[..] else {
        return Err("`hot-paths` prints three numbers".into());
    };
    let each = |count: u64| count as f64 / operations as f64;
    Ok(Cost {
        allocations: each(allocations),
        allocated_bytes: each(bytes),
        instructions: each(instructions),
    })
}

/// The sum that callgrind wrote.
fn instructions(written: &str) -> Result<u64, Box<dyn Error>> {
    let sum = written.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")));
    match sum.ok_or("callgrind wrote no sum")?.trim().parse()? {
        0 => Err("callgrind counted nothing: the function `measured` of `hot-paths` was not found".into()),
        sum => Ok(sum),
    }
}

fn output(command: &mut Command) -> Result<Output, Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("cannot start {name}: {error}; `.ci/install` installs it"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_and_a_sum_of_nothing_is_an_error() {
        assert_eq!(instructions("version: 1\nsummary: 42\nfn=(1)\n\ntotals: 42\n").unwrap(), 42);
        assert!(instructions("totals: 0").is_err());
        assert!(instructions("fn=(1)").is_err());
    }
}
