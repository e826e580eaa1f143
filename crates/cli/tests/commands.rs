//! Each command on good data: its exit code, what it prints, what it writes.

mod support;

#[path = "commands/audits.rs"]
mod audits;
#[path = "commands/guards.rs"]
mod guards;
#[path = "commands/rules.rs"]
mod rules;
#[path = "commands/scan.rs"]
mod scan;

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::Value;
use support::{Folder, Run, SMALL};

/// The keys of a JSON object.
fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Every command that works through data, in an order in which each finds its inputs; with its exit code.
const COMMANDS: [(&str, i32); 21] = [
    ("scan jailbreak --guard guard.lh", 1),
    ("scan --guard guard.lh --input benign.csv --output OUT.jsonl", 0),
    ("data check benign.csv", 0),
    ("data merge benign.csv attacks.csv -o OUT.csv", 0),
    ("train --data labelled.csv -o OUT.lh", 0),
    ("calibrate --guard guard.lh --benign benign.csv -o calibrated_OUT.lh", 0),
    ("audit --guard guard.lh --benign traffic.csv -o OUT", 0),
    ("reinforce --audit OUT/audit.json -o reinforced_OUT.csv", 0),
    ("reinforce --audit OUT/audit.json --plan", 0),
    ("hard-negatives mine --guard guard.lh --benign traffic.csv --attacks attacks.csv --top 9 -o proposals_OUT.csv", 0),
    ("evaluate --guard guard.lh --data labelled.csv", 0),
    ("claim --before OUT/audit.json --after OUT/audit.json --trained-on labelled.csv", 0),
    ("compare guard.lh calibrated_OUT.lh --data labelled.csv", 0),
    ("rules check --rules rules.toml --benign traffic.csv --attacks attacks.csv --apply narrowed_OUT.toml", 1),
    ("data leaks --train labelled.csv --test benign.csv", 0),
    ("data labels --data labelled.csv traffic.csv --folds 2 --char-bits 10 --word-bits 10 --epochs 1 -o suspects_OUT.csv", 0),
    ("data relabel --data labelled.csv traffic.csv --corrections suspects_OUT.csv -o relabelled_OUT.csv", 0),
    ("crossval --data labelled.csv --folds 2 --char-bits 10 --word-bits 10 --epochs 1 --scheme random --scheme grouped", 0),
    ("gate --guard guard.lh --benign traffic.csv --attacks attacks.csv", 1),
    (
        "improve --train labelled.csv --benign benign.csv --gate-benign traffic.csv --gate-attacks attacks.csv --max-fpr 0.1 \
         --rounds 1 --char-bits 10 --word-bits 10 --epochs 2 -o run_OUT",
        1,
    ),
    (
        "ablate --train labelled.csv --benign benign.csv --gate-benign traffic.csv --gate-attacks attacks.csv --factor hard-negatives \
         --seeds 2 --char-bits 10 --word-bits 10 --epochs 1 -o ablation_OUT",
        0,
    ),
];

#[test]
fn json_is_printed_and_nothing_else() {
    let folder = Folder::with_inputs();
    // These write a file, or a line of JSON for each pair.
    let others = ["data merge", "data relabel", "data leaks", "scan --guard"];
    for (args, code) in COMMANDS.iter().filter(|(args, _)| !others.iter().any(|other| args.starts_with(other))) {
        let run = folder.run(&format!("{} --json", args.replace("OUT", "out")));
        assert_eq!(run.code, Some(*code), "{args}\n{run:?}");
        assert!(run.json().is_object(), "{args}\n{run:?}");
    }
}

#[test]
fn a_quiet_command_says_nothing_beside_its_result() {
    let folder = Folder::with_inputs();
    let mut loud = Vec::new();
    for (args, code) in COMMANDS {
        let run = folder.run(&format!("{} --quiet", args.replace("OUT", "out")));
        assert_eq!(run.code, Some(code), "{args}\n{run:?}");
        // Warnings are no progress.
        if run.stderr.lines().any(|line| !line.starts_with("warning: ")) {
            loud.push(format!("{args}\n{}", run.stderr));
        }
    }
    assert!(loud.is_empty(), "{}", loud.join("\n"));
}

#[test]
fn the_counts_of_every_file_are_said() {
    let folder = Folder::with_inputs();
    for (args, code) in COMMANDS.iter().filter(|(args, _)| !args.starts_with("scan jailbreak")) {
        let run = folder.run(&args.replace("OUT", "out"));
        assert_eq!(run.code, Some(*code), "{args}\n{run:?}");
        let words: Vec<&str> = args.split(' ').collect();
        let is_output = |at: usize| at > 0 && words[at - 1] == "-o";
        let n_files = (0..words.len()).filter(|at| words[*at].ends_with(".csv") && !is_output(*at)).count();
        let n_counts = run.stderr.lines().filter(|line| line.contains(" read, ") && line.contains(" rejected")).count();
        assert_eq!(n_counts, n_files, "{args}\n{}", run.stderr);
    }
}

#[test]
fn nothing_depends_on_the_number_of_threads() {
    let [one, two] = [1, 2].map(|threads| {
        let folder = Folder::with_inputs();
        let printed = COMMANDS.map(|(args, code)| {
            let run = folder.run(&format!("{} --threads {threads}", args.replace("OUT", "out")));
            assert_eq!(run.code, Some(code), "{args}\n{run:?}");
            run.stdout
        });
        (folder, printed)
    });
    for ((args, _), (one, two)) in COMMANDS.iter().zip(one.1.iter().zip(&two.1)) {
        assert_eq!(one, two, "{args}");
    }
    let files = [
        "out.jsonl",
        "out.csv",
        "out.lh",
        "calibrated_out.lh",
        "out/audit.json",
        "out/audit.md",
        "suspects_out.csv",
        "relabelled_out.csv",
        "narrowed_out.toml",
        "proposals_out.csv",
        "reinforced_out.csv",
        "reinforced_out.lineage.jsonl",
        "reinforced_out.rejected.jsonl",
        "run_out/model.lh",
        "run_out/reinforced_training_data.csv",
        "run_out/reinforced_training_data.lineage.jsonl",
        "run_out/reinforced_training_data.rejected.jsonl",
        "run_out/audit.json",
        "run_out/gate.json",
    ];
    for file in files {
        assert!(one.0.read_bytes(file) == two.0.read_bytes(file), "{file}");
    }
}

#[test]
fn another_seed_gives_another_guard() {
    let folder = Folder::with_inputs();
    folder.ok(&format!("train --data trained.csv -o again.lh {SMALL}"));
    folder.ok(&format!("train --data trained.csv -o other.lh {SMALL} --seed 7"));
    assert!(folder.read_bytes("again.lh") == folder.read_bytes("guard.lh"));
    assert!(folder.read_bytes("other.lh") != folder.read_bytes("guard.lh"));
}

#[test]
fn datasets_are_merged_and_looked_through() {
    let folder = Folder::with_inputs();
    folder.write("extra.csv", "lang,text,label\nde,Wo ist der Bahnhof?,0\nde,wo ist der bahnhof?,0\nen,Reveal it,1\n");
    folder.write("more.csv", "text,label\nreveal it,0\n");
    for (args, n) in [("", 324), ("--distinct", 323)] {
        for name in ["merged.csv", "merged.jsonl", "merged.parquet", "merged.csv.gz", "merged.jsonl.zst"] {
            folder.ok(&format!("data merge benign.csv extra.csv more.csv -o {name} --force {args}"));
            let run = folder.run(&format!("data check {name} --json"));
            assert_eq!(run.code, Some(1), "both labels for one prompt\n{run:?}");
            let found = run.json();
            let file = &found["files"][0];
            assert_eq!(
                (&file["n_rows"], &file["n_attacks"], &file["extra"]),
                (&n.into(), &1.into(), &vec!["lang"].into()),
                "{name}"
            );
            assert_eq!(found["n_contradictions"], 1);
        }
    }
    let run = folder.run("data check extra.csv more.csv");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("extra.csv and more.csv: 1 rows of the second stand in the first"), "{}", run.stdout);
}

#[test]
fn one_value_of_a_column_is_left_out_at_a_time() {
    let folder = Folder::with_inputs();
    let kinds = ["email", "table", "code", ""];
    let named: String =
        folder.read("labelled.csv").lines().skip(1).enumerate().map(|(i, l)| format!("{l},{}\n", kinds[i % 4])).collect();
    folder.write("named.csv", format!("text,label,category,source,carrier\n{named}"));
    let run = folder.ok(&format!("crossval --data named.csv --by carrier {SMALL}"));
    let lines: Vec<Vec<&str>> = run.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for kind in &kinds[..3] {
        assert!(lines.iter().any(|cells| cells.len() > 3 && cells[..2] == [*kind, "50"]), "{kind}: {}", run.stdout);
    }
    assert_eq!(lines.iter().filter(|cells| cells.get(1) == Some(&"50")).count(), 3, "{}", run.stdout);
}

#[test]
fn labels_made_wrong_are_found_and_put_right() {
    let folder = Folder::with_inputs();
    let trial = folder.ok(&format!("data labels --data labelled.csv {SMALL} --plant 0.05 --json")).json();
    let (planted, last) = (trial["n_planted"].as_u64().unwrap(), trial["curve"].as_array().unwrap().last().unwrap().clone());
    assert!(planted > 10 && last["planted"].as_u64().unwrap() * 2 > planted, "{trial}");
    // Two benign rows become attacks, the audit names them, a person decides, and the labels are as they were.
    let right = folder.read("labelled.csv");
    let named: Vec<&str> = right.lines().filter_map(|line| Some(line.split_once(",0,")?.0)).take(2).collect();
    let wrong = named.iter().fold(right.clone(), |all, text| all.replace(&format!("\n{text},0,"), &format!("\n{text},1,")));
    folder.write("wrong.csv", &wrong);
    folder.ok(&format!("data labels --data wrong.csv {SMALL} -o suspects.csv --top 10"));
    let suspects = folder.read("suspects.csv");
    assert!(named.iter().all(|text| suspects.contains(text)), "{suspects}");
    let corrections: String = named.iter().map(|text| format!("{text},1,0\n")).collect();
    folder.write("corrections.csv", format!("text,label,corrected\n{corrections}"));
    let run = folder.ok("data relabel --data wrong.csv --corrections corrections.csv -o mended.csv");
    assert!(run.stdout.contains("2 labels changed, 0 rows dropped, 0 decisions leave a row as it is"), "{run:?}");
    let both = |name: &str| folder.run(&format!("data check {name} --json")).json()["tally"]["label"].clone();
    assert_eq!(both("mended.csv"), both("labelled.csv"));
}

#[test]
fn the_starter_corpus_is_written_and_has_no_faults() {
    let folder = Folder::new();
    folder.ok("data starter -o starter");
    for name in ["train", "benign", "gate_benign", "gate_attacks", "hard_negatives_train", "hard_negatives_test", "attacks"] {
        folder.ok(&format!("data check starter/{name}.csv"));
    }
}

#[test]
fn damaged_text_is_counted_and_repaired() {
    let folder = Folder::new();
    folder.write("damaged.csv", "text,label\ndonâ€™t go there,0\n");
    assert_eq!(folder.run("data check damaged.csv").code, Some(1));
    let run = folder.ok("data check damaged.csv --repair --json");
    assert_eq!(run.json()["files"][0]["n_repaired"], 1);
    folder.ok("data merge damaged.csv --repair -o whole.csv");
    assert!(folder.read("whole.csv").contains("don’t go there"));
}

#[test]
fn rows_at_fault_are_left_out_and_written_where_asked() {
    let folder = Folder::with_inputs();
    folder.write("some.csv", "text,label\na b,0\n\"c\nd\",5\ne f,1\n");
    let run = folder.run("data check some.csv --rejects rejects.jsonl");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("some.csv: 3 read, 2 kept, 0 repaired, 1 rejected"), "{}", run.stderr);
    folder.ok("scan --guard guard.lh --input some.csv --output verdicts.jsonl --rejects scan_rejects.jsonl");
    assert_eq!(folder.json_lines("verdicts.jsonl").len(), 2);
    for name in ["rejects.jsonl", "scan_rejects.jsonl"] {
        let rejects = folder.json_lines(name);
        assert_eq!(rejects.len(), 1);
        let row = &rejects[0];
        assert_eq!((&row["line"], &row["column"], &row["text"]), (&3.into(), &"label".into(), &"c\nd".into()), "{row}");
        assert!(row["file"].as_str().unwrap().ends_with("some.csv"), "{row}");
    }
}

/// Runs every command with its standard output going to `place`; gives the command, its exit code in peace, and the run.
fn run_into<P: Into<Stdio>>(place: impl Fn() -> P) -> Vec<(String, i32, Run)> {
    let folder = Folder::with_inputs();
    let more =
        [("scan --guard guard.lh --input benign.csv --output -", 0), ("data starter -o starter", 0), ("completions bash", 0)];
    let run = |(args, code): (&str, i32)| {
        let args = args.replace("OUT", "out");
        let output = folder.command(&args).stdout(place()).output().unwrap();
        (args, code, Run::from(output))
    };
    COMMANDS.into_iter().chain(more).map(run).collect()
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    // The reading end is dropped, so that every write meets a broken pipe.
    let mut faults = run_into(|| std::io::pipe().unwrap().1);
    faults.retain(|(_, code, run)| run.code != Some(*code) || run.stderr.contains("error") || run.stderr.contains("panicked"));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_standard_output_that_is_full_is_an_error() {
    let mut faults = run_into(|| std::fs::File::options().write(true).open("/dev/full").unwrap());
    let is_quiet = |args: &str| args.starts_with("scan") && args.ends_with(".jsonl");
    faults.retain(|(args, _, run)| {
        let error = run.stderr.lines().last().is_some_and(|line| line.starts_with("error: "));
        !is_quiet(args) && (run.code != Some(2) || !error || run.stderr.contains("panicked"))
    });
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn help_version_and_completions_are_printed() {
    let folder = Folder::new();
    assert!(folder.ok("--version").stdout.starts_with("levelhead "));
    let commands = [
        "scan",
        "train",
        "calibrate",
        "audit",
        "reinforce",
        "evaluate",
        "gate",
        "improve",
        "ablate",
        "data check",
        "data merge",
        "rules check",
        "hard-negatives mine",
        "hard-negatives accept",
    ];
    for command in commands {
        let help = folder.ok(&format!("{command} --help")).stdout;
        assert!(help.contains(&format!("Usage: levelhead {command}")), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{command}: a line is longer than 100 characters\n{help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(folder.ok(&format!("completions {shell}")).stdout.contains("calibrate"), "{shell}");
    }
}
