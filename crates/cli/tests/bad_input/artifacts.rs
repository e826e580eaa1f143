//! Guards and audits that are cut short, newer, something else, or not there.

use super::{fails, is_misused};
use crate::support::Folder;

/// Every place for a guard.
const PLACES: [&str; 7] = [
    "scan hello --guard GUARD",
    "calibrate --guard GUARD --benign benign.csv -o out.lh",
    "audit --guard GUARD --benign benign.csv -o out",
    "evaluate --guard GUARD --data labelled.csv",
    "gate --guard GUARD --benign benign.csv --attacks attacks.csv -o out.json",
    "gate --guard guard.lh --old GUARD --benign benign.csv --attacks attacks.csv",
    "train --data labelled.csv --from GUARD -o out.lh",
];

#[test]
fn a_guard_that_cannot_be_loaded_names_its_file_and_its_fault() {
    let folder = Folder::with_inputs();
    let good = folder.read_bytes("guard.lh");
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        bytes
    };
    folder.write("newer.lh", changed(8));
    folder.write("flipped.lh", changed(good.len() - 1));
    folder.write("csv.lh", folder.read("benign.csv"));
    folder.write("empty.lh", "");
    folder.write("magic.lh", &good[..8]);
    folder.write("prelude.lh", &good[..52]);
    folder.write("cut.lh", &good[..good.len() - 1]);
    std::fs::create_dir(folder.path("folder.lh")).unwrap();
    let faults = [
        ("newer.lh", "newer.lh: guard has format version 252, newer than this build reads (3)"),
        ("flipped.lh", "flipped.lh: guard is damaged (the checksum does not fit)"),
        ("csv.lh", "csv.lh: not a levelhead guard"),
        ("empty.lh", "empty.lh: not a levelhead guard"),
        ("magic.lh", "magic.lh: guard is damaged (it is cut short)"),
        ("prelude.lh", "prelude.lh: guard is damaged ("),
        ("cut.lh", "cut.lh: guard is damaged ("),
        ("gone.lh", "cannot read gone.lh: No such file"),
        ("folder.lh", "cannot read folder.lh: Is a directory"),
    ];
    for (name, expected) in faults {
        for place in PLACES {
            fails(&folder, &place.replace("GUARD", name), expected);
        }
    }
}

#[test]
fn what_is_no_guard_by_its_name_is_refused() {
    let folder = Folder::with_inputs();
    for place in &PLACES[..6] {
        fails(&folder, &place.replace("GUARD", "strict"), "strict: not a guard: `default`, a .lh file or a .toml guard spec");
        fails(&folder, &place.replace("GUARD", "gone.toml"), "cannot read gone.toml: No such file");
    }
}

#[test]
fn a_command_without_its_guard_says_so() {
    let folder = Folder::with_inputs();
    for args in [
        "calibrate --benign benign.csv -o out.lh",
        "audit --benign benign.csv -o out",
        "evaluate --data labelled.csv",
        "gate --benign benign.csv --attacks attacks.csv",
    ] {
        is_misused(&folder, args, "--guard <GUARD>");
    }
}

#[test]
fn an_outside_guard_holds_no_threshold() {
    let folder = Folder::with_inputs();
    folder.write("cat.toml", "kind = \"command\"\ncommand = [\"cat\"]\n");
    fails(&folder, "calibrate --guard cat.toml --benign benign.csv -o out.lh", "cat.toml: only a Levelhead guard holds");
    fails(&folder, "audit --guard cat.toml --benign benign.csv -o out", "guard cat.toml: answer 1: ");
}

#[test]
fn an_audit_that_cannot_be_read_names_its_file_and_its_fault() {
    let folder = Folder::with_inputs();
    let rows = [
        ("{\"total\": 1}", "no fp_details"),
        ("[]", "the file holds a list"),
        ("", "the file is empty"),
        ("{\"total\": 1,", "not JSON"),
        ("{\"total\": 1, \"fp_details\": [{}]}", "fp_details entry 1 (id 1): no prompt"),
        (
            "{\"total\": 1, \"fp_details\": [{\"prompt\": \"a\"}, {\"prompt\": \"b\"}]}",
            "total is 1, but there are 2 false_positives",
        ),
    ];
    for (text, expected) in rows {
        folder.write("found.json", text);
        for args in ["reinforce --audit found.json -o out.csv", "audit --results found.json -o out"] {
            fails(&folder, args, &format!("found.json: {expected}"));
        }
    }
    fails(&folder, "reinforce --audit gone.json -o out.csv", "cannot read gone.json: No such file");
    fails(&folder, "reinforce --audit guard.lh -o out.csv", "guard.lh: not JSON");
    fails(&folder, "audit --results gone.json -o out", "cannot read gone.json: No such file");
}

#[test]
fn an_audit_without_false_positives_leaves_nothing_to_reinforce() {
    let folder = Folder::with_inputs();
    folder.write("clean.json", "{\"total\": 5, \"fp_details\": []}");
    fails(&folder, "reinforce --audit clean.json -o out.csv", "the audit holds no false positive");
}
