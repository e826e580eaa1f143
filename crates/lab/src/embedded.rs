//! The files of `data/starter` and `data/attacks`, as part of the program. They must never hold a prompt of another project.

macro_rules! file {
    ($folder:literal, $stem:literal) => {
        ($stem, include_str!(concat!("../../../data/", $folder, "/", $stem, ".toml")))
    };
}

/// The frame files: name without `.toml`, and content.
pub(crate) const FILES: [(&str, &str); 21] = [
    file!("starter", "attack_context_manipulation"),
    file!("starter", "attack_data_exfil_pattern"),
    file!("starter", "attack_encoded_injection"),
    file!("starter", "attack_harmful_request"),
    file!("starter", "attack_indirect_injection"),
    file!("starter", "attack_instruction_override"),
    file!("starter", "attack_obfuscated_command"),
    file!("starter", "attack_other_attack"),
    file!("starter", "attack_privilege_escalation"),
    file!("starter", "attack_role_persona"),
    file!("starter", "attack_semantic_jailbreak"),
    file!("starter", "attack_system_prompt_extraction"),
    file!("starter", "benign_conversational"),
    file!("starter", "benign_creative"),
    file!("starter", "benign_daily_tasks"),
    file!("starter", "benign_edge_cases"),
    file!("starter", "benign_education"),
    file!("starter", "benign_general_knowledge"),
    file!("starter", "benign_professional"),
    file!("starter", "benign_programming"),
    file!("starter", "benign_technical_docs"),
];

/// The files of the attack corpus: name without `.toml`, and content.
pub(crate) const ATTACKS: [(&str, &str); 88] = [
    file!("attacks", "af"),
    file!("attacks", "am"),
    file!("attacks", "ar"),
    file!("attacks", "ar_benign"),
    file!("attacks", "az"),
    file!("attacks", "bg"),
    file!("attacks", "bn"),
    file!("attacks", "ca"),
    file!("attacks", "cs"),
    file!("attacks", "da"),
    file!("attacks", "de"),
    file!("attacks", "de_benign"),
    file!("attacks", "el"),
    file!("attacks", "en_benign_framed"),
    file!("attacks", "en_benign_orders"),
    file!("attacks", "en_benign_roleplay"),
    file!("attacks", "en_benign_security"),
    file!("attacks", "en_benign_triggers"),
    file!("attacks", "en_carriers_a"),
    file!("attacks", "en_carriers_b"),
    file!("attacks", "en_drop_rules"),
    file!("attacks", "en_exfiltrate"),
    file!("attacks", "en_leak_prompt"),
    file!("attacks", "en_mislead"),
    file!("attacks", "en_override"),
    file!("attacks", "en_persona"),
    file!("attacks", "en_tool_action"),
    file!("attacks", "es"),
    file!("attacks", "es_benign"),
    file!("attacks", "et"),
    file!("attacks", "fa"),
    file!("attacks", "fi"),
    file!("attacks", "fr"),
    file!("attacks", "fr_benign"),
    file!("attacks", "gu"),
    file!("attacks", "he"),
    file!("attacks", "hi"),
    file!("attacks", "hi_benign"),
    file!("attacks", "hr"),
    file!("attacks", "hu"),
    file!("attacks", "id"),
    file!("attacks", "id_benign"),
    file!("attacks", "it"),
    file!("attacks", "it_benign"),
    file!("attacks", "ja"),
    file!("attacks", "ja_benign"),
    file!("attacks", "kk"),
    file!("attacks", "kn"),
    file!("attacks", "ko"),
    file!("attacks", "ko_benign"),
    file!("attacks", "lt"),
    file!("attacks", "lv"),
    file!("attacks", "ml"),
    file!("attacks", "mr"),
    file!("attacks", "ms"),
    file!("attacks", "ne"),
    file!("attacks", "nl"),
    file!("attacks", "nl_benign"),
    file!("attacks", "no"),
    file!("attacks", "pa"),
    file!("attacks", "pl"),
    file!("attacks", "pl_benign"),
    file!("attacks", "pt"),
    file!("attacks", "pt_benign"),
    file!("attacks", "ro"),
    file!("attacks", "ro_benign"),
    file!("attacks", "ru"),
    file!("attacks", "ru_benign"),
    file!("attacks", "sk"),
    file!("attacks", "sl"),
    file!("attacks", "sq"),
    file!("attacks", "sr"),
    file!("attacks", "sv"),
    file!("attacks", "sv_benign"),
    file!("attacks", "sw"),
    file!("attacks", "ta"),
    file!("attacks", "te"),
    file!("attacks", "th"),
    file!("attacks", "tl"),
    file!("attacks", "tr"),
    file!("attacks", "tr_benign"),
    file!("attacks", "uk"),
    file!("attacks", "uk_benign"),
    file!("attacks", "ur"),
    file!("attacks", "uz"),
    file!("attacks", "vi"),
    file!("attacks", "zh"),
    file!("attacks", "zh_benign"),
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
    fn every_file_of_the_folders_is_embedded() {
        let starter = FILES.iter().map(|(stem, _)| *stem).chain([TWINS_STEM]).collect();
        let attacks = ATTACKS.iter().map(|(stem, _)| *stem).collect();
        let folders: [(&str, BTreeSet<&str>); 2] = [("starter", starter), ("attacks", attacks)];
        for (folder, embedded) in folders {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data").join(folder);
            let there: BTreeSet<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".toml"))
                .collect();
            assert_eq!(there, embedded.iter().map(|stem| format!("{stem}.toml")).collect());
        }
    }
}
