//! One pass over a segment: its characters, with white space folded, and its words.

use super::WORD_SEED;
use crate::characters::is_alphanumeric;
use crate::hash::step;

/// The characters of a segment, chunk by chunk: one space, the characters that are not white space, one space, and so on.
#[derive(Debug, Default)]
pub(super) struct Characters {
    /// Code points, with [`PADDING`] behind the last space; nothing where the segment is all white space.
    pub codes: Vec<u32>,
    /// Where each character begins and ends. A space begins where the chunk behind it does and ends where the one before it does.
    pub places: Vec<(u32, u32)>,
}

/// What stands behind the last character, as often as the longest n-gram may reach.
pub(super) const PADDING: u32 = u32::MAX;
/// Characters that a kernel sees at once: the longest n-gram.
pub(super) const LONGEST_GRAM: usize = 8;
/// Characters by which words with the same stem are known.
pub(super) const STEM_LETTERS: usize = 6;
/// What parts two chunks.
pub(super) const SPACE: u32 = b' ' as u32;

/// A word or a mark that stands alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub hash: u64,
    /// Hash of its first [`STEM_LETTERS`] characters.
    pub stem: u64,
    pub range: (u32, u32),
    pub segment: u32,
    /// How many characters it has; 255 and more are one.
    pub letters: u8,
}

/// Reads a segment that begins at byte `offset` of its text; words are added, characters replaced.
pub(super) fn scan(piece: &str, offset: u32, segment: u32, characters: &mut Characters, tokens: &mut Vec<Token>) {
    let Characters { codes, places } = characters;
    codes.clear();
    places.clear();
    if piece.is_ascii() {
        let chars = piece.bytes().enumerate().map(|(i, b)| (i, u32::from(b), 1, ASCII[usize::from(b & 127)]));
        scan_chars(chars, offset, segment, characters, tokens);
    } else {
        let chars = piece.char_indices().map(|(i, c)| (i, c as u32, c.len_utf8() as u32, class(c)));
        scan_chars(chars, offset, segment, characters, tokens);
    }
}

#[inline(always)]
fn scan_chars(
    chars: impl Iterator<Item = (usize, u32, u32, Class)>,
    offset: u32,
    segment: u32,
    Characters { codes, places }: &mut Characters,
    tokens: &mut Vec<Token>,
) {
    // Whether the last character was white space, and whether it was part of a word.
    let (mut apart, mut open) = (true, false);
    let mut hash = WORD_SEED;
    for (i, code, n, class) in chars {
        let (start, end) = (offset + i as u32, offset + i as u32 + n);
        let is_space = class == Class::White;
        if !is_space {
            if apart {
                codes.push(SPACE);
                places.push((start, places.last().map_or(start, |p: &(u32, u32)| p.1)));
            }
            codes.push(code);
            places.push((start, end));
        }
        apart = is_space;
        if class == Class::Letter && open {
            hash = step(hash, u64::from(code));
            if let Some(token) = tokens.last_mut() {
                token.hash = hash;
                token.letters = token.letters.saturating_add(1);
                if usize::from(token.letters) <= STEM_LETTERS {
                    token.stem = hash;
                }
                token.range.1 = end;
            }
        } else if matches!(class, Class::Letter | Class::Single) {
            hash = step(WORD_SEED, u64::from(code));
            tokens.push(Token { hash, stem: hash, range: (start, end), segment, letters: 1 });
        }
        open = class == Class::Letter;
    }
    if let Some(&(_, end)) = places.last() {
        codes.push(SPACE);
        places.push((end, end));
        codes.extend([PADDING; LONGEST_GRAM - 1]);
    }
}

/// What a character is to words and to chunks.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    /// Parts words and chunks.
    White,
    /// Parts words alone.
    Control,
    /// Joins its neighbors to a word.
    Letter,
    /// Stands alone: punctuation, symbols, and scripts that are written without spaces.
    Single,
}

/// [`class`] of the ASCII characters.
static ASCII: [Class; 128] = {
    let mut classes = [Class::Single; 128];
    let mut b = 0;
    while b < 128 {
        let c = b as u8;
        if matches!(c, b'\t'..=b'\r' | b' ') {
            classes[b] = Class::White;
        } else if c.is_ascii_control() {
            classes[b] = Class::Control;
        } else if c.is_ascii_alphanumeric() || c == b'_' {
            classes[b] = Class::Letter;
        }
        b += 1;
    }
    classes
};

fn class(c: char) -> Class {
    if c.is_ascii() {
        return ASCII[c as usize];
    }
    match c as u32 {
        // Dandas end a sentence in the Indic scripts; their vowel signs and viramas belong to the word.
        0x964 | 0x965 => Class::Single,
        0x900..=0xdff => Class::Letter,
        // Thai, Lao, Khmer, Myanmar, kana, Han.
        0xe00..=0xeff | 0x1000..=0x109f | 0x1780..=0x17ff => Class::Single,
        0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0x20000..=0x3ffff => Class::Single,
        _ if c.is_whitespace() => Class::White,
        _ if is_alphanumeric(c) => Class::Letter,
        _ => Class::Single,
    }
}
