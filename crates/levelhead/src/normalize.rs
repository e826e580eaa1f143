//! Stage 1: one canonical spelling for the many ways to write the same text.
//!
//! Compatibility forms are folded (NFKC), letters are lower-cased, characters that show nothing are removed,
//! and Unicode tag characters, which can hide a message, become the ASCII that they stand for.
//! It must never judge: an odd spelling is no verdict.

use unicode_normalization::UnicodeNormalization;

/// A prompt after normalization: the only text that later stages accept.
///
/// ```
/// assert_eq!(levelhead::normalize("Ｉｇｎｏｒｅ\u{200b} ALL").as_str(), "ignore all");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Normalized {
    text: String,
}

impl Normalized {
    /// The normalized text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Normalizes a prompt.
pub fn normalize(prompt: &str) -> Normalized {
    let mut normalized = Normalized::default();
    normalize_into(prompt, &mut normalized);
    normalized
}

/// Normalizes a prompt into a buffer that is reused from prompt to prompt.
pub fn normalize_into(prompt: &str, out: &mut Normalized) {
    out.text.clear();
    if prompt.is_ascii() {
        out.text.push_str(prompt);
        out.text.make_ascii_lowercase();
        return;
    }
    out.text.reserve(prompt.len());
    for c in prompt.chars().filter_map(visible).nfkc() {
        if c.is_ascii() {
            out.text.push(c.to_ascii_lowercase());
        } else {
            out.text.extend(c.to_lowercase());
        }
    }
}

/// The character that a reader's model sees, or none for one that shows nothing.
fn visible(c: char) -> Option<char> {
    match c {
        // Soft hyphen, zero-width characters, directional marks and isolates, joiners, byte order mark.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => None,
        '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0100}'..='\u{e01ef}' => None,
        // Tag characters repeat ASCII in a plane that no font shows.
        '\u{e0020}'..='\u{e007e}' => char::from_u32(c as u32 - 0xe0000),
        '\u{e0000}'..='\u{e007f}' => None,
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_of_a_text_becomes_the_same() {
        let rows = [
            ("plain ASCII is lower-cased", "Hello WORLD", "hello world"),
            ("full width", "Ｈｅｌｌｏ", "hello"),
            ("zero width", "he\u{200b}l\u{200d}lo", "hello"),
            ("soft hyphen", "hel\u{ad}lo", "hello"),
            ("ligature", "ﬁle", "file"),
            ("mathematical letters", "𝐡𝐞𝐥𝐥𝐨", "hello"),
            ("tag characters", "a\u{e0048}\u{e0049}", "ahi"),
            ("composed and decomposed", "Cafe\u{301}", "café"),
            ("other scripts stay", "Привет 你好", "привет 你好"),
            ("nothing", "", ""),
            ("only invisible", "\u{200b}\u{feff}", ""),
        ];
        for (name, prompt, expected) in rows {
            assert_eq!(normalize(prompt).as_str(), expected, "{name}");
        }
    }
}
