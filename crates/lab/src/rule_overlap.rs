//! Which rules of a pack match the same prompts, and which could go without losing an attack.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::rule_hits::Hits;
use crate::rule_pack::Pack;
use crate::stats::Count;

/// What two rules share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// One rule.
    pub a: String,
    /// The other one, further down the pack.
    pub b: String,
    /// Of the attacks.
    pub attacks: Shared,
    /// Of the benign prompts.
    pub benign: Shared,
}

/// Distinct prompts that two rules match.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Shared {
    /// Those that the other rule matches too, of those that the first matches.
    pub of_a: Count,
    /// The same the other way round.
    pub of_b: Count,
    /// Jaccard similarity: matched by both, of all matched by either. 0 where neither matches any.
    pub jaccard: f64,
}

/// Distinct prompts by the rules that match them.
pub(crate) struct Table {
    /// By rule.
    pub distinct: Vec<usize>,
    /// By rule: prompts that no other one matches.
    pub alone: Vec<usize>,
    /// By pair of rules, the smaller place first; only those that share a prompt.
    both: BTreeMap<(usize, usize), usize>,
}

impl Table {
    pub fn of(hits: &Hits, n_rules: usize) -> Table {
        let mut table = Table { distinct: vec![0; n_rules], alone: vec![0; n_rules], both: BTreeMap::new() };
        for prompt in &hits.prompts {
            for (at, a) in prompt.rules.iter().enumerate() {
                table.distinct[*a] += 1;
                table.alone[*a] += usize::from(prompt.rules.len() == 1);
                prompt.rules[at + 1..].iter().for_each(|b| *table.both.entry((*a, *b)).or_default() += 1);
            }
        }
        table
    }

    fn shared(&self, a: usize, b: usize) -> Shared {
        let hits = self.both.get(&(a, b)).copied().unwrap_or(0);
        let [of_a, of_b] = [a, b].map(|rule| Count { hits, n: self.distinct[rule] });
        let either = of_a.n + of_b.n - hits;
        Shared { of_a, of_b, jaccard: hits as f64 / either.max(1) as f64 }
    }
}

/// The pairs of rules that share a prompt, the most alike on attacks first. The tables are of benign prompts and of attacks.
pub(crate) fn overlaps(pack: &Pack, [benign, attacks]: &[Table; 2]) -> Vec<Overlap> {
    let mut pairs: Vec<(usize, usize)> = benign.both.keys().chain(attacks.both.keys()).copied().collect();
    pairs.sort_unstable();
    pairs.dedup();
    let id = |i: usize| pack.rules.rules()[i].id.clone();
    let overlap =
        |(a, b): (usize, usize)| Overlap { a: id(a), b: id(b), attacks: attacks.shared(a, b), benign: benign.shared(a, b) };
    let mut overlaps: Vec<Overlap> = pairs.into_iter().map(overlap).collect();
    overlaps.sort_by(|a, b| b.attacks.jaccard.total_cmp(&a.attacks.jaccard).then(b.benign.jaccard.total_cmp(&a.benign.jaccard)));
    overlaps
}

/// Takes out one rule after the other, the noisiest first, as long as the rules that stay match every attack that it matches.
pub(crate) fn droppable(pack: &Pack, [benign, attacks]: &[Table; 2], hits: &Hits) -> Vec<String> {
    let mut n_left: Vec<usize> = hits.prompts.iter().map(|p| p.rules.len()).collect();
    let mut order: Vec<usize> = (0..attacks.distinct.len()).filter(|i| attacks.distinct[*i] > 0).collect();
    order.sort_by_key(|i| (usize::MAX - benign.distinct[*i], attacks.distinct[*i]));
    let mut dropped = Vec::new();
    for rule in order {
        let own = || (0..hits.prompts.len()).filter(|p| hits.prompts[*p].rules.contains(&rule));
        if own().all(|p| n_left[p] > 1) {
            own().collect::<Vec<_>>().into_iter().for_each(|p| n_left[p] -= 1);
            dropped.push(pack.rules.rules()[rule].id.clone());
        }
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule_hits::Hit;

    #[test]
    fn pairs_and_rules_that_could_go_are_counted_by_hand() {
        let hits = |prompts: &[&[usize]]| Hits {
            n_entries: 9,
            n_distinct: 9,
            entries: vec![0; 4],
            prompts: prompts.iter().map(|rules| Hit { matched_rows: vec![0], rules: rules.to_vec() }).collect(),
        };
        let rule = |id| format!("[[rule]]\nid='{id}'\nfamily='x'\nseverity='low'\nconfidence=0.5\npattern='x'\n");
        let pack = Pack::parse(std::path::Path::new("pack.toml"), ["a", "b", "c", "d"].map(rule).concat()).unwrap();
        let attacks = hits(&[&[0, 1], &[0, 1], &[1, 3], &[0, 1, 2], &[2]]);
        let tables = [Table::of(&hits(&[&[0, 1], &[1, 3], &[2]]), 4), Table::of(&attacks, 4)];
        assert_eq!((&tables[1].distinct, &tables[1].alone), (&vec![3, 4, 2, 1], &vec![0, 0, 1, 0]));
        let found = overlaps(&pack, &tables);
        let pairs: Vec<_> = found.iter().map(|o| (o.a.as_str(), o.b.as_str(), o.attacks.of_a.hits)).collect();
        assert_eq!(pairs, [("a", "b", 3), ("b", "d", 1), ("a", "c", 1), ("b", "c", 1)]);
        let first = found[0].attacks;
        assert_eq!((first.of_a, first.of_b), (Count { hits: 3, n: 3 }, Count { hits: 3, n: 4 }));
        assert!((first.jaccard - 0.75).abs() < 1e-12 && (found[0].benign.jaccard - 0.5).abs() < 1e-12);
        // "b" could go, or both "a" and "d"; the noisiest goes first.
        assert_eq!(droppable(&pack, &tables, &attacks), ["b"]);
    }
}
