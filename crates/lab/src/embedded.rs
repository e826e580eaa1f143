//! The files of `data/starter`, as part of the program. They must never hold a prompt of another project.

macro_rules! frame_file {
    ($stem:literal) => {
        ($stem, include_str!(concat!("../../../data/starter/", $stem, ".toml")))
    };
}

/// The frame files: name without `.toml`, and content.
pub(crate) const FILES: [(&str, &str); 21] = [
    frame_file!("attack_context_manipulation"),
    frame_file!("attack_data_exfil_pattern"),
    frame_file!("attack_encoded_injection"),
    frame_file!("attack_harmful_request"),
    frame_file!("attack_indirect_injection"),
    frame_file!("attack_instruction_override"),
    frame_file!("attack_obfuscated_command"),
    frame_file!("attack_other_attack"),
    frame_file!("attack_privilege_escalation"),
    frame_file!("attack_role_persona"),
    frame_file!("attack_semantic_jailbreak"),
    frame_file!("attack_system_prompt_extraction"),
    frame_file!("benign_conversational"),
    frame_file!("benign_creative"),
    frame_file!("benign_daily_tasks"),
    frame_file!("benign_edge_cases"),
    frame_file!("benign_education"),
    frame_file!("benign_general_knowledge"),
    frame_file!("benign_professional"),
    frame_file!("benign_programming"),
    frame_file!("benign_technical_docs"),
];

/// The twins file's name without `.toml`.
pub(crate) const TWINS_STEM: &str = "hard_negatives";
/// The twins file's content.
pub(crate) const TWINS: &str = include_str!("../../../data/starter/hard_negatives.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::frame::FrameFile;
    use crate::twin::{Split, parse_twins};

    #[test]
    fn training_and_measuring_share_no_frame_and_hardly_a_phrase() {
        let (mut frames, mut phrases) = ([BTreeSet::new(), BTreeSet::new()], [BTreeSet::new(), BTreeSet::new()]);
        let mut add = |split: Split, text: &str| {
            let text = text.to_lowercase();
            let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
            phrases[usize::from(split == Split::Test)].extend(words.windows(5).map(|phrase| phrase.join(" ")));
        };
        for (stem, source) in FILES {
            let file = FrameFile::parse(stem, source).unwrap();
            for (split, of_split) in [(Split::Train, &file.train), (Split::Test, &file.test)] {
                for frame in of_split {
                    frames[usize::from(split == Split::Test)].insert(frame.literals.clone());
                    frame.literals.iter().for_each(|literal| add(split, literal));
                }
            }
        }
        for twin in parse_twins(TWINS_STEM, TWINS).unwrap() {
            add(twin.split, &twin.attack);
            add(twin.split, &twin.benign);
        }
        // A frame that is all choices has empty literals only; its choices are in the texts, which are compared elsewhere.
        let shared: Vec<_> =
            frames[0].intersection(&frames[1]).filter(|f| f.concat().chars().any(char::is_alphanumeric)).collect();
        assert!(shared.is_empty(), "{shared:?}");
        let shared: Vec<_> = phrases[0].intersection(&phrases[1]).collect();
        assert!(shared.len() <= 10, "{}: {shared:?}", shared.len());
    }

    #[test]
    fn every_file_of_the_folder_is_embedded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/starter");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".toml"))
            .collect();
        let embedded = FILES.iter().map(|(stem, _)| *stem).chain([TWINS_STEM]);
        assert_eq!(there, embedded.map(|stem| format!("{stem}.toml")).collect());
    }
}
