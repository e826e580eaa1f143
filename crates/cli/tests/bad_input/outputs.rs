//! Outputs that are there already, or whose folder is not.

use super::fails;
use crate::support::{Folder, SMALL};

/// Every command that writes; OUT is the output, with its kind.
fn places() -> Vec<(String, &'static str)> {
    [
        ("scan --guard guard.lh --input benign.csv --output OUT", "jsonl"),
        ("data merge benign.csv attacks.csv -o OUT", "csv"),
        ("data starter -o OUT", "folder"),
        ("train --data labelled.csv -o OUT SMALL", "lh"),
        ("calibrate --guard guard.lh --benign benign.csv -o OUT", "lh"),
        ("audit --guard guard.lh --benign traffic.csv -o OUT", "folder"),
        ("reinforce --audit audit.json -o OUT", "csv"),
        ("gate --guard guard.lh --benign benign.csv --attacks attacks.csv -o OUT", "json"),
        ("rules check --rules default --benign benign.csv --attacks attacks.csv --max-fpr 0.05 --apply OUT", "toml"),
        ("improve -o OUT SMALL", "folder"),
    ]
    .map(|(args, kind)| (args.replace("SMALL", SMALL), kind))
    .into()
}

fn folder() -> Folder {
    let folder = Folder::with_inputs();
    folder.write("audit.json", r#"{"total": 9, "fp_details": [{"prompt": "how do I kill a process"}]}"#);
    folder
}

#[test]
fn an_output_that_is_there_is_kept_without_force() {
    let folder = folder();
    for (args, kind) in places() {
        let name = format!("mine.{kind}");
        if kind == "folder" {
            std::fs::create_dir_all(folder.path(&name)).unwrap();
            folder.write(&format!("{name}/notes.md"), "mine");
        } else {
            folder.write(&name, "mine");
        }
        fails(&folder, &args.replace("OUT", &name), &format!("{name} already exists: choose another name or pass --force"));
    }
}

#[test]
fn an_output_is_looked_at_before_the_work() {
    let folder = folder();
    let mut late = Vec::new();
    for (args, kind) in places() {
        let name = format!("mine.{kind}");
        folder.write(&name, "mine");
        // The counts of the inputs are said when they have been read.
        let stderr = folder.run(&args.replace("OUT", &name)).stderr;
        if stderr.lines().count() != 1 {
            late.push(format!("{args}\n{stderr}"));
        }
    }
    assert!(late.is_empty(), "{}", late.join("\n"));
}

#[test]
fn an_output_in_a_folder_that_is_missing_names_the_folder() {
    let folder = folder();
    for (args, kind) in places() {
        let expected = format!("gone/out.{kind}: folder gone is not there");
        fails(&folder, &args.replace("OUT", &format!("gone/out.{kind}")), &expected);
    }
    fails(&folder, "data check benign.csv --rejects gone/rejects.jsonl", "gone/rejects.jsonl: folder gone is not there");
}

#[test]
fn a_folder_of_others_is_kept_even_with_force() {
    let folder = folder();
    std::fs::create_dir(folder.path("photos")).unwrap();
    folder.write("photos/one.jpg", "mine");
    for (args, _) in places().into_iter().filter(|(args, _)| !args.starts_with("data merge") && !args.starts_with("reinforce")) {
        fails(&folder, &format!("{} --force", args.replace("OUT", "photos")), "photos: this folder was not written by levelhead");
    }
}

#[test]
fn a_file_never_takes_the_place_of_a_run() {
    let folder = folder();
    std::fs::create_dir(folder.path("run")).unwrap();
    folder.write("run/run.json", "{}");
    folder.write("run/model.lh", "the only copy");
    for (args, _) in places().into_iter().filter(|(args, kind)| *kind == "lh" || args.starts_with("gate")) {
        fails(&folder, &format!("{} --force", args.replace("OUT", "run")), "run: ");
    }
}

#[test]
fn an_output_of_another_kind_is_refused() {
    let folder = folder();
    for args in ["data merge benign.csv -o out.txt", "reinforce --audit audit.json -o out.txt"] {
        fails(&folder, args, "out.txt: unknown kind of file");
    }
}

#[test]
fn reinforced_rows_are_not_written_where_their_lineage_cannot_be() {
    let folder = folder();
    folder.write("out.lineage.jsonl", "mine");
    fails(&folder, "reinforce --audit audit.json -o out.csv", "out.lineage.jsonl already exists");
}

#[test]
fn an_output_that_is_there_is_replaced_with_force() {
    let folder = folder();
    for (args, kind) in places().into_iter().filter(|(args, kind)| *kind != "folder" && !args.starts_with("gate")) {
        let name = format!("old.{kind}");
        folder.write(&name, "old");
        folder.ok(&format!("{} --force", args.replace("OUT", &name)));
        assert_ne!(folder.read_bytes(&name), b"old", "{args}");
    }
    folder.ok("audit --guard guard.lh --benign traffic.csv -o found");
    let first = folder.json("found/audit.json");
    folder.ok("audit --guard guard.lh --benign benign.csv -o found --force");
    assert_ne!(folder.json("found/audit.json"), first);
    let hidden = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with('.');
    let leftovers: Vec<_> = folder.contents().into_keys().filter(hidden).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}
