//! The attack corpus: what is asked (the payload), with a harmless twin, and where it stands (the carrier).
//!
//! `data/attacks` holds pairs of payloads by goal, manner and language, and carriers by kind and language, all written for
//! this project. Each pair is filled several times, put into carriers and disguised; its twin gets the same carrier with the
//! same filling and the same disguise, so that neither a carrier nor a form says by itself which of the two it holds.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::frame::{Choices, Frame, check_choices};
use crate::random::Random;
use crate::row::{Label, Row};
use crate::transform::Transform;

/// The columns of [`Row::extra`].
pub const EXTRA: [&str; 5] = ["group", "carrier", "goal", "manner", "lang"];

/// The goals, and the attack family and severity of each.
const GOALS: [(&str, &str, &str); 11] = [
    ("leak_prompt", "system_prompt_extraction", "high"),
    ("leak_secret", "data_exfil_pattern", "critical"),
    ("exfiltrate", "data_exfil_pattern", "critical"),
    ("tool_action", "privilege_escalation", "critical"),
    ("persona", "role_persona", "high"),
    ("drop_rules", "semantic_jailbreak", "high"),
    ("mislead", "other_attack", "medium"),
    ("refuse", "other_attack", "medium"),
    ("memory", "context_manipulation", "medium"),
    ("override", "instruction_override", "high"),
    ("hijack", "indirect_injection", "medium"),
];

/// The benign category of a text in each carrier; those of other carriers and forms are edge cases.
const CATEGORIES: [(&str, &str); 16] = [
    ("direct", "conversational"),
    ("email", "professional"),
    ("calendar", "professional"),
    ("resume", "professional"),
    ("chat", "daily_tasks"),
    ("review", "daily_tasks"),
    ("subtitles", "creative"),
    ("webpage", "general_knowledge"),
    ("passage", "general_knowledge"),
    ("document", "education"),
    ("code", "programming"),
    ("commit", "programming"),
    ("issue", "programming"),
    ("log", "technical_docs"),
    ("html", "technical_docs"),
    ("table", "technical_docs"),
];

/// In these carriers a payload is a string of JSON.
const QUOTED: [&str; 1] = ["tool"];

/// Fillings of a pair as a message of its own, in carriers, and disguised.
const N_DIRECT: usize = 3;
const N_CARRIED: usize = 5;
const N_DISGUISED: usize = 2;
/// Fillings of a language's plain prompts.
const N_BENIGN: usize = 4;

/// The corpus. Attacks and twins stand in the same order; a twin has its attack's group, carrier, manner and language.
#[derive(Debug, Clone, Default)]
pub struct Scenarios {
    /// Attacks.
    pub attacks: Vec<Row>,
    /// Harmless texts that differ from an attack in the payload alone.
    pub twins: Vec<Row>,
    /// Ordinary prompts of many languages, and texts that defend a model.
    pub benign: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    language: String,
    goal: Option<String>,
    carrier: Option<String>,
    #[serde(default)]
    slots: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pair: Vec<PairSource>,
    #[serde(default)]
    frame: Vec<TextSource>,
    #[serde(default)]
    benign: Vec<TextSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PairSource {
    goal: Option<String>,
    manner: String,
    #[serde(rename = "where", default)]
    place: Place,
    attack: String,
    benign: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextSource {
    carrier: Option<String>,
    category: Option<String>,
    text: String,
}

/// Where a payload can stand.
#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Place {
    Direct,
    Embedded,
    #[default]
    Both,
}

struct Pair {
    group: Arc<str>,
    language: Arc<str>,
    goal: usize,
    manner: Arc<str>,
    place: Place,
    attack: Frame,
    benign: Frame,
}

struct Carrier {
    name: Arc<str>,
    language: Arc<str>,
    frame: Frame,
}

/// Stands in a carrier's text for its payload until that is known. No prompt holds it.
const PAYLOAD: &str = "\u{fffc}";

/// Builds the corpus from its files: names without `.toml`, and contents.
///
/// # Errors
/// [`Error::Format`] with the file, the entry and the reason.
pub fn scenarios(files: &[(&str, &str)]) -> Result<Scenarios> {
    let mut pairs = Vec::new();
    let mut carriers: Vec<Carrier> = Vec::new();
    let mut out = Builder { made: Scenarios::default(), seen: HashSet::new() };
    for (stem, source) in files {
        read(stem, source, &mut pairs, &mut carriers, &mut out)?;
    }
    for pair in &pairs {
        out.add(pair, &carriers);
    }
    Ok(out.made)
}

fn read(stem: &str, source: &str, pairs: &mut Vec<Pair>, carriers: &mut Vec<Carrier>, out: &mut Builder) -> Result<()> {
    let path = format!("{stem}.toml");
    let fault = |reason: String| Error::format(Path::new(&path), reason);
    let source: Source = toml::from_str(source).map_err(|e| fault(e.to_string()))?;
    let mut slots: BTreeMap<String, Choices> = BTreeMap::new();
    for (slot, choices) in source.slots {
        check_choices(&choices).map_err(|reason| fault(format!("slot {slot}: {reason}")))?;
        slots.insert(slot, choices.into());
    }
    let language: Arc<str> = source.language.into();
    let mut used = BTreeSet::new();
    for (i, pair) in source.pair.into_iter().enumerate() {
        let fault = |reason: String| fault(format!("pair {}: {reason}", i + 1));
        let name = pair.goal.or_else(|| source.goal.clone()).unwrap_or_default();
        let goal = GOALS.iter().position(|g| g.0 == name).ok_or_else(|| fault(format!("goal {name:?} is unknown")))?;
        pairs.push(Pair {
            group: format!("attacks/{stem}/{}", i + 1).into(),
            language: Arc::clone(&language),
            goal,
            manner: pair.manner.into(),
            place: pair.place,
            attack: Frame::parse(pair.attack.trim().to_string(), &slots, &mut used).map_err(&fault)?,
            benign: Frame::parse(pair.benign.trim().to_string(), &slots, &mut used).map_err(&fault)?,
        });
    }
    for (i, frame) in source.frame.into_iter().enumerate() {
        let fault = |reason: String| fault(format!("frame {}: {reason}", i + 1));
        let name = frame.carrier.or_else(|| source.carrier.clone()).ok_or_else(|| fault("names no carrier".into()))?;
        if frame.text.matches("{payload}").count() != 1 {
            return Err(fault("{payload} must stand in it once".into()));
        }
        let text = frame.text.trim().replace("{payload}", PAYLOAD);
        let frame = Frame::parse(text, &slots, &mut used).map_err(&fault)?;
        carriers.push(Carrier { name: name.into(), language: Arc::clone(&language), frame });
    }
    for (i, text) in source.benign.into_iter().enumerate() {
        let frame = Frame::parse(text.text.trim().to_string(), &slots, &mut used)
            .map_err(|reason| fault(format!("benign {}: {reason}", i + 1)))?;
        let group: Arc<str> = format!("attacks/{stem}/benign/{}", i + 1).into();
        for filled in frame.fill(N_BENIGN) {
            let extra = [Arc::clone(&group), "direct".into(), "".into(), "".into(), Arc::clone(&language)];
            let row = Row {
                category: text.category.as_deref().unwrap_or("general_knowledge").into(),
                source: "attacks/benign".into(),
                extra: extra.into(),
                ..Row::new(filled, Label::Benign)
            };
            out.keep_benign(row);
        }
    }
    if let Some(slot) = slots.keys().find(|s| !used.contains(*s)) {
        return Err(fault(format!("slot {slot}: nothing uses it: remove it, or correct the name where it should be")));
    }
    Ok(())
}

struct Builder {
    made: Scenarios,
    seen: HashSet<String>,
}

impl Builder {
    fn add(&mut self, pair: &Pair, carriers: &[Carrier]) {
        let mut random = Random::new(42, &pair.group);
        let n = N_DIRECT + N_CARRIED + N_DISGUISED;
        let (attacks, twins) = (pair.attack.fill(n), pair.benign.fill(n));
        let filling = |i: usize| [&attacks[i % attacks.len()], &twins[i % twins.len()]].map(String::clone);
        let mut next = 0;
        if pair.place != Place::Embedded {
            for i in 0..N_DIRECT.min(attacks.len()) {
                self.keep(pair, "direct", filling(i));
            }
            next = N_DIRECT;
        }
        let fits = |c: &&Carrier| c.language == pair.language && (pair.place != Place::Direct || &*c.name == "direct");
        let fitting: Vec<&Carrier> = carriers.iter().filter(fits).collect();
        // Kinds of carrier take turns, whatever the number of their frames.
        let mut kinds: Vec<&str> = fitting.iter().map(|c| &*c.name).collect::<BTreeSet<_>>().into_iter().collect();
        random.shuffle(&mut kinds);
        for i in 0..if kinds.is_empty() { 0 } else { N_CARRIED } {
            let kind = kinds[i % kinds.len()];
            let of_kind: Vec<&&Carrier> = fitting.iter().filter(|c| &*c.name == kind).collect();
            let carrier = of_kind[random.below(of_kind.len())];
            let documents = carrier.frame.fill(8);
            let document = &documents[random.below(documents.len())];
            let put = |payload: String| {
                let payload = if QUOTED.contains(&kind) {
                    let quoted = serde_json::Value::from(payload).to_string();
                    quoted[1..quoted.len() - 1].to_string()
                } else {
                    payload
                };
                document.replace(PAYLOAD, &payload)
            };
            self.keep(pair, kind, filling(next + i).map(put));
        }
        for i in 0..N_DISGUISED {
            let transform = Transform::ALL[random.below(Transform::ALL.len())];
            let seed = random.next_u64();
            let disguise = |text: String| transform.apply(&text, &mut Random::new(seed, "disguise"));
            self.keep(pair, transform.name(), filling(next + N_CARRIED + i).map(disguise));
        }
    }

    /// Keeps an attack and its twin, unless one of the texts is there already.
    fn keep(&mut self, pair: &Pair, carrier: &str, [attack, twin]: [String; 2]) {
        if attack == twin || !self.seen.insert(attack.clone()) || !self.seen.insert(twin.clone()) {
            return;
        }
        let (goal, family, severity) = GOALS[pair.goal];
        let family =
            if carrier == "direct" || Transform::ALL.iter().any(|t| t.name() == carrier) { family } else { "indirect_injection" };
        let extra: [Arc<str>; 5] =
            [Arc::clone(&pair.group), carrier.into(), goal.into(), Arc::clone(&pair.manner), Arc::clone(&pair.language)];
        let attack = Row {
            family: family.into(),
            severity: severity.into(),
            source: format!("attacks/{goal}").into(),
            extra: extra.clone().into(),
            ..Row::new(attack, Label::Attack)
        };
        let twin = Row {
            category: CATEGORIES.iter().find(|c| c.0 == carrier).map_or("edge_cases", |c| c.1).into(),
            source: "attacks/twins".into(),
            extra: extra.into(),
            ..Row::new(twin, Label::Benign)
        };
        self.made.attacks.push(attack);
        self.made.twins.push(twin);
    }

    fn keep_benign(&mut self, row: Row) {
        if self.seen.insert(row.text.clone()) {
            self.made.benign.push(row);
        }
    }
}
