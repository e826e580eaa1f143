//! The starter corpus: prompts written for this project, so that a guard can be made and measured without other data.
//!
//! It is expanded from the frame files and twins of `data/starter`, which are part of the program. Training and measuring use
//! different frames. It must never hold a text twice, or a text of another project.

use std::collections::HashMap;
use std::sync::Arc;

use levelhead::normalize::{Normalized, normalize_into};

use crate::embedded::{ATTACKS, FILES, TWINS, TWINS_STEM};
use crate::error::{Error, Result};
use crate::frame::FrameFile;
use crate::row::{HARD_NEGATIVE, Label, Row};
use crate::scenario::scenarios;
use crate::twin::{Split, Twin, parse_twins};

/// The columns of [`Row::extra`]: the frame or twin that a row comes from, so that a split can keep its fillings together.
pub const EXTRA: [&str; 1] = ["group"];

/// The category of the hard negatives; the other rows' category is that of their frame file.
pub const HARD_NEGATIVE_CATEGORY: &str = "hard_negative";

/// The starter corpus by purpose. No two rows have a text that is the same after [`levelhead::normalize`].
///
/// ```
/// let starter = levelhead_lab::starter::starter();
/// assert!(starter.gate_benign.iter().all(|row| !row.is_attack()));
/// assert_eq!(starter.gate_benign[0].extra.len(), levelhead_lab::starter::EXTRA.len());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Starter {
    /// What a first guard is trained on: many attacks, the harmless twins of some, and so little other harmless text that it
    /// raises false alarms.
    pub train: Vec<Row>,
    /// Harmless traffic, to be audited and mined for false positives.
    pub benign: Vec<Row>,
    /// Harmless rows to measure on.
    pub gate_benign: Vec<Row>,
    /// Attacks to measure on. Plain harmful requests are among them and count in no recall.
    pub gate_attacks: Vec<Row>,
    /// Harmless rows made to look like an attack, for training.
    pub hard_negatives_train: Vec<Row>,
    /// Harmless rows made to look like an attack, to measure on.
    pub hard_negatives_test: Vec<Row>,
    /// Rows left out because their text is there already.
    pub n_repeats: usize,
}

/// Expands the starter corpus; each call gives the same rows. Of the attack corpus's harmless texts it takes a part: most are full
/// of alarming words, as traffic is not.
pub fn starter() -> Starter {
    build(FILES, TWINS, ATTACKS, HARMLESS_STEP).expect("the embedded files are parsed by a test")
}

/// The rows that may train: the training half of the starter corpus, and the whole attack corpus.
pub fn training_rows() -> Vec<Row> {
    let corpus = build(FILES, TWINS, ATTACKS, 1).expect("the embedded files are parsed by a test");
    [corpus.train, corpus.benign, corpus.hard_negatives_train].into_iter().flatten().collect()
}

/// Of every so many harmless texts of the attack corpus, [`starter`] takes one.
const HARMLESS_STEP: usize = 3;

/// Of every so many attacks of the attack corpus in other languages than English, one trains, with its twin. They are of dozens of
/// languages; all of them would outweigh what is known of English, which they reach through the concepts that languages share.
const FOREIGN_STEP: usize = 4;

/// The attack corpus alone, whole: attacks, their twins, harmless texts; with the columns of [`crate::scenario::EXTRA`].
pub fn attack_corpus() -> Vec<Row> {
    let made = scenarios(ATTACKS).expect("the embedded files are parsed by a test");
    made.attacks.into_iter().chain(made.twins).chain(made.benign).collect()
}

/// Fillings of a frame. Programming has a gate of its own, whose bound of 0.5 % needs the more rows.
const N_ATTACK: usize = 4;
const N_BENIGN: usize = 6;
const N_PROGRAMMING_TEST: usize = 7;

/// Where the first guard's few harmless rows come from, and how many frames of each: 900 rows, a sixth of the attacks.
const NARROW: [&str; 3] = ["general_knowledge", "creative", "daily_tasks"];
const N_NARROW: usize = 50;

/// Beginnings of the words that attacks are full of; the first guard sees no harmless use of any.
const TRIGGERS: &str = "\
    access admin ai assistant banned bot bypass code command comply confidential decode delete developer disregard \
    filter forbidden forget guideline hack hidden hide ignor instruct jailbreak key leak limit mode obey overrid \
    password persona policy previous pretend private prompt repeat restrict reveal role root rule secret system token \
    translat unlock uncensored";

/// Builds the corpus from frame files and attack files, given as stem and content, and a twins file. Of the
/// attack corpus's harmless texts one in `harmless_step` is taken.
fn build(files: &[(&str, &str)], twins: &str, attacks: &[(&str, &str)], harmless_step: usize) -> Result<Starter> {
    let known = HashMap::with_capacity(1 << 15);
    let mut builder = Builder { starter: Starter::default(), known, normalized: Normalized::default() };
    let mut n_twins = [0, 0];
    for twin in parse_twins(TWINS_STEM, twins)? {
        let n = &mut n_twins[usize::from(twin.split == Split::Test)];
        *n += 1;
        builder.add_twin(&twin, *n)?;
    }
    for (stem, source) in files {
        let file = FrameFile::parse(stem, source)?;
        builder.add_frames(stem, &file, Split::Train)?;
        builder.add_frames(stem, &file, Split::Test)?;
    }
    let made = scenarios(attacks)?;
    for rows in [made.attacks, made.twins] {
        builder.add_scenarios(thinned(rows), true)?;
    }
    builder.add_scenarios(made.benign.into_iter().step_by(harmless_step), false)?;
    Ok(builder.starter)
}

/// Attacks or twins without most of those in other languages than English. An attack and its twin stay together, for they stand in
/// the same place of their lists.
fn thinned(rows: Vec<Row>) -> impl Iterator<Item = Row> {
    let mut n_foreign = 0;
    rows.into_iter().filter(move |row| {
        let is_foreign = row.extra.last().is_some_and(|language| &**language != "en");
        n_foreign += usize::from(is_foreign);
        !is_foreign || n_foreign % FOREIGN_STEP == 0
    })
}

struct Builder {
    starter: Starter,
    /// Normalized text to its label and group.
    known: HashMap<String, (Label, Arc<str>)>,
    normalized: Normalized,
}

impl Builder {
    fn add_twin(&mut self, twin: &Twin, n: usize) -> Result<()> {
        let group: Arc<str> = format!("{TWINS_STEM}/{}/{n}", twin.split.name()).into();
        let attack = row(&pattern(Label::Attack, &twin.family, TWINS_STEM), twin.attack.clone(), &group);
        let mut benign = row(&pattern(Label::Benign, HARD_NEGATIVE_CATEGORY, TWINS_STEM), twin.benign.clone(), &group);
        benign.notes = format!("{HARD_NEGATIVE} {}", twin.why).into();
        let attack_is_new = self.is_new(&attack)?;
        let benign_is_new = self.is_new(&benign)?;
        let (attacks, negatives) = match twin.split {
            Split::Train => (&mut self.starter.train, &mut self.starter.hard_negatives_train),
            Split::Test => (&mut self.starter.gate_attacks, &mut self.starter.hard_negatives_test),
        };
        attacks.extend(attack_is_new.then_some(attack));
        negatives.extend(benign_is_new.then_some(benign));
        Ok(())
    }

    fn add_frames(&mut self, stem: &str, file: &FrameFile, split: Split) -> Result<()> {
        let frames = if split == Split::Train { &file.train } else { &file.test };
        let n_fillings = match (file.label, split) {
            (Label::Attack, _) => N_ATTACK,
            (Label::Benign, Split::Test) if file.name == "programming" => N_PROGRAMMING_TEST,
            (Label::Benign, _) => N_BENIGN,
        };
        let pattern = pattern(file.label, &file.name, stem);
        let mut n_narrow = if NARROW.contains(&file.name.as_str()) { N_NARROW } else { 0 };
        for (i, frame) in frames.iter().enumerate() {
            let group: Arc<str> = format!("{stem}/{}/{}", split.name(), i + 1).into();
            let mut rows = Vec::new();
            for text in frame.fill(n_fillings) {
                let row = row(&pattern, text, &group);
                if self.is_new(&row)? {
                    rows.push(row);
                }
            }
            let part = match (file.label, split) {
                (Label::Attack, Split::Train) => &mut self.starter.train,
                (Label::Attack, Split::Test) => &mut self.starter.gate_attacks,
                (Label::Benign, Split::Test) => &mut self.starter.gate_benign,
                (Label::Benign, Split::Train) if n_narrow > 0 && !frame.pieces().any(has_trigger) => {
                    n_narrow -= 1;
                    &mut self.starter.train
                }
                (Label::Benign, Split::Train) => &mut self.starter.benign,
            };
            part.append(&mut rows);
        }
        Ok(())
    }

    /// Adds rows of the attack corpus: attacks and their twins train the first guard, other harmless texts are traffic to mine.
    fn add_scenarios(&mut self, rows: impl Iterator<Item = Row>, trains_first: bool) -> Result<()> {
        for mut row in rows {
            row.extra = row.extra[..EXTRA.len()].into();
            if self.is_new(&row)? {
                let part = if trains_first { &mut self.starter.train } else { &mut self.starter.benign };
                part.push(row);
            }
        }
        Ok(())
    }

    /// Whether a row's text is not there yet; a repeat is counted.
    fn is_new(&mut self, row: &Row) -> Result<bool> {
        let label = row.label.expect("every row of the corpus has a label");
        normalize_into(&row.text, &mut self.normalized);
        let text = self.normalized.as_str();
        let Some((known, group)) = self.known.get(text) else {
            self.known.insert(text.to_string(), (label, Arc::clone(&row.extra[0])));
            return Ok(true);
        };
        if *known != label {
            let reason = format!("{group} and {} have the same text, {text:?}, with different labels: change one", row.extra[0]);
            return Err(Error::data(reason));
        }
        self.starter.n_repeats += 1;
        Ok(false)
    }
}

/// What the rows of a file have in common. `name` is the attacks' family or the benign rows' category.
fn pattern(label: Label, name: &str, stem: &str) -> Row {
    let mut pattern = Row::new("", label);
    if label == Label::Attack {
        pattern.family = name.into();
        pattern.severity = severity(name).into();
    } else {
        pattern.category = name.into();
    }
    pattern.source = format!("starter/{stem}").into();
    pattern
}

fn row(pattern: &Row, text: String, group: &Arc<str>) -> Row {
    Row { text, extra: [Arc::clone(group)].into(), ..pattern.clone() }
}

/// How bad an attack of a family is: data lost, the application's rules broken, or the model's own.
fn severity(family: &str) -> &'static str {
    match family {
        "data_exfil_pattern" => "critical",
        "instruction_override" | "system_prompt_extraction" | "privilege_escalation" => "high",
        "indirect_injection" | "role_persona" | "semantic_jailbreak" => "high",
        _ => "medium",
    }
}

fn has_trigger(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.any(|word| TRIGGERS.split(' ').any(|t| word == t || t.len() > 3 && word.starts_with(t)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use levelhead::{BENIGN, normalize};

    use super::*;
    use crate::row::FAMILIES;
    use crate::scenario::SOURCE;

    const CATEGORIES: [&str; 9] = [
        "conversational",
        "creative",
        "daily_tasks",
        "edge_cases",
        "education",
        "general_knowledge",
        "professional",
        "programming",
        "technical_docs",
    ];

    impl Starter {
        /// Each part with whether it is for measuring.
        fn parts(&self) -> [(&[Row], bool); 6] {
            [
                (&self.train, false),
                (&self.benign, false),
                (&self.hard_negatives_train, false),
                (&self.gate_benign, true),
                (&self.gate_attacks, true),
                (&self.hard_negatives_test, true),
            ]
        }
    }

    #[test]
    fn the_corpus_is_large_enough_to_make_and_to_measure_a_guard() {
        let starter = starter();
        let names =
            |rows: &[Row], name: fn(&Row) -> &str| -> BTreeSet<String> { rows.iter().map(|r| name(r).to_string()).collect() };
        let twins = starter.train.iter().filter(|r| !r.is_attack() && &*r.source == SOURCE).count();
        assert!(twins > 5_000, "{twins}");
        let own = starter.train.iter().filter(|r| r.is_attack() || &*r.source != SOURCE);
        let (train_benign, train_attacks): (Vec<Row>, Vec<Row>) = own.cloned().partition(|r| !r.is_attack());
        let n_benign = train_benign.len() + starter.benign.len() + starter.gate_benign.len();
        assert!(n_benign >= 6_000 && train_attacks.len() + starter.gate_attacks.len() >= 2_000);
        assert!(starter.hard_negatives_train.len() + starter.hard_negatives_test.len() >= 300);
        assert!(starter.gate_benign.iter().filter(|r| &*r.category == "programming").count() >= 1_300);
        for attacks in [&train_attacks, &starter.gate_attacks] {
            assert_eq!(names(attacks, |r| &r.family), FAMILIES.map(str::to_string).into());
        }
        for benign in [&starter.benign, &starter.gate_benign] {
            assert_eq!(names(benign, |r| &r.category), CATEGORIES.map(str::to_string).into());
        }
        assert_eq!(names(&train_benign, |r| &r.category), NARROW.map(str::to_string).into());
        assert!((850..950).contains(&train_benign.len()), "{}", train_benign.len());
        assert!(!train_benign.iter().any(|r| has_trigger(&r.text)));
    }

    #[test]
    fn of_other_languages_than_english_some_attacks_train_each_with_its_twin() {
        let made = scenarios(ATTACKS).unwrap();
        let is_foreign = |row: &&Row| &*row.extra[4] != "en";
        let [attacks, twins] = [&made.attacks, &made.twins].map(|rows| thinned(rows.clone()).collect::<Vec<_>>());
        assert!(attacks.iter().zip(&twins).all(|(attack, twin)| attack.extra == twin.extra) && attacks.len() == twins.len());
        let n = |rows: &[Row]| (rows.iter().filter(is_foreign).count(), rows.iter().filter(|r| !is_foreign(r)).count());
        let (all, kept) = (n(&made.attacks), n(&attacks));
        assert_eq!(kept, (all.0 / FOREIGN_STEP, all.1));
        // Every language is there, and most of its pairs.
        let of = |rows: &[Row], column: usize| rows.iter().map(|r| r.extra[column].to_string()).collect::<BTreeSet<_>>().len();
        assert_eq!(of(&attacks, 4), of(&made.attacks, 4));
        assert!(of(&attacks, 0) * 10 > of(&made.attacks, 0) * 8, "{} of {}", of(&attacks, 0), of(&made.attacks, 0));
    }

    #[test]
    fn a_row_says_what_it_is_and_where_it_comes_from() {
        let starter = starter();
        for (rows, test) in starter.parts() {
            for row in rows {
                let (stem, rest) = row.extra[0].split_once('/').unwrap();
                if stem == "attacks" {
                    assert!(!test && row.source.starts_with("attacks"), "{}", row.extra[0]);
                    assert!(if row.is_attack() {
                        FAMILIES.contains(&&*row.family)
                    } else {
                        CATEGORIES.contains(&&*row.category)
                    });
                    continue;
                }
                assert!(rest.starts_with("train/") || rest.starts_with("test/"), "{}", row.extra[0]);
                assert_eq!(&*row.source, format!("starter/{stem}"));
                assert_eq!((row.confidence, row.extra.len()), (1.0, EXTRA.len()));
                let expected = match row.label.unwrap() {
                    Label::Benign => (BENIGN, "info"),
                    Label::Attack => (&*row.family, severity(&row.family)),
                };
                assert_eq!((&*row.family, &*row.severity), expected);
                match stem.split_once('_').unwrap() {
                    ("attack", family) => assert!(row.is_attack() && family == &*row.family),
                    ("benign", category) => assert!(!row.is_attack() && category == &*row.category),
                    _ => assert!(stem == TWINS_STEM && row.is_attack() != row.is_hard_negative()),
                }
            }
        }
        let all_hard = |rows: &[Row]| rows.iter().all(|r| r.is_hard_negative() && &*r.category == HARD_NEGATIVE_CATEGORY);
        assert!(all_hard(&starter.hard_negatives_train) && all_hard(&starter.hard_negatives_test));
        assert!(starter.gate_attacks.iter().any(|r| r.is_attack() && !r.counts_in_recall()));
        assert_eq!(["critical", "high", "medium"], ["data_exfil_pattern", "role_persona", "other_attack"].map(severity));
    }

    #[test]
    fn a_text_stands_there_once_and_a_group_in_one_split() {
        let starter = starter();
        let (mut texts, mut groups) = (BTreeSet::new(), BTreeMap::new());
        for (rows, test) in starter.parts() {
            for row in rows {
                assert!(texts.insert(normalize(&row.text).as_str().to_string()), "{}", row.text);
                assert_eq!(*groups.entry(row.extra[0].clone()).or_insert(test), test, "{}", row.extra[0]);
                assert_eq!(row.extra[0].contains("/test/"), test);
            }
        }
        assert!(starter.n_repeats <= 10, "{}", starter.n_repeats);
        assert_eq!(starter, super::starter());
    }

    #[test]
    fn no_text_holds_a_choice_or_a_slot_that_was_not_filled() {
        let slots: BTreeSet<String> = FILES
            .iter()
            .filter_map(|(_, source)| toml::from_str::<toml::Table>(source).unwrap().remove("slots"))
            .flat_map(|slots| slots.as_table().unwrap().keys().cloned().collect::<Vec<_>>())
            .collect();
        let starter = starter();
        // The attack corpus holds code and JSON with braces of their own.
        let own = starter.parts().into_iter().flat_map(|(rows, _)| rows).filter(|row| &*row.source != SOURCE);
        for row in own {
            let mut inside = row.text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
            let is_choice = |text: &str| text.contains('|') || slots.contains(text);
            assert!(!inside.any(is_choice), "{}: {}", row.extra[0], row.text);
        }
    }

    #[test]
    fn a_malformed_corpus_is_rejected_with_the_place_and_the_reason() {
        let twin = |family: &str, benign: &str| {
            format!("[[twin]]\nsplit = 'train'\nfamily = '{family}'\nattack = 'a'\nbenign = '{benign}'\nwhy = 'w'\n")
        };
        let good = twin("other_attack", "b");
        let frames = |test| format!("family = 'other_attack'\n[frames]\ntrain = ['x', 'B']\ntest = ['{test}']");
        let rows = [
            (twin("theft", "y"), frames("z"), "hard_negatives.toml: twin 1: family theft is unknown"),
            (good.clone(), frames("{z"), "attack_other_attack.toml: frame test/1: a { is not closed"),
            (good, frames("z"), "hard_negatives/train/1 and attack_other_attack/train/2 have the same text, \"b\", with"),
        ];
        for (twins, frames, expected) in rows {
            let error = build(&[("attack_other_attack", &frames)], &twins, &[], 1).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_repeat_is_left_out_and_counted() {
        let twins =
            "[[twin]]\nsplit = 'test'\nfamily = 'role_persona'\nattack = 'Be Max'\nbenign = 'Who is Max?'\nwhy = 'a question'";
        let frames = "family = 'role_persona'\n[frames]\ntrain = ['be {max|tom|ann}', 'be tom']\ntest = ['be {ann|joe}']";
        let starter = build(&[("attack_role_persona", frames)], twins, &[], 1).unwrap();
        let texts = |rows: &[Row]| rows.iter().map(|r| r.text.clone()).collect::<BTreeSet<String>>();
        assert_eq!(texts(&starter.train), ["be ann", "be tom"].map(String::from).into());
        assert_eq!(texts(&starter.gate_attacks), ["Be Max", "be joe"].map(String::from).into());
        assert_eq!(starter.hard_negatives_test[0].notes.as_ref(), "HARD NEGATIVE: a question");
        assert_eq!(starter.n_repeats, 3);
    }
}
