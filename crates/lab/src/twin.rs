//! Twins: an attack and the harmless prompt that looks most like it, written by hand.
//!
//! A guard that tells the two apart has learned more than the words of attacks. This module must never read a file.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::row::FAMILIES;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Twins {
    twin: Vec<Twin>,
}

/// An attack and the harmless prompt that looks most like it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Twin {
    /// What both are for.
    pub split: Split,
    /// The attack's family.
    pub family: String,
    /// The attack.
    pub attack: String,
    /// The harmless prompt.
    pub benign: String,
    /// Why it is harmless, in a few words.
    pub why: String,
}

/// What a prompt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Split {
    /// Training.
    Train,
    /// Measuring.
    Test,
}

impl Split {
    /// The name that files use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

/// Parses a twins file. `stem` is its name without `.toml`.
///
/// # Errors
/// [`Error::Format`] with the file, the twin (`twin 1` is the file's first) and the reason.
pub(crate) fn parse_twins(stem: &str, source: &str) -> Result<Vec<Twin>> {
    let path = format!("{stem}.toml");
    let fault = |reason: String| Error::format(Path::new(&path), reason);
    let twins: Twins = toml::from_str(source).map_err(|e| fault(e.to_string()))?;
    for (i, twin) in twins.twin.iter().enumerate() {
        let empty = [("attack", &twin.attack), ("benign", &twin.benign), ("why", &twin.why)]
            .into_iter()
            .find(|(_, t)| t.trim().is_empty());
        if let Some((field, _)) = empty {
            return Err(fault(format!("twin {}: `{field}` holds no text: write some", i + 1)));
        }
        if !FAMILIES.contains(&twin.family.as_str()) {
            return Err(fault(format!("twin {}: family {} is unknown: use one of {}", i + 1, twin.family, FAMILIES.join(", "))));
        }
    }
    Ok(twins.twin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_file_is_rejected_with_file_twin_and_reason() {
        let good = "[[twin]]\nsplit = 'train'\nfamily = 'other_attack'\nattack = 'a'\nbenign = 'b'\nwhy = 'w'\n".to_string();
        let rows = [
            ("unknown split", good.replace("train", "tune"), "unknown variant `tune`"),
            ("unknown field", good.replace("why", "because"), "unknown field `because`"),
            ("missing field", good.replace("why = 'w'", ""), "missing field `why`"),
            ("unknown family", good.replace("other_attack", "theft"), "twin 1: family theft is unknown"),
            ("empty text", format!("{good}{}", good.replace("'b'", "' '")), "twin 2: `benign` holds no text"),
        ];
        for (name, source, expected) in rows {
            let error = parse_twins("pairs", &source).expect_err(name).to_string();
            assert!(error.starts_with("pairs.toml: ") && error.contains(expected), "{name}: {error}");
        }
        let twins = parse_twins("pairs", &good.replace("train", "test")).unwrap();
        assert_eq!((twins.len(), twins[0].split.name()), (1, "test"));
    }
}
