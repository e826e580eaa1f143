//! Stage 1: one canonical spelling for the many ways to write the same text.
//!
//! Compatibility forms are folded (NFKC), letters are lower-cased, accents and strokes over letters are taken off, characters
//! that show nothing are removed. Unicode tag characters, which can hide a message, small capitals, flags and ligatures become
//! the letters that they stand for.
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
    for c in prompt.chars().filter_map(visible).nfkd().filter(|c| !is_accent(*c)).nfc() {
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
        // Regional indicators: two of them are shown as a flag.
        '\u{1f1e6}'..='\u{1f1ff}' => char::from_u32(c as u32 - 0x1f1e6 + u32::from(b'a')),
        _ if c < '\u{d8}' => Some(c),
        _ => Some(letter(c)),
    }
}

/// Latin letters that no decomposition takes apart: with a stroke, and small capitals.
fn letter(c: char) -> char {
    const OTHER: &str = "øØđĐłŁħŦŧıĸŋæÆœŒᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢ";
    const PLAIN: &str = "ooddllhttiknaaooabcdefghijklmnopqrstuvwyz";
    match OTHER.chars().zip(PLAIN.chars()).find(|(other, _)| *other == c) {
        Some((_, plain)) => plain,
        None => c,
    }
}

/// Whether a character only changes the look of the letter before it.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
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
            ("composed and decomposed", "Cafe\u{301} Café", "cafe cafe"),
            ("strokes and marks", "s̶t̶o̶p̶ ñøẅ đł", "stop now dl"),
            ("small capitals", "ɪɢɴᴏʀᴇ", "ignore"),
            ("flags", "🇬🇴", "go"),
            ("other scripts stay", "Привет 你好 한국어 がぎ नमस्ते", "привет 你好 한국어 がぎ नमस्ते"),
            ("nothing", "", ""),
            ("only invisible", "\u{200b}\u{feff}", ""),
        ];
        for (name, prompt, expected) in rows {
            assert_eq!(normalize(prompt).as_str(), expected, "{name}");
        }
    }
}
