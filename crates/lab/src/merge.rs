//! Several datasets as one: all columns kept, rows shuffled by a seed.

use std::collections::HashSet;
use std::sync::Arc;

use crate::random::Random;
use crate::row::{Dataset, Row, text_hash};

/// How datasets are merged.
#[derive(Debug, Clone, Copy)]
pub struct MergeConfig {
    /// The order of the rows.
    pub seed: u64,
    /// Whether a row with the text and label of an earlier one is dropped.
    pub distinct: bool,
}

/// Merged rows.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Columns beyond the schema, of all files.
    pub extra: Vec<String>,
    /// The rows, shuffled.
    pub rows: Vec<Row>,
    /// Rows dropped as repeats.
    pub n_dropped: usize,
}

/// Merges datasets.
pub fn merge(files: Vec<Dataset>, config: MergeConfig) -> Merged {
    let mut merged = concatenate(files);
    let n_before = merged.rows.len();
    if config.distinct {
        let mut seen = HashSet::new();
        merged.rows.retain(|row| seen.insert((text_hash(&row.text), row.label)));
    }
    merged.n_dropped = n_before - merged.rows.len();
    Random::new(config.seed, "merge").shuffle(&mut merged.rows);
    merged
}

/// The rows of all datasets, one after the other, with the columns of all.
pub fn concatenate(files: Vec<Dataset>) -> Merged {
    let mut extra: Vec<String> = Vec::new();
    for name in files.iter().flat_map(|f| &f.extra) {
        if !extra.contains(name) {
            extra.push(name.clone());
        }
    }
    let empty: Arc<str> = "".into();
    let mut rows = Vec::with_capacity(files.iter().map(|f| f.rows.len()).sum());
    for mut file in files {
        let places: Vec<Option<usize>> = extra.iter().map(|name| file.extra.iter().position(|e| e == name)).collect();
        let value = |row: &Row, place: &Option<usize>| place.and_then(|at| row.extra.get(at)).unwrap_or(&empty).clone();
        for row in &mut file.rows {
            row.extra = places.iter().map(|place| value(row, place)).collect();
        }
        rows.append(&mut file.rows);
    }
    Merged { extra, rows, n_dropped: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Label;

    fn file(extra: &[&str], rows: &[(&str, &[&str])]) -> Dataset {
        let row = |(text, values): &(&str, &[&str])| Row {
            extra: values.iter().map(|v| Arc::from(*v)).collect(),
            ..Row::new(*text, Label::Benign)
        };
        Dataset {
            extra: extra.iter().map(|e| e.to_string()).collect(),
            rows: rows.iter().map(row).collect(),
            ..Dataset::default()
        }
    }

    #[test]
    fn columns_of_all_files_are_kept_in_their_places() {
        let files = vec![file(&["lang"], &[("a", &["en"])]), file(&["license", "lang"], &[("b", &["MIT", "de"])])];
        let merged = merge(files, MergeConfig { seed: 42, distinct: false });
        assert_eq!(merged.extra, ["lang", "license"]);
        for row in &merged.rows {
            let values: Vec<&str> = row.extra.iter().map(|v| &**v).collect();
            assert_eq!(values, if row.text == "a" { ["en", ""] } else { ["de", "MIT"] });
        }
    }

    #[test]
    fn repeats_are_dropped_only_when_asked() {
        let files = || vec![file(&[], &[("Same", &[]), ("other", &[])]), file(&[], &[("same", &[])])];
        assert_eq!(merge(files(), MergeConfig { seed: 1, distinct: false }).rows.len(), 3);
        let merged = merge(files(), MergeConfig { seed: 1, distinct: true });
        assert_eq!((merged.rows.len(), merged.n_dropped), (2, 1));
    }
}
