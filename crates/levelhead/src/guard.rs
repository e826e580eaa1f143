//! A guard: the whole path from a prompt to a verdict, with the settings of every stage.

use crate::calibration::{Calibration, Logit, Probability};
use crate::features::{Extractor, Features, words};
use crate::fingerprint::Fingerprints;
use crate::model::{FamilyModel, LinearModel};
use crate::passage::{Passage, Prompt};
use crate::provenance::Provenance;
use crate::rules::RulePack;
use crate::verdict::{BENIGN, Layer, Reason, Severity, Threat, Verdict};

/// Rules, a classifier, its calibration and a threshold.
///
/// ```
/// let guard = levelhead::Guard::embedded();
/// let verdict = guard.judge("What is the capital of France?");
/// assert!(!verdict.flagged && verdict.score.0 < 0.5);
/// ```
#[derive(Debug, Clone)]
pub struct Guard {
    /// L1.
    pub rules: RulePack,
    /// L2.
    pub model: LinearModel,
    /// Names the family of what is flagged.
    pub family: FamilyModel,
    /// From logit to probability.
    pub calibration: Calibration,
    /// L2 flags a prompt whose probability is at least this.
    pub threshold: Probability,
    /// What the guard was made from.
    pub provenance: Provenance,
    /// The texts that it was made from.
    pub trained: Fingerprints,
}

/// Buffers for judging, reused from prompt to prompt.
#[derive(Debug, Default)]
pub struct Scratch {
    prompt: Prompt,
    extractor: Extractor,
    strongest: Features,
}

impl Guard {
    /// Judges a prompt.
    pub fn judge(&self, prompt: &str) -> Verdict {
        self.judge_with(prompt, &mut Scratch::default())
    }

    /// Judges a prompt with buffers that are kept between prompts.
    pub fn judge_with(&self, prompt: &str, scratch: &mut Scratch) -> Verdict {
        let Scratch { prompt: read, extractor, strongest } = scratch;
        read.read(prompt);
        let logit = self.strongest(read, extractor, strongest);
        let probability = self.probability(logit, strongest);
        let mut threats: Vec<Threat> = Vec::new();
        let mut family: Option<String> = None;
        for rule in read.texts().flat_map(|text| self.rules.matches(text)) {
            if threats.iter().any(|t| t.rule_id == rule.id) {
                continue;
            }
            family.get_or_insert_with(|| rule.family.clone());
            threats.push(Threat {
                rule_id: rule.id.clone(),
                severity: Severity::from_name(&rule.severity),
                confidence: rule.confidence,
                layer: Layer::L1,
            });
        }
        if probability >= self.threshold {
            let (name, severity) = self.name_family(strongest);
            threats.push(Threat { rule_id: format!("l2.{name}"), severity, confidence: probability.0, layer: Layer::L2 });
            family.get_or_insert(name);
        }
        let score = threats.iter().map(|t| t.confidence).fold(probability.0, f64::max);
        Verdict {
            score: Probability(score),
            flagged: !threats.is_empty(),
            family: family.unwrap_or_else(|| BENIGN.to_string()),
            severity: threats.iter().map(|t| t.severity).max().unwrap_or(Severity::Info),
            layer: threats.first().map(|t| t.layer),
            threats,
        }
    }

    /// The classifier's logit of a prompt, before calibration and without the rules.
    pub fn logit(&self, prompt: &str, scratch: &mut Scratch) -> Logit {
        let Scratch { prompt: read, extractor, strongest } = scratch;
        read.read(prompt);
        self.strongest(read, extractor, strongest)
    }

    /// Whether a rule matches a prompt, or a text that it hides.
    pub fn breaks_a_rule(&self, prompt: &str) -> bool {
        let mut read = Prompt::default();
        read.read(prompt);
        read.texts().any(|text| self.rules.matches(text).next().is_some())
    }

    /// The logit of the strongest passage of a prompt, whose features are left in `best`.
    fn strongest(&self, prompt: &Prompt, extractor: &mut Extractor, best: &mut Features) -> Logit {
        let mut top = Logit(f32::NEG_INFINITY);
        prompt.passages(self.model.spec.window, |passage| {
            let features = self.model.spec.extract(passage, extractor);
            let logit = self.model.logit(features);
            if logit > top {
                top = logit;
                best.clone_from(features);
            }
        });
        top
    }

    /// The words of a prompt with their share of the logit, heaviest first.
    ///
    /// An n-gram's contribution is divided evenly among the words that it touches.
    pub fn explain(&self, prompt: &str) -> Vec<Reason> {
        let mut extractor = Extractor::default();
        let text = crate::normalize(prompt);
        let spec = self.model.spec;
        let (char_value, word_value) = spec.extract(Passage::from(&text), &mut extractor).values();
        let ranges = words(&text);
        let mut weights = vec![0f32; ranges.len()];
        let mut counted = std::collections::HashSet::new();
        let n_char_buckets = 1u32 << spec.char_bits;
        spec.visit(Passage::from(&text), &mut extractor, |bucket, range| {
            let first = ranges.partition_point(|r| r.end <= range.start);
            let touched = first..ranges.partition_point(|r| r.start < range.end).max(first);
            if counted.insert(bucket) && !touched.is_empty() {
                let value = if bucket < n_char_buckets { char_value } else { word_value };
                let share = value * self.model.weight(bucket) / touched.len() as f32;
                weights[touched].iter_mut().for_each(|w| *w += share);
            }
        });
        let text = text.as_str();
        let mut reasons: Vec<Reason> = ranges
            .into_iter()
            .zip(weights)
            .map(|(range, weight)| Reason { text: text[range.clone()].to_string(), range, weight })
            .collect();
        reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.range.start.cmp(&b.range.start)));
        reasons
    }

    /// A text in which nothing can be seen is benign, whatever the bias has come to be.
    fn probability(&self, logit: Logit, features: &Features) -> Probability {
        if features.indices.is_empty() { Probability(0.0) } else { self.calibration.probability(logit) }
    }

    fn name_family(&self, features: &Features) -> (String, Severity) {
        match self.family.rank(features) {
            Some(i) => (self.family.families[i].clone(), Severity::from_name(&self.family.severities[i])),
            None => ("other_attack".to_string(), Severity::High),
        }
    }
}
