//! Rows as the trainer sees them: sorted feature indices, a target and a weight.

use levelhead::features::{Extractor, FeatureSpec, Features};
use levelhead::passage::Prompt;
use rayon::prelude::*;

use crate::progress::Progress;
use crate::row::Row;

/// A row as the trainer sees it.
pub(crate) struct Example {
    /// The whole text first, then its windows and what it hides.
    pub passages: Box<[Instance]>,
    /// 1 for an attack, 0 otherwise.
    pub target: f32,
    /// How much the row counts.
    pub weight: f32,
}

/// The features of a passage.
pub(crate) struct Instance {
    /// Sorted, so that a range of buckets is a range of entries.
    pub indices: Box<[u32]>,
    /// How many of them belong to character n-grams.
    pub n_chars: usize,
    /// Value of each character feature and of each word feature.
    pub values: (f32, f32),
}

impl Instance {
    /// The logit under the given weights.
    pub fn logit(&self, bias: f32, weight: impl Fn(u32) -> f32) -> f32 {
        let (chars, words) = self.indices.split_at(self.n_chars);
        let sum = |indices: &[u32]| indices.iter().map(|bucket| weight(*bucket)).sum::<f32>();
        bias + self.values.0 * sum(chars) + self.values.1 * sum(words)
    }
}

impl Example {
    /// The strongest passage and its logit; of equals the first.
    pub fn strongest(&self, bias: f32, weight: impl Fn(u32) -> f32) -> (usize, f32) {
        let mut top = (0, f32::NEG_INFINITY);
        for (i, passage) in self.passages.iter().enumerate() {
            let logit = passage.logit(bias, &weight);
            if logit > top.1 {
                top = (i, logit);
            }
        }
        top
    }
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
            let examples: Vec<Example> = chunk
                .iter()
                .map(|row| {
                    prompt.read(&row.text);
                    let mut passages = Vec::new();
                    prompt.passages(spec.window, |passage| passages.push(instance(spec.extract(passage, &mut extractor))));
                    Example { passages: passages.into(), target: f32::from(u8::from(row.is_attack())), weight: weight(row) }
                })
                .collect();
            progress.advance(chunk.len() as u64);
            examples
        })
        .collect()
}

fn instance(features: &Features) -> Instance {
    let mut indices: Box<[u32]> = features.indices.as_slice().into();
    // Word buckets follow all character buckets, so sorting keeps the families apart.
    indices.sort_unstable();
    Instance { indices, n_chars: features.n_chars, values: features.values() }
}
