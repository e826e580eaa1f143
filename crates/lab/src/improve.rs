//! The whole loop: audit, reinforce, merge, retrain, calibrate, gate; again until the gates pass or nothing is gained.
//!
//! False positives are mined from benign traffic alone. The gate half of each measured file is read each round; the holdout
//! half is read once, after the last. What steers the loop is recall at a matched FPR: a falling FPR alone proves nothing.

use std::time::Instant;

use crate::audit::Audit;
use crate::calibrate::calibrate;
use crate::choose::{Plan, ReinforceConfig};
use crate::crossval::premium;
use crate::error::{Error, Result};
use crate::gate::Gates;
use crate::improvement::{ImproveConfig, Improved, Round, Tried};
use crate::judged::Judged;
use crate::llm::Llm;
use crate::mining::{Mined, Mining, false_positives};
use crate::parts::{Inputs, Parts};
use crate::progress::Progress;
use crate::reinforce::{Lineage, Rejected, Sources, model, reinforce};
use crate::remedy::Remedy;
use crate::row::Row;
use crate::standing::{Standing, mean_recall};
use crate::subject::judge_rows;
use crate::train::{TrainConfig, train};
use levelhead::{Guard, RulePack, Verdict};

/// Runs the loop. A recipe with `llm` asks `llm`, in all rounds within its one budget.
///
/// # Errors
/// [`Error::Data`] where the inputs leave nothing to train, mine or measure on, or too little to set a threshold;
/// [`Error::Setting`]; [`Error::Endpoint`] for a model that gives no answer in the first round. A later round ends with what
/// the ones before it gave, and [`Improved::fault`] says why.
pub fn improve(
    inputs: &Inputs,
    gates: &Gates,
    config: &ImproveConfig,
    llm: Option<&mut Llm>,
    progress: &dyn Progress,
) -> Result<Improved> {
    let llm = model(llm, &config.reinforce)?;
    config.train.check()?;
    config.calibrate().check()?;
    if !(0.0..=1.0).contains(&config.max_over_defense) {
        return Err(Error::setting("max-over-defense", "is not between 0 and 1"));
    }
    let seed = config.train.seed;
    let parts = inputs.divide(seed, progress)?;
    for (reason, n) in &parts.refused {
        progress.say(&format!("{n} rows refused, {reason}"));
    }
    let mining = Mining::new(&parts, &inputs.benign.extra);
    let mut run = Run { llm, ..Run::new(&parts, mining, gates, config, progress) };
    let started = Instant::now();
    run.round(0, None, started)?;
    if config.remedies
        && let Some(remedy) = run.try_remedies()?
    {
        return run.finish(format!("the gates passed with a cheap remedy ({})", remedy.name()));
    }
    let mut ended = match config.max_rounds {
        1 => "one round was allowed".to_string(),
        n => format!("{n} rounds were allowed"),
    };
    for number in 1..=config.max_rounds {
        let started = Instant::now();
        let budget = config.n_rows << (number - 1).min(20);
        match run.reinforce(budget) {
            Ok(Some(plan)) => run.round(number, Some(plan), started)?,
            Ok(None) => {
                ended = "no false positive is left that gives a new row".to_string();
                break;
            }
            // The rounds before took minutes and calls. What the server said is foreign text, so no report has it.
            Err(fault @ Error::Endpoint { .. }) if number > 1 => {
                ended = format!("the language model gave no answer in round {number}");
                run.fault = Some(fault);
                break;
            }
            Err(fault) => return Err(fault),
        }
        if run.rounds[number].gate.passed {
            ended = format!("the gates passed in round {number}");
            break;
        }
        let over_defense = run.rounds[number].over_defense();
        if over_defense > config.max_over_defense {
            let [now, most] = [over_defense, config.max_over_defense].map(|share| 100.0 * share);
            ended = format!("round {number} flags {now:.1} % of the harmless rows beside the attacks, {most} % are allowed");
            break;
        }
        if let (Some(now), Some(before)) = (run.figure(number), run.best_before(number))
            && now - before < config.least_gain
        {
            let fpr = 100.0 * config.matched_fpr;
            ended = format!("round {number} gained nothing: mean recall at {fpr} % FPR {now:.3}, {before:.3} before");
            break;
        }
    }
    run.finish(ended)
}

struct Run<'a> {
    parts: &'a Parts<'a>,
    gates: &'a Gates,
    config: &'a ImproveConfig,
    progress: &'a dyn Progress,
    mining: Mining<'a>,
    llm: Option<&'a mut Llm>,
    fault: Option<Error>,
    rounds: Vec<Round>,
    /// Natural and calibrated guard of each round.
    guards: Vec<[Guard; 2]>,
    reinforced: Vec<Row>,
    lineage: Vec<Lineage>,
    rejected: Vec<Rejected>,
    remedies: Vec<Tried>,
    /// Reinforced rows at the end of each round.
    n_reinforced: Vec<usize>,
    /// Mined rows that are in training already.
    used: Vec<bool>,

    first_audit: Option<Audit>,
    n_false_positives: usize,
    first_on_gate: Vec<Verdict>,
}

impl<'a> Run<'a> {
    fn new(
        parts: &'a Parts<'a>,
        mining: Mining<'a>,
        gates: &'a Gates,
        config: &'a ImproveConfig,
        progress: &'a dyn Progress,
    ) -> Run<'a> {
        Run {
            parts,
            gates,
            config,
            progress,
            mining,
            llm: None,
            fault: None,
            rounds: Vec::new(),
            guards: Vec::new(),
            reinforced: Vec::new(),
            lineage: Vec::new(),
            rejected: Vec::new(),
            remedies: Vec::new(),
            n_reinforced: Vec::new(),
            used: vec![false; parts.mine.len()],
            first_audit: None,
            n_false_positives: 0,
            first_on_gate: Vec::new(),
        }
    }

    /// Trains, calibrates and measures a guard on all rows so far.
    fn round(&mut self, number: usize, plan: Option<Plan>, started: Instant) -> Result<()> {
        let parts = self.parts;
        self.progress.say(&format!("round {number}"));
        let fit: Vec<&Row> = parts.fit.iter().copied().chain(&self.reinforced).collect();
        // The first guard is the one that a team has before it thinks of benign traffic.
        let held_back: &[&Row] = if number == 0 { &[] } else { &parts.tune_benign };
        let (made, warnings) = self.fit(&fit, held_back, self.config.train, None)?;
        if number == 0 {
            self.first_on_gate = Judged::new(&made[1], &parts.gate).attacks;
        }
        let n_before = self.n_reinforced.last().copied().unwrap_or(0);
        let round = Round {
            n_added: self.reinforced.len() - n_before,
            n_trained: fit.len(),
            n_false_positives: self.n_false_positives,
            plan,
            warnings,
            ..self.measure(number, &made, started)
        };
        self.say(&round);
        self.keep(round, made);
        Ok(())
    }

    /// A natural and a calibrated guard, and the trainer's warnings.
    fn fit(
        &self,
        rows: &[&Row],
        held_back: &[&Row],
        config: TrainConfig,
        start: Option<&Guard>,
    ) -> Result<([Guard; 2], Vec<String>)> {
        let parts = self.parts;
        let tune: Vec<&Row> = parts.tune.iter().chain(held_back).copied().collect();
        let trained = train(rows, &tune, RulePack::embedded(), config, start, self.progress)?;
        let attacks: Vec<&Row> = parts.tune.iter().filter(|r| r.is_attack()).copied().collect();
        let calibrated = calibrate(&trained.guard, &parts.threshold, &attacks, self.config.calibrate())?.guard;
        Ok(([trained.guard, calibrated], trained.warnings))
    }

    /// Where a natural and a calibrated guard stand on the gate half.
    fn measure(&self, number: usize, guards: &[Guard; 2], started: Instant) -> Round {
        let gate = &self.parts.gate;
        let [natural, calibrated] = [&guards[0], &guards[1]].map(|guard| Judged::new(guard, gate));
        let matched = natural.matched(gate, self.config.matched_fpr);
        let first = self.rounds.first().map_or(&matched, |first| &first.matched);
        Round {
            number,
            n_added: 0,
            n_trained: 0,
            n_false_positives: 0,
            plan: None,
            warnings: Vec::new(),
            natural: natural.standing(gate),
            calibrated: calibrated.standing(gate),
            within: first.as_ref().and_then(|first| natural.matched_within(gate, first)),
            matched,
            gate: calibrated.check(self.gates, gate, Some(&self.first_on_gate)),
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    fn keep(&mut self, round: Round, guards: [Guard; 2]) {
        self.rounds.push(round);
        self.guards.push(guards);
        self.n_reinforced.push(self.reinforced.len());
    }

    /// Tries the cheap remedies on the first guard. One with which the gates pass is kept as a round, and named.
    fn try_remedies(&mut self) -> Result<Option<Remedy>> {
        let (parts, config) = (self.parts, self.config.train);
        let hard = &parts.hard_negatives;
        for remedy in Remedy::ALL {
            let started = Instant::now();
            self.progress.say(&format!("remedy: {}", remedy.name()));
            let first = &self.guards[0];
            let (rows, config, start): (Vec<&Row>, _, _) = match remedy {
                Remedy::ClassWeights => {
                    (parts.fit.clone(), TrainConfig { attack_weight: config.attack_weight / 3.0, ..config }, None)
                }
                Remedy::HardNegatives => (parts.fit.iter().chain(hard).copied().collect(), config, None),
                Remedy::FineTune => {
                    let attacks: Vec<&Row> = parts.fit.iter().filter(|row| row.is_attack()).copied().collect();
                    let step = attacks.len().div_ceil(hard.len().max(1)).max(1);
                    (attacks.into_iter().step_by(step).chain(hard.iter().copied()).collect(), config, Some(&first[0]))
                }
                Remedy::Recalibrate | Remedy::WithoutRules => (Vec::new(), config, None),
            };
            let needs_hard_negatives = matches!(remedy, Remedy::HardNegatives | Remedy::FineTune);
            if needs_hard_negatives && hard.is_empty() {
                continue;
            }
            let made = match remedy {
                Remedy::Recalibrate => first.clone(),
                Remedy::WithoutRules => first.clone().map(|guard| Guard { rules: RulePack::empty(), ..guard }),
                _ => self.fit(&rows, &[], config, start)?.0,
            };
            let round = Round { n_trained: rows.len(), ..self.measure(1, &made, started) };
            self.remedies.push(Tried { remedy, round: round.clone() });
            if round.gate.passed {
                self.keep(round, made);
                return Ok(Some(remedy));
            }
        }
        Ok(None)
    }

    fn say(&self, round: &Round) {
        let rate = |s: &Standing| s.false_positives.rate().unwrap_or(0.0) * 100.0;
        let recall = round.matched.as_ref().and_then(|m| mean_recall(&m.recall));
        let recall = recall.map_or("too few benign rows to see".to_string(), |r| format!("{r:.3}"));
        self.progress.say(&format!(
            "  {} rows added; FPR {:.2} % natural, {:.2} % calibrated; mean recall at {} % FPR {recall}; gates {}",
            round.n_added,
            rate(&round.natural),
            rate(&round.calibrated),
            100.0 * self.config.matched_fpr,
            if round.gate.passed { "passed" } else { "not passed" }
        ));
    }

    /// Audits the last guard on the mined traffic and adds reinforced rows; nothing where no false positive gives a new one.
    fn reinforce(&mut self, budget: usize) -> Result<Option<Plan>> {
        let (parts, config) = (self.parts, self.config);
        let guard = &self.guards.last().expect("round 0 has run")[0];
        let Mined { audit: found, n_false_positives } = self.mining.mine(guard, &self.used, config.near_misses, self.progress);
        self.n_false_positives = n_false_positives;
        let false_positives = false_positives(&found);
        if self.first_audit.is_none() {
            self.first_audit = Some(found);
        }
        if false_positives.is_empty() {
            return Ok(None);
        }
        let hard_negatives: Vec<Row> =
            if self.reinforced.is_empty() { parts.hard_negatives.iter().map(|r| (*r).clone()).collect() } else { Vec::new() };
        let n_variations = config.reinforce.n_variations;
        let n_false_positives = budget.saturating_sub(hard_negatives.len()).div_ceil(n_variations).max(1);
        if config.judges {
            self.mining.train_judges(&false_positives, config.train, self.progress)?;
        }
        let pool: Vec<&str> = false_positives.iter().map(|fp| fp.prompt.as_str()).collect();
        let sources = Sources { llm: self.llm.as_deref_mut(), ..self.mining.sources(&pool, &hard_negatives, &self.reinforced) };
        let seed = config.train.seed ^ self.rounds.len() as u64;
        let settings = ReinforceConfig { n_false_positives, seed, ..config.reinforce.clone() };
        let mut made = match reinforce(&false_positives, sources, &settings, self.progress) {
            // The rounds before have made all that there is.
            Err(Error::Data { .. }) if !self.reinforced.is_empty() => return Ok(None),
            made => made?,
        };
        made.rows.truncate(budget);
        made.lineage.truncate(budget);
        if made.rows.is_empty() {
            return Ok(None);
        }
        let taken: std::collections::HashSet<&str> = made.rows.iter().map(|r| r.text.as_str()).collect();
        for (used, row) in self.used.iter_mut().zip(&parts.mine) {
            *used |= taken.contains(row.text.as_str());
        }
        self.rejected.append(&mut made.rejected);
        let n_before = self.reinforced.len();
        self.lineage.extend(made.lineage.into_iter().map(|l| Lineage { row: l.row + n_before, ..l }));
        self.reinforced.extend(made.rows);
        Ok(Some(made.plan))
    }

    fn figure(&self, number: usize) -> Option<f64> {
        mean_recall(&self.rounds[number].matched.as_ref()?.recall)
    }

    /// The best figure of the rounds before this one, from round 1 on: the first round is never the last for gaining little.
    fn best_before(&self, number: usize) -> Option<f64> {
        (1..number).filter_map(|n| self.figure(n)).max_by(f64::total_cmp)
    }

    fn finish(mut self, ended: String) -> Result<Improved> {
        let passed = self.rounds.iter().position(|r| r.gate.passed);
        let best = passed.unwrap_or_else(|| {
            let figure = |n: &usize| self.figure(*n).unwrap_or(0.0);
            let allowed = |n: &usize| *n == 0 || self.rounds[*n].over_defense() <= self.config.max_over_defense;
            (0..self.rounds.len()).filter(allowed).max_by(|a, b| figure(a).total_cmp(&figure(b)).then(b.cmp(a))).unwrap_or(0)
        });
        let holdout = &self.parts.holdout;
        let [first, chosen] = [&self.guards[0], &self.guards[best]].map(|g| g.clone());
        self.reinforced.truncate(self.n_reinforced[best]);
        self.lineage.truncate(self.n_reinforced[best]);
        let verdicts = judge_rows(&chosen[1], &self.parts.mine, self.progress);
        let last_audit = self.mining.audit(&self.parts.mine, &verdicts);
        let first_audit = match self.first_audit.take() {
            Some(found) => found,
            None => self.mining.mine(&first[0], &self.used, self.config.near_misses, self.progress).audit,
        };
        let before = Judged::new(&first[1], holdout);
        let after = Judged::new(&chosen[1], holdout);
        let matched_on_holdout = [&before, &after].map(|j| j.matched(holdout, self.config.matched_fpr));
        let seed = self.config.train.seed;
        let (parts, n_folds) = (self.parts, self.config.premium_folds);
        let premium = match n_folds {
            0 => Vec::new(),
            _ => premium(&parts.labelled, &parts.labelled_groups, n_folds, self.config.train, self.progress)?,
        };
        Ok(Improved {
            curves: [(&before, &first), (&after, &chosen)].map(|(judged, guards)| judged.curves(holdout, guards[1].threshold.0)),
            premium,
            holdout: after.check(self.gates, holdout, Some(&before.attacks)),
            evaluation: after.evaluate(holdout, seed),
            first_on_holdout: before.standing(holdout),
            best_on_holdout: after.standing(holdout),
            within_on_holdout: matched_on_holdout[0].as_ref().and_then(|first| after.matched_within(holdout, first)),
            matched_on_holdout,
            guard: chosen[1].clone(),
            best,
            ended,
            fault: self.fault,
            first_audit,
            last_audit,
            sizes: sizes(self.parts),
            refused: self.parts.refused.clone(),
            rounds: self.rounds,
            reinforced: self.reinforced,
            lineage: self.lineage,
            rejected: self.rejected,
            remedies: self.remedies,
        })
    }
}

fn sizes(parts: &Parts<'_>) -> Vec<(&'static str, usize)> {
    vec![
        ("train the first guard", parts.fit.len()),
        ("labelled, held back to stop training and to calibrate", parts.tune.len()),
        ("benign, mined for false positives", parts.mine.len()),
        ("benign, held back to stop training", parts.tune_benign.len()),
        ("benign, held back to set the threshold", parts.threshold.len()),
        ("benign of the gate half", parts.gate.benign.len()),
        ("attack file of the gate half", parts.gate.attacks.len()),
        ("hard negatives of the gate half", parts.gate.hard_negatives.len()),
        ("benign of the holdout half", parts.holdout.benign.len()),
        ("attack file of the holdout half", parts.holdout.attacks.len()),
        ("hard negatives of the holdout half", parts.holdout.hard_negatives.len()),
    ]
}
