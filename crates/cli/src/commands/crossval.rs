//! `levelhead crossval`: how much of a figure is leakage.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::{Context, Result};
use levelhead_lab::Error;
use levelhead_lab::crossval::{Folded, Scheme, folds, out_of_fold};
use levelhead_lab::evaluate::{Evaluation, RecallAtFpr, evaluate};
use levelhead_lab::group::{GroupConfig, group};
use levelhead_lab::measure::Measured;
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::starter;
use serde_json::json;

use super::train::{config, keep_licenses};
use crate::args::CrossvalArgs;
use crate::inputs::read_all;
use crate::terminal::{Terminal, print, table, thousands};

/// Runs the command.
pub fn run(args: &CrossvalArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = config(&args.settings, args.seed);
    config.check()?;
    let mut files = read_all(&args.data, true, &args.reading, terminal)?;
    for file in &mut files {
        keep_licenses(file, &args.licenses, terminal)?;
    }
    let mut shared = if args.with_starter { starter::training_rows() } else { Vec::new() };
    let rows = match &args.by {
        Some(column) => {
            let (named, others) = named_by(column, files)?;
            shared.extend(others);
            named
        }
        None => files.into_iter().flat_map(|f| f.rows).collect(),
    };
    let texts: Vec<&str> = rows.iter().chain(&shared).map(|r| r.text.as_str()).collect();
    let groups = group(&texts, GroupConfig::default(), terminal).ids;
    let own_groups = &groups[..rows.len()];
    let borrowed: Vec<&Row> = rows.iter().collect();
    let shared: Vec<&Row> = shared.iter().collect();
    let is_asked = |scheme: &Scheme| match &args.by {
        Some(_) => *scheme == Scheme::BySource,
        None => args.scheme.is_empty() || args.scheme.iter().any(|name| name == scheme.name()),
    };
    let schemes = Scheme::ALL.into_iter().filter(is_asked);
    let n_folds = match &args.by {
        Some(_) => rows.iter().map(|row| &*row.source).collect::<BTreeSet<_>>().len() as u32,
        None => args.folds,
    };
    let mut found: Vec<(Scheme, Evaluation)> = Vec::new();
    for scheme in schemes {
        let folds = folds(&borrowed, own_groups, scheme, n_folds, args.seed)?;
        let folded = Folded { rows: &borrowed, shared: &shared, groups: &groups, folds: &folds, scheme };
        let verdicts = out_of_fold(folded, config, terminal).context("--data")?;
        found.push((scheme, evaluate(Measured { rows: &rows, verdicts: &verdicts, groups: own_groups }, None, args.seed)));
    }
    if args.json {
        let named: Vec<_> = found.iter().map(|(scheme, e)| json!({"split": scheme.name(), "evaluation": e})).collect();
        print(serde_json::to_string_pretty(&json!({ "splits": named }))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.by.is_some() {
        return by_value(&found[0].1);
    }
    let mut sources: Vec<&String> = found[0].1.recall_by_source.keys().collect();
    sources.sort();
    let names: Vec<&str> = std::iter::once("figure").chain(found.iter().map(|f| f.0.name())).collect();
    let share = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.4}"));
    let line = |name: &str, value: &dyn Fn(&Evaluation) -> Option<f64>| -> Vec<String> {
        std::iter::once(name.to_string()).chain(found.iter().map(|f| share(value(&f.1)))).collect()
    };
    let mut lines = vec![
        line("mean recall at 1 % FPR", &|e| e.recall_at_fpr[0].mean.value),
        line("mean recall at 0.5 % FPR", &|e| e.recall_at_fpr[1].mean.value),
        line("mean recall at 0.1 % FPR", &|e| e.recall_at_fpr[2].mean.value),
        line("AUC", &|e| e.auc.value),
        line("FPR, natural", &|e| e.false_positive_rate.rate),
    ];
    lines.extend(sources.iter().map(|s| line(&format!("  {s} at 0.5 %"), &|e| e.recall_at_fpr[1].by_source.get(*s)?.rate)));
    print(table(&names, lines))?;
    Ok(ExitCode::SUCCESS)
}

/// The rows with a value in a column, which becomes their source, and the others.
fn named_by(column: &str, files: Vec<Dataset>) -> Result<(Vec<Row>, Vec<Row>)> {
    if !files.iter().any(|file| file.extra.iter().any(|name| name == column)) {
        let names: Vec<&str> = files.iter().flat_map(|file| &file.extra).map(String::as_str).collect();
        let reason = format!("no file of --data has a column {column:?}, only {}", names.join(", "));
        return Err(Error::setting("by", reason).into());
    }
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for mut file in files {
        for mut row in std::mem::take(&mut file.rows) {
            match file.extra(&row, column).filter(|value| !value.is_empty()).map(str::to_string) {
                Some(value) => {
                    row.source = value.into();
                    named.push(row);
                }
                None => others.push(row),
            }
        }
    }
    Ok((named, others))
}

/// One line for each value that was left out.
fn by_value(found: &Evaluation) -> Result<ExitCode> {
    let [at_1, _, at_01] = &found.recall_at_fpr[..] else { unreachable!("there are three rates") };
    let share = |rate: Option<f64>| rate.map_or("-".to_string(), |r| format!("{:.1} %", 100.0 * r));
    let lines = found.recall_by_source.iter().map(|(value, recall)| {
        let false_positives = found.false_positive_rate_by_source.get(value).and_then(|s| s.rate);
        let at = |fpr: &RecallAtFpr| share(fpr.by_source.get(value).and_then(|f| f.rate));
        vec![value.clone(), thousands(recall.count.n), share(recall.rate), share(false_positives), at(at_1), at(at_01)]
    });
    let names = ["left out", "attacks", "recall, natural", "FPR, natural", "recall at 1 % FPR", "at 0.1 % FPR"];
    print(table(&names, lines))?;
    Ok(ExitCode::SUCCESS)
}
