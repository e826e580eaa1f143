//! What can be typed behind `levelhead hard-negatives`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::InputArgs;

/// `levelhead hard-negatives`.
#[derive(Debug, Subcommand)]
pub enum HardNegativesCommand {
    /// Propose harmless prompts of your traffic that look most like attacks
    Mine(MineArgs),
    /// Take the proposals that a person has accepted
    Accept(AcceptArgs),
}

/// `levelhead hard-negatives mine`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead hard-negatives mine --benign traffic.parquet --attacks master.csv -o proposals.csv
  levelhead hard-negatives mine --benign traffic.parquet --attacks master.csv -o proposals.csv --ask

Each proposal stands beside the attack that it resembles most. Write y or n in the column `accept`, or
answer in the terminal with --ask, then run `levelhead hard-negatives accept`.")]
pub struct MineArgs {
    /// The guard that scores the prompts: `default`, a .lh file, or a .toml guard spec
    #[arg(long, default_value = "default")]
    pub guard: String,
    /// Benign prompts to choose from
    #[arg(long, value_name = "FILE")]
    pub benign: PathBuf,
    /// Attacks to hold them against (benign rows in the files are ignored)
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub attacks: Vec<PathBuf>,
    /// Prompts that are measured on: nothing near one is proposed
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub measured: Vec<PathBuf>,
    /// How many to propose
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub top: u32,
    /// The proposals
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Show each proposal and read y, n or q (no more) from standard input
    #[arg(long)]
    pub ask: bool,
    /// Print the counts as JSON
    #[arg(long)]
    pub json: bool,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead hard-negatives accept`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead hard-negatives accept --proposals proposals.csv -o hard_negatives.csv
  levelhead reinforce --audit audit/audit.json --hard-negatives hard_negatives.csv -o reinforced.csv")]
pub struct AcceptArgs {
    /// A file of `hard-negatives mine` with its column `accept` filled in: y, n, or nothing for n
    #[arg(long, value_name = "FILE")]
    pub proposals: PathBuf,
    /// The hard negatives
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the file is read.
    #[command(flatten)]
    pub reading: InputArgs,
}
