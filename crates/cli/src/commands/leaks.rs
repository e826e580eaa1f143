//! `levelhead data leaks`, and the refusal to measure on rows that trained.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use levelhead::normalize;
use levelhead_lab::group::GroupConfig;
use levelhead_lab::leaks::{Kind, Leak, leaks, remove};
use levelhead_lab::output::Output;
use levelhead_lab::progress::Progress;
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::subject::Subject;
use levelhead_lab::{Error, merge, read, write};
use serde_json::json;

use super::exit_code;
use crate::args::{InputArgs, LeaksArgs};
use crate::inputs::read_all;
use crate::terminal::{Terminal, print, table, thousands};

/// How many pairs are shown.
const N_SHOWN: usize = 20;

/// Runs the command.
pub fn run(args: &LeaksArgs, terminal: &Terminal) -> Result<ExitCode> {
    if let Some(path) = &args.output {
        read::format_of(path)?;
        Output::prepare(path, args.force)?;
    }
    let mut train = read_all(&args.train, false, &args.reading, terminal)?;
    let test = read_all(&args.test, false, &args.reading, terminal)?;
    let found = leaks(&train, &test, GroupConfig::default());
    let of_kind = |kind: Kind| found.iter().filter(|l| l.kind == kind).count();
    if args.json {
        let name = |side: &[Dataset], file: usize| side[file].name();
        for leak in &found {
            let texts = texts(leak, &train, &test);
            print(json!({
                "kind": leak.kind, "similarity": leak.similarity,
                "train": {"file": name(&train, leak.train.file), "row": leak.train.row, "text": texts[0]},
                "test": {"file": name(&test, leak.test.file), "row": leak.test.row, "text": texts[1]},
            }))?;
        }
    } else {
        let shown = found.iter().take(N_SHOWN).map(|leak| {
            let similarity = leak.similarity.map_or("-".to_string(), |s| format!("{s:.2}"));
            let [a, b] =
                texts(leak, &train, &test).map(|t| t.chars().take(40).collect::<String>().replace(['\n', '\r', '\t'], " "));
            vec![leak.kind.words().to_string(), similarity, a, b]
        });
        print(table(&["kind", "similarity", "training row", "test row"], shown))?;
        if found.len() > N_SHOWN {
            print(format!("{} more pairs; --json prints them all", thousands(found.len() - N_SHOWN)))?;
        }
    }
    let n_rows: usize = train.iter().map(|d| d.rows.len()).sum();
    let removed: usize = remove(&mut train, &found).iter().sum();
    terminal.say(&format!(
        "{} pairs: {} equal, {} nearly equal, {} of one lineage; {} of {} training rows take part",
        thousands(found.len()),
        thousands(of_kind(Kind::Equal)),
        thousands(of_kind(Kind::Near)),
        thousands(of_kind(Kind::Lineage)),
        thousands(removed),
        thousands(n_rows)
    ));
    if let Some(path) = &args.output {
        let clean = merge::concatenate(train);
        write::write(path, &clean.extra, &clean.rows, args.force)?;
        terminal.say(&format!("{} training rows without leaks written to {}", thousands(clean.rows.len()), path.display()));
    }
    Ok(exit_code(found.is_empty()))
}

fn texts<'a>(leak: &Leak, train: &'a [Dataset], test: &'a [Dataset]) -> [&'a str; 2] {
    [(train, leak.train), (test, leak.test)].map(|(side, place)| side[place.file].rows[place.row].text.as_str())
}

/// Leaves out rows that a guard must not be measured on: those that it has trained on, as its artifact says, and those that
/// are equal to or near a row of `trained_on`. Says how many there are.
///
/// # Errors
/// [`Error::Data`] where no row is left.
pub fn refuse_trained(
    rows: Vec<Row>,
    subjects: &[&Subject],
    trained_on: &[PathBuf],
    reading: &InputArgs,
    terminal: &Terminal,
) -> Result<Vec<Row>> {
    let n_before = rows.len();
    let trained = |row: &Row| {
        let text = normalize(&row.text);
        subjects.iter().any(|s| matches!(s, Subject::Levelhead { guard, .. } if guard.trained.contains(&text)))
    };
    let mut rows: Vec<Row> = rows.into_iter().filter(|row| !trained(row)).collect();
    let n_trained = n_before - rows.len();
    if n_trained > 0 {
        terminal.say(&format!("{} rows refused: the guard has trained on them", thousands(n_trained)));
    }
    if !trained_on.is_empty() && !rows.is_empty() {
        let others = read_all(trained_on, false, reading, terminal)?;
        // The measured rows are the side that gives way here.
        let mut measured = [Dataset { rows, ..Dataset::default() }];
        let found = leaks(&measured, &others, GroupConfig::default());
        let n_near = remove(&mut measured, &found)[0];
        let [data] = measured;
        rows = data.rows;
        terminal.say(&format!("{} rows refused: equal or near to a row of --trained-on", thousands(n_near)));
    }
    if rows.is_empty() && n_before > 0 {
        let reason = format!("all {} rows were trained on: measure on rows that the guard has not seen", thousands(n_before));
        return Err(Error::data(reason).into());
    }
    Ok(rows)
}

/// Leaves out training rows that are equal to or near a row of `measured`. Says how many there are.
pub fn refuse_measured(files: &mut [Dataset], measured: &[PathBuf], reading: &InputArgs, terminal: &Terminal) -> Result<()> {
    if measured.is_empty() {
        return Ok(());
    }
    let measured = read_all(measured, false, reading, terminal)?;
    let found = leaks(files, &measured, GroupConfig::default());
    for (file, n) in remove(files, &found).iter().enumerate() {
        terminal.say(&format!("{}: {} rows refused, equal or near to a row of --measured", files[file].name(), thousands(*n)));
    }
    Ok(())
}
