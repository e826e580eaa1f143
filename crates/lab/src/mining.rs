//! Mining: what a guard flags in benign traffic, and what the rows that are made of it draw on and are held against.

use levelhead::{Guard, Layer, RulePack, Severity, Threat, Verdict};

use crate::audit::{Audit, AuditInput, audit};
use crate::cluster::ClusterKind;
use crate::embedded::ATTACKS;
use crate::error::Result;
use crate::false_positive::{Candidate, FalsePositive};
use crate::fluency::Fluency;
use crate::group::GroupConfig;
use crate::near::NearIndex;
use crate::parts::Parts;
use crate::progress::Progress;
use crate::proof::{Judges, Proof};
use crate::reinforce::Sources;
use crate::row::Row;
use crate::scenario::scenarios;
use crate::subject::judge_rows;
use crate::train::TrainConfig;

/// Made once for a run.
pub struct Mining<'a> {
    parts: &'a Parts<'a>,
    /// Where the mined rows say their language, if they do.
    language_column: Option<usize>,
    traffic: Vec<&'a str>,
    twins: Vec<[Row; 2]>,
    attacks: NearIndex,
    measured: NearIndex,
    fluency: Fluency,
    rules: RulePack,
    /// Trained on the first false positives that are asked about; later ones are as unknown to both.
    judges: Option<Judges>,
}

/// Benign traffic as a guard sees it.
pub(crate) struct Mined {
    /// What it flags, and where that is little, the highest scores below.
    pub audit: Audit,
    /// How many it flags.
    pub n_false_positives: usize,
}

impl<'a> Mining<'a> {
    /// Indexes what rows must keep away from, and learns what fluent is.
    pub fn new(parts: &'a Parts<'a>, columns: &[String]) -> Mining<'a> {
        let attacks: Vec<&str> = parts.fit.iter().chain(&parts.tune).filter(|r| r.is_attack()).map(|r| r.text.as_str()).collect();
        let measured: Vec<&str> = [&parts.gate, &parts.holdout]
            .iter()
            .flat_map(|m| m.benign.iter().chain(&m.attacks).chain(&m.hard_negatives))
            .map(|r| r.text.as_str())
            .collect();
        let traffic: Vec<&str> = parts.mine.iter().map(|row| row.text.as_str()).collect();
        Mining {
            parts,
            language_column: columns.iter().position(|name| name == "lang"),
            twins: direct_twins(),
            attacks: NearIndex::new(&attacks, GroupConfig::default()),
            measured: NearIndex::new(&measured, GroupConfig::default()),
            fluency: Fluency::learn(&traffic),
            rules: RulePack::embedded(),
            judges: None,
            traffic,
        }
    }

    /// Trains the guards that judge rows whose origin they do not know.
    ///
    /// # Errors
    /// As [`Judges::train`].
    pub fn train_judges(&mut self, false_positives: &[Candidate], config: TrainConfig, progress: &dyn Progress) -> Result<()> {
        if self.judges.is_none() {
            progress.say("two guards to judge what is made of false positives that they do not know");
            self.judges = Some(Judges::train(&self.parts.fit, &self.parts.tune, false_positives, config, progress)?);
        }
        Ok(())
    }

    /// What reinforcement draws on and is held against; `earlier` rows are not made again. Other false positives are the nearest
    /// real neighbors there are.
    pub fn sources<'b>(&'b self, pool: &'b [&'b str], hard_negatives: &'b [Row], earlier: &'b [Row]) -> Sources<'b> {
        let proof = Proof {
            attacks: Some(&self.attacks),
            measured: Some(&self.measured),
            fluency: Some(&self.fluency),
            rules: Some(&self.rules),
            judges: self.judges.as_ref(),
            earlier,
        };
        Sources { pool, traffic: &self.traffic, twins: &self.twins, hard_negatives, llm: None, proof }
    }

    /// The traffic that is not `used` yet, as the guard sees it. Of what it passes, the highest scores make up `near_misses`
    /// of the traffic.
    pub(crate) fn mine(&self, guard: &Guard, used: &[bool], near_misses: f64, progress: &dyn Progress) -> Mined {
        let rows: Vec<&Row> = self.parts.mine.iter().zip(used).filter(|x| !x.1).map(|x| *x.0).collect();
        let mut verdicts = judge_rows(guard, &rows, progress);
        let n_false_positives = verdicts.iter().filter(|v| v.flagged).count();
        let wanted = (near_misses * rows.len() as f64) as usize;
        if n_false_positives < wanted {
            let mut scores: Vec<f64> = verdicts.iter().map(|v| v.score.0).collect();
            scores.sort_unstable_by(|a, b| b.total_cmp(a));
            let cut = scores[wanted.min(scores.len() - 1)];
            for verdict in verdicts.iter_mut().filter(|v| !v.flagged && v.score.0 > cut) {
                near_miss(verdict);
            }
        }
        Mined { audit: self.audit(&rows, &verdicts), n_false_positives }
    }

    /// What a guard flags in mined rows.
    pub(crate) fn audit(&self, rows: &[&Row], verdicts: &[Verdict]) -> Audit {
        let rows: Vec<Row> = rows.iter().map(|row| (*row).clone()).collect();
        let languages = self.language_column.map(|at| rows.iter().map(|row| row.extra.get(at).map_or("", |l| l)).collect());
        audit(AuditInput { rows: &rows, languages, verdicts, guard: "improve" })
    }
}

/// Attacks of the attack corpus that are messages of their own, each with its harmless twin.
pub fn direct_twins() -> Vec<[Row; 2]> {
    let corpus = scenarios(ATTACKS).expect("a test reads the embedded corpus");
    let is_direct = |row: &Row| &*row.extra[1] == "direct" && &*row.extra[4] == "en";
    corpus.attacks.into_iter().zip(corpus.twins).filter(|(attack, _)| is_direct(attack)).map(|(a, b)| [a, b]).collect()
}

/// A prompt that the guard nearly flagged counts as a false positive of the classifier.
fn near_miss(verdict: &mut Verdict) {
    verdict.flagged = true;
    verdict.layer = Some(Layer::L2);
    let confidence = verdict.score.0;
    verdict.threats.push(Threat { rule_id: "l2.near_miss".into(), severity: Severity::Info, confidence, layer: Layer::L2 });
}

/// The false positives of an audit as candidates for reinforcement.
pub fn false_positives(found: &Audit) -> Vec<Candidate> {
    let candidate = |fp: &FalsePositive| {
        let cluster = found.clusters.get(fp.cluster);
        Candidate {
            id: fp.id.to_string(),
            prompt: fp.prompt.clone(),
            category: fp.category.clone(),
            cluster: cluster.map_or(String::new(), |c| c.phrase.clone()),
            phrase: cluster.filter(|c| c.kind == ClusterKind::Phrase).map(|c| c.phrase.clone()),
            score: fp.score.unwrap_or(1.0),
            entries: 1,
        }
    };
    found.fp_details.iter().map(candidate).collect()
}
