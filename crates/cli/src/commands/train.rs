//! `levelhead train`: labelled prompts in, a guard out.

use std::process::ExitCode;

use anyhow::{Context, Result};
use levelhead::RulePack;
use levelhead::features::FeatureSpec;
use levelhead::provenance::Input;
use levelhead_lab::calibrate::{CalibrateConfig, calibrate};
use levelhead_lab::leaks::groups;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::progress::Progress;
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::subject::read_guard;
use levelhead_lab::train::{SourceWeights, TrainConfig, Trained, train};
use levelhead_lab::{Error, split, starter};
use serde_json::json;

use super::leaks::refuse_measured;
use crate::args::{TrainArgs, TrainSettings};
use crate::inputs::read_all;
use crate::terminal::{Terminal, print, rate, table, thousands};

/// Groups in this share are held back to decide when to stop, and as many again to set a threshold.
const HELD_BACK: f64 = 0.05;

/// Runs the command.
pub fn run(args: &TrainArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = config(&args.settings, args.seed);
    config.check()?;
    Output::prepare(&args.output, args.force)?;
    let rules = rules(&args.rules)?;
    let start = args.from.as_deref().map(read_guard).transpose()?;
    let mut files = read_all(&args.data, true, &args.reading, terminal)?;
    for file in &mut files {
        keep_licenses(file, &args.licenses, terminal)?;
    }
    refuse_measured(&mut files, &args.measured, &args.reading, terminal)?;
    let inputs: Vec<Input> = files.iter().map(input).collect();
    let licenses = count_licenses(&files);
    let n_own: usize = files.iter().map(|f| f.rows.len()).sum();
    if args.with_starter {
        files.push(Dataset {
            rows: starter::training_rows(),
            extra: starter::EXTRA.map(str::to_string).into(),
            ..Dataset::default()
        });
    }
    let groups = groups(&files.iter().collect::<Vec<_>>(), terminal);
    let rows: Vec<Row> = files.into_iter().flat_map(|f| f.rows).collect();
    let is_tune = split::part(&groups, HELD_BACK, args.seed, "tune");
    let is_threshold = split::part(&groups, if args.max_fpr.is_some() { HELD_BACK } else { 0.0 }, args.seed, "threshold");
    let part = |tune: bool| -> Vec<&Row> {
        (0..rows.len()).filter(|i| !is_threshold[*i] && is_tune[*i] == tune).map(|i| &rows[i]).collect()
    };
    let (fit, tune) = (part(false), part(true));
    let mut trained = train(&fit, &tune, rules, config, start.as_ref(), terminal).context("--data")?;
    if let Some(max_fpr) = args.max_fpr {
        // The starter corpus is made of what a guard mistakes: a threshold for it would be none for traffic.
        let held_back = (0..n_own).filter(|i| is_threshold[*i]).map(|i| &rows[i]);
        let (attacks, benign): (Vec<&Row>, Vec<&Row>) = held_back.partition(|r| r.is_attack());
        let target = CalibrateConfig { max_fpr, ..CalibrateConfig::default() };
        trained.guard =
            calibrate(&trained.guard, &benign, &attacks, target).context("--data, rows held back for the threshold")?.guard;
    }
    trained.guard.provenance.inputs = inputs;
    trained.guard.provenance.licenses = licenses;
    write_file(&args.output, &trained.guard.to_bytes(), args.force)?;
    if args.json {
        print(summary(&trained, fit.len(), tune.len()))?;
    } else {
        print(readable(&trained))?;
        print(format!(
            "{} rows trained, {} held back; guard written to {}",
            thousands(fit.len()),
            thousands(tune.len()),
            args.output.display()
        ))?;
    }
    for warning in &trained.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(ExitCode::SUCCESS)
}

/// The trainer's settings from the command line's.
pub fn config(settings: &TrainSettings, seed: u64) -> TrainConfig {
    TrainConfig {
        features: FeatureSpec {
            char_bits: settings.char_bits,
            word_bits: settings.word_bits,
            parts: !settings.whole_only,
            ..FeatureSpec::default()
        },
        n_epochs: settings.epochs,
        learning_rate: settings.learning_rate,
        attack_weight: settings.attack_weight,
        source_weights: if settings.source_weights == "sqrt" { SourceWeights::SquareRoot } else { SourceWeights::ByRow },
        dropout: settings.dropout,
        part_penalty: settings.part_penalty,
        transformed: settings.transformed,
        seed,
        ..TrainConfig::default()
    }
}

fn rules(name: &str) -> Result<RulePack> {
    let path = std::path::Path::new(name);
    Ok(match name {
        "default" => RulePack::embedded(),
        "none" => RulePack::empty(),
        _ => {
            let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
            let pack = RulePack::from_toml(&text).and_then(|pack| pack.check().map(|()| pack));
            pack.map_err(|source| Error::Guard { path: path.to_path_buf(), source })?
        }
    })
}

/// Drops rows whose license does not begin with one of the names; keeps all where no name is given.
pub fn keep_licenses(file: &mut Dataset, names: &[String], terminal: &Terminal) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let Some(at) = file.extra.iter().position(|c| c == "license") else {
        return Err(Error::format(&file.path, "no column license: --licenses cannot be used with this file").into());
    };
    let n = file.rows.len();
    file.rows.retain(|row| row.extra.get(at).is_some_and(|value| names.iter().any(|name| value.starts_with(name.as_str()))));
    let dropped = thousands(n - file.rows.len());
    terminal.say(&format!(
        "{}: {dropped} rows with other licenses are left out, {} stay",
        file.name(),
        thousands(file.rows.len())
    ));
    Ok(())
}

/// What a file contributes to the provenance.
pub fn input(file: &Dataset) -> Input {
    Input {
        name: file.name(),
        blake3: file.blake3.clone(),
        n_rows: file.rows.len(),
        n_attacks: file.rows.iter().filter(|r| r.is_attack()).count(),
    }
}

/// Rows by license, over the files that name licenses.
pub fn count_licenses(files: &[Dataset]) -> std::collections::BTreeMap<String, usize> {
    let mut licenses = std::collections::BTreeMap::new();
    for file in files {
        for license in file.rows.iter().filter_map(|row| file.extra(row, "license")) {
            *licenses.entry(license.to_string()).or_default() += 1;
        }
    }
    licenses
}

fn readable(trained: &Trained) -> String {
    let rows = trained.epochs.iter().enumerate().map(|(i, e)| {
        vec![
            (i + 1).to_string(),
            format!("{:.4}", e.loss),
            format!("{:.4}", e.tune_loss),
            rate(e.false_positives),
            rate(e.recall),
        ]
    });
    table(&["epoch", "loss", "tuning loss", "tuning FPR", "tuning recall"], rows).to_string()
}

fn summary(trained: &Trained, n_fit: usize, n_tune: usize) -> serde_json::Value {
    let epochs: Vec<serde_json::Value> = trained
        .epochs
        .iter()
        .map(|e| json!({"loss": e.loss, "tune_loss": e.tune_loss, "false_positives": e.false_positives, "recall": e.recall}))
        .collect();
    json!({"n_trained": n_fit, "n_held_back": n_tune, "epochs": epochs, "warnings": trained.warnings})
}
