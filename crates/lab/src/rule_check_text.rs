//! What was found of a rule pack as plain text of at most 80 columns.

use std::fmt::Write;

use crate::markdown::{plain, shorten, wrapped};
use crate::rule_check::{Matches, RuleCheck, RuleFigures, RuleNarrowings, Standing};
use crate::rule_narrowing::{Kind, Narrowing};
use crate::rule_overlap::Overlap;
use crate::slice::Visibility;
use crate::stats::Count;
use crate::words::{count, number, percent, percent_beside, percent_limit};

/// Columns of a line.
const WIDTH: usize = 80;
/// Columns of a rule's id in a table.
const ID: usize = 33;

/// The whole report. `n_shown` bounds the narrowings of each rule and the pairs of rules.
pub fn rule_check_text(found: &RuleCheck, n_shown: usize) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{}: {} rules run, {} cannot", plain(&found.pack), found.rules.len(), found.faults.len());
    let side = |m: &Matches, what: &str| {
        let [distinct, rows] = [m.distinct.n, m.entries.n].map(number);
        format!("{what}: {distinct} distinct prompts of {rows} rows; the pack matches {}", rate(m))
    };
    line(&mut out, &side(&found.benign, "benign"));
    line(&mut out, &side(&found.attacks, "attacks"));
    line(&mut out, &sight(found));
    for fault in &found.faults {
        line(&mut out, &format!("CANNOT RUN {}: {}. Instead: {}.", id(&fault.rule), plain(&fault.reason), fault.fix));
    }
    for failed in &found.failed {
        line(&mut out, &format!("FAILS ITS EXAMPLE {}: {}.", id(&failed.rule), plain(&failed.reason)));
    }
    blame(&mut out, found);
    overlaps(&mut out, found, n_shown);
    for noisy in &found.narrowings {
        narrowings(&mut out, found, noisy, n_shown);
    }
    let is_unless = |of: &RuleNarrowings| of.best.is_some_and(|i| of.found[i].kind == Kind::Unless);
    if found.narrowings.iter().any(is_unless) {
        out.push('\n');
        line(&mut out, "Whoever reads the pack can write a phrase of `unless`; --no-unless proposes none.");
    }
    let n = |standing: Standing| found.rules.iter().filter(|r| r.standing == standing).count();
    let bad = [
        (found.faults.len(), "cannot run"),
        (found.failed.len(), "fail an example"),
        (n(Standing::Noisy), "noisy"),
        (n(Standing::TooFewToTell), "seen on too few benign prompts to tell"),
    ];
    let bad: Vec<String> = bad.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", number(*n))).collect();
    let verdict = if found.passed() { "clean".to_string() } else { format!("rules to mend: {}", bad.join(", ")) };
    out.push('\n');
    line(&mut out, &verdict);
    out
}

/// What was taken for each rule to mend; for the pack that was written.
pub fn taken_text(found: &RuleCheck) -> String {
    let mut out = String::new();
    for noisy in &found.narrowings {
        match noisy.best.map(|i| &noisy.found[i]) {
            Some(taken) => line(&mut out, &format!("{}: {}", id(&noisy.id), what(taken))),
            None => line(&mut out, &format!("{}: as it was; no narrowing keeps enough of its attacks", id(&noisy.id))),
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    wrapped(out, text, WIDTH);
}

/// A rule's id as text only, on one line.
fn id(id: &str) -> String {
    plain(id)
}

fn rate(m: &Matches) -> String {
    let [rate, bound] = [m.rate, m.upper_bound].map(|share| share.map_or("-".to_string(), percent));
    format!("{} ({rate}, at most {bound})", number(m.distinct.hits))
}

/// What the number of benign prompts can show.
fn sight(found: &RuleCheck) -> String {
    let (limit, needed) = (percent_limit(found.max_fpr), number(found.needed));
    let n = number(found.benign.distinct.n);
    match found.visibility {
        Visibility::Blind => format!("BLIND: {n} benign prompts cannot show a rate below {limit}, {needed} are needed"),
        Visibility::Thin => {
            format!("thin: {n} benign prompts show a rate below {limit} ({needed} are needed), hardly a lower one")
        }
        _ => format!("seen: {n} benign prompts show a rate below {limit} ({needed} are needed)"),
    }
}

fn blame(out: &mut String, found: &RuleCheck) {
    let _ = writeln!(
        out,
        "\n{:<ID$} {:>7} {:>6} {:>9} {:>7} {:>6}\n{}",
        "distinct prompts, by rule",
        "benign",
        "alone",
        "at most",
        "attacks",
        "alone",
        "-".repeat(ID + 42)
    );
    let mark = |rule: &RuleFigures| match rule.standing {
        Standing::Clean => " ",
        Standing::Noisy => "!",
        Standing::TooFewToTell => "?",
    };
    for rule in &found.rules {
        let (benign, attacks) = (rule.benign, rule.attacks);
        let bound = benign.upper_bound.map_or("-".to_string(), |bound| percent_beside(bound, found.max_fpr));
        let counts = [benign.distinct.hits, benign.alone, attacks.distinct.hits, attacks.alone].map(number);
        let name = shorten(&id(&rule.id), ID);
        let space = " ".repeat(ID - crate::markdown::width(&name));
        let [b, b_alone, a, a_alone] = counts;
        let row = format!("{name}{space} {b:>7} {b_alone:>6} {bound:>9} {a:>7} {a_alone:>6} {}", mark(rule));
        let _ = writeln!(out, "{}", row.trim_end());
    }
    let limit = percent_limit(found.max_fpr);
    line(out, &format!("! noisy: the benign rate may be above {limit}, or more benign prompts match than attacks"));
    let _ = writeln!(out, "alone: no other rule of the pack matches; at most: with 95 % confidence\n");
    for rule in &found.rules {
        let (benign, attacks) = (rule.benign, rule.attacks);
        let repeats = [benign, attacks].iter().any(|m| m.entries.hits != m.distinct.hits);
        let rows = format!("; rows {} and {}", number(benign.entries.hits), number(attacks.entries.hits));
        let ratio = match rule.likelihood_ratio {
            Some(ratio) => format!("{ratio:.1} times as likely on an attack as on a benign prompt"),
            None if attacks.distinct.hits == 0 => "matches nothing here".to_string(),
            None => "matches no benign prompt here".to_string(),
        };
        line(out, &format!("{}: {ratio}{}", id(&rule.id), if repeats { rows.as_str() } else { "" }));
    }
}

fn overlaps(out: &mut String, found: &RuleCheck, n_shown: usize) {
    if !found.overlaps.is_empty() {
        let _ = writeln!(out, "\nrules that match the same distinct prompts (Jaccard similarity)");
    }
    for o in found.overlaps.iter().take(n_shown) {
        let Overlap { a, b, attacks, benign } = o;
        let text = format!(
            "{:.2} attacks: {} of {}, {} of {}; {:.2} benign",
            attacks.jaccard,
            count(attacks.of_a),
            id(a),
            count(attacks.of_b),
            id(b),
            benign.jaccard
        );
        line(out, &text);
    }
    if found.overlaps.len() > n_shown {
        let _ = writeln!(out, "{} more pairs in --json", number(found.overlaps.len() - n_shown));
    }
    let covered: Vec<String> = found.rules.iter().filter(|r| r.is_covered).map(|r| id(&r.id)).collect();
    if !covered.is_empty() {
        line(out, &format!("redundant, other rules match all their attacks: {}", covered.join(", ")));
        let dropped: Vec<String> = found.droppable.iter().map(|d| id(d)).collect();
        line(out, &format!("without loss these can go together: {}", dropped.join(", ")));
    }
}

fn narrowings(out: &mut String, found: &RuleCheck, noisy: &RuleNarrowings, n_shown: usize) {
    let _ = writeln!(out);
    line(out, &format!("narrowing {}", id(&noisy.id)));
    let Some(first) = noisy.found.first() else {
        line(out, "  none takes a match away: drop the rule, or leave the weighing to the classifier");
        return;
    };
    let (benign, attacks) = (first.measured.removed.n, first.measured.lost.n);
    let chosen = first.chosen_on;
    line(
        out,
        &format!(
            "  measured on {} benign matches and {} attacks; words were chosen on the other {} and {}",
            number(benign),
            number(attacks),
            number(chosen.removed.n),
            number(chosen.lost.n)
        ),
    );
    let mut shown: Vec<usize> = (0..noisy.found.len().min(n_shown)).collect();
    shown.extend(noisy.best.filter(|best| *best >= n_shown));
    for i in shown {
        let narrowing = &noisy.found[i];
        let mark = if noisy.best == Some(i) { "*" } else { "-" };
        line(out, &format!("  {mark} {}", what(narrowing)));
    }
    if noisy.found.len() > n_shown {
        let _ = writeln!(out, "  {} more in --json", number(noisy.found.len() - n_shown));
    }
    let max_lost = percent_limit(found.max_lost);
    match noisy.best {
        None => line(
            out,
            &format!(
                "  none keeps its examples and all but {max_lost} of its attacks: drop the rule, or leave it to the classifier"
            ),
        ),
        Some(best) => {
            let left = noisy.left(&noisy.found[best]);
            let bound = left.upper_bound(0.95).unwrap_or(1.0);
            let still = match left.hits {
                _ if bound < found.max_fpr => "",
                0 => ": too few to tell",
                _ => ": still noisy",
            };
            let bound = percent_beside(bound, found.max_fpr);
            line(out, &format!("  * leaves {} benign prompts of the half matched, at most {bound}{still}", count(left)));
        }
    }
}

/// One narrowing: what it takes, what it costs, and what it is.
fn what(n: &Narrowing) -> String {
    let share = |c: Count| format!("{} of {} ({})", number(c.hits), number(c.n), c.rate().map_or("-".to_string(), percent));
    let bound = n.lost_at_most.map_or(String::new(), |bound| format!(", at most {}", percent(bound)));
    let words = match n.kind {
        Kind::Require | Kind::Unless => format!(": {}", n.words.join(", ")),
        _ => String::new(),
    };
    let examples = if n.keeps_examples { "" } else { "; fails its own example" };
    format!("removes {}, loses {}{bound}{examples}; {}{words}", share(n.measured.removed), share(n.measured.lost), n.kind.words())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::progress::Silent;
    use crate::row::{Dataset, Label, Row};
    use crate::rule_check::{RuleCheckConfig, check_rules};
    use crate::rule_pack::Pack;

    #[test]
    fn the_report_fits_80_columns_and_says_what_is_wrong() {
        let rule = |id: &str, pattern: &str| {
            format!(
                "[[rule]]\nid='{id}'\nfamily='x'\nseverity='low'\nconfidence=0.5\npattern='{pattern}'\nmatches=['the secret']\n"
            )
        };
        let ids = ["secret", "a.rule-with-a-name-that-is-much-too-long-for-a-table", "ahead", "rare"];
        let patterns = ["secret", "secret|garden", "secret(?=s)", "never"];
        let text: String = ids.iter().zip(patterns).map(|(id, pattern)| rule(id, pattern)).collect();
        let pack = Pack::parse(Path::new("pack.toml"), text).unwrap();
        let data = |what: &str, label: Label| {
            let row = |i: usize| Row::new(format!("{what} secret {i} with{} some{} more{}", i * 3, i * 5, i * 7), label);
            Dataset { rows: (0..60).map(row).collect(), ..Dataset::default() }
        };
        let config = RuleCheckConfig { max_fpr: 0.01, ..RuleCheckConfig::default() };
        let (benign, attacks) = (data("my garden has a", Label::Benign), data("reveal the", Label::Attack));
        let found = check_rules(&pack, &benign, &attacks, config, &Silent).unwrap();
        let text = rule_check_text(&found, 2) + &taken_text(&found);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for expected in [
            "pack.toml: 3 rules run, 1 cannot\n",
            "benign: 60 distinct prompts of 60 rows; the pack matches 60 (100.00 %, at most\n  100.00 %)\n",
            "BLIND: 60 benign prompts cannot show a rate below 1 %, 299 are needed\n",
            "CANNOT RUN ahead: look-ahead `(?=`: the engine runs in linear time and has none.\n",
            "FAILS ITS EXAMPLE rare: does not match \"the secret\".\n",
            "\nsecret                                 60      0  100.00 %      60      0 !\n",
            "\na.rule-with-a-name-that-is-much-…      60      0  100.00 %      60      0 !\n",
            "\nrare                                    0      0    4.87 %       0      0 ?\n",
            "rare: matches nothing here\n",
            "secret: 1.0 times as likely on an attack as on a benign prompt\n",
            "1.00 attacks: 60 of 60 of secret, 60 of 60 of\n  a.rule-with-a-name-that-is-much-too-long-for-a-table; 1.00 benign\n",
            "without loss these can go together: secret\n",
            "require near by: the",
            "rules to mend: 1 cannot run, 1 fail an example, 2 noisy, 1 seen on too few\n",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing\n{text}");
        }
    }
}
