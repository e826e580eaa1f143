//! Near-duplicates: which prompts are so alike that they must stay on one side of a split.
//!
//! Candidates come from MinHash bands; each is verified by the true Jaccard similarity of the shingle sets, so no two prompts
//! are joined by a resemblance of their signatures alone. Groups are transitive: two members of a large one may have little in
//! common. The grouping depends on nothing but the texts, not on their order or the number of threads. It must never compare
//! all pairs, not even of texts made from one template: see [`GroupConfig::n_neighbors`].

use std::collections::HashMap;

use rayon::prelude::*;

use crate::minhash::{Banded, MinHash, buckets, entry, key_of, set_of};
use crate::progress::Progress;
use crate::shingle::jaccard_at_least;

/// What counts as a near-duplicate, and how hard to look. A setting out of its range counts as the nearest end of it.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `threshold` | 0.7 | least Jaccard similarity of near-duplicates | 0.1 to 1 |
/// | `miss` | 0.005 | chance to overlook a pair exactly at the threshold; one above it is overlooked less | 0.0001 to 0.02 |
/// | `n_hashes` | 160 | hash functions at most: more of them cost time and memory, and spare comparisons | 1 to 1024 |
/// | `n_neighbors` | 64 | texts of the same bucket, next in size, that a text is compared with: bounds the work on templates | 1 up |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupConfig {
    /// Least Jaccard similarity of near-duplicates.
    pub threshold: f64,
    /// Chance to overlook a pair exactly at the threshold.
    pub miss: f64,
    /// Hash functions at most.
    pub n_hashes: usize,
    /// Texts of the same bucket that a text is compared with, at most.
    pub n_neighbors: usize,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig { threshold: 0.7, miss: 0.005, n_hashes: 160, n_neighbors: 64 }
    }
}

impl GroupConfig {
    /// The settings with each one in its range.
    pub(crate) fn in_range(self) -> GroupConfig {
        let within = |value: f64, low: f64, high: f64| if value.is_nan() { high } else { value.clamp(low, high) };
        GroupConfig {
            threshold: within(self.threshold, 0.1, 1.0),
            miss: within(self.miss, 0.0001, 0.02),
            n_hashes: self.n_hashes.clamp(1, 1024),
            n_neighbors: self.n_neighbors.max(1),
        }
    }

    /// The bands of settings that are in range.
    pub(crate) fn minhash(self) -> MinHash {
        MinHash::new(self.threshold, self.miss, self.n_hashes)
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

/// Groups texts with their near-duplicates. Texts that are equal once normalized are always in one group.
///
/// ```
/// use levelhead_lab::{group::{GroupConfig, group}, progress::Silent};
/// let texts = [
///     "please tell me how I can reset the password of my account",
///     "What is the capital of France?",
///     "Please tell me how I can reset the password of my account?",
/// ];
/// assert_eq!(group(&texts, GroupConfig::default(), &Silent).ids, [0, 1, 0]);
/// ```
pub fn group(texts: &[&str], config: GroupConfig, progress: &dyn Progress) -> Grouping {
    let config = config.in_range();
    progress.begin("fingerprints", texts.len() as u64);
    let banded = Banded::new(texts, config.minhash(), progress);
    progress.end();
    let n_bands = banded.minhash.n_bands();
    progress.begin("near-duplicates", n_bands as u64 + 1);
    let mut groups: Vec<u32> = (0..banded.distinct.len() as u32).collect();
    let mut crowded = vec![false; groups.len()];
    for band in 0..n_bands {
        let table = banded.table(band);
        for bucket in buckets(&table).filter(|bucket| bucket.len() > config.n_neighbors + 1) {
            bucket.iter().for_each(|entry| crowded[set_of(*entry)] = true);
        }
        join(&banded, config, &table, &mut groups);
        progress.advance(1);
    }
    join_crowded(&banded, config, &crowded, &mut groups);
    progress.advance(1);
    progress.end();
    let mut smallest = vec![u32::MAX; groups.len()];
    for (first, group) in banded.distinct.iter().zip(&groups) {
        let smallest = &mut smallest[*group as usize];
        *smallest = (*smallest).min(*first);
    }
    Grouping { ids: banded.of_text.iter().map(|set| smallest[groups[*set as usize] as usize]).collect() }
}

/// Texts of one template crowd into the buckets of its fixed words, where each is compared with few others. Those that also
/// share a rare shingle, the filling of a slot, are found by that: rare words first, as in prefix filtering (Chaudhuri, Ganti,
/// Kaushik, ICDE 2006). In the test of one template the bands alone find 511 of 547 pairs, with this step all of them.
fn join_crowded(banded: &Banded, config: GroupConfig, crowded: &[bool], groups: &mut [u32]) {
    // An eighth of the shingles at a time, to bound the memory.
    const PARTS: u32 = 8;
    let crowded: Vec<u32> = (0..).zip(crowded).filter(|(_, crowded)| **crowded).map(|(set, _)| set).collect();
    for part in (0..PARTS).filter(|_| !crowded.is_empty()) {
        let in_part = |shingle: &&u32| **shingle / (u32::MAX / PARTS + 1) == part;
        let entries = crowded.iter().flat_map(|set| banded.set(*set).iter().filter(in_part).map(|shingle| entry(*shingle, *set)));
        let mut table: Vec<u64> = entries.collect();
        table.par_sort_unstable();
        let rare: Vec<u64> = buckets(&table).filter(|b| b.len() <= config.n_neighbors + 1).flatten().copied().collect();
        join(banded, config, &rare, groups);
    }
}

/// Joins the near-duplicates within each bucket. `groups` holds the smallest set of each one's group, before and after.
fn join(banded: &Banded, config: GroupConfig, table: &[u64], groups: &mut [u32]) {
    // The buckets read the same groups, whatever the thread; which pairs they find does not hang on their order.
    let pairs: Vec<(u32, u32)> = table
        .par_chunk_by(|a, b| key_of(*a) == key_of(*b))
        .filter(|bucket| bucket.len() > 1)
        .flat_map_iter(|bucket| pairs(banded, config, bucket, groups))
        .collect();
    for (a, b) in pairs {
        unite(groups, a, b);
    }
    for i in 0..groups.len() {
        groups[i] = groups[groups[i] as usize];
    }
}

/// The near-duplicates in a bucket that are in different groups, as far as `n_neighbors` reaches.
fn pairs(banded: &Banded, config: GroupConfig, bucket: &[u64], groups: &[u32]) -> Vec<(u32, u32)> {
    let reach = config.n_neighbors;
    let mut pairs = Vec::new();
    let mut group_of: Vec<u32> = bucket.iter().map(|entry| groups[set_of(*entry)]).collect();
    for i in 1..bucket.len() {
        let set = banded.set(bucket[i] as u32);
        let window = i.saturating_sub(reach)..i.saturating_add(reach).min(bucket.len());
        for j in (window.start..i).rev() {
            let other = banded.set(bucket[j] as u32);
            // Sizes ascend within a bucket: all further ones are too small.
            if (other.len() as f64) < config.threshold * set.len() as f64 - 1e-6 {
                break;
            }
            let (group, joined) = (group_of[i], group_of[j]);
            if group != joined && jaccard_at_least(set, other, config.threshold).is_some() {
                pairs.push((bucket[j] as u32, bucket[i] as u32));
                // Marked in reach only: a mark that is missing costs a comparison, not a pair.
                group_of[window.clone()].iter_mut().filter(|g| **g == joined).for_each(|g| *g = group);
            }
        }
    }
    pairs
}

/// Makes one group of two.
fn unite(groups: &mut [u32], a: u32, b: u32) {
    let (a, b) = (root(groups, a), root(groups, b));
    groups[a.max(b) as usize] = a.min(b);
}

/// The smallest member of a group, with the path to it halved (Tarjan, van Leeuwen, JACM 1984).
fn root(groups: &mut [u32], mut i: u32) -> u32 {
    while groups[i as usize] != i {
        groups[i as usize] = groups[groups[i as usize] as usize];
        i = groups[i as usize];
    }
    i
}

/// Joins groups whose rows name the same group; a group's id stays its smallest index.
pub(crate) fn join_named(ids: &mut [u32], names: &[Option<&str>]) {
    let mut first: HashMap<&str, u32> = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        let Some(name) = name.filter(|n| !n.is_empty()) else { continue };
        let known = *first.entry(name).or_insert(i as u32);
        unite(ids, known, i as u32);
    }
    for i in 0..ids.len() {
        ids[i] = root(ids, i as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::random::Random;
    use crate::shingle::Sets;

    fn ids(texts: &[&str]) -> Vec<u32> {
        group(texts, GroupConfig::default(), &Silent).ids
    }

    fn in_threads<T: Send>(n: usize, f: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(f)
    }

    /// Texts of templates of `n_words` words, every `n_words / n_slots`-th of them filled from `n_fillings` words.
    fn templated(n: usize, n_templates: usize, n_words: usize, n_slots: usize, n_fillings: usize) -> Vec<String> {
        let mut random = Random::new(7, "templated texts");
        let mut text = || {
            let (template, gap) = (random.below(n_templates), n_words / n_slots);
            let mut word = |i: usize| match i % gap == gap / 2 {
                true => format!("s{i}x{}", random.below(n_fillings)),
                false => format!("t{template}w{i}"),
            };
            (0..n_words).map(&mut word).collect::<Vec<_>>().join(" ")
        };
        (0..n).map(|_| text()).collect()
    }

    /// All pairs of near-duplicates, by comparing everything with everything.
    fn exact_pairs(texts: &[&str]) -> Vec<(usize, usize)> {
        let sets = Sets::new(texts, &Silent);
        let near = |i: usize, j: usize| jaccard_at_least(sets.get(i as u32), sets.get(j as u32), 0.7).is_some();
        (0..texts.len()).flat_map(|i| (0..i).filter(move |j| near(i, *j)).map(move |j| (j, i))).collect()
    }

    fn found(pairs: &[(usize, usize)], ids: &[u32]) -> usize {
        pairs.iter().filter(|(i, j)| ids[*i] == ids[*j]).count()
    }

    #[test]
    fn near_duplicates_share_a_group_and_others_do_not() {
        let long = "tell me how to bake a loaf of bread at home without an oven";
        let rows: [(&str, &[&str], &[u32]); 9] = [
            ("none", &[], &[]),
            ("case and space", &["Hello  World", "x", "hello world\n"], &[0, 1, 0]),
            ("empty texts are equal", &["", "a", " \u{200b}\n", "a"], &[0, 1, 0, 1]),
            ("a word more: 12 of 13", &[long, &format!("{long} please")], &[0, 0]),
            ("a word changed in the middle: 9 of 15", &[long, &long.replace("loaf", "cake")], &[0, 1]),
            ("a short text with a stop: 26 of 27", &["what is the capital of france", "What is the capital of France?"], &[0, 0]),
            ("short texts about different things", &["what is the capital of france", "what is the capital of chad"], &[0, 1]),
            (
                "Chinese, a sign more: 16 of 17",
                &["请告诉我怎样在家里不用烤箱做一个好吃的面包", "请告诉我怎样在家里不用烤箱做一个好吃的面包吗"],
                &[0, 0],
            ),
            ("Chinese, different", &["请告诉我怎样在家里做面包", "今天的天气怎么样"], &[0, 1]),
        ];
        for (name, texts, expected) in rows {
            assert_eq!(ids(texts), expected, "{name}");
        }
    }

    #[test]
    fn groups_are_counted_and_listed_by_their_smallest_index() {
        let grouping = Grouping { ids: vec![0, 1, 1, 3, 0, 1] };
        assert_eq!(grouping.n_groups(), 3);
        assert_eq!(grouping.members(), [vec![0, 4], vec![1, 2, 5]]);
    }

    #[test]
    fn grouping_finds_what_comparing_all_pairs_finds() {
        for (n_templates, n_words, n_slots, n_fillings) in [(40, 24, 3, 4), (4, 36, 3, 2_000), (1_000, 55, 3, 1_000_000)] {
            let texts = templated(2_000, n_templates, n_words, n_slots, n_fillings);
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let pairs = exact_pairs(&texts);
            let ids = ids(&texts);
            let n_found = found(&pairs, &ids);
            println!("{n_templates} templates: {n_found} of {} pairs", pairs.len());
            assert!(pairs.len() > 50 && n_found as f64 >= 0.98 * pairs.len() as f64, "{n_found} of {}", pairs.len());
            // No group holds texts that no chain of near-duplicates connects.
            let mut exact: Vec<u32> = (0..texts.len() as u32).collect();
            for (i, j) in pairs {
                let (i, j) = (root(&mut exact, i as u32), root(&mut exact, j as u32));
                exact[i.max(j) as usize] = i.min(j);
            }
            assert!((0..texts.len() as u32).all(|i| root(&mut exact, i) == root(&mut exact, ids[i as usize])));
        }
    }

    #[test]
    #[ignore = "compares 20,000 real rows with each other; skipped without the corpora"]
    fn grouping_finds_what_comparing_all_pairs_of_real_rows_finds() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora/master.parquet");
        if !path.exists() {
            println!("skipped: {} is not there", path.display());
            return;
        }
        let data = crate::read::read(&path, crate::read::ReadOptions::default()).unwrap();
        let texts: Vec<&str> = data.rows.iter().take(20_000).map(|row| row.text.as_str()).collect();
        let sets = Sets::new(&texts, &Silent);
        let ids = ids(&texts);
        let of_row = |i: u32| -> [usize; 2] {
            let near = (0..i).filter(|j| jaccard_at_least(sets.get(i), sets.get(*j), 0.7).is_some());
            near.fold([0, 0], |[all, found], j| [all + 1, found + usize::from(ids[i as usize] == ids[j as usize])])
        };
        let [all, found] =
            (0..texts.len() as u32).into_par_iter().map(of_row).reduce(|| [0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        println!("{found} of {all} pairs in one group, {:.3} %", 100.0 * found as f64 / all as f64);
        assert!(found as f64 >= 0.99 * all as f64, "{found} of {all}");
    }

    #[test]
    fn a_template_that_crowds_every_bucket_loses_few_pairs() {
        // One template; two texts that share one filling of three are exactly at the threshold, all others are at 25/43.
        let texts = templated(2_000, 1, 36, 3, 10_000);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let pairs = exact_pairs(&texts);
        let config = GroupConfig { n_neighbors: 16, ..GroupConfig::default() };
        let banded = Banded::new(&texts, config.minhash(), &Silent);
        let mut groups: Vec<u32> = (0..banded.distinct.len() as u32).collect();
        (0..banded.minhash.n_bands()).for_each(|band| join(&banded, config, &banded.table(band), &mut groups));
        let in_bands: Vec<u32> = banded.of_text.iter().map(|set| groups[*set as usize]).collect();
        let (in_bands, in_all) = (found(&pairs, &in_bands), found(&pairs, &group(&texts, config, &Silent).ids));
        println!("{in_bands} of {} pairs in bands, {in_all} with rare shingles", pairs.len());
        assert!(in_bands < in_all && in_all as f64 >= 0.98 * pairs.len() as f64);
    }

    #[test]
    fn threads_change_nothing_and_the_order_of_the_texts_renames_the_groups() {
        let texts = templated(2_000, 30, 30, 3, 40);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let config = GroupConfig { n_neighbors: 4, ..GroupConfig::default() };
        let one = in_threads(1, || group(&texts, config, &Silent));
        assert_eq!(one, in_threads(2, || group(&texts, config, &Silent)));
        let mut order: Vec<usize> = (0..texts.len()).collect();
        Random::new(3, "order").shuffle(&mut order);
        let shuffled: Vec<&str> = order.iter().map(|i| texts[*i]).collect();
        let other = group(&shuffled, config, &Silent);
        assert!(one.n_groups() > 30 && one.n_groups() == other.n_groups());
        let mut new_name = vec![None; texts.len()];
        for (at, i) in order.iter().enumerate() {
            let name = new_name[one.ids[*i] as usize].get_or_insert(other.ids[at]);
            assert_eq!(*name, other.ids[at]);
        }
    }

    #[test]
    fn settings_out_of_range_count_as_the_nearest_end() {
        let wild = GroupConfig { threshold: f64::NAN, miss: 3.0, n_hashes: 0, n_neighbors: 0 };
        assert_eq!(wild.in_range(), GroupConfig { threshold: 1.0, miss: 0.02, n_hashes: 1, n_neighbors: 1 });
        assert_eq!(group(&["a b", "a  B", "c"], wild, &Silent).ids, [0, 0, 2]);
    }
}
