//! Variations out of a model's answer. A text that is none, such as a refusal, must never pass for one.

/// The variations that an answer lists: a JSON array of strings, with words or a code fence around it, or a list of one a
/// line, each with a number or a bullet. Nothing where the answer is of another form or lists nothing.
pub(crate) fn variations(answer: &str) -> Option<Vec<String>> {
    // Models that reason aloud do so before this mark.
    let answer = answer.rsplit_once("</think>").map_or(answer, |(_, rest)| rest).trim();
    let texts = array(answer).or_else(|| list(answer))?;
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        let text = text.trim();
        if !text.is_empty() && !found.iter().any(|other| other == text) {
            found.push(text.to_string());
        }
    }
    (!found.is_empty()).then_some(found)
}

fn array(answer: &str) -> Option<Vec<String>> {
    let (from, to) = (answer.find('[')?, answer.rfind(']')?);
    serde_json::from_str(answer.get(from..=to)?).ok()
}

/// Every line has a mark, but for one above the list that ends with a colon.
fn list(answer: &str) -> Option<Vec<String>> {
    let mut lines: Vec<&str> = answer.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.first().is_some_and(|line| line.ends_with(':') && unmarked(line).is_none()) {
        lines.remove(0);
    }
    lines.into_iter().map(|line| Some(unquoted(unmarked(line)?).to_string())).collect()
}

/// A line without its `1.`, `2)`, `-`, `*` or `•`; nothing where it has none.
fn unmarked(line: &str) -> Option<&str> {
    let after_digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = match line.len() - after_digits.len() {
        0 => line.strip_prefix(['-', '*', '•'])?,
        _ => after_digits.strip_prefix(['.', ')'])?,
    };
    rest.starts_with(char::is_whitespace).then(|| rest.trim())
}

fn unquoted(text: &str) -> &str {
    for (open, close) in [('"', '"'), ('“', '”')] {
        if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
            return inner;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_lists_are_read() {
        for (answer, expected) in [
            ("[\"a b\", \" c \"]", &["a b", "c"][..]),
            ("```json\n[\"a\",\n \"b\"]\n```", &["a", "b"]),
            ("Here are two:\n```\n[\"x [1]\", \"y\"]\n```\nEnjoy!", &["x [1]", "y"]),
            ("<think>[\"no\"] or so</think>\n[\"yes\"]", &["yes"]),
            ("Sure:\n\n1. How do I a?\n2. \"How do I b?\"\n10) “c”", &["How do I a?", "How do I b?", "c"]),
            ("- a\n* b\n• c", &["a", "b", "c"]),
            ("[\"a\", \"a\", \"\", \"b\"]", &["a", "b"]),
            ("1. What does [this] mean?\n2. Why \"that\"?", &["What does [this] mean?", "Why \"that\"?"]),
        ] {
            assert_eq!(variations(answer).unwrap(), expected, "{answer}");
        }
    }

    #[test]
    fn anything_else_is_not_taken_for_variations() {
        for answer in [
            "",
            "I'm sorry, but I can't help with that.",
            "I cannot do this:\n- it is wrong\nAsk something else.",
            "[\"cut off\", \"in the mid",
            "[]",
            "[\"\"]",
            "[1, 2]",
            "[{\"text\": \"a\"}]",
            "{\"error\": 1}",
            "one\ntwo",
            "2026 was a year",
            "-5 degrees",
            "]a[",
            "1.",
            "<think>endless",
        ] {
            assert_eq!(variations(answer), None, "{answer}");
        }
    }
}
