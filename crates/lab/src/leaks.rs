//! Leakage: rows that are measured on and also train, equal, nearly equal, or of one lineage.
//!
//! A guard that has seen a variation of a test row has seen the test row. Whoever measures must know of every such pair.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::Serialize;

use crate::group::{GroupConfig, group, join_named};
use crate::near::NearIndex;
use crate::progress::Progress;
use crate::row::{Dataset, text_hash};

/// A column of this name says which rows have one origin: variations of one prompt, fillings of one frame.
pub const GROUP_COLUMN: &str = "group";

/// The group of every row, file after file: near-duplicates, and rows of one lineage. It is its smallest member's index.
pub fn groups(files: &[&Dataset], progress: &dyn Progress) -> Vec<u32> {
    let texts: Vec<&str> = files.iter().flat_map(|f| &f.rows).map(|row| row.text.as_str()).collect();
    let names: Vec<Option<&str>> = files.iter().flat_map(|f| f.rows.iter().map(|row| f.extra(row, GROUP_COLUMN))).collect();
    let mut ids = group(&texts, GroupConfig::default(), progress).ids;
    join_named(&mut ids, &names);
    ids
}

/// Why two rows must not stand on two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The same text once normalized.
    Equal,
    /// Nearly the same text.
    Near,
    /// The same value in the column `group`.
    Lineage,
}

impl Kind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Equal => "equal",
            Kind::Near => "nearly equal",
            Kind::Lineage => "of one lineage",
        }
    }
}

/// A row of a file, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Index of the file among those of its side.
    pub file: usize,
    /// Index of the row among those kept.
    pub row: usize,
}

/// A pair of rows, one on each side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Leak {
    /// The row that trains.
    pub train: Place,
    /// The row that is measured.
    pub test: Place,
    /// Why.
    pub kind: Kind,
    /// Jaccard similarity of their shingles; 1 for equal texts.
    pub similarity: Option<f64>,
}

/// Every pair of a training row and a test row that are equal, near-duplicates, or of one lineage; ordered by training row.
/// A pair is named once, by its strongest reason.
///
/// A lineage is listed with the first test row of its group alone: all pairs of two large groups would tell nothing more.
pub fn leaks(train: &[Dataset], test: &[Dataset], config: GroupConfig) -> Vec<Leak> {
    let places = |side: &[Dataset]| -> Vec<Place> {
        let of = |(file, data): (usize, &Dataset)| (0..data.rows.len()).map(move |row| Place { file, row }).collect::<Vec<_>>();
        side.iter().enumerate().flat_map(of).collect()
    };
    let (train_places, test_places) = (places(train), places(test));
    let test_texts: Vec<&str> = test_places.iter().map(|p| test[p.file].rows[p.row].text.as_str()).collect();
    let index = NearIndex::new(&test_texts, config);
    let hashes: Vec<_> = test_texts.par_iter().map(|t| text_hash(t)).collect();
    let mut lineages: HashMap<&str, Place> = HashMap::new();
    for place in &test_places {
        let data = &test[place.file];
        if let Some(group) = data.extra(&data.rows[place.row], GROUP_COLUMN).filter(|g| !g.is_empty()) {
            lineages.entry(group).or_insert(*place);
        }
    }
    train_places
        .par_iter()
        .flat_map_iter(|place| {
            let data = &train[place.file];
            let row = &data.rows[place.row];
            let hash = text_hash(&row.text);
            let mut found: BTreeMap<Place, Leak> = BTreeMap::new();
            for (i, similarity) in index.all(&row.text) {
                let kind = if hashes[i] == hash { Kind::Equal } else { Kind::Near };
                let leak = Leak { train: *place, test: test_places[i], kind, similarity: Some(similarity) };
                found.insert(test_places[i], leak);
            }
            let lineage = data.extra(row, GROUP_COLUMN).and_then(|group| lineages.get(group));
            if let Some(test) = lineage {
                found.entry(*test).or_insert(Leak { train: *place, test: *test, kind: Kind::Lineage, similarity: None });
            }
            found.into_values().collect::<Vec<_>>()
        })
        .collect()
}

/// Removes the training rows of leaks; gives how many there were in each file.
pub fn remove(train: &mut [Dataset], leaks: &[Leak]) -> Vec<usize> {
    let mut leaky: Vec<Vec<bool>> = train.iter().map(|data| vec![false; data.rows.len()]).collect();
    leaks.iter().for_each(|leak| leaky[leak.train.file][leak.train.row] = true);
    let clean = |(data, leaky): (&mut Dataset, &Vec<bool>)| {
        let mut at = leaky.iter();
        data.rows.retain(|_| !at.next().expect("one for each row"));
        leaky.iter().filter(|l| **l).count()
    };
    train.iter_mut().zip(&leaky).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Label, Row};

    fn data(rows: &[(&str, &str)]) -> Dataset {
        let row = |(text, group): &(&str, &str)| Row { extra: [(*group).into()].into(), ..Row::new(*text, Label::Benign) };
        Dataset { extra: vec![GROUP_COLUMN.into()], rows: rows.iter().map(row).collect(), ..Dataset::default() }
    }

    #[test]
    fn each_kind_of_leak_is_found_and_removed() {
        let long = "please tell me how I can reset the password of my account";
        let mut train = [
            data(&[
                ("something else entirely, with words of its own", "a"),
                ("Please tell me how I can reset the password of my account", ""),
            ]),
            data(&[
                ("please tell me how I can reset the password of my account today", ""),
                ("a frame filled with apples", "f1"),
                ("clean", ""),
            ]),
        ];
        let test =
            [data(&[("an unrelated question about the weather in spring", ""), (long, ""), ("a table set with pears", "f1")])];
        let found = leaks(&train, &test, GroupConfig::default());
        let kinds: Vec<_> = found.iter().map(|l| (l.train.file, l.train.row, l.test.row, l.kind)).collect();
        assert_eq!(kinds, [(0, 1, 1, Kind::Equal), (1, 0, 1, Kind::Near), (1, 1, 2, Kind::Lineage)]);
        assert_eq!(found[0].similarity, Some(1.0));
        assert_eq!(remove(&mut train, &found), [1, 2]);
        assert_eq!((train[0].rows.len(), train[1].rows[0].text.as_str()), (1, "clean"));
        assert!(leaks(&train, &test, GroupConfig::default()).is_empty());
    }

    #[test]
    fn every_pair_is_listed() {
        let text = |i: usize| format!("one two three four five six seven eight nine ten eleven twelve number{i}");
        let texts: Vec<String> = (0..3).map(text).collect();
        let rows: Vec<(&str, &str)> = texts.iter().map(|t| (t.as_str(), "")).collect();
        let found = leaks(&[data(&rows[..1])], &[data(&rows[1..])], GroupConfig::default());
        assert_eq!(found.len(), 2);
    }
}
