//! Odd spellings: letters moved along the alphabet, text written backwards, spaced letters, digits and foreign letters in
//! the place of Latin ones.

use super::Disguise;
use super::joining::{is_known, part, rejoin};

/// Calls `add` with each text found in a normalized text.
pub(super) fn find(text: &str, add: &mut impl FnMut(Disguise, &str)) {
    moved_or_turned(text, add);
    let joined = rejoin(text);
    let plain = unmask(joined.as_deref().unwrap_or(text)).or(joined);
    let parted = part(plain.as_deref().unwrap_or(text));
    if let Some(plain) = parted.or(plain) {
        add(Disguise::Spelling, &plain);
    }
}

/// Texts that do not read as they stand, but with their letters moved or from behind.
fn moved_or_turned(text: &str, add: &mut impl FnMut(Disguise, &str)) {
    let shape = Shape::of(text);
    if shape.reads() {
        return;
    }
    if let Some(moved) = unshift(text, &shape) {
        return add(Disguise::Shifted, &moved);
    }
    let backwards: String = text.chars().rev().collect();
    if Shape::of(&backwards).reads() {
        add(Disguise::Reversed, &backwards);
    } else if text.chars().filter(|c| TURNED.contains(*c)).nth(3).is_some() {
        add(Disguise::Reversed, &backwards.chars().map(upright).collect::<String>());
    }
}

/// What the Latin letters of a text look like.
struct Shape {
    /// How often each letter stands in it.
    counts: [u32; 26],
    /// Letters in words of three letters and more: all, and those that stand in a known word.
    n_letters: usize,
    n_known: usize,
}

impl Shape {
    fn of(text: &str) -> Shape {
        let mut shape = Shape { counts: [0; 26], n_letters: 0, n_known: 0 };
        let mut start = None;
        let bytes = text.as_bytes();
        for end in 0..=bytes.len() {
            if end < bytes.len() && bytes[end].is_ascii_lowercase() {
                shape.counts[usize::from(bytes[end] - b'a')] += 1;
                start.get_or_insert(end);
            } else if let Some(word) = start.take().map(|start| &text[start..end]).filter(|word| word.len() > 2) {
                shape.n_letters += word.len();
                shape.n_known += if is_known(word) { word.len() } else { 0 };
            }
        }
        shape
    }

    /// Whether it reads like English: half of the letters stand in frequent words.
    fn reads(&self) -> bool {
        self.n_letters >= 8 && 2 * self.n_known >= self.n_letters
    }

    /// By how many places the letters would have to be moved back to be as frequent as English has them.
    fn likely_shift(&self) -> usize {
        let likeness = |shift: usize| -> u32 { (0..26).map(|i| ENGLISH[i] * self.counts[(i + shift) % 26]).sum() };
        (0..26).max_by_key(|shift| likeness(*shift)).unwrap_or(0)
    }
}

/// Letters of English text by frequency, in thousandths (Lewand, Cryptological Mathematics, 2000).
const ENGLISH: [u32; 26] = [82, 15, 28, 43, 127, 22, 20, 61, 70, 2, 8, 40, 24, 67, 75, 19, 1, 60, 63, 91, 28, 10, 24, 2, 20, 1];

/// The text with its letters moved back, if that makes it readable.
fn unshift(text: &str, shape: &Shape) -> Option<String> {
    if shape.n_letters < 8 {
        return None;
    }
    // Of short texts letters are no sure guide, but 13 places are the usual ones.
    [shape.likely_shift(), 13].into_iter().filter(|shift| *shift != 0).find_map(|shift| {
        let moved: String = text.chars().map(|c| shifted(c, shift as u8)).collect();
        Shape::of(&moved).reads().then_some(moved)
    })
}

/// Letters turned upside down, and what they are.
const TURNED: &str = "ɐɔǝɟƃɥᴉɾʞɯɹʇʌʍʎ";

fn upright(c: char) -> char {
    let at = TURNED.chars().position(|turned| turned == c);
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
    if c.is_ascii_lowercase() { char::from((c as u8 - b'a' + 26 - shift) % 26 + b'a') } else { c }
}

/// The text with digits, signs and look-alikes of other scripts inside Latin words put back to letters; nothing where there
/// are too few to be a disguise.
fn unmask(text: &str) -> Option<String> {
    let suspicious = |c: char| c.is_ascii_digit() || matches!(c, '@' | '$' | '!' | '|') || !c.is_ascii();
    if !text.chars().any(suspicious) {
        return None;
    }
    text.split(' ').filter(|chunk| is_masked(chunk)).nth(1)?;
    // In a text with masked words "0f" and "m3" are words too.
    let plain = |chunk: &str| -> String {
        let has_letters = chunk.bytes().any(|b| b.is_ascii_lowercase());
        if has_letters { chunk.chars().map(|c| letter_for(c).unwrap_or(c)).collect() } else { chunk.to_string() }
    };
    Some(text.split(' ').map(plain).collect::<Vec<_>>().join(" "))
}

/// Whether a chunk is a word with masked letters in it: it still has letters of its own, and no sign stands for most of it.
fn is_masked(chunk: &str) -> bool {
    let n_letters = chunk.bytes().filter(u8::is_ascii_lowercase).count();
    let n_masked = chunk.chars().filter(|c| letter_for(*c).is_some()).count();
    n_masked > 0 && n_letters >= 1 && n_letters + n_masked >= 3 && n_masked <= 2 * n_letters && !only_at_the_end(chunk)
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
