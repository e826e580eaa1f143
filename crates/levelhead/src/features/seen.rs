//! Which buckets a chapter of a text has had, so that repetition carries no weight.

use super::{Feature, NEW};

/// The buckets of a chapter, with the last slot that had each: an open hash table.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// [`TAKEN`], bucket (25 bits), slot within its chapter (6 bits); 0 for a free place.
    entries: Vec<u32>,
    /// How many entries are in use. As few as will do stay in the processor's nearest cache.
    size: usize,
}

const TAKEN: u32 = 1 << 31;
const SLOT_BITS: u32 = 6;

impl Seen {
    /// Forgets everything; makes room for so many buckets.
    pub(super) fn clear(&mut self, n_most: usize) {
        // At most half of it is taken, so the first place that is looked at is nearly always the right one.
        self.size = (2 * n_most).max(64).next_power_of_two();
        if self.size > self.entries.len() {
            self.entries.resize(self.size, 0);
        }
        self.entries[..self.size].fill(0);
    }

    /// The features among the n-grams of a segment: each bucket at its first occurrence in a slot. They are moved to the front.
    pub(super) fn keep_first<'a>(&mut self, segment: usize, grams: &'a mut [Feature]) -> &'a [Feature] {
        let entries = &mut self.entries[..self.size];
        let mask = entries.len() - 1;
        let own = TAKEN | (2 * segment as u32);
        let mut n = 0;
        for i in 0..grams.len() {
            let gram = grams[i];
            let entry = own | (gram.bucket() << SLOT_BITS) | u32::from(gram.reaches());
            // Whether a place is free is one condition with whether another bucket has it; by itself nothing could foretell it.
            // A bucket is the upper part of a hash, so its lower bits are as good as any.
            let mut at = gram.bucket() as usize & mask;
            while (entries[at] != 0) & ((entries[at] ^ entry) >> SLOT_BITS != 0) {
                at = (at + 1) & mask;
            }
            let found = std::mem::replace(&mut entries[at], entry);
            // Without a branch on whether it is a repeat, which nothing could foretell.
            grams[n] = Feature { packed: gram.packed | if found == 0 { NEW } else { 0 } };
            n += usize::from(found != entry);
        }
        &grams[..n]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_new_once_a_chapter_and_counts_once_a_slot() {
        let mut seen = Seen::default();
        for n_most in [10, 1000, 10] {
            seen.clear(n_most);
            let rows =
                [(7, 0, Some(true)), (7, 0, None), (7, 2, Some(false)), (7, 2, None), (71, 2, Some(true)), (7, 3, Some(false))];
            for (bucket, slot, expected) in rows {
                let mut grams = [Feature::new(bucket, slot % 2 == 1)];
                let is_new = seen.keep_first(slot / 2, &mut grams).first().map(|f| f.is_new());
                assert_eq!(is_new, expected, "bucket {bucket}, slot {slot}");
            }
        }
    }

    #[test]
    fn the_highest_bucket_and_slot_are_told_from_their_neighbors() {
        let mut seen = Seen::default();
        seen.clear(4);
        let most = (1 << 25) - 1;
        let mut grams =
            [(most, true), (most - 1, true), (most, false), (most, false), (0, false)].map(|(b, r)| Feature::new(b, r));
        let kept: Vec<_> = seen.keep_first(31, &mut grams).iter().map(|f| (f.bucket(), f.reaches(), f.is_new())).collect();
        assert_eq!(kept, [(most, true, true), (most - 1, true, true), (most, false, false), (0, false, true)]);
    }
}
