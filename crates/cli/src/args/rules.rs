//! What can be typed behind `levelhead rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::InputArgs;

/// `levelhead rules`.
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Count what each rule of a pack flags, what it shares with others, and what would narrow it
    Check(RulesCheckArgs),
}

/// `levelhead rules check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  levelhead rules check --rules default --benign traffic.parquet --attacks attacks.csv
  levelhead rules check --rules mine.toml --benign traffic.csv --attacks attacks.csv \\
      --apply narrowed.toml

A noisy rule is tried in narrower forms: with a word near by, unless the text holds a phrase, at
the beginning of a sentence or of the text, as whole words. Words are chosen on one half of the
prompts and measured on the other. Rules read lower-case text, so capitals narrow nothing.
Whoever reads the pack can write the phrase of an `unless`; --no-unless proposes none.

Exit codes: 0 clean, 1 a rule cannot run, fails an example, is noisy or seen on too few prompts,
2 error.")]
pub struct RulesCheckArgs {
    /// The rule pack: `default`, or a .toml file
    #[arg(long)]
    pub rules: String,
    /// Benign prompts
    #[arg(long, value_name = "FILE")]
    pub benign: PathBuf,
    /// Labelled prompts; their attacks count
    #[arg(long, value_name = "FILE")]
    pub attacks: PathBuf,
    /// A rule whose benign rate may be above this is noisy, with 95 % confidence
    #[arg(long, default_value_t = 0.0005, value_name = "RATE")]
    pub max_fpr: f64,
    /// The share of its attacks that a narrowed rule may lose
    #[arg(long, default_value_t = 0.02, value_name = "SHARE")]
    pub max_lost: f64,
    /// Propose no phrase that silences a rule
    #[arg(long)]
    pub no_unless: bool,
    /// Write the pack with each noisy rule in the form that spares the most within --max-lost, and without the rules that
    /// cannot run
    #[arg(long, value_name = "FILE.toml")]
    pub apply: Option<PathBuf>,
    /// How many narrowings of each rule and pairs of rules to print
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub show: usize,
    /// Divides the prompts into two halves
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
