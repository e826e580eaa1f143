//! What a guard was made from. It travels inside the artifact, so it must hold nothing that differs from run to run:
//! no date, no machine, no number of threads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a guard came to be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of Levelhead that trained it.
    pub levelhead_version: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// The inputs that it was trained on.
    pub inputs: Vec<Input>,
    /// Rows that trained, by licence, where the data names licences.
    pub licenses: BTreeMap<String, usize>,
    /// Rows that trained, by source and label: `source/label`.
    pub sources: BTreeMap<String, usize>,
    /// Settings of the trainer, name and value.
    pub training: BTreeMap<String, String>,
    /// How the threshold was set, in words.
    pub threshold: String,
}

/// One input of a training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The file's name, without its folder.
    pub name: String,
    /// BLAKE3 of the file's bytes, in hex.
    pub blake3: String,
    /// Rows read.
    pub n_rows: usize,
    /// Rows with label 1.
    pub n_attacks: usize,
}
