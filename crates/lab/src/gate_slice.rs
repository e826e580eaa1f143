//! The rows that a check looks at: those of its slice, each text once.
//!
//! It must never take a repeat for evidence, nor leave it to the order of the rows which of its verdicts counts.

use std::collections::{BTreeMap, HashMap};

use levelhead::Verdict;

use crate::gate_file::Slice;
use crate::measure::{Entry, Measured, distinct_texts};
use crate::row::{HARD_NEGATIVE, Label, Row};
use crate::words::number;

/// The rows that count, with what tells repeats.
pub(crate) struct Field<'a> {
    pub measured: Measured<'a>,
    pub old_verdicts: Option<&'a [Verdict]>,
    entries: Vec<Entry<'a>>,
    texts: Vec<u32>,
}

/// A text that counts, with what the old guard said of it.
pub(crate) struct Distinct<'a> {
    pub entry: Entry<'a>,
    pub old_caught: bool,
    /// Caught by the old guard in a row in which it is missed now.
    pub lost: bool,
}

impl<'a> Field<'a> {
    /// # Panics
    /// Where rows, verdicts, groups and old verdicts differ in length.
    pub fn new(measured: Measured<'a>, old_verdicts: Option<&'a [Verdict]>) -> Field<'a> {
        let n_old = old_verdicts.map_or(measured.rows.len(), <[Verdict]>::len);
        assert_eq!(measured.rows.len(), n_old, "rows and old verdicts differ in length");
        Field { entries: measured.entries(), texts: distinct_texts(measured.rows), measured, old_verdicts }
    }

    /// The distinct texts of one side for which `holds` says yes to their row, and how many repeats were dropped.
    ///
    /// Of several verdicts on one text the worst counts: a benign text is flagged if any of its rows is, an attack is
    /// caught if all of them are. So the order of the rows decides nothing.
    pub fn distinct(&self, side: Label, holds: impl Fn(usize) -> bool) -> (Vec<Distinct<'a>>, usize) {
        let mut places: HashMap<u32, usize> = HashMap::new();
        let mut distinct: Vec<Distinct> = Vec::new();
        let mut repeats = 0;
        let attacks = side == Label::Attack;
        for entry in self.entries.iter().filter(|e| e.attack_source.is_some() == attacks && holds(e.row_idx)) {
            let old_caught = self.old_verdicts.is_some_and(|old| old[entry.row_idx].flagged);
            let lost = old_caught && !entry.flagged;
            let place = *places.entry(self.texts[entry.row_idx]).or_insert(distinct.len());
            let Some(known) = distinct.get_mut(place) else {
                distinct.push(Distinct { entry: *entry, old_caught, lost });
                continue;
            };
            repeats += 1;
            let (a, b) = (known.entry.score, entry.score);
            known.entry.score = match attacks {
                // `min` and `max` would drop a NaN.
                _ if a.is_nan() || b.is_nan() => f64::NAN,
                true => a.min(b),
                false => a.max(b),
            };
            known.entry.flagged =
                if attacks { known.entry.flagged && entry.flagged } else { known.entry.flagged || entry.flagged };
            known.old_caught |= old_caught;
            known.lost |= lost;
        }
        (distinct, repeats)
    }

    /// Says that a slice has no rows, and which slices have.
    pub fn no_rows(&self, slice: &Slice, side: Label) -> String {
        let rows = self.measured.rows;
        let what = if side == Label::Attack { "attacks that count in recall" } else { "benign rows" };
        let others = rows.iter().filter(|row| slice.holds(row)).count();
        let others = if others == 0 { String::new() } else { format!(": its {} rows are others", number(others)) };
        let begin = format!("no {what} in slice {slice}{others}");
        let (prefix, names): (&str, fn(&Row) -> &str) = match slice {
            Slice::Category(_) => ("category", |row| &row.category),
            Slice::Source(_) => ("source", |row| &row.source),
            Slice::Family(_) => ("family", |row| &row.family),
            Slice::HardNegatives => {
                return format!("{begin}; a hard negative's notes begin with {:?}", HARD_NEGATIVE);
            }
            Slice::Benign | Slice::Attacks => return format!("{begin}, among {} rows", number(rows.len())),
        };
        let mut there: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in self.entries.iter().filter(|e| e.attack_source.is_some() == (side == Label::Attack)) {
            *there.entry(names(&rows[entry.row_idx])).or_default() += 1;
        }
        const SHOWN: usize = 20;
        let listed: Vec<String> = there.iter().take(SHOWN).map(|(name, n)| format!("{prefix}:{name} ({})", number(*n))).collect();
        match (listed.is_empty(), there.len().saturating_sub(SHOWN)) {
            (true, _) => format!("{begin}, nor in any other"),
            (_, 0) => format!("{begin}; there are {}", listed.join(", ")),
            (_, more) => format!("{begin}; there are {} and {more} more", listed.join(", ")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::row::HARMFUL_REQUEST;
    use levelhead::{Probability, Severity};

    /// Rows with the verdict of each and of an old guard.
    #[derive(Default)]
    pub(crate) struct Set {
        pub rows: Vec<Row>,
        pub verdicts: Vec<Verdict>,
        pub old: Vec<Verdict>,
    }

    fn verdict(score: f64) -> Verdict {
        let (flagged, family) = (score >= 0.5, "other_attack".to_string());
        Verdict {
            score: Probability(score),
            flagged,
            family: family.into(),
            severity: Severity::Info,
            layer: None,
            threats: Vec::new(),
        }
    }

    impl Set {
        pub(crate) fn add(&mut self, row: Row, score: f64, old: f64) {
            self.rows.push(row);
            self.verdicts.push(verdict(score));
            self.old.push(verdict(old));
        }

        /// Distinct rows of a category or a source, the first of which are flagged.
        pub(crate) fn fill(mut self, label: Label, name: &str, hits: usize, n: usize) -> Set {
            for i in 0..n {
                let mut row = Row::new(format!("{label:?} {name} {i}"), label);
                (row.category, row.source) = (name.into(), name.into());
                self.add(row, if i < hits { 0.9 } else { 0.1 }, 0.9);
            }
            self
        }
    }

    impl Set {
        fn field<T>(&self, look: impl Fn(&Field) -> T) -> T {
            let groups: Vec<u32> = (0..self.rows.len() as u32).collect();
            let measured = Measured { rows: &self.rows, verdicts: &self.verdicts, groups: &groups };
            look(&Field::new(measured, Some(&self.old)))
        }
    }

    #[test]
    fn a_slice_without_rows_names_those_there_are() {
        let mut set = Set::default().fill(Label::Benign, "programming", 0, 1_200).fill(Label::Benign, "creative", 0, 3);
        set = set.fill(Label::Attack, "jailbreaks", 2, 2);
        let mut harmful = Row::new("x", Label::Attack);
        harmful.family = HARMFUL_REQUEST.into();
        set.add(harmful, 0.1, 0.1);
        let many = (0..25).fold(Set::default(), |set, i| set.fill(Label::Benign, &format!("c{i:02}"), 0, 1));
        let rows = [
            (
                &set,
                Slice::Category("programing".into()),
                Label::Benign,
                "no benign rows in slice category:programing; there are category:creative (3), category:programming (1,200)",
            ),
            (
                &set,
                Slice::Source("jailbreaks".into()),
                Label::Benign,
                "no benign rows in slice source:jailbreaks: its 2 rows are others; there are source:creative (3), \
                 source:programming (1,200)",
            ),
            (
                &set,
                Slice::Family(HARMFUL_REQUEST.into()),
                Label::Attack,
                "no attacks that count in recall in slice family:harmful_request: its 1 rows are others; there are \
                 family:other_attack (2)",
            ),
            (
                &set,
                Slice::HardNegatives,
                Label::Benign,
                "no benign rows in slice hard_negatives; a hard negative's notes begin with \"HARD NEGATIVE:\"",
            ),
            (&many, Slice::Attacks, Label::Attack, "no attacks that count in recall in slice attacks, among 25 rows"),
            (
                &many,
                Slice::Source("x".into()),
                Label::Attack,
                "no attacks that count in recall in slice source:x, nor in any other",
            ),
        ];
        for (set, slice, side, expected) in rows {
            assert_eq!(set.field(|field| field.no_rows(&slice, side)), expected);
        }
        let words = many.field(|field| field.no_rows(&Slice::Category("x".into()), Label::Benign));
        assert!(words.ends_with("category:c19 (1) and 5 more"), "{words}");
    }

    #[test]
    fn of_repeats_the_worst_verdict_counts() {
        let mut set = Set::default().fill(Label::Benign, "b", 0, 10);
        for (text, score) in [("benign B 3", 0.1), ("ｂenign b 4", 0.9), ("BENIGN B 4", 0.2), ("benign b 5", f64::NAN)] {
            set.add(Row::new(text, Label::Benign), score, 0.0);
        }
        // The same text with the other label is another row.
        set.add(Row::new("benign b 0", Label::Attack), 0.9, 0.9);
        set.add(Row::new("Benign b 0", Label::Attack), 0.2, 0.1);
        set.add(Row::new("attack", Label::Attack), 0.2, 0.1);
        set.field(|field| {
            let (benign, repeats) = field.distinct(Label::Benign, |_| true);
            assert_eq!((benign.len(), repeats), (10, 4));
            let flagged: Vec<usize> = (0..10).filter(|i| benign[*i].entry.flagged).collect();
            assert_eq!((flagged, benign[4].entry.score, benign[5].entry.score.is_nan()), (vec![4], 0.9, true));
            let (attacks, repeats) = field.distinct(Label::Attack, |_| true);
            assert_eq!((attacks.len(), repeats), (2, 1));
            assert_eq!((attacks[0].entry.flagged, attacks[0].entry.score), (false, 0.2));
            assert!(attacks[0].old_caught && !attacks[0].lost && !attacks[1].old_caught);
            // A repeat outside of the slice is none.
            assert_eq!(field.distinct(Label::Benign, |i| i < 10).1, 0);
        });
    }
}
