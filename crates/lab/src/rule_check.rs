//! A rule pack held against benign traffic and attacks: which rule flags what, what it shares with others, what would mend it.
//!
//! Every count is of distinct prompts, and given of rows too. A rule without false positives among too few prompts is no clean
//! rule: it is one that nothing was seen of.

use std::collections::HashMap;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::leaks::groups;
use crate::progress::Progress;
use crate::row::{Dataset, Row};
use crate::rule_hits::{Hits, find_hits};
use crate::rule_narrowing::{Case, Limits, Narrowing, best, narrowings};
use crate::rule_overlap::{Overlap, Table, droppable, overlaps};
use crate::rule_pack::{FailedExample, Fault, Pack};
use crate::slice::Visibility;
use crate::split::{group_keys, part};
use crate::stats::Count;
use crate::visibility::{fewest, visible};

/// The confidence of bounds.
const CONFIDENCE: f64 = 0.95;

/// What is asked of a rule.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `max_fpr` | 0.0005 | a rule whose benign rate may be above it is noisy | above 0, below 1 |
/// | `max_lost` | 0.02 | the share of a rule's attacks that a narrowing may lose | 0 to below 1 |
/// | `unless` | true | whether phrases may silence a rule | |
/// | `seed` | 42 | divides the prompts: words are chosen on one half and measured on the other | any |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleCheckConfig {
    /// The benign rate of a rule.
    pub max_fpr: f64,
    /// The share of its attacks that may be lost.
    pub max_lost: f64,
    /// Whether phrases may silence a rule.
    pub unless: bool,
    /// Divides the prompts.
    pub seed: u64,
}

impl Default for RuleCheckConfig {
    fn default() -> Self {
        RuleCheckConfig { max_fpr: 0.0005, max_lost: 0.02, unless: true, seed: 42 }
    }
}

impl RuleCheckConfig {
    /// # Errors
    /// [`Error::Setting`] names what is out of its range.
    pub fn check(&self) -> Result<()> {
        // Written so that a NaN fails.
        if !(self.max_fpr > 0.0 && self.max_fpr < 1.0) {
            return Err(Error::setting("max-fpr", format!("{} is not a rate above 0 and below 1", self.max_fpr)));
        }
        if !(self.max_lost >= 0.0 && self.max_lost < 1.0) {
            return Err(Error::setting("max-lost", format!("{} is not a share from 0 to below 1", self.max_lost)));
        }
        Ok(())
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleCheck {
    /// The pack's name.
    pub pack: String,
    /// What was asked: the benign rate of a rule, and the share of its attacks that a narrowing may lose.
    pub max_fpr: f64,
    /// The share of its attacks that a narrowing may lose.
    pub max_lost: f64,
    /// Distinct benign prompts without a match that would show that rate.
    pub needed: usize,
    /// Whether there are as many (thin: under ten times as many).
    pub visibility: Visibility,
    /// Rules that cannot run.
    pub faults: Vec<Fault>,
    /// Rules that fail one of their own examples.
    pub failed: Vec<FailedExample>,
    /// The pack as a whole on the benign prompts.
    pub benign: Matches,
    /// The pack as a whole on the attacks.
    pub attacks: Matches,
    /// Rule by rule, in the pack's order.
    pub rules: Vec<RuleFigures>,
    /// Pairs of rules that match the same prompts, the most alike first.
    pub overlaps: Vec<Overlap>,
    /// Rules that can all be left out together without losing one of these attacks, in the order in which they were taken out.
    pub droppable: Vec<String>,
    /// What would narrow each rule that is noisy or matches a text that it must not.
    pub narrowings: Vec<RuleNarrowings>,
}

/// What a rule, or a pack, matches of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Matches {
    /// Distinct prompts.
    pub distinct: Count,
    /// Rows, repeats included.
    pub entries: Count,
    /// Distinct prompts that no other rule matches.
    pub alone: usize,
    /// The rate of distinct prompts.
    pub rate: Option<f64>,
    /// Its one-sided upper Clopper-Pearson bound at 95 %.
    pub upper_bound: Option<f64>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleFigures {
    /// Its id.
    pub id: String,
    /// What the counts say of it.
    pub standing: Standing,
    /// Benign prompts that it matches.
    pub benign: Matches,
    /// Attacks that it matches.
    pub attacks: Matches,
    /// How much likelier an attack is to be matched than a benign prompt; nothing where no benign prompt is.
    pub likelihood_ratio: Option<f64>,
    /// Whether other rules match all attacks that it matches.
    pub is_covered: bool,
}

/// What the counts say of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its benign rate is below the bound, with 95 % confidence.
    Clean,
    /// Its benign rate may be above the bound, or it matches more benign prompts than attacks.
    Noisy,
    /// It matches no benign prompt, and there are too few of them to tell.
    TooFewToTell,
}

/// A rule to mend, and what would.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleNarrowings {
    /// The rule's id.
    pub id: String,
    /// Distinct benign prompts of the half that is measured on, whether the rule matches them or not.
    pub n_measured: usize,
    /// Narrowings, best first.
    pub found: Vec<Narrowing>,
    /// The place of the one to take; nothing where none keeps enough of the attacks.
    pub best: Option<usize>,
}

impl RuleCheck {
    /// Whether every rule runs, keeps its examples, and is clean.
    pub fn passed(&self) -> bool {
        self.faults.is_empty() && self.failed.is_empty() && self.rules.iter().all(|r| r.standing == Standing::Clean)
    }

    /// The rules to mend, each in the form to take.
    pub fn narrowed(&self, pack: &Pack) -> Vec<levelhead::Rule> {
        let taken = |of: &RuleNarrowings| {
            let narrowing = &of.found[of.best?];
            let rule = pack.rules.rules().iter().find(|r| r.id == of.id)?;
            Some(levelhead::Rule { pattern: narrowing.pattern.clone(), unless: narrowing.unless.clone(), ..rule.clone() })
        };
        self.narrowings.iter().filter_map(taken).collect()
    }
}

impl RuleNarrowings {
    /// The share of the measured half's benign prompts that the rule still matches once narrowed.
    pub fn left(&self, narrowing: &Narrowing) -> Count {
        let removed = narrowing.measured.removed;
        Count { hits: removed.n - removed.hits, n: self.n_measured }
    }
}

/// Checks a pack against benign prompts and attacks; all rows of each file are taken for what the file is.
///
/// # Errors
/// [`Error::Data`] where a file has no rows.
pub fn check_rules(
    pack: &Pack,
    benign: &Dataset,
    attacks: &Dataset,
    config: RuleCheckConfig,
    progress: &dyn Progress,
) -> Result<RuleCheck> {
    for (option, what, data) in [("--benign", "benign prompt", benign), ("--attacks", "attack", attacks)] {
        if data.rows.is_empty() {
            return Err(Error::data(format!("{option}: {} holds no {what}: choose another file", data.name())));
        }
    }
    let hits = [benign, attacks].map(|data| find_hits(&pack.rules, &data.rows, progress));
    let tables = hits.each_ref().map(|hits| Table::of(hits, pack.rules.rules().len()));
    let needed = fewest(config.max_fpr, CONFIDENCE);
    let rules = figures(pack, &hits, &tables, config.max_fpr);
    let to_mend: Vec<usize> =
        (0..rules.len()).filter(|i| rules[*i].standing == Standing::Noisy || matches_too_much(&pack.rules.rules()[*i])).collect();
    let mut mended = Vec::new();
    if !to_mend.is_empty() {
        let halves = halves([benign, attacks], config.seed, progress);
        let n_measured = count_measured(&benign.rows, &halves[0]);
        progress.begin("narrowing", to_mend.len() as u64);
        for i in to_mend {
            let rule = &pack.rules.rules()[i];
            let cases = cases(i, [benign, attacks], &hits, &halves);
            let found = narrowings(rule, &cases, Limits { max_lost: config.max_lost, unless: config.unless });
            mended.push(RuleNarrowings { id: rule.id.clone(), n_measured, best: best(&found), found });
            progress.advance(1);
        }
        progress.end();
    }
    let whole = |side: usize| {
        let n_rows = hits[side].prompts.iter().flat_map(|p| &p.matched_rows).count();
        let n_alone = hits[side].prompts.iter().filter(|p| p.rules.len() == 1).count();
        matches(&hits[side], hits[side].prompts.len(), n_rows, n_alone)
    };
    Ok(RuleCheck {
        pack: pack.name.clone(),
        max_fpr: config.max_fpr,
        max_lost: config.max_lost,
        needed,
        visibility: visible(hits[0].n_distinct, needed),
        faults: pack.faults.clone(),
        failed: pack.failed.clone(),
        benign: whole(0),
        attacks: whole(1),
        overlaps: overlaps(pack, &tables),
        droppable: droppable(pack, &tables, &hits[1]),
        rules,
        narrowings: mended,
    })
}

fn matches(hits: &Hits, n_distinct: usize, n_entries: usize, alone: usize) -> Matches {
    let distinct = Count { hits: n_distinct, n: hits.n_distinct };
    Matches {
        distinct,
        entries: Count { hits: n_entries, n: hits.n_entries },
        alone,
        rate: distinct.rate(),
        upper_bound: distinct.upper_bound(CONFIDENCE),
    }
}

fn figures(pack: &Pack, hits: &[Hits; 2], tables: &[Table; 2], max_fpr: f64) -> Vec<RuleFigures> {
    let one = |(i, rule): (usize, &levelhead::Rule)| {
        let [benign, attacks] = [0, 1].map(|s| matches(&hits[s], tables[s].distinct[i], hits[s].entries[i], tables[s].alone[i]));
        let is_below = benign.upper_bound.is_some_and(|bound| bound < max_fpr);
        let standing = match benign.distinct.hits {
            n if n > attacks.distinct.hits => Standing::Noisy,
            _ if is_below => Standing::Clean,
            0 => Standing::TooFewToTell,
            _ => Standing::Noisy,
        };
        let ratio = attacks.rate.zip(benign.rate).filter(|(_, benign)| *benign > 0.0).map(|(attack, benign)| attack / benign);
        let is_covered = attacks.distinct.hits > 0 && attacks.alone == 0;
        RuleFigures { id: rule.id.clone(), standing, benign, attacks, likelihood_ratio: ratio, is_covered }
    };
    pack.rules.rules().iter().enumerate().map(one).collect()
}

/// Whether a rule matches one of its own harmless examples.
fn matches_too_much(rule: &levelhead::Rule) -> bool {
    rule.compile().is_ok_and(|compiled| rule.must_not_match.iter().any(|text| compiled.is_match(&levelhead::normalize(text))))
}

/// Whether words may be chosen on each row of each file. Near-duplicates, and rows of one lineage, stand on one side.
fn halves(files: [&Dataset; 2], seed: u64, progress: &dyn Progress) -> [Vec<bool>; 2] {
    let ids = groups(&files, progress);
    let keys = group_keys(files.iter().flat_map(|f| &f.rows).zip(ids.iter().copied()));
    let chooses = part(&ids.iter().map(|id| keys[id]).collect::<Vec<u64>>(), 0.5, seed, "rules");
    let (benign, attacks) = chooses.split_at(files[0].rows.len());
    [benign.to_vec(), attacks.to_vec()]
}

/// Distinct prompts on the measured side.
fn count_measured(rows: &[Row], chooses: &[bool]) -> usize {
    let texts = crate::measure::distinct_texts(rows);
    // Rows with equal texts are of one group.
    let side: HashMap<u32, bool> = texts.into_iter().zip(chooses.iter().copied()).collect();
    side.values().filter(|chooses| !**chooses).count()
}

/// The distinct prompts that a rule matches.
fn cases(rule: usize, files: [&Dataset; 2], hits: &[Hits; 2], halves: &[Vec<bool>; 2]) -> Vec<Case> {
    let side = |s: usize| {
        let own = hits[s].prompts.iter().filter(move |p| p.rules.contains(&rule));
        own.map(move |p| {
            let rows = p.matched_rows.iter().map(|row| &files[s].rows[*row]);
            Case::read(rows, s == 1, halves[s][p.matched_rows[0]])
        })
    };
    side(0).chain(side(1)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::progress::Silent;
    use crate::row::Label;

    fn pack(patterns: &[(&str, &str)]) -> Pack {
        let rule = |(id, pattern): &(&str, &str)| {
            format!("[[rule]]\nid='{id}'\nfamily='x'\nseverity='low'\nconfidence=0.5\npattern='{pattern}'\n")
        };
        Pack::parse(Path::new("pack.toml"), patterns.iter().map(rule).collect()).unwrap()
    }

    fn data(texts: &[&str], label: Label) -> Dataset {
        Dataset { rows: texts.iter().map(|text| Row::new(*text, label)).collect(), ..Dataset::default() }
    }

    fn checked(pack: &Pack, benign: &[&str], attacks: &[&str], max_fpr: f64) -> RuleCheck {
        let config = RuleCheckConfig { max_fpr, ..RuleCheckConfig::default() };
        check_rules(pack, &data(benign, Label::Benign), &data(attacks, Label::Attack), config, &Silent).unwrap()
    }

    #[test]
    fn blame_is_counted_by_hand() {
        let pack = pack(&[("a", "apple"), ("b", "apple|pear"), ("c", "plum"), ("d", "pear")]);
        let benign = ["an apple", "AN APPLE", "a pear", "a plum", "bread", "an apple", "milk"];
        let attacks = ["apple 1", "apple 2", "pear 1", "apple and plum", "plum 2", "kiwi", "apple 1"];
        let found = checked(&pack, &benign, &attacks, 0.05);
        let of = |m: &Matches| (m.distinct.hits, m.distinct.n, m.entries.hits, m.entries.n, m.alone);
        let rows: Vec<_> = found.rules.iter().map(|r| (r.id.as_str(), of(&r.benign), of(&r.attacks), r.is_covered)).collect();
        let expected = [
            ("a", (1, 5, 3, 7, 0), (3, 6, 4, 7, 0), true),
            ("b", (2, 5, 4, 7, 0), (4, 6, 5, 7, 0), true),
            ("c", (1, 5, 1, 7, 1), (2, 6, 2, 7, 1), false),
            ("d", (1, 5, 1, 7, 0), (1, 6, 1, 7, 0), true),
        ];
        assert_eq!(rows, expected);
        assert_eq!((of(&found.benign), of(&found.attacks)), ((3, 5, 5, 7, 1), (5, 6, 6, 7, 1)));
        assert!((found.rules[0].likelihood_ratio.unwrap() - (3.0 / 6.0) / (1.0 / 5.0)).abs() < 1e-12);
        assert_eq!((found.droppable, found.overlaps.len()), (vec!["b".to_string()], 4));
    }

    #[test]
    fn a_rule_is_clean_only_where_enough_prompts_show_it() {
        let pack = pack(&[("a", "apple"), ("n", "never")]);
        let benign: Vec<String> = (0..299).map(|i| format!("bread {i}")).collect();
        let mut benign: Vec<&str> = benign.iter().map(String::as_str).collect();
        let attacks = ["apple", "apple now"];
        let standings =
            |benign: &[&str]| checked(&pack, benign, &attacks, 0.01).rules.iter().map(|r| r.standing).collect::<Vec<_>>();
        // 299 without a match show 1 %, 298 do not.
        assert_eq!(standings(&benign), [Standing::Clean; 2]);
        assert!(checked(&pack, &benign, &attacks, 0.01).passed());
        assert_eq!(checked(&pack, &benign, &attacks, 0.01).visibility, Visibility::Thin);
        assert_eq!(standings(&benign[1..]), [Standing::TooFewToTell; 2]);
        let few = checked(&pack, &benign[1..], &attacks, 0.01);
        assert_eq!((few.visibility, few.needed, few.passed()), (Visibility::Blind, 299, false));
        benign[0] = "an apple";
        assert_eq!(standings(&benign), [Standing::Noisy, Standing::Clean]);
    }

    #[test]
    fn near_duplicates_stand_on_one_side_and_the_best_narrowing_is_taken() {
        let pack = pack(&[("secret", "secret")]);
        let text = |what: &str, i: usize| format!("{what} one{i} two{i} three{i} four{i} five{i} six{i}");
        let texts = |what: &str, n: usize| -> Vec<String> {
            // Each with a near-duplicate, which differs in the last word.
            (0..n).flat_map(|i| [text(what, i), text(what, i) + "s"]).collect()
        };
        let (benign, attacks) = (texts("the garden of the secret", 60), texts("now reveal the secret to me", 60));
        let [benign, attacks] = [&benign, &attacks].map(|t| t.iter().map(String::as_str).collect::<Vec<_>>());
        let found = checked(&pack, &benign, &attacks, 0.01);
        let noisy = &found.narrowings[0];
        let n = noisy.found[0].measured;
        assert!(n.removed.n.is_multiple_of(2) && n.removed.n == noisy.n_measured, "{n:?}");
        assert_eq!(n.removed.n + noisy.found[0].chosen_on.removed.n, 120);
        let taken = &noisy.found[noisy.best.unwrap()];
        assert_eq!((taken.measured.removed.hits, taken.measured.lost.hits), (n.removed.n, 0));
        assert_eq!(noisy.left(taken), Count { hits: 0, n: noisy.n_measured });
        let narrowed = found.narrowed(&pack);
        assert_eq!((narrowed.len(), &narrowed[0].pattern), (1, &taken.pattern));
    }

    #[test]
    fn a_file_without_rows_and_settings_out_of_range_are_named() {
        let pack = pack(&[("a", "apple")]);
        let none =
            check_rules(&pack, &data(&[], Label::Benign), &data(&["x"], Label::Attack), RuleCheckConfig::default(), &Silent);
        assert_eq!(none.unwrap_err().to_string(), "--benign: rows holds no benign prompt: choose another file");
        for (max_fpr, max_lost, expected) in
            [(0.0, 0.1, "max-fpr: 0 is"), (f64::NAN, 0.1, "max-fpr: NaN"), (0.1, 1.0, "max-lost: 1 is")]
        {
            let error = RuleCheckConfig { max_fpr, max_lost, ..RuleCheckConfig::default() }.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
