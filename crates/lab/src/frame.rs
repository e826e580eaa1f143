//! Frames: sentence templates which are expanded into distinct prompts.
//!
//! `{name}` picks from a slot of the file, `{a|b|c}` from the choices themselves, `{{` and `}}` are braces.
//! A frame gives the same prompts on each call; this module must never read a file or let half a template through.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::random::Random;
use crate::row::{FAMILIES, Label};

/// A file of frames, all of one attack family or of one benign category.
#[derive(Debug)]
pub(crate) struct FrameFile {
    /// What the rows are.
    pub label: Label,
    /// The attack family, or the benign category.
    pub name: String,
    /// Frames for training.
    pub train: Vec<Frame>,
    /// Frames for measuring.
    pub test: Vec<Frame>,
}

/// A sentence template.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The template as written: the seed of its expansion.
    text: String,
    /// The fixed pieces of text, one more than there are choices.
    pub literals: Vec<String>,
    /// Each gap's choices: at least two, all different.
    choices: Vec<Choices>,
}

pub(crate) type Choices = Arc<[String]>;

/// A value, or what is wrong with one frame or slot; its place in the file is added further up.
pub(crate) type Checked<T> = std::result::Result<T, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    category: Option<String>,
    family: Option<String>,
    #[serde(default)]
    slots: BTreeMap<String, Vec<String>>,
    frames: Split,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    train: Vec<String>,
    test: Vec<String>,
}

impl FrameFile {
    /// Parses a frame file. `stem` is its name without `.toml`: `benign_CATEGORY` or `attack_FAMILY`.
    ///
    /// # Errors
    /// [`Error::Format`] with the file, the frame (`train/1` is the first) and the reason.
    pub(crate) fn parse(stem: &str, source: &str) -> Result<FrameFile> {
        let path = format!("{stem}.toml");
        let fault = |reason: String| Error::format(Path::new(&path), reason);
        let source: Source = toml::from_str(source).map_err(|e| fault(e.to_string()))?;
        let (label, name) = match (source.category, source.family) {
            (Some(category), None) => (Label::Benign, category),
            (None, Some(family)) => (Label::Attack, family),
            _ => return Err(fault("neither or both of `category` and `family`: give the one that fits".into())),
        };
        if label == Label::Attack && !FAMILIES.contains(&name.as_str()) {
            return Err(fault(format!("family {name} is unknown: use one of {}", FAMILIES.join(", "))));
        }
        let expected = format!("{}_{name}", if label == Label::Attack { "attack" } else { "benign" });
        if stem != expected {
            return Err(fault(format!("holds what {expected}.toml should hold: rename it, or change the name inside")));
        }
        let mut slots: BTreeMap<String, Choices> = BTreeMap::new();
        for (slot, choices) in source.slots {
            check_choices(&choices).map_err(|reason| fault(format!("slot {slot}: {reason}")))?;
            slots.insert(slot, choices.into());
        }
        let mut used = BTreeSet::new();
        let mut frames = |split: &str, texts: Vec<String>| {
            let parsed = texts.into_iter().enumerate().map(|(i, text)| {
                Frame::parse(text, &slots, &mut used).map_err(|reason| fault(format!("frame {split}/{}: {reason}", i + 1)))
            });
            parsed.collect::<Result<Vec<Frame>>>()
        };
        let (train, test) = (frames("train", source.frames.train)?, frames("test", source.frames.test)?);
        if let Some(slot) = slots.keys().find(|s| !used.contains(*s)) {
            return Err(fault(format!("slot {slot}: no frame uses it: remove it, or correct the name in the frames")));
        }
        Ok(FrameFile { label, name, train, test })
    }
}

impl Frame {
    pub(crate) fn parse(text: String, slots: &BTreeMap<String, Choices>, used: &mut BTreeSet<String>) -> Checked<Frame> {
        let (mut literals, mut choices) = (vec![String::new()], Vec::new());
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            let literal = literals.last_mut().expect("never empty");
            literal.push_str(before);
            if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            if brace.starts_with('}') {
                return Err("a } closes nothing: write }} for a brace".into());
            }
            let Some((inside, after)) = brace[1..].split_once('}').filter(|(inside, _)| !inside.contains('{')) else {
                return Err("a { is not closed before the next one or the end: write {{ for a brace, and nest nothing".into());
            };
            if inside.contains('|') {
                let inline: Vec<String> = inside.split('|').map(str::to_string).collect();
                check_choices(&inline).map_err(|reason| format!("{{{inside}}}: {reason}"))?;
                choices.push(inline.into());
            } else if let Some(slot) = slots.get(inside) {
                used.insert(inside.to_string());
                choices.push(Arc::clone(slot));
            } else {
                return Err(format!("slot {{{inside}}} is not in the file's [slots]: add it, or write {{{{ for a brace"));
            }
            literals.push(String::new());
            rest = after;
        }
        literals.last_mut().expect("never empty").push_str(rest);
        if text.trim().is_empty() {
            return Err("holds no text: write some, or remove it".into());
        }
        Ok(Frame { text, literals, choices })
    }

    /// The fixed pieces of text and all choices.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &str> {
        self.literals.iter().chain(self.choices.iter().flat_map(|c| c.iter())).map(String::as_str)
    }

    /// At most `n` distinct fillings, as different from one another as the choices allow.
    ///
    /// Each filling takes, gap by gap, the choice whose earlier fillings are fewest and agree least with it up to here; so a
    /// choice returns only when its list is exhausted, and two gaps return together only where they must. Random draws, the
    /// simpler way, give three fillings of a gap with six choices a repeat in 44 % of cases (1 - 5/6 * 4/6).
    pub(crate) fn fill(&self, n: usize) -> Vec<String> {
        let mut random = Random::new(0, &self.text);
        let gaps: Vec<Vec<&str>> = self.choices.iter().map(|c| shuffled(c, &mut random)).collect();
        let n_possible = gaps.iter().fold(1usize, |product, gap| product.saturating_mul(gap.len()));
        let mut fillings: Vec<Vec<usize>> = Vec::new();
        while fillings.len() < n.min(n_possible) {
            let mut filling = far_from(&fillings, &gaps);
            while fillings.contains(&filling) {
                advance(&mut filling, &gaps);
            }
            fillings.push(filling);
        }
        fillings.iter().map(|filling| self.text_of(filling, &gaps)).collect()
    }

    fn text_of(&self, filling: &[usize], gaps: &[Vec<&str>]) -> String {
        // A frame's source is usually longer than each of its texts, so that few of them grow.
        let mut text = String::with_capacity(self.text.len());
        text.push_str(&self.literals[0]);
        for ((gap, &choice), literal) in gaps.iter().zip(filling).zip(&self.literals[1..]) {
            text.push_str(gap[choice]);
            text.push_str(literal);
        }
        text
    }
}

pub(crate) fn check_choices(choices: &[String]) -> Checked<()> {
    if choices.len() < 2 {
        return Err("fewer than two choices: add one, or write the text itself".into());
    }
    match choices.iter().enumerate().find(|(i, choice)| choices[..*i].contains(choice)) {
        Some((_, twice)) => Err(format!("choice {twice:?} stands there twice: remove one")),
        None => Ok(()),
    }
}

fn shuffled<'a>(choices: &'a [String], random: &mut Random) -> Vec<&'a str> {
    let mut choices: Vec<&str> = choices.iter().map(String::as_str).collect();
    random.shuffle(&mut choices);
    choices
}

/// A filling that agrees little with each of the earlier ones.
fn far_from(fillings: &[Vec<usize>], gaps: &[Vec<&str>]) -> Vec<usize> {
    // Each gap in which an earlier filling agrees multiplies its weight, so that one close neighbor outweighs several far ones.
    let mut closeness = vec![1u64; fillings.len()];
    let mut filling = Vec::with_capacity(gaps.len());
    for (place, gap) in gaps.iter().enumerate() {
        let cost = |choice: usize| {
            let users = fillings.iter().zip(&closeness).filter(|(f, _)| f[place] == choice);
            users.fold(0u64, |sum, (_, &near)| sum.saturating_add(near))
        };
        let choice = (0..gap.len()).min_by_key(|&choice| cost(choice)).expect("a gap has choices");
        for (near, _) in closeness.iter_mut().zip(fillings).filter(|(_, f)| f[place] == choice) {
            *near = near.saturating_mul(4);
        }
        filling.push(choice);
    }
    filling
}

/// The next filling in counting order, after the last the first.
fn advance(filling: &mut [usize], gaps: &[Vec<&str>]) {
    for (choice, gap) in filling.iter_mut().zip(gaps).rev() {
        *choice = (*choice + 1) % gap.len();
        if *choice > 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        let slots = [("animal".to_string(), Choices::from(["cat".to_string(), "dog".to_string()]))].into();
        Frame::parse(text.to_string(), &slots, &mut BTreeSet::new()).unwrap()
    }

    #[test]
    fn a_frame_gives_each_of_its_texts() {
        let rows: [(&str, &[&str]); 6] = [
            ("plain", &["plain"]),
            ("a {animal}", &["a cat", "a dog"]),
            ("{x|y}{|!}", &["x", "x!", "y", "y!"]),
            ("fn f() {{{a|b}}}", &["fn f() {a}", "fn f() {b}"]),
            (" spaces {a|b } stay ", &[" spaces a stay ", " spaces b  stay "]),
            ("{one\ntwo|three}", &["one\ntwo", "three"]),
        ];
        for (text, expected) in rows {
            let mut texts = frame(text).fill(10);
            texts.sort();
            let mut expected = expected.to_vec();
            expected.sort();
            assert_eq!(texts, expected, "{text}");
        }
    }

    #[test]
    fn fillings_differ_in_as_many_gaps_as_the_choices_allow() {
        // Per frame: how many fillings, and in how many gaps the two closest of them differ.
        let rows = [
            ("{a|b|c|d|e|f} {a|b|c|d|e|f} {a|b|c|d|e|f}", 6, 3),
            ("{a|b|c} {a|b|c} {a|b|c}", 3, 3),
            ("{a|b|c} {a|b|c} {a|b|c}", 6, 2),
            ("{a|b|c|d} {a|b|c|d} {a|b|c|d}", 7, 2),
            ("{a|b} {a|b|c}", 6, 1),
            ("{a|b} {a|b|c|d|e|f} {a|b|c|d|e|f}", 6, 2),
            ("{a|b} {a|b}", 9, 1),
        ];
        for (text, n, closest) in rows {
            let texts = frame(text).fill(n);
            assert_eq!(texts.len(), n.min(if text.len() < 12 { 4 } else { n }), "{text}");
            let distance = |a: &str, b: &str| a.split(' ').zip(b.split(' ')).filter(|(x, y)| x != y).count();
            let pairs = texts.iter().enumerate().flat_map(|(i, a)| texts[..i].iter().map(move |b| distance(a, b)));
            assert_eq!(pairs.min(), Some(closest), "{text}: {texts:?}");
        }
    }

    #[test]
    fn a_malformed_file_is_rejected_with_file_frame_and_reason() {
        let file = |train: &str| format!("category = \"creative\"\n[frames]\ntrain = ['ok', {train}]\ntest = []\n");
        let rows = [
            ("not TOML", "benign_creative", "category = ".to_string(), "TOML parse error"),
            ("unknown key", "benign_creative", format!("{}\nmore = 1", file("'x'")), "unknown field `more`"),
            ("no test frames", "benign_creative", "category = \"creative\"\n[frames]\ntrain = []".into(), "missing field `test`"),
            ("no name", "benign_creative", "[frames]\ntrain = []\ntest = []".into(), "neither or both"),
            ("unknown family", "attack_theft", "family = \"theft\"\n[frames]\ntrain = []\ntest = []".into(), "theft is unknown"),
            ("wrong name", "benign_poems", file("'x'"), "benign_creative.toml should hold"),
            ("unknown slot", "benign_creative", file("'a {thing}'"), "frame train/2: slot {thing} is not in"),
            ("not closed", "benign_creative", file("'a {b|c'"), "frame train/2: a { is not closed"),
            ("nested", "benign_creative", file("'a {b|{c|d}}'"), "frame train/2: a { is not closed"),
            ("not opened", "benign_creative", file("'a b}'"), "frame train/2: a } closes nothing"),
            ("repeated", "benign_creative", file("'{b|b}'"), "frame train/2: {b|b}: choice \"b\" stands there twice"),
            ("empty", "benign_creative", file("' '"), "frame train/2: holds no text"),
            ("single choice", "benign_creative", format!("{}[slots]\na = ['x']", file("'{a}'")), "slot a: fewer than two"),
            ("unused slot", "benign_creative", format!("{}[slots]\na = ['x', 'y']", file("'z'")), "slot a: no frame uses it"),
        ];
        for (name, stem, source, expected) in rows {
            let error = FrameFile::parse(stem, &source).expect_err(name).to_string();
            assert!(error.starts_with(&format!("{stem}.toml: ")) && error.contains(expected), "{name}: {error}");
        }
        assert_eq!(FrameFile::parse("benign_creative", &file("'x'")).unwrap().train.len(), 2);
    }
}
