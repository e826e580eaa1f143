//! MinHash: similar sets of shingles get equal keys, so that near-duplicates are looked for among few candidates.
//!
//! Equal keys are a hint and never a verdict: whoever uses them compares the sets themselves.

use rayon::prelude::*;

use crate::progress::Progress;
use crate::random::{Random, mix};
use crate::shingle::{MULTIPLIER, Sets};

/// MinHash signatures (Broder 1997) cut into bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4).
///
/// Two sets of Jaccard similarity s agree in one hash function's least value with probability s, in a band of r such values
/// with s^r, and in at least one of b bands with 1 - (1 - s^r)^b.
#[derive(Debug)]
pub(crate) struct MinHash {
    n_rows: usize,
    n_bands: usize,
    /// Shingles are hashes already, so multiply and add are enough (Mitzenmacher, Vadhan, SODA 2008).
    multipliers: Vec<u32>,
    addends: Vec<u32>,
}

impl MinHash {
    /// The longest bands of at most `n_hashes` values in all with which sets as similar as `threshold` are missed by at most
    /// `miss`; bands of one value where none are short enough.
    pub(crate) fn new(threshold: f64, miss: f64, n_hashes: usize) -> MinHash {
        let n_bands = |n_rows: usize| match threshold.powi(n_rows as i32) {
            agreed if agreed < 1.0 => (miss.ln() / (1.0 - agreed).ln()).ceil() as usize,
            _ => 1,
        };
        let n_rows = (1..=16).rev().find(|r| r * n_bands(*r) <= n_hashes).unwrap_or(1);
        let n_bands = n_bands(n_rows);
        let mut random = Random::new(0, "minhash");
        let mut draw = |odd: u32| (0..n_rows * n_bands).map(|_| (random.next_u64() >> 32) as u32 | odd).collect();
        MinHash { n_rows, n_bands, multipliers: draw(1), addends: draw(0) }
    }

    /// Number of bands.
    pub(crate) fn n_bands(&self) -> usize {
        self.n_bands
    }

    /// A set's key in every band. `signature` is a buffer.
    pub(crate) fn keys(&self, set: &[u32], signature: &mut Vec<i32>) -> impl Iterator<Item = u32> {
        // Signed values, because plain x86-64 has no minimum of unsigned ones; any order of the values serves.
        signature.clear();
        signature.resize(self.multipliers.len(), i32::MAX);
        for shingle in set {
            for ((least, multiplier), addend) in signature.iter_mut().zip(&self.multipliers).zip(&self.addends) {
                *least = (*least).min(shingle.wrapping_mul(*multiplier).wrapping_add(*addend) as i32);
            }
        }
        signature.chunks_exact(self.n_rows).map(|rows| {
            let key = rows.iter().fold(1, |key: u64, row| key.wrapping_mul(MULTIPLIER).wrapping_add(*row as u32 as u64));
            (mix(key) >> 32) as u32
        })
    }
}

/// A table's entry: the key in the upper, the distinct set in the lower 32 bits.
pub(crate) fn entry(key: u32, set: u32) -> u64 {
    u64::from(key) << 32 | u64::from(set)
}

/// An entry's key.
pub(crate) fn key_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

/// An entry's set, as an index.
pub(crate) fn set_of(entry: u64) -> usize {
    entry as u32 as usize
}

/// A sorted table's runs of equal keys.
pub(crate) fn buckets(table: &[u64]) -> impl Iterator<Item = &[u64]> {
    table.chunk_by(|a, b| key_of(*a) == key_of(*b))
}

/// Texts, cut and put into bands.
#[derive(Debug)]
pub(crate) struct Banded {
    sets: Sets,
    /// The bands.
    pub(crate) minhash: MinHash,
    /// For each distinct set, ordered by size and contents, the first text that has it.
    pub(crate) distinct: Vec<u32>,
    /// For each text, which distinct set it has.
    pub(crate) of_text: Vec<u32>,
    /// For each distinct set, its key in every band.
    keys: Vec<u32>,
}

impl Banded {
    pub(crate) fn new(texts: &[&str], minhash: MinHash, progress: &dyn Progress) -> Banded {
        let sets = Sets::new(texts, progress);
        // All that follows works in this order, so that the order of the texts has no say.
        let mut order: Vec<u32> = (0..sets.len() as u32).collect();
        order.par_sort_unstable_by_key(|i| (sets.get(*i).len(), sets.get(*i), *i));
        let mut distinct: Vec<u32> = Vec::new();
        let mut of_text = vec![0; sets.len()];
        for i in order {
            if distinct.last().is_none_or(|last| sets.get(*last) != sets.get(i)) {
                distinct.push(i);
            }
            of_text[i as usize] = distinct.len() as u32 - 1;
        }
        let mut keys = vec![0; distinct.len() * minhash.n_bands()];
        keys.par_chunks_exact_mut(minhash.n_bands()).zip(&distinct).for_each_init(Vec::new, |signature, (keys, i)| {
            keys.iter_mut().zip(minhash.keys(sets.get(*i), signature)).for_each(|(key, value)| *key = value);
        });
        Banded { sets, minhash, distinct, of_text, keys }
    }

    /// The shingles of a distinct set.
    pub(crate) fn set(&self, i: u32) -> &[u32] {
        self.sets.get(self.distinct[i as usize])
    }

    /// The distinct sets by their key in a band, ascending.
    pub(crate) fn table(&self, band: usize) -> Vec<u64> {
        let keys = self.keys.iter().skip(band).step_by(self.minhash.n_bands());
        let mut table: Vec<u64> = keys.zip(0..).map(|(key, set)| entry(*key, set)).collect();
        table.par_sort_unstable();
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_threshold_gets_bands_that_miss_little() {
        for (threshold, miss, n_hashes) in
            [(0.7, 0.005, 160), (0.7, 0.02, 128), (0.5, 0.02, 128), (0.9, 0.01, 64), (0.1, 0.02, 64)]
        {
            let m = MinHash::new(threshold, miss, n_hashes);
            let missed = (1.0 - f64::powi(threshold, m.n_rows as i32)).powi(m.n_bands as i32);
            assert!(missed <= miss, "{threshold}: {missed}");
            assert!(m.n_rows == 1 || m.n_rows * m.n_bands <= n_hashes, "{threshold}");
        }
        let default = MinHash::new(0.7, 0.005, 160);
        assert_eq!((default.n_rows, default.n_bands), (5, 29));
        assert_eq!(MinHash::new(1.0, 0.005, 160).n_bands, 1);
    }

    #[test]
    fn a_hash_agrees_as_often_as_sets_are_similar() {
        // 2,000 pairs of random sets of 17 of which 14 are common: 14 of 20 is 0.7.
        let minhash = MinHash::new(0.7, 0.005, 160);
        let mut random = Random::new(1, "sets");
        let (mut agreed, mut found) = (0, 0);
        let (mut s, mut t) = (Vec::new(), Vec::new());
        for _ in 0..2_000 {
            let all: Vec<u32> = (0..20).map(|_| random.next_u64() as u32).collect();
            let a: Vec<u32> = minhash.keys(&all[..17], &mut s).collect();
            let b: Vec<u32> = minhash.keys(&[&all[..14], &all[17..]].concat(), &mut t).collect();
            agreed += s.iter().zip(&t).filter(|(s, t)| s == t).count();
            found += usize::from(a.iter().zip(&b).any(|(a, b)| a == b));
        }
        let share = agreed as f64 / (2_000 * s.len()) as f64;
        assert!((share - 0.7).abs() < 0.005, "{share}");
        // 1 - (1 - 0.7^5)^29 = 0.9952: expect 1990.
        assert!(found >= 1_980, "{found}");
    }
}
