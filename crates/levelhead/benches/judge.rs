//! What a verdict costs, whole and by stage: `cargo bench -p levelhead`.

use std::sync::LazyLock;

use divan::Bencher;
use divan::counter::BytesCount;
use levelhead::features::{Extractor, FeatureSpec};
use levelhead::normalize::normalize_into;
use levelhead::reveal::reveal;
use levelhead::{Guard, Normalized, Prompt, Scratch, normalize};

static GUARD: LazyLock<Guard> = LazyLock::new(Guard::embedded);

/// A question of exactly 100 characters.
const QUESTION: &str = "Which of the two train lines to the coast is quicker on a Sunday, and does either take our bicycles?";

/// Paragraphs that a document is made of; the numbers keep its lines apart.
const PARAGRAPHS: [&str; 4] = [
    "The workshop opened in the spring, with three benches, a lathe and more goodwill than tools. Members pay by the month.",
    "In its second year it moved to the old dairy; the floor there is dry, and the neighbors do not mind a saw on a weekday.",
    "Most of what is made there is small: stools, boxes, bird houses, now and then a bed. Someone built a canoe over a winter.",
    "Repairs are the other half. A chair that wobbles is glued for free, as long as its owner holds the clamp and makes the tea.",
];

/// The same in Russian and with French accents, so that nothing is ASCII for long.
const ACCENTED: &str = "Где можно починить старый велосипед недорого? À côté de la gare, l'atelier est ouvert dès huit heures.";

fn document(n_bytes: usize) -> String {
    let mut text = String::new();
    for i in 0.. {
        text.push_str(&format!("{}. {}\n", i + 1, PARAGRAPHS[i % PARAGRAPHS.len()]));
        if text.len() >= n_bytes {
            text.truncate(n_bytes);
            return text;
        }
    }
    unreachable!("the loop ends with the document")
}

const NAMES: [&str; 4] = ["100 characters", "accented", "1 KB", "100 KB"];

fn text(name: &str) -> String {
    match name {
        "100 characters" => QUESTION.to_string(),
        "accented" => ACCENTED.to_string(),
        "1 KB" => document(1 << 10),
        _ => document(100 << 10),
    }
}

#[divan::bench(args = NAMES)]
fn judge(bencher: Bencher, name: &str) {
    let (text, mut scratch) = (text(name), Scratch::default());
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| GUARD.judge_with(&text, &mut scratch));
}

#[divan::bench]
fn load_and_first_verdict(bencher: Bencher) {
    bencher.bench_local(|| Guard::embedded().judge(QUESTION));
}

#[divan::bench(args = NAMES)]
fn stage_normalize(bencher: Bencher, name: &str) {
    let (text, mut out) = (text(name), Normalized::default());
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| normalize_into(&text, &mut out));
}

#[divan::bench(args = NAMES)]
fn stage_reveal(bencher: Bencher, name: &str) {
    let text = text(name);
    let normalized = normalize(&text);
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| reveal(&text, &normalized));
}

#[divan::bench(args = NAMES)]
fn stage_read(bencher: Bencher, name: &str) {
    let (text, mut prompt) = (text(name), Prompt::default());
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| prompt.read(&text));
}

#[divan::bench(args = NAMES)]
fn stage_rules(bencher: Bencher, name: &str) {
    let normalized = normalize(&text(name));
    bencher.counter(BytesCount::of_str(normalized.as_str())).bench_local(|| GUARD.rules.matches(&normalized).count());
}

#[divan::bench(args = NAMES)]
fn stage_features(bencher: Bencher, name: &str) {
    let normalized = normalize(&text(name));
    let (spec, mut extractor) = (FeatureSpec::default(), Extractor::default());
    let bencher = bencher.counter(BytesCount::of_str(normalized.as_str()));
    bencher.bench_local(|| {
        let mut n = 0;
        spec.extract((&normalized).into(), &mut extractor, |_, features| n += features.len());
        n
    });
}

fn main() {
    assert_eq!(QUESTION.len(), 100);
    divan::main();
}
