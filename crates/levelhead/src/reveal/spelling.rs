//! Odd spellings: letters moved along the alphabet, text written backwards, spaced letters, digits and foreign letters in
//! the place of Latin ones.

use super::Disguise;
use super::joining::{part, rejoin};
use super::words::{Key, is_known};

/// Calls `add` with each text found in a normalized text.
pub(super) fn find(text: &str, mut add: impl FnMut(Disguise, &str)) {
    moved_or_turned(text, &mut add);
    let joined = rejoin(text);
    let plain = unmask(joined.as_deref().unwrap_or(text)).or(joined);
    let parted = part(plain.as_deref().unwrap_or(text));
    if let Some(plain) = parted.or(plain) {
        add(Disguise::Spelling, &plain);
    }
}

/// Texts that do not read as they stand, but with their letters moved or from behind.
fn moved_or_turned(text: &str, add: &mut impl FnMut(Disguise, &str)) {
    let reading = read(text.bytes());
    if reading == Reading::Reads {
        return;
    }
    let is_foreign = reading == Reading::Foreign;
    if is_foreign && let Some(shift) = unshift(text) {
        return add(Disguise::Shifted, &text.chars().map(|c| shifted(c, shift)).collect::<String>());
    }
    let backwards = || text.chars().rev();
    // Letters are parted by whatever is not ASCII, whichever way its bytes stand.
    if is_foreign && read(text.bytes().rev()) == Reading::Reads {
        add(Disguise::Reversed, &backwards().collect::<String>());
    } else if !text.is_ascii() && text.chars().filter(|c| TURNED.contains(c)).nth(3).is_some() {
        add(Disguise::Reversed, &backwards().map(upright).collect::<String>());
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Reading {
    /// Like English: at least half of the letters stand in frequent words.
    Reads,
    /// Not like English.
    Foreign,
    /// It has hardly any words, however its letters are moved or turned.
    Short,
}

/// Letters that a text has in words of three letters and more, before anything can be said of it.
const LEAST_LETTERS: usize = 8;

/// Whether the Latin letters of a text read like English. The text is read until nothing more can change that.
fn read(bytes: impl ExactSizeIterator<Item = u8>) -> Reading {
    // Letters in words of three letters and more: all, and those that stand in a known word.
    let (mut n_letters, mut n_known) = (0, 0);
    let (mut key, mut len) = (Key::default(), 0);
    let mut rest = bytes.len();
    // The end ends a word.
    for b in bytes.chain([b' ']) {
        if b.is_ascii_lowercase() {
            (key, len) = (key.then(b), len + 1);
            continue;
        }
        if len > 2 {
            n_letters += len;
            n_known += if is_known(key) { len } else { 0 };
        }
        rest = rest.saturating_sub(len + 1);
        (key, len) = (Key::default(), 0);
        if n_letters >= LEAST_LETTERS {
            if 2 * n_known >= n_letters + rest {
                return Reading::Reads;
            }
            if 2 * n_known + rest < n_letters {
                return Reading::Foreign;
            }
        }
    }
    if n_letters < LEAST_LETTERS { Reading::Short } else { Reading::Foreign }
}

/// By how many places the letters would have to be moved back to be as frequent as English has them.
fn likely_shift(text: &str) -> usize {
    let mut counts = [0u32; 26];
    text.bytes().filter(u8::is_ascii_lowercase).for_each(|b| counts[usize::from(b - b'a')] += 1);
    let likeness = |shift: usize| -> u32 { (0..26).map(|i| ENGLISH[i] * counts[(i + shift) % 26]).sum() };
    (0..26).max_by_key(|shift| likeness(*shift)).unwrap_or(0)
}

/// Letters of English text by frequency, in thousandths (Lewand, Cryptological Mathematics, 2000).
const ENGLISH: [u32; 26] = [82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1];

/// By how many places letters must be moved back for the text to read; nothing where that does not help.
fn unshift(text: &str) -> Option<u8> {
    // Of short texts letters are no sure guide, but 13 places are the usual ones.
    let shifts = [likely_shift(text) as u8, 13].into_iter().filter(|shift| *shift != 0);
    shifts.into_iter().find(|shift| read(text.bytes().map(|b| moved(b, *shift))) == Reading::Reads)
}

/// Letters turned upside down, and what they are.
const TURNED: [char; 15] = ['ɐ', 'ɔ', 'ǝ', 'ɟ', 'ƃ', 'ɥ', 'ᴉ', 'ɾ', 'ʞ', 'ɯ', 'ɹ', 'ʇ', 'ʌ', 'ʍ', 'ʎ'];

fn upright(c: char) -> char {
    let at = TURNED.iter().position(|turned| *turned == c);
    at.and_then(|i| "acefghijkmrtvwy".chars().nth(i)).unwrap_or(match c {
        'q' => 'b',
        'b' => 'q',
        'p' => 'd',
        'd' => 'p',
        'u' => 'n',
        'n' => 'u',
        _ => c,
    })
}

fn shifted(c: char, shift: u8) -> char {
    if c.is_ascii() { char::from(moved(c as u8, shift)) } else { c }
}

fn moved(b: u8, shift: u8) -> u8 {
    if b.is_ascii_lowercase() { (b - b'a' + 26 - shift) % 26 + b'a' } else { b }
}

/// The text with digits, signs and look-alikes of other scripts inside Latin words put back to letters; nothing where there
/// are too few to be a disguise.
fn unmask(text: &str) -> Option<String> {
    if !has_masked(text, 2) {
        return None;
    }
    // In a text with masked words "0f" and "m3" are words too.
    let mut plain = String::with_capacity(text.len());
    for chunk in text.split_inclusive(' ') {
        if chunk.bytes().any(|b| b.is_ascii_lowercase()) {
            plain.extend(chunk.chars().map(|c| letter_for(c).unwrap_or(c)));
        } else {
            plain.push_str(chunk);
        }
    }
    Some(plain)
}

/// Whether at least so many chunks of a text are words with masked letters in them.
fn has_masked(text: &str, n: usize) -> bool {
    let bytes = text.as_bytes();
    let (mut from, mut n_masked) = (0, 0);
    // Most chunks hold nothing that could stand for a letter; they are not looked at.
    while let Some(sign) = bytes[from..].iter().position(|b| MASKS[usize::from(*b)]) {
        let start = bytes[..from + sign].iter().rposition(|b| *b == b' ').map_or(0, |space| space + 1);
        let end = bytes[from + sign..].iter().position(|b| *b == b' ').map_or(bytes.len(), |len| from + sign + len);
        n_masked += usize::from(is_masked(&text[start..end]));
        if n_masked == n {
            return true;
        }
        from = end;
    }
    false
}

/// Of each byte, whether it may be part of what stands for a letter; see [`letter_for`].
static MASKS: [bool; 256] = {
    let mut masks = [false; 256];
    let mut b = 0;
    while b < 256 {
        masks[b] = matches!(b as u8, b'0'..=b'9' | b'@' | b'$' | b'!' | b'|' | 0x80..=0xff);
        b += 1;
    }
    masks
};

/// Whether a chunk is a word with masked letters in it: it still has letters of its own, and no sign stands for most of it.
fn is_masked(chunk: &str) -> bool {
    let n_letters = chunk.bytes().filter(u8::is_ascii_lowercase).count();
    let n_masked = chunk.chars().filter(|c| letter_for(*c).is_some()).count();
    n_masked > 0 && n_letters + n_masked >= 3 && n_masked <= 2 * n_letters && !only_at_the_end(chunk)
}

/// Whether a chunk's signs that could be letters all stand behind its letters: "really!", "section4", "v2".
fn only_at_the_end(chunk: &str) -> bool {
    let trimmed = chunk.trim_end_matches(|c: char| !c.is_alphabetic());
    !trimmed.chars().any(|c| letter_for(c).is_some())
}

/// The Latin letter that a digit, a sign or a letter of another script is used for.
fn letter_for(c: char) -> Option<char> {
    Some(match c {
        '0' | 'о' | 'ο' | 'օ' => 'o',
        '1' | '!' | '|' | 'і' | 'ι' => 'i',
        '3' | 'е' | 'є' | 'ε' => 'e',
        '4' | '@' | 'а' | 'α' => 'a',
        '5' | '$' | 'ѕ' => 's',
        '7' | 'т' | 'τ' => 't',
        '8' => 'b',
        '9' => 'g',
        'р' | 'ρ' => 'p',
        'с' | 'ϲ' => 'c',
        'у' | 'γ' => 'y',
        'х' | 'χ' => 'x',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'н' => 'h',
        'в' | 'β' => 'b',
        'ѵ' | 'ν' => 'v',
        'ո' | 'η' => 'n',
        'υ' | 'ս' => 'u',
        'ԁ' => 'd',
        'ј' => 'j',
        'ԛ' => 'q',
        'ԝ' | 'ω' => 'w',
        'һ' => 'h',
        'ӏ' => 'l',
        _ => return None,
    })
}
