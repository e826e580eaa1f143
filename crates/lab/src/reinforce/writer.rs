//! Rows with their lineage, out of proposals that pass the proof; what does not is kept with the reason.

use std::sync::Arc;

use levelhead::BENIGN;

use super::{Lineage, Reinforced, Rejected};
use crate::choose::key;
use crate::false_positive::Candidate;
use crate::proof::Prover;
use crate::row::{Label, Row};
use crate::strategy::{Proposal, Strategy};

/// Takes rows that may be taken.
pub(super) struct Writer<'a> {
    pub out: Reinforced,
    pub prover: Prover<'a>,
    pub seed: u64,
}

impl Writer<'_> {
    /// Takes proposals until there are enough; gives how many false positives' rows that came to. A twin counts as one.
    pub fn take(&mut self, fp: &Candidate, strategy: Strategy, proposals: Vec<Proposal>, wanted: usize) -> usize {
        let mut n_taken = 0;
        for proposal in proposals {
            if n_taken == wanted {
                break;
            }
            self.out.plan.strategies.entry(strategy.name().to_string()).or_default()[0] += proposal.n_rows();
            if let Some(reason) = self.prover.fault(&proposal, fp) {
                self.reject(proposal.text, strategy.name(), Some(fp.prompt.clone()), reason);
                continue;
            }
            n_taken += 1;
            self.push(fp, proposal, strategy);
        }
        n_taken
    }

    fn push(&mut self, fp: &Candidate, proposal: Proposal, strategy: Strategy) {
        let group = blake3::hash(key(&fp.prompt).as_bytes()).to_hex()[..16].to_string();
        let notes: Arc<str> = format!("{} of a false positive in {}", strategy.name(), fp.category).into();
        let row = |text: String, label| Row {
            category: handoff_category(&fp.category).into(),
            confidence: 0.95,
            source: "reinforced".into(),
            notes: Arc::clone(&notes),
            ..Row::new(text, label)
        };
        let benign = row(proposal.text, Label::Benign);
        self.record(benign, Some(fp.prompt.clone()), strategy.name(), group.clone());
        if let Some((text, family)) = proposal.attack {
            let attack = Row { family, severity: "high".into(), ..row(text, Label::Attack) };
            self.record(attack, Some(fp.prompt.clone()), strategy.name(), group);
        }
    }

    pub fn hard_negative(&mut self, row: &Row) {
        self.out.plan.strategies.entry("hard_negative".to_string()).or_default()[0] += 1;
        if let Some(reason) = self.prover.fault_of_written(&row.text) {
            return self.reject(row.text.clone(), "hard_negative", None, reason);
        }
        let group = blake3::hash(key(&row.text).as_bytes()).to_hex()[..16].to_string();
        let mut row = row.clone();
        row.category = "benign_technical_help".into();
        row.source = "reinforced".into();
        row.extra = Box::default();
        self.record(row, None, "hard_negative", group);
    }

    fn record(&mut self, mut row: Row, false_positive: Option<String>, strategy: &str, group: String) {
        if !row.is_attack() {
            row.family = Arc::from(BENIGN);
            row.severity = "info".into();
        }
        self.out.plan.strategies.entry(strategy.to_string()).or_default()[1] += 1;
        let lineage = Lineage { row: self.out.rows.len(), false_positive, strategy: strategy.into(), seed: self.seed, group };
        self.out.rows.push(row);
        self.out.lineage.push(lineage);
    }

    fn reject(&mut self, text: String, strategy: &str, false_positive: Option<String>, reason: &str) {
        *self.out.plan.left_out.entry(reason.to_string()).or_default() += 1;
        self.out.rejected.push(Rejected { text, strategy: strategy.into(), false_positive, reason: reason.into() });
    }
}

/// The names that the seed's file gives to its categories.
fn handoff_category(category: &str) -> &'static str {
    match category {
        "programming" | "technical_docs" => "benign_technical_help",
        "conversational" => "benign_casual_conversation",
        "education" | "professional" | "daily_tasks" | "creative" | "general_knowledge" => "benign_task_request",
        _ => "benign_other",
    }
}
