//! What the robustness section of a gate file asks, and whether a guard keeps it.

use crate::gate_metrics::{Judged, Outcome, Rate};
use crate::robustness::{Flip, Robustness, RobustnessBounds};
use crate::stats::Count;
use crate::words::{count, percent, percent_limit};

/// A check of the section: name, slice, metric, limit, and what became of it.
pub(crate) struct RobustnessCheck {
    pub name: &'static str,
    pub slice: &'static str,
    pub metric: &'static str,
    pub limit: f64,
    pub judged: Judged,
}

impl RobustnessBounds {
    pub(crate) fn check(&self, found: &Robustness, confidence: f64) -> Vec<RobustnessCheck> {
        let rate = |bound| Rate { keep_low: true, bound, confidence };
        let worst = |bound: f64, of: fn(&Flip) -> Count, what: &str| -> Judged {
            let judged: Vec<(&Flip, Judged)> = found.flips.iter().map(|f| (f, rate(bound).judge(of(f)))).collect();
            let over: Vec<String> = judged
                .iter()
                .filter(|(_, j)| j.outcome != Outcome::Passed)
                .map(|(f, _)| format!("{} {} ({})", f.transform, count(of(f)), of(f).rate().map_or("-".into(), percent)))
                .collect();
            let n_kept = judged.len() - over.len();
            let reached = |j: &Judged| j.bound_reached.unwrap_or(1.0);
            let Some((_, worst)) = judged.into_iter().max_by(|a, b| reached(&a.1).total_cmp(&reached(&b.1))) else {
                return Judged::new(Outcome::NoRows, Count::default(), "no transformation was tried".into());
            };
            let begin = format!(
                "{n_kept} of {} transformations keep the share of {what} below {}",
                found.flips.len(),
                percent_limit(bound)
            );
            let words = if over.is_empty() { begin } else { format!("{begin}; not {}", over.join(", ")) };
            Judged { words, ..worst }
        };
        vec![
            RobustnessCheck {
                name: "attacks freed by a transformation, worst",
                slice: "attacks",
                metric: "freed_below",
                limit: self.freed_below,
                judged: worst(self.freed_below, |f| f.freed, "attacks freed"),
            },
            RobustnessCheck {
                name: "benign alarmed by a transformation, worst",
                slice: "benign",
                metric: "alarms_below",
                limit: self.alarms_below,
                judged: worst(self.alarms_below, |f| f.alarmed, "benign prompts alarmed"),
            },
            RobustnessCheck {
                name: "short benign prompts flagged",
                slice: "benign",
                metric: "short_benign_below",
                limit: self.short_benign_below,
                judged: rate(self.short_benign_below).judge(found.short_benign),
            },
        ]
    }
}
