//! `frame`: the same request as another person would put it: as a question, an order, a hint or a fragment, with a greeting,
//! in haste, with a typo.
//!
//! One request is never put inside another: "Can you help me with Can you clarify that?" is what comes of it.

use super::{in_turn, is_short_request};
use crate::random::Random;

/// Sentences that can stand before any request or question.
const BEFORE: [&str; 12] = [
    "I'm new to this.",
    "Quick one:",
    "I could not find this anywhere.",
    "Hi there!",
    "For a project of mine:",
    "A friend asked me this.",
    "Hello,",
    "I have been wondering about this for a while.",
    "This came up at work today.",
    "Sorry if this is a basic question.",
    "Good morning!",
    "I'm preparing a short talk.",
];

/// Sentences that can stand after any request or question.
const AFTER: [&str; 12] = [
    "Thanks in advance!",
    "A short answer is enough.",
    "Please explain it step by step.",
    "An example would help.",
    "Keep it simple, please.",
    "I would like to understand why.",
    "Bullet points are fine.",
    "Thank you!",
    "Any pointers are welcome.",
    "Please keep it under 200 words.",
    "I'm on a deadline.",
    "Links to the documentation would be nice.",
];

/// Beginnings that ask for the same thing, by what follows them. The first of a list is a fragment's.
const BEGINNINGS: [&[&str]; 5] = [
    // + a bare infinitive: "handle errors in Go"
    &[
        "how to ",
        "How do I ",
        "How can I ",
        "What is the best way to ",
        "I'd like to know how to ",
        "Explain how to ",
        "Could you show me how to ",
        "Is there a good way to ",
        "We need to ",
        "I'm trying to ",
    ],
    // + a noun phrase: "a monad"
    &["about ", "What is ", "Explain ", "Describe ", "Tell me about ", "I keep reading about ", "Can you explain "],
    // + an order with its object: "write a short poem"
    &["please ", "Please ", "Can you ", "Could you ", "I need you to ", "I'd like you to ", "Would you "],
    // + a clause: "the sky is blue"
    &["reason why ", "Why is it that ", "Explain why ", "I wonder why ", "What is the reason that "],
    // + plural nouns: "the main causes of inflation"
    &["list of ", "What are ", "List ", "Name ", "Give me ", "I'm looking for "],
];

/// Orders that take an object, so that "Can you" can stand before them and be taken away.
const ORDERS: [&str; 18] = [
    "write",
    "explain",
    "describe",
    "give",
    "list",
    "create",
    "summarize",
    "translate",
    "compare",
    "show",
    "suggest",
    "find",
    "generate",
    "rewrite",
    "make",
    "help",
    "draft",
    "design",
];

/// At most `n` other ways to put the request.
pub(super) fn rephrase(prompt: &str, n: usize, random: &mut Random) -> Vec<String> {
    let is_short = is_short_request(prompt);
    in_turn(prompt, n, 5, random, |kind, round, random| match kind {
        0 if is_short => begin(prompt, random),
        1 if is_short => Some(format!("{} {prompt}", BEFORE[random.below(BEFORE.len())])),
        2 if is_short => Some(follow(prompt, AFTER[random.below(AFTER.len())])),
        3 => casual(prompt, round),
        4 => typo(prompt, random),
        _ => None,
    })
}

/// The request with another beginning of the same kind.
fn begin(prompt: &str, random: &mut Random) -> Option<String> {
    // Two sentences would need two beginnings.
    let body = prompt.trim_end_matches(['.', '?', '!']);
    if body.contains(['.', '?', '!', ':']) {
        return None;
    }
    let kinds = BEGINNINGS.iter().enumerate();
    let known = kinds.flat_map(|(kind, list)| list[1..].iter().map(move |beginning| (kind, *beginning)));
    let (kind, beginning) = known
        .filter(|(_, beginning)| body.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning)))
        .max_by_key(|(_, beginning)| beginning.len())
        .or_else(|| is_order(body).then_some((2, "")))?;
    let rest = &body[beginning.len()..];
    let (kind, rest) = match kind {
        // "Explain how to" and "Can you write" are of the kind of what follows.
        2 if !is_order(rest) => return None,
        1 if ["how", "why", "what", "to", "when", "if"].contains(&rest.split(' ').next()?) => return None,
        _ => (kind, lower_first(rest)),
    };
    let other = BEGINNINGS[kind][random.below(BEGINNINGS[kind].len())];
    let mark = if other.starts_with(|c: char| c.is_lowercase()) {
        ""
    } else if ["How", "What", "Why", "Can", "Could", "Would", "Is"].contains(&other.split(' ').next()?) {
        "?"
    } else {
        "."
    };
    (!other.trim().eq_ignore_ascii_case(beginning.trim())).then(|| format!("{other}{rest}{mark}"))
}

fn is_order(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or("").to_lowercase();
    ORDERS.contains(&first.as_str()) && text.contains(' ')
}

fn lower_first(text: &str) -> String {
    let is_name = text.chars().nth(1).is_some_and(char::is_uppercase);
    match text.chars().next() {
        Some(first) if !is_name && is_order(text) => first.to_lowercase().chain(text.chars().skip(1)).collect(),
        _ => text.to_string(),
    }
}

fn follow(prompt: &str, sentence: &str) -> String {
    let end = if prompt.ends_with(|c: char| c.is_alphanumeric() || c == ')') { "." } else { "" };
    format!("{prompt}{end} {sentence}")
}

/// The same words as typed in a hurry: no capitals, no end mark.
fn casual(prompt: &str, round: usize) -> Option<String> {
    let bare = prompt.trim_end_matches(['.', '?', '!']);
    match round {
        0 => Some(bare.to_lowercase()),
        1 => Some(format!("{}??", bare.to_lowercase())).filter(|_| prompt.ends_with('?')),
        2 => Some(format!("{bare}!")).filter(|_| prompt.ends_with('.')),
        _ => None,
    }
}

/// Two neighboring letters inside one longer word change places.
fn typo(prompt: &str, random: &mut Random) -> Option<String> {
    let words: Vec<(usize, &str)> = prompt
        .split_whitespace()
        .map(|w| (w.as_ptr() as usize - prompt.as_ptr() as usize, w))
        .filter(|(_, w)| w.len() >= 5 && w.bytes().all(|b| b.is_ascii_alphabetic()))
        .collect();
    if words.is_empty() {
        return None;
    }
    let (at, word) = words[random.below(words.len())];
    let i = at + 1 + random.below(word.len() - 3);
    let (a, b) = (&prompt[i..i + 1], &prompt[i + 1..i + 2]);
    (a != b).then(|| format!("{}{b}{a}{}", &prompt[..i], &prompt[i + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_question_gets_as_many_distinct_rephrasings_as_asked() {
        let prompt = "How do I handle authentication in Rust?";
        let found = rephrase(prompt, 20, &mut Random::new(1, "test"));
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), 20);
        assert!(!found.contains(&prompt.to_string()));
    }

    #[test]
    fn a_beginning_changes_for_one_that_asks_the_same() {
        let all = |prompt: &str| -> HashSet<String> {
            let mut random = Random::new(2, "test");
            (0..200).filter_map(|_| begin(prompt, &mut random)).collect()
        };
        let how = all("How do I handle errors in Go?");
        assert!(how.contains("Explain how to handle errors in Go.") && how.contains("how to handle errors in Go"), "{how:?}");
        let order = all("Write a poem about the sea.");
        assert!(order.contains("Can you write a poem about the sea?"), "{order:?}");
        assert!(all("Can you write a poem?").contains("I need you to write a poem."));
        assert!(all("What is HTTP?").contains("Tell me about HTTP."));
        assert!(all("Explain how to sew.").iter().all(|text| text.contains(" to sew") || text.contains(" I sew")));
        // What has no known beginning, two sentences, or a question inside another stays as it is.
        for prompt in ["The sky is blue today", "What is Rust? I heard of it.", "Can you Rust?", "Explain why it rains."] {
            assert!(
                all(prompt).iter().all(|text| text.ends_with("it rains.") || text.contains(" it rains")),
                "{prompt} {:?}",
                all(prompt)
            );
        }
    }

    #[test]
    fn nothing_is_put_around_a_document_or_another_script() {
        let document = format!("Release notes\n{}", "A line of text.\n".repeat(40));
        for prompt in [document.as_str(), "如何在 Rust 中处理身份验证？"] {
            let made = rephrase(prompt, 10, &mut Random::new(1, "test"));
            assert!(made.iter().all(|t| !BEFORE.iter().chain(&AFTER).any(|s| t.contains(s))), "{prompt}");
        }
    }
}
