//! `levelhead compare`: is the new guard better than the old one, on the same rows?

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::compare::{Comparison, Pair, compare};
use levelhead_lab::compare_text::comparison_markdown;
use levelhead_lab::group::{GroupConfig, group};
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::row::Row;
use levelhead_lab::subject::Subject;

use super::leaks::refuse_trained;
use crate::args::CompareArgs;
use crate::inputs::read_all;
use crate::terminal::{Terminal, print};

/// Runs the command.
pub fn run(args: &CompareArgs, terminal: &Terminal) -> Result<ExitCode> {
    if let Some(path) = &args.changes {
        Output::prepare(path, args.force)?;
    }
    let (old, new) = (Subject::open(&args.old)?, Subject::open(&args.new)?);
    let rows: Vec<Row> = read_all(&args.data, true, &args.reading, terminal)?.into_iter().flat_map(|f| f.rows).collect();
    let rows = refuse_trained(rows, &[&old, &new], &args.trained_on, &args.reading, terminal)?;
    let texts: Vec<&str> = rows.iter().map(|r| r.text.as_str()).collect();
    let groups = group(&texts, GroupConfig::default(), terminal).ids;
    let (of_old, of_new) = (old.judge(&rows, terminal)?, new.judge(&rows, terminal)?);
    let found = compare(Pair { rows: &rows, old: &of_old, new: &of_new, groups: &groups }, args.seed);
    if let Some(path) = &args.changes {
        write_changes(path, &found, args.force)?;
    }
    print(if args.json { serde_json::to_string_pretty(&found)? } else { comparison_markdown(&found) })?;
    Ok(ExitCode::SUCCESS)
}

fn write_changes(path: &Path, found: &Comparison, force: bool) -> Result<()> {
    let mut lines = String::new();
    for change in &found.changes {
        lines.push_str(&serde_json::to_string(change)?);
        lines.push('\n');
    }
    Ok(write_file(path, lines.as_bytes(), force)?)
}
