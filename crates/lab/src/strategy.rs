//! How a false positive becomes training rows: one module a strategy, all behind one small interface.
//!
//! A strategy knows which prompts it fits and gives nothing for others. What it gives is a proposal: whether a row may train
//! is for [`crate::reinforce`] to say.

mod format;
mod frame;
mod neighbor;
mod slots;
mod trigger;
mod twin;

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::false_positive::Candidate;
use crate::language::language;
use crate::random::Random;
use crate::row::Row;
use neighbor::Neighbors;
use slots::Lexicon;
use twin::Payloads;

/// A way to make rows from a false positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// The false positive itself; only where it is not measured on.
    Original,
    /// Real benign prompts that share what sets the guard off.
    Neighbor,
    /// What the prompt is about, replaced by something of its kind.
    Slots,
    /// The same request in other words: as a question, an order, a hint, with a greeting, with a typo.
    Frame,
    /// Harmless sentences about the phrase that sets the guard off.
    Trigger,
    /// The false positive with an attack in it, and with the attack's harmless twin.
    Twin,
    /// The same prompt as it stands in other formats.
    Format,
    /// What a language model writes; only where the user names one.
    Llm,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 8] = [
        Strategy::Original,
        Strategy::Neighbor,
        Strategy::Slots,
        Strategy::Frame,
        Strategy::Trigger,
        Strategy::Twin,
        Strategy::Format,
        Strategy::Llm,
    ];

    /// Those that ask nobody.
    pub const OFFLINE: [Strategy; 7] = [
        Strategy::Original,
        Strategy::Neighbor,
        Strategy::Slots,
        Strategy::Frame,
        Strategy::Trigger,
        Strategy::Twin,
        Strategy::Format,
    ];

    /// The name in recipes and in lineage.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Original => "original",
            Strategy::Neighbor => "neighbor",
            Strategy::Slots => "slots",
            Strategy::Frame => "frame",
            Strategy::Trigger => "trigger",
            Strategy::Twin => "twin",
            Strategy::Format => "format",
            Strategy::Llm => "llm",
        }
    }

    /// The strategy of this name.
    pub fn named(name: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|strategy| strategy.name() == name)
    }
}

impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// A benign row that a strategy proposes, perhaps with the attack whose twin it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    /// The benign prompt.
    pub text: String,
    /// An attack that differs from it in little else, and its family. The two train together or not at all.
    pub attack: Option<(String, Arc<str>)>,
}

impl Proposal {
    fn benign(text: String) -> Proposal {
        Proposal { text, attack: None }
    }

    /// Rows that it comes to.
    pub fn n_rows(&self) -> usize {
        1 + usize::from(self.attack.is_some())
    }
}

/// What the strategies draw from, made once for all chosen false positives.
pub(crate) struct Materials<'a> {
    neighbors: Neighbors<'a>,
    lexicon: Lexicon,
    payloads: Payloads,
    written: Vec<Vec<String>>,
}

impl<'a> Materials<'a> {
    /// `pool` holds real benign prompts near the false positives, `traffic` any benign prompts to learn words from, `twins`
    /// pairs of an attack and a harmless text, and `written` what a model wrote for each of the chosen, or nothing.
    pub fn new(
        chosen: &[&Candidate],
        pool: &'a [&'a str],
        traffic: &[&str],
        twins: &[[Row; 2]],
        written: Vec<Vec<String>>,
    ) -> Materials<'a> {
        Materials {
            neighbors: Neighbors::new(chosen, pool),
            lexicon: Lexicon::learn(traffic, chosen.iter().map(|fp| fp.prompt.as_str())),
            payloads: Payloads::new(twins),
            written,
        }
    }

    /// At most `n` proposals for the nth chosen false positive, the most useful first.
    pub fn propose(&self, strategy: Strategy, nth: usize, fp: &Candidate, n: usize, random: &mut Random) -> Vec<Proposal> {
        let prompt = fp.prompt.trim();
        let phrase = fp.phrase.as_deref().unwrap_or("");
        let texts = match strategy {
            Strategy::Original => vec![fp.prompt.clone()],
            Strategy::Neighbor => self.neighbors.of(nth).iter().take(n).map(|text| text.to_string()).collect(),
            Strategy::Slots => self.lexicon.replace(prompt, phrase, n, random),
            Strategy::Frame => frame::rephrase(prompt, n, random),
            Strategy::Trigger => trigger::about(phrase, n, random),
            Strategy::Twin => return self.payloads.twins(prompt, n, random),
            Strategy::Format => format::reformat(prompt, n, random),
            Strategy::Llm => self.written.get(nth).cloned().unwrap_or_default(),
        };
        texts.into_iter().take(n).map(Proposal::benign).collect()
    }
}

/// Longer texts are pasted documents; a greeting in front of one is no variation of it.
const LONGEST_REQUEST: usize = 300;

/// Whether a prompt is one short request in English, to which English words can be added.
fn is_short_request(prompt: &str) -> bool {
    let is_short = prompt.len() <= LONGEST_REQUEST && !prompt.contains('\n') && prompt.split_whitespace().count() >= 3;
    is_short && language(prompt) == "en"
}

/// At most `n` distinct texts other than the prompt. `make` is asked for each of `n_kinds` kinds in turn, so that none crowds
/// out the others; it is given the kind and the round.
fn in_turn(
    prompt: &str,
    n: usize,
    n_kinds: usize,
    random: &mut Random,
    make: impl Fn(usize, usize, &mut Random) -> Option<String>,
) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for round in 0..3 * n {
        for kind in 0..n_kinds {
            if found.len() == n {
                return found;
            }
            let Some(text) = make(kind, round, random) else { continue };
            if text != prompt && !text.trim().is_empty() && !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_strategy_is_found_by_its_name() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::named(strategy.name()), Some(strategy));
        }
        assert_eq!(Strategy::named("magic"), None);
        assert!(Strategy::ALL.into_iter().filter(|s| !Strategy::OFFLINE.contains(s)).eq([Strategy::Llm]));
    }

    #[test]
    fn odd_prompts_never_panic_and_never_repeat_themselves() {
        for prompt in ["", " ", "a", "é", "?", "ab\u{0}cd", "🙂🙂🙂 🙂🙂", "aaaaaaa bbbbbbb", "How do I?", "What is"] {
            let fp = Candidate { prompt: prompt.to_string(), ..Candidate::default() };
            let materials = Materials::new(&[&fp], &[], &[prompt], &[], Vec::new());
            for strategy in &Strategy::ALL[1..] {
                let made = materials.propose(*strategy, 0, &fp, 8, &mut Random::new(1, "test"));
                assert!(made.iter().all(|p| p.text != prompt), "{prompt:?} {strategy:?}");
            }
        }
    }
}
