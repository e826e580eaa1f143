//! What can be typed behind `levelhead data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{InputArgs, TrainSettings};

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
    /// List rows whose label is probably wrong
    Labels(LabelsArgs),
    /// Put labels right that a person has corrected in a file of `data labels`
    Relabel(RelabelArgs),
    /// List rows that train and are also measured on, and remove them from the training side
    Leaks(LeaksArgs),
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

/// `levelhead data leaks`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead data leaks --train master.csv --test eval.csv -o clean_master.csv

Exit codes: 0 no leak, 1 leaks were found, 2 error.")]
pub struct LeaksArgs {
    /// Datasets that train
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub train: Vec<PathBuf>,
    /// Datasets that are measured on
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub test: Vec<PathBuf>,
    /// Write the training rows that take part in no leak to FILE
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print every pair, one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// `levelhead data labels`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  levelhead data labels --data master.csv -o suspects.csv
  levelhead data labels --data master.csv --plant 0.02

Every row is judged by a guard that has not trained on it or its near-duplicates (confident learning).
Fill in the column `corrected` with 0, 1 or drop, then run `levelhead data relabel`.")]
pub struct LabelsArgs {
    /// Labelled prompts
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// Write the rows in doubt to FILE
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How many rows to list, the most doubtful first
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub top: usize,
    /// How many of them to print
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub show: usize,
    /// A trial: flip this share of the labels and print how many of them the audit finds
    #[arg(long, value_name = "SHARE")]
    pub plant: Option<f64>,
    /// How many parts the rows are divided into
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub folds: u32,
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

/// `levelhead data relabel`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead data relabel --data master.csv --corrections suspects.csv -o corrected.csv

A decision holds for every row with the same text and the same label. One that fits no row is an error.")]
pub struct RelabelArgs {
    /// Labelled prompts
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// A file of `data labels` with its column `corrected` filled in: 0, 1, drop, or nothing to keep the label
    #[arg(long, value_name = "FILE")]
    pub corrections: PathBuf,
    /// The corrected dataset
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// Replace an output that is there
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
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
