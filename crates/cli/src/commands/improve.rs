//! `levelhead improve`: the whole loop, and the folder that it leaves.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use levelhead::provenance::Input;
use levelhead_lab::ablation::Ablation;
use levelhead_lab::audit_report::audit_markdown;
use levelhead_lab::choose::ReinforceConfig;
use levelhead_lab::improve::improve;
use levelhead_lab::improvement::{ImproveConfig, Improved};
use levelhead_lab::llm::Llm;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::parts::Inputs;
use levelhead_lab::report::{Origin, report_markdown};
use levelhead_lab::report_html::report_html;
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::{starter, write};
use serde_json::json;

use super::reinforce::{json_lines, llm, recipe};
use super::train::{config, count_licenses, input, keep_licenses};
use super::{exit_code, gate};
use crate::args::{ImproveArgs, InputArgs, LoopInputs};
use crate::inputs::{benign_rows, read_all, read_one};
use crate::terminal::{Terminal, print};

/// Runs the command.
pub fn run(args: &ImproveArgs, terminal: &Terminal) -> Result<ExitCode> {
    let started = Instant::now();
    let output = Output::prepare_folder(&args.output, args.force)?;
    let gates = gate::gates(args.gates.as_deref())?;
    let defaults = ImproveConfig::default();
    let recipe = recipe(args.recipe.as_deref(), args.llm.as_deref())?.with_originals(defaults.reinforce.n_variations);
    let mut llm = llm(args.llm.as_deref(), true)?;
    let ablation: Option<Ablation> = args.ablation.as_deref().map(read_ablation).transpose()?;
    let inputs = inputs(&args.data, &args.reading, terminal)?;
    let settings = ImproveConfig {
        train: config(&args.settings, args.seed),
        n_rows: args.rows,
        remedies: !args.no_remedies,
        max_rounds: args.rounds,
        max_fpr: args.max_fpr.unwrap_or(if args.data.benign.is_some() { 0.005 } else { 0.01 }),
        max_over_defense: args.max_over_defense,
        premium_folds: args.premium_folds.unwrap_or(if args.data.benign.is_some() { 3 } else { 2 }),
        reinforce: ReinforceConfig { recipe, ..defaults.reinforce.clone() },
        ..defaults
    };
    let mut done = improve(&inputs, &gates, &settings, llm.as_mut(), terminal)?;
    let files = [&inputs.train, &inputs.benign, &inputs.gate_benign, &inputs.gate_attacks];
    done.guard.provenance.inputs = files[..2].iter().map(|f| input(f)).collect();
    done.guard.provenance.licenses = count_licenses(std::slice::from_ref(&inputs.train));
    let measured: Vec<Input> = files[2..].iter().map(|f| input(f)).collect();
    let command = command_line();
    let all: Vec<Input> = done.guard.provenance.inputs.iter().chain(&measured).cloned().collect();
    let origin = Origin {
        command: &command,
        inputs: &all,
        shows_prompts: !args.no_prompts,
        ablation: ablation.as_ref(),
        llm: llm.as_ref(),
    };
    let run = json!({
        "levelhead_version": env!("CARGO_PKG_VERSION"),
        "command": command,
        "seed": args.seed,
        "inputs": done.guard.provenance.inputs,
        "measured": measured,
        "settings": done.guard.provenance.training,
        "llm": llm.as_ref().map(Llm::name),
        "remedies": done.remedies,
        "rounds": done.rounds,
        "best_round": done.best,
        "ended": done.ended,
        "refused": done.refused,
        "premium": done.premium,
        "passed": done.holdout.passed,
        "holdout": {"first": done.first_on_holdout, "best": done.best_on_holdout, "matched": done.matched_on_holdout, "within": done.within_on_holdout},
        "evaluation": done.evaluation,
        "seconds": started.elapsed().as_secs_f64(),
    });
    let run = serde_json::to_string_pretty(&run)?;
    let folder = output.create_folder()?;
    write_all(folder, &done, origin, &run)?;
    output.finish()?;
    if args.json {
        print(run)?;
    } else {
        print(gate::readable(&done.holdout))?;
        print(format!("read {}", args.output.join("report.html").display()))?;
    }
    if let Some(fault) = done.fault {
        let (n, folder) = (done.rounds.len(), args.output.display());
        let reason = format!(
            "round {n} has no variations of the model; {folder} holds the rounds before it, and the same command with --force goes on"
        );
        return Err(anyhow::Error::from(fault).context(reason));
    }
    Ok(exit_code(done.holdout.passed))
}

fn read_ablation(path: &Path) -> Result<Ablation> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: not an ablation.json of `levelhead ablate`", path.display()))
}

fn write_all(folder: &Path, done: &Improved, origin: Origin<'_>, run: &str) -> Result<()> {
    let file = |name: &str, bytes: &[u8]| write_file(&folder.join(name), bytes, false);
    file("model.lh", &done.guard.to_bytes())?;
    write::write(&folder.join("reinforced_training_data.csv"), &[], &done.reinforced, false)?;
    file("reinforced_training_data.lineage.jsonl", &json_lines(&done.lineage)?)?;
    file("reinforced_training_data.rejected.jsonl", &json_lines(&done.rejected)?)?;
    file("audit.json", serde_json::to_string_pretty(&done.first_audit)?.as_bytes())?;
    file("audit.md", audit_markdown(&done.first_audit).as_bytes())?;
    file("gate.json", serde_json::to_string_pretty(&done.holdout)?.as_bytes())?;
    file("report.md", report_markdown(done, origin).as_bytes())?;
    file("report.html", report_html(done, origin).as_bytes())?;
    Ok(file("run.json", run.as_bytes())?)
}

/// The inputs of the loop, or the embedded starter corpus where none are named.
pub fn inputs(args: &LoopInputs, reading: &InputArgs, terminal: &Terminal) -> Result<Inputs> {
    let corpus = starter::starter();
    let part = |name: &str, rows: Vec<Row>| Dataset {
        path: PathBuf::from(format!("starter/{name}")),
        extra: starter::EXTRA.map(str::to_string).into(),
        blake3: blake3_of(&rows),
        rows,
        ..Dataset::default()
    };
    let hard_negatives = part("hard_negatives_train", corpus.hard_negatives_train);
    let gate_hard_negatives = part("hard_negatives_test", corpus.hard_negatives_test);
    let (Some(benign), Some(gate_benign), Some(gate_attacks)) = (&args.benign, &args.gate_benign, &args.gate_attacks) else {
        return Ok(Inputs {
            train: part("train", corpus.train),
            benign: part("benign", corpus.benign),
            gate_benign: part("gate_benign", corpus.gate_benign),
            gate_attacks: part("gate_attacks", corpus.gate_attacks),
            hard_negatives,
            gate_hard_negatives,
        });
    };
    let mut train = read_all(&args.train, true, reading, terminal)?;
    for file in &mut train {
        keep_licenses(file, &args.licenses, terminal)?;
    }
    let mut benign = benign_rows(read_one(benign, false, reading, terminal)?, terminal);
    keep_licenses(&mut benign, &args.licenses, terminal)?;
    Ok(Inputs {
        train: joined(train),
        benign,
        gate_benign: benign_rows(read_one(gate_benign, false, reading, terminal)?, terminal),
        gate_attacks: read_one(gate_attacks, true, reading, terminal)?,
        hard_negatives,
        gate_hard_negatives,
    })
}

/// Several training files as one.
fn joined(files: Vec<Dataset>) -> Dataset {
    let name = files.iter().map(Dataset::name).collect::<Vec<_>>().join(" + ");
    let hashes = files.iter().map(|f| f.blake3.clone()).collect::<Vec<_>>().join(" + ");
    let merged = levelhead_lab::merge::concatenate(files);
    Dataset { path: name.into(), blake3: hashes, extra: merged.extra, rows: merged.rows, ..Dataset::default() }
}

/// A hash of rows that stand in no file: of the CSV that they would be.
fn blake3_of(rows: &[Row]) -> String {
    levelhead_lab::read::hash_bytes(&write::to_csv(&starter::EXTRA.map(str::to_string), rows))
}

/// The command as it was typed, without the folder of the program.
pub fn command_line() -> String {
    let mut words = std::env::args();
    words.next();
    std::iter::once("levelhead".to_string()).chain(words).collect::<Vec<_>>().join(" ")
}
