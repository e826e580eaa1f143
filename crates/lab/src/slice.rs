//! Slices of an audit: how often a guard flags the benign prompts of a category, a length, a language, or by a rule.
//!
//! Every count is given twice, of entries and of distinct prompts, and rates stand on distinct prompts: a file of
//! thousands of entries may hold a few hundred prompts. No slice may look clean because it is small: it says what it can show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::{Count, Interval};

/// What a slice is cut by, in the order in which slices are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Not at all: everything.
    All,
    /// Benign category.
    Category,
    /// Attack family that the guard took the prompt for.
    Family,
    /// Layer that fired.
    Layer,
    /// Rule that fired.
    Rule,
    /// Length in characters.
    Length,
    /// Language.
    Language,
}

/// False positives out of a total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Out of how many; nothing where it is not known.
    #[serde(default)]
    pub total: Option<usize>,
    /// How many were flagged.
    pub fp: usize,
}

impl Tally {
    /// Both numbers, where both are known.
    pub fn count(&self) -> Option<Count> {
        self.total.map(|n| Count { hits: self.fp, n })
    }
}

/// What the number of prompts allows to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Not even a clean result could show a rate below 1 %.
    Blind,
    /// A rate near 1 % can be seen, a tenth of it cannot.
    Thin,
    /// Enough.
    Ok,
    /// The number of prompts is not known.
    Unknown,
}

/// The fewest prompts of which none flagged shows a rate below 1 % at 95 %: ln 0.05 / ln 0.99, rounded up.
pub const FEWEST_VISIBLE: usize = 299;

impl Visibility {
    /// What so many prompts allow to be seen.
    pub fn of(total: Option<usize>) -> Visibility {
        match total {
            None => Visibility::Unknown,
            Some(n) if n < FEWEST_VISIBLE => Visibility::Blind,
            Some(n) if n < 10 * FEWEST_VISIBLE => Visibility::Thin,
            Some(_) => Visibility::Ok,
        }
    }
}

/// The false positives of a part of the traffic, or of a part of the guard.
///
/// Rules, layers and families are parts of the guard: their total is all of the traffic, and a prompt that two rules
/// flagged counts for both. The figures stand on distinct prompts, or on entries where the distinct total is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What it is cut by.
    pub by: By,
    /// Its name: a category, a rule's id, `20-49`.
    pub name: String,
    /// Entries, repeats included.
    pub entries: Tally,
    /// Distinct prompts.
    pub distinct: Tally,
    /// The false positive rate; nothing where no total is known.
    pub rate: Option<f64>,
    /// Wilson's interval of the rate at 95 %.
    pub interval: Option<Interval>,
    /// One-sided upper Clopper-Pearson bound of the rate at 95 %.
    pub upper_bound: Option<f64>,
    /// What the number of prompts allows to be seen.
    pub visibility: Visibility,
}

impl Slice {
    /// A slice with the figures that its counts give.
    pub fn new(by: By, name: &str, entries: Tally, distinct: Tally) -> Slice {
        let count = distinct.count().or_else(|| entries.count());
        Slice {
            by,
            name: name.to_string(),
            entries,
            distinct,
            rate: count.and_then(|c| c.rate()),
            interval: count.and_then(|c| c.wilson()),
            upper_bound: count.and_then(|c| c.upper_bound(0.95)),
            visibility: Visibility::of(count.map(|c| c.n)),
        }
    }
}

/// One entry's part in a slice.
pub(crate) struct Member<'a> {
    pub name: &'a str,
    /// The number of its distinct prompt.
    pub prompt: usize,
    pub flagged: bool,
}

/// Counts entries and distinct prompts by name; a prompt is flagged where any of its entries is.
pub(crate) fn tally<'a>(members: impl Iterator<Item = Member<'a>>) -> BTreeMap<&'a str, (Tally, Tally)> {
    let mut by_name: BTreeMap<&str, Vec<(usize, bool)>> = BTreeMap::new();
    for member in members {
        by_name.entry(member.name).or_default().push((member.prompt, member.flagged));
    }
    let tally = |total: usize, fp: usize| Tally { total: Some(total), fp };
    by_name
        .into_iter()
        .map(|(name, mut members)| {
            let entries = tally(members.len(), members.iter().filter(|m| m.1).count());
            members.sort_unstable();
            let distinct = members.chunk_by(|a, b| a.0 == b.0);
            let n_flagged = distinct.clone().filter(|prompt| prompt.iter().any(|m| m.1)).count();
            (name, (entries, tally(distinct.count(), n_flagged)))
        })
        .collect()
}

/// Puts slices into the order in which they are listed: by kind; lengths by length, others by falling count.
pub(crate) fn sort(slices: &mut [Slice]) {
    let bucket = |s: &Slice| LENGTHS.iter().position(|l| s.by == By::Length && *l == s.name);
    slices.sort_by(|a, b| {
        let counts = |s: &Slice| (s.distinct.fp, s.distinct.total, s.entries.total);
        a.by.cmp(&b.by).then(bucket(a).cmp(&bucket(b))).then(counts(b).cmp(&counts(a))).then_with(|| a.name.cmp(&b.name))
    });
}

/// The length buckets, in characters.
pub const LENGTHS: [&str; 7] = ["0-19", "20-49", "50-99", "100-199", "200-499", "500-1999", "2000+"];

/// The length bucket of a text.
pub fn length_bucket(text: &str) -> &'static str {
    let n = text.chars().take(2000).count();
    LENGTHS[[20, 50, 100, 200, 500, 2000].partition_point(|bound| *bound <= n)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_fall_into_their_buckets() {
        for (n, expected) in [(0, "0-19"), (19, "0-19"), (20, "20-49"), (99, "50-99"), (100, "100-199"), (499, "200-499")] {
            assert_eq!(length_bucket(&"ü".repeat(n)), expected, "{n}");
        }
        assert_eq!((length_bucket(&"x".repeat(1999)), length_bucket(&"x".repeat(9000))), ("500-1999", "2000+"));
    }

    #[test]
    fn a_prompt_counts_once_and_is_flagged_where_any_entry_is() {
        let member = |(name, prompt, flagged)| Member { name, prompt, flagged };
        let rows = [("a", 0, false), ("a", 0, true), ("a", 1, false), ("a", 0, true), ("b", 1, false)];
        let counted = tally(rows.into_iter().map(member));
        let tally = |total, fp| Tally { total: Some(total), fp };
        assert_eq!(counted["a"], (tally(4, 2), tally(2, 1)));
        assert_eq!(counted["b"], (tally(1, 0), tally(1, 0)));
    }

    #[test]
    fn a_small_slice_is_marked_and_never_clean() {
        for (n, expected) in [(298, Visibility::Blind), (299, Visibility::Thin), (2989, Visibility::Thin), (2990, Visibility::Ok)]
        {
            let slice = Slice::new(By::Category, "x", Tally::default(), Tally { total: Some(n), fp: 0 });
            assert_eq!((slice.visibility, slice.rate), (expected, Some(0.0)), "{n}");
            assert_eq!(slice.upper_bound.unwrap() < 0.01, n >= 299, "{n}");
        }
        let unknown = Slice::new(By::Length, "0-19", Tally::default(), Tally { total: None, fp: 3 });
        assert_eq!((unknown.visibility, unknown.rate, unknown.upper_bound), (Visibility::Unknown, None, None));
        let none = Slice::new(By::Length, "0-19", Tally::default(), Tally { total: Some(0), fp: 0 });
        assert_eq!((none.visibility, none.rate), (Visibility::Blind, None));
    }

    #[test]
    fn rates_stand_on_distinct_prompts_where_they_are_known() {
        let (entries, distinct) = (Tally { total: Some(400), fp: 100 }, Tally { total: Some(50), fp: 3 });
        assert_eq!(Slice::new(By::All, "all", entries, distinct).rate, Some(0.06));
        assert_eq!(Slice::new(By::All, "all", entries, Tally { total: None, fp: 3 }).rate, Some(0.25));
    }
}
