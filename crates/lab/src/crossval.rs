//! Cross-validation: every row judged by a guard that has not trained on it, under three ways to divide the rows.
//!
//! A random split lets near-duplicates of a test row train; a split by group does not; a split by source also keeps the
//! style of a collection out. How much the figure falls from the first to the last is the leakage premium: the part of it
//! that comes from having seen the rows, or the collection, before.

use std::collections::{BTreeMap, HashSet};

use levelhead::{RulePack, Verdict};
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::random::{Random, mix};
use crate::row::Row;
use crate::split::part;
use crate::standing::{matched, mean_recall};
use crate::stats::{Count, auc};
use crate::subject::judge_rows;
use crate::train::{TrainConfig, train};

/// How rows are divided into folds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Row by row, as most published figures are made.
    Random,
    /// By group of near-duplicates.
    Grouped,
    /// By source; rows that nearly repeat a test row are kept out of training too.
    BySource,
}

impl Scheme {
    /// All, the most lenient first.
    pub const ALL: [Scheme; 3] = [Scheme::Random, Scheme::Grouped, Scheme::BySource];

    /// The name in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Random => "random",
            Scheme::Grouped => "grouped",
            Scheme::BySource => "by-source",
        }
    }
}

impl Serialize for Scheme {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Share of the training groups that decides when to stop.
const TUNE_SHARE: f64 = 0.05;

/// The fold of each row. `groups` gives each row's group of near-duplicates.
///
/// Sources are dealt out largest first, each to the fold with the fewest rows of its kind, so that every fold gets attacks.
///
/// # Errors
/// [`Error::Setting`] where there are fewer than two folds, or fewer sources than folds.
pub fn folds(rows: &[&Row], groups: &[u32], scheme: Scheme, n_folds: u32, seed: u64) -> Result<Vec<u32>> {
    if n_folds < 2 {
        return Err(Error::setting("folds", "at least two are needed"));
    }
    let salt = Random::new(seed, "folds").next_u64();
    let deal = |key: u64| (mix(salt ^ key) % u64::from(n_folds)) as u32;
    Ok(match scheme {
        Scheme::Random => (0..rows.len() as u64).map(deal).collect(),
        Scheme::Grouped => groups.iter().map(|g| deal(u64::from(*g))).collect(),
        Scheme::BySource => {
            // Attacks, benign rows.
            let mut sizes: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
            for row in rows {
                sizes.entry(&row.source).or_default()[usize::from(!row.is_attack())] += 1;
            }
            if sizes.len() < n_folds as usize {
                let reason = format!("{n_folds} folds by source, but only {} sources: ask for fewer folds", sizes.len());
                return Err(Error::setting("folds", reason));
            }
            let mut order: Vec<(&str, [usize; 2])> = sizes.into_iter().collect();
            order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
            let mut filled = vec![[0usize; 2]; n_folds as usize];
            let mut fold_of: BTreeMap<&str, u32> = BTreeMap::new();
            for (source, size) in order {
                let kind = usize::from(size[0] == 0);
                let fold = (0..filled.len()).min_by_key(|i| filled[*i][kind]).expect("there are folds");
                filled[fold][0] += size[0];
                filled[fold][1] += size[1];
                fold_of.insert(source, fold as u32);
            }
            rows.iter().map(|row| fold_of[&*row.source]).collect()
        }
    })
}

/// Rows to cross-validate, with rows that train in every fold and are judged in none.
#[derive(Debug, Clone, Copy)]
pub struct Folded<'a> {
    /// The rows that are judged.
    pub rows: &'a [&'a Row],
    /// Rows that train beside them.
    pub shared: &'a [&'a Row],
    /// The group of each row, those of `shared` after those of `rows`.
    pub groups: &'a [u32],
    /// The fold of each row of `rows`.
    pub folds: &'a [u32],
    /// How they were divided.
    pub scheme: Scheme,
}

/// What guards say of rows that they have not trained on: one verdict for each row, at the natural threshold.
///
/// # Errors
/// As [`train`], where a fold leaves rows of one class.
pub fn out_of_fold(folded: Folded<'_>, config: TrainConfig, progress: &dyn Progress) -> Result<Vec<Verdict>> {
    let Folded { rows, shared, groups, folds, scheme } = folded;
    let n_folds = folds.iter().max().map_or(0, |last| last + 1);
    let all: Vec<&Row> = rows.iter().chain(shared).copied().collect();
    let mut verdicts: Vec<Option<Verdict>> = vec![None; rows.len()];
    for fold in 0..n_folds {
        progress.say(&format!("{} split, fold {} of {n_folds}", scheme.name(), fold + 1));
        let inside: Vec<usize> = (0..rows.len()).filter(|i| folds[*i] == fold).collect();
        let held_out: HashSet<u32> = inside.iter().map(|i| groups[*i]).collect();
        let trains = |i: &usize| folds.get(*i) != Some(&fold) && (scheme == Scheme::Random || !held_out.contains(&groups[*i]));
        let outside: Vec<usize> = (0..all.len()).filter(trains).collect();
        let outside_groups: Vec<u32> = outside.iter().map(|i| groups[*i]).collect();
        let tunes = part(&outside_groups, TUNE_SHARE, config.seed, "tune");
        let pick = |want: bool| -> Vec<&Row> { outside.iter().zip(&tunes).filter(|x| *x.1 == want).map(|x| all[*x.0]).collect() };
        let trained = train(&pick(false), &pick(true), RulePack::empty(), config, None, progress)?;
        let tested: Vec<&Row> = inside.iter().map(|i| rows[*i]).collect();
        for (i, verdict) in inside.iter().zip(judge_rows(&trained.guard, &tested, progress)) {
            verdicts[*i] = Some(verdict);
        }
    }
    Ok(verdicts.into_iter().map(|v| v.expect("every row is in a fold")).collect())
}

/// The FPR at which the splits are compared.
const PREMIUM_FPR: f64 = 0.01;

/// What cross-validation under one split says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Premium {
    /// How the rows were divided.
    pub scheme: Scheme,
    /// Mean recall over sources at 1 % FPR on the rows' own benign part.
    pub mean_recall: Option<f64>,
    /// Area under the ROC curve.
    pub auc: Option<f64>,
    /// Benign rows flagged at the natural threshold.
    pub false_positives: Count,
}

/// Cross-validates labelled rows under every split that they allow, for the leakage premium.
///
/// # Errors
/// As [`train`], where a fold leaves rows of one class.
pub fn premium(
    rows: &[&Row],
    groups: &[u32],
    n_folds: u32,
    config: TrainConfig,
    progress: &dyn Progress,
) -> Result<Vec<Premium>> {
    let mut found = Vec::new();
    for scheme in Scheme::ALL {
        // Only the split by source can fail for want of sources; the others then still say something.
        let Ok(folds) = folds(rows, groups, scheme, n_folds, config.seed) else { continue };
        let folded = Folded { rows, shared: &[], groups, folds: &folds, scheme };
        let verdicts = out_of_fold(folded, config, progress)?;
        let of = |keep: fn(&Row) -> bool| -> (Vec<&Row>, Vec<Verdict>) {
            rows.iter().zip(&verdicts).filter(|(row, _)| keep(row)).map(|(row, verdict)| (*row, verdict.clone())).unzip()
        };
        let (benign, attacks) = (of(|row| !row.is_attack()), of(Row::counts_in_recall));
        let recall = matched((&benign.0, &benign.1), (&attacks.0, &attacks.1), PREMIUM_FPR);
        let scores = |verdicts: &[Verdict]| verdicts.iter().map(|v| v.score.0).collect::<Vec<f64>>();
        found.push(Premium {
            scheme,
            mean_recall: recall.and_then(|m| mean_recall(&m.recall)),
            auc: auc(&scores(&benign.1), &scores(&attacks.1)),
            false_positives: Count { hits: benign.1.iter().filter(|v| v.flagged).count(), n: benign.1.len() },
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Label;

    #[test]
    fn each_scheme_keeps_together_what_it_says() {
        let mut rows: Vec<Row> =
            (0..400).map(|i| Row::new(format!("text {i}"), if i % 3 == 0 { Label::Attack } else { Label::Benign })).collect();
        for (i, row) in rows.iter_mut().enumerate() {
            row.source = format!("s{}", i % 13).into();
        }
        let rows: Vec<&Row> = rows.iter().collect();
        let groups: Vec<u32> = (0..400).map(|i| i / 4).collect();
        let of = |scheme| folds(&rows, &groups, scheme, 5, 42).unwrap();
        let random = of(Scheme::Random);
        assert!((0..5).all(|f| random.iter().filter(|x| **x == f).count() > 40));
        assert!(random.chunks(4).any(|g| g[0] != g[1]));
        assert!(of(Scheme::Grouped).chunks(4).all(|g| g.iter().all(|f| *f == g[0])));
        let by_source = of(Scheme::BySource);
        for i in 13..400 {
            assert_eq!(by_source[i], by_source[i - 13]);
        }
        assert!((0..5).all(|f| by_source.contains(&f)));
        let error = folds(&rows, &groups, Scheme::BySource, 20, 42).unwrap_err().to_string();
        assert!(error.contains("only 13 sources"), "{error}");
    }
}
