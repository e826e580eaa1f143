//! Near-duplicates: which prompts are so alike that they must stay on one side of a split.
//!
//! Candidates come from MinHash bands; each is verified by the true Jaccard similarity of the shingle sets, so no two prompts
//! are joined by chance. Groups are transitive. The grouping depends on nothing but the texts: not on their order, the number
//! of threads or a seed. It must never compare all pairs.

use rayon::prelude::*;

use crate::progress::{Progress, Silent};
use crate::shingle::{MinHash, Sets, Shingler, jaccard_at_least};

/// What counts as a near-duplicate, and how hard to look.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `threshold` | 0.7 | least Jaccard similarity of near-duplicates | 0.1 to 1; others count as the nearest end |
/// | `miss` | 0.02 | chance to overlook a pair exactly at the threshold; those above it are overlooked far less | 0.0001 to 0.5 |
/// | `n_hashes` | 128 | hash functions at most: more cost time and memory, and spare candidates | 1 up |
/// | `n_neighbors` | 256 | texts of the same band, next in size, that a text is compared with: bounds the work on templates | 1 up |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupConfig {
    /// Least Jaccard similarity of near-duplicates.
    pub threshold: f64,
    /// Chance to overlook a pair exactly at the threshold.
    pub miss: f64,
    /// Hash functions at most.
    pub n_hashes: usize,
    /// Texts of the same band that a text is compared with, at most.
    pub n_neighbors: usize,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig { threshold: 0.7, miss: 0.02, n_hashes: 128, n_neighbors: 256 }
    }
}

/// Which texts belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// The group of each text: the smallest index of the group.
    pub ids: Vec<u32>,
}

impl Grouping {
    /// Number of groups; a text without near-duplicates is one of its own.
    pub fn n_groups(&self) -> usize {
        self.ids.iter().enumerate().filter(|(i, id)| *i == **id as usize).count()
    }

    /// The groups of more than one text, by their smallest index; indices within a group ascend.
    pub fn members(&self) -> Vec<Vec<u32>> {
        let mut by_group: Vec<(u32, u32)> = self.ids.iter().zip(0..).map(|(id, i)| (*id, i)).collect();
        by_group.sort_unstable();
        let groups = by_group.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1);
        groups.map(|group| group.iter().map(|member| member.1).collect()).collect()
    }
}

/// Groups texts with their near-duplicates.
pub fn group(texts: &[&str], config: GroupConfig, progress: &dyn Progress) -> Grouping {
    progress.begin("fingerprints", texts.len() as u64);
    let banded = Banded::new(texts, config, progress);
    progress.end();
    progress.begin("near-duplicates", banded.minhash.n_bands() as u64);
    let n_sets = banded.distinct.len();
    let mut groups: Vec<u32> = (0..n_sets as u32).collect();
    let mut crowded = vec![false; n_sets];
    for band in 0..banded.minhash.n_bands() {
        let table = banded.table(band);
        let buckets = table.chunk_by(|a, b| a >> 32 == b >> 32);
        for entry in buckets.filter(|bucket| bucket.len() > config.n_neighbors).flatten() {
            crowded[*entry as u32 as usize] = true;
        }
        let joins = banded.joins(&table, usize::MAX, &groups, config);
        join(&mut groups, &joins);
        progress.advance(1);
    }
    let n0 = COMPARED.load(std::sync::atomic::Ordering::Relaxed);
    let t0 = std::time::Instant::now();
    let nc = crowded.iter().filter(|c| **c).count();
    for part in 0..8 {
        let mut table = Vec::new();
        for (set, _) in (0..).zip(&crowded).filter(|(_, crowded)| **crowded) {
            table.extend(banded.set(set).iter().filter(|s| **s >> 29 == part).map(|s| u64::from(*s) << 32 | u64::from(set)));
        }
        table.par_sort_unstable();
        let joins = banded.joins(&table, config.n_neighbors, &groups, config);
        join(&mut groups, &joins);
    }
    eprintln!("crowded {nc} {:?} {}", t0.elapsed(), COMPARED.load(std::sync::atomic::Ordering::Relaxed)-n0);
    progress.end();
    let mut smallest = vec![u32::MAX; groups.len()];
    for (first, group) in banded.distinct.iter().zip(&groups) {
        let smallest = &mut smallest[*group as usize];
        *smallest = (*smallest).min(*first);
    }
    Grouping { ids: banded.of_text.iter().map(|set| smallest[groups[*set as usize] as usize]).collect() }
}

/// Joins groups. `groups` holds the smallest member of each one's group, before and after.
fn join(groups: &mut [u32], joins: &[(u32, u32)]) {
    fn root(groups: &mut [u32], mut i: u32) -> u32 {
        while groups[i as usize] != i {
            groups[i as usize] = groups[groups[i as usize] as usize];
            i = groups[i as usize];
        }
        i
    }
    for (a, b) in joins {
        let (a, b) = (root(groups, *a), root(groups, *b));
        groups[a.max(b) as usize] = a.min(b);
    }
    for i in 0..groups.len() {
        groups[i] = groups[groups[i] as usize];
    }
}

/// Texts, cut and put into bands.
#[derive(Debug)]
struct Banded {
    sets: Sets,
    minhash: MinHash,
    /// For each distinct set, ordered by size and contents, the first text that has it.
    distinct: Vec<u32>,
    /// For each text, which distinct set it has.
    of_text: Vec<u32>,
    /// For each distinct set, its key in every band.
    keys: Vec<u32>,
}

impl Banded {
    fn new(texts: &[&str], config: GroupConfig, progress: &dyn Progress) -> Banded {
        let sets = Sets::new(texts, progress);
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
        let minhash = MinHash::new(config.threshold, config.miss, config.n_hashes);
        let mut keys = vec![0; distinct.len() * minhash.n_bands()];
        keys.par_chunks_exact_mut(minhash.n_bands()).zip(&distinct).for_each_init(Vec::new, |signature, (keys, i)| {
            keys.iter_mut().zip(minhash.keys(sets.get(*i), signature)).for_each(|(key, value)| *key = value);
        });
        Banded { sets, minhash, distinct, of_text, keys }
    }

    fn set(&self, i: u32) -> &[u32] {
        self.sets.get(self.distinct[i as usize])
    }

    /// The distinct sets by their key in a band: key in the upper, set in the lower 32 bits.
    fn table(&self, band: usize) -> Vec<u64> {
        let keys = self.keys.iter().skip(band).step_by(self.minhash.n_bands());
        let mut table: Vec<u64> = keys.zip(0..).map(|(key, set)| u64::from(*key) << 32 | set).collect();
        table.par_sort_unstable();
        table
    }

    fn joins(&self, table: &[u64], max: usize, groups: &[u32], config: GroupConfig) -> Vec<(u32, u32)> {
        table
            .par_chunk_by(|a, b| a >> 32 == b >> 32)
            .filter(|bucket| bucket.len() > 1 && bucket.len() <= max)
            .flat_map_iter(|bucket| self.joins1(bucket, groups, config))
            .collect()
    }
    fn joins1(&self, bucket: &[u64], groups: &[u32], config: GroupConfig) -> Vec<(u32, u32)> {
        let mut joins = Vec::new();
        let mut group_of: Vec<u32> = bucket.iter().map(|entry| groups[*entry as u32 as usize]).collect();
        for i in 1..bucket.len() {
            let set = self.set(bucket[i] as u32);
            for j in (i.saturating_sub(config.n_neighbors)..i).rev() {
                let other = self.set(bucket[j] as u32);
                if (other.len() as f64) < config.threshold * set.len() as f64 - 1e-6 {
                    break;
                }
                if group_of[i] != group_of[j] {
                    COMPARED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if jaccard_at_least(set, other, config.threshold).is_none() {
                        continue;
                    }
                    joins.push((bucket[j] as u32, bucket[i] as u32));
                    let (old, new) = (group_of[j], group_of[i]);
                    let end = (i.saturating_add(config.n_neighbors)).min(bucket.len());
                    for g in &mut group_of[i.saturating_sub(config.n_neighbors)..end] {
                        if *g == old {
                            *g = new;
                        }
                    }
                }
            }
        }
        joins
    }
}
pub static COMPARED: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// Texts to be searched for near-duplicates of others.
#[derive(Debug)]
pub struct NearIndex {
    banded: Banded,
    tables: Vec<Vec<u64>>,
    threshold: f64,
}

impl NearIndex {
    /// Indexes texts. `n_neighbors` has no say here: all candidates are verified.
    pub fn new(texts: &[&str], config: GroupConfig) -> NearIndex {
        let banded = Banded::new(texts, config, &Silent);
        let tables = (0..banded.minhash.n_bands()).map(|band| banded.table(band)).collect();
        NearIndex { banded, tables, threshold: config.threshold }
    }

    /// The index and the Jaccard similarity of the indexed text that is most similar, where that is at least the threshold;
    /// the smallest index among equals.
    pub fn nearest(&self, text: &str) -> Option<(usize, f64)> {
        let mut shingler = Shingler::default();
        let set = shingler.shingles(text);
        let mut candidates = Vec::new();
        let mut signature = Vec::new();
        for (table, key) in self.tables.iter().zip(self.banded.minhash.keys(set, &mut signature)) {
            let start = table.partition_point(|entry| entry >> 32 < u64::from(key));
            candidates.extend(table[start..].iter().take_while(|entry| **entry >> 32 == u64::from(key)).map(|e| *e as u32));
        }
        candidates.sort_unstable();
        candidates.dedup();
        let mut nearest: Option<(usize, f64)> = None;
        for candidate in candidates {
            let least = nearest.map_or(self.threshold, |n| n.1);
            let i = self.banded.distinct[candidate as usize] as usize;
            if let Some(similarity) = jaccard_at_least(set, self.banded.set(candidate), least) {
                if nearest.is_none_or(|n| similarity > n.1 || i < n.0) {
                    nearest = Some((i, similarity));
                }
            }
        }
        nearest
    }
}
