//! Proof that a proposed row may train: distinct, far from attacks and from what is measured, fluent, and harmless to judges
//! that have not trained on its lineage.

use std::collections::HashSet;

use levelhead::{Guard, RulePack, normalize};

use crate::choose::key;
use crate::error::Result;
use crate::false_positive::Candidate;
use crate::fluency::Fluency;
use crate::group::{GroupConfig, group};
use crate::near::NearIndex;
use crate::progress::{Progress, Silent};
use crate::row::{Label, Row};
use crate::split::part;
use crate::strategy::Proposal;
use crate::subject::judge_rows;
use crate::train::{TrainConfig, train};

/// Share of the groups of labelled rows that decides when the training of a judge stops.
const TUNE_SHARE: f64 = 0.05;

/// Guards that judge what has not trained them.
#[derive(Debug)]
pub struct Judges {
    /// Two guards; a false positive belongs to one half, and only the guard of the other half has trained on it.
    guards: [Guard; 2],
    /// For each guard the P(attack) that half of the attacks held back from it reach.
    limits: [f64; 2],
}

impl Judges {
    /// Trains the two guards: each on the rows and on one half of the false positives, as benign.
    ///
    /// # Errors
    /// As [`train`].
    pub fn train(
        rows: &[&Row],
        tune: &[&Row],
        false_positives: &[Candidate],
        config: TrainConfig,
        progress: &dyn Progress,
    ) -> Result<Judges> {
        let as_benign: Vec<Row> = false_positives.iter().map(|fp| Row::new(fp.prompt.as_str(), Label::Benign)).collect();
        let attacks: Vec<&Row> = tune.iter().filter(|row| row.is_attack()).copied().collect();
        let one = |half: usize| -> Result<(Guard, f64)> {
            let of_half = as_benign.iter().filter(|row| Judges::half(&row.text) == half);
            let rows: Vec<&Row> = rows.iter().copied().chain(of_half).collect();
            let guard = train(&rows, tune, RulePack::empty(), config, None, progress)?.guard;
            let mut scores: Vec<f64> = judge_rows(&guard, &attacks, &Silent).iter().map(|v| v.score.0).collect();
            scores.sort_unstable_by(f64::total_cmp);
            let limit = scores.get(scores.len() / 2).copied().unwrap_or(1.0);
            Ok((guard, limit))
        };
        let [a, b] = [one(0)?, one(1)?];
        Ok(Judges { limits: [a.1, b.1], guards: [a.0, b.0] })
    }

    /// The same from labelled rows of which some are held back for tuning; nothing where they are too few, or of one class.
    ///
    /// # Errors
    /// As [`train`].
    pub fn of_labelled(
        rows: &[&Row],
        false_positives: &[Candidate],
        config: TrainConfig,
        progress: &dyn Progress,
    ) -> Result<Option<Judges>> {
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let tunes = part(&group(&texts, GroupConfig::default(), progress).ids, TUNE_SHARE, config.seed, "tune");
        let side = |want: bool| -> Vec<&Row> { rows.iter().zip(&tunes).filter(|x| *x.1 == want).map(|x| *x.0).collect() };
        let (fit, tune) = (side(false), side(true));
        let of_one_class = |part: &[&Row]| part.iter().all(|row| row.is_attack()) || !part.iter().any(|row| row.is_attack());
        if of_one_class(&fit) || of_one_class(&tune) {
            return Ok(None);
        }
        Judges::train(&fit, &tune, false_positives, config, progress).map(Some)
    }

    /// Which half a false positive is in.
    fn half(prompt: &str) -> usize {
        usize::from(blake3::hash(key(prompt).as_bytes()).as_bytes()[0] & 1)
    }

    /// Whether a text is less like an attack than half of the attacks are, to the guard that does not know its origin.
    fn takes_for_benign(&self, text: &str, made_from: &str) -> bool {
        let other = 1 - Judges::half(made_from);
        self.guards[other].judge(text).score.0 < self.limits[other]
    }
}

/// What rows are held against.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proof<'a> {
    /// Attacks: no benign row may be near one.
    pub attacks: Option<&'a NearIndex>,
    /// Prompts that are measured on: no row may be near one.
    pub measured: Option<&'a NearIndex>,
    /// No row may be less fluent than its threshold.
    pub fluency: Option<&'a Fluency>,
    /// No benign row may match one.
    pub rules: Option<&'a RulePack>,
    /// No benign row may look like an attack to the guard that does not know its origin.
    pub judges: Option<&'a Judges>,
    /// Reinforced rows that train already: no row may be equal to one.
    pub earlier: &'a [Row],
}

/// Holds proposals to the proof; remembers what it let through.
pub(crate) struct Prover<'a> {
    proof: Proof<'a>,
    seen: HashSet<String>,
}

impl<'a> Prover<'a> {
    pub fn new(proof: Proof<'a>) -> Prover<'a> {
        Prover { proof, seen: proof.earlier.iter().map(|row| key(&row.text)).collect() }
    }

    /// Why a proposal may not train; nothing where it may, and then it counts as taken.
    pub fn fault(&mut self, proposal: &Proposal, fp: &Candidate) -> Option<&'static str> {
        let fault = self.fault_of_any(&proposal.text, fp).or_else(|| self.fault_of_benign(&proposal.text, fp));
        let attack = proposal.attack.as_ref().map(|(attack, _)| attack);
        let fault = fault.or_else(|| attack.and_then(|attack| self.fault_of_any(attack, fp)));
        if fault.is_none() {
            self.seen.extend([Some(&proposal.text), attack].into_iter().flatten().map(|text| key(text)));
        }
        fault
    }

    fn fault_of_any(&self, text: &str, fp: &Candidate) -> Option<&'static str> {
        if text.trim().is_empty() {
            Some("empty")
        } else if self.seen.contains(&key(text)) {
            Some("equal to an earlier row")
        } else if is_near(self.proof.measured, text) {
            Some("near a measured row")
        } else if self.proof.fluency.is_some_and(|fluency| !fluency.is_fluent(text, &fp.prompt)) {
            Some("not fluent")
        } else {
            None
        }
    }

    fn fault_of_benign(&self, text: &str, fp: &Candidate) -> Option<&'static str> {
        if is_near(self.proof.attacks, text) {
            Some("near an attack")
        } else if self.proof.rules.is_some_and(|rules| rules.matches(&normalize(text)).next().is_some()) {
            Some("matched by a rule")
        } else if self.proof.judges.is_some_and(|judges| !judges.takes_for_benign(text, &fp.prompt)) {
            Some("an attack to a guard that does not know its origin")
        } else {
            None
        }
    }

    /// The same for a row that a person has written: it has only to be distinct and not measured on.
    pub fn fault_of_written(&mut self, text: &str) -> Option<&'static str> {
        if is_near(self.proof.measured, text) {
            Some("near a measured row")
        } else if !self.seen.insert(key(text)) {
            Some("equal to an earlier row")
        } else {
            None
        }
    }
}

fn is_near(index: Option<&NearIndex>, text: &str) -> bool {
    index.is_some_and(|index| index.nearest(text).is_some())
}
