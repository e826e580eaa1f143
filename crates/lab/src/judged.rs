//! A guard's verdicts on one half of the measured rows, and the figures that are read from them.

use levelhead::{Guard, Verdict};

use crate::curves::{Curves, curves};
use crate::evaluate::evaluate;
use crate::evaluation::Evaluation;
use crate::gate::{GateData, GateReport, Gates};
use crate::measure::Measured;
use crate::parts::Half;
use crate::progress::Silent;
use crate::row::Row;
use crate::standing::{Matched, Standing, matched, matched_within, standing};
use crate::subject::judge_rows;

/// One verdict for each row of a half.
#[derive(Debug)]
pub struct Judged {
    /// Of the benign prompts.
    pub benign: Vec<Verdict>,
    /// Of the attack file.
    pub attacks: Vec<Verdict>,
    /// Of the hard negatives.
    pub hard_negatives: Vec<Verdict>,
}

impl Judged {
    /// Judges a half.
    pub fn new(guard: &Guard, half: &Half<'_>) -> Judged {
        Judged {
            benign: judge_rows(guard, &half.benign, &Silent),
            attacks: judge_rows(guard, &half.attacks, &Silent),
            hard_negatives: judge_rows(guard, &half.hard_negatives, &Silent),
        }
    }

    /// What plots show.
    pub fn curves(&self, half: &Half<'_>, threshold: f64) -> Curves {
        curves((&half.benign, &self.benign), (&half.attacks, &self.attacks), threshold)
    }

    /// What is flagged at the guard's own threshold.
    pub fn standing(&self, half: &Half<'_>) -> Standing {
        standing((&half.benign, &self.benign), (&half.attacks, &self.attacks))
    }

    /// Recall at a matched FPR on the half's benign prompts.
    pub fn matched(&self, half: &Half<'_>, fpr: f64) -> Option<Matched> {
        matched((&half.benign, &self.benign), (&half.attacks, &self.attacks), fpr)
    }

    /// The same without more over-defense than another guard's.
    pub fn matched_within(&self, half: &Half<'_>, before: &Matched) -> Option<Matched> {
        matched_within((&half.benign, &self.benign), (&half.attacks, &self.attacks), before)
    }

    /// The release checks. `old` are another guard's verdicts on the attack file, for regressions.
    ///
    /// Benign rows of the attack file are no traffic: they are reported as over-defense and count in no check.
    pub fn check(&self, gates: &Gates, half: &Half<'_>, old: Option<&[Verdict]>) -> GateReport {
        let attacks: Vec<usize> = (0..half.attacks.len()).filter(|i| half.attacks[*i].is_attack()).collect();
        let join = |benign: &[Verdict], of_attacks: &[Verdict], hard: &[Verdict]| -> Vec<Verdict> {
            benign.iter().chain(attacks.iter().map(|i| &of_attacks[*i])).chain(hard).cloned().collect()
        };
        let of_attacks = attacks.iter().map(|i| &half.attacks[*i]);
        let rows = owned(half.benign.iter().chain(of_attacks).chain(&half.hard_negatives));
        let attack_groups = attacks.iter().map(|i| &half.attack_groups[*i]);
        let groups: Vec<u32> =
            half.benign_groups.iter().chain(attack_groups).chain(&half.hard_negative_groups).copied().collect();
        let verdicts = join(&self.benign, &self.attacks, &self.hard_negatives);
        let old = old.map(|old| join(&self.benign, old, &self.hard_negatives));
        let measured = Measured { rows: &rows, verdicts: &verdicts, groups: &groups };
        gates.check(&GateData { measured, old_verdicts: old.as_deref() })
    }

    /// All figures on the attack file, with the FPR matched on the half's benign prompts.
    pub fn evaluate(&self, half: &Half<'_>, seed: u64) -> Evaluation {
        let (attack_rows, benign_rows) = (owned(&half.attacks), owned(&half.benign));
        let data = Measured { rows: &attack_rows, verdicts: &self.attacks, groups: &half.attack_groups };
        let benign = Measured { rows: &benign_rows, verdicts: &self.benign, groups: &half.benign_groups };
        evaluate(data, Some(benign), seed)
    }
}

fn owned<'a, 'b: 'a>(rows: impl IntoIterator<Item = &'a &'b Row>) -> Vec<Row> {
    rows.into_iter().map(|row| (*row).clone()).collect()
}
