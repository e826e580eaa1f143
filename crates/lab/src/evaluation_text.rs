//! An evaluation as Markdown, for reports and terminals.
//!
//! It must never show a rate without its counts, nor "0 %" where so few rows may hide one.

use std::fmt::Write;

use crate::evaluation::{Evaluation, Figure, Share};
use crate::stats::Count;
use crate::words::{cell, count, number, percent, percent_interval, percent_limit};

/// The evaluation as Markdown: the figures first, then recall and false positives piece by piece.
pub fn evaluation_markdown(evaluation: &Evaluation) -> String {
    let e = evaluation;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |text: String| writeln!(out, "{text}").expect("a string takes any text");
    line(format!(
        "{} rows, {} distinct, in {} groups: {} benign, {} attacks.",
        number(e.rows),
        number(e.distinct_rows),
        number(e.groups),
        number(e.false_positive_rate.count.n),
        number(e.recall.count.n),
    ));
    if e.harmful_requests.n > 0 {
        line(format!("Harmful requests count in no figure; {} are flagged.", count(e.harmful_requests)));
    }
    if e.unlabelled > 0 {
        line(format!("{} rows have no label and count in no figure.", number(e.unlabelled)));
    }
    line("\n| | benign | attack |\n|---|---:|---:|".to_string());
    line(format!("| flagged | {} | {} |", number(e.false_positives), number(e.true_positives)));
    line(format!("| not flagged | {} | {} |", number(e.true_negatives), number(e.false_negatives)));
    line(
        "\n| at the guard's own threshold | counts | value | 95 % interval | 95 % bound |\n|---|---:|---:|---:|---:|".to_string(),
    );
    line(share_line("false positive rate", &e.false_positive_rate, "at most"));
    line(share_line("recall", &e.recall, "at least"));
    line(format!("| recall, mean over {} sources | | {} | |", e.recall_by_source.len(), figure_cells(&e.mean_recall, true)));
    line(share_line("precision", &e.precision, "at least"));
    line(format!("| F1 | | {} | |", figure_cells(&e.f1, false)));
    if let Some(reference) = &e.reference_false_positive_rate {
        line(share_line("false positive rate, reference", reference, "at most"));
    }
    line("\n| precision where so many prompts are attacks | value | at least 95 % sure |\n|---|---:|---:|".to_string());
    for at in &e.precision_at_prevalence {
        let value = at.value.map_or("–".to_string(), percent);
        line(format!("| {} | {value} | {} |", percent_limit(at.prevalence), percent_interval(at.interval)));
    }
    line("\n| over all thresholds | value | 95 % interval |\n|---|---:|---:|".to_string());
    line(format!("| AUC | {} |", figure_cells(&e.auc, false)));
    for at in &e.recall_at_fpr {
        let name = format!("mean recall over sources at {} FPR", percent_limit(at.fpr));
        line(format!("| {name} | {} |", figure_cells(&at.mean, true)));
    }
    line(format!("| expected calibration error | {} |", figure_cells(&e.expected_calibration_error, false)));
    line(format!("| Brier score | {} |", figure_cells(&e.brier_score, false)));
    line(String::new());
    for at in &e.recall_at_fpr {
        let set = if at.from_reference { "the reference's" } else { "these rows'" };
        if let Some(threshold) = at.threshold {
            let (fpr, benign) = (percent_limit(at.fpr), count(at.benign));
            line(format!("- Threshold for {fpr} FPR: {threshold}, from {set} benign rows; it flags {benign}."));
        }
    }
    if !e.recall_by_source.is_empty() {
        let shown: Vec<_> = e.recall_at_fpr.iter().filter(|at| at.threshold.is_some()).collect();
        let head: String = shown.iter().map(|at| format!(" at {} FPR | 95 % interval |", percent_limit(at.fpr))).collect();
        line(format!("\n### Recall by source\n\n| source | own threshold | 95 % interval |{head}"));
        line(format!("|---|---:|---:|{}", "---:|---:|".repeat(shown.len())));
        for (source, share) in &e.recall_by_source {
            let more: String = shown
                .iter()
                .map(|at| {
                    let figure = &at.by_source[source];
                    format!(" {} | {} |", counted(figure.count), percent_interval(figure.interval))
                })
                .collect();
            line(format!("| {} | {} | {} |{more}", cell(source), counted(share.count), percent_interval(share.interval)));
        }
    }
    for (name, shares) in
        [("category", &e.false_positive_rate_by_category), ("source", &e.false_positive_rate_by_source)].into_iter()
    {
        if shares.is_empty() {
            continue;
        }
        line(format!("\n### False positives by {name}\n\n| {name} | counts | rate | 95 % interval | 95 % bound |"));
        line("|---|---:|---:|---:|---:|".to_string());
        let mut shares: Vec<_> = shares.iter().collect();
        shares.sort_by_key(|(name, share)| (std::cmp::Reverse(share.count.hits), *name));
        shares.into_iter().for_each(|(name, share)| line(share_line(name, share, "at most")));
    }
    line(format!(
        "\nIntervals of plain proportions are Wilson's; the others are percentiles of {} resamples of whole groups (seed {}). \
         Bounds are one-sided Clopper-Pearson.",
        e.resamples, e.seed
    ));
    out
}

fn share_line(name: &str, share: &Share, side: &str) -> String {
    let bound = share.bound.map_or_else(|| "–".to_string(), |b| format!("{side} {}", percent(b)));
    // No rate for no hits: so few rows may hide it, and the bound says how large it could be.
    let rate = share.rate.map_or_else(|| "–".to_string(), |r| if share.count.hits == 0 { "none".into() } else { percent(r) });
    format!("| {} | {} | {rate} | {} | {bound} |", cell(name), count(share.count), percent_interval(share.interval))
}

fn counted(hits: Count) -> String {
    hits.rate().map_or_else(|| count(hits), |rate| format!("{} ({})", percent(rate), count(hits)))
}

fn figure_cells(figure: &Figure, as_percent: bool) -> String {
    let show = |v: f64| if as_percent { percent(v) } else { format!("{v:.4}") };
    let interval = figure.interval.map_or_else(|| "–".to_string(), |i| format!("{} to {}", show(i.low), show(i.high)));
    match (figure.value, &figure.reason) {
        (Some(value), _) => format!("{} | {interval}", show(value)),
        (None, reason) => format!("none: {} | –", reason.as_deref().unwrap_or("the rows cannot carry it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::tests::{reference, small};

    #[test]
    fn every_figure_is_shown_with_its_counts() {
        let text = evaluation_markdown(&small().evaluate(Some(&reference())));
        // Wilson and Clopper-Pearson of statsmodels.stats.proportion.proportion_confint and scipy.stats.beta.ppf.
        for line in [
            "18 rows, 17 distinct, in 15 groups: 7 benign, 8 attacks.",
            "Harmful requests count in no figure; 1 of 2 are flagged.",
            "1 rows have no label and count in no figure.",
            "| flagged | 2 | 3 |",
            "| not flagged | 5 | 5 |",
            "| false positive rate | 2 of 7 | 28.57 % | 8.22 % to 64.11 % | at most 65.87 % |",
            "| recall | 3 of 8 | 37.50 % | 13.68 % to 69.43 % | at least 11.11 % |",
            "| false positive rate, reference | 166 of 1,000 | 16.60 % | 14.42 % to 19.03 % | at most 18.66 % |",
            "| 1 % | 2.23 % | 0.45 % to 5.05 % |",
            "| 0.01 % | 0.02 % | <0.01 % to 0.05 % |",
            "- Threshold for 0.1 % FPR: 0.9200000000000002, from the reference's benign rows; it flags 0 of 1,000.",
            "| source | own threshold | 95 % interval | at 1 % FPR | 95 % interval | at 0.5 % FPR | 95 % interval | at 0.1 % FPR | 95 % interval |",
            "| edge\\|case | 1 of 3 | 33.33 % | 6.15 % to 79.23 % | at most 86.46 % |",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(text.contains("\n| s1 | 66.67 % (2 of 3) | 20.77 % to 93.85 % | 66.67 % (2 of 3) | "), "{text}");
        assert!(text.contains("\n| mean recall over sources at 0.1 % FPR | 10.00 % | "), "{text}");
        let tables: Vec<&str> = text.split("\n\n").filter(|part| part.contains("|---")).collect();
        for table in tables {
            // A bar within a cell is escaped and ends none.
            let n_bars = |line: &str| line.replace("\\|", "").matches('|').count();
            let mut lines = table.lines().filter(|l| l.starts_with('|')).map(n_bars);
            let first = lines.next().unwrap();
            assert!(lines.all(|n| n == first), "{table}");
        }
    }

    #[test]
    fn no_hits_are_no_rate_of_zero_and_a_missing_figure_says_why() {
        let text = evaluation_markdown(&reference().evaluate(None));
        assert!(text.contains("| traffic | 166 of 1,000 | 16.60 % | 14.42 % to 19.03 % | at most 18.66 % |"), "{text}");
        let text = evaluation_markdown(&small().evaluate(None));
        assert!(
            text.contains("at 1 % FPR | none: 7 benign rows are too few to see an FPR of 1 %: at least 100 are needed | – |")
        );
        assert!(!text.contains("Threshold for"));
        let share = Share { count: Count { hits: 0, n: 12 }, rate: Some(0.0), interval: None, bound: Some(0.2209) };
        assert_eq!(share_line("x", &share, "at most"), "| x | 0 of 12 | none | – | at most 22.09 % |");
    }
}
