//! `format`: the same prompt as it stands in a message, a file or a program, in another case or other characters.

use super::{LONGEST_REQUEST, in_turn};
use crate::random::Random;

/// At most `n` other forms of the prompt.
pub(super) fn reformat(prompt: &str, n: usize, random: &mut Random) -> Vec<String> {
    in_turn(prompt, n, 1, random, |_, round, random| form(prompt, round, random))
}

/// The forms, so that prompts do not all begin with the same one.
fn form(prompt: &str, round: usize, random: &mut Random) -> Option<String> {
    const N_FORMS: usize = 16;
    let is_line = !prompt.contains('\n') && prompt.len() <= LONGEST_REQUEST;
    let line = |text: String| is_line.then_some(text);
    match (round + random.below(N_FORMS)) % N_FORMS {
        0 => line(format!("> {prompt}")),
        1 => line(format!("- {prompt}")),
        2 => serde_json::to_string(&serde_json::json!({ "message": prompt })).ok(),
        3 => line(format!("# {prompt}")),
        4 => line(format!("**{prompt}**")),
        5 => Some(format!("\"{prompt}\"")).filter(|_| is_line && !prompt.contains('"')),
        6 => Some(format!("```\n{prompt}\n```")),
        7 => line(format!("// {prompt}")),
        8 => line(format!("# TODO: {prompt}")),
        9 => line(format!("1. {prompt}")),
        10 => Some(format!("Subject: question\n\n{prompt}\n\nBest regards")).filter(|_| is_line),
        11 => line(prompt.to_uppercase()),
        12 => line(prompt.to_lowercase()),
        13 => line(prompt.replace(' ', "\u{a0}")),
        14 => line(prompt.replace('\'', "\u{2019}")),
        _ => serde_json::to_string(&serde_json::json!({ "role": "user", "content": prompt })).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_holds_the_prompt_and_documents_are_not_made_into_lines() {
        let mut random = Random::new(1, "test");
        let plain = |text: &str| text.to_lowercase().replace('\u{a0}', " ").replace('\u{2019}', "'");
        let prompt = "How do I read Ann's log file in Rust?";
        let made = reformat(prompt, 12, &mut random);
        assert_eq!(made.len(), 12);
        assert!(made.iter().all(|text| plain(text).contains(&plain(prompt))), "{made:?}");
        let document = format!("Release notes\n{}", "A line of text.\n".repeat(40));
        for text in reformat(&document, 12, &mut random) {
            assert!(text.starts_with("```\n") || serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        }
    }
}
