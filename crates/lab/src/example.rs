//! Rows as the trainer sees them: the features of each text by slot, a target and a weight.

use levelhead::features::{Extractor, Feature, FeatureSpec};
use levelhead::passage::Prompt;
use levelhead::spans::{SizeBiases, Slot, Span, Spans, Sum, values};
use rayon::prelude::*;

use crate::progress::Progress;
use crate::row::Row;

/// A row as the trainer sees it.
pub(crate) struct Example {
    /// The prompt's own text first, then what it hides.
    pub texts: Box<[Reading]>,
    /// 1 for an attack, 0 otherwise.
    pub target: f32,
    /// How much the row counts.
    pub weight: f32,
}

/// The features of a text, slot by slot.
#[derive(Default)]
pub(crate) struct Reading {
    /// Bucket, and [`NEW`].
    features: Box<[u32]>,
    /// Where the features of each slot end.
    ends: Box<[u32]>,
}

/// Set in a feature that no earlier slot of its chapter has. Buckets have 25 bits.
const NEW: u32 = 1 << 31;

/// A passage that was chosen, under some weights.
pub(crate) struct Chosen {
    /// Which text it is part of.
    pub text: usize,
    /// Where.
    pub span: Span,
    /// Its logit.
    pub logit: f32,
}

/// Buffers, reused from row to row.
#[derive(Default)]
pub(crate) struct Scratch {
    slots: Vec<Slot>,
    spans: Spans,
}

impl Reading {
    fn new(features: &[(usize, Feature)], n_segments: usize) -> Reading {
        if features.is_empty() {
            return Reading::default();
        }
        // Features come by family and place, so those of a slot need not stand together.
        let marked = |f: Feature| f.bucket() | if f.is_new() { NEW } else { 0 };
        let (sorted, ends) = deal(features.iter().map(|(slot, f)| (*slot, marked(*f))), 2 * n_segments - 1);
        Reading { features: sorted.into(), ends: ends.into() }
    }

    fn slot(&self, slot: usize) -> &[u32] {
        let start = if slot == 0 { 0 } else { self.ends[slot - 1] };
        &self.features[start as usize..self.ends[slot] as usize]
    }

    /// The buckets of a passage.
    pub fn buckets(&self, span: Span) -> impl Iterator<Item = u32> + Clone {
        let features = (span.first..=span.last).flat_map(|slot| self.slot(slot));
        features.filter(move |f| span.is_single() || **f & NEW != 0).map(|f| f & !NEW)
    }

    /// The distinct buckets of the text.
    pub fn distinct(&self) -> impl Iterator<Item = u32> {
        self.features.iter().filter(|f| **f & NEW != 0).map(|f| f & !NEW)
    }

    fn sum(&self, spec: FeatureSpec, slots: &mut Vec<Slot>, weight: impl Fn(u32) -> f32) {
        slots.clear();
        slots.extend((0..self.ends.len()).map(|slot| {
            let mut sums = Slot::default();
            for feature in self.slot(slot) {
                let bucket = feature & !NEW;
                sums.add(spec.is_char(bucket), feature & NEW != 0, weight(bucket));
            }
            sums
        }));
    }
}

impl Example {
    /// The strongest passage; of equals the first. Nothing where nothing can be seen in the row.
    pub fn strongest(
        &self,
        spec: FeatureSpec,
        scratch: &mut Scratch,
        biases: &SizeBiases,
        weight: impl Fn(u32) -> f32,
    ) -> Option<Chosen> {
        let mut top: Option<Chosen> = None;
        for (text, reading) in self.texts.iter().enumerate() {
            reading.sum(spec, &mut scratch.slots, &weight);
            if let Some((span, logit)) = scratch.spans.strongest(&scratch.slots, spec.parts, biases)
                && top.as_ref().is_none_or(|t| logit > t.logit)
            {
                top = Some(Chosen { text, span, logit });
            }
        }
        top
    }

    /// The prompt as a whole.
    pub fn whole(
        &self,
        spec: FeatureSpec,
        scratch: &mut Scratch,
        biases: &SizeBiases,
        weight: impl Fn(u32) -> f32,
    ) -> Option<Chosen> {
        self.texts[0].sum(spec, &mut scratch.slots, &weight);
        let (span, logit) = scratch.spans.strongest(&scratch.slots, false, biases)?;
        Some(Chosen { text: 0, span, logit })
    }

    /// The buckets of a passage in `n_ranges` equal ranges one after another, where each range ends, and the value of
    /// character and of word features.
    pub fn gather(&self, chosen: &Chosen, spec: FeatureSpec, n_ranges: usize) -> (Vec<u32>, Vec<u32>, [f32; 2]) {
        let reading = &self.texts[chosen.text];
        let size = spec.n_buckets() / n_ranges;
        let mut sums = [Sum::default(); 2];
        reading.buckets(chosen.span).for_each(|bucket| sums[usize::from(!spec.is_char(bucket))].add(0.0));
        let in_ranges = reading.buckets(chosen.span).map(|bucket| (bucket as usize / size, bucket));
        let (buckets, ends) = deal(in_ranges, n_ranges);
        (buckets, ends, values(sums))
    }
}

/// Deals values out to parts that follow one another, in their order; gives them and where each part ends.
fn deal(values: impl Iterator<Item = (usize, u32)> + Clone, n_parts: usize) -> (Vec<u32>, Vec<u32>) {
    let mut ends = vec![0u32; n_parts];
    values.clone().for_each(|(part, _)| ends[part] += 1);
    let mut places = Vec::with_capacity(n_parts);
    let mut n = 0;
    for end in &mut ends {
        places.push(n);
        n += *end;
        *end = n;
    }
    let mut dealt = vec![0u32; n as usize];
    for (part, value) in values {
        dealt[places[part] as usize] = value;
        places[part] += 1;
    }
    (dealt, ends)
}

/// The examples of the rows, in their order; `weight` says how much a row counts.
pub(crate) fn featurize(
    rows: &[&Row],
    spec: FeatureSpec,
    weight: impl Fn(&Row) -> f32 + Sync,
    progress: &dyn Progress,
) -> Vec<Example> {
    rows.par_chunks(512)
        .flat_map_iter(|chunk| {
            let mut extractor = Extractor::default();
            let mut prompt = Prompt::default();
            let mut features = Vec::new();
            let examples: Vec<Example> = chunk
                .iter()
                .map(|row| {
                    prompt.read(&row.text);
                    let texts = prompt.texts().map(|text| {
                        features.clear();
                        let n_segments = spec.extract(text.into(), &mut extractor, |segment, some| {
                            features.extend(some.iter().map(|f| (f.slot(segment), *f)));
                        });
                        Reading::new(&features, n_segments)
                    });
                    let texts = texts.collect();
                    Example { texts, target: f32::from(u8::from(row.is_attack())), weight: weight(row) }
                })
                .collect();
            progress.advance(chunk.len() as u64);
            examples
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use levelhead::model::{LinearModel, Reader};
    use levelhead::normalize;

    use super::*;
    use crate::progress::Silent;
    use crate::row::Label;

    #[test]
    fn the_trainer_sees_the_passages_and_logits_that_the_judge_sees() {
        let spec = FeatureSpec { char_bits: 10, word_bits: 10, ..FeatureSpec::default() };
        let weights: Vec<f32> = (0..spec.n_buckets()).map(|i| ((i * 7919) % 255) as f32 - 127.0).collect();
        let biases = [0.0, -30.0, -20.0, -10.0, -5.0, 0.0, 0.0];
        let model = LinearModel::quantize(spec, biases, &weights);
        let sentence = |i: usize| format!("sentence number {i} of the text says {}. ", i * i % 17);
        let texts = ["".to_string(), "one".into(), (0..12).map(sentence).collect(), (0..90).map(sentence).collect()];
        for text in texts {
            let row = Row::new(text.clone(), Label::Attack);
            let example = featurize(&[&row], spec, |_| 1.0, &Silent).remove(0);
            let chosen = example.strongest(spec, &mut Scratch::default(), &biases, |b| model.weight(b));
            let judged = model.strongest((&normalize(&text)).into(), &mut Reader::default());
            assert_eq!(chosen.is_some(), judged.is_some(), "{text:?}");
            let (Some(chosen), Some((span, logit))) = (chosen, judged) else { continue };
            assert_eq!(chosen.span, span, "{text:?}");
            assert!((chosen.logit - logit.0).abs() < 1e-3);
            // The buckets that are updated are those that made the logit.
            let (buckets, ends, values) = example.gather(&chosen, spec, 16);
            assert_eq!(ends[15] as usize, buckets.len());
            let sum: f32 = buckets.iter().map(|b| values[usize::from(!spec.is_char(*b))] * model.weight(*b)).sum();
            assert!((biases[span.size] + sum - logit.0).abs() < 1e-2, "{sum} {logit:?}");
        }
    }
}
