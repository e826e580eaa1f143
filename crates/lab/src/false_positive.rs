//! A false positive: a benign entry that a guard flagged, with all that later steps need to know of it.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;

use levelhead::{Layer, Threat, normalize};
use serde::{Deserialize, Serialize};

use crate::slice::{By, length_bucket};

/// Stands for a rule, a layer or a family where the guard gave no threat.
pub const NONE_GIVEN: &str = "(none given)";

/// What an entry is called in the file that it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EntryId {
    /// A number; in audits made here the row's place among the rows given, from 1.
    Number(serde_json::Number),
    /// A name.
    Name(String),
}

impl From<usize> for EntryId {
    fn from(n: usize) -> EntryId {
        EntryId::Number(n.into())
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryId::Number(number) => number.fmt(f),
            EntryId::Name(name) => f.write_str(name),
        }
    }
}

/// A benign entry that the guard flagged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FalsePositive {
    /// What the entry is called.
    pub id: EntryId,
    /// Its text, whole.
    pub prompt: String,
    /// Its benign category.
    pub category: String,
    /// What the guard raised; may be empty.
    pub threats: Vec<Threat>,
    /// P(attack) as the guard gave it, or the highest confidence among the threats; nothing where neither is known.
    pub score: Option<f64>,
    /// The attack family that the guard took it for.
    pub family: String,
    /// Where the entry came from.
    pub source: String,
    /// Its language: `en`, `pt-BR`; `und` where it is not known.
    pub language: String,
    /// Its cluster's place in [`Audit::clusters`](crate::audit::Audit::clusters).
    pub cluster: usize,
}

impl FalsePositive {
    /// The names of the slices that it belongs to.
    pub(crate) fn slices(&self, by: By) -> Vec<&str> {
        match by {
            By::All => vec!["all"],
            By::Category => vec![&self.category],
            By::Family => vec![&self.family],
            By::Layer => self.layers(),
            By::Rule => self.rules(),
            By::Length => vec![length_bucket(&self.prompt)],
            By::Language => vec![&self.language],
        }
    }

    /// The ids of the rules that fired, each once.
    pub fn rules(&self) -> Vec<&str> {
        each_once(self.threats.iter().map(|t| if t.rule_id.is_empty() { NONE_GIVEN } else { t.rule_id.as_str() }))
    }

    /// The layers that fired, each once.
    pub fn layers(&self) -> Vec<&'static str> {
        each_once(self.threats.iter().map(|t| match t.layer {
            Layer::L1 => "L1",
            Layer::L2 => "L2",
        }))
    }

    /// The order in which an audit lists its false positives: by falling score, then by text.
    pub(crate) fn order(&self, other: &FalsePositive) -> Ordering {
        let score = |fp: &FalsePositive| fp.score.unwrap_or(f64::NEG_INFINITY);
        score(other).total_cmp(&score(self)).then_with(|| self.prompt.cmp(&other.prompt))
    }
}

fn each_once<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { vec![NONE_GIVEN] } else { names }
}

/// A text's identity: texts of equal normalized form are one prompt.
pub(crate) fn identity(text: &str) -> [u8; 32] {
    blake3::hash(normalize(text).as_str().as_bytes()).into()
}

/// Numbers distinct prompts from 0 in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    known: HashMap<[u8; 32], usize>,
}

impl Numbering {
    /// The prompt's number; a new one where it was not seen before.
    pub fn number(&mut self, identity: [u8; 32]) -> usize {
        let next = self.known.len();
        *self.known.entry(identity).or_insert(next)
    }

    /// How many distinct prompts were seen.
    pub fn len(&self) -> usize {
        self.known.len()
    }
}

/// A benign prompt that a guard flagged, as reinforcement takes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidate {
    /// What the audit calls it.
    pub id: String,
    /// The prompt.
    pub prompt: String,
    /// Its benign category.
    pub category: String,
    /// The name of its cluster.
    pub cluster: String,
    /// The phrase that sets the guard off, where its cluster has one; in normalized spelling.
    pub phrase: Option<String>,
    /// P(attack) by the guard.
    pub score: f64,
    /// Entries of the traffic that the prompt stands for.
    pub entries: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use levelhead::Severity;

    #[test]
    fn a_rule_that_fired_twice_is_named_once() {
        let threat = |id: &str, layer| Threat { rule_id: id.into(), severity: Severity::Low, confidence: 0.5, layer };
        let mut fp = FalsePositive {
            id: 7.into(),
            prompt: "x".into(),
            category: "c".into(),
            threats: vec![threat("b", Layer::L2), threat("a", Layer::L1), threat("b", Layer::L2), threat("", Layer::L2)],
            score: None,
            family: "f".into(),
            source: "s".into(),
            language: "en".into(),
            cluster: 0,
        };
        assert_eq!((fp.rules(), fp.layers()), (vec![NONE_GIVEN, "a", "b"], vec!["L1", "L2"]));
        fp.threats.clear();
        assert_eq!((fp.rules(), fp.layers()), (vec![NONE_GIVEN], vec![NONE_GIVEN]));
    }

    #[test]
    fn texts_of_equal_normalized_form_are_one_prompt() {
        let mut numbering = Numbering::default();
        let numbers = ["Hello", "hello", "hello ", "ｈｅｌｌｏ", "bye"].map(|t| numbering.number(identity(t)));
        assert_eq!((numbers, numbering.len()), ([0, 0, 1, 0, 2], 3));
    }
}
