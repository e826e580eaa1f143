//! Variations of a benign prompt that keep its intent: what a person might have typed instead.
//!
//! Each strategy knows which prompts it fits and gives nothing for others; it must never nest one request in another.

use crate::random::Random;

/// A variation and how it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// The new prompt.
    pub text: String,
    /// The strategy's name.
    pub strategy: &'static str,
}

/// Words that stand for each other: one can be put in the other's place and the prompt still makes sense.
const SLOTS: [&[&str]; 8] = [
    &["Rust", "Python", "Java", "Kotlin", "TypeScript", "JavaScript", "Ruby", "Swift", "Scala", "PHP", "Haskell", "Elixir"],
    &["Django", "Flask", "Rails", "Laravel", "Express", "Spring Boot", "FastAPI", "Phoenix"],
    &["React", "Vue", "Angular", "Svelte"],
    &["PostgreSQL", "MySQL", "SQLite", "MongoDB", "MariaDB", "Oracle"],
    &["Docker", "Podman", "Kubernetes"],
    &["AWS", "Azure", "Google Cloud"],
    &["Ubuntu", "Debian", "Fedora", "Arch Linux", "macOS", "Windows"],
    &["my boss", "my teacher", "my colleague", "my neighbor", "my sister", "my brother"],
];

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

/// Longer texts are pasted documents; a greeting in front of one is no variation of it.
const LONGEST_REQUEST: usize = 300;

/// At most `n` distinct variations of a prompt, none equal to it, in the order of their usefulness.
pub fn variations(prompt: &str, n: usize, random: &mut Random) -> Vec<Variation> {
    let mut found: Vec<Variation> = Vec::new();
    // Each round draws every strategy once, so that no strategy crowds out the others.
    for round in 0..3 * n {
        for strategy in STRATEGIES {
            if found.len() == n {
                return found;
            }
            let Some(text) = (strategy.make)(prompt.trim(), round, random) else { continue };
            if text != prompt && !text.trim().is_empty() && found.iter().all(|v| v.text != text) {
                found.push(Variation { text, strategy: strategy.name });
            }
        }
    }
    found
}

struct Strategy {
    name: &'static str,
    make: fn(&str, usize, &mut Random) -> Option<String>,
}

const STRATEGIES: [Strategy; 6] = [
    Strategy { name: "slots", make: slots },
    Strategy { name: "before", make: before },
    Strategy { name: "after", make: after },
    Strategy { name: "casual", make: casual },
    Strategy { name: "format", make: format },
    Strategy { name: "typo", make: typo },
];

/// What the prompt is about is replaced by something of the same kind.
fn slots(prompt: &str, _: usize, random: &mut Random) -> Option<String> {
    let mut hits = Vec::new();
    for list in SLOTS {
        for word in list {
            if let Some(at) = find_word(prompt, word) {
                hits.push((list, *word, at));
            }
        }
    }
    // A prompt that names two of a kind compares them; swapping one could make it compare a thing with itself.
    let (list, word, at) = *hits.first().filter(|h| hits.iter().filter(|other| std::ptr::eq(other.0, h.0)).count() == 1)?;
    let other = list[random.below(list.len())];
    (other != word).then(|| format!("{}{other}{}", &prompt[..at], &prompt[at + word.len()..]))
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        !text[..*at].chars().next_back().is_some_and(is_part) && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

fn is_short_request(prompt: &str) -> bool {
    prompt.len() <= LONGEST_REQUEST && !prompt.contains('\n') && prompt.split_whitespace().count() >= 3 && is_latin(prompt)
}

/// English sentences go with Latin letters only.
fn is_latin(text: &str) -> bool {
    text.chars().filter(|c| c.is_alphabetic()).all(|c| (c as u32) < 0x250)
}

fn before(prompt: &str, _: usize, random: &mut Random) -> Option<String> {
    is_short_request(prompt).then(|| format!("{} {prompt}", BEFORE[random.below(BEFORE.len())]))
}

fn after(prompt: &str, _: usize, random: &mut Random) -> Option<String> {
    if !is_short_request(prompt) {
        return None;
    }
    let end = if prompt.ends_with(|c: char| c.is_alphanumeric() || c == ')') { "." } else { "" };
    Some(format!("{prompt}{end} {}", AFTER[random.below(AFTER.len())]))
}

/// The same words as typed in a hurry: no capitals, no end mark.
fn casual(prompt: &str, round: usize, _: &mut Random) -> Option<String> {
    let bare = prompt.trim_end_matches(['.', '?', '!']);
    match round {
        0 => Some(bare.to_lowercase()),
        1 => Some(format!("{}??", bare.to_lowercase())).filter(|_| prompt.ends_with('?')),
        2 => Some(format!("{}!", bare)).filter(|_| prompt.ends_with('.')),
        _ => None,
    }
}

/// The same prompt as it stands in other formats.
fn format(prompt: &str, round: usize, _: &mut Random) -> Option<String> {
    let short = !prompt.contains('\n') && prompt.len() <= LONGEST_REQUEST;
    match round {
        0 => Some(format!("> {prompt}")).filter(|_| short),
        1 => Some(format!("- {prompt}")).filter(|_| short),
        2 => serde_json::to_string(&serde_json::json!({ "message": prompt })).ok(),
        3 => Some(format!("# {prompt}")).filter(|_| short),
        4 => Some(format!("**{prompt}**")).filter(|_| short),
        5 => Some(format!("\"{prompt}\"")).filter(|_| short && !prompt.contains('"')),
        6 => Some(format!("```\n{prompt}\n```")),
        _ => None,
    }
}

/// Two neighboring letters inside one longer word change places.
fn typo(prompt: &str, _: usize, random: &mut Random) -> Option<String> {
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

    fn texts(prompt: &str, n: usize) -> Vec<String> {
        variations(prompt, n, &mut Random::new(1, "test")).into_iter().map(|v| v.text).collect()
    }

    #[test]
    fn a_question_gets_as_many_distinct_variations_as_asked() {
        let prompt = "How do I handle authentication in Rust?";
        let found = variations(prompt, 20, &mut Random::new(1, "test"));
        assert_eq!(found.len(), 20);
        let mut distinct: Vec<&str> = found.iter().map(|v| v.text.as_str()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 20);
        assert!(!distinct.contains(&prompt));
        let strategies: std::collections::BTreeSet<_> = found.iter().map(|v| v.strategy).collect();
        assert_eq!(strategies.len(), STRATEGIES.len(), "{strategies:?}");
    }

    #[test]
    fn nothing_is_put_around_a_document_or_another_script() {
        let document = format!("Release notes\n{}", "A line of text.\n".repeat(40));
        for prompt in [document.as_str(), "如何在 Rust 中处理身份验证？"] {
            assert!(texts(prompt, 10).iter().all(|t| !BEFORE.iter().chain(&AFTER).any(|s| t.contains(s))), "{prompt}");
        }
    }

    #[test]
    fn a_comparison_keeps_its_two_sides() {
        let mut random = Random::new(3, "test");
        assert!((0..50).all(|i| slots("Is Rust faster than Python?", i, &mut random).is_none()));
        assert!(
            (0..50).filter_map(|i| slots("Learn Rust in a trusted way", i, &mut random)).all(|t| t.ends_with("in a trusted way"))
        );
    }

    #[test]
    fn odd_prompts_never_panic_and_never_repeat_themselves() {
        for prompt in ["", " ", "a", "é", "?", "ab\u{0}cd", "🙂🙂🙂 🙂🙂", "aaaaaaa bbbbbbb"] {
            assert!(texts(prompt, 8).iter().all(|t| t != prompt), "{prompt:?}");
        }
    }
}
