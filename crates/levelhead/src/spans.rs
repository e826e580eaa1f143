//! Stage 5, part one: what the n-grams of a text come to, for the whole text and for each of its parts.
//!
//! The logit of a passage is bias + a bias of its size + S_c / (2 sqrt(N_c)) + S_w / sqrt(N_w), with the sum S and the number N
//! of the weights of its character and word n-grams: a linear model over features that are scaled to Euclidean length 1/2 and 1.
//! Characters weigh half: they know spellings and endings, but they see an attack in any text with an attack's words.
//! The more segments a text has, the more often one of its parts looks like an attack by chance, so what a part has to be ahead
//! of the whole counts by ln(n) / 2 for a text of n segments, and all from eight segments on.
//!
//! Sums of slots are enough for every run of segments, so the cost of judging all parts does not depend on their size. The judge
//! and the trainer both take their passages from here.

/// Euclidean length of the character features, where that of the word features is 1.
const CHAR_LENGTH: f32 = 0.5;

/// Segments of a part of a text: one of these numbers.
pub const SIZES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// Biases by size of a passage: the whole text first, then each of [`SIZES`].
pub type SizeBiases = [f32; 1 + SIZES.len()];

/// Weights of n-grams and their number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sum {
    /// Their weights together.
    pub weight: f32,
    /// How many they are.
    pub n: f32,
}

impl Sum {
    /// Adds an n-gram.
    #[inline(always)]
    pub fn add(&mut self, weight: f32) {
        self.weight += weight;
        self.n += 1.0;
    }

    /// The value that each of the n-grams has, for features of Euclidean length 1.
    #[inline(always)]
    fn value(self) -> f32 {
        if self.n > 0.0 { 1.0 / self.n.sqrt() } else { 0.0 }
    }
}

/// The n-grams of a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slot {
    /// Characters and words: each n-gram of the slot, once.
    pub all: [Sum; 2],
    /// Those that no earlier slot of the chapter has.
    pub new: [Sum; 2],
}

impl Slot {
    /// Adds a feature.
    #[inline(always)]
    pub fn add(&mut self, is_char: bool, is_new: bool, weight: f32) {
        let family = usize::from(!is_char);
        self.all[family].add(weight);
        if is_new {
            self.new[family].add(weight);
        }
    }
}

/// A passage: a run of slots, and which bias goes with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First slot.
    pub first: usize,
    /// Last slot.
    pub last: usize,
    /// Index of its bias.
    pub size: usize,
}

impl Span {
    /// Whether its features are all n-grams of its one slot, rather than the new ones of several.
    pub fn is_single(self) -> bool {
        self.first == self.last
    }

    /// Its first and last segment.
    pub fn segments(self) -> (usize, usize) {
        (self.first / 2, self.last / 2)
    }
}

/// Buffers, reused from text to text.
#[derive(Debug, Default)]
pub struct Spans {
    /// Sums of the new n-grams of all slots before each slot; 64 bits, since they are subtracted.
    before: Vec<[f64; 4]>,
}

impl Spans {
    /// Calls `f` with each passage of a text and what its n-grams come to, characters and words; the whole first.
    ///
    /// A text of over [`crate::features::CHAPTER`] segments has no whole but its parts.
    pub fn visit(&mut self, slots: &[Slot], parts: bool, mut f: impl FnMut(Span, [Sum; 2])) {
        let n_segments = slots.len().div_ceil(2);
        if n_segments <= 1 {
            if let Some(slot) = slots.first() {
                f(Span { first: 0, last: 0, size: 0 }, slot.all);
            }
            return;
        }
        self.before.clear();
        self.before.push([0.0; 4]);
        let mut sums = [0f64; 4];
        for slot in slots {
            let [chars, words] = slot.new;
            [chars.weight, chars.n, words.weight, words.n].iter().zip(&mut sums).for_each(|(x, sum)| *sum += f64::from(*x));
            self.before.push(sums);
        }
        let between = |first: usize, last: usize| {
            let (a, b) = (self.before[first], self.before[last + 1]);
            let sum = |i: usize| Sum { weight: (b[i] - a[i]) as f32, n: (b[i + 1] - a[i + 1]) as f32 };
            [sum(0), sum(2)]
        };
        if n_segments <= crate::features::CHAPTER || !parts {
            let last = 2 * n_segments - 2;
            f(Span { first: 0, last, size: 0 }, between(0, last));
        }
        if !parts {
            return;
        }
        for (i, n) in SIZES.into_iter().enumerate().filter(|(_, n)| *n < n_segments) {
            for segment in 0..=n_segments - n {
                let (first, last) = (2 * segment, 2 * (segment + n) - 2);
                let sums = if n == 1 { slots[first].all } else { between(first, last) };
                f(Span { first, last, size: 1 + i }, sums);
            }
        }
    }

    /// The passage with the highest logit, of equals the first; nothing where the text has none.
    pub fn strongest(&mut self, slots: &[Slot], parts: bool, biases: &SizeBiases) -> Option<(Span, f32)> {
        let mut top: Option<(Span, f32)> = None;
        let n_segments = slots.len().div_ceil(2);
        let share = if n_segments < 8 { 0.5 * (n_segments as f32).ln() } else { 1.0 };
        let biases = biases.map(|bias| biases[0] + share * (bias - biases[0]));
        self.visit(slots, parts, |span, sums| {
            let logit = biases[span.size] + evidence(sums);
            if top.is_none_or(|t| logit > t.1) {
                top = Some((span, logit));
            }
        });
        top
    }
}

/// What the n-grams of a passage add to its logit.
#[inline(always)]
pub fn evidence(sums: [Sum; 2]) -> f32 {
    let [char_value, word_value] = values(sums);
    char_value * sums[0].weight + word_value * sums[1].weight
}

/// The value that each character and each word feature of a passage has.
#[inline(always)]
pub fn values([chars, words]: [Sum; 2]) -> [f32; 2] {
    [CHAR_LENGTH * chars.value(), words.value()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: f32, weight: f32) -> Slot {
        let sum = Sum { weight, n };
        Slot { all: [Sum::default(), sum], new: [Sum::default(), sum] }
    }

    #[test]
    fn every_run_of_each_size_is_a_passage_and_sums_agree_with_adding_up() {
        let slots: Vec<Slot> = (0..9).map(|i| slot((1 + i) as f32, (i * i) as f32)).collect();
        let mut seen = Vec::new();
        Spans::default().visit(&slots, true, |span, sums| {
            let inside = &slots[span.first..=span.last];
            assert_eq!(sums[1].weight, inside.iter().map(|s| s.new[1].weight).sum::<f32>());
            assert_eq!(sums[1].n, inside.iter().map(|s| s.new[1].n).sum::<f32>());
            seen.push((span.segments(), span.size));
        });
        let expected = [((0, 4), 0)].into_iter().chain((0..5).map(|i| ((i, i), 1)));
        let expected = expected.chain((0..4).map(|i| ((i, i + 1), 2))).chain((0..2).map(|i| ((i, i + 3), 3)));
        assert_eq!(seen, expected.collect::<Vec<_>>());
        seen.clear();
        Spans::default().visit(&slots, false, |span, _| seen.push((span.segments(), span.size)));
        assert_eq!(seen, [((0, 4), 0)]);
    }

    #[test]
    fn the_strongest_passage_is_the_attack_among_harmless_sentences() {
        // Three segments; the middle one is the attack.
        let slots = [slot(4.0, -4.0), slot(1.0, 0.0), slot(4.0, 6.0), slot(1.0, 0.0), slot(4.0, -4.0)];
        let mut biases = [0.0; 7];
        let (span, logit) = Spans::default().strongest(&slots, true, &biases).unwrap();
        assert_eq!((span.segments(), span.size, logit), ((1, 1), 1, 3.0));
        biases[1] = -10.0;
        // -4 + 0 + 6 over the root of nine.
        let (span, logit) = Spans::default().strongest(&slots, true, &biases).unwrap();
        assert_eq!((span.segments(), logit), ((0, 1), 2.0 / 3.0));
        assert_eq!(Spans::default().strongest(&[], true, &biases), None);
    }

    #[test]
    fn a_part_of_few_has_to_be_less_ahead_of_the_whole() {
        let biases = [1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0];
        // The first segment says 6, the others nothing.
        let logit = |n: usize| {
            let slots: Vec<Slot> = (0..2 * n - 1).map(|i| if i == 0 { slot(1.0, 6.0) } else { slot(1.0, 0.0) }).collect();
            Spans::default().strongest(&slots, true, &biases).unwrap().1
        };
        let expected = |share: f32| 1.0 - 2.0 * share + 6.0;
        assert_eq!([2, 3, 7, 8, 40].map(logit), [0.5 * 2f32.ln(), 0.5 * 3f32.ln(), 0.5 * 7f32.ln(), 1.0, 1.0].map(expected));
    }

    #[test]
    fn a_text_of_many_segments_is_judged_by_its_parts_alone() {
        let slots = vec![slot(2.0, 1.0); 2 * 40 - 1];
        let mut sizes = Vec::new();
        Spans::default().visit(&slots, true, |span, _| sizes.push(span.size));
        assert!(!sizes.contains(&0));
        assert_eq!(sizes.iter().filter(|s| **s == 6).count(), 9);
    }
}
