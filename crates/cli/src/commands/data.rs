//! `levelhead data`: look through datasets, merge them, write out the starter corpus.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::check::{Check, Tally};
use levelhead_lab::merge::MergeConfig;
use levelhead_lab::output::Output;
use levelhead_lab::{check, merge, read, scenario, starter, write};

use super::exit_code;
use crate::args::{InputArgs, MergeArgs};
use crate::inputs::read_all;
use crate::terminal::{Terminal, print, table, thousands};

/// The whole attack corpus with its columns, among the files of `data starter`.
const ATTACKS: &str = "attacks.csv";

/// `data check`.
pub fn check(files: &[PathBuf], json: bool, reading: &InputArgs, terminal: &Terminal) -> Result<ExitCode> {
    let data = read_all(files, false, reading, terminal)?;
    let found = check::check(&data, terminal);
    if json {
        print(serde_json::to_string_pretty(&found)?)?;
    } else {
        print(readable(&found))?;
    }
    Ok(exit_code(!found.has_faults()))
}

fn readable(found: &Check) -> String {
    let header = ["file", "rows", "distinct", "near-dup. groups", "attacks", "unlabelled", "mojibake", "rejected"];
    let rows = found.files.iter().map(|f| {
        let counts = [f.n_rows, f.n_distinct, f.n_groups, f.n_attacks, f.n_unlabelled, f.n_mojibake, f.n_rejected];
        std::iter::once(f.name.clone()).chain(counts.map(thousands)).collect()
    });
    let mut out = table(&header, rows).to_string();
    let mut line = |text: String| out.push_str(&format!("\n{text}"));
    for file in &found.files {
        if !file.extra.is_empty() {
            line(format!("{}: further columns {}", file.name, file.extra.join(", ")));
        }
        for (family, n) in &file.unknown_families {
            line(format!("{}: family {family:?} is not one of Levelhead's ({} rows); it is kept", file.name, thousands(*n)));
        }
        if file.n_mojibake > 0 {
            line(format!("{}: {} rows with double-encoded text; --repair mends them", file.name, thousands(file.n_mojibake)));
        }
    }
    for o in &found.overlaps {
        line(format!(
            "{} and {}: {} rows of the second stand in the first, {} with near-duplicates; never train on one and measure on the other",
            o.a,
            o.b,
            thousands(o.n_exact),
            thousands(o.n_near)
        ));
    }
    line(format!(
        "contradicting labels: {} prompts carry both, {} groups of near-duplicates hold both",
        thousands(found.n_contradictions),
        thousands(found.n_near_contradictions)
    ));
    for c in &found.contradictions {
        line(format!("  benign in {}, attack in {}: {:?}", c.benign, c.attack, c.text));
    }
    line(String::new());
    line(tally_table(&found.tally, None));
    out
}

/// Rows by source, category and label; with `before`, beside what they were.
fn tally_table(after: &Tally, before: Option<&Tally>) -> String {
    let mut rows = Vec::new();
    for (kind, after, before) in [
        ("label", &after.label, before.map(|b| &b.label)),
        ("category", &after.category, before.map(|b| &b.category)),
        ("source", &after.source, before.map(|b| &b.source)),
    ] {
        for (name, n) in after {
            let mut row = vec![kind.to_string(), name.clone()];
            row.extend(before.map(|b| thousands(b.get(name).copied().unwrap_or(0))));
            row.push(thousands(*n));
            rows.push(row);
        }
    }
    let header: &[&str] = if before.is_some() { &["by", "name", "first file", "merged"] } else { &["by", "name", "rows"] };
    table(header, rows).to_string()
}

/// `data merge`.
pub fn merge(args: &MergeArgs, terminal: &Terminal) -> Result<ExitCode> {
    let MergeArgs { files, output, seed, distinct, force, reading } = args;
    let (seed, distinct, force) = (*seed, *distinct, *force);
    read::format_of(output)?;
    Output::prepare(output, force)?;
    let data = read_all(files, false, reading, terminal)?;
    let before = Tally::of(&data[0].rows);
    let merged = merge::merge(data, MergeConfig { seed, distinct });
    write::write(output, &merged.extra, &merged.rows, force)?;
    print(tally_table(&Tally::of(&merged.rows), Some(&before)))?;
    let dropped = if distinct { format!(", {} repeats dropped", thousands(merged.n_dropped)) } else { String::new() };
    print(format!("{} rows written to {}{dropped}", thousands(merged.rows.len()), output.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// `data starter`.
pub fn starter(output: &Path, force: bool) -> Result<ExitCode> {
    let corpus = starter::starter();
    let extra = starter::EXTRA.map(str::to_string);
    let target = Output::prepare_folder(output, force)?;
    let folder = target.create_folder()?;
    let parts = [
        ("train.csv", &corpus.train),
        ("benign.csv", &corpus.benign),
        ("gate_benign.csv", &corpus.gate_benign),
        ("gate_attacks.csv", &corpus.gate_attacks),
        ("hard_negatives_train.csv", &corpus.hard_negatives_train),
        ("hard_negatives_test.csv", &corpus.hard_negatives_test),
    ];
    for (name, rows) in parts {
        write::write(&folder.join(name), &extra, rows, false)?;
    }
    let attacks = starter::attack_corpus();
    write::write(&folder.join(ATTACKS), &scenario::EXTRA.map(str::to_string), &attacks, false)?;
    target.finish()?;
    let all = parts.iter().map(|(name, rows)| (*name, rows.len())).chain([(ATTACKS, attacks.len())]);
    print(table(&["file", "rows"], all.map(|(name, n)| vec![name.to_string(), thousands(n)])))?;
    Ok(ExitCode::SUCCESS)
}
