//! Where the rows of a gate are too few to see what the gate asks: no slice may look clean because it is small.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::language::language;
use crate::row::Row;
use crate::slice::{Visibility, length_bucket};

/// What the rows of a slice can show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// `category`, `language` or `length` of benign rows, `family` of attacks.
    pub by: &'static str,
    /// Which of them.
    pub name: String,
    /// Distinct rows.
    pub n: usize,
    /// Distinct rows without a fault that would show the rate that the gate asks.
    pub needed: usize,
    /// Blind below that number, thin below ten times it.
    pub visibility: Visibility,
}

/// The fewest rows of which none at fault shows, at this confidence, a rate below the bound: ln(1 - c) / ln(1 - bound).
pub fn fewest(bound: f64, confidence: f64) -> usize {
    ((1.0 - confidence).ln() / (1.0 - bound).ln()).ceil().max(1.0) as usize
}

/// What so many rows can show, of which `needed` without a fault show the rate that is asked.
pub fn visible(n: usize, needed: usize) -> Visibility {
    match n {
        n if n < needed => Visibility::Blind,
        n if n < 10 * needed => Visibility::Thin,
        _ => Visibility::Ok,
    }
}

/// The visibility of each slice of distinct rows. `fpr` and `miss` are the rates that the gate wants to see.
pub fn visibility<'a>(rows: impl Iterator<Item = &'a Row>, fpr: f64, miss: f64, confidence: f64) -> Vec<Seen> {
    let mut counts: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    for row in rows {
        let mut add = |by, name: &str| *counts.entry((by, name.to_string())).or_default() += 1;
        if row.is_attack() {
            add("family", &row.family);
        } else {
            add("category", &row.category);
            add("language", language(&row.text));
            add("length", length_bucket(&row.text));
        }
    }
    let seen = counts.into_iter().map(|((by, name), n)| {
        let needed = fewest(if by == "family" { miss } else { fpr }, confidence);
        Seen { by, name, n, needed, visibility: visible(n, needed) }
    });
    seen.collect()
}

/// The slices that cannot be seen, or hardly, in one line each; nothing where all can.
pub fn visibility_lines(seen: &[Seen]) -> Vec<String> {
    let line = |visibility: Visibility, word: &str| {
        let named: Vec<String> =
            seen.iter().filter(|s| s.visibility == visibility).map(|s| format!("{} {} ({})", s.by, s.name, s.n)).collect();
        (!named.is_empty()).then(|| format!("{word}: {}", named.join(", ")))
    };
    let blind = line(Visibility::Blind, "blind, too few rows to see the rate that the gate asks even if all were right");
    let thin = line(Visibility::Thin, "thin, under ten times that number");
    blind.into_iter().chain(thin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Label;

    #[test]
    fn a_slice_is_blind_until_its_rows_could_show_the_rate() {
        // DESIGN: 299 clean rows for 1 %, 598 for 0.5 %, 59 for 5 %.
        assert_eq!([0.01, 0.005, 0.05].map(|b| fewest(b, 0.95)), [299, 598, 59]);
        let row = |i: usize, category: &str| Row {
            category: category.into(),
            ..Row::new(format!("how do I bake bread {i}"), Label::Benign)
        };
        let rows: Vec<Row> = (0..298).map(|i| row(i, "small")).chain((0..3000).map(|i| row(i + 1000, "large"))).collect();
        let seen = visibility(rows.iter(), 0.01, 0.05, 0.95);
        let of = |name: &str| seen.iter().find(|s| s.name == name).unwrap().visibility;
        assert_eq!((of("small"), of("large")), (Visibility::Blind, Visibility::Ok));
        let lines = visibility_lines(&seen);
        assert!(lines[0].starts_with("blind") && lines[0].contains("category small (298)"), "{lines:?}");
    }
}
