//! `levelhead gate`: pass or fail, with the counts and bounds that decide.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::gate::{GateData, GateReport, Gates, Outcome};
use levelhead_lab::gate_text::gate_rows;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::row::{HARD_NEGATIVE, Row};
use levelhead_lab::subject::Subject;
use levelhead_lab::{Error, starter};

use super::evaluate::Judged;
use super::exit_code;
use super::leaks::refuse_trained;
use crate::args::GateArgs;
use crate::inputs::{benign_rows, read_all, read_one};
use crate::terminal::{Color, Terminal, colored, print, table};

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
    let report = gates.check(&GateData { measured: judged.measured(), old_verdicts: old.as_deref() });
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
    format!("{out}\ngate {word}")
}
