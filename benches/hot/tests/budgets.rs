//! No hot path costs more than its budget: instructions and allocations, which no noise of the machine changes.

use std::{collections::BTreeMap, path::Path};

use herenow_hot::{
    budget::{Budgets, Cost},
    count,
};

/// Set, the budgets become what is counted.
const SET: &str = "SET_HOT_BUDGETS";
const HOW: &str = "If that is as it has to be, take the new figures over:\n  \
    SET_HOT_BUDGETS=1 cargo test --locked -p herenow-hot --test budgets";

#[test]
fn no_hot_path_costs_more_than_its_budget() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hot-paths");
    let program = count::build(&folder).expect("the hot paths build");
    let counted = count::count_all(&program, &folder).expect("the hot paths are counted");
    show(&counted);

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.json");
    let mut budgets: Budgets = serde_json::from_slice(&std::fs::read(&file).expect("budgets.json is there"))
        .expect("budgets.json is JSON");
    if std::env::var_os(SET).is_some() {
        budgets.set(std::env::consts::ARCH, &counted);
        let text = serde_json::to_string_pretty(&budgets).expect("numbers are JSON") + "\n";
        std::fs::write(&file, text).expect("budgets.json can be written");
        return;
    }
    let verdict = budgets.judge(std::env::consts::ARCH, &counted);
    if !verdict.under.is_empty() {
        println!(
            "hot paths that fell by more than a tenth; let their budgets follow:\n{}{HOW}",
            verdict.under
        );
    }
    assert!(verdict.over.is_empty(), "hot paths that grew by more than a tenth:\n{}{HOW}", verdict.over);
}

fn show(counted: &BTreeMap<String, Cost>) {
    println!("{:22} {:>12} {:>12} {:>12}", "one of", "instructions", "allocations", "bytes");
    for (name, cost) in counted {
        println!(
            "{name:22} {:>12.0} {:>12.2} {:>12.0}",
            cost.instructions, cost.allocations, cost.allocated_bytes
        );
    }
}
