//! Which row may do what: train, tune, set the threshold, be mined, be measured each round, be measured once.
//!
//! Parts are divided by group, so a near-duplicate never stands on two sides. A training-side row that is in a group with a
//! measured one is refused, and counted.

use std::collections::{BTreeMap, HashSet};

use crate::error::{Error, Result};
use crate::leaks::groups;
use crate::progress::Progress;
use crate::row::{Dataset, Row};
use crate::split::{group_keys, part};

/// The inputs of `improve`.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Labelled prompts of the first guard.
    pub train: Dataset,
    /// Benign traffic to mine.
    pub benign: Dataset,
    /// Benign prompts of the release gate.
    pub gate_benign: Dataset,
    /// Attacks of the release gate, perhaps with benign rows of the same sources.
    pub gate_attacks: Dataset,
    /// Hard negatives to train on.
    pub hard_negatives: Dataset,
    /// Hard negatives of the release gate.
    pub gate_hard_negatives: Dataset,
}

/// The rows by what they are for.
#[derive(Debug, Default)]
pub struct Parts<'a> {
    /// All labelled rows that may train.
    pub labelled: Vec<&'a Row>,
    /// Their groups.
    pub labelled_groups: Vec<u32>,
    /// Trains the first guard, and every later one.
    pub fit: Vec<&'a Row>,
    /// Labelled rows held back to stop training, and attacks to calibrate on.
    pub tune: Vec<&'a Row>,
    /// Benign traffic that is mined.
    pub mine: Vec<&'a Row>,
    /// Benign traffic held back to stop training.
    pub tune_benign: Vec<&'a Row>,
    /// Benign traffic held back to set the threshold.
    pub threshold: Vec<&'a Row>,
    /// Hard negatives to train on.
    pub hard_negatives: Vec<&'a Row>,
    /// Half each round.
    pub gate: Half<'a>,
    /// Half once, by the report.
    pub holdout: Half<'a>,
    /// Rows refused, by input and reason.
    pub refused: BTreeMap<String, usize>,
}

/// One half of the gate files.
#[derive(Debug, Default, Clone)]
pub struct Half<'a> {
    /// Benign prompts.
    pub benign: Vec<&'a Row>,
    /// Their groups.
    pub benign_groups: Vec<u32>,
    /// Attacks, perhaps with benign rows of the same sources.
    pub attacks: Vec<&'a Row>,
    /// Their groups.
    pub attack_groups: Vec<u32>,
    /// Hard negatives.
    pub hard_negatives: Vec<&'a Row>,
    /// Their groups.
    pub hard_negative_groups: Vec<u32>,
}

/// Share of the labelled groups that is held back.
const TUNE_SHARE: f64 = 0.05;
/// Benign traffic held back, twice: as many rows, where they are there, but no more than this share.
const HELD_BACK: usize = 17_500;
const MOST_HELD_BACK: f64 = 0.15;

impl Inputs {
    fn all(&self) -> [(&'static str, &Dataset); 6] {
        [
            ("train", &self.train),
            ("benign", &self.benign),
            ("gate-benign", &self.gate_benign),
            ("gate-attacks", &self.gate_attacks),
            ("hard negatives", &self.hard_negatives),
            ("gate hard negatives", &self.gate_hard_negatives),
        ]
    }

    /// Divides the rows.
    ///
    /// # Errors
    /// [`Error::Data`] where a part that is needed comes out empty.
    pub fn divide(&self, seed: u64, progress: &dyn Progress) -> Result<Parts<'_>> {
        let groups = self.groups(progress);
        let of = |i: usize| self.all()[i].1.rows.iter().zip(&groups[i]);
        let mut parts = Parts::default();
        let measured: HashSet<u32> = [2, 3, 5].iter().flat_map(|i| groups[*i].iter().copied()).collect();
        let mut refuse = |input: &str, reason: &str| *parts.refused.entry(format!("{input}: {reason}")).or_default() += 1;
        let mut rows = |i: usize, only_benign: bool, is_measured: bool| -> (Vec<&Row>, Vec<u32>) {
            let mut taken = (Vec::new(), Vec::new());
            for (row, id) in of(i) {
                if !is_measured && measured.contains(id) {
                    refuse(self.all()[i].0, "equal or near to a measured row");
                } else if only_benign && row.is_attack() {
                    refuse(self.all()[i].0, "labelled attack");
                } else {
                    taken.0.push(row);
                    taken.1.push(*id);
                }
            }
            taken
        };
        let (train, train_groups) = rows(0, false, false);
        let (benign, benign_groups) = rows(1, true, false);
        let (gate_benign, gate_benign_groups) = rows(2, true, true);
        let (gate_attacks, gate_attack_groups) = rows(3, false, true);
        parts.hard_negatives = rows(4, true, false).0;
        let (hard, hard_groups) = rows(5, true, true);

        (parts.tune, parts.fit) = halves(&train, &part(&train_groups, TUNE_SHARE, seed, "tune"));
        // Traffic that nearly repeats an attack it will be trained beside, or a row that decides when to stop, stays: it is
        // benign, and seeing it is what mining is for.
        let share = (HELD_BACK as f64 / benign.len().max(1) as f64).min(MOST_HELD_BACK);
        let stop = part(&benign_groups, share, seed, "stop training");
        let rest: Vec<usize> = (0..benign.len()).filter(|i| !stop[*i]).collect();
        let rest_groups: Vec<u32> = rest.iter().map(|i| benign_groups[*i]).collect();
        let threshold = part(&rest_groups, share / (1.0 - share), seed, "threshold");
        parts.tune_benign = (0..benign.len()).filter(|i| stop[*i]).map(|i| benign[i]).collect();
        let rest_rows: Vec<&Row> = rest.iter().map(|i| benign[*i]).collect();
        (parts.threshold, parts.mine) = halves(&rest_rows, &threshold);

        (parts.labelled, parts.labelled_groups) = (train, train_groups);

        let pairs = [(&gate_benign, &gate_benign_groups), (&gate_attacks, &gate_attack_groups), (&hard, &hard_groups)];
        let key_of = group_keys(pairs.iter().flat_map(|(rows, ids)| rows.iter().copied().zip(ids.iter().copied())));
        let in_gate = |ids: &[u32]| part(&ids.iter().map(|id| key_of[id]).collect::<Vec<u64>>(), 0.5, seed, "gate");
        let (gate, holdout) = (&mut parts.gate, &mut parts.holdout);
        (gate.benign, holdout.benign) = halves(&gate_benign, &in_gate(&gate_benign_groups));
        (gate.benign_groups, holdout.benign_groups) = halves(&gate_benign_groups, &in_gate(&gate_benign_groups));
        (gate.attacks, holdout.attacks) = halves(&gate_attacks, &in_gate(&gate_attack_groups));
        (gate.attack_groups, holdout.attack_groups) = halves(&gate_attack_groups, &in_gate(&gate_attack_groups));
        (gate.hard_negatives, holdout.hard_negatives) = halves(&hard, &in_gate(&hard_groups));
        (gate.hard_negative_groups, holdout.hard_negative_groups) = halves(&hard_groups, &in_gate(&hard_groups));
        parts.check()?;
        Ok(parts)
    }

    /// The group of each row of each input: near-duplicates, and rows that name the same group.
    fn groups(&self, progress: &dyn Progress) -> Vec<Vec<u32>> {
        let ids = groups(&self.all().map(|(_, data)| data), progress);
        let mut rest = ids.as_slice();
        self.all()
            .iter()
            .map(|(_, data)| {
                let (own, tail) = rest.split_at(data.rows.len());
                rest = tail;
                own.to_vec()
            })
            .collect()
    }
}

/// The items that are in, and those that are not.
fn halves<T: Copy>(items: &[T], inside: &[bool]) -> (Vec<T>, Vec<T>) {
    let pick = |want: bool| items.iter().zip(inside).filter(|x| *x.1 == want).map(|x| *x.0).collect();
    (pick(true), pick(false))
}

impl Parts<'_> {
    fn check(&self) -> Result<()> {
        let n_attacks = self.fit.iter().filter(|r| r.is_attack()).count();
        if !self.fit.is_empty() && (n_attacks == 0 || n_attacks == self.fit.len()) {
            let reason =
                format!("--train holds rows of one class ({} rows, {n_attacks} attacks): both labels are needed", self.fit.len());
            return Err(Error::data(reason));
        }
        let parts = [
            ("--train", self.fit.len()),
            ("--benign", self.mine.len()),
            ("--gate-benign", self.gate.benign.len().min(self.holdout.benign.len())),
            ("--gate-attacks", self.gate.attacks.len().min(self.holdout.attacks.len())),
        ];
        match parts.iter().find(|p| p.1 == 0) {
            Some((name, _)) => {
                let refused: Vec<String> = self.refused.iter().map(|(reason, n)| format!("{n} rows of {reason}")).collect();
                let refused = if refused.is_empty() { String::new() } else { format!(" (refused: {})", refused.join("; ")) };
                Err(Error::data(format!("{name} leaves no rows to work with{refused}: give more, or other, rows")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::row::Label;

    fn data(n: usize, label: Label, name: &str) -> Dataset {
        let text = |i: usize| {
            let words: Vec<String> = (0..12).map(|k| format!("{name}{}", (i * 7919 + k * 104_729) % 10_007)).collect();
            words.join(" ")
        };
        Dataset { rows: (0..n).map(|i| Row::new(text(i), label)).collect(), ..Dataset::default() }
    }

    fn inputs() -> Inputs {
        let mut train = data(400, Label::Attack, "attack");
        train.rows.extend(data(200, Label::Benign, "harmless").rows);
        Inputs {
            train,
            benign: data(2000, Label::Benign, "traffic"),
            gate_benign: data(300, Label::Benign, "gate"),
            gate_attacks: data(100, Label::Attack, "bad"),
            hard_negatives: data(10, Label::Benign, "hard"),
            gate_hard_negatives: data(20, Label::Benign, "tough"),
        }
    }

    #[test]
    fn no_row_has_two_jobs_and_none_is_lost() {
        let inputs = inputs();
        let parts = inputs.divide(42, &Silent).unwrap();
        assert_eq!(parts.fit.len() + parts.tune.len(), 600);
        assert_eq!(parts.mine.len() + parts.tune_benign.len() + parts.threshold.len(), 2000);
        assert_eq!(parts.gate.benign.len() + parts.holdout.benign.len(), 300);
        assert_eq!(parts.gate.benign.len(), parts.gate.benign_groups.len());
        assert_eq!(parts.gate.hard_negatives.len() + parts.holdout.hard_negatives.len(), 20);
        assert!(parts.threshold.len() > 200 && parts.tune_benign.len() > 200, "{}", parts.threshold.len());
        assert!(parts.refused.is_empty());
    }

    #[test]
    fn training_rows_near_a_measured_one_are_refused_and_counted() {
        let mut inputs = inputs();
        inputs.benign.rows[0].text = inputs.gate_benign.rows[0].text.to_uppercase();
        inputs.train.rows[1].text = format!("{} extra", inputs.gate_attacks.rows[5].text);
        inputs.benign.rows[7].label = Some(Label::Attack);
        let parts = inputs.divide(42, &Silent).unwrap();
        assert_eq!(parts.refused["benign: equal or near to a measured row"], 1);
        assert_eq!(parts.refused["train: equal or near to a measured row"], 1);
        assert_eq!(parts.refused["benign: labelled attack"], 1);
    }

    #[test]
    fn rows_that_name_a_group_stay_together() {
        let mut inputs = inputs();
        inputs.gate_benign.extra = vec!["group".into()];
        for (i, row) in inputs.gate_benign.rows.iter_mut().enumerate() {
            row.extra = [format!("frame {}", i / 10).into()].into();
        }
        let parts = inputs.divide(42, &Silent).unwrap();
        let names = |rows: &[&Row]| -> HashSet<String> { rows.iter().map(|r| r.extra[0].to_string()).collect() };
        assert!(names(&parts.gate.benign).is_disjoint(&names(&parts.holdout.benign)));
    }

    #[test]
    fn the_halves_of_a_file_hang_on_no_other_input() {
        let inputs = inputs();
        let mut other = inputs.clone();
        other.train.rows.splice(0..0, data(777, Label::Attack, "others").rows);
        let halves = |inputs: &Inputs| {
            let parts = inputs.divide(42, &Silent).unwrap();
            [parts.gate.benign, parts.gate.attacks].map(|rows| rows.iter().map(|row| row.text.clone()).collect::<Vec<_>>())
        };
        assert_eq!(halves(&inputs), halves(&other));
    }

    #[test]
    fn a_part_without_rows_is_named() {
        let mut inputs = inputs();
        inputs.benign = inputs.gate_benign.clone();
        let error = inputs.divide(42, &Silent).unwrap_err().to_string();
        assert!(error.contains("--benign leaves no rows") && error.contains("300 rows of benign: equal or near"), "{error}");
    }
}
