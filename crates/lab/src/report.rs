//! The report of a run of the loop: the verdict first, then round by round, then what it rests on.
//!
//! Its words and tables are Markdown; [`crate::report_html`] makes a page of the same sections and adds the plots.

use std::collections::BTreeMap;
use std::fmt::Write;

use levelhead::provenance::Input;

use crate::ablation::Ablation;
use crate::ablation_report::ablation_section;
use crate::gate_text::gate_markdown;
use crate::improvement::{Improved, Round};
use crate::llm::{Asked, Llm};
use crate::standing::{Matched, Standing, mean_recall};
use crate::stats::Count;
use crate::strategy::Strategy;

/// How a run came about: what a report cites.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The command as it was typed.
    pub command: &'a str,
    /// The files read, those that train first.
    pub inputs: &'a [Input],
    /// Whether prompts may be shown, as examples of clusters.
    pub shows_prompts: bool,
    /// What each part of reinforcement buys, where that was measured.
    pub ablation: Option<&'a Ablation>,
    /// The model that was asked for variations.
    pub llm: Option<&'a Llm>,
}

/// A part of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Verdict,
    Rounds,
    Remedies,
    EachRound,
    Model,
    Holdout,
    Slices,
    Clusters,
    Leakage,
    Ablation,
    Ground,
}

/// The report as Markdown.
pub fn report_markdown(run: &Improved, origin: Origin<'_>) -> String {
    sections(run, origin).into_iter().map(|(_, text)| text).collect()
}

/// The parts of the report in their order, as Markdown.
pub(crate) fn sections(run: &Improved, origin: Origin<'_>) -> Vec<(Section, String)> {
    let write = |section| {
        let mut out = String::new();
        match section {
            Section::Verdict => verdict(&mut out, run),
            Section::Rounds => rounds(&mut out, run),
            Section::Remedies => remedies(&mut out, run),
            Section::EachRound => run.rounds.windows(2).for_each(|pair| one_round(&mut out, &pair[0], &pair[1])),
            Section::Model => origin.llm.into_iter().for_each(|llm| model(&mut out, run, llm)),
            Section::Holdout => out.push_str("## The holdout, by slice\n\nBoth guards at their calibrated thresholds.\n\n"),
            Section::Slices => slices(&mut out, run),
            Section::Clusters => clusters(&mut out, run, origin.shows_prompts),
            Section::Leakage => leakage(&mut out, run),
            Section::Ablation => out.extend(origin.ablation.map(ablation_section)),
            Section::Ground => ground(&mut out, run, origin),
        }
        (section, out)
    };
    use Section::{Ablation, Clusters, EachRound, Ground, Holdout, Leakage, Model, Remedies, Rounds, Slices, Verdict};
    [Verdict, Rounds, Remedies, EachRound, Model, Holdout, Slices, Clusters, Leakage, Ablation, Ground].map(write).into()
}

fn percent(count: &Count) -> String {
    count.rate().map_or("-".to_string(), |r| format!("{:.2} % ({}/{})", 100.0 * r, count.hits, count.n))
}

fn change(before: &Count, after: &Count) -> String {
    match (before.rate(), after.rate()) {
        (Some(a), Some(b)) => format!("{:+.2}", 100.0 * (b - a)),
        _ => "-".to_string(),
    }
}

fn mean(recall: &BTreeMap<String, Count>) -> String {
    mean_recall(recall).map_or("-".to_string(), |r| format!("{r:.3}"))
}

fn matched_mean(matched: &Option<Matched>) -> String {
    matched.as_ref().map_or("too few benign rows".to_string(), |m| mean(&m.recall))
}

fn verdict(out: &mut String, run: &Improved) {
    let word = if run.holdout.passed { "passes" } else { "does not pass" };
    let _ = writeln!(out, "# Levelhead: the guard {word} its gates\n");
    let [first, best] = [&run.first_on_holdout, &run.best_on_holdout];
    let natural = &run.rounds[0].natural.false_positives;
    let _ = writeln!(
        out,
        "The first guard flagged {} of the benign prompts of the gate at its natural threshold. After {} the guard flags {} on \
         the holdout, which was read once.\n",
        percent(natural),
        if run.best == 1 { "1 round".to_string() } else { format!("{} rounds", run.best) },
        percent(&best.false_positives)
    );
    let fpr = run.rounds[0].matched.as_ref().map_or(1.0, |m| 100.0 * m.fpr);
    let _ = writeln!(out, "| on the holdout | first guard | this guard |\n|---|---:|---:|");
    let [matched_first, matched_best] = &run.matched_on_holdout;
    let _ = writeln!(
        out,
        "| **mean recall over sources at {fpr} % FPR** | {} | **{}** |",
        matched_mean(matched_first),
        matched_mean(matched_best)
    );
    if let (Some(first), Some(within)) = (matched_first, &run.within_on_holdout)
        && first.all_over_defense().n > 0
    {
        let _ = writeln!(
            out,
            "| the same, with no more harmless rows beside the attacks flagged than by the first guard ({}; FPR then {}) | {} | {} |",
            percent(&first.all_over_defense()),
            percent(&within.false_positives),
            mean(&first.recall),
            mean(&within.recall)
        );
    }
    let _ = writeln!(
        out,
        "| FPR at the calibrated threshold | {} | {} |",
        percent(&first.false_positives),
        percent(&best.false_positives)
    );
    let _ = writeln!(out, "| mean recall at the calibrated threshold | {} | {} |\n", mean(&first.recall), mean(&best.recall));
    let [from, to] = [0, run.best].map(|n| run.rounds[n].over_defense());
    if to > from {
        let _ = writeln!(
            out,
            "**It has a price.** At {fpr} % FPR on the gate half {:.1} % of the harmless rows beside the attacks are flagged, {:.1} % by \
             the first guard; `--max-over-defense` holds that down.\n",
            100.0 * to,
            100.0 * from
        );
    }
    let _ = writeln!(out, "The loop ended because {}. The guard is that of round {}.\n", run.ended, run.best);
    let _ = writeln!(out, "## Gates on the holdout\n\n{}", gate_markdown(&run.holdout));
}

fn rounds(out: &mut String, run: &Improved) {
    let _ = writeln!(out, "## Rounds, on the gate half\n");
    let _ = writeln!(
        out,
        "| round | rows added | FPR, natural | recall, natural | FPR, calibrated | recall, calibrated | recall at matched FPR \
         | the same, over-defense as at first | gates |\n|---:|---:|---:|---:|---:|---:|---:|---:|---|"
    );
    for r in &run.rounds {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            r.number,
            r.n_added,
            percent(&r.natural.false_positives),
            mean(&r.natural.recall),
            percent(&r.calibrated.false_positives),
            mean(&r.calibrated.recall),
            matched_mean(&r.matched),
            matched_mean(&r.within),
            if r.gate.passed { "passed" } else { "not passed" }
        );
    }
    let _ = writeln!(
        out,
        "\nRecall is the mean over attack sources, each counting the same; plain harmful requests are left out. \"Natural\" is \
         probability 0.5; \"calibrated\" is the threshold set on held-back benign traffic; the matched FPR is taken on the \
         gate's own benign rows. \"Over-defense as at first\": at a threshold that also flags no more of the harmless rows beside \
         the attacks than the first guard does at that FPR, so that one kind of false alarm does not pay for another.\n"
    );
}

fn remedies(out: &mut String, run: &Improved) {
    if run.remedies.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "## Cheap remedies, on the gate half\n\nTried on the first guard before any row is made. A threshold moves no recall at a matched FPR; what does is \
         better at telling the two apart.\n\n\
         | remedy | FPR, natural | recall, natural | FPR, calibrated | recall, calibrated | recall at matched FPR | gates | seconds |\n\
         |---|---:|---:|---:|---:|---:|---|---:|"
    );
    let first = run.rounds.first().map(|round| ("none: the first guard", round));
    for (name, r) in first.into_iter().chain(run.remedies.iter().map(|tried| (tried.remedy.name(), &tried.round))) {
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {} | {:.1} |",
            percent(&r.natural.false_positives),
            mean(&r.natural.recall),
            percent(&r.calibrated.false_positives),
            mean(&r.calibrated.recall),
            matched_mean(&r.matched),
            if r.gate.passed { "passed" } else { "not passed" },
            r.seconds
        );
    }
    out.push('\n');
}

fn one_round(out: &mut String, before: &Round, after: &Round) {
    let _ = writeln!(out, "### Round {}\n", after.number);
    let _ = writeln!(
        out,
        "The guard of round {} flagged {} of the mined prompts. {} rows were added, {} train. The round took {:.1} s.",
        before.number, after.n_false_positives, after.n_added, after.n_trained, after.seconds
    );
    if let Some(plan) = &after.plan {
        let made: Vec<String> = plan.strategies.iter().map(|(name, [tried, n])| format!("{n} of {tried} {name}")).collect();
        let _ = writeln!(out, "By strategy, kept of proposed: {}.", made.join(", "));
        let left: Vec<String> = plan.left_out.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        if !left.is_empty() {
            let _ = writeln!(out, "Proposals left out: {}.", left.join(", "));
        }
        for shortage in &plan.shortages {
            let _ = writeln!(out, "Short: {shortage}.");
        }
    }
    for warning in &after.warnings {
        let _ = writeln!(out, "Warning: {warning}.");
    }
    let (a, b) = (mean_recall(&before.natural.recall), mean_recall(&after.natural.recall));
    if let (Some(a), Some(b)) = (a, b)
        && b < a
    {
        let _ = writeln!(
            out,
            "\n**Recall at the natural threshold fell from {a:.3} to {b:.3}.** The falling FPR alone proves nothing; what counts \
             is recall at a matched FPR, {} before and {} after.",
            matched_mean(&before.matched),
            matched_mean(&after.matched)
        );
    }
    let _ = writeln!(out, "\n| FPR at the natural threshold | before | after | points |\n|---|---:|---:|---:|");
    for_both(out, &before.natural.by_category, &after.natural.by_category);
    if let (Some(a), Some(b)) = (&before.matched, &after.matched) {
        let _ = writeln!(out, "\n| recall at {} % FPR | before | after | points |\n|---|---:|---:|---:|", 100.0 * a.fpr);
        for_both(out, &a.recall, &b.recall);
        if !a.over_defense.is_empty() {
            let _ = writeln!(
                out,
                "\n| benign rows of the attack file flagged at {} % FPR | before | after | points |\n|---|---:|---:|---:|",
                100.0 * a.fpr
            );
            for_both(out, &a.over_defense, &b.over_defense);
        }
    }
    out.push('\n');
}

fn model(out: &mut String, run: &Improved, llm: &Llm) {
    let _ = writeln!(out, "## The language model\n");
    let name = shorten(&llm.name());
    let asked = |round: &Round| round.plan.as_ref().and_then(|plan| plan.llm);
    if !run.rounds.iter().any(|round| asked(round).is_some()) {
        let _ = writeln!(out, "{name} was not asked: the loop ended before a row was made.\n");
        return;
    }
    let _ = writeln!(
        out,
        "{name} was sent the chosen false positives and near misses, each with its category and the phrase of its cluster, in \
         these words:\n"
    );
    let template = &llm.settings.template;
    // Set in by four columns a line is code, whatever it holds.
    for line in format!("{}\n\n{}", template.system, template.user).trim().lines() {
        let _ = writeln!(out, "    {line}");
    }
    let _ = writeln!(
        out,
        "\nThe budget of all rounds: {} calls, {} tokens. Answers from the cache count as they were paid, and their tokens stand here \
         too. What may train of the answers is for the proof to say.\n\n\
         | round | prompts | answered from the cache | without an answer | calls of this run | tokens | rows proposed | rows kept |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|",
        llm.settings.max_calls, llm.settings.max_tokens
    );
    let mut n_all_estimated = 0;
    for round in &run.rounds {
        let Some(Asked { n_prompts, n_cached, n_calls, n_tokens, n_estimated, n_failed, n_unasked, .. }) = asked(round) else {
            continue;
        };
        let made = round.plan.as_ref().and_then(|plan| plan.strategies.get(Strategy::Llm.name()).copied());
        let [proposed, kept] = made.unwrap_or_default();
        let (number, n_without) = (round.number, n_failed + n_unasked);
        let _ =
            writeln!(out, "| {number} | {n_prompts} | {n_cached} | {n_without} | {n_calls} | {n_tokens} | {proposed} | {kept} |");
        n_all_estimated += n_estimated;
    }
    if n_all_estimated > 0 {
        let _ = writeln!(out, "\nThe tokens of {n_all_estimated} answers are estimated, at four bytes a token.");
    }
    out.push('\n');
}

fn for_both(out: &mut String, before: &BTreeMap<String, Count>, after: &BTreeMap<String, Count>) {
    for (name, b) in after {
        let a = before.get(name).copied().unwrap_or_default();
        let _ = writeln!(out, "| {name} | {} | {} | {} |", percent(&a), percent(b), change(&a, b));
    }
}

fn slices(out: &mut String, run: &Improved) {
    let [first, best]: [&Standing; 2] = [&run.first_on_holdout, &run.best_on_holdout];
    let _ = writeln!(out, "| FPR | first guard | this guard | points |\n|---|---:|---:|---:|");
    for_both(out, &first.by_category, &best.by_category);
    let _ = writeln!(out, "\n| recall | first guard | this guard | points |\n|---|---:|---:|---:|");
    for_both(out, &first.recall, &best.recall);
    let _ = writeln!(out, "\n{}", crate::evaluation_text::evaluation_markdown(&run.evaluation));
}

fn clusters(out: &mut String, run: &Improved, shows_prompts: bool) {
    for (title, found) in [("What set the first guard off", &run.first_audit), ("What still fires", &run.last_audit)] {
        let _ = writeln!(
            out,
            "## {title}\n\n{} of {} mined prompts. The ten largest clusters of like false positives:\n",
            found.false_positives, found.total
        );
        let _ = writeln!(out, "| phrase | prompts | distinct | example |\n|---|---:|---:|---|");
        for cluster in found.clusters.iter().take(10) {
            let example = cluster.examples.first().and_then(|id| found.fp_details.iter().find(|fp| fp.id == *id));
            let example = match shows_prompts {
                true => example.map_or(String::new(), |fp| shorten(&fp.prompt)),
                false => "(left out)".to_string(),
            };
            let _ = writeln!(out, "| {} | {} | {} | {example} |", shorten(&cluster.phrase), cluster.entries, cluster.distinct);
        }
        out.push('\n');
    }
}

/// One line of a table: shortened, without characters that would end the cell.
fn shorten(text: &str) -> String {
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = flat.chars().take(80).collect();
    let dots = if short.len() < flat.len() { "…" } else { "" };
    format!("{}{dots}", short.replace('\\', "\\\\").replace('|', "\\|").replace('`', "\\`").replace('<', "&lt;"))
}

fn leakage(out: &mut String, run: &Improved) {
    let _ = writeln!(out, "## Leakage\n\nRows of one input that equal or nearly equal a measured row do not train. Refused:\n");
    if run.refused.is_empty() {
        let _ = writeln!(out, "- none");
    }
    for (reason, n) in &run.refused {
        let _ = writeln!(out, "- {n} rows, {reason}");
    }
    if run.premium.is_empty() {
        let _ = writeln!(out, "\nThe leakage premium was not measured in this run.\n");
        return;
    }
    let _ = writeln!(
        out,
        "\n**The leakage premium**: the first guard's training rows, cross-validated under three ways to divide them. A random \
         split lets near-duplicates of a test row train, a split by group does not, a split by source keeps the style of a \
         collection out too. What falls from the first line to the last is no skill.\n\n\
         | split | mean recall at 1 % FPR | AUC | FPR, natural |\n|---|---:|---:|---:|"
    );
    let share = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.3}"));
    for line in &run.premium {
        let fpr = percent(&line.false_positives);
        let _ = writeln!(out, "| {} | {} | {} | {fpr} |", line.scheme.name(), share(line.mean_recall), share(line.auc));
    }
    out.push('\n');
}

fn ground(out: &mut String, run: &Improved, origin: Origin<'_>) {
    let _ = writeln!(out, "## What this rests on\n\n```\n{}\n```\n\n| file | BLAKE3 |\n|---|---|", origin.command);
    for input in origin.inputs {
        let _ = writeln!(out, "| {} | `{}` |", shorten(&input.name), input.blake3);
    }
    let _ = writeln!(out, "\n| rows | used to |\n|---:|---|");
    for (what, n) in &run.sizes {
        let _ = writeln!(out, "| {n} | {what} |");
    }
    let _ = writeln!(out, "\nParts are divided by near-duplicate group.");
    let _ = writeln!(out, "\nThreshold: {}.", run.guard.provenance.threshold);
}
