//! Where a guard stands on rows it has not trained on: at its own threshold, and at a matched FPR.

use std::collections::BTreeMap;

use levelhead::Verdict;
use serde::Serialize;

use crate::row::Row;
use crate::stats::{Count, threshold_at_fpr};

/// A guard at its own threshold.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Standing {
    /// Benign prompts flagged.
    pub false_positives: Count,
    /// The same by category.
    pub by_category: BTreeMap<String, Count>,
    /// Attacks flagged, by source; plain harmful requests are left out.
    pub recall: BTreeMap<String, Count>,
    /// Benign rows among the attack sources flagged, by source: over-defense.
    pub over_defense: BTreeMap<String, Count>,
}

/// A guard's recall where its FPR on given benign rows is a given one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matched {
    /// The FPR.
    pub fpr: f64,
    /// Benign rows on which it is matched, and those flagged.
    pub false_positives: Count,
    /// Attacks caught, by source.
    pub recall: BTreeMap<String, Count>,
    /// Benign rows among the attack sources flagged, by source.
    pub over_defense: BTreeMap<String, Count>,
}

/// Rows and the verdicts on them.
pub type RowsAndVerdicts<'a> = (&'a [&'a Row], &'a [Verdict]);

/// Counts what a guard flags. `benign` and `attacks` are the two gate files; the latter may hold benign rows too.
pub fn standing(benign: RowsAndVerdicts<'_>, attacks: RowsAndVerdicts<'_>) -> Standing {
    let mut standing = Standing::default();
    for (row, verdict) in benign.0.iter().zip(benign.1) {
        standing.false_positives.add(verdict.flagged);
        standing.by_category.entry(row.category.to_string()).or_default().add(verdict.flagged);
    }
    (standing.recall, standing.over_defense) = by_source(attacks, |v| v.flagged);
    standing
}

impl Matched {
    /// Benign rows among the attack sources flagged, all sources together.
    pub fn all_over_defense(&self) -> Count {
        let sum = |all: Count, one: &Count| Count { hits: all.hits + one.hits, n: all.n + one.n };
        self.over_defense.values().fold(Count::default(), sum)
    }
}

/// Recall at the threshold that flags at most this share of the benign rows; nothing where they are too few to see it.
pub fn matched(benign: RowsAndVerdicts<'_>, attacks: RowsAndVerdicts<'_>, fpr: f64) -> Option<Matched> {
    let threshold = threshold_for(benign.1.iter(), fpr)?;
    Some(at(threshold, benign, attacks, fpr))
}

/// The same, at a threshold that also flags no more of the benign rows among the attack sources than `before` did.
///
/// It says what a guard has gained beyond trading one kind of false alarm for another.
pub fn matched_within(benign: RowsAndVerdicts<'_>, attacks: RowsAndVerdicts<'_>, before: &Matched) -> Option<Matched> {
    let threshold = threshold_for(benign.1.iter(), before.fpr)?;
    let beside = attacks.0.iter().zip(attacks.1).filter(|(row, _)| !row.is_attack()).map(|(_, verdict)| verdict);
    let most = before.all_over_defense().rate();
    let threshold = most.and_then(|most| threshold_for(beside, most)).map_or(threshold, |stricter| stricter.max(threshold));
    Some(at(threshold, benign, attacks, before.fpr))
}

/// The threshold that flags at most this share; nothing where that is less than one verdict, unless it is none at all.
fn threshold_for<'a>(verdicts: impl Iterator<Item = &'a Verdict>, share: f64) -> Option<f64> {
    let mut scores: Vec<f64> = verdicts.map(|v| v.score.0).collect();
    if share > 0.0 && (scores.len() as f64) * share < 1.0 {
        return None;
    }
    scores.sort_unstable_by(f64::total_cmp);
    threshold_at_fpr(&scores, share)
}

fn at(threshold: f64, benign: RowsAndVerdicts<'_>, attacks: RowsAndVerdicts<'_>, fpr: f64) -> Matched {
    let (recall, over_defense) = by_source(attacks, |v| v.score.0 >= threshold);
    let hits = benign.1.iter().filter(|v| v.score.0 >= threshold).count();
    Matched { fpr, false_positives: Count { hits, n: benign.1.len() }, recall, over_defense }
}

/// The mean of the rates, each source counting the same; nothing where there is no source.
pub fn mean_recall(recall: &BTreeMap<String, Count>) -> Option<f64> {
    let rates: Vec<f64> = recall.values().filter_map(Count::rate).collect();
    (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
}

type BySource = BTreeMap<String, Count>;

fn by_source(rows: RowsAndVerdicts<'_>, flagged: impl Fn(&Verdict) -> bool) -> (BySource, BySource) {
    let (mut attacks, mut benign) = (BySource::new(), BySource::new());
    for (row, verdict) in rows.0.iter().zip(rows.1) {
        let map = match (row.is_attack(), row.counts_in_recall()) {
            (false, _) => &mut benign,
            (true, true) => &mut attacks,
            (true, false) => continue,
        };
        map.entry(row.source.to_string()).or_default().add(flagged(verdict));
    }
    (attacks, benign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Label;
    use crate::subject::stored_verdict;

    #[test]
    fn recall_is_counted_by_source_and_averaged_over_sources() {
        let row =
            |source: &str, label, family: &str| Row { source: source.into(), family: family.into(), ..Row::new("x", label) };
        use Label::{Attack, Benign};
        let owned = [
            row("big", Attack, "role_persona"),
            row("big", Attack, "role_persona"),
            row("big", Attack, "role_persona"),
            row("small", Attack, "role_persona"),
            row("small", Attack, "harmful_request"),
            row("big", Benign, "BENIGN"),
        ];
        let rows: Vec<&Row> = owned.iter().collect();
        let verdicts: Vec<Verdict> = [0.9, 0.8, 0.1, 0.9, 0.0, 0.95].map(|s| stored_verdict(s, s >= 0.5, vec![])).into();
        let benign_rows: Vec<&Row> = vec![&owned[5]; 100];
        let benign: Vec<Verdict> = (0..100).map(|i| stored_verdict(f64::from(i) / 100.0, i >= 98, vec![])).collect();
        let standing = standing((&benign_rows, &benign), (&rows, &verdicts));
        assert_eq!(standing.false_positives, Count { hits: 2, n: 100 });
        assert_eq!((standing.recall["big"], standing.recall["small"]), (Count { hits: 2, n: 3 }, Count { hits: 1, n: 1 }));
        assert_eq!(standing.over_defense["big"], Count { hits: 1, n: 1 });
        assert!((mean_recall(&standing.recall).unwrap() - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-12);
        // At 15 % the highest 15 scores, 0.85 and up, are flagged.
        let at = matched((&benign_rows, &benign), (&rows, &verdicts), 0.15).unwrap();
        assert_eq!(at.recall["big"], Count { hits: 1, n: 3 });
        assert_eq!((at.false_positives, at.all_over_defense()), (Count { hits: 15, n: 100 }, Count { hits: 1, n: 1 }));
        assert_eq!(matched((&benign_rows, &benign), (&rows, &verdicts), 0.001), None);
        // The guard before flagged no harmless row beside the attacks; that one scores 0.95, above every attack.
        let before = Matched { over_defense: [("big".to_string(), Count { hits: 0, n: 1 })].into(), ..at.clone() };
        let within = matched_within((&benign_rows, &benign), (&rows, &verdicts), &before).unwrap();
        assert_eq!((within.recall["big"].hits, within.false_positives.hits, within.all_over_defense().hits), (0, 4, 0));
        assert_eq!(matched_within((&benign_rows, &benign), (&rows, &verdicts), &at), Some(at));
        assert_eq!(mean_recall(&BTreeMap::new()), None);
    }
}
