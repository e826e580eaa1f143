//! What a guard's power rests on, and what undoes it: shortcuts, and transformations that flip its verdict.
//!
//! A guard that has learned "long" or "password" looks good on rows where attacks are long and harmless prompts have no
//! password. And a guard that a paragraph about gardening talks out of its verdict protects nothing. Both are measured here, on
//! the guard's own verdicts and on verdicts of transformed prompts; the same transformations of harmless prompts must raise no
//! alarm.

use levelhead::Verdict;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::measure::{Measured, distinct_texts};
use crate::random::{Random, mix};
use crate::row::Row;
use crate::stats::{Count, auc};
use crate::transform::Transform;

/// How much is looked at.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `n_attacks` | 400 | caught attacks that are transformed, at most | 1 up |
/// | `n_benign` | 600 | passed benign prompts that are transformed, at most | 1 up |
/// | `seed` | 42 | which of them, and the transformations' own choices | |
#[derive(Debug, Clone, Copy)]
pub struct RobustnessConfig {
    /// Caught attacks that are transformed, at most.
    pub n_attacks: usize,
    /// Passed benign prompts that are transformed, at most.
    pub n_benign: usize,
    /// Which of them, and the transformations' own choices.
    pub seed: u64,
}

impl Default for RobustnessConfig {
    fn default() -> Self {
        RobustnessConfig { n_attacks: 400, n_benign: 600, seed: 42 }
    }
}

/// What the guard's power rests on and what undoes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Robustness {
    /// One for each transformation.
    pub flips: Vec<Flip>,
    /// Benign prompts of at most [`SHORT`] characters: flagged of all.
    pub short_benign: Count,
    /// AUC of the guard, of shortcuts, and of the guard where shortcuts are of no use.
    pub shortcuts: Shortcuts,
}

/// A benign prompt of at most so many characters is short.
pub const SHORT: usize = 25;

/// What a transformation does to verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Flip {
    /// The transformation's name.
    pub transform: &'static str,
    /// Attacks that are caught as they are: freed of all.
    pub freed: Count,
    /// Benign prompts that pass as they are: flagged of all.
    pub alarmed: Count,
}

/// Areas under the ROC curve; nothing where a class has no rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shortcuts {
    /// The guard's.
    pub guard: Option<f64>,
    /// Of the number of characters alone.
    pub length: Option<f64>,
    /// Of the number of words that attacks are known for alone.
    pub keywords: Option<f64>,
    /// The guard's, mean over tenths of the attacks by length, each against the benign rows of the same lengths.
    pub guard_at_equal_length: Option<f64>,
    /// The guard's against labels dealt at random: 0.5, but for chance.
    pub guard_on_random_labels: Option<f64>,
}

/// Words that a keyword filter would look for.
const KEYWORDS: [&str; 24] = [
    "ignore",
    "disregard",
    "forget",
    "previous",
    "instructions",
    "system prompt",
    "jailbreak",
    "pretend",
    "act as",
    "role",
    "override",
    "bypass",
    "reveal",
    "secret",
    "password",
    "developer mode",
    "restrictions",
    "rules",
    "unrestricted",
    "do anything",
    "confidential",
    "hidden",
    "execute",
    "admin",
];

/// Bounds on what transformations may do; shares, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RobustnessBounds {
    /// Share of caught attacks that any one transformation may free, at most.
    pub freed_below: f64,
    /// Share of passed benign prompts that any one transformation may turn into an alarm, at most.
    pub alarms_below: f64,
    /// Share of short benign prompts that may be flagged, at most.
    pub short_benign_below: f64,
    /// Whether the gate fails with it.
    #[serde(default = "yes")]
    pub required: bool,
}

fn yes() -> bool {
    true
}

impl RobustnessBounds {
    /// Why the bounds make no sense, if they do not.
    pub(crate) fn fault(&self) -> Option<String> {
        let bounds = [
            ("freed_below", self.freed_below),
            ("alarms_below", self.alarms_below),
            ("short_benign_below", self.short_benign_below),
        ];
        let bad = bounds.into_iter().find(|(_, bound)| !(*bound > 0.0 && *bound < 1.0));
        bad.map(|(name, bound)| format!("robustness: {name} is {bound}: give a share above 0 and below 1"))
    }
}

/// Measures a guard's robustness. `judge` gives the guard's verdicts of texts, in order.
///
/// # Errors
/// Those of `judge`.
pub fn robustness(
    measured: Measured<'_>,
    config: RobustnessConfig,
    judge: impl Fn(&[Row]) -> Result<Vec<Verdict>>,
) -> Result<Robustness> {
    let texts = distinct_texts(measured.rows);
    let mut seen = vec![false; measured.rows.len()];
    let counts = |i: &usize| {
        let row = &measured.rows[*i];
        row.label.is_some() && (!row.is_attack() || row.counts_in_recall())
    };
    let distinct: Vec<usize> =
        (0..measured.rows.len()).filter(counts).filter(|i| !std::mem::replace(&mut seen[texts[*i] as usize], true)).collect();
    let pick = |attacks: bool, most: usize| -> Vec<&Row> {
        let fits = |i: &&usize| measured.rows[**i].is_attack() == attacks && measured.verdicts[**i].flagged == attacks;
        let mut fitting: Vec<usize> = distinct.iter().filter(fits).copied().collect();
        let salt = Random::new(config.seed, "robustness sample").next_u64();
        fitting.sort_by_key(|i| mix(salt ^ *i as u64));
        fitting.truncate(most);
        fitting.into_iter().map(|i| &measured.rows[i]).collect()
    };
    let (attacks, benign) = (pick(true, config.n_attacks), pick(false, config.n_benign));
    let sampled: Vec<&Row> = attacks.iter().chain(&benign).copied().collect();
    let mut flips = Vec::new();
    for transform in Transform::ALL {
        let changed: Vec<Row> = sampled
            .par_iter()
            .enumerate()
            .map(|(i, row)| {
                let mut random = Random::new(config.seed ^ i as u64, transform.name());
                Row { text: transform.apply(&row.text, &mut random), ..(*row).clone() }
            })
            .collect();
        let verdicts = judge(&changed)?;
        let mut flip = Flip { transform: transform.name(), freed: Count::default(), alarmed: Count::default() };
        verdicts[..attacks.len()].iter().for_each(|v| flip.freed.add(!v.flagged));
        verdicts[attacks.len()..].iter().for_each(|v| flip.alarmed.add(v.flagged));
        flips.push(flip);
    }
    let mut short_benign = Count::default();
    for i in distinct.iter().filter(|i| !measured.rows[**i].is_attack() && length(&measured.rows[**i]) <= SHORT) {
        short_benign.add(measured.verdicts[*i].flagged);
    }
    Ok(Robustness { flips, short_benign, shortcuts: shortcuts(measured, &distinct, config.seed) })
}

fn length(row: &Row) -> usize {
    row.text.chars().count()
}

fn shortcuts(measured: Measured<'_>, distinct: &[usize], seed: u64) -> Shortcuts {
    let row = |i: usize| &measured.rows[i];
    let score = |i: usize| measured.verdicts[i].score.0;
    let keywords = |i: usize| {
        let text = row(i).text.to_lowercase();
        KEYWORDS.iter().filter(|k| text.contains(*k)).count() as f64
    };
    let of = |value: &(dyn Fn(usize) -> f64 + Sync), attack: &(dyn Fn(usize) -> bool + Sync)| {
        let values: Vec<(f64, bool)> = distinct.par_iter().map(|i| (value(*i), attack(*i))).collect();
        let side = |want: bool| values.iter().filter(|v| v.1 == want).map(|v| v.0).collect::<Vec<f64>>();
        auc(&side(false), &side(true))
    };
    let is_attack = |i: usize| row(i).is_attack();
    let n_attacks = distinct.iter().filter(|i| is_attack(**i)).count();
    // As many attacks as there are, dealt at random.
    let mut dealt: Vec<usize> = distinct.to_vec();
    Random::new(seed, "random labels").shuffle(&mut dealt);
    let dealt: std::collections::HashSet<usize> = dealt.into_iter().take(n_attacks).collect();
    Shortcuts {
        guard: of(&score, &is_attack),
        length: of(&|i| length(row(i)) as f64, &is_attack),
        keywords: of(&keywords, &is_attack),
        guard_at_equal_length: at_equal_length(measured, distinct),
        guard_on_random_labels: of(&score, &|i| dealt.contains(&i)),
    }
}

/// How many parts the attacks are divided into by length.
const N_PARTS: usize = 10;

fn at_equal_length(measured: Measured<'_>, distinct: &[usize]) -> Option<f64> {
    let side = |attacks: bool| -> Vec<(usize, f64)> {
        let fits = distinct.iter().filter(|i| measured.rows[**i].is_attack() == attacks);
        let mut side: Vec<(usize, f64)> = fits.map(|i| (length(&measured.rows[*i]), measured.verdicts[*i].score.0)).collect();
        side.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        side
    };
    let (benign, attacks) = (side(false), side(true));
    let scores = |part: &[(usize, f64)]| part.iter().map(|p| p.1).collect::<Vec<f64>>();
    let parts = attacks.chunks(attacks.len().div_ceil(N_PARTS).max(1)).filter_map(|part| {
        let (low, high) = (part[0].0, part[part.len() - 1].0);
        let same = &benign[benign.partition_point(|b| b.0 < low)..benign.partition_point(|b| b.0 <= high)];
        auc(&scores(same), &scores(part))
    });
    let (sum, n) = parts.fold((0.0, 0), |(sum, n), auc| (sum + auc, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

#[cfg(test)]
mod tests {
    use levelhead::{BENIGN, Probability, Severity};

    use super::*;
    use crate::row::Label;

    fn verdict(score: f64) -> Verdict {
        Verdict {
            score: Probability(score),
            flagged: score >= 0.5,
            family: BENIGN.into(),
            severity: Severity::Info,
            layer: None,
            threats: Vec::new(),
        }
    }

    /// A guard that flags what ends with "attack", and what shouts.
    fn naive(rows: &[Row]) -> Vec<Verdict> {
        let hits = |text: &str| text.ends_with("attack") || text.chars().all(|c| !c.is_lowercase()) && text.len() < 40;
        rows.iter().map(|r| verdict(if hits(&r.text) { 0.9 } else { 0.1 })).collect()
    }

    #[test]
    fn flips_are_counted_for_both_sides() {
        let attacks = (0..30).map(|i| Row::new(format!("number {i} is an attack"), Label::Attack));
        let benign = (0..50).map(|i| Row::new(format!("number {i} is harmless"), Label::Benign));
        let rows: Vec<Row> = attacks.chain(benign).collect();
        let verdicts = naive(&rows);
        let groups: Vec<u32> = (0..80).collect();
        let measured = Measured { rows: &rows, verdicts: &verdicts, groups: &groups };
        let found = robustness(measured, RobustnessConfig::default(), |rows| Ok(naive(rows))).unwrap();
        let flip = |name: &str| found.flips.iter().find(|f| f.transform == name).unwrap();
        assert_eq!(flip("padded_before").freed, Count { hits: 0, n: 30 });
        assert_eq!(flip("padded_after").freed, Count { hits: 30, n: 30 });
        assert_eq!(flip("upper_case").freed, Count { hits: 0, n: 30 });
        assert_eq!(flip("upper_case").alarmed, Count { hits: 50, n: 50 });
        assert_eq!(found.short_benign, Count { hits: 0, n: 50 });
        assert_eq!(found.shortcuts.guard, Some(1.0));
        let random = found.shortcuts.guard_on_random_labels.unwrap();
        assert!((0.3..0.7).contains(&random), "{random}");
    }

    #[test]
    fn power_that_is_all_length_is_gone_at_equal_length() {
        // Attacks are longer, and the score is the length: at equal length it tells nothing.
        let row = |i: usize, label| Row::new(format!("{i:03} {}", "x".repeat(i)), label);
        let rows: Vec<Row> = (0..200)
            .map(|i| row(i, Label::Benign))
            .chain((100..200).map(|i| Row { text: format!("{i:03}+{}", "x".repeat(i)), ..row(i, Label::Attack) }))
            .collect();
        let verdicts: Vec<Verdict> = rows.iter().map(|r| verdict(r.text.len() as f64 / 1000.0)).collect();
        let groups: Vec<u32> = (0..300).collect();
        let found = shortcuts(Measured { rows: &rows, verdicts: &verdicts, groups: &groups }, &(0..300).collect::<Vec<_>>(), 1);
        assert!((found.length.unwrap() - 0.75).abs() < 0.01, "{found:?}");
        assert_eq!(found.guard, found.length);
        assert!((found.guard_at_equal_length.unwrap() - 0.5).abs() < 0.01, "{found:?}");
    }
}
