//! Label audit: rows whose label is probably wrong, and putting right what a person has decided about them.
//!
//! Confident learning (Northcutt, Jiang, Chuang: Confident Learning, JAIR 70, 2021) on probabilities from guards that have
//! not trained on a row. A guard is sure of a label where it gives it as much as it gives, on average, the rows that carry it. A
//! row is in doubt where the guard holds the other label for likelier, and listed by how much; also where its near-duplicates
//! outvote it. It must never change a label unasked.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::group::GroupConfig;
use crate::near::NearIndex;
use crate::random::Random;
use crate::row::{Dataset, Label, Row};

/// Columns that [`suspect_rows`] adds to the schema; [`CORRECTED`] is empty until a person fills it in.
pub const EXTRA: [&str; 8] = ["rank", "file", "row", "p_attack", "reason", "near_similarity", "near_text", CORRECTED];

/// The column of a decision: 0, 1 or `drop`; empty where the label stays.
pub const CORRECTED: &str = "corrected";

/// Texts at least this alike are shown as neighbors that disagree.
const NEAR: f64 = 0.3;

/// A row whose label is in doubt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// Index of the row.
    pub row: usize,
    /// P(attack) of a guard that has not trained on the row, 0 to 1.
    pub p_attack: f64,
    /// How much speaks for the other label, 0 to 1: P(other label), averaged with the labels of the row's near-duplicates.
    pub doubt: f64,
    /// Other rows of the group with the same label, and with the other one.
    pub group: [usize; 2],
}

/// What the audit found.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelAudit {
    /// Mean P(benign) of the rows labelled benign, mean P(attack) of the rows labelled attack: from there on a guard is sure.
    pub thresholds: [f64; 2],
    /// Rows by given label (benign, attack) and by the label that the guard is sure of; others count nowhere.
    pub confident: [[usize; 2]; 2],
    /// Groups of near-duplicates that hold both labels.
    pub n_contradictions: usize,
    /// The rows in doubt, the most doubtful first.
    pub suspects: Vec<Suspect>,
}

/// Finds the rows in doubt. `p_attack` gives each row's probability from a guard that has not trained on its group.
///
/// ```
/// use levelhead_lab::{labels::audit_labels, row::{Label, Row}};
/// let rows = [("fine", Label::Benign), ("fine too", Label::Benign), ("evil", Label::Attack), ("evil too", Label::Benign)]
///     .map(|(text, label)| Row::new(text, label));
/// let rows: Vec<&Row> = rows.iter().collect();
/// let audit = audit_labels(&rows, &[0, 1, 2, 3], &[0.1, 0.2, 0.8, 0.9]);
/// assert_eq!(audit.suspects.iter().map(|s| s.row).collect::<Vec<_>>(), [3]);
/// ```
///
/// # Panics
/// Where the slices differ in length or a row has no label.
pub fn audit_labels(rows: &[&Row], groups: &[u32], p_attack: &[f64]) -> LabelAudit {
    assert!(rows.len() == groups.len() && rows.len() == p_attack.len());
    let given: Vec<usize> = rows.iter().map(|row| usize::from(row.label.expect("a label") == Label::Attack)).collect();
    let p_of = |i: usize, label: usize| if label == 1 { p_attack[i] } else { 1.0 - p_attack[i] };
    let thresholds = [0, 1].map(|label| {
        let own: Vec<f64> = (0..rows.len()).filter(|i| given[*i] == label).map(|i| p_of(i, label)).collect();
        own.iter().sum::<f64>() / own.len().max(1) as f64
    });
    let mut in_group: HashMap<u32, [usize; 2]> = HashMap::new();
    groups.iter().zip(&given).for_each(|(group, label)| in_group.entry(*group).or_default()[*label] += 1);
    let n_contradictions = in_group.values().filter(|n| n[0] > 0 && n[1] > 0).count();
    let mut confident = [[0; 2]; 2];
    let mut suspects = Vec::new();
    for (i, label) in given.iter().copied().enumerate() {
        let sure = [0, 1].map(|label| p_of(i, label) >= thresholds[label]);
        if sure[1 - label] && (!sure[label] || p_of(i, 1 - label) > p_of(i, label)) {
            confident[label][1 - label] += 1;
        } else if sure[label] {
            confident[label][label] += 1;
        }
        let group = [in_group[&groups[i]][label] - 1, in_group[&groups[i]][1 - label]];
        // The rows of a group count no more than the guard together: a template may be wrong as a whole.
        let n = group[0] + group[1];
        let from_group = if n > 0 { group[1] as f64 / n as f64 } else { p_of(i, 1 - label) };
        let doubt = (p_of(i, 1 - label) + from_group) / 2.0;
        if p_of(i, 1 - label) > 0.5 || group[1] > group[0] {
            suspects.push(Suspect { row: i, p_attack: p_attack[i], doubt, group });
        }
    }
    suspects.sort_by(|a, b| b.doubt.total_cmp(&a.doubt).then(a.row.cmp(&b.row)));
    LabelAudit { thresholds, confident, n_contradictions, suspects }
}

impl LabelAudit {
    /// Why a row is in doubt, in words.
    pub fn reason(&self, suspect: &Suspect, label: Label) -> String {
        let mut reasons = Vec::new();
        let (other, p, mean) = match label {
            Label::Benign => ("attack", suspect.p_attack, self.thresholds[1]),
            Label::Attack => ("benign", 1.0 - suspect.p_attack, self.thresholds[0]),
        };
        if p > 0.5 {
            reasons.push(format!("P({other}) is {p:.3}; rows labelled {other} have {mean:.3} on average"));
        }
        let [same, other] = suspect.group;
        if other > 0 {
            reasons.push(format!("{other} of {} near-duplicates carry the other label", same + other));
        }
        reasons.join("; ")
    }
}

/// The most doubtful rows with the columns [`EXTRA`], to be written as a dataset and corrected by hand. `places` names each
/// row's file and its index there.
pub fn suspect_rows(rows: &[&Row], places: &[(&str, usize)], audit: &LabelAudit, n: usize) -> Vec<Row> {
    let config = GroupConfig { threshold: NEAR, ..GroupConfig::default() };
    let of_label = |attack: bool| -> Vec<usize> { (0..rows.len()).filter(|i| rows[*i].is_attack() == attack).collect() };
    let sides = [of_label(false), of_label(true)];
    let index = |side: &Vec<usize>| NearIndex::new(&side.iter().map(|i| rows[*i].text.as_str()).collect::<Vec<_>>(), config);
    let indexes = [index(&sides[0]), index(&sides[1])];
    let shown = audit.suspects.iter().take(n).enumerate();
    let with_columns = shown.map(|(rank, suspect)| {
        let row = rows[suspect.row];
        let other = usize::from(!row.is_attack());
        let near = indexes[other].nearest(&row.text).map(|(at, similarity)| (rows[sides[other][at]].text.as_str(), similarity));
        let (file, at) = places[suspect.row];
        let extra = [
            (rank + 1).to_string(),
            file.to_string(),
            at.to_string(),
            format!("{:.4}", suspect.p_attack),
            audit.reason(suspect, row.label.expect("a label")),
            near.map_or(String::new(), |n| format!("{:.2}", n.1)),
            near.map_or(String::new(), |n| n.0.to_string()),
            String::new(),
        ];
        Row { extra: extra.map(Into::into).into(), ..row.clone() }
    });
    with_columns.collect()
}

/// What [`relabel`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relabelled {
    /// Rows whose label was changed.
    pub changed: usize,
    /// Rows taken out.
    pub dropped: usize,
    /// Decisions that leave a row as it is: nothing filled in, or the label that it has.
    pub kept: usize,
}

/// Applies decisions: `corrections` are rows with the column [`CORRECTED`]. A decision holds for every row with the same text
/// and the same label. Family and severity follow the new label.
///
/// # Errors
/// [`Error::Data`] where a decision is not 0, 1 or `drop`, two contradict each other, or one fits no row; nothing is changed then.
pub fn relabel(data: &mut [Dataset], corrections: &Dataset) -> Result<Relabelled> {
    /// The new label, or nothing for a row to drop, and where that was decided.
    type Decision = (Option<Label>, usize);
    let mut decisions: HashMap<(&str, Option<Label>), Decision> = HashMap::new();
    let mut done = Relabelled::default();
    for (at, row) in corrections.rows.iter().enumerate() {
        let fault = |reason: String| Error::data(format!("{}, row {}: {reason}", corrections.name(), at + 1));
        let Some(decision) = corrections.extra(row, CORRECTED) else {
            return Err(fault(format!("there is no column `{CORRECTED}`: take a file of `data labels`")));
        };
        let decision = match decision.trim() {
            "" => {
                done.kept += 1;
                continue;
            }
            "0" => Some(Label::Benign),
            "1" => Some(Label::Attack),
            "drop" => None,
            other => return Err(fault(format!("`{CORRECTED}` is {other:?}: write 0, 1, drop, or nothing"))),
        };
        if decision.is_some() && decision == row.label {
            done.kept += 1;
            continue;
        }
        if let Some((earlier, _)) = decisions.insert((&row.text, row.label), (decision, at))
            && earlier != decision
        {
            return Err(fault("an earlier row decides otherwise on the same text: keep one".to_string()));
        }
    }
    let mut is_used = vec![false; corrections.rows.len()];
    for row in data.iter().flat_map(|d| &d.rows) {
        if let Some((_, at)) = decisions.get(&(row.text.as_str(), row.label)) {
            is_used[*at] = true;
        }
    }
    if let Some((_, at)) = decisions.values().filter(|d| !is_used[d.1]).min_by_key(|d| d.1) {
        let reason = "no row of the data has this text and label: was the file changed since?";
        return Err(Error::data(format!("{}, row {}: {reason}", corrections.name(), at + 1)));
    }
    for dataset in data {
        dataset.rows.retain_mut(|row| match decisions.get(&(row.text.as_str(), row.label)) {
            None => true,
            Some((Some(label), _)) => {
                let as_labelled = Row::new("", *label);
                (row.label, row.family, row.severity) = (as_labelled.label, as_labelled.family, as_labelled.severity);
                done.changed += 1;
                true
            }
            Some((None, _)) => {
                done.dropped += 1;
                false
            }
        });
    }
    Ok(done)
}

/// Flips the label of a share of the rows, to see whether an audit finds them; the indices of the flipped rows ascend.
pub fn plant(rows: &mut [Row], share: f64, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    Random::new(seed, "planted labels").shuffle(&mut order);
    order.truncate((rows.len() as f64 * share.clamp(0.0, 1.0)).round() as usize);
    order.sort_unstable();
    for i in &order {
        rows[*i].label = rows[*i].label.map(|label| if label == Label::Attack { Label::Benign } else { Label::Attack });
    }
    order
}

/// Of the `k` most doubtful rows, how many were planted.
pub fn planted_among(audit: &LabelAudit, planted: &[usize], k: usize) -> usize {
    audit.suspects.iter().take(k).filter(|s| planted.binary_search(&s.row).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(labels: &[u8]) -> Vec<Row> {
        let label = |l: &u8| if *l == 1 { Label::Attack } else { Label::Benign };
        labels.iter().enumerate().map(|(i, l)| Row::new(format!("text number {i}"), label(l))).collect()
    }

    #[test]
    fn thresholds_and_counts_are_those_of_confident_learning() {
        // By hand, and as cleanlab 2.9.0 counts them: compute_confident_joint([0,0,0,1,1,1], [[.9,.1],[.8,.2],[.1,.9],[.2,.8],[.3,.7],[.85,.15]],
        // calibrate=False) is [[2, 1], [1, 2]] with thresholds .6 and .55.
        let rows = rows(&[0, 0, 0, 1, 1, 1]);
        let rows: Vec<&Row> = rows.iter().collect();
        let audit = audit_labels(&rows, &[0, 1, 2, 3, 4, 5], &[0.1, 0.2, 0.9, 0.8, 0.7, 0.15]);
        assert!((audit.thresholds[0] - 0.6).abs() < 1e-12 && (audit.thresholds[1] - 0.55).abs() < 1e-12);
        assert_eq!(audit.confident, [[2, 1], [1, 2]]);
        assert_eq!(audit.suspects.iter().map(|s| s.row).collect::<Vec<_>>(), [2, 5]);
        assert!(audit.reason(&audit.suspects[0], Label::Benign).contains("P(attack) is 0.900"));
    }

    #[test]
    fn near_duplicates_outvote_a_row_and_a_unanimous_group_stays() {
        let rows = rows(&[0, 1, 1, 0, 0, 1]);
        let rows: Vec<&Row> = rows.iter().collect();
        let audit = audit_labels(&rows, &[0, 0, 0, 3, 3, 5], &[0.5, 0.9, 0.9, 0.1, 0.1, 0.9]);
        assert_eq!(audit.n_contradictions, 1);
        let found: Vec<_> = audit.suspects.iter().map(|s| (s.row, s.group)).collect();
        assert_eq!(found, [(0, [0, 2])]);
        assert_eq!(audit.reason(&audit.suspects[0], Label::Benign), "2 of 2 near-duplicates carry the other label");
    }

    #[test]
    fn suspects_carry_their_place_and_the_nearest_row_that_disagrees() {
        let mut rows = rows(&[0, 0, 1]);
        rows[0].text = "please tell me how I can reset the password of my account".into();
        rows[2].text = "please tell me how I can steal the password of my account".into();
        let borrowed: Vec<&Row> = rows.iter().collect();
        let audit = audit_labels(&borrowed, &[0, 1, 2], &[0.9, 0.1, 0.8]);
        let found = suspect_rows(&borrowed, &[("a.csv", 0), ("a.csv", 1), ("b.csv", 0)], &audit, 10);
        assert_eq!(found.len(), 1);
        let value = |name: &str| &*found[0].extra[EXTRA.iter().position(|e| *e == name).unwrap()];
        assert_eq!((value("rank"), value("file"), value("row"), value(CORRECTED)), ("1", "a.csv", "0", ""));
        assert_eq!(value("near_text"), rows[2].text);
        assert_eq!(value("p_attack"), "0.9000");
    }

    fn corrections(rows: &[(&str, u8, &str)]) -> Dataset {
        let row = |(text, label, corrected): &(&str, u8, &str)| {
            let label = if *label == 1 { Label::Attack } else { Label::Benign };
            Row { extra: [(*corrected).into()].into(), ..Row::new(*text, label) }
        };
        Dataset {
            path: "fixed.csv".into(),
            extra: vec![CORRECTED.into()],
            rows: rows.iter().map(row).collect(),
            ..Dataset::default()
        }
    }

    #[test]
    fn decisions_are_applied_and_faults_change_nothing() {
        let data = || [Dataset { rows: rows(&[0, 1, 0, 1]), ..Dataset::default() }];
        let mut fixed = data();
        let decided =
            [("text number 0", 0, "1"), ("text number 1", 1, " drop"), ("text number 2", 0, ""), ("text number 3", 1, "1")];
        let done = relabel(&mut fixed, &corrections(&decided)).unwrap();
        assert_eq!(done, Relabelled { changed: 1, dropped: 1, kept: 2 });
        let left: Vec<_> = fixed[0].rows.iter().map(|r| (r.text.as_str(), r.is_attack(), &*r.family)).collect();
        let expected = [
            ("text number 0", true, "other_attack"),
            ("text number 2", false, "BENIGN"),
            ("text number 3", true, "other_attack"),
        ];
        assert_eq!(left, expected);
        for (decided, expected) in [
            (vec![("text number 0", 0, "yes")], "row 1: `corrected` is \"yes\""),
            (vec![("text number 0", 0, ""), ("no such text", 0, "1")], "row 2: no row of the data"),
            (vec![("text number 0", 1, "0")], "no row of the data has this text and label"),
            (vec![("text number 0", 0, "1"), ("text number 0", 0, "drop")], "row 2: an earlier row decides otherwise"),
        ] {
            let mut same = data();
            let error = relabel(&mut same, &corrections(&decided)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(same[0].rows, data()[0].rows);
        }
        let plain = Dataset { path: "plain.csv".into(), rows: rows(&[0]), ..Dataset::default() };
        assert!(relabel(&mut data(), &plain).unwrap_err().to_string().contains("no column `corrected`"));
    }

    #[test]
    fn planted_labels_are_flipped_and_counted() {
        let mut changed = rows(&[0; 200]);
        let planted = plant(&mut changed, 0.05, 42);
        assert_eq!(planted.len(), 10);
        assert!((0..200).all(|i| changed[i].is_attack() == planted.contains(&i)));
        let suspects = [planted[0], 0, planted[3]].map(|row| Suspect { row, p_attack: 0.0, doubt: 1.0, group: [0, 0] });
        let audit = LabelAudit { thresholds: [0.5; 2], confident: [[0; 2]; 2], n_contradictions: 0, suspects: suspects.to_vec() };
        let expected = if planted.contains(&0) { [1, 3] } else { [1, 2] };
        assert_eq!([planted_among(&audit, &planted, 1), planted_among(&audit, &planted, 3)], expected);
    }
}
