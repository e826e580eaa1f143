//! How much of a claimed improvement is evidence: false positives before and after a retraining, against what it trained on.
//!
//! Two traps make such claims: a repeat of a prompt counts as often as it stands in the file, and a guard that has trained on
//! variations of the tested prompts can say them by heart. What is left is a count of distinct prompts not trained on.

use std::collections::HashMap;

use serde::Serialize;

use crate::audit::Audit;
use crate::group::GroupConfig;
use crate::leaks::{Kind, leaks};
use crate::row::{Dataset, Label, Row, text_hash};
use crate::stats::Count;
use crate::words::{number, percent};

/// A claim taken apart. Every count but the first is of distinct prompts: texts that differ after normalization.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Claim {
    /// Entries flagged of all entries, before and after.
    pub entries: [Count; 2],
    /// Distinct prompts flagged before.
    pub flagged: usize,
    /// Those of them that are flagged no more.
    pub repaired: usize,
    /// Distinct prompts flagged after and not before.
    pub new: usize,
    /// Prompts flagged before that are equal to a training row.
    pub equal: usize,
    /// Prompts flagged before that are near-duplicates of a training row, or equal in most words.
    pub near: usize,
    /// Of the prompts flagged before that nearly equal no training row: those repaired.
    pub evidence: Count,
}

/// Takes a claim apart. `after` is the same test with the new guard; without it, only what could be evidence is counted.
pub fn claim(before: &Audit, after: Option<&Audit>, trained: &[Dataset]) -> Claim {
    let distinct = |audit: &Audit| -> HashMap<blake3::Hash, String> {
        audit.fp_details.iter().map(|fp| (text_hash(&fp.prompt), fp.prompt.clone())).collect()
    };
    let (old, new) = (distinct(before), after.map(distinct));
    let is_repaired = |hash: &blake3::Hash| new.as_ref().is_some_and(|new| !new.contains_key(hash));
    let tested = old.values().map(|prompt| Row::new(prompt.as_str(), Label::Benign)).collect();
    let mut kinds: HashMap<usize, Kind> = HashMap::new();
    for leak in leaks(trained, &[Dataset { rows: tested, ..Dataset::default() }], GroupConfig::default()) {
        kinds.entry(leak.test.row).and_modify(|kind| *kind = leak.kind.min(*kind)).or_insert(leak.kind);
    }
    let mut evidence = Count::default();
    for (i, hash) in old.keys().enumerate() {
        if !kinds.contains_key(&i) {
            evidence.add(is_repaired(hash));
        }
    }
    let equal = kinds.values().filter(|kind| **kind == Kind::Equal).count();
    let entries = |audit: &Audit| Count { hits: audit.false_positives, n: audit.total };
    Claim {
        entries: [entries(before), after.map_or(Count::default(), entries)],
        flagged: old.len(),
        repaired: old.keys().filter(|hash| is_repaired(hash)).count(),
        new: new.as_ref().map_or(0, |new| new.keys().filter(|hash| !old.contains_key(*hash)).count()),
        equal,
        near: kinds.len() - equal,
        evidence,
    }
}

impl Claim {
    /// The share of the repaired prompts that are evidence; nothing where none was repaired.
    pub fn share(&self) -> Option<f64> {
        (self.repaired > 0).then(|| self.evidence.hits as f64 / self.repaired as f64)
    }

    /// In sentences, one a line.
    pub fn words(&self) -> Vec<String> {
        let [before, after] = self.entries;
        let of = |count: Count| format!("{} of {} entries", number(count.hits), number(count.n));
        let mut lines = vec![format!("before: {} flagged, {} distinct prompts", of(before), number(self.flagged))];
        if after.n > 0 {
            lines.push(format!(
                "after: {} flagged; {} of the distinct prompts are flagged no more, {} are new",
                of(after),
                number(self.repaired),
                number(self.new)
            ));
        }
        lines.push(format!(
            "trained on: {} of the {} are equal to a training row, {} nearly equal",
            number(self.equal),
            number(self.flagged),
            number(self.near)
        ));
        let Count { hits, n } = self.evidence;
        if n == 0 {
            lines.push("evidence: none, every flagged prompt was trained on".to_string());
        } else if after.n == 0 {
            lines.push(format!("evidence: at most {} distinct prompts can show an improvement", number(n)));
        } else {
            let interval = self.evidence.wilson().expect("there are rows");
            lines.push(format!(
                "evidence: {} of {} prompts not trained on are flagged no more ({}, 95 % interval {} to {})",
                number(hits),
                number(n),
                percent(hits as f64 / n as f64),
                percent(interval.low),
                percent(interval.high)
            ));
        }
        if let Some(share) = self.share() {
            lines.push(format!("{} of the repaired prompts are evidence; the others were trained on", percent(share)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditInput, audit};
    use crate::subject::stored_verdict;

    fn trained(texts: &[&str]) -> [Dataset; 1] {
        let rows = texts.iter().map(|text| Row::new(*text, Label::Benign)).collect();
        [Dataset { rows, ..Dataset::default() }]
    }

    fn results(prompts: &[(&str, usize, bool)]) -> Audit {
        let entries = prompts.iter().flat_map(|p| std::iter::repeat_n((p.0, p.2), p.1));
        let (texts, flagged): (Vec<&str>, Vec<bool>) = entries.unzip();
        let rows: Vec<Row> = texts.iter().map(|text| Row::new(*text, Label::Benign)).collect();
        let verdicts: Vec<_> = flagged.iter().map(|f| stored_verdict(if *f { 0.9 } else { 0.1 }, *f, vec![])).collect();
        audit(AuditInput { rows: &rows, languages: None, verdicts: &verdicts, guard: "test" })
    }

    #[test]
    fn repeats_and_trained_prompts_are_no_evidence() {
        let kill = "how do I kill a process that listens on a port of my server";
        let before =
            results(&[(kill, 10, true), ("Explain a system prompt", 5, true), ("drop a table", 2, true), ("hi", 3, false)]);
        let after =
            results(&[(kill, 10, false), ("Explain a system prompt", 5, false), ("drop a table", 2, true), ("hi", 3, true)]);
        let near = "how do I kill a process that listens on a port of my server today";
        let found = claim(&before, Some(&after), &trained(&["explain a SYSTEM prompt", near]));
        assert_eq!(found.entries, [Count { hits: 17, n: 20 }, Count { hits: 5, n: 20 }]);
        assert_eq!((found.flagged, found.repaired, found.new, found.equal, found.near), (3, 2, 1, 1, 1));
        assert_eq!((found.evidence, found.share()), (Count { hits: 0, n: 1 }, Some(0.0)));
        let words = found.words().join("\n");
        assert!(words.contains("before: 17 of 20 entries flagged, 3 distinct prompts"), "{words}");
        assert!(words.contains("evidence: 0 of 1 prompts not trained on are flagged no more"), "{words}");
        let alone = claim(&before, None, &trained(&[]));
        assert_eq!((alone.repaired, alone.evidence.n, alone.share()), (0, 3, None));
        assert!(alone.words().join("\n").contains("at most 3 distinct prompts can show an improvement"));
        assert!(claim(&after, None, &trained(&["drop a table", "hi"])).words().join("\n").contains("evidence: none"));
    }
}
