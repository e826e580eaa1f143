//! An ablation in words, tables and plots.

use std::fmt::Write;

use crate::ablation::{Ablation, Arm, Factor, Mean, Trial};
use crate::page::{NAMES, NUMBERS, page};
use crate::svg::{Axis, Plot, Scale};
use crate::words::{number, percent_limit};

/// What of a trial is shown.
type Figure = fn(&Trial) -> Option<f64>;

const RECALL: Figure = |trial| Some(trial.mean_recall);
const OVER_DEFENSE: Figure = |trial| trial.mean_over_defense();

/// The ablation as Markdown, as a document of its own.
pub fn ablation_markdown(ablation: &Ablation, command: &str) -> String {
    format!("{}\nCommand: `{command}`\n", ablation_section(ablation).replacen("## ", "# ", 1))
}

/// The ablation as a page of its own.
pub fn ablation_html(ablation: &Ablation, command: &str) -> String {
    let section = (ablation_markdown(ablation, command), ablation_figures(ablation));
    page("Levelhead: what reinforcement buys", "", [section].into_iter())
}

/// The ablation as a section of a report.
pub fn ablation_section(ablation: &Ablation) -> String {
    let fpr = percent_limit(ablation.matched_fpr);
    let n_trials = ablation.arms.iter().map(|arm| arm.trials.len()).max().unwrap_or(0);
    let mut out = "## What each part of reinforcement buys\n\n".to_string();
    let _ = writeln!(
        out,
        "One thing is changed at a time. Recall is the mean over attack sources at {fpr} FPR on {} benign prompts of the gate half; \
         over-defense is the mean share of harmless rows flagged there, over sources of benign rows beside attacks and the hard \
         negatives. Means of {n_trials} seeds with Student's 95 % interval; differences are taken seed by seed, and one whose \
         interval holds 0 is nothing that can be told.\n",
        number(ablation.n_benign)
    );
    let Some(base) = ablation.arms.iter().find(|arm| arm.factor.is_none()) else { return out };
    table(&mut out, "Without reinforcement", &[base], None);
    for factor in Factor::ALL {
        let arms = of(ablation, factor);
        if arms.is_empty() {
            continue;
        }
        // A strategy that is left out is compared with the recipe that has it, everything else with no reinforcement.
        let reference = if factor == Factor::AllBut { arms[0] } else { base };
        table(&mut out, factor.title(), &arms, Some(reference));
    }
    out
}

fn of(ablation: &Ablation, factor: Factor) -> Vec<&Arm> {
    ablation.arms.iter().filter(|arm| arm.factor == Some(factor)).collect()
}

fn table(out: &mut String, title: &str, arms: &[&Arm], reference: Option<&Arm>) {
    let against = reference.map_or("", |arm| arm.setting.as_str());
    let _ = writeln!(out, "### {title}\n");
    let _ = writeln!(out, "| setting | rows | recall | against {against} | over-defense | against {against} |");
    let _ = writeln!(out, "|---|---:|---:|---:|---:|---:|");
    for arm in arms {
        let rows: Vec<usize> = arm.trials.iter().map(|trial| trial.n_rows).collect();
        let (least, most) = (rows.iter().min().copied().unwrap_or(0), rows.iter().max().copied().unwrap_or(0));
        let rows = if least == most { number(most) } else { format!("{} to {}", number(least), number(most)) };
        let difference = |figure: Figure| {
            let other = reference.filter(|other| !std::ptr::eq(*other, *arm))?;
            arm.difference(other, figure).map(signed)
        };
        let cell = |text: Option<String>| text.unwrap_or("-".to_string());
        let _ = writeln!(
            out,
            "| {} | {rows} | {} | {} | {} | {} |",
            arm.setting,
            cell(arm.mean(RECALL).map(share)),
            cell(difference(RECALL)),
            cell(arm.mean(OVER_DEFENSE).map(share)),
            cell(difference(OVER_DEFENSE)),
        );
    }
    out.push('\n');
}

fn share(mean: Mean) -> String {
    let half = mean.interval.map_or(String::new(), |i| format!(" ± {:.3}", mean.mean - i.low));
    format!("{:.3}{half}", mean.mean)
}

/// A difference with its interval; bold where that leaves out 0.
fn signed(mean: Mean) -> String {
    let Some(interval) = mean.interval else { return format!("{:+.3}", mean.mean) };
    let text = format!("{:+.3} ({:+.3} to {:+.3})", mean.mean, interval.low, interval.high);
    if interval.low > 0.0 || interval.high < 0.0 { format!("**{text}**") } else { text }
}

/// A plot for each factor.
pub(crate) fn ablation_figures(ablation: &Ablation) -> Vec<String> {
    let base = ablation.arms.iter().find(|arm| arm.factor.is_none());
    let figure = |factor: Factor| {
        let arms = of(ablation, factor);
        match (arms.is_empty(), factor) {
            (true, _) => None,
            (_, Factor::Alone | Factor::AllBut) => Some(dots(factor, &arms, base)),
            _ => Some(curve(factor, &arms, base)),
        }
    };
    Factor::ALL.into_iter().filter_map(figure).collect()
}

const LEGEND: [(&str, &str); 2] = [("a", "over-defense"), ("b", "mean recall")];

/// Settings that are numbers, in even steps, and what they come to.
fn curve(factor: Factor, arms: &[&Arm], base: Option<&Arm>) -> String {
    // Nothing at all is a setting of these factors too.
    let is_from_nothing = matches!(factor, Factor::HardNegatives | Factor::Amount);
    let arms: Vec<&Arm> = base.filter(|_| is_from_nothing).into_iter().chain(arms.iter().copied()).collect();
    let name = |arm: &&Arm| if arm.factor.is_none() { "0".to_string() } else { arm.setting.clone() };
    let ticks = arms.iter().enumerate().map(|(i, arm)| (i as f64, name(arm))).collect();
    let label = if factor == Factor::HardNegatives {
        "hard negatives"
    } else if factor == Factor::Amount {
        "rows"
    } else {
        "variations"
    };
    let x = Axis { label: label.to_string(), scale: Scale::Linear, range: (-0.3, arms.len() as f64 - 0.7), ticks };
    let mut plot = Plot::new(factor.title(), x, Axis::percent("share", 1.0), NUMBERS, 200.0);
    for (figure, (class, _)) in [OVER_DEFENSE, RECALL].into_iter().zip(LEGEND) {
        let means: Vec<(f64, Mean)> =
            arms.iter().enumerate().filter_map(|(i, arm)| Some((i as f64, arm.mean(figure)?))).collect();
        plot.line(&means.iter().map(|(x, mean)| (*x, mean.mean)).collect::<Vec<_>>(), class);
        for (x, mean) in means {
            plot.point((x, mean.mean), class);
            mean.interval.into_iter().for_each(|i| plot.up(i.low.max(0.0), i.high.min(1.0), x, class));
        }
    }
    plot.figure(&format!("{}.", factor.title()), &LEGEND)
}

/// Settings that are names, and what they come to.
fn dots(factor: Factor, arms: &[&Arm], base: Option<&Arm>) -> String {
    let arms: Vec<&Arm> = base.into_iter().chain(arms.iter().copied()).collect();
    let prefix = |arm: &&Arm| match (factor, arm.factor, arm.setting.as_str()) {
        (Factor::AllBut, Some(_), name) if !name.starts_with('(') => format!("all but {name}"),
        (_, _, name) => name.to_string(),
    };
    let names: Vec<String> = arms.iter().map(prefix).collect();
    let mut plot = Plot::new(factor.title(), Axis::percent("share", 1.0), Axis::names(&names), NAMES, 26.0 * names.len() as f64);
    for (i, arm) in arms.iter().enumerate() {
        for (figure, (class, _)) in [OVER_DEFENSE, RECALL].into_iter().zip(LEGEND) {
            let Some(mean) = arm.mean(figure) else { continue };
            let y = (arms.len() - i) as f64;
            mean.interval.into_iter().for_each(|i| plot.across(i.low.max(0.0), i.high.min(1.0), y, class));
            plot.point((mean.mean, y), class);
        }
    }
    plot.figure(&format!("{}.", factor.title()), &LEGEND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Count;

    fn arm(factor: Option<Factor>, setting: &str, recalls: [f64; 3]) -> Arm {
        let trial = |(i, recall): (usize, &f64)| Trial {
            seed: i as u64,
            n_rows: 10,
            mean_recall: *recall,
            recall: [("a".to_string(), Count { hits: 1, n: 2 })].into(),
            over_defense: [("a".to_string(), Count { hits: 1, n: 4 })].into(),
            false_positives: Count { hits: 1, n: 100 },
            seconds: 1.0,
        };
        Arm { factor, setting: setting.to_string(), trials: recalls.iter().enumerate().map(trial).collect() }
    }

    #[test]
    fn a_difference_is_bold_only_where_it_can_be_told() {
        let ablation = Ablation {
            matched_fpr: 0.01,
            n_benign: 1000,
            arms: vec![
                arm(None, "no reinforcement", [0.60, 0.62, 0.58]),
                arm(Some(Factor::Variations), "5", [0.70, 0.72, 0.69]),
                arm(Some(Factor::Alone), "slots", [0.70, 0.58, 0.60]),
                arm(Some(Factor::AllBut), "(all)", [0.7, 0.7, 0.7]),
                arm(Some(Factor::AllBut), "twin", [0.6, 0.6, 0.6]),
            ],
        };
        let text = ablation_markdown(&ablation, "levelhead ablate");
        // The differences 0.10, 0.10, 0.11: mean 0.103, t = 4.303, s / sqrt 3 = 0.0033.
        assert!(text.contains("| 5 | 10 | 0.703 ± 0.038 | **+0.103 (+0.089 to +0.118)** | 0.250 ± 0.000 |"), "{text}");
        assert!(text.contains("| slots | 10 | 0.627 ± 0.160 | +0.027 ("), "{text}");
        assert!(text.contains("against (all)") && text.contains("| (all) | 10 | 0.700 ± 0.000 | - |"), "{text}");
        let page = ablation_html(&ablation, "levelhead ablate");
        assert_eq!(page.matches("role=\"img\"").count(), 3);
        assert!(page.contains("all but twin"));
    }
}
