//! Options and gate files that make no sense.

use super::{fails, is_misused};
use crate::support::{Folder, SMALL, Words, body, csv, prompts};

const IMPROVE: &str =
    "improve --train labelled.csv --benign benign.csv --gate-benign traffic.csv --gate-attacks attacks.csv -o out";

#[test]
fn without_arguments_the_help_is_shown() {
    let folder = Folder::new();
    let run = folder.run("");
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("Usage: levelhead") && run.stderr.contains("levelhead scan"), "{}", run.stderr);
    assert!(folder.contents().is_empty());
}

#[test]
fn arguments_that_do_not_fit_together_are_refused() {
    let folder = Folder::with_inputs();
    let rows = [
        ("judge", "unrecognized subcommand 'judge'"),
        ("scan", "<TEXT>"),
        ("scan --input benign.csv", "--output"),
        ("scan hello --input benign.csv --output out.jsonl", "cannot be used with"),
        ("train --data labelled.csv", "--output"),
        ("train -o out.lh", "--data"),
        ("train --data labelled.csv -o out.lh --char-bits 30", "30 is not in 8..=24"),
        ("train --data labelled.csv -o out.lh --seed many", "invalid value 'many'"),
        ("audit --guard guard.lh -o out", "--benign"),
        ("audit --guard guard.lh --results found.json -o out", "cannot be used with"),
        ("improve --train labelled.csv -o out", "--gate-benign"),
        ("reinforce --audit audit.json", "--output"),
        ("improve --benign benign.csv -o out", "--train"),
        ("data check", "<FILES>"),
        ("data merge benign.csv", "--output"),
        ("crossval --data labelled.csv --by carrier --folds 3", "cannot be used with"),
        ("data labels", "--data"),
        ("data relabel --data labelled.csv -o out.csv", "--corrections"),
        ("calibrate --guard guard.lh --benign benign.csv -o out.lh --max-fpr lots", "invalid value 'lots'"),
        ("rules check --benign benign.csv --attacks attacks.csv", "--rules"),
        ("rules check --rules rules.toml --attacks attacks.csv", "--benign"),
        ("rules check --rules rules.toml --benign benign.csv", "--attacks"),
        ("rules check --rules rules.toml --benign benign.csv --attacks attacks.csv --show some", "invalid value 'some'"),
        ("completions dog", "invalid value 'dog'"),
    ];
    for (args, expected) in rows {
        is_misused(&folder, args, expected);
    }
}

#[test]
fn an_output_of_a_single_text_is_refused() {
    is_misused(&Folder::with_inputs(), "scan hello --guard guard.lh --output out.jsonl", "--input");
}

#[test]
fn a_column_to_leave_out_by_is_there() {
    fails(&Folder::with_inputs(), "crossval --data labelled.csv --by carrier", "by: no file of --data has a column \"carrier\"");
}

#[test]
fn a_share_of_attacks_is_between_0_and_1() {
    let folder = Folder::with_inputs();
    for rate in ["0", "1", "nan", "7"] {
        fails(&folder, &format!("evaluate --guard guard.lh --data labelled.csv --prevalence 0.1 {rate}"), "prevalence: ");
    }
}

#[test]
fn a_false_positive_rate_is_between_0_and_1() {
    let folder = Folder::with_inputs();
    for rate in ["0", "1", "2", "nan", "inf"] {
        for args in [
            format!("calibrate --guard guard.lh --benign benign.csv -o out.lh --max-fpr {rate}"),
            format!("train --data labelled.csv -o out.lh {SMALL} --max-fpr {rate}"),
            format!("{IMPROVE} {SMALL} --max-fpr {rate}"),
        ] {
            fails(&folder, &args, "max-fpr: ");
        }
    }
}

#[test]
fn a_rule_pack_that_cannot_be_checked_names_the_option_or_the_file() {
    let folder = Folder::with_inputs();
    folder.write("none.toml", "# No rule.\n");
    folder.write("odd.toml", "[[rule]]\nid = 7\n");
    folder.write("more.toml", "[[rule]]\nid = 'a'\nexcept = 'b'\n");
    let rows = [
        ("rules.toml", "benign.csv", "attacks.csv --max-fpr 0", "max-fpr: 0 is not a rate above 0 and below 1"),
        ("rules.toml", "benign.csv", "attacks.csv --max-fpr nan", "max-fpr: NaN"),
        ("rules.toml", "benign.csv", "attacks.csv --max-lost 1", "max-lost: 1 is not a share from 0 to below 1"),
        ("rules.toml", "benign.csv", "attacks.csv --max-lost nan", "max-lost: NaN"),
        ("gone.toml", "benign.csv", "attacks.csv", "cannot read gone.toml: No such file"),
        ("none.toml", "benign.csv", "attacks.csv", "none.toml: holds no rule: write at least one [[rule]]"),
        ("odd.toml", "benign.csv", "attacks.csv", "odd.toml: line 2: invalid type: integer `7`"),
        ("more.toml", "benign.csv", "attacks.csv", "more.toml: line 3: unknown field `except`"),
        ("rules.toml", "gone.csv", "attacks.csv", "cannot read gone.csv"),
        ("rules.toml", "attacks.csv", "attacks.csv", "--benign: attacks.csv holds no benign prompt: choose another file"),
        ("rules.toml", "benign.csv", "benign.csv", "--attacks: benign.csv holds no attack: choose another file"),
    ];
    for (rules, benign, attacks, expected) in rows {
        fails(&folder, &format!("rules check --rules {rules} --benign {benign} --attacks {attacks}"), expected);
    }
}

#[test]
fn a_false_positive_rate_is_looked_at_before_the_work() {
    let folder = Folder::with_inputs();
    let run = folder.run(&format!("{IMPROVE} {SMALL} --max-fpr 2"));
    assert!(!run.stderr.contains("round 0"), "{}", run.stderr);
    fails(&folder, &format!("{IMPROVE} {SMALL} --max-over-defense 1.5"), "max-over-defense: is not between 0 and 1");
}

#[test]
fn a_threshold_for_1_percent_needs_299_distinct_prompts() {
    let folder = Folder::with_inputs();
    let few = csv(&prompts(Words::Everyday, 298, 9), 0);
    folder.write("few.csv", &few);
    folder.write("repeats.csv", few.clone() + body(&few));
    folder.write("enough.csv", csv(&prompts(Words::Everyday, 299, 9), 0));
    for name in ["few.csv", "repeats.csv"] {
        let args = format!("calibrate --guard guard.lh --benign {name} -o out.lh");
        fails(
            &folder,
            &args,
            "298 distinct benign prompts are too few to keep an FPR of 0.01 with 95 % confidence: 299 are needed",
        );
    }
    folder.ok("calibrate --guard guard.lh --benign enough.csv -o out.lh");
    fails(&folder, "calibrate --guard guard.lh --benign enough.csv -o other.lh --max-fpr 0.005", "598 are needed");
}

#[test]
fn settings_out_of_range_are_named() {
    let folder = Folder::with_inputs();
    folder.write("audit.json", r#"{"total": 9, "fp_details": [{"prompt": "how do I kill a process"}]}"#);
    let rows = [
        ("reinforce --audit audit.json -o out.csv --priority nonsense", "priority: \"nonsense\" is not like programming=0.4"),
        ("reinforce --audit audit.json -o out.csv --priority programming=lots", "priority: \"programming=lots\" is not like"),
        ("reinforce --audit audit.json -o out.csv --priority programming=-1", "priority: "),
        ("reinforce --audit audit.json -o out.csv --priority programming=nan", "priority: "),
        ("reinforce --audit audit.json -o out.csv --priority programming=0", "priority: all shares are 0"),
        ("reinforce --audit audit.json -o out.csv --rest 2", "rest: "),
        ("reinforce --audit audit.json -o out.csv --most-per-cluster 0", "most-per-cluster: "),
        ("reinforce --audit audit.json -o out.csv --recipe gates.csv", "gates.csv: cannot be read"),
        ("reinforce --audit audit.json -o out.csv --recipe labelled.csv", "labelled.csv: "),
        ("ablate --seeds 1 -o out", "seeds: at least two are needed"),
        ("ablate --rows 0 -o out", "rows: is 0"),
        ("ablate --matched-fpr nan -o out", "matched-fpr: is not above 0"),
        ("improve --ablation audit.json -o out", "audit.json: not an ablation.json"),
        ("reinforce --audit audit.json -o out.csv --rest nan", "rest: "),
        ("reinforce --audit audit.json -o out.csv --variations 0", "variations: "),
        ("reinforce --audit audit.json -o out.csv --false-positives 0", "false-positives: "),
        ("train --data labelled.csv -o out.lh --epochs 0", "epochs: "),
        ("train --data labelled.csv -o out.lh --dropout 1", "dropout: "),
        ("train --data labelled.csv -o out.lh --learning-rate nan", "learning-rate: "),
        ("train --data labelled.csv -o out.lh --attack-weight 0", "attack-weight: "),
        ("train --data labelled.csv -o out.lh --licenses MIT", "labelled.csv: no column license"),
        ("train --data labelled.csv -o out.lh --rules gone.toml", "cannot read gone.toml"),
    ];
    for (args, expected) in rows {
        fails(&folder, args, expected);
    }
}

#[test]
fn a_category_without_false_positives_gives_no_file_of_a_header_only() {
    let folder = Folder::with_inputs();
    folder.write("audit.json", r#"{"total": 9, "fp_details": [{"prompt": "how do I kill a process"}]}"#);
    fails(&folder, "reinforce --audit audit.json -o out.csv --priority nonsense=1 --hard-negatives none", "nonsense");
}

const GATE: &str = "gate --guard guard.lh --benign benign.csv --attacks attacks.csv --gates gates.toml -o out.json";

fn check(slice: &str, metric: &str, more: &str) -> String {
    format!("# mine\n[[check]]\nname = \"c\"\nslice = \"{slice}\"\nmetric = \"{metric}\"\n{more}\n")
}

#[test]
fn a_gate_file_at_fault_names_the_file_and_the_line() {
    let folder = Folder::with_inputs();
    let rows = [
        (check("benign", "fpr_under", "bound = 0.1"), "gates.toml: line 5: check \"c\": unknown metric \"fpr_under\""),
        (check("harmless", "fpr_below", "bound = 0.1"), "gates.toml: line 4: check \"c\": unknown slice \"harmless\""),
        (check("benign", "fpr_below", "bound = nan"), "gates.toml: line 6: check \"c\": bound NaN makes no sense"),
        (check("attacks", "fpr_below", "bound = 0.1"), "gates.toml: line 5: check \"c\": metric fpr_below counts benign rows"),
        (String::new(), "gates.toml: no check is required"),
    ];
    for (text, expected) in rows {
        folder.write("gates.toml", text);
        fails(&folder, GATE, expected);
        fails(&folder, "improve -o out --gates gates.toml", expected);
    }
    std::fs::remove_file(folder.path("gates.toml")).unwrap();
    fails(&folder, GATE, "cannot read gates.toml: No such file");
    fails(&folder, "improve -o out --gates gates.toml", "cannot read gates.toml: No such file");
}

#[test]
fn a_file_that_is_no_toml_is_one_line_of_error() {
    let folder = Folder::with_inputs();
    folder.write("gates.toml", "[[check]\n");
    folder.write("spec.toml", "kind = \"telepathy\"\n");
    folder.write("rules.toml", "[[rule]]\nid = 7\n");
    fails(&folder, GATE, "gates.toml: ");
    fails(&folder, "scan hello --guard spec.toml", "spec.toml: ");
    fails(&folder, "train --data labelled.csv -o out.lh --rules rules.toml", "rules.toml: ");
}

#[test]
fn a_slice_without_rows_fails_the_gate_and_is_named() {
    let folder = Folder::with_inputs();
    for (slice, metric, what) in [
        ("category:cooking", "fpr_below", "no benign rows in slice category:cooking"),
        ("source:elsewhere", "recall_above", "no attacks that count in recall in slice source:elsewhere"),
        ("family:nothing", "recall_above", "no attacks that count in recall in slice family:nothing"),
    ] {
        folder.write("gates.toml", check(slice, metric, "bound = 0.1"));
        let _ = std::fs::remove_file(folder.path("out.json"));
        let run = folder.run(GATE);
        assert_eq!(run.code, Some(1), "{slice}\n{run:?}");
        assert!(run.stdout.contains(what) && run.stdout.ends_with("gate failed\n"), "{what}\n{}", run.stdout);
        let report = folder.json("out.json");
        assert_eq!((&report["passed"], &report["checks"][0]["outcome"]), (&false.into(), &"no_rows".into()), "{report}");
    }
}
