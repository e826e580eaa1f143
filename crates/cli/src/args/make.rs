//! The commands that make guards and their data.

use std::path::PathBuf;

use clap::Args;
use levelhead_lab::ablation::Factor;
use levelhead_lab::train::TrainConfig;

use super::InputArgs;

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
    /// Leave out rows equal to or near a row of these files, which are measured on
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub measured: Vec<PathBuf>,
    /// Add the training half of the embedded starter corpus, and the attack corpus
    #[arg(long)]
    pub with_starter: bool,
    /// Set the threshold for this FPR, and calibrate, on further held-back rows of --data
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
    #[arg(long, default_value_t = TrainConfig::default().n_epochs)]
    pub epochs: usize,
    /// Length of a step
    #[arg(long, default_value_t = 4.0)]
    pub learning_rate: f32,
    /// Weight of an attack against a benign row
    #[arg(long, default_value_t = TrainConfig::default().attack_weight, value_name = "W")]
    pub attack_weight: f32,
    /// How attack sources share the attacks' weight: `sqrt` of their rows, or `rows`
    #[arg(long, default_value = "sqrt", value_parser = ["sqrt", "rows"])]
    pub source_weights: String,
    /// Share of its features that a row does without in a step, drawn anew in every pass
    #[arg(long, default_value_t = TrainConfig::default().dropout, value_name = "SHARE")]
    pub dropout: f32,
    /// Share of the rows that also train in another form: encoded, wrapped, padded
    #[arg(long, default_value_t = TrainConfig::default().transformed, value_name = "SHARE")]
    pub transformed: f64,
    /// log2 of the buckets of character n-grams
    #[arg(long, default_value_t = 18, value_parser = clap::value_parser!(u32).range(8..=24))]
    pub char_bits: u32,
    /// log2 of the buckets of word n-grams
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(8..=24))]
    pub word_bits: u32,
    /// How far the logit of a part must be above that of the whole text to count for more, in a text of eight segments and more
    #[arg(long, default_value_t = TrainConfig::default().part_penalty)]
    pub part_penalty: f32,
    /// Judge whole texts only, not their parts
    #[arg(long)]
    pub whole_only: bool,
}

/// `levelhead crossval`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead crossval --data master.csv --folds 8
  levelhead data starter -o corpus && levelhead crossval --data corpus/attacks.csv --by carrier

The figure by row minus the figure by group is the leakage premium: what near-duplicates of the test rows in
training are worth. By source, no collection is tested by a guard that has trained on it.")]
pub struct CrossvalArgs {
    /// Labelled prompts
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub data: Vec<PathBuf>,
    /// How many parts the rows are divided into
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub folds: u32,
    /// Only this way to divide; repeat for more (default: all three)
    #[arg(long, value_name = "SPLIT", value_parser = ["random", "grouped", "by-source"])]
    pub scheme: Vec<String>,
    /// Leave out one value of this column at a time and judge its rows; rows without a value always train
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["scheme", "folds"])]
    pub by: Option<String>,
    /// Keep only rows whose column `license` begins with one of these names
    #[arg(long, num_args = 1.., value_name = "NAME")]
    pub licenses: Vec<String>,
    /// Train in every fold on the training half of the embedded starter corpus and on the attack corpus too
    #[arg(long)]
    pub with_starter: bool,
    /// Settings of the trainer.
    #[command(flatten)]
    pub settings: TrainSettings,
    /// Seed of every random choice
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
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

/// `levelhead reinforce`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead reinforce --audit audit/audit.json --attacks master.csv --measured gate.csv \\
      -o reinforced_training_data.csv
  levelhead reinforce --audit audit/audit.json --plan
  levelhead reinforce --audit audit/audit.json --llm llm.toml -o rows.csv

Beside the CSV a .lineage.jsonl says for each row which false positive it came from, and how, and a
.rejected.jsonl which proposed rows were left out, and why. A recipe is a file such as
  [[strategy]]
  name = \"neighbor\"     # or original, slots, frame, trigger, twin, format, llm
  share = 4             # of each false positive's rows; 0 only where the others fall short

A language model is asked for variations only with --llm FILE, such as
  base_url = \"http://127.0.0.1:8080/v1\"  # speaks OpenAI's chat completions
  model = \"qwen2.5-7b-instruct\"
  key_env = \"MY_KEY\"                      # where the key is, if one is needed
  max_calls = 200                         # docs/llm.md has the rest
It is sent the false positives, and its rows pass the same proof. Without
--recipe its strategy, llm, is added with share 1; a recipe of yours names it.
Every answer is kept beside FILE, so none is paid twice.")]
pub struct ReinforceArgs {
    /// An audit.json, or a benign_test_results.json
    #[arg(long, value_name = "FILE")]
    pub audit: PathBuf,
    /// The reinforced rows
    #[arg(long, short, value_name = "FILE", required_unless_present = "plan")]
    pub output: Option<PathBuf>,
    /// Say which false positives would be chosen, and write nothing
    #[arg(long)]
    pub plan: bool,
    /// The strategies and their shares (default: real prompts of the pool, then made-up ones)
    #[arg(long, value_name = "FILE.toml")]
    pub recipe: Option<PathBuf>,
    /// Ask a language model for variations too: its endpoint and a budget; it is sent the false positives
    #[arg(long, value_name = "FILE.toml")]
    pub llm: Option<PathBuf>,
    /// Take variations first from these real benign prompts
    #[arg(long, value_name = "FILE")]
    pub pool: Option<PathBuf>,
    /// Labelled prompts, such as your training data: no row may be equal to or near an attack, and two guards trained on them
    /// and on half of the false positives each judge what is made of the other half
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub attacks: Vec<PathBuf>,
    /// Train no guards that judge the rows
    #[arg(long, requires = "attacks")]
    pub no_judges: bool,
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
    /// Share of the false positives that one cluster may have
    #[arg(long, default_value_t = 0.2, value_name = "SHARE")]
    pub most_per_cluster: f64,
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

/// `levelhead improve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  levelhead improve
  levelhead improve --train master.csv --benign traffic.csv --gate-benign benign.csv \\
      --gate-attacks attacks.csv --llm llm.toml -o run

Without arguments it runs on the embedded starter corpus and writes to ./levelhead-run.

DIR gets model.lh, reinforced_training_data.csv with its lineage, audit.json, gate.json, report.html, report.md and run.json.
False positives are mined from --benign alone; thresholds are set on a part of it that is not mined. Each gate
file is split by near-duplicate group: one half is read each round, the other once, by the report.

A language model is asked for variations only with --llm FILE, which `levelhead reinforce --help`
explains, within one budget for all rounds. The same command again pays for no answer twice. Where
the endpoint fails in the first round, nothing is written; where it fails later, DIR holds the
rounds before, and the command ends with exit code 2.

Exit codes: 0 the holdout passed its gates, 1 it did not, 2 error.")]
pub struct ImproveArgs {
    /// What it runs on.
    #[command(flatten)]
    pub data: LoopInputs,
    /// The folder to create
    #[arg(long, short, value_name = "DIR", default_value = "levelhead-run")]
    pub output: PathBuf,
    /// The checks (default: the seed's success criteria)
    #[arg(long, value_name = "FILE.toml")]
    pub gates: Option<PathBuf>,
    /// Reinforced rows of the first round; each later round may add twice as many as the one before
    #[arg(long, default_value_t = 4790, value_name = "N")]
    pub rows: usize,
    /// Rounds, at most
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub rounds: usize,
    /// The strategies that make the rows, and their shares; see `levelhead reinforce --help`
    #[arg(long, value_name = "FILE.toml")]
    pub recipe: Option<PathBuf>,
    /// Ask a language model for variations too, with one budget for all rounds; it is sent mined prompts
    #[arg(long, value_name = "FILE.toml")]
    pub llm: Option<PathBuf>,
    /// Do not try the cheap remedies (class weights, hard negatives, fine-tuning) before the first round
    #[arg(long)]
    pub no_remedies: bool,
    /// Show this ablation.json, of `levelhead ablate`, in the report
    #[arg(long, value_name = "FILE")]
    pub ablation: Option<PathBuf>,
    /// Leave prompts out of the reports, for reports that travel
    #[arg(long)]
    pub no_prompts: bool,
    /// Parts of the cross-validation behind the report's leakage premium, 0 for none [default: 3; on the starter corpus 2]
    #[arg(long, value_name = "N")]
    pub premium_folds: Option<u32>,
    /// The FPR that the threshold keeps on held-back traffic, with 95 % confidence [default: 0.005; on the
    /// starter corpus, whose held-back traffic is too small to keep so little, 0.01]
    #[arg(long, value_name = "RATE")]
    pub max_fpr: Option<f64>,
    /// Take no round that flags more of the harmless rows beside the attacks of --gate-attacks, where 1 % of the benign
    /// prompts are flagged; what is gained on ordinary traffic is paid for there
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    pub max_over_defense: f64,
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

/// `levelhead ablate`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  levelhead ablate --train master.csv --benign traffic.parquet --gate-benign benign.parquet \\
      --gate-attacks attacks.parquet -o ablation
  levelhead improve .. --ablation ablation/ablation.json

Without inputs it runs on the embedded starter corpus. DIR gets ablation.json, ablation.md and ablation.html.
Every setting trains one guard for each seed; the holdout half of the gate files is never read.")]
pub struct AblateArgs {
    /// What it runs on.
    #[command(flatten)]
    pub data: LoopInputs,
    /// The folder to create
    #[arg(long, short, value_name = "DIR", default_value = "levelhead-ablation")]
    pub output: PathBuf,
    /// Change only this; repeat for more (default: all)
    #[arg(long, value_name = "FACTOR", value_parser = Factor::ALL.map(Factor::name))]
    pub factor: Vec<String>,
    /// Reinforced rows where their amount is not what is changed
    #[arg(long, default_value_t = 4790, value_name = "N")]
    pub rows: usize,
    /// Runs of each setting
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub seeds: usize,
    /// The FPR at which recall is compared
    #[arg(long, default_value_t = 0.01, value_name = "RATE")]
    pub matched_fpr: f64,
    /// The recipe that is changed one thing at a time; see `levelhead reinforce --help`
    #[arg(long, value_name = "FILE.toml")]
    pub recipe: Option<PathBuf>,
    /// Settings of the trainer.
    #[command(flatten)]
    pub settings: TrainSettings,
    /// The first seed
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Print ablation.json too
    #[arg(long)]
    pub json: bool,
    /// Replace a folder that an earlier run wrote
    #[arg(long)]
    pub force: bool,
    /// How the files are read.
    #[command(flatten)]
    pub reading: InputArgs,
}

/// What the loop runs on: four files, or the embedded starter corpus.
#[derive(Debug, Clone, Args)]
pub struct LoopInputs {
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
    /// Keep only rows of --train and --benign whose column `license` begins with one of these names
    #[arg(long, num_args = 1.., value_name = "NAME")]
    pub licenses: Vec<String>,
}
