//! Splits that keep a group together: near-duplicates, variations of one prompt, fillings of one frame.

use std::collections::HashMap;

use crate::random::{Random, mix};
use crate::row::{Row, text_hash};

/// Which rows of a dataset go to a part, by group: about `share` of the groups, the same for the same seed.
///
/// `groups` gives the group of each row, by any number that stands for it. `purpose` names the split, so that two splits of the same rows are independent.
pub fn part<K: Copy + Into<u64>>(groups: &[K], share: f64, seed: u64, purpose: &str) -> Vec<bool> {
    let salt = Random::new(seed, purpose).next_u64();
    // The upper 53 bits as a number from 0 to below 1.
    groups.iter().map(|g| ((mix(salt ^ (*g).into()) >> 11) as f64 / (1u64 << 53) as f64) < share).collect()
}

/// A number for each group by what its rows say, and not by the group's own number, which hangs on every other input: divided by
/// it, the halves of a file stay what they are.
pub(crate) fn group_keys<'a>(members: impl Iterator<Item = (&'a Row, u32)>) -> HashMap<u32, u64> {
    let mut key_of: HashMap<u32, u64> = HashMap::new();
    for (row, id) in members {
        let hash = text_hash(&row.text);
        let key = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"));
        key_of.entry(id).and_modify(|least| *least = key.min(*least)).or_insert(key);
    }
    key_of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_never_divided_and_the_share_is_kept() {
        let groups: Vec<u32> = (0..30_000).map(|i| i / 3).collect();
        let inside = part(&groups, 0.2, 42, "tune");
        assert!(inside.chunks(3).all(|g| g[0] == g[1] && g[1] == g[2]));
        let n = inside.iter().filter(|x| **x).count();
        assert!((5_600..6_400).contains(&n), "{n}");
        assert_eq!(part(&groups, 0.2, 42, "tune"), inside);
        assert_ne!(part(&groups, 0.2, 42, "holdout"), inside);
    }
}
