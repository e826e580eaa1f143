//! Broken datasets, under every option that takes one.

use super::fails;
use crate::support::{Folder, Words, csv, prompts};

/// Every place for a dataset; FILE is the dataset, and `true` says that its rows need labels.
const PLACES: [(&str, bool); 24] = [
    ("scan --guard guard.lh --input FILE --output out.jsonl", false),
    ("data check FILE", false),
    ("data check benign.csv FILE", false),
    ("data merge benign.csv FILE -o out.csv", false),
    ("data labels --data FILE -o out.csv", true),
    ("data relabel --data FILE --corrections labelled.csv -o out.csv", true),
    ("data relabel --data labelled.csv --corrections FILE -o out.csv", true),
    ("train --data FILE -o out.lh", true),
    ("train --data labelled.csv FILE -o out.lh", true),
    ("calibrate --guard guard.lh --benign FILE -o out.lh", false),
    ("calibrate --guard guard.lh --benign benign.csv --attacks FILE -o out.lh", true),
    ("audit --guard guard.lh --benign FILE -o out", false),
    ("reinforce --audit audit.json --pool FILE -o out.csv", false),
    ("reinforce --audit audit.json --attacks FILE -o out.csv", true),
    ("reinforce --audit audit.json --measured FILE -o out.csv", false),
    ("reinforce --audit audit.json --hard-negatives FILE -o out.csv", false),
    ("evaluate --guard guard.lh --data FILE", true),
    ("claim --before audit.json --trained-on FILE", false),
    ("evaluate --guard guard.lh --data labelled.csv --benign FILE", false),
    ("gate --guard guard.lh --benign FILE --attacks attacks.csv -o out.json", false),
    ("gate --guard guard.lh --benign benign.csv --attacks FILE -o out.json", true),
    ("improve --train FILE --benign benign.csv --gate-benign benign.csv --gate-attacks attacks.csv -o out", true),
    ("improve --train labelled.csv --benign benign.csv --gate-benign FILE --gate-attacks attacks.csv -o out", false),
    ("improve --train labelled.csv --benign benign.csv --gate-benign benign.csv --gate-attacks FILE -o out", true),
];

const AUDIT: &str = r#"{"total": 9, "fp_details": [{"prompt": "how do I kill a process"}]}"#;

fn folder() -> Folder {
    let folder = Folder::with_inputs();
    folder.write("audit.json", AUDIT);
    folder
}

/// Checks a broken file in every place, or in those that need labels.
fn fails_everywhere(faults: &[(&str, &[u8], &str)], only_labelled: bool) {
    let folder = folder();
    for (name, bytes, expected) in faults {
        folder.write(name, bytes);
        for (place, _) in PLACES.iter().filter(|place| place.1 || !only_labelled) {
            fails(&folder, &place.replace("FILE", name), &format!("{name}{expected}"));
        }
    }
}

#[test]
fn a_header_that_does_not_fit_names_the_file_and_the_column() {
    let faults: [(&str, &[u8], &str); 5] = [
        ("no_text.csv", b"prompt,label\na,0\n", ": no column \"text\", only \"prompt\", \"label\""),
        ("twice.csv", b"text,text,label\na,b,0\n", ": column \"text\" stands twice in the header"),
        ("empty.csv", b"", ": the file is empty"),
        ("empty.jsonl", b"", ": the file is empty"),
        ("header.csv", b"text,label\n", ": no rows"),
    ];
    fails_everywhere(&faults, false);
}

#[test]
fn a_row_that_cannot_be_taken_names_the_file_the_line_and_the_column() {
    let faults: [(&str, &[u8], &str); 6] = [
        ("label.csv", b"text,label\na,0\nb,2\n", ", line 3, column label: \"2\" is neither 0 (benign) nor 1 (attack)"),
        ("later.csv", b"text,label\n\"a\nb\",0\n\"c\nd\",yes\n", ", line 4, column label: \"yes\" is neither"),
        ("latin1.csv", b"text,label\ncaf\xe9,0\n", ", line 2, column text: not UTF-8"),
        ("nul.csv", b"text,label\na,0\nb\0c,0\n", ", line 3, column text: holds a NUL byte"),
        ("open.csv", b"text,label\n\"a,0\nb,1\n", ", line 2, column text: a quote of this row is never closed"),
        ("fields.csv", b"text,label\na, b,0\n", ", line 2: 3 fields, the header has 2"),
    ];
    fails_everywhere(&faults, false);
}

#[test]
fn a_json_line_that_cannot_be_taken_names_the_file_and_the_line() {
    let faults: [(&str, &[u8], &str); 4] = [
        (
            "label.jsonl",
            b"{\"text\":\"a\",\"label\":0}\n{\"text\":\"b\",\"label\":2}\n",
            ", line 2, column label: \"2\" is neither",
        ),
        ("no_text.jsonl", b"{\"prompt\":\"a\",\"label\":0}\n", ", line 1, column text: no such key, only \"prompt\", \"label\""),
        ("twice.jsonl", b"{\"text\":\"a\",\"text\":\"b\",\"label\":0}\n", ", line 1: not a JSON object"),
        ("nul.jsonl", b"{\"text\":\"a\\u0000b\",\"label\":0}\n", ", line 1, column text: holds a NUL byte"),
    ];
    fails_everywhere(&faults, false);
}

#[test]
fn a_row_without_a_label_is_at_fault_where_labels_are_needed() {
    let faults: [(&str, &[u8], &str); 3] = [
        ("no_label.csv", b"text\na\n", ": no column \"label\", only \"text\""),
        ("blank.csv", b"text,label\na,0\nb,\n", ", line 3, column label: is missing"),
        ("no_label.jsonl", b"{\"text\":\"a\"}\n", ", line 1, column label: is missing"),
    ];
    fails_everywhere(&faults, true);
}

#[test]
fn a_line_of_10_mb_is_at_fault_and_is_not_printed() {
    let words = "word ".repeat(2 << 20);
    let csv = format!("text,label\n{words},0\n");
    let jsonl = format!("{{\"text\":\"{words}\",\"label\":0}}\n");
    let too_long = "column text: 10485760 bytes, more than the 4194304 that are taken";
    let folder = folder();
    for (name, bytes, expected) in [
        ("long.csv", &csv, format!("long.csv, line 2, {too_long}")),
        ("long.jsonl", &jsonl, format!("long.jsonl, line 1, {too_long}")),
        ("header.csv", &words, "header.csv: no column \"text\", only \"word word".to_string()),
    ] {
        folder.write(name, bytes);
        for place in [PLACES[0], PLACES[1], PLACES[4]] {
            fails(&folder, &place.0.replace("FILE", name), &expected);
        }
    }
    folder.ok("data check long.csv --max-text-bytes 20000000");
}

#[test]
fn a_file_that_is_not_there_or_no_dataset_is_named() {
    let folder = folder();
    folder.write("notes.txt", "text\na\n");
    std::fs::create_dir(folder.path("folder.csv")).unwrap();
    for (place, _) in PLACES {
        fails(&folder, &place.replace("FILE", "gone.csv"), "cannot read gone.csv: No such file");
        fails(&folder, &place.replace("FILE", "notes.txt"), "notes.txt: unknown kind of file: .csv, .jsonl or .parquet");
        fails(&folder, &place.replace("FILE", "folder.csv"), "folder.csv: is a folder");
    }
}

/// Attacks only, or benign prompts only, where both or the other are needed.
const ONE_CLASS: [(&str, &str); 8] = [
    ("train --data only_0.csv -o out.lh", "are of one class"),
    ("train --data only_1.csv -o out.lh", "are of one class"),
    ("evaluate --guard guard.lh --data only_0.csv", "both classes are needed"),
    ("evaluate --guard guard.lh --data only_1.csv", "both classes are needed"),
    ("calibrate --guard guard.lh --benign only_1.csv -o out.lh", "0 distinct benign prompts are too few"),
    (
        "improve --train only_0.csv --benign benign.csv --gate-benign traffic.csv --gate-attacks attacks.csv -o out",
        "of one class",
    ),
    (
        "improve --train labelled.csv --benign only_1.csv --gate-benign traffic.csv --gate-attacks attacks.csv -o out",
        "--benign leaves",
    ),
    (
        "improve --train labelled.csv --benign benign.csv --gate-benign only_1.csv --gate-attacks attacks.csv -o out",
        "--gate-benign leaves",
    ),
];

fn one_class() -> Folder {
    let folder = folder();
    folder.write("only_0.csv", csv(&prompts(Words::Everyday, 40, 6), 0));
    folder.write("only_1.csv", csv(&prompts(Words::Attack, 40, 7), 1));
    folder
}

#[test]
fn rows_of_one_class_are_too_little() {
    let folder = one_class();
    for (args, expected) in ONE_CLASS {
        fails(&folder, args, expected);
    }
}

#[test]
fn rows_of_one_class_are_named_by_their_file_or_option() {
    let folder = one_class();
    for (args, _) in ONE_CLASS {
        let stderr = folder.run(args).stderr;
        let last = stderr.lines().last().unwrap_or_default();
        let names = ["only_0.csv", "only_1.csv", "--train", "--data", "--benign", "--gate-benign"];
        assert!(names.iter().any(|name| last.contains(name)), "{args}: the error names no input\n{stderr}");
    }
}

#[test]
fn rows_of_one_class_are_enough_to_look_through_and_merge() {
    let folder = one_class();
    for name in ["only_0", "only_1"] {
        folder.ok(&format!("data check {name}.csv"));
        folder.ok(&format!("data merge {name}.csv -o merged_{name}.csv"));
        folder.ok(&format!("scan --guard guard.lh --input {name}.csv --output {name}.jsonl"));
    }
}

#[test]
fn a_quoted_newline_is_part_of_the_prompt() {
    let folder = folder();
    folder.write("lines.csv", "text,label\n\"first line\nsecond line\",0\r\n\"one\r\n\r\ntwo\",1\nthree,0\n");
    folder.ok("scan --guard guard.lh --input lines.csv --output out.jsonl");
    assert_eq!(folder.json_lines("out.jsonl").len(), 3);
    let found = folder.ok("data check lines.csv --json").json();
    assert_eq!((&found["files"][0]["n_rows"], &found["files"][0]["n_attacks"]), (&3.into(), &1.into()));
    folder.ok("data merge lines.csv -o lines.jsonl");
    let texts: Vec<_> =
        folder.json_lines("lines.jsonl").into_iter().map(|row| row["text"].as_str().unwrap().to_string()).collect();
    assert!(texts.contains(&"first line\nsecond line".to_string()) && texts.contains(&"one\r\n\r\ntwo".to_string()), "{texts:?}");
}

#[test]
fn standard_input_that_is_not_utf8_is_at_fault() {
    let folder = folder();
    let run = folder.run_on("scan - --guard guard.lh", b"caf\xe9");
    super::assert_fault("scan -", &run, "standard input is not UTF-8");
}

#[test]
fn rejected_rows_of_every_input_are_written() {
    let folder = folder();
    for name in ["first.csv", "second.csv"] {
        folder.write(name, labelled_with_a_fault());
    }
    let rows = [
        "evaluate --guard guard.lh --data first.csv --benign second.csv --rejects rejects.jsonl",
        "evaluate --guard guard.lh --data first.csv --benign benign.csv --rejects rejects.jsonl",
        "calibrate --guard guard.lh --benign first.csv --max-fpr 0.05 --attacks attacks.csv -o out.lh --rejects rejects.jsonl",
        "reinforce --audit audit.json --pool first.csv -o out.csv --rejects rejects.jsonl",
        "gate --guard guard.lh --benign first.csv --attacks second.csv --rejects rejects.jsonl",
    ];
    for args in rows {
        let run = folder.run(args);
        assert!(matches!(run.code, Some(0 | 1)), "{args}\n{run:?}");
        let rejects = folder.json_lines("rejects.jsonl");
        let mut files: Vec<_> = rejects.iter().map(|r| r["file"].as_str().unwrap()).collect();
        files.sort();
        let expected: Vec<&str> = ["first.csv", "second.csv"].into_iter().filter(|name| args.contains(name)).collect();
        assert_eq!(files, expected, "{args}");
    }
}

fn labelled_with_a_fault() -> String {
    crate::support::labelled(8) + "a row at fault,7,programming,made/a\n"
}

#[test]
fn rejected_rows_never_replace_the_file_that_they_come_from() {
    let folder = folder();
    folder.write("faults.csv", labelled_with_a_fault());
    for args in ["data check faults.csv --rejects faults.csv", "train --data faults.csv -o out.lh --rejects faults.csv"] {
        fails(&folder, args, "faults.csv");
    }
}

#[test]
fn benign_rows_need_no_label_to_be_counted() {
    let folder = folder();
    folder.write("unlabelled.csv", format!("text\n{}\n", prompts(Words::Everyday, 320, 2).join("\n")));
    folder.write("gates.toml", "[[check]]\nname = \"benign\"\nslice = \"benign\"\nmetric = \"fpr_below\"\nbound = 0.05\n");
    folder.write("hard.csv", "text,label,notes\nhow do I kill a process,0,HARD NEGATIVE: kill\n");
    let gate = |benign: &str| {
        let args = format!(
            "gate --guard guard.lh --gates gates.toml --benign {benign} --attacks attacks.csv --hard-negatives hard.csv --json"
        );
        folder.run(&args).json()["checks"][0]["n"].clone()
    };
    assert_eq!(gate("unlabelled.csv"), gate("benign.csv"));
    let evaluate = |benign: &str| {
        let args = format!("evaluate --guard guard.lh --data labelled.csv --benign {benign} --json");
        folder.run(&args).json()["recall_at_fpr"][0]["benign"]["n"].clone()
    };
    assert_eq!(evaluate("unlabelled.csv"), evaluate("benign.csv"));
}
