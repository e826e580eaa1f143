//! `levelhead data labels` and `levelhead data relabel`: find labels that are probably wrong, and put them right.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use levelhead_lab::crossval::{Folded, Scheme, folds, out_of_fold};
use levelhead_lab::labels::{EXTRA, LabelAudit, audit_labels, plant, planted_among, relabel, suspect_rows};
use levelhead_lab::leaks::groups;
use levelhead_lab::output::Output;
use levelhead_lab::progress::Progress;
use levelhead_lab::row::Row;
use levelhead_lab::{merge, read, write};
use serde_json::json;

use super::train::config;
use crate::args::{LabelsArgs, RelabelArgs};
use crate::inputs::{read_all, read_one};
use crate::terminal::{Terminal, print, table, thousands};

/// How many sources are shown.
const N_SOURCES: usize = 12;

/// `data labels`.
pub fn audit(args: &LabelsArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = config(&args.settings, args.seed);
    config.check()?;
    if let Some(path) = &args.output {
        read::format_of(path)?;
        Output::prepare(path, args.force)?;
    }
    if let Some(share) = args.plant {
        ensure!(share > 0.0 && share < 0.5, "--plant {share}: a share above 0 and below 0.5 is needed");
        ensure!(args.output.is_none(), "--plant is a trial on labels made wrong on purpose: leave -o away");
    }
    let mut files = read_all(&args.data, true, &args.reading, terminal)?;
    let groups = groups(&files.iter().collect::<Vec<_>>(), terminal);
    let names: Vec<String> = files.iter().map(|f| f.name()).collect();
    let places: Vec<(&str, usize)> =
        files.iter().zip(&names).flat_map(|(f, name)| (0..f.rows.len()).map(|at| (name.as_str(), at))).collect();
    let mut rows: Vec<Row> = files.iter_mut().flat_map(|f| std::mem::take(&mut f.rows)).collect();
    let planted = args.plant.map_or(Vec::new(), |share| plant(&mut rows, share, args.seed));
    let borrowed: Vec<&Row> = rows.iter().collect();
    let folds = folds(&borrowed, &groups, Scheme::Grouped, args.folds, args.seed)?;
    let folded = Folded { rows: &borrowed, shared: &[], groups: &groups, folds: &folds, scheme: Scheme::Grouped };
    let verdicts = out_of_fold(folded, config, terminal).context("--data")?;
    let p_attack: Vec<f64> = verdicts.iter().map(|v| v.score.0).collect();
    let found = audit_labels(&borrowed, &groups, &p_attack);
    if args.plant.is_some() {
        return trial(&found, &planted, args.json);
    }
    let suspects = suspect_rows(&borrowed, &places, &found, args.top);
    if let Some(path) = &args.output {
        write::write(path, &EXTRA.map(str::to_string), &suspects, args.force)?;
    }
    if args.json {
        let rows = suspects.iter().map(|row| {
            let extra: serde_json::Map<String, serde_json::Value> =
                EXTRA.iter().zip(&row.extra).map(|(name, value)| (name.to_string(), json!(**value))).collect();
            json!({"text": row.text, "label": u8::from(row.is_attack()), "source": *row.source, "about": extra})
        });
        let all = json!({
            "n_rows": rows.len(), "thresholds": found.thresholds, "confident": found.confident,
            "n_contradictions": found.n_contradictions, "n_suspects": found.suspects.len(), "suspects": rows.collect::<Vec<_>>(),
        });
        print(serde_json::to_string_pretty(&all)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let counts = |label: usize| -> Vec<String> {
        let name = ["benign", "attack"][label];
        let [benign, attack] = found.confident[label];
        vec![name.to_string(), thousands(benign), thousands(attack), format!("{:.3}", found.thresholds[label])]
    };
    print(table(&["labelled", "surely benign", "surely attack", "sure from"], [counts(0), counts(1)]))?;
    print(table(&["source", "rows", "in doubt", "share"], by_source(&borrowed, &found)))?;
    let shown = suspects.iter().take(args.show).map(|row| {
        let text: String = row.text.chars().take(60).collect::<String>().replace(['\n', '\r', '\t'], " ");
        vec![
            row.extra[0].to_string(),
            u8::from(row.is_attack()).to_string(),
            row.extra[3].to_string(),
            row.source.to_string(),
            text,
        ]
    });
    if args.show > 0 {
        print(table(&["rank", "label", "P(attack)", "source", "text"], shown))?;
    }
    terminal.say(&format!(
        "{} of {} rows are in doubt; {} groups of near-duplicates hold both labels",
        thousands(found.suspects.len()),
        thousands(rows.len()),
        thousands(found.n_contradictions)
    ));
    if let Some(path) = &args.output {
        terminal.say(&format!(
            "{} rows written to {}: fill in `corrected` with 0, 1 or drop, then run `levelhead data relabel`",
            thousands(suspects.len()),
            path.display()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The sources with the most rows in doubt.
fn by_source(rows: &[&Row], found: &LabelAudit) -> Vec<Vec<String>> {
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    rows.iter().for_each(|row| counts.entry(&row.source).or_default()[0] += 1);
    found.suspects.iter().for_each(|s| counts.get_mut(&*rows[s.row].source).expect("every source was counted")[1] += 1);
    let mut sources: Vec<_> = counts.into_iter().filter(|(_, [_, n])| *n > 0).collect();
    sources.sort_by_key(|(_, [_, n])| Reverse(*n));
    let line = |(source, [all, n]): (&str, [usize; 2])| {
        vec![source.to_string(), thousands(all), thousands(n), format!("{:.1} %", 100.0 * n as f64 / all as f64)]
    };
    sources.into_iter().take(N_SOURCES).map(line).collect()
}

/// Says how many of the labels made wrong on purpose stand among the first.
fn trial(found: &LabelAudit, planted: &[usize], as_json: bool) -> Result<ExitCode> {
    let n = planted.len();
    let mut ks: Vec<usize> = [0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0].iter().map(|x| (n as f64 * x) as usize).collect();
    ks.push(found.suspects.len());
    ks.retain(|k| *k > 0 && *k <= found.suspects.len());
    ks.sort_unstable();
    ks.dedup();
    let curve: Vec<(usize, usize)> = ks.into_iter().map(|k| (k, planted_among(found, planted, k))).collect();
    if as_json {
        let points: Vec<_> = curve.iter().map(|(k, hits)| json!({"k": k, "planted": hits})).collect();
        print(serde_json::to_string_pretty(&json!({"n_planted": n, "n_suspects": found.suspects.len(), "curve": points}))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let lines = curve.iter().map(|(k, hits)| {
        let share = |of: usize| format!("{:.1} %", 100.0 * *hits as f64 / of as f64);
        vec![thousands(*k), thousands(*hits), share(*k), share(n)]
    });
    print(table(&["first k", "planted", "precision", "recall"], lines))?;
    print(format!(
        "{} labels were made wrong on purpose; precision counts rows wrong before as errors, so it is a lower bound",
        thousands(n)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// `data relabel`.
pub fn correct(args: &RelabelArgs, terminal: &Terminal) -> Result<ExitCode> {
    read::format_of(&args.output)?;
    Output::prepare(&args.output, args.force)?;
    let corrections = read_one(&args.corrections, true, &args.reading, terminal)?;
    let mut files = read_all(&args.data, true, &args.reading, terminal)?;
    let done = relabel(&mut files, &corrections)?;
    let all = merge::concatenate(files);
    write::write(&args.output, &all.extra, &all.rows, args.force)?;
    print(format!(
        "{} labels changed, {} rows dropped, {} decisions leave a row as it is; {} rows written to {}",
        thousands(done.changed),
        thousands(done.dropped),
        thousands(done.kept),
        thousands(all.rows.len()),
        args.output.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
