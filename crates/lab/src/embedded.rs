//! The files of `data/starter` and `data/attacks`, as part of the program. They must never hold a prompt of another project.

macro_rules! files {
    [$folder:literal, $($stem:literal),+ $(,)?] => {
        &[$(($stem, include_str!(concat!("../../../data/", $folder, "/", $stem, ".toml")))),+]
    };
}

/// The frame files: name without `.toml`, and content.
pub(crate) const FILES: &[(&str, &str)] = files![
    "starter",
    "attack_context_manipulation",
    "attack_data_exfil_pattern",
    "attack_encoded_injection",
    "attack_harmful_request",
    "attack_indirect_injection",
    "attack_instruction_override",
    "attack_obfuscated_command",
    "attack_other_attack",
    "attack_privilege_escalation",
    "attack_role_persona",
    "attack_semantic_jailbreak",
    "attack_system_prompt_extraction",
    "benign_conversational",
    "benign_creative",
    "benign_daily_tasks",
    "benign_edge_cases",
    "benign_education",
    "benign_general_knowledge",
    "benign_professional",
    "benign_programming",
    "benign_technical_docs"
];

/// The files of the attack corpus: name without `.toml`, and content.
pub(crate) const ATTACKS: &[(&str, &str)] = files![
    "attacks",
    "af",
    "af_talk",
    "am",
    "ar",
    "ar_benign",
    "ar_talk",
    "az",
    "az_talk",
    "bg",
    "bg_talk",
    "bn",
    "bn_talk",
    "ca",
    "ca_talk",
    "cs",
    "cs_talk",
    "da",
    "da_talk",
    "de",
    "de_benign",
    "de_talk",
    "el",
    "el_talk",
    "en_benign_documents",
    "en_benign_elaborate",
    "en_benign_framed",
    "en_benign_mail",
    "en_benign_orders",
    "en_benign_roleplay",
    "en_benign_security",
    "en_benign_tasks",
    "en_benign_triggers",
    "en_carriers_a",
    "en_carriers_b",
    "en_chat_advice",
    "en_chat_code",
    "en_chat_writing",
    "en_drop_rules",
    "en_exfiltrate",
    "en_leak_prompt",
    "en_mislead",
    "en_override",
    "en_persona",
    "en_talk",
    "en_tool_action",
    "es",
    "es_benign",
    "es_talk",
    "et",
    "et_talk",
    "fa",
    "fa_talk",
    "fi",
    "fi_talk",
    "fr",
    "fr_benign",
    "fr_talk",
    "gu",
    "he",
    "he_talk",
    "hi",
    "hi_benign",
    "hi_talk",
    "hr",
    "hr_talk",
    "hu",
    "hu_talk",
    "id",
    "id_benign",
    "id_talk",
    "it",
    "it_benign",
    "it_talk",
    "ja",
    "ja_benign",
    "ja_talk",
    "kk",
    "kk_talk",
    "kn",
    "ko",
    "ko_benign",
    "ko_talk",
    "lt",
    "lt_talk",
    "lv",
    "lv_talk",
    "ml",
    "mr",
    "mr_talk",
    "ms",
    "ms_talk",
    "ne",
    "ne_talk",
    "nl",
    "nl_benign",
    "nl_talk",
    "no",
    "no_talk",
    "pa",
    "pl",
    "pl_benign",
    "pl_talk",
    "pt",
    "pt_benign",
    "pt_talk",
    "ro",
    "ro_benign",
    "ro_talk",
    "ru",
    "ru_benign",
    "ru_talk",
    "sk",
    "sk_talk",
    "sl",
    "sl_talk",
    "sq",
    "sq_talk",
    "sr",
    "sr_talk",
    "sv",
    "sv_benign",
    "sv_talk",
    "sw",
    "sw_talk",
    "ta",
    "ta_talk",
    "te",
    "te_talk",
    "th",
    "th_talk",
    "tl",
    "tl_talk",
    "tr",
    "tr_benign",
    "tr_talk",
    "uk",
    "uk_benign",
    "uk_talk",
    "ur",
    "ur_talk",
    "uz",
    "uz_talk",
    "vi",
    "vi_talk",
    "zh",
    "zh_benign",
    "zh_talk"
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
