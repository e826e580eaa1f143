//! Stage 6: what a guard says of a prompt.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::calibration::Probability;
use crate::reveal::Disguise;

/// The family of a prompt that is no attack.
pub const BENIGN: &str = "BENIGN";

/// Which layer raised a threat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Layer {
    /// Rules.
    L1,
    /// The learned classifier.
    L2,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layer::L1 => "L1",
            Layer::L2 => "L2",
        })
    }
}

/// How bad it would be if the prompt did what it tries to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No threat.
    Info,
    /// A nuisance.
    Low,
    /// Unwanted behavior of the model.
    Medium,
    /// Rules of the application broken.
    High,
    /// Data or tools in another's hands.
    Critical,
}

impl Severity {
    /// Reads the name that datasets use; an unknown name is [`Severity::High`], the usual severity of an attack.
    pub fn from_name(name: &str) -> Severity {
        match name {
            "info" => Severity::Info,
            "low" => Severity::Low,
            "medium" => Severity::Medium,
            "critical" => Severity::Critical,
            _ => Severity::High,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        })
    }
}

/// One reason to flag a prompt: a rule that matched, or the classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threat {
    /// The rule's id, or `l2.` and the family for the classifier.
    pub rule_id: String,
    /// How bad.
    pub severity: Severity,
    /// The rule's confidence, or the classifier's P(attack).
    pub confidence: f64,
    /// Which layer.
    pub layer: Layer,
}

/// A guard's answer.
///
/// ```
/// let verdict = levelhead::Guard::embedded().judge("What is the capital of France?");
/// assert!(!verdict.flagged && verdict.threats.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// P(attack), 0 to 1: the larger of the classifier's probability and the confidence of a rule that matched.
    pub score: Probability,
    /// Whether the prompt should be stopped.
    pub flagged: bool,
    /// The most likely attack family, or `BENIGN`.
    pub family: Cow<'static, str>,
    /// The worst severity among the threats, or `info`.
    pub severity: Severity,
    /// The first layer that flagged the prompt.
    pub layer: Option<Layer>,
    /// Every rule that matched, and the classifier where it passed its threshold.
    pub threats: Vec<Threat>,
}

/// A word that the classifier saw and how much it moved it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// The word as the user wrote it; where it is hidden in a code or behind an odd spelling, what it says.
    pub text: String,
    /// Where it stands in the prompt, in bytes; where it is hidden, all that hides it.
    pub range: Range<usize>,
    /// How it is hidden.
    pub hidden: Option<Disguise>,
    /// Its share of the logit; above 0 it speaks for an attack.
    pub weight: f32,
}
