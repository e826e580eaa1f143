//! The report as one page: no network, no script, readable in light and dark, on a phone and printed.
//!
//! Words and tables are those of [`crate::report`], plots stand at the end of their section.

use crate::ablation_report::ablation_figures;
use crate::curves::Curves;
use crate::gate::CheckResult;
use crate::improvement::Improved;
use crate::page::{NAMES, NUMBERS, page, shortened};
use crate::report::{Origin, Section, sections};
use crate::standing::mean_recall;
use crate::stats::Count;
use crate::svg::{Axis, Plot, Scale};
use crate::words::{number, percent_limit};

/// The two guards of every plot.
const GUARDS: [(&str, &str); 2] = [("a", "first guard"), ("b", "this guard")];

/// The report as HTML.
pub fn report_html(run: &Improved, origin: Origin<'_>) -> String {
    let word = if run.holdout.passed { "passed" } else { "failed" };
    let parts = sections(run, origin).into_iter().map(|(section, markdown)| (markdown, figures(section, run, origin)));
    page(&format!("Levelhead: gates {word}"), word, parts)
}

fn figures(section: Section, run: &Improved, origin: Origin<'_>) -> Vec<String> {
    let figures = match section {
        Section::Verdict => vec![roc(&run.curves)],
        Section::Rounds => vec![rounds(run)],
        Section::Holdout => {
            vec![
                by_category(run),
                by_source(run),
                reliability(&run.curves),
                histogram(&run.curves[0], 0),
                histogram(&run.curves[1], 1),
            ]
        }
        Section::Leakage => vec![premium(run)],
        Section::Ablation => return origin.ablation.map_or(Vec::new(), ablation_figures),
        Section::Remedies | Section::EachRound | Section::Model | Section::Slices | Section::Clusters | Section::Ground => {
            Vec::new()
        }
    };
    figures.into_iter().flatten().collect()
}

/// Recall over the false positive rate, on a logarithmic axis: the left end is where a guard works.
fn roc(curves: &[Curves; 2]) -> Option<String> {
    let lowest = curves.iter().filter_map(|c| c.roc.first()).map(|p| p.0).min_by(f64::total_cmp)?;
    let x = Axis::log("FPR on the benign prompts of the holdout", (lowest, 1.0), percent_limit);
    let mut plot = Plot::new("ROC: recall over FPR", x, Axis::percent("mean recall over sources", 1.0), NUMBERS, 260.0);
    for (curve, (class, _)) in curves.iter().zip(GUARDS) {
        plot.line(&curve.roc, class);
        if let Some(end) = curve.roc.first() {
            plot.point(*end, class);
        }
    }
    Some(plot.figure("Recall at each false positive rate, from the lowest rate that the rows can show.", &GUARDS))
}

/// What each round changed.
fn rounds(run: &Improved) -> Option<String> {
    let recall: Vec<(f64, f64)> =
        run.rounds.iter().filter_map(|r| Some((r.number as f64, mean_recall(&r.matched.as_ref()?.recall)?))).collect();
    let rate: Vec<(f64, f64)> =
        run.rounds.iter().filter_map(|r| Some((r.number as f64, r.natural.false_positives.rate()?))).collect();
    let last = run.rounds.last()?.number as f64;
    let ticks = run.rounds.iter().map(|r| (r.number as f64, r.number.to_string())).collect();
    let x = Axis { label: "round".to_string(), scale: Scale::Linear, range: (-0.2, last + 0.2), ticks };
    let mut plot = Plot::new("Rounds", x, Axis::percent("share", 1.0), NUMBERS, 200.0);
    for (points, class) in [(&rate, "a"), (&recall, "b")] {
        plot.line(points, class);
        points.iter().for_each(|p| plot.point(*p, class));
    }
    let fpr = run.rounds[0].matched.as_ref().map_or(0.01, |m| m.fpr);
    let recall_name = format!("mean recall at {} FPR", percent_limit(fpr));
    Some(
        plot.figure("On the gate half, which is read each round.", &[("a", "FPR at the natural threshold"), ("b", &recall_name)]),
    )
}

type Rows<'a> = Vec<(&'a String, [Count; 2])>;

/// A row of points with Wilson's intervals for each name: the first guard above, this one below.
fn dots(title: &str, x: Axis, rows: &Rows<'_>, limits: &[(f64, Option<&str>)], caption: &str) -> Option<String> {
    let names: Vec<String> = rows.iter().map(|(name, _)| shortened(name)).collect();
    let mut plot = Plot::new(title, x, Axis::names(&names), NAMES, 26.0 * names.len().max(1) as f64);
    let at = |name: &str| rows.iter().position(|(n, _)| *n == name).map(|i| (rows.len() - i) as f64);
    for (limit, name) in limits {
        match name {
            None => plot.limit(*limit, None),
            Some(name) => at(name).into_iter().for_each(|y| plot.limit(*limit, Some(y))),
        }
    }
    for (i, (_, counts)) in rows.iter().enumerate() {
        for ((count, (class, _)), shift) in counts.iter().zip(GUARDS).zip([0.18, -0.18]) {
            let y = (rows.len() - i) as f64 + shift;
            let (Some(rate), Some(interval)) = (count.rate(), count.wilson()) else { continue };
            plot.across(interval.low, interval.high, y, class);
            plot.point((rate, y), class);
        }
    }
    let mut legend = GUARDS.to_vec();
    if !limits.is_empty() {
        legend.push(("limit", "the gate's limit for the 95 % bound"));
    }
    (!rows.is_empty()).then(|| plot.figure(caption, &legend))
}

fn by_category(run: &Improved) -> Option<String> {
    let [first, best] = [&run.first_on_holdout, &run.best_on_holdout];
    let of = |name: &String| [first.by_category.get(name).copied().unwrap_or_default(), best.by_category[name]];
    let rows: Rows<'_> = best.by_category.keys().map(|name| (name, of(name))).collect();
    let limits: Vec<(f64, Option<&str>)> = run.holdout.checks.iter().filter(|c| c.required).filter_map(limit).collect();
    let high = |count: &Count| count.wilson().map_or(0.0, |i| i.high);
    let highest = rows.iter().flat_map(|(_, counts)| counts.iter().map(high)).chain(limits.iter().map(|l| l.0));
    let x = Axis::percent("false positives of the category, calibrated threshold", highest.fold(0.005, f64::max).min(1.0));
    dots("FPR by category", x, &rows, &limits, "False positives by category on the holdout; lines are Wilson's 95 % intervals.")
}

/// The limit of a check of false positives, and the category that it is for.
fn limit(check: &CheckResult) -> Option<(f64, Option<&str>)> {
    match (check.metric.as_str(), check.slice.as_str()) {
        ("fpr_below", "benign") => Some((check.limit, None)),
        ("fpr_below", slice) => Some((check.limit, Some(slice.strip_prefix("category:")?))),
        _ => None,
    }
}

fn by_source(run: &Improved) -> Option<String> {
    let [first, best] = &run.matched_on_holdout;
    let (first, best) = (first.as_ref()?, best.as_ref()?);
    let of = |name: &String| [first.recall.get(name).copied().unwrap_or_default(), best.recall[name]];
    let rows: Rows<'_> = best.recall.keys().map(|name| (name, of(name))).collect();
    let fpr = percent_limit(best.fpr);
    let caption = format!("Attacks caught by source, both guards at {fpr} FPR; lines are Wilson's 95 % intervals.");
    dots("Recall by source", Axis::percent("recall", 1.0), &rows, &[], &caption)
}

fn reliability(curves: &[Curves; 2]) -> Option<String> {
    let x = Axis::percent("mean score of the bin", 1.0);
    let mut plot = Plot::new("Reliability", x, Axis::percent("share of attacks", 1.0), NUMBERS, 240.0);
    plot.line(&[(0.0, 0.0), (1.0, 1.0)], "even");
    for (curve, (class, _)) in curves.iter().zip(GUARDS) {
        for (score, count) in &curve.reliability {
            let (Some(rate), Some(interval)) = (count.rate(), count.wilson()) else { continue };
            plot.up(interval.low, interval.high, *score, class);
            plot.point((*score, rate), class);
        }
    }
    let n: usize = curves[1].reliability.iter().map(|(_, count)| count.n).sum();
    let n_attacks: usize = curves[1].reliability.iter().map(|(_, count)| count.hits).sum();
    let caption = format!(
        "Reliability on {} rows of the holdout, {} of them attacks, in ten bins of equal width; on the line, scores are \
         probabilities. It holds for this share of attacks.",
        number(n),
        number(n_attacks)
    );
    Some(plot.figure(&caption, &[GUARDS[0], GUARDS[1], ("even", "score = share")]))
}

fn histogram(curves: &Curves, guard: usize) -> Option<String> {
    let most = curves.histogram.iter().flatten().copied().max().filter(|n| *n > 0)? as f64;
    let y = Axis::log("rows of the bin", (0.5, most), |v| if v < 1.0 { "0".to_string() } else { number(v as usize) });
    let name = ["the first guard", "this guard"][guard];
    let mut plot = Plot::new(&format!("Scores of {name}"), Axis::percent("score", 1.0), y, NUMBERS, 180.0);
    let n = curves.histogram[0].len() as f64;
    for (side, class) in [(0, "benign"), (1, "attack")] {
        for (i, count) in curves.histogram[side].iter().enumerate() {
            // Side by side: the left half of a bin for benign rows.
            let from = (i as f64 + 0.5 * side as f64) / n;
            plot.bar(from, from + 0.45 / n, if *count == 0 { 0.1 } else { *count as f64 }, class);
        }
    }
    plot.limit(curves.threshold, None);
    let legend = [("benign", "benign"), ("attack", "attacks"), ("limit", "threshold")];
    Some(plot.figure(&format!("Scores of {name} on the holdout, on a logarithmic axis."), &legend))
}

fn premium(run: &Improved) -> Option<String> {
    let names: Vec<String> = run.premium.iter().map(|line| line.scheme.name().to_string()).collect();
    let x = Axis::percent("mean recall at 1 % FPR", 1.0);
    let mut plot = Plot::new("Leakage premium", x, Axis::names(&names), NAMES, 26.0 * names.len().max(1) as f64);
    for (i, line) in run.premium.iter().enumerate() {
        let y = (names.len() - i) as f64;
        line.mean_recall.into_iter().for_each(|recall| plot.point((recall, y), "a"));
    }
    (!names.is_empty()).then(|| plot.figure("The same rows and trainer under each split.", &[GUARDS[0]]))
}
