//! `levelhead gate`: pass or fail, with the counts and bounds that decide.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::gate::{GateData, GateReport, Gates, Outcome};
use levelhead_lab::gate_text::gate_rows;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::progress::{Progress, Silent};
use levelhead_lab::robustness::{Robustness, RobustnessConfig, robustness};
use levelhead_lab::row::{HARD_NEGATIVE, Row};
use levelhead_lab::stats::Count;
use levelhead_lab::subject::Subject;
use levelhead_lab::transform::Transform;
use levelhead_lab::visibility::visibility_lines;
use levelhead_lab::{Error, starter};

use super::evaluate::Judged;
use super::exit_code;
use super::leaks::refuse_trained;
use crate::args::GateArgs;
use crate::inputs::{benign_rows, read_all, read_one};
use crate::terminal::{Color, Terminal, colored, percent, print, table, thousands};

/// Runs the command.
pub fn run(args: &GateArgs, terminal: &Terminal) -> Result<ExitCode> {
    let gates = gates(args.gates.as_deref())?;
    if let Some(path) = &args.output {
        Output::prepare(path, args.force)?;
    }
    let subject = Subject::open(&args.guard)?;
    let old = args.old.as_deref().map(Subject::open).transpose()?;
    let mut rows: Vec<Row> = Vec::new();
    for file in read_all(&args.benign, false, &args.reading, terminal)? {
        rows.extend(benign_rows(file, terminal).rows);
    }
    let attacks = read_all(&args.attacks, true, &args.reading, terminal)?;
    rows.extend(attacks.into_iter().flat_map(|f| f.rows).filter(Row::is_attack));
    rows.extend(match &args.hard_negatives {
        Some(path) => marked_hard(benign_rows(read_one(path, false, &args.reading, terminal)?, terminal).rows),
        None => starter::starter().hard_negatives_test,
    });
    let rows = refuse_trained(rows, &[&subject], &args.trained_on, &args.reading, terminal)?;
    let judged = Judged::new(&subject, &rows, terminal)?;
    let old = old.map(|old| old.judge(&rows, terminal)).transpose()?;
    let mut report = gates.check(&GateData { measured: judged.measured(), old_verdicts: old.as_deref() });
    // Stored verdicts say nothing of a text that is changed.
    if gates.robustness.is_some() && !matches!(subject, Subject::Results { .. }) {
        let config = RobustnessConfig::default();
        terminal.begin("robustness", Transform::ALL.len() as u64);
        let found = robustness(judged.measured(), config, |rows| {
            terminal.advance(1);
            subject.judge(rows, &Silent)
        });
        terminal.end();
        gates.add_robustness(&mut report, found?);
    }
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.output {
        write_file(path, json.as_bytes(), args.force)?;
    }
    print(if args.json { json } else { readable(&report) })?;
    Ok(exit_code(report.passed))
}

/// Hard negatives by the file that they stand in, whatever its notes say.
fn marked_hard(mut rows: Vec<Row>) -> Vec<Row> {
    for row in rows.iter_mut().filter(|row| !row.is_hard_negative()) {
        row.notes = format!("{HARD_NEGATIVE} {}", row.notes).into();
    }
    rows
}

/// Reads a gate file, or takes the seed's criteria.
pub fn gates(path: Option<&Path>) -> Result<Gates> {
    let Some(path) = path else { return Ok(Gates::embedded()) };
    let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
    Ok(Gates::from_toml(&text, path)?)
}

/// The table of checks and the verdict under it.
pub fn readable(report: &GateReport) -> String {
    let word = if report.passed { colored("passed", Color::Green) } else { colored("failed", Color::Red) };
    // The slice stands in the check's name; without it the table fits into 80 columns.
    let rows = gate_rows(report).into_iter().map(|[check, _, counts, rate, shown, limit, outcome]| {
        let counts = if counts == rate { counts } else { format!("{counts} ({rate})") };
        vec![check, counts, shown, limit, outcome]
    });
    let mut out = table(&["check", "counts", "shown", "limit", "outcome"], rows).to_string();
    for check in report.checks.iter().filter(|c| c.outcome != Outcome::Passed) {
        out.push_str(&format!("\n{}: {}", check.name, check.words));
    }
    for line in visibility_lines(&report.visibility) {
        out.push_str(&format!("\n{line}"));
    }
    if let Some(found) = &report.robustness {
        out.push_str(&format!("\n\n{}", robustness_table(found)));
    }
    format!("{out}\ngate {word}")
}

fn robustness_table(found: &Robustness) -> String {
    let share = |c: Count| format!("{} of {} ({} %)", thousands(c.hits), thousands(c.n), percent(c.rate().unwrap_or(0.0)));
    let rows = found.flips.iter().map(|f| vec![f.transform.to_string(), share(f.freed), share(f.alarmed)]);
    let mut out = table(&["transformation", "caught attacks freed", "benign alarmed"], rows).to_string();
    let s = found.shortcuts;
    let auc = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.3}"));
    let rows = [
        ("the guard", s.guard),
        ("length alone", s.length),
        ("known attack words alone", s.keywords),
        ("the guard at equal length", s.guard_at_equal_length),
        ("the guard on random labels", s.guard_on_random_labels),
    ];
    out.push_str(&format!(
        "\n\n{}",
        table(&["area under the ROC curve of", "AUC"], rows.map(|(n, v)| vec![n.to_string(), auc(v)]))
    ));
    out
}
