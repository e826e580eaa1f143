//! `levelhead audit`: the false positive analysis of any guard.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::Error;
use levelhead_lab::audit::{Audit, AuditInput, audit};
use levelhead_lab::audit_file::read_audit;
use levelhead_lab::audit_report::audit_markdown;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::row::Row;
use levelhead_lab::subject::Subject;

use crate::args::AuditArgs;
use crate::inputs::read_one;
use crate::terminal::{Terminal, print};

/// Runs the command.
pub fn run(args: &AuditArgs, terminal: &Terminal) -> Result<ExitCode> {
    let output = Output::prepare_folder(&args.output, args.force)?;
    let found = match (&args.results, &args.guard, &args.benign) {
        (Some(results), _, _) => read_audit(results)?,
        (None, Some(guard), Some(benign)) => judge(guard, benign, args, terminal)?,
        _ => anyhow::bail!("nothing to audit: give --guard and --benign, or --results"),
    };
    let json = serde_json::to_string_pretty(&found)?;
    let report = audit_markdown(&found);
    let folder = output.create_folder()?;
    write_file(&folder.join("audit.json"), json.as_bytes(), false)?;
    write_file(&folder.join("audit.md"), report.as_bytes(), false)?;
    output.finish()?;
    print(if args.json { &json } else { &report })?;
    if !args.json {
        print(format!("written to {}: audit.json, audit.md", args.output.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(guard: &str, benign: &Path, args: &AuditArgs, terminal: &Terminal) -> Result<Audit> {
    let subject = Subject::open(guard)?;
    let data = read_one(benign, false, &args.reading, terminal)?;
    if data.rows.iter().all(Row::is_attack) {
        return Err(Error::format(benign, "all rows are labelled attack: benign prompts are needed").into());
    }
    let verdicts = subject.judge(&data.rows, terminal)?;
    let has_languages = data.extra.iter().any(|c| c == "lang");
    let languages = has_languages.then(|| data.rows.iter().map(|r| data.extra(r, "lang").unwrap_or("")).collect());
    Ok(audit(AuditInput { rows: &data.rows, languages, verdicts: &verdicts, guard: subject.name() }))
}
