//! The starter corpus: prompts written by this project, embedded, so that the loop runs on a bare machine.
//!
//! Train and test are held apart by construction: they are different frames, not different fillings of the same ones.

use std::collections::HashSet;
use std::sync::Arc;

use levelhead::normalize;
use serde::Deserialize;

use crate::frame::{FrameFile, expand, parse};
use crate::row::{HARD_NEGATIVE, Label, Row};

/// The further column of the corpus: fillings of one frame, and the two sides of a twin, name the same group.
pub const EXTRA: [&str; 1] = ["group"];

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../data/starter/", $name, ".toml")))),*]
    };
}

const FRAME_FILES: [(&str, &str); 21] = embedded![
    "attack_context_manipulation",
    "attack_data_exfil_pattern",
    "attack_encoded_injection",
    "attack_harmful_request",
    "attack_indirect_injection",
    "attack_instruction_override",
    "attack_obfuscated_command",
    "attack_other_attack",
    "attack_privilege_escalation",
    "attack_role_persona",
    "attack_semantic_jailbreak",
    "attack_system_prompt_extraction",
    "benign_conversational",
    "benign_creative",
    "benign_daily_tasks",
    "benign_edge_cases",
    "benign_education",
    "benign_general_knowledge",
    "benign_professional",
    "benign_programming",
    "benign_technical_docs",
];

const TWINS: &str = include_str!("../../../data/starter/hard_negatives.toml");

/// Fillings of one frame, at most: benign ones and attacks.
const MOST_FILLINGS: (usize, usize) = (6, 4);

/// Benign frames of these categories that hold none of these words train the first guard. It has never seen harmless prompts
/// that speak of passwords or instructions, so it over-fires: the situation that the loop mends.
const FIRST_CATEGORIES: [&str; 3] = ["creative", "daily_tasks", "general_knowledge"];
const FIRST_AVOIDS: [&str; 24] = [
    "ignore", "instruct", "system", "prompt", "password", "secret", "admin", "override", "previous", "rule", "hidden", "reveal",
    "pretend", "act as", "bypass", "forget", "role", "restrict", "guideline", "policy", "translate", "repeat", "code", "you are",
];
const N_FIRST: usize = 900;

/// The corpus, by what each part is for.
#[derive(Debug, Clone, Default)]
pub struct Starter {
    /// Trains the first guard: attacks, and few and plain benign prompts.
    pub train: Vec<Row>,
    /// Benign traffic to audit and to mine.
    pub benign: Vec<Row>,
    /// Benign prompts of the gate.
    pub gate_benign: Vec<Row>,
    /// Attacks of the gate.
    pub gate_attacks: Vec<Row>,
    /// Benign prompts that look like attacks, to train on.
    pub hard_negatives_train: Vec<Row>,
    /// Benign prompts that look like attacks, to measure on.
    pub hard_negatives_test: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TwinFile {
    twin: Vec<Twin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Twin {
    split: String,
    family: String,
    attack: String,
    benign: String,
    why: String,
}

/// Expands the corpus; always the same one.
pub fn starter() -> Starter {
    let mut corpus = Starter::default();
    let mut seen = HashSet::new();
    let mut is_new = |text: &str| seen.insert(normalize(text).as_str().split_whitespace().collect::<Vec<_>>().join(" "));
    let twins: TwinFile = toml::from_str(TWINS).expect("a test parses the embedded twins");
    for (i, twin) in twins.twin.iter().enumerate() {
        let group = format!("twin/{i}");
        let attack = row("hard_negatives", &group, &twin.attack, Some(&twin.family));
        let mut benign = row("hard_negatives", &group, &twin.benign, None);
        benign.category = "hard_negative".into();
        benign.notes = format!("{HARD_NEGATIVE} {}", twin.why).into();
        let (attacks, hard) = match twin.split.as_str() {
            "train" => (&mut corpus.train, &mut corpus.hard_negatives_train),
            _ => (&mut corpus.gate_attacks, &mut corpus.hard_negatives_test),
        };
        attacks.extend(is_new(&twin.attack).then_some(attack));
        hard.extend(is_new(&twin.benign).then_some(benign));
    }
    let mut first = Vec::new();
    for (name, text) in FRAME_FILES {
        let file = parse(text).expect("a test parses the embedded frames");
        // Test frames first: a filling that both happen to give is measured, not trained on.
        for (split, frames) in [("test", &file.frames.test), ("train", &file.frames.train)] {
            for (i, frame) in frames.iter().enumerate() {
                let group = format!("{name}/{split}/{i}");
                let rows = fill(&file, name, &group, frame).into_iter().filter(|r| is_new(&r.text));
                match (split, &file.family) {
                    ("test", Some(_)) => corpus.gate_attacks.extend(rows),
                    ("test", None) => corpus.gate_benign.extend(rows),
                    (_, Some(_)) => corpus.train.extend(rows),
                    (_, None) if is_first(&file, frame) => first.extend(rows),
                    (_, None) => corpus.benign.extend(rows),
                }
            }
        }
    }
    // Every third frame or so of those that could: the rest is traffic.
    let step = (first.len() / N_FIRST).max(1);
    let mut groups: Vec<Arc<str>> = first.iter().map(|r| Arc::clone(&r.extra[0])).collect();
    groups.dedup();
    let chosen: HashSet<Arc<str>> = groups.into_iter().step_by(step).collect();
    let (train, traffic): (Vec<Row>, Vec<Row>) = first.into_iter().partition(|r| chosen.contains(&r.extra[0]));
    corpus.train.extend(train);
    corpus.benign.extend(traffic);
    corpus
}

fn is_first(file: &FrameFile, frame: &str) -> bool {
    let lower = frame.to_lowercase();
    file.category.as_deref().is_some_and(|c| FIRST_CATEGORIES.contains(&c)) && !FIRST_AVOIDS.iter().any(|w| lower.contains(w))
}

fn fill(file: &FrameFile, name: &str, group: &str, frame: &str) -> Vec<Row> {
    let n = if file.family.is_some() { MOST_FILLINGS.1 } else { MOST_FILLINGS.0 };
    let texts = expand(frame, &file.slots, n).expect("parse has looked at every frame");
    texts
        .iter()
        .map(|text| {
            let mut row = row(name, group, text, file.family.as_deref());
            if let Some(category) = &file.category {
                row.category = category.as_str().into();
            }
            row
        })
        .collect()
}

fn row(name: &str, group: &str, text: &str, family: Option<&str>) -> Row {
    let mut row = Row::new(text, if family.is_some() { Label::Attack } else { Label::Benign });
    if let Some(family) = family {
        row.family = family.into();
        row.severity = severity(family).into();
    }
    row.source = format!("starter/{name}").into();
    row.extra = [group.into()].into();
    row
}

fn severity(family: &str) -> &'static str {
    match family {
        "data_exfil_pattern" => "critical",
        "instruction_override" | "system_prompt_extraction" | "privilege_escalation" | "indirect_injection" => "high",
        "role_persona" | "semantic_jailbreak" => "high",
        _ => "medium",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::FAMILIES;
    use std::collections::{BTreeMap, BTreeSet};

    fn all(corpus: &Starter) -> Vec<&Row> {
        [
            &corpus.train,
            &corpus.benign,
            &corpus.gate_benign,
            &corpus.gate_attacks,
            &corpus.hard_negatives_train,
            &corpus.hard_negatives_test,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    #[test]
    fn the_embedded_files_parse() {
        for (name, text) in FRAME_FILES {
            parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let twins: TwinFile = toml::from_str(TWINS).unwrap();
        assert!(twins.twin.iter().all(|t| ["train", "test"].contains(&t.split.as_str()) && FAMILIES.contains(&t.family.as_str())));
    }

    #[test]
    fn the_corpus_is_as_large_as_it_says() {
        let corpus = starter();
        let rows = all(&corpus);
        let n = |attack: bool| rows.iter().filter(|r| r.is_attack() == attack).count();
        assert!(n(false) >= 6_000 && n(true) >= 2_000, "{} benign, {} attacks", n(false), n(true));
        assert!(corpus.hard_negatives_train.len() + corpus.hard_negatives_test.len() >= 300);
        let families: BTreeSet<&str> = rows.iter().filter(|r| r.is_attack()).map(|r| &*r.family).collect();
        assert_eq!(families, FAMILIES.into_iter().collect());
        let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
        corpus.gate_benign.iter().for_each(|r| *categories.entry(&r.category).or_default() += 1);
        assert_eq!(categories.len(), 9);
        // 598 clean ones are the fewest that can show an FPR below 0.5 %, in each half of the gate.
        assert!(categories["programming"] >= 1_300, "{categories:?}");
        let texts: BTreeSet<&str> = rows.iter().map(|r| r.text.as_str()).collect();
        assert_eq!(texts.len(), rows.len());
    }

    #[test]
    fn train_and_test_share_no_frame() {
        let corpus = starter();
        let groups = |parts: [&[Row]; 3]| -> BTreeSet<String> { parts.into_iter().flatten().map(|r| r.extra[0].to_string()).collect() };
        let train = groups([&corpus.train, &corpus.benign, &corpus.hard_negatives_train]);
        let test = groups([&corpus.gate_benign, &corpus.gate_attacks, &corpus.hard_negatives_test]);
        assert!(train.is_disjoint(&test));
    }

    #[test]
    fn the_first_guard_sees_few_and_plain_benign_prompts() {
        let corpus = starter();
        let benign: Vec<&Row> = corpus.train.iter().filter(|r| !r.is_attack()).collect();
        assert!((500..1_500).contains(&benign.len()), "{}", benign.len());
        assert!(corpus.benign.len() > 4 * benign.len());
    }
}
