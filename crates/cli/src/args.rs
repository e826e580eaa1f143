//! The command line: what can be typed, with its help. Nothing is done here.

mod data;
mod hard_negatives;
mod make;
mod measure;
mod rules;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use data::{DataCommand, LabelsArgs, LeaksArgs, MergeArgs, RelabelArgs};
pub use hard_negatives::{AcceptArgs, HardNegativesCommand, MineArgs};
pub use make::{AblateArgs, CalibrateArgs, CrossvalArgs, ImproveArgs, LoopInputs, ReinforceArgs, TrainArgs, TrainSettings};
pub use measure::{AuditArgs, ClaimArgs, CompareArgs, EvaluateArgs, GateArgs, ScanArgs};
pub use rules::{RulesCheckArgs, RulesCommand};

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
    /// Hold a rule pack against benign traffic and attacks
    Rules {
        /// What to do with rules.
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Train a guard's classifier on labelled prompts
    Train(TrainArgs),
    /// Cross-validate a training set by row, by near-duplicate group and by source, side by side
    Crossval(CrossvalArgs),
    /// Set a guard's threshold for an FPR target, without retraining
    Calibrate(CalibrateArgs),
    /// Analyze a guard's false positives on benign traffic
    Audit(AuditArgs),
    /// Turn false positives into reinforced training data
    Reinforce(ReinforceArgs),
    /// Propose harmless prompts that look like attacks, for a person to accept
    HardNegatives {
        /// What to do.
        #[command(subcommand)]
        command: HardNegativesCommand,
    },
    /// Measure a guard: FPR, recall by source, AUC, calibration
    Evaluate(EvaluateArgs),
    /// Say how much of a claimed improvement is evidence: repeats and trained prompts count nothing
    Claim(ClaimArgs),
    /// Hold a new guard against an old one on the same rows
    Compare(CompareArgs),
    /// Hold a guard to release criteria
    Gate(GateArgs),
    /// Run the whole loop: audit, reinforce, retrain, calibrate, gate, until the gates pass or nothing is gained
    Improve(ImproveArgs),
    /// Measure what each part of reinforcement buys: variations, hard negatives, strategies, amounts
    Ablate(AblateArgs),
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
