//! Stage 5, L2: a linear model over the features, with 8-bit weights.

use crate::calibration::Logit;
use crate::features::{Extractor, Feature, FeatureSpec};
use crate::passage::Text;
use crate::spans::{SizeBiases, Slot, Span, Spans, Sum};

/// Weights that share one scale. Small blocks keep the rounding error of a weight below 1/254 of its largest neighbor.
pub const BLOCK: usize = 64;

/// A linear classifier over the passages of a text; see [`crate::spans`] for the logit of a passage.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearModel {
    /// Which features the weights belong to.
    pub spec: FeatureSpec,
    /// Logit of a passage without features, by its size.
    pub biases: SizeBiases,
    /// One weight for each bucket, in units of its block's scale.
    pub weights: Vec<i8>,
    /// One scale for each block of [`BLOCK`] weights.
    pub scales: Vec<f32>,
}

/// Buffers for reading a text, reused from text to text.
#[derive(Debug, Default)]
pub struct Reader {
    extractor: Extractor,
    weights: Vec<f32>,
    slots: Vec<Slot>,
    spans: Spans,
}

impl LinearModel {
    /// Rounds weights to 8 bits. `weights` has one entry for each bucket of `spec`.
    pub fn quantize(spec: FeatureSpec, biases: SizeBiases, weights: &[f32]) -> LinearModel {
        assert_eq!(weights.len(), spec.n_buckets(), "one weight for each bucket");
        let (weights, scales) = quantize(weights, BLOCK);
        LinearModel { spec, biases, weights, scales }
    }

    /// The weight of a bucket.
    #[inline(always)]
    pub fn weight(&self, bucket: u32) -> f32 {
        f32::from(self.weights[bucket as usize]) * self.scales[bucket as usize / BLOCK]
    }

    /// The strongest passage of a text and its logit; nothing where nothing can be seen in the text.
    pub fn strongest(&self, text: Text<'_>, reader: &mut Reader) -> Option<(Span, Logit)> {
        let Reader { extractor, weights, slots, spans } = reader;
        slots.clear();
        let mut is_empty = true;
        let n_segments = self.spec.extract(text, extractor, |segment, features| {
            is_empty = false;
            if slots.len() < 2 * segment + 2 {
                slots.resize(2 * segment + 2, Slot::default());
            }
            self.add_up(features, weights, &mut slots[2 * segment..]);
        });
        if is_empty {
            return None;
        }
        slots.resize(2 * n_segments - 1, Slot::default());
        spans.strongest(slots, self.spec.parts, &self.biases).map(|(span, logit)| (span, Logit(logit)))
    }

    /// Writes the sums of the features of one family and segment to the segment's slot and the next.
    fn add_up(&self, features: &[Feature], weights: &mut Vec<f32>, slots: &mut [Slot]) {
        // First the weights, so that the processor can wait for many at once; then the sums, each of which waits for the one before.
        weights.clear();
        weights.extend(features.iter().map(|feature| self.weight(feature.bucket())));
        if self.spec.is_char(features[0].bucket()) {
            // Characters reach no further than their segment.
            let [all, new] = sums(features, weights, |f| [true, f.is_new()]);
            (slots[0].all[0], slots[0].new[0]) = (all, new);
        } else {
            let counts = |f: Feature| [!f.reaches(), !f.reaches() & f.is_new(), f.reaches(), f.reaches() & f.is_new()];
            let [all, new, next_all, next_new] = sums(features, weights, counts);
            (slots[0].all[1], slots[0].new[1]) = (all, new);
            (slots[1].all[1], slots[1].new[1]) = (next_all, next_new);
        }
    }
}

/// Several sums of features at once; `counts` says to which of them a feature belongs.
#[inline(always)]
fn sums<const N: usize>(features: &[Feature], weights: &[f32], counts: impl Fn(Feature) -> [bool; N]) -> [Sum; N] {
    let (mut sums, mut ns) = ([0f32; N], [0u32; N]);
    for (feature, weight) in features.iter().zip(weights) {
        for ((sum, n), counts) in sums.iter_mut().zip(&mut ns).zip(counts(*feature)) {
            // The weight or zero, without a branch that could be guessed wrong.
            *sum += f32::from_bits(weight.to_bits() & 0u32.wrapping_sub(u32::from(counts)));
            *n += u32::from(counts);
        }
    }
    std::array::from_fn(|i| Sum { weight: sums[i], n: ns[i] as f32 })
}

/// Rounds each block of `size` values to multiples of the block's largest magnitude / 127.
pub fn quantize(values: &[f32], size: usize) -> (Vec<i8>, Vec<f32>) {
    let mut rounded = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len().div_ceil(size));
    for block in values.chunks(size) {
        let scale = block.iter().fold(0f32, |m, v| m.max(v.abs())) / 127.0;
        scales.push(scale);
        rounded.extend(block.iter().map(|v| if scale > 0.0 { (v / scale).round() as i8 } else { 0 }));
    }
    (rounded, scales)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::normalize;

    #[test]
    fn a_logit_is_the_hand_computed_sum() {
        let spec = FeatureSpec { char_bits: 8, word_bits: 8, ..FeatureSpec::default() };
        let text = normalize("abc abc");
        let mut weights = vec![0.0; spec.n_buckets()];
        let mut counts = [0u32; 2];
        spec.extract((&text).into(), &mut Extractor::default(), |_, features| {
            for bucket in features.iter().map(|f| f.bucket()) {
                counts[usize::from(!spec.is_char(bucket))] += 1;
                weights[bucket as usize] = if spec.is_char(bucket) { 0.5 } else { 2.0 };
            }
        });
        assert_eq!(counts, [2, 2]);
        let model = LinearModel::quantize(spec, [0.25; 7], &weights);
        let logit = |text: &str| model.strongest((&normalize(text)).into(), &mut Reader::default());
        // 0.25 + 2 * 0.5 * 0.5 / sqrt(2) + 2 * 2 / sqrt(2)
        assert!((logit("abc abc").unwrap().1.0 - 3.431_98).abs() < 0.02, "{:?}", logit("abc abc"));
        assert_eq!((logit(""), logit(" \n ")), (None, None));
    }

    #[test]
    fn quantization_errs_by_half_a_step_at_most() {
        let values: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1013) as f32 / 100.0 - 5.0).collect();
        let (rounded, scales) = quantize(&values, BLOCK);
        for (i, v) in values.iter().enumerate() {
            let back = f32::from(rounded[i]) * scales[i / BLOCK];
            assert!((back - v).abs() <= scales[i / BLOCK] * 0.5001, "{v} became {back}");
        }
        assert_eq!(quantize(&[0.0; 5], 2), (vec![0; 5], vec![0.0; 3]));
    }
}
