//! `levelhead crossval`: how much of a figure is leakage.

use std::process::ExitCode;

use anyhow::{Context, Result};
use levelhead_lab::crossval::{Folded, Scheme, folds, out_of_fold};
use levelhead_lab::evaluate::{Evaluation, evaluate};
use levelhead_lab::group::{GroupConfig, group};
use levelhead_lab::measure::Measured;
use levelhead_lab::row::Row;
use levelhead_lab::starter;
use serde_json::json;

use super::train::{config, keep_licenses};
use crate::args::CrossvalArgs;
use crate::inputs::read_all;
use crate::terminal::{Terminal, print, table};

/// Runs the command.
pub fn run(args: &CrossvalArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = config(&args.settings, args.seed);
    config.check()?;
    let mut files = read_all(&args.data, true, &args.reading, terminal)?;
    for file in &mut files {
        keep_licenses(file, &args.licenses, terminal)?;
    }
    let rows: Vec<Row> = files.into_iter().flat_map(|f| f.rows).collect();
    let shared = if args.with_starter { starter::all_rows() } else { Vec::new() };
    let texts: Vec<&str> = rows.iter().chain(&shared).map(|r| r.text.as_str()).collect();
    let groups = group(&texts, GroupConfig::default(), terminal).ids;
    let own_groups = &groups[..rows.len()];
    let borrowed: Vec<&Row> = rows.iter().collect();
    let shared: Vec<&Row> = shared.iter().collect();
    let schemes = Scheme::ALL.into_iter().filter(|s| args.scheme.is_empty() || args.scheme.iter().any(|name| name == s.name()));
    let mut found: Vec<(Scheme, Evaluation)> = Vec::new();
    for scheme in schemes {
        let folds = folds(&borrowed, own_groups, scheme, args.folds, args.seed)?;
        let folded = Folded { rows: &borrowed, shared: &shared, groups: &groups, folds: &folds, scheme };
        let verdicts = out_of_fold(folded, config, terminal).context("--data")?;
        found.push((scheme, evaluate(Measured { rows: &rows, verdicts: &verdicts, groups: own_groups }, None, args.seed)));
    }
    if args.json {
        let named: Vec<_> = found.iter().map(|(scheme, e)| json!({"split": scheme.name(), "evaluation": e})).collect();
        print(serde_json::to_string_pretty(&json!({ "splits": named }))?)?;
        return Ok(ExitCode::SUCCESS);
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
