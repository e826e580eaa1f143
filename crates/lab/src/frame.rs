//! Frames: sentence templates with choices, expanded to distinct prompts. The format of the files in `data/starter/`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::random::Random;

/// A file of frames, all of one category or of one attack family.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameFile {
    /// The benign category.
    pub category: Option<String>,
    /// The attack family.
    pub family: Option<String>,
    /// Named lists that a frame can draw from.
    #[serde(default)]
    pub slots: BTreeMap<String, Vec<String>>,
    /// The templates.
    pub frames: Frames,
}

/// Templates, held apart by construction.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frames {
    /// Those to train on.
    pub train: Vec<String>,
    /// Those to measure on.
    pub test: Vec<String>,
}

/// Parses a file of frames.
///
/// # Errors
/// A sentence that names the fault.
pub fn parse(text: &str) -> Result<FrameFile, String> {
    let file: FrameFile = toml::from_str(text).map_err(|e| e.to_string())?;
    if file.category.is_some() == file.family.is_some() {
        return Err("one of category and family is needed".to_string());
    }
    for frame in file.frames.train.iter().chain(&file.frames.test) {
        pieces(frame, &file.slots).map_err(|e| format!("frame {frame:?}: {e}"))?;
    }
    Ok(file)
}

/// At most `n` distinct fillings of a frame, spread over its choices.
///
/// # Errors
/// A sentence that names the fault of the frame.
pub fn expand(frame: &str, slots: &BTreeMap<String, Vec<String>>, n: usize) -> Result<Vec<String>, String> {
    let pieces = pieces(frame, slots)?;
    let mut random = Random::new(0, frame);
    // Each choice list is shuffled and walked in turn, so that neighboring fillings differ in every place that they can.
    let orders: Vec<Vec<usize>> = pieces
        .iter()
        .map(|choices| {
            let mut order: Vec<usize> = (0..choices.len()).collect();
            random.shuffle(&mut order);
            order
        })
        .collect();
    let n_all = pieces.iter().fold(1usize, |product, choices| product.saturating_mul(choices.len()));
    let mut fillings = Vec::new();
    let mut seen = BTreeSet::new();
    for step in 0..20 * n {
        if fillings.len() == n.min(n_all) {
            break;
        }
        let filling: String = pieces
            .iter()
            .zip(&orders)
            .map(|(choices, order)| {
                // Past one walk of a list, other lists must be out of step with it to give something new.
                let lap = step / choices.len();
                let at = if lap == 0 || choices.len() == 1 { step } else { step + random.below(choices.len()) };
                choices[order[at % order.len()]].as_str()
            })
            .collect();
        if seen.insert(filling.clone()) {
            fillings.push(filling);
        }
    }
    Ok(fillings)
}

/// The frame as a list of choices; fixed text is a choice of one.
fn pieces(frame: &str, slots: &BTreeMap<String, Vec<String>>) -> Result<Vec<Vec<String>>, String> {
    let mut pieces: Vec<Vec<String>> = Vec::new();
    let mut fixed = String::new();
    let mut rest = frame;
    while let Some(at) = rest.find(['{', '}']) {
        fixed.push_str(&rest[..at]);
        let (brace, tail) = (&rest[at..at + 1], &rest[at + 1..]);
        if let Some(tail) = tail.strip_prefix(brace) {
            fixed.push_str(brace);
            rest = tail;
            continue;
        }
        if brace == "}" {
            return Err("a closing brace without an opening one".to_string());
        }
        let end = tail.find('}').ok_or("an opening brace without a closing one")?;
        let inner = &tail[..end];
        pieces.push(vec![std::mem::take(&mut fixed)]);
        if inner.contains('{') {
            return Err("a choice inside a choice".to_string());
        }
        pieces.push(if inner.contains('|') {
            inner.split('|').map(str::to_string).collect()
        } else {
            slots.get(inner).filter(|list| !list.is_empty()).ok_or_else(|| format!("no slot {inner:?}"))?.clone()
        });
        rest = &tail[end + 1..];
    }
    fixed.push_str(rest);
    pieces.push(vec![fixed]);
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots() -> BTreeMap<String, Vec<String>> {
        [("x".to_string(), vec!["1".to_string(), "2".to_string(), "3".to_string()])].into()
    }

    #[test]
    fn choices_and_slots_are_filled_and_braces_can_be_written() {
        let mut all = expand("{a|b} {x} {{z}}", &slots(), 10).unwrap();
        all.sort();
        assert_eq!(all, ["a 1 {z}", "a 2 {z}", "a 3 {z}", "b 1 {z}", "b 2 {z}", "b 3 {z}"]);
        assert_eq!(expand("plain", &slots(), 5).unwrap(), ["plain"]);
        assert_eq!(expand("{x}{x}", &slots(), 4).unwrap().len(), 4);
        assert_eq!(expand("{x}-{x}", &slots(), 4).unwrap(), expand("{x}-{x}", &slots(), 4).unwrap());
    }

    #[test]
    fn few_fillings_cover_the_choices() {
        let three: BTreeSet<char> = expand("{x}", &slots(), 3).unwrap().iter().filter_map(|s| s.chars().next()).collect();
        assert_eq!(three.len(), 3);
    }

    #[test]
    fn a_faulty_frame_is_named_with_its_fault() {
        for (frame, fault) in [
            ("{y}", "no slot \"y\""),
            ("a } b", "a closing brace"),
            ("{a|b", "an opening brace"),
            ("{a|{x}}", "a choice inside a choice"),
        ] {
            let text = format!("category = 'c'\n[frames]\ntrain = ['{frame}']\ntest = []\n");
            let error = parse(&text).unwrap_err();
            assert!(error.contains(fault) && error.contains(frame), "{error}");
        }
        assert!(parse("category = 'c'\nfamily = 'f'\n[frames]\ntrain = []\ntest = []").is_err());
        assert!(parse("category = 'c'").unwrap_err().contains("frames"));
    }
}
