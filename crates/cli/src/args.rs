//! The command line: what can be typed, with its help. Nothing is done here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A prompt-injection guard that keeps a level head, and the tools that make one.
#[derive(Debug, Parser)]
#[command(
    name = "levelhead",
    version,
    arg_required_else_help = true,
    after_help = "Examples:
  levelhead scan \"How do I handle authentication in Rust?\"
  levelhead improve                     run the whole loop on the starter corpus
  levelhead audit --guard default --benign traffic.csv -o audit
  levelhead improve --train master.csv --benign traffic.csv \\
      --gate-benign gate.csv --gate-attacks attacks.csv -o run

Exit codes: 0 clean or passed, 1 flagged or gate failed, 2 error."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Threads to use (default: all cores); results do not depend on it
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Show no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge prompts: one text, standard input, or a file
    Scan(ScanArgs),
    /// Look through datasets, merge them, or write out the starter corpus
    Data {
        /// What to do with data.
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Train a guard's classifier on labelled prompts
    Train(TrainArgs),
    /// Set a guard's threshold for an FPR target, without retraining
    Calibrate(CalibrateArgs),
    /// Analyze a guard's false positives on benign traffic
    Audit(AuditArgs),
    /// Turn false positives into reinforced training data
    Reinforce(ReinforceArgs),
    /// Measure a guard: FPR, recall by source, AUC, calibration
    Evaluate(EvaluateArgs),
    /// Hold a guard to release criteria
    Gate(GateArgs),
    /// Run the whole loop: audit, reinforce, retrain, calibrate, gate, until the gates pass or nothing is gained
    Improve(ImproveArgs),
    /// Print a shell completion script
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// How inputs are read.
#[derive(Debug, Clone, Args)]
pub struct InputArgs {
    /// Repair text that was UTF-8, read as Windows-1252 and saved again
    #[arg(long)]
    pub repair: bool,
    /// Write rows at fault to FILE and go on; without it the first such row is an error. An earlier such FILE is replaced
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// The longest text that is taken, in bytes
    #[arg(long, value_name = "N", default_value_t = 4 << 20)]
    pub max_text_bytes: usize,
}

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

/// `levelhead data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Count rows, repeats, near-duplicates, contradicting labels, overlaps and damaged text
    #[command(after_help = "Exit codes: 0 nothing to mend, 1 contradictions, overlaps, damaged or rejected rows, 2 error.")]
    Check {
        /// Datasets (.csv, .jsonl, .parquet; the first two also .gz or .zst)
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// How the files are read.
        #[command(flatten)]
        reading: InputArgs,
    },
    /// Merge datasets into one, shuffled
    Merge(MergeArgs),
    /// Write the embedded starter corpus to a folder, as CSV files
    Starter {
        /// The folder to create
        #[arg(long, short, value_name = "DIR")]
        output: PathBuf,
        /// Replace a folder that is there
        #[arg(long)]
        force: bool,
    },
}

/// `levelhead data merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Datasets to merge
    #[arg(required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// The merged dataset
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Seed of the shuffle
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Drop rows that repeat the text and label of an earlier one
    #[arg(long)]
    pub distinct: bool,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead train`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead train --data master.csv reinforced_training_data.csv -o guard.lh

One near-duplicate group in twenty is held back to decide when to stop. The result has its natural
threshold (probability 0.5); set one for your FPR target with --max-fpr, or later with `levelhead calibrate`.")]
pub struct TrainArgs {
    /// Labelled prompts
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// The guard to write
    #[arg(long, short, value_name = "MODEL.lh")]
    pub output: PathBuf,
    /// Fine-tune this guard instead of training from nothing
    #[arg(long, value_name = "MODEL.lh")]
    pub from: Option<PathBuf>,
    /// Keep only rows whose column `license` begins with one of these names
    #[arg(long, num_args = 1.., value_name = "NAME")]
    pub licenses: Vec<String>,
    /// Add the training half of the embedded starter corpus
    #[arg(long)]
    pub with_starter: bool,
    /// Set the threshold for this FPR, and calibrate, on further held-back rows
    #[arg(long, value_name = "RATE")]
    pub max_fpr: Option<f64>,
    /// The rule pack (L1): `default`, `none`, or a .toml file
    #[arg(long, default_value = "default")]
    pub rules: String,
    /// Settings of the trainer.
    #[command(flatten)]
    pub settings: TrainSettings,
    /// Seed of every random choice
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
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

/// Settings of the trainer.
#[derive(Debug, Clone, Args)]
pub struct TrainSettings {
    /// Passes over the rows, at most
    #[arg(long, default_value_t = 6)]
    pub epochs: usize,
    /// Length of a step
    #[arg(long, default_value_t = 4.0)]
    pub learning_rate: f32,
    /// Weight of an attack against a benign row
    #[arg(long, default_value_t = 1.0, value_name = "W")]
    pub attack_weight: f32,
    /// How attack sources share the attacks' weight: `sqrt` of their rows, or `rows`
    #[arg(long, default_value = "sqrt", value_parser = ["sqrt", "rows"])]
    pub source_weights: String,
    /// log2 of the buckets of character n-grams
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(8..=24))]
    pub char_bits: u32,
    /// log2 of the buckets of word n-grams
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(8..=24))]
    pub word_bits: u32,
}

/// `levelhead calibrate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead calibrate --guard guard.lh --benign held_back.csv --max-fpr 0.01 -o calibrated.lh

Use benign prompts that the guard has not trained on. 299 distinct ones are the fewest for 1 %.")]
pub struct CalibrateArgs {
    /// The guard to recalibrate: `default` or a .lh file
    #[arg(long)]
    pub guard: String,
    /// Benign prompts that the guard has not trained on
    #[arg(long, value_name = "FILE")]
    pub benign: PathBuf,
    /// Attacks that it has not trained on, for calibrated probabilities
    #[arg(long, value_name = "FILE")]
    pub attacks: Option<PathBuf>,
    /// The FPR that the threshold keeps, with 95 % confidence
    #[arg(long, default_value_t = 0.01, value_name = "RATE")]
    pub max_fpr: f64,
    /// The guard to write
    #[arg(long, short, value_name = "MODEL.lh")]
    pub output: PathBuf,
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

/// `levelhead reinforce`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead reinforce --audit audit/audit.json --attacks master.csv --measured gate.csv \\
      -o reinforced_training_data.csv

Beside the CSV a .lineage.jsonl says for each row which false positive it came from, and how.")]
pub struct ReinforceArgs {
    /// An audit.json, or a benign_test_results.json
    #[arg(long, value_name = "FILE")]
    pub audit: PathBuf,
    /// The reinforced rows
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Take variations first from these real benign prompts
    #[arg(long, value_name = "FILE")]
    pub pool: Option<PathBuf>,
    /// Attacks: no row may be equal to or nearly equal to one (benign rows in the file are ignored)
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub attacks: Vec<PathBuf>,
    /// Prompts that are measured on: no row may be equal to or nearly equal to one
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub measured: Vec<PathBuf>,
    /// Hard negatives to add (default: those of the starter corpus); `none` adds none
    #[arg(long, value_name = "FILE")]
    pub hard_negatives: Option<PathBuf>,
    /// False positives to start from
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub false_positives: usize,
    /// Rows made from each
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub variations: usize,
    /// Share of a category, such as `programming=0.4`; repeat for each (default: the seed's five)
    #[arg(long, value_name = "CATEGORY=SHARE")]
    pub priority: Vec<String>,
    /// Share of the budget given to all categories by their number of false positives
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub rest: f64,
    /// Take each false positive itself as the first of its rows; only where it is not measured on
    #[arg(long)]
    pub originals: bool,
    /// Seed of every random choice
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
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
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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

/// `levelhead improve`.
#[derive(Debug, Args)]
#[command(after_help = "Without arguments it runs on the embedded starter corpus and writes to ./levelhead-run.

DIR gets model.lh, reinforced_training_data.csv with its lineage, audit.json, gate.json, report.md and run.json.
False positives are mined from --benign alone; thresholds are set on a part of it that is not mined. Each gate
file is split by near-duplicate group: one half is read each round, the other once, by the report.

Exit codes: 0 the holdout passed its gates, 1 it did not, 2 error.")]
pub struct ImproveArgs {
    /// Labelled prompts of the first guard
    #[arg(long, value_name = "FILE", num_args = 1.., requires_all = ["benign", "gate_benign", "gate_attacks"])]
    pub train: Vec<PathBuf>,
    /// Benign traffic: audited, mined, never measured on
    #[arg(long, value_name = "FILE", requires = "train")]
    pub benign: Option<PathBuf>,
    /// Benign prompts of the release gate
    #[arg(long, value_name = "FILE", requires = "train")]
    pub gate_benign: Option<PathBuf>,
    /// Attacks of the release gate
    #[arg(long, value_name = "FILE", requires = "train")]
    pub gate_attacks: Option<PathBuf>,
    /// The folder to create
    #[arg(long, short, value_name = "DIR", default_value = "levelhead-run")]
    pub output: PathBuf,
    /// The checks (default: the seed's success criteria)
    #[arg(long, value_name = "FILE.toml")]
    pub gates: Option<PathBuf>,
    /// Keep only rows of --train and --benign whose column `license` begins with one of these names
    #[arg(long, num_args = 1.., value_name = "NAME")]
    pub licenses: Vec<String>,
    /// Reinforced rows of the first round; each later round may add twice as many as the one before
    #[arg(long, default_value_t = 4790, value_name = "N")]
    pub rows: usize,
    /// Rounds, at most
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub rounds: usize,
    /// The FPR that the threshold keeps on held-back traffic, with 95 % confidence
    #[arg(long, default_value_t = 0.005, value_name = "RATE")]
    pub max_fpr: f64,
    /// Settings of the trainer.
    #[command(flatten)]
    pub settings: TrainSettings,
    /// Seed of every random choice
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Print run.json too
    #[arg(long)]
    pub json: bool,
    /// Replace a folder that an earlier run wrote
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}
