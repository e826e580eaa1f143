//! A prompt with its label and its description: the one row that every format is read into and written from.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use levelhead::{BENIGN, normalize};

/// The category of a benign row whose file gives none.
pub const UNSPECIFIED: &str = "unspecified";

/// The schema's columns, in the order in which they are written.
pub const COLUMNS: [&str; 8] = ["text", "label", "family", "category", "severity", "confidence", "source", "notes"];

/// The attack families that Levelhead knows. Others are kept as they are and reported.
pub const FAMILIES: [&str; 12] = [
    "context_manipulation",
    "semantic_jailbreak",
    "obfuscated_command",
    "encoded_injection",
    "privilege_escalation",
    "data_exfil_pattern",
    "instruction_override",
    "role_persona",
    "system_prompt_extraction",
    "indirect_injection",
    "harmful_request",
    "other_attack",
];

/// The family whose rows ask for harm without any injection; they count in no recall.
pub const HARMFUL_REQUEST: &str = "harmful_request";

/// How the notes of a hard negative begin.
pub const HARD_NEGATIVE: &str = "HARD NEGATIVE:";

/// What a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Label {
    /// 0.
    Benign,
    /// 1.
    Attack,
}

/// One prompt of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The prompt.
    pub text: String,
    /// Its label; absent where the file has none and none was needed.
    pub label: Option<Label>,
    /// Attack family, or `BENIGN`.
    pub family: Arc<str>,
    /// Benign category, or whatever the file says.
    pub category: Arc<str>,
    /// `info` to `critical`.
    pub severity: Arc<str>,
    /// How sure the label is, 0 to 1.
    pub confidence: f64,
    /// Where the row came from.
    pub source: Arc<str>,
    /// Free text.
    pub notes: Arc<str>,
    /// The values of the dataset's further columns.
    pub extra: Box<[Arc<str>]>,
}

impl Row {
    /// A row with a text and a label, and the rest as the label implies.
    pub fn new(text: impl Into<String>, label: Label) -> Row {
        let attack = label == Label::Attack;
        Row {
            text: text.into(),
            label: Some(label),
            family: if attack { "other_attack" } else { BENIGN }.into(),
            category: if attack { "attack" } else { UNSPECIFIED }.into(),
            severity: if attack { "high" } else { "info" }.into(),
            confidence: 1.0,
            source: "unknown".into(),
            notes: "".into(),
            extra: Box::default(),
        }
    }

    /// Whether the row is labelled an attack.
    pub fn is_attack(&self) -> bool {
        self.label == Some(Label::Attack)
    }

    /// Whether the row is an attack that recall is counted on: a plain harmful request is none.
    pub fn counts_in_recall(&self) -> bool {
        self.is_attack() && &*self.family != HARMFUL_REQUEST
    }

    /// Whether the row is a benign prompt made to look like an attack.
    pub fn is_hard_negative(&self) -> bool {
        !self.is_attack() && self.notes.starts_with(HARD_NEGATIVE)
    }
}

/// What became of the rows of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Rows in the file.
    pub read: usize,
    /// Rows that are used.
    pub kept: usize,
    /// Rows among the kept whose text was repaired.
    pub repaired: usize,
    /// Rows that are not used.
    pub rejected: usize,
}

/// A row that is not used, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// Line of a text file, row of a Parquet file; both from 1.
    pub line: u64,
    /// The column at fault, or nothing.
    pub column: String,
    /// What is wrong.
    pub reason: String,
    /// The row's text as far as it can be shown.
    pub text: String,
}

/// A file's rows.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// Where they were read from.
    pub path: PathBuf,
    /// Names of the columns beyond [`COLUMNS`], for [`Row::extra`].
    pub extra: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
    /// What became of the file's rows.
    pub counts: ReadCounts,
    /// The rows that are not used.
    pub rejected: Vec<Rejected>,
    /// BLAKE3 of the file's bytes, in hex.
    pub blake3: String,
}

impl Dataset {
    /// The file's name without its folder.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(|| "rows".to_string(), |n| n.to_string_lossy().into_owned())
    }

    /// The value of a further column.
    pub fn extra<'a>(&self, row: &'a Row, column: &str) -> Option<&'a str> {
        let at = self.extra.iter().position(|c| c == column)?;
        row.extra.get(at).map(|v| &**v)
    }
}

/// The same for texts that differ in nothing that normalization keeps, nor in the white space around them.
pub(crate) fn text_hash(text: &str) -> blake3::Hash {
    blake3::hash(normalize(text).as_str().trim().as_bytes())
}

/// Gives equal strings one allocation.
#[derive(Debug, Default)]
pub struct Interner {
    known: HashSet<Arc<str>>,
}

impl Interner {
    /// The shared copy of a string.
    pub fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.known.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harmful_request_counts_in_no_recall() {
        let mut row = Row::new("x", Label::Attack);
        assert!(row.counts_in_recall());
        row.family = HARMFUL_REQUEST.into();
        assert!(row.is_attack() && !row.counts_in_recall());
        assert!(!Row::new("x", Label::Benign).counts_in_recall());
    }
}
