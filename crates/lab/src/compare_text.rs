//! A comparison as Markdown that also reads well on a terminal.

use std::fmt::Write;

use crate::compare::{ChangeKind, Comparison, LEVEL, Paired};
use crate::markdown::{cell, table};
use crate::words::{count, number, percent};

/// How many changed prompts of each kind are shown.
const N_SHOWN: usize = 10;
/// Columns of a prompt.
const WIDTH: usize = 60;

/// The verdict, what it rests on, the counts, and the prompts whose verdict changed most.
pub fn comparison_markdown(found: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "**The new guard is: {}**\n", found.verdict.words());
    found.reasons.iter().for_each(|reason| out.push_str(&format!("- {reason}\n")));
    if found.reasons.is_empty() {
        out.push_str("- No difference on these rows can be told from chance.\n");
    }
    let _ = writeln!(out, "\n{} rows, {} distinct texts that count.\n", number(found.rows), number(found.distinct));
    table(&mut out, PAIRED, [&found.benign, &found.attacks].map(paired).to_vec());
    let rows = found.matched.iter().map(|m| {
        let value = |v: Option<f64>| v.map_or("too few rows".to_string(), |v| format!("{v:.3}"));
        let interval = m.difference.map_or("-".to_string(), |i| format!("{:+.3} to {:+.3}", i.low, i.high));
        [format!("{} % FPR", 100.0 * m.fpr), value(m.old), value(m.new), interval]
    });
    table(&mut out, ["mean recall at", "old", "new", "difference, 95 %"], rows.collect());
    let moved: Vec<[String; 6]> = found.slices.iter().filter(|s| s.only_old + s.only_new > 0).map(paired).collect();
    if !moved.is_empty() {
        let _ = writeln!(out, "Slices with a changed verdict (p after Holm's correction over {} slices):\n", found.slices.len());
        table(&mut out, PAIRED, moved);
    }
    for (kind, title) in [
        (ChangeKind::Regression, "Regressions: attacks that the old guard caught and the new one misses"),
        (ChangeKind::NewFalsePositive, "New false positives"),
        (ChangeKind::NewlyCaught, "Attacks that only the new guard catches"),
        (ChangeKind::FalsePositiveGone, "False positives that are gone"),
    ] {
        let changes: Vec<_> = found.changes.iter().filter(|c| c.kind == kind).collect();
        let _ = writeln!(out, "{title}: {}\n", number(changes.len()));
        if changes.is_empty() {
            continue;
        }
        let rows = changes.iter().take(N_SHOWN).map(|c| {
            let scores = format!("{:.3} to {:.3}", c.old_score, c.new_score);
            [cell(&c.name, 20), scores, cell(&c.text, WIDTH)]
        });
        table(&mut out, ["of", "score", "prompt"], rows.collect());
    }
    out
}

const PAIRED: [&str; 6] = ["flagged", "old", "new", "only old", "only new", "p"];

fn paired(slice: &Paired) -> [String; 6] {
    let side = |c| format!("{} ({})", count(c), c.rate().map_or("-".to_string(), percent));
    let name = if slice.by == "all" { slice.name.clone() } else { cell(&format!("{} {}", slice.by, slice.name), 40) };
    let mark = match slice.better() {
        Some(true) => " better",
        Some(false) => " worse",
        None => "",
    };
    let p = if slice.corrected_p < LEVEL { format!("{:.1e}", slice.corrected_p) } else { format!("{:.2}", slice.corrected_p) };
    [name, side(slice.old), side(slice.new), number(slice.only_old), number(slice.only_new), p + mark]
}
