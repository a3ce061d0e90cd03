//! What each hot path may cost, as `budgets.json` has it, and how a count compares.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};

/// By how much a count may differ from its budget.
const TOLERANCE: f64 = 0.10;
/// Counts below this are compared exactly as they are shown.
const SMALL: f64 = 0.05;

/// What one operation costs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Allocations and reallocations.
    pub allocations: f64,
    /// What was allocated, whether it was freed again or not.
    pub allocated_bytes: f64,
    /// Of this architecture; another one has others.
    pub instructions: f64,
}

/// The costs of all hot paths, by architecture and name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Budgets(pub BTreeMap<String, BTreeMap<String, Cost>>);

/// How counts compare with their budgets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Every count that grew by more than a tenth, or has no budget.
    pub over: String,
    /// Every count that fell by more than a tenth.
    pub under: String,
}

impl Budgets {
    /// Takes over what was counted.
    pub fn set(&mut self, architecture: &str, counted: &BTreeMap<String, Cost>) {
        self.0.insert(architecture.to_owned(), counted.clone());
    }

    /// Compares what was counted.
    pub fn judge(&self, architecture: &str, counted: &BTreeMap<String, Cost>) -> Verdict {
        let mut verdict = Verdict::default();
        let none = BTreeMap::new();
        let budgets = self.0.get(architecture).unwrap_or(&none);
        for (name, cost) in counted {
            let Some(budget) = budgets.get(name) else {
                let _ = writeln!(verdict.over, "  {name}: no budget yet");
                continue;
            };
            for (what, budget, count) in [
                ("allocations", budget.allocations, cost.allocations),
                ("bytes allocated", budget.allocated_bytes, cost.allocated_bytes),
                ("instructions", budget.instructions, cost.instructions),
            ] {
                let line = format!("  {name}: {count:.2} {what}, the budget is {budget:.2}\n");
                if count > budget * (1.0 + TOLERANCE) + SMALL {
                    verdict.over += &line;
                } else if count < budget * (1.0 - TOLERANCE) - SMALL {
                    verdict.under += &line;
                }
            }
        }
        for name in budgets.keys().filter(|name| !counted.contains_key(*name)) {
            let _ = writeln!(verdict.over, "  {name}: has a budget, and is no hot path any more");
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(allocations: f64, instructions: f64) -> BTreeMap<String, Cost> {
        [("a".to_owned(), Cost { allocations, allocated_bytes: 0.0, instructions })].into()
    }

    fn judged(allocations: f64, instructions: f64) -> Verdict {
        let mut budgets = Budgets::default();
        budgets.set("x", &costs(10.0, 1000.0));
        budgets.judge("x", &costs(allocations, instructions))
    }

    #[test]
    fn a_tenth_is_no_matter() {
        assert_eq!(judged(10.0, 1000.0), Verdict::default());
        assert_eq!(judged(11.0, 1100.0), Verdict::default());
        assert_eq!(judged(9.0, 900.0), Verdict::default());
    }

    #[test]
    fn what_grew_is_said_with_both_figures() {
        assert_eq!(judged(12.0, 1000.0).over, "  a: 12.00 allocations, the budget is 10.00\n");
        assert_eq!(judged(10.0, 1101.0).over, "  a: 1101.00 instructions, the budget is 1000.00\n");
    }

    #[test]
    fn what_fell_is_said_too_so_that_the_budget_follows() {
        let verdict = judged(10.0, 800.0);
        assert_eq!(
            (verdict.over.as_str(), verdict.under.as_str()),
            ("", "  a: 800.00 instructions, the budget is 1000.00\n")
        );
    }

    #[test]
    fn a_path_without_a_budget_and_a_budget_without_a_path_are_found() {
        assert_eq!(Budgets::default().judge("x", &costs(1.0, 1.0)).over, "  a: no budget yet\n");
        let mut budgets = Budgets::default();
        budgets.set("x", &costs(1.0, 1.0));
        assert!(budgets.judge("x", &BTreeMap::new()).over.contains("no hot path any more"));
    }
}
