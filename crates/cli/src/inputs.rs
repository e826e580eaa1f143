//! Reading datasets for a command, with the counts that every such command prints.

use std::path::{Path, PathBuf};

use anyhow::Result;
use levelhead_lab::Error;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::progress::Progress;
use levelhead_lab::read::{ReadOptions, read};
use levelhead_lab::row::{Dataset, Label, Rejected};

use crate::args::InputArgs;
use crate::terminal::{Terminal, thousands};

/// The reader's options from the command line's.
pub fn options(args: &InputArgs, needs_label: bool) -> ReadOptions {
    ReadOptions { needs_label, keep_going: args.rejects.is_some(), repair: args.repair, max_text_bytes: args.max_text_bytes }
}

/// Reads datasets and says what became of their rows.
pub fn read_all(paths: &[PathBuf], needs_label: bool, args: &InputArgs, terminal: &Terminal) -> Result<Vec<Dataset>> {
    check_rejects(args)?;
    let mut files = Vec::new();
    for path in paths {
        let data = read(path, options(args, needs_label))?;
        let c = data.counts;
        terminal.say(&format!(
            "{}: {} read, {} kept, {} repaired, {} rejected",
            data.name(),
            thousands(c.read),
            thousands(c.kept),
            thousands(c.repaired),
            thousands(c.rejected)
        ));
        files.push(data);
    }
    if let Some(path) = &args.rejects {
        let new = files.iter().flat_map(|f| f.rejected.iter().map(|r| (f.name(), r.clone())));
        terminal.with_rejects(|all| {
            all.extend(new);
            write_rejects(path, all)
        })?;
    }
    Ok(files)
}

/// Reads one dataset.
pub fn read_one(path: &Path, needs_label: bool, args: &InputArgs, terminal: &Terminal) -> Result<Dataset> {
    let mut files = read_all(&[path.to_path_buf()], needs_label, args, terminal)?;
    Ok(files.remove(0))
}

/// The rows of a file that should hold only benign ones. Rows without a label count as benign; others are left out and counted.
pub fn benign_rows(mut data: Dataset, terminal: &Terminal) -> Dataset {
    let n_before = data.rows.len();
    data.rows.retain(|row| !row.is_attack());
    data.rows.iter_mut().for_each(|row| row.label = Some(Label::Benign));
    let n_left = n_before - data.rows.len();
    if n_left > 0 {
        terminal.say(&format!("{}: {} rows labelled attack are left out", data.name(), thousands(n_left)));
    }
    data
}

/// Whether rejected rows can be written: a file that is there is replaced only where it holds such rows.
pub fn check_rejects(args: &InputArgs) -> Result<()> {
    let Some(path) = &args.rejects else { return Ok(()) };
    Output::prepare(path, true)?;
    if !path.exists() {
        return Ok(());
    }
    let text = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let is_rejects =
        serde_json::from_slice::<serde_json::Value>(first).is_ok_and(|v| v["reason"].is_string() && v["line"].is_u64());
    if !text.is_empty() && !is_rejects {
        return Err(Error::format(path, "holds no rejected rows, so --rejects does not replace it: choose another name").into());
    }
    Ok(())
}

/// Writes rejected rows as JSON lines; those of an earlier run are replaced.
pub fn write_rejects(path: &Path, rejected: &[(String, Rejected)]) -> Result<()> {
    let mut lines = String::new();
    for (file, r) in rejected {
        let line = serde_json::json!({ "file": file, "line": r.line, "column": r.column, "reason": r.reason, "text": r.text });
        lines.push_str(&format!("{line}\n"));
    }
    Ok(write_file(path, lines.as_bytes(), true)?)
}
