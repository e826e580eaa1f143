//! The commands that judge and measure.

use std::path::PathBuf;

use clap::Args;

use levelhead_lab::evaluate::PREVALENCES;

use super::InputArgs;

/// `levelhead scan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  levelhead scan \"What is the capital of France?\"
  cat mail.txt | levelhead scan - --json
  levelhead scan --input prompts.csv --output verdicts.jsonl

Exit codes: one text: 0 clean, 1 flagged, 2 error. A file: 0 when every row was judged.")]
pub struct ScanArgs {
    /// The prompt; `-` reads standard input
    #[arg(required_unless_present = "input", conflicts_with = "input")]
    pub text: Option<String>,
    /// Judge every row of a file (.csv, .jsonl, .parquet); it needs a column `text`
    #[arg(long, value_name = "FILE", requires = "output")]
    pub input: Option<PathBuf>,
    /// Where the verdicts go, one JSON object a line; `-` is standard output
    #[arg(long, value_name = "FILE.jsonl", requires = "input")]
    pub output: Option<PathBuf>,
    /// The guard: `default`, a .lh file, or a .toml guard spec
    #[arg(long, default_value = "default")]
    pub guard: String,
    /// Say in each line of --output what the prompt is about, too
    #[arg(long, requires = "input")]
    pub category: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the file is read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead audit`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead audit --guard default --benign traffic.parquet -o audit

DIR gets audit.json (for `levelhead reinforce` and for machines) and audit.md (for people).")]
pub struct AuditArgs {
    /// The guard: `default`, a .lh file, or a .toml guard spec
    #[arg(long, required_unless_present = "results")]
    pub guard: Option<String>,
    /// Benign prompts
    #[arg(long, value_name = "FILE", required_unless_present = "results")]
    pub benign: Option<PathBuf>,
    /// Analyze a finished `benign_test_results.json` instead of running a guard
    #[arg(long, value_name = "FILE", conflicts_with_all = ["guard", "benign"])]
    pub results: Option<PathBuf>,
    /// The folder to create
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Print audit.json too
    #[arg(long)]
    pub json: bool,
    /// Replace a folder that an earlier run wrote
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead evaluate --guard default --data eval.parquet --benign benign_100k.parquet

Recall at a matched FPR takes its threshold from --benign where given, else from the benign rows of --data.")]
pub struct EvaluateArgs {
    /// The guard: `default`, a .lh file, or a .toml guard spec
    #[arg(long)]
    pub guard: String,
    /// Labelled prompts that the guard has not trained on
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Benign prompts on which the FPR is matched
    #[arg(long, value_name = "FILE")]
    pub benign: Option<PathBuf>,
    /// Your own share of attacks among all prompts, for the precision there; several may be given
    #[arg(long, num_args = 1.., value_name = "RATE", default_values_t = PREVALENCES)]
    pub prevalence: Vec<f64>,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Also refuse rows equal to or near a row of these files, which the guard was trained on
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub trained_on: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead claim`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead claim --before before.json --after after.json --trained-on reinforced_training_data.csv

Repeats count once, and prompts that the new guard trained on, or nearly, count nothing.
Exit codes: 0 there are prompts that can be evidence, 1 there are none, 2 error.")]
pub struct ClaimArgs {
    /// The results before the retraining: a `benign_test_results.json` or an audit.json
    #[arg(long, value_name = "FILE")]
    pub before: PathBuf,
    /// The results of the same test after it
    #[arg(long, value_name = "FILE")]
    pub after: Option<PathBuf>,
    /// What the new guard trained on
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub trained_on: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead compare`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead compare default new.lh --data eval.parquet --changes changes.jsonl

The verdict is one word: better, worse, mixed, or too few rows to tell. Exit codes: 0 compared, 2 error.")]
pub struct CompareArgs {
    /// The guard in use: `default`, a .lh file, or a .toml guard spec
    #[arg(value_name = "OLD")]
    pub old: String,
    /// The guard that would replace it
    #[arg(value_name = "NEW")]
    pub new: String,
    /// Labelled prompts that neither has trained on
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Write every prompt whose verdict changed to FILE, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    pub changes: Option<PathBuf>,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Also refuse rows equal to or near a row of these files, which the guard was trained on
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub trained_on: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead gate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead gate --guard guard.lh --benign benign_100k.parquet --attacks attacks.csv

Exit codes: 0 every required check passed, 1 one failed or had too few rows to tell, 2 error.")]
pub struct GateArgs {
    /// The guard: `default`, a .lh file, or a .toml guard spec
    #[arg(long)]
    pub guard: String,
    /// The checks (default: the seed's success criteria)
    #[arg(long, value_name = "FILE.toml")]
    pub gates: Option<PathBuf>,
    /// Benign prompts that the guard has not trained on
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub benign: Vec<PathBuf>,
    /// Attacks that it has not trained on
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub attacks: Vec<PathBuf>,
    /// Hard negatives (default: the test half of the starter corpus)
    #[arg(long, value_name = "FILE")]
    pub hard_negatives: Option<PathBuf>,
    /// The guard in use until now, for the check that no attack it caught is missed
    #[arg(long, value_name = "GUARD")]
    pub old: Option<String>,
    /// Write gate.json to FILE
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Also refuse rows equal to or near a row of these files, which the guard was trained on
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub trained_on: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}
