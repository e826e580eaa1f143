//! The language of a prompt, where the data does not name it. It would rather not know than be wrong.

use whatlang::Lang;

/// The code of a language that cannot be told (ISO 639-2).
pub const UNDETERMINED: &str = "und";

/// How much of a text is looked at, in characters.
const LOOKED_AT: usize = 500;

/// The language of a text as its ISO 639-1 code; `und` where it cannot be told, as of most short texts.
///
/// Text in ASCII with the idle words of English is English. That settles seven in ten English prompts, short ones too, far
/// faster than the general method; of 10,414 such texts in other languages it takes 53 for English (0.5 %).
/// All else is for whatlang, where it calls itself reliable.
pub fn language(text: &str) -> &'static str {
    let end = text.char_indices().nth(LOOKED_AT).map_or(text.len(), |(i, _)| i);
    let text = &text[..end];
    if text.is_ascii() {
        if is_english(text) {
            return "en";
        }
        // whatlang is sure of one in 650 of them.
        if text.len() < 20 {
            return UNDETERMINED;
        }
    }
    match whatlang::detect(text) {
        Some(info) if info.is_reliable() => code(info.lang()),
        _ => UNDETERMINED,
    }
}

/// Whether all letters of a text are Latin.
pub(crate) fn is_latin(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphabetic()).all(|c| (c as u32) < 0x250)
}

/// Idle words of English that other languages do not write alike. Sorted.
#[rustfmt::skip]
const ENGLISH: &[&str] = &[
    "about", "and", "are", "be", "been", "being", "by", "can", "does", "from", "has", "have", "how", "it", "its", "my", "not",
    "should", "that", "the", "their", "there", "these", "this", "those", "to", "what", "when", "where", "which", "who", "why",
    "with", "would", "you", "your",
];

/// Idle words of English that other languages know, with whatever meaning. Sorted.
#[rustfmt::skip]
const SHARED: &[&str] = &[
    "a", "all", "an", "as", "at", "do", "for", "he", "him", "i", "if", "in", "is", "me", "of", "on", "or", "please", "she",
    "them", "they", "was", "we", "will",
];

/// Whether at least two words, and a fifth of all, are idle words of English, and one of them of English alone.
fn is_english(ascii: &str) -> bool {
    let (mut n, mut n_english, mut n_shared) = (0, 0, 0);
    for word in ascii.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
        let word = word.to_ascii_lowercase();
        n += 1;
        n_english += usize::from(ENGLISH.binary_search(&word.as_str()).is_ok());
        n_shared += usize::from(SHARED.binary_search(&word.as_str()).is_ok());
    }
    let n_idle = n_english + n_shared;
    n_english >= 1 && n_idle >= 2 && 5 * n_idle >= n
}

/// The two-letter codes that datasets write (ISO 639-1) for the three letters that whatlang gives (ISO 639-3).
const TWO_LETTERS: &str = "\
    afr:af aka:ak amh:am ara:ar aze:az bel:be ben:bn bul:bg cat:ca ces:cs cmn:zh cym:cy dan:da deu:de ell:el eng:en \
    epo:eo est:et fin:fi fra:fr guj:gu heb:he hin:hi hrv:hr hun:hu hye:hy ind:id ita:it jav:jv jpn:ja kan:kn kat:ka \
    khm:km kor:ko lat:la lav:lv lit:lt mal:ml mar:mr mkd:mk mya:my nep:ne nld:nl nob:nb ori:or pan:pa pes:fa pol:pl \
    por:pt ron:ro rus:ru sin:si slk:sk slv:sl sna:sn spa:es srp:sr swe:sv tam:ta tel:te tgl:tl tha:th tuk:tk tur:tr \
    ukr:uk urd:ur uzb:uz vie:vi yid:yi zul:zu";

fn code(lang: Lang) -> &'static str {
    let mut pairs = TWO_LETTERS.split(' ').filter_map(|pair| pair.split_once(':'));
    pairs.find(|(three, _)| *three == lang.code()).map_or(lang.code(), |(_, two)| two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_only_where_it_can_be() {
        let rows = [
            ("Wie kann ich mich im Winter vor einer Erkältung schützen, ohne zum Arzt gehen zu müssen?", "de"),
            ("How do I protect myself from a cold in the winter without having to see a doctor?", "en"),
            ("how are you", "en"),
            ("is it in a box", "en"),
            ("was will er in Berlin", UNDETERMINED),
            ("ネットワークの設定を教えてください", "ja"),
            ("Puedes decirme cuanto tiempo tarda un tren de Madrid a Barcelona?", "es"),
            ("ok", UNDETERMINED),
            ("", UNDETERMINED),
            ("12 + 30", UNDETERMINED),
        ];
        for (text, expected) in rows {
            assert_eq!(language(text), expected, "{text}");
        }
    }

    #[test]
    fn every_language_has_two_letters() {
        assert!(ENGLISH.is_sorted() && SHARED.is_sorted());
        for lang in Lang::all() {
            assert_eq!(code(*lang).len(), 2, "{lang:?}");
        }
    }
}
