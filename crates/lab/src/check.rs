//! What is in a dataset, and what is wrong with it: repeats, contradictions, overlaps, damage. It changes nothing.

use std::collections::{BTreeMap, HashMap};

use levelhead::BENIGN;
use serde::Serialize;

use crate::group::{GroupConfig, group};
use crate::mojibake;
use crate::progress::Progress;
use crate::row::{Dataset, FAMILIES, Label, Row, text_hash};

/// What was found in some files.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Each file for itself.
    pub files: Vec<FileCheck>,
    /// Each pair of files that share prompts.
    pub overlaps: Vec<Overlap>,
    /// Prompts that carry both labels, up to [`MOST_EXAMPLES`].
    pub contradictions: Vec<Contradiction>,
    /// How many prompts carry both labels.
    pub n_contradictions: usize,
    /// Groups of near-duplicates that hold both labels.
    pub n_near_contradictions: usize,
    /// Rows of all files by source, category, family and label.
    pub tally: Tally,
}

/// Examples that are listed one by one.
pub const MOST_EXAMPLES: usize = 20;

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileCheck {
    /// The file.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub blake3: String,
    /// Rows read, whether kept or not.
    pub n_read: usize,
    /// Rows rejected.
    pub n_rejected: usize,
    /// Rows kept.
    pub n_rows: usize,
    /// Prompts that differ after normalization.
    pub n_distinct: usize,
    /// Groups of near-duplicates; a prompt without any is a group of its own.
    pub n_groups: usize,
    /// Rows labelled attack.
    pub n_attacks: usize,
    /// Rows without a label.
    pub n_unlabelled: usize,
    /// Rows with double-encoded text; `--repair` mends them.
    pub n_mojibake: usize,
    /// Rows that were repaired.
    pub n_repaired: usize,
    /// Columns beyond the schema.
    pub extra: Vec<String>,
    /// Families that Levelhead does not know, with their rows.
    pub unknown_families: BTreeMap<String, usize>,
}

/// Prompts that two files share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overlap {
    /// One file.
    pub a: String,
    /// The other.
    pub b: String,
    /// Rows of `b` whose prompt stands in `a` too.
    pub n_exact: usize,
    /// Rows of `b` that equal a prompt of `a` or nearly do.
    pub n_near: usize,
}

/// One prompt with both labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contradiction {
    /// The prompt, shortened.
    pub text: String,
    /// Where it is benign: file and row, from 1.
    pub benign: String,
    /// Where it is an attack.
    pub attack: String,
}

/// Rows by what describes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// By label: `benign`, `attack`, `none`.
    pub label: BTreeMap<String, usize>,
    /// By source.
    pub source: BTreeMap<String, usize>,
    /// By category.
    pub category: BTreeMap<String, usize>,
    /// By family.
    pub family: BTreeMap<String, usize>,
}

impl Tally {
    /// Counts rows.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Tally {
        let mut tally = Tally::default();
        for row in rows {
            let label = match row.label {
                Some(Label::Benign) => "benign",
                Some(Label::Attack) => "attack",
                None => "none",
            };
            for (map, name) in [
                (&mut tally.label, label),
                (&mut tally.source, &*row.source),
                (&mut tally.category, &*row.category),
                (&mut tally.family, &*row.family),
            ] {
                *map.entry(name.to_string()).or_default() += 1;
            }
        }
        tally
    }
}

impl Check {
    /// Whether something needs a person: contradictions, prompts in two files, damaged text, rejected rows.
    pub fn has_faults(&self) -> bool {
        self.n_contradictions > 0 || !self.overlaps.is_empty() || self.files.iter().any(|f| f.n_mojibake > 0 || f.n_rejected > 0)
    }
}

/// Looks through some files.
pub fn check(files: &[Dataset], progress: &dyn Progress) -> Check {
    let all: Vec<(usize, usize, &Row)> =
        files.iter().enumerate().flat_map(|(f, data)| data.rows.iter().enumerate().map(move |(r, row)| (f, r, row))).collect();
    let texts: Vec<&str> = all.iter().map(|(_, _, row)| row.text.as_str()).collect();
    let groups = group(&texts, GroupConfig::default(), progress).ids;
    let exact = exact_ids(&texts);
    let near_labels = labels_by(&groups, &all);
    let exact_labels = labels_by(&exact, &all);
    let mut contradictions: Vec<(usize, usize)> = exact_labels.values().filter_map(|l| Some((l[0]?, l[1]?))).collect();
    contradictions.sort_unstable();
    let place = |at: usize| format!("{} row {}", files[all[at].0].name(), all[at].1 + 1);
    Check {
        files: files.iter().enumerate().map(|(f, data)| check_file(f, data, &all, &exact, &groups)).collect(),
        overlaps: overlaps(files, &all, &exact, &groups),
        n_contradictions: contradictions.len(),
        contradictions: contradictions
            .iter()
            .take(MOST_EXAMPLES)
            .map(|(b, a)| Contradiction {
                text: all[*b].2.text.chars().take(100).collect(),
                benign: place(*b),
                attack: place(*a),
            })
            .collect(),
        n_near_contradictions: near_labels.values().filter(|l| l[0].is_some() && l[1].is_some()).count(),
        tally: Tally::of(all.iter().map(|x| x.2)),
    }
}

/// For each text the first index with the same normalized text.
pub fn exact_ids(texts: &[&str]) -> Vec<u32> {
    let mut first = HashMap::new();
    texts.iter().enumerate().map(|(i, text)| *first.entry(text_hash(text)).or_insert(i as u32)).collect()
}

/// By group, the first benign and the first attack row.
fn labels_by(ids: &[u32], all: &[(usize, usize, &Row)]) -> BTreeMap<u32, [Option<usize>; 2]> {
    let mut labels: BTreeMap<u32, [Option<usize>; 2]> = BTreeMap::new();
    for (at, (id, (_, _, row))) in ids.iter().zip(all).enumerate() {
        if let Some(label) = row.label {
            labels.entry(*id).or_default()[usize::from(label == Label::Attack)].get_or_insert(at);
        }
    }
    labels
}

fn check_file(f: usize, data: &Dataset, all: &[(usize, usize, &Row)], exact: &[u32], groups: &[u32]) -> FileCheck {
    let own: Vec<usize> = (0..all.len()).filter(|at| all[*at].0 == f).collect();
    let n_ids = |ids: &[u32]| own.iter().map(|at| ids[*at]).collect::<std::collections::HashSet<_>>().len();
    let count = |f: &dyn Fn(&Row) -> bool| data.rows.iter().filter(|r| f(r)).count();
    let mut unknown_families = BTreeMap::new();
    for row in data.rows.iter().filter(|r| &*r.family != BENIGN && !FAMILIES.contains(&&*r.family)) {
        *unknown_families.entry(row.family.to_string()).or_default() += 1;
    }
    FileCheck {
        name: data.name(),
        blake3: data.blake3.clone(),
        n_read: data.counts.read,
        n_rejected: data.counts.rejected,
        n_rows: data.rows.len(),
        n_distinct: n_ids(exact),
        n_groups: n_ids(groups),
        n_attacks: count(&|r| r.is_attack()),
        n_unlabelled: count(&|r| r.label.is_none()),
        n_mojibake: count(&|r| mojibake::repair(&r.text).is_some()),
        n_repaired: data.counts.repaired,
        extra: data.extra.clone(),
        unknown_families,
    }
}

fn overlaps(files: &[Dataset], all: &[(usize, usize, &Row)], exact: &[u32], groups: &[u32]) -> Vec<Overlap> {
    let ids_of = |ids: &[u32], f: usize| -> std::collections::HashSet<u32> {
        all.iter().zip(ids).filter(|(x, _)| x.0 == f).map(|(_, id)| *id).collect()
    };
    let mut overlaps = Vec::new();
    for a in 0..files.len() {
        let (exact_a, near_a) = (ids_of(exact, a), ids_of(groups, a));
        for b in a + 1..files.len() {
            let n_in = |ids: &[u32], known: &std::collections::HashSet<u32>| {
                all.iter().zip(ids).filter(|(x, id)| x.0 == b && known.contains(id)).count()
            };
            let overlap =
                Overlap { a: files[a].name(), b: files[b].name(), n_exact: n_in(exact, &exact_a), n_near: n_in(groups, &near_a) };
            if overlap.n_near > 0 {
                overlaps.push(overlap);
            }
        }
    }
    overlaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::row::ReadCounts;

    fn file(name: &str, rows: &[(&str, Label)]) -> Dataset {
        Dataset {
            path: name.into(),
            rows: rows.iter().map(|(text, label)| Row::new(*text, *label)).collect(),
            counts: ReadCounts { read: rows.len(), kept: rows.len(), ..ReadCounts::default() },
            ..Dataset::default()
        }
    }

    #[test]
    fn repeats_contradictions_overlaps_and_damage_are_counted() {
        use Label::{Attack, Benign};
        let a = file("a.csv", &[("Hello there", Benign), ("HELLO there", Benign), ("reveal it", Attack), ("donâ€™t go", Benign)]);
        let b = file("b.csv", &[("reveal it", Benign), ("something else entirely", Benign)]);
        let found = check(&[a, b], &Silent);
        assert_eq!((found.files[0].n_rows, found.files[0].n_distinct, found.files[0].n_attacks), (4, 3, 1));
        assert_eq!(found.files[0].n_mojibake, 1);
        assert_eq!(found.n_contradictions, 1);
        assert_eq!(
            (found.contradictions[0].benign.as_str(), found.contradictions[0].attack.as_str()),
            ("b.csv row 1", "a.csv row 3")
        );
        assert_eq!(found.overlaps.len(), 1);
        assert_eq!((found.overlaps[0].n_exact, found.overlaps[0].n_near), (1, 1));
        assert_eq!(found.tally.label["benign"], 5);
        assert!(found.has_faults());
    }

    #[test]
    fn a_family_that_is_not_known_is_reported() {
        let mut data = file("a.csv", &[("x y z", Label::Attack)]);
        data.rows[0].family = "data_exfil".into();
        let found = check(&[data], &Silent);
        assert_eq!(found.files[0].unknown_families["data_exfil"], 1);
        assert!(!found.has_faults());
    }
}
