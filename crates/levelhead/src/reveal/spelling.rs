//! Odd spellings: letters moved along the alphabet, text written backwards, spaced letters, digits and foreign letters in
//! the place of Latin ones.

use super::Disguise;
use super::joining::{part, rejoin};

/// Calls `add` with each text found in a normalized text.
pub(super) fn find(text: &str, add: &mut impl FnMut(Disguise, &str)) {
    let counts = Telling::count(text);
    if let Some(shift) = counts.shift() {
        add(Disguise::Shifted, &text.chars().map(|c| shifted(c, shift)).collect::<String>());
    }
    if counts.backwards >= 2 && counts.backwards > counts.plain {
        add(Disguise::Reversed, &text.chars().rev().collect::<String>());
    } else if text.chars().filter(|c| TURNED.contains(*c)).nth(3).is_some() {
        add(Disguise::Reversed, &text.chars().rev().map(upright).collect::<String>());
    }
    let joined = rejoin(text);
    let plain = unmask(joined.as_deref().unwrap_or(text)).or(joined);
    let parted = part(plain.as_deref().unwrap_or(text));
    if let Some(plain) = parted.or(plain) {
        add(Disguise::Spelling, &plain);
    }
}

/// Frequent English words: how often they stand in the text as they are, backwards, and moved by each number of places.
struct Telling {
    plain: usize,
    backwards: usize,
    moved: [usize; 26],
}

/// Three letters and more: shorter ones turn up in any text.
const FREQUENT: [&str; 16] = [
    "the", "and", "you", "your", "all", "are", "for", "this", "that", "with", "not", "ignore", "rules", "from", "tell", "system",
];

impl Telling {
    fn count(text: &str) -> Telling {
        let mut telling = Telling { plain: 0, backwards: 0, moved: [0; 26] };
        for word in text.as_bytes().split(|b| !b.is_ascii_lowercase()).filter(|w| (3..=8).contains(&w.len())) {
            for frequent in FREQUENT.iter().map(|f| f.as_bytes()).filter(|f| f.len() == word.len()) {
                let shift = (word[0] + 26 - frequent[0]) % 26;
                if word.iter().zip(frequent).all(|(a, b)| (a + 26 - b) % 26 == shift) {
                    telling.moved[usize::from(shift)] += 1;
                }
                telling.backwards += usize::from(word.iter().rev().eq(frequent));
            }
        }
        telling.plain = telling.moved[0];
        telling
    }

    /// By how many places the letters were moved, if they were.
    fn shift(&self) -> Option<u8> {
        let (shift, n) = self.moved.iter().enumerate().skip(1).max_by_key(|(i, n)| (**n, 26 - *i))?;
        (*n >= 2 && *n > self.plain).then_some(shift as u8)
    }
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
        '1' | '!' | '|' | 'і' | 'ι' | 'ı' => 'i',
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
