//! Frequent words: English by rank, and some of other languages that Latin letters are used for. A readable text is made of them.

use std::sync::LazyLock;

/// No word of the list is longer.
pub(super) const LONGEST_WORD: usize = 15;

/// A word of Latin letters as a number, made letter by letter: five bits each, the last letter lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Key(u128);

impl Key {
    /// The word with one more letter, `a` to `z`. Words of more than 25 letters are not told apart, but from all shorter ones.
    #[inline(always)]
    pub(super) fn then(self, letter: u8) -> Key {
        Key((self.0 << 5) | u128::from(letter & 31))
    }

    /// The word with another letter before its `n`.
    #[inline(always)]
    pub(super) fn behind(self, letter: u8, n: usize) -> Key {
        Key(self.0 | (u128::from(letter & 31) << (5 * n)))
    }

    /// Of a word that may hold other characters; nothing if it does, or if it is longer than any word of the list.
    pub(super) fn of(word: &str) -> Option<Key> {
        let fits = word.len() <= LONGEST_WORD && word.bytes().all(|b| b.is_ascii_lowercase());
        fits.then(|| word.bytes().fold(Key::default(), Key::then))
    }
}

const TABLE_BITS: u32 = 13;
/// Words of more letters are few.
const LONGEST_IN_TABLE: usize = 12;

/// An open hash table. The list is fixed, so nobody can choose words that collide.
struct Table {
    keys: Vec<u64>,
    costs: Vec<f32>,
    /// Words that are longer than [`LONGEST_IN_TABLE`].
    long: Vec<(Key, f32)>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { keys: vec![0; 1 << TABLE_BITS], costs: vec![0.0; 1 << TABLE_BITS], long: Vec::new() };
    for (rank, word) in include_str!("words.txt").lines().enumerate() {
        let key = word.bytes().fold(Key::default(), Key::then);
        // Zipf's law: a word's frequency falls with its rank.
        let cost = ((rank + 10) as f32).ln();
        if word.len() > LONGEST_IN_TABLE {
            table.long.push((key, cost));
        } else {
            let at = table.find(key.0 as u64);
            (table.keys[at], table.costs[at]) = (key.0 as u64, cost);
        }
    }
    table
});

impl Table {
    /// Where a word stands, or the free place where it would.
    #[inline(always)]
    fn find(&self, key: u64) -> usize {
        let keys: &[u64; 1 << TABLE_BITS] = self.keys.as_slice().try_into().expect("it is made with this size");
        let mut at = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TABLE_BITS)) as usize;
        while keys[at] != key && keys[at] != 0 {
            at = (at + 1) & ((1 << TABLE_BITS) - 1);
        }
        at
    }
}

/// German, Spanish, French, Italian, Portuguese and Dutch without their accents, where English does not have them too; sorted.
static OTHER: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut keys: Vec<Key> =
        include_str!("other_words.txt").lines().map(|word| word.bytes().fold(Key::default(), Key::then)).collect();
    keys.sort_unstable();
    keys
});

/// Whether a word is a frequent one of any of the languages. It takes longer than [`is_known`].
pub(super) fn is_known_somewhere(key: Key) -> bool {
    is_known(key) || OTHER.binary_search(&key).is_ok()
}

/// Whether a word is one of the English list.
#[inline(always)]
pub(super) fn is_known(key: Key) -> bool {
    cost(key).is_some()
}

/// What a word of the list costs: the less, the more frequent it is.
#[inline(always)]
pub(super) fn cost(key: Key) -> Option<f32> {
    let table = &*TABLE;
    if key.0 >> (5 * LONGEST_IN_TABLE) != 0 {
        return table.long.iter().find(|(long, _)| *long == key).map(|(_, cost)| *cost);
    }
    let at = table.find(key.0 as u64);
    (table.keys[at] != 0).then(|| table.costs[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_list_are_known_and_no_others() {
        for (rank, word) in include_str!("words.txt").lines().enumerate() {
            assert!(word.len() <= LONGEST_WORD && cost(Key::of(word).unwrap()) == Some(((rank + 10) as f32).ln()), "{word}");
        }
        for word in ["zzz", "thee", "hte", "", "internationalization"] {
            assert!(!Key::of(word).is_some_and(is_known), "{word}");
        }
        for word in include_str!("other_words.txt").lines() {
            let key = Key::of(word).unwrap();
            assert!(!is_known(key) && is_known_somewhere(key), "{word}");
        }
        let (the, he) = (Key::of("the").unwrap(), Key::of("he").unwrap());
        assert_eq!((he.behind(b't', 2), Key::of("th").unwrap().then(b'e')), (the, the));
        assert_eq!((Key::of("the1"), Key::of("été")), (None, None));
    }
}
