//! A gate's report as Markdown and as cells of a table.
//!
//! It must never show a rate without its counts, nor a failed check without the reason.

use std::fmt::Write;

use crate::gate::{CheckResult, GateReport, Outcome};
use crate::stats::Count;
use crate::words::{cell, count, percent_beside, percent_limit};

/// Headings of the cells of [`gate_rows`].
pub const GATE_COLUMNS: [&str; 7] = ["check", "slice", "counts", "rate", "shown", "limit", "outcome"];

/// One line of cells for each check, under [`GATE_COLUMNS`].
pub fn gate_rows(report: &GateReport) -> Vec<[String; 7]> {
    report
        .checks
        .iter()
        .map(|check| {
            let upper = !check.metric.contains("recall");
            let dash = || "–".to_string();
            let side = if upper { "at most" } else { "at least" };
            let rate = check.rate.map_or_else(dash, |rate| percent_beside(rate, check.limit));
            let shown = check.bound_reached.map_or_else(dash, |b| format!("{side} {}", percent_beside(b, check.limit)));
            let counts = if check.n == 0 { dash() } else { count(Count { hits: check.hits, n: check.n }) };
            [check.name.clone(), check.slice.clone(), counts, rate, shown, limit(check), outcome(check)]
        })
        .collect()
}

/// The report as Markdown: the verdict, a table of the checks, and a sentence for each.
pub fn gate_markdown(report: &GateReport) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").expect("a string takes any text");
    let required: Vec<&CheckResult> = report.checks.iter().filter(|c| c.required).collect();
    let n_passed = required.iter().filter(|c| c.outcome == Outcome::Passed).count();
    let verdict = if report.passed { "passed" } else { "failed" };
    line(format!("**Gate {verdict}**: {n_passed} of {} required checks passed ({}).\n", required.len(), cell(&report.gates)));
    line(format!("| {} |", GATE_COLUMNS.join(" | ")));
    line("|---|---|---:|---:|---:|---:|---|".to_string());
    for cells in gate_rows(report) {
        line(format!("| {} |", cells.map(|c| cell(&c)).join(" | ")));
    }
    line(String::new());
    for check in &report.checks {
        line(format!("- {}: {}.", cell(&check.name), cell(&check.words)));
    }
    out
}

fn limit(check: &CheckResult) -> String {
    let bound = percent_limit(check.limit);
    match (check.metric.as_str(), check.fpr) {
        ("fpr_below", _) => format!("below {bound}"),
        ("none_flagged", _) => "none flagged".to_string(),
        ("no_regression", _) if check.limit == 0.0 => "none lost".to_string(),
        ("no_regression", _) => format!("at most {bound} lost"),
        (_, Some(fpr)) => format!("above {bound} at {} FPR", percent_limit(fpr)),
        _ => format!("above {bound}"),
    }
}

fn outcome(check: &CheckResult) -> String {
    let text = match check.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
        Outcome::TooFew => "FAILED: too few rows to tell",
        Outcome::NoRows => "FAILED: no rows",
        Outcome::NotApplicable if check.required => "FAILED: nothing to compare with",
        Outcome::NotApplicable => "nothing to compare with",
    };
    if check.required { text.to_string() } else { format!("{} (stretch)", text.replace("FAILED", "not reached")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metric: &str, outcome: Outcome, counts: (usize, usize), shown: Option<f64>, limit: f64) -> CheckResult {
        let (hits, n) = counts;
        CheckResult {
            name: format!("my {metric}"),
            slice: "category:a|b".into(),
            metric: metric.into(),
            fpr: (metric == "recall_at_fpr_above").then_some(0.005),
            required: true,
            confidence: 0.95,
            outcome,
            hits,
            n,
            repeats_dropped: 0,
            rate: Count { hits, n }.rate(),
            bound_reached: shown,
            limit,
            needed: None,
            words: format!("because of {n} | rows"),
        }
    }

    #[test]
    fn a_report_shows_every_check_and_why() {
        use Outcome::{Failed, NoRows, NotApplicable, Passed, TooFew};
        let mut checks = vec![
            check("fpr_below", Passed, (948, 100_000), Some(0.009_999_714), 0.01),
            check("recall_at_fpr_above", Failed, (70, 100), Some(0.62), 0.8),
            check("none_flagged", TooFew, (0, 10), Some(0.2589), 0.0),
            check("mean_recall_above", NoRows, (0, 0), None, 0.8),
            check("no_regression", NotApplicable, (0, 0), None, 0.0),
        ];
        let stretch = |check: &CheckResult| CheckResult { required: false, name: "stretch".into(), ..check.clone() };
        checks.extend([stretch(&checks[1]), stretch(&checks[4])]);
        let text = gate_markdown(&GateReport {
            gates: "g.toml".into(),
            passed: false,
            checks,
            visibility: Vec::new(),
            robustness: None,
        });
        let expected = "\
**Gate failed**: 1 of 5 required checks passed (g.toml).

| check | slice | counts | rate | shown | limit | outcome |
|---|---|---:|---:|---:|---:|---|
| my fpr_below | category:a\\|b | 948 of 100,000 | 0.95 % | at most 0.99997 % | below 1 % | passed |
| my recall_at_fpr_above | category:a\\|b | 70 of 100 | 70.00 % | at least 62.00 % | above 80 % at 0.5 % FPR | FAILED |
| my none_flagged | category:a\\|b | 0 of 10 | 0 % | at most 25.89 % | none flagged | FAILED: too few rows to tell |
| my mean_recall_above | category:a\\|b | – | – | – | above 80 % | FAILED: no rows |
| my no_regression | category:a\\|b | – | – | – | none lost | FAILED: nothing to compare with |
| stretch | category:a\\|b | 70 of 100 | 70.00 % | at least 62.00 % | above 80 % at 0.5 % FPR | not reached (stretch) |
| stretch | category:a\\|b | – | – | – | none lost | nothing to compare with (stretch) |

- my fpr_below: because of 100000 \\| rows.
- my recall_at_fpr_above: because of 100 \\| rows.
";
        assert!(text.starts_with(expected), "{text}");
    }
}
