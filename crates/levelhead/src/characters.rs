//! What characters are, for the stages that ask it of every character of a text.

use std::sync::LazyLock;

/// What [`char::is_alphanumeric`] says, without its search where the most used scripts stand.
#[inline(always)]
pub(crate) fn is_alphanumeric(c: char) -> bool {
    match c as u32 {
        code @ 0..LOOKED_UP => ALPHANUMERIC[code as usize],
        // Dashes and quotation marks.
        0x2010..=0x203f => false,
        // Kana, Han, Hangul.
        0x3041..=0x3096 | 0x30a1..=0x30fa | 0x4e00..=0x9fff | 0xac00..=0xd7a3 => true,
        _ => c.is_alphanumeric(),
    }
}

/// The alphabets from Latin to Tibetan.
const LOOKED_UP: u32 = 0x1000;

static ALPHANUMERIC: LazyLock<Vec<bool>> =
    LazyLock::new(|| (0..LOOKED_UP).map(|code| char::from_u32(code).is_some_and(char::is_alphanumeric)).collect());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_what_the_standard_says() {
        for c in '\0'..=char::MAX {
            assert_eq!(is_alphanumeric(c), c.is_alphanumeric(), "{c:?}");
        }
    }
}
