//! A guard: the whole path from a prompt to a verdict, with the settings of every stage.

use crate::calibration::{Calibration, Logit, Probability};
use crate::features::{Extractor, words};
use crate::fingerprint::Fingerprints;
use crate::model::{FamilyModel, LinearModel, Reader};
use crate::passage::{Prompt, Text, segments};
use crate::provenance::Provenance;
use crate::rules::RulePack;
use crate::spans::{Span, Sum, values};
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
    reader: Reader,
}

impl Guard {
    /// Judges a prompt.
    pub fn judge(&self, prompt: &str) -> Verdict {
        self.judge_with(prompt, &mut Scratch::default())
    }

    /// Judges a prompt with buffers that are kept between prompts.
    pub fn judge_with(&self, prompt: &str, scratch: &mut Scratch) -> Verdict {
        let Scratch { prompt: read, reader } = scratch;
        read.read(prompt);
        let strongest = self.strongest(read, reader);
        // A text in which nothing can be seen is benign, whatever the bias has come to be.
        let probability = strongest.map_or(Probability(0.0), |(_, _, logit)| self.calibration.probability(logit));
        let mut threats: Vec<Threat> = Vec::new();
        let mut family: Option<String> = None;
        for rule in read.plain_texts().flat_map(|text| self.rules.matches(text)) {
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
        if let Some((text, span, _)) = strongest
            && probability >= self.threshold
        {
            let (name, severity) = self.name_family(passage(text, span));
            threats.push(Threat { rule_id: format!("l2.{name}"), severity, confidence: probability.0, layer: Layer::L2 });
            family.get_or_insert(name);
        }
        let score = threats.iter().map(|t| t.confidence).fold(probability.0, f64::max);
        Verdict {
            score: Probability(score),
            flagged: !threats.is_empty(),
            family: family.map_or(BENIGN.into(), String::into),
            severity: threats.iter().map(|t| t.severity).max().unwrap_or(Severity::Info),
            layer: threats.first().map(|t| t.layer),
            threats,
        }
    }

    /// The classifier's logit of a prompt, before calibration and without the rules.
    pub fn logit(&self, prompt: &str, scratch: &mut Scratch) -> Logit {
        let Scratch { prompt: read, reader } = scratch;
        read.read(prompt);
        self.strongest(read, reader).map_or(Logit(self.model.biases[0]), |(_, _, logit)| logit)
    }

    /// Whether a rule matches a prompt, or a text that it hides.
    pub fn breaks_a_rule(&self, prompt: &str) -> bool {
        let mut read = Prompt::default();
        read.read(prompt);
        read.plain_texts().any(|text| self.rules.matches(text).next().is_some())
    }

    /// The strongest passage of a prompt: its text, where it stands in it, and its logit.
    fn strongest<'a>(&self, prompt: &'a Prompt, reader: &mut Reader) -> Option<(Text<'a>, Span, Logit)> {
        let mut top: Option<(Text, Span, Logit)> = None;
        for text in prompt.texts() {
            if let Some((span, logit)) = self.model.strongest(text, reader)
                && top.is_none_or(|t| logit > t.2)
            {
                top = Some((text, span, logit));
            }
        }
        top
    }

    /// The words of a prompt with their share of the logit, heaviest first.
    ///
    /// An n-gram's contribution is divided evenly among the words that it touches.
    pub fn explain(&self, prompt: &str) -> Vec<Reason> {
        let normalized = crate::normalize(prompt);
        let text = Text::from(&normalized);
        let spec = self.model.spec;
        let mut distinct: Vec<(u32, u32, u32)> = Vec::new();
        spec.visit(text, &mut Extractor::default(), |gram| distinct.push((gram.bucket, gram.range.start, gram.range.end)));
        distinct.sort_unstable();
        distinct.dedup_by_key(|gram| gram.0);
        let mut sums = [Sum::default(); 2];
        distinct.iter().for_each(|gram| sums[usize::from(!spec.is_char(gram.0))].add(0.0));
        let values = values(sums);
        let ranges = words(text);
        let mut weights = vec![0f32; ranges.len()];
        for (bucket, start, end) in distinct {
            let first = ranges.partition_point(|r| r.end <= start as usize);
            let touched = first..ranges.partition_point(|r| r.start < end as usize).max(first);
            let share = values[usize::from(!spec.is_char(bucket))] * self.model.weight(bucket) / touched.len().max(1) as f32;
            weights[touched].iter_mut().for_each(|w| *w += share);
        }
        let text = text.as_str();
        let mut reasons: Vec<Reason> = ranges
            .into_iter()
            .zip(weights)
            .map(|(range, weight)| Reason { text: text[range.clone()].to_string(), range, weight })
            .collect();
        reasons.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.range.start.cmp(&b.range.start)));
        reasons
    }

    fn name_family(&self, passage: Text<'_>) -> (String, Severity) {
        let mut buckets = Vec::new();
        self.model.spec.visit(passage, &mut Extractor::default(), |gram| {
            if !self.model.spec.is_char(gram.bucket) {
                buckets.push(gram.bucket);
            }
        });
        buckets.sort_unstable();
        buckets.dedup();
        match self.family.rank(&buckets) {
            Some(i) => (self.family.families[i].clone(), Severity::from_name(&self.family.severities[i])),
            None => ("other_attack".to_string(), Severity::High),
        }
    }
}

/// The part of a text that a span stands for.
fn passage(text: Text<'_>, span: Span) -> Text<'_> {
    let mut starts = Vec::new();
    segments(text.as_str(), &mut starts);
    let (first, last) = span.segments();
    let end = starts.get(last + 1).map_or(text.as_str().len(), |start| *start as usize);
    text.part(starts[first] as usize..end)
}
