//! Which buckets a chapter of a text has had, so that repetition carries no weight.

/// The buckets of a chapter, with the last slot that had each: an open hash table that is emptied without being touched.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Generation (32 bits), bucket (25 bits), slot within its chapter (7 bits).
    entries: Vec<u64>,
    generation: u32,
}

const SLOT_BITS: u32 = 7;
const BUCKET_BITS: u32 = 25;

impl Seen {
    /// Forgets everything; makes room for so many buckets.
    pub(super) fn clear(&mut self, n_most: usize) {
        let size = (n_most + 64).next_power_of_two();
        if size > self.entries.len() {
            self.entries = vec![0; size];
            self.generation = 0;
        }
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.entries.fill(0);
            self.generation = 1;
        }
    }

    /// Adds a bucket to a slot. Nothing where the slot has it; else whether it is new to the chapter.
    #[inline(always)]
    pub(super) fn insert(&mut self, bucket: u32, slot: u32) -> Option<bool> {
        let mask = self.entries.len() - 1;
        let key = u64::from(self.generation) << BUCKET_BITS | u64::from(bucket);
        let entry = key << SLOT_BITS | u64::from(slot & ((1 << SLOT_BITS) - 1));
        // A bucket is the upper part of a hash, so its lower bits are as good as any.
        let mut at = bucket as usize & mask;
        loop {
            let found = &mut self.entries[at];
            if *found >> SLOT_BITS == key {
                let is_repeat = *found == entry;
                *found = entry;
                return (!is_repeat).then_some(false);
            }
            if (*found >> (SLOT_BITS + BUCKET_BITS)) as u32 != self.generation {
                *found = entry;
                return Some(true);
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_new_once_a_chapter_and_counts_once_a_slot() {
        let mut seen = Seen::default();
        for _ in 0..3 {
            seen.clear(10);
            let rows =
                [(7, 0, Some(true)), (7, 0, None), (7, 2, Some(false)), (7, 2, None), (71, 2, Some(true)), (7, 3, Some(false))];
            for (bucket, slot, expected) in rows {
                assert_eq!(seen.insert(bucket, slot), expected, "bucket {bucket}, slot {slot}");
            }
        }
    }

    #[test]
    fn emptying_it_four_billion_times_forgets_still() {
        let mut seen = Seen::default();
        seen.clear(10);
        seen.insert(5, 1);
        seen.generation = u32::MAX;
        seen.clear(10);
        assert_eq!(seen.insert(5, 1), Some(true));
    }
}
