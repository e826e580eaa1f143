//! `levelhead evaluate`: every figure of a guard on labelled prompts.

use std::process::ExitCode;

use anyhow::Result;
use levelhead::Verdict;
use levelhead_lab::Error;
use levelhead_lab::evaluate::evaluate;
use levelhead_lab::evaluation_text::evaluation_markdown;
use levelhead_lab::group::{GroupConfig, group};
use levelhead_lab::measure::Measured;
use levelhead_lab::row::Row;
use levelhead_lab::subject::Subject;

use super::leaks::refuse_trained;
use crate::args::EvaluateArgs;
use crate::inputs::{benign_rows, read_all, read_one};
use crate::terminal::{Terminal, print};

/// Runs the command.
pub fn run(args: &EvaluateArgs, terminal: &Terminal) -> Result<ExitCode> {
    if let Some(rate) = args.prevalence.iter().find(|rate| !(**rate > 0.0 && **rate < 1.0)) {
        return Err(Error::setting("prevalence", format!("{rate}: a share above 0 and below 1 is needed")).into());
    }
    let subject = Subject::open(&args.guard)?;
    let rows: Vec<Row> = read_all(&args.data, true, &args.reading, terminal)?.into_iter().flat_map(|f| f.rows).collect();
    let rows = refuse_trained(rows, &[&subject], &args.trained_on, &args.reading, terminal)?;
    let n_attacks = rows.iter().filter(|r| r.counts_in_recall()).count();
    if args.benign.is_none() && (n_attacks == 0 || n_attacks == rows.len()) {
        let reason = format!(
            "--data holds {} rows, {n_attacks} of them attacks: both classes are needed, or benign prompts with --benign",
            rows.len()
        );
        return Err(Error::data(reason).into());
    }
    let benign = match &args.benign {
        Some(path) => {
            let rows = benign_rows(read_one(path, false, &args.reading, terminal)?, terminal).rows;
            refuse_trained(rows, &[&subject], &args.trained_on, &args.reading, terminal)?
        }
        None => Vec::new(),
    };
    let data = Judged::new(&subject, &rows, terminal)?;
    let reference = Judged::new(&subject, &benign, terminal)?;
    let reference = args.benign.is_some().then(|| reference.measured());
    let mut found = evaluate(data.measured(), reference, args.seed);
    found.set_prevalences(&args.prevalence);
    print(if args.json { serde_json::to_string_pretty(&found)? } else { evaluation_markdown(&found) })?;
    Ok(ExitCode::SUCCESS)
}

/// Rows with verdicts and groups.
pub struct Judged<'a> {
    rows: &'a [Row],
    verdicts: Vec<Verdict>,
    groups: Vec<u32>,
}

impl<'a> Judged<'a> {
    /// Judges and groups rows.
    pub fn new(subject: &Subject, rows: &'a [Row], terminal: &Terminal) -> Result<Judged<'a>> {
        let texts: Vec<&str> = rows.iter().map(|r| r.text.as_str()).collect();
        Ok(Judged { verdicts: subject.judge(rows, terminal)?, groups: group(&texts, GroupConfig::default(), terminal).ids, rows })
    }

    /// The three as the measures take them.
    pub fn measured(&self) -> Measured<'_> {
        Measured { rows: self.rows, verdicts: &self.verdicts, groups: &self.groups }
    }
}
