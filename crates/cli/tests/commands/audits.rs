//! `levelhead audit` and `reinforce`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::keys;
use crate::support::{Folder, Words, csv, prompts};

#[test]
fn an_audit_counts_the_traffic_and_lists_what_is_flagged() {
    let folder = Folder::with_inputs();
    let run = folder.ok("audit --guard guard.lh --benign traffic.csv -o found");
    assert!(run.stdout.ends_with("written to found: audit.json, audit.md\n"), "{}", run.stdout);
    let found = folder.json("found/audit.json");
    assert_eq!((&found["total"], &found["false_positives"], &found["true_negatives"]), (&json!(300), &json!(60), &json!(240)));
    assert_eq!(found["distinct"], json!({"total": 300, "fp": 60}));
    let details = found["fp_details"].as_array().unwrap();
    assert_eq!(details.len(), 60);
    for fp in details {
        assert!(fp["id"].as_u64().unwrap() > 240 && fp["score"].as_f64().unwrap() >= 0.5, "{fp}");
    }
    assert!(folder.read("found/audit.md").contains("60 of 300"), "{}", folder.read("found/audit.md"));
    let printed = folder.ok("audit --guard guard.lh --benign traffic.csv -o again --json").json();
    assert_eq!(printed, found);
    folder.ok("audit --results found/audit.json -o third");
    assert_eq!(folder.json("third/audit.json"), found);
}

#[test]
fn an_outside_guard_is_audited_by_its_answers() {
    let folder = Folder::with_inputs();
    let verdicts: String = folder
        .read("benign.csv")
        .lines()
        .skip(1)
        .enumerate()
        .map(|(i, line)| format!("{}\n", json!({"text": line.split(',').next().unwrap(), "flagged": i < 7})))
        .collect();
    folder.write("verdicts.jsonl", verdicts);
    folder.write("stored.toml", "kind = \"results\"\npath = \"verdicts.jsonl\"\n");
    // Flags every prompt that holds "garden": a guard as a shell script would be.
    folder.write(
        "guard.sh",
        "while read -r line; do case $line in *garden*) echo '{\"score\":0.9}';; *) echo '{\"score\":0.1}';; esac; done",
    );
    folder.write("script.toml", "kind = \"command\"\ncommand = [\"sh\", \"guard.sh\"]\n");
    let n_garden = folder.read("benign.csv").lines().filter(|line| line.contains("garden")).count();
    for (guard, n) in [("stored.toml", 7), ("script.toml", n_garden)] {
        let found = folder.ok(&format!("audit --guard {guard} --benign benign.csv -o found_{n} --json")).json();
        assert_eq!((&found["total"], &found["false_positives"]), (&json!(320), &json!(n)), "{guard}");
    }
}

const CATEGORIES: [&str; 6] = ["programming", "education", "technical_docs", "edge_cases", "conversational", "creative"];

/// A `benign_test_results.json` as other guards' tests write it: 4,179 entries of 612 distinct prompts.
fn results() -> Value {
    let distinct = prompts(Words::Everyday, 612, 19);
    let entry = |i: usize| {
        let prompt = &distinct[i % 612];
        // A repeat in capitals is a repeat all the same.
        let prompt = if i >= 612 && i.is_multiple_of(5) { prompt.to_uppercase() } else { prompt.clone() };
        let threat = json!({"rule_id": "l2.role_persona", "severity": "HIGH", "confidence": 0.93});
        json!({"id": i + 1, "prompt": prompt, "category": CATEGORIES[i % 612 % 6], "threats": [threat]})
    };
    let details: Vec<Value> = (0..4179).map(entry).collect();
    let categories: serde_json::Map<String, Value> = CATEGORIES
        .iter()
        .map(|name| {
            let n = details.iter().filter(|fp| fp["category"] == *name).count();
            (name.to_string(), json!({"total": 2 * n, "fp": n}))
        })
        .collect();
    json!({"total": 10000, "false_positives": 4179, "true_negatives": 5821, "categories": categories, "fp_details": details})
}

#[test]
fn results_of_another_guard_are_audited_by_entries_and_by_distinct_prompts() {
    let folder = Folder::new();
    folder.write("benign_test_results.json", results().to_string());
    let run = folder.ok("audit --results benign_test_results.json -o found --json");
    let found = folder.json("found/audit.json");
    assert_eq!(run.json(), found);
    assert_eq!((&found["false_positives"], &found["distinct"]["fp"]), (&json!(4179), &json!(612)));
    assert_eq!((&found["total"], &found["distinct"]["total"]), (&json!(10000), &Value::Null));
    assert_eq!(found["fp_details"].as_array().unwrap().len(), 4179);
    let report = folder.read("found/audit.md").replace(',', "");
    for count in ["4179", "10000", "612"] {
        assert!(report.contains(count), "{count} is missing\n{report}");
    }
}

#[test]
fn results_of_another_guard_are_reinforced() {
    let folder = Folder::new();
    folder.write("benign_test_results.json", results().to_string());
    let plan = folder.ok("reinforce --audit benign_test_results.json -o rows.csv --json").json();
    let n_rows = plan["n_rows"].as_u64().unwrap() as usize;
    assert_eq!((&plan["plan"]["n_available"], n_rows > 2000), (&json!(612), true), "{plan}");
    assert!(folder.read("rows.csv").starts_with("text,label,family,category,severity,confidence,source,notes\n"));
    let checked = folder.ok("data check rows.csv --json").json();
    let file = &checked["files"][0];
    for (name, expected) in [("n_rows", n_rows), ("n_distinct", n_rows), ("n_attacks", 0), ("n_unlabelled", 0)] {
        assert_eq!(file[name], expected, "{name}");
    }
    assert_eq!(keys(&checked["tally"]["family"]), ["BENIGN"].into());

    let lineage = folder.json_lines("rows.lineage.jsonl");
    assert_eq!(lineage.len(), n_rows);
    let prompts: BTreeSet<String> = prompts(Words::Everyday, 612, 19).into_iter().map(|p| p.to_lowercase()).collect();
    for (i, line) in lineage.iter().enumerate() {
        assert_eq!(keys(line), ["row", "false_positive", "strategy", "seed", "group"].into(), "{line}");
        assert_eq!((&line["row"], &line["seed"]), (&json!(i), &json!(42)), "{line}");
        match line["false_positive"].as_str() {
            Some(prompt) => assert!(prompts.contains(&prompt.to_lowercase()), "{line}"),
            None => assert_eq!(line["strategy"], "hard_negative", "{line}"),
        }
    }
    folder.ok("reinforce --audit benign_test_results.json -o again.csv");
    assert_eq!(folder.read("again.csv"), folder.read("rows.csv"));
    folder.ok("audit --results benign_test_results.json -o found");
    folder.ok("reinforce --audit found/audit.json -o third.csv");
    assert_eq!(folder.read("third.csv"), folder.read("rows.csv"));
}

#[test]
fn no_reinforced_row_is_an_attack_or_a_measured_prompt() {
    let folder = Folder::with_inputs();
    folder.ok("audit --guard guard.lh --benign traffic.csv -o found");
    let found = folder.json("found/audit.json");
    let texts: Vec<&str> = found["fp_details"].as_array().unwrap().iter().map(|fp| fp["prompt"].as_str().unwrap()).collect();
    let dataset =
        |texts: &[&str], label: u8| format!("text,label\n{}", texts.iter().map(|t| format!("{t},{label}\n")).collect::<String>());
    folder.write("known_attacks.csv", dataset(&texts[..20], 1));
    folder.write("gate.csv", dataset(&texts[20..40], 0));
    folder.write("pool.csv", dataset(&texts[40..], 0));
    folder.ok("reinforce --audit found/audit.json --originals --rest 1 --hard-negatives none --pool pool.csv \
         --attacks known_attacks.csv --measured gate.csv -o rows.jsonl --json");
    let rows = folder.json_lines("rows.jsonl");
    let written: BTreeSet<&str> = rows.iter().map(|row| row["text"].as_str().unwrap()).collect();
    assert_eq!(written.len(), rows.len());
    assert!(texts[..40].iter().all(|text| !written.contains(text)));
    assert!(texts[40..].iter().all(|text| written.contains(text)));
    let checked = folder.run("data check rows.jsonl known_attacks.csv gate.csv --json").json();
    assert_eq!(checked["overlaps"], json!([]), "{checked}");
}

#[test]
fn an_attack_in_the_pool_is_no_variation_for_a_guard_that_does_not_know_its_origin() {
    let folder = Folder::with_inputs();
    folder.ok("audit --guard guard.lh --benign traffic.csv -o found");
    folder.write("pool.csv", csv(&prompts(Words::Attack, 400, 99), 0));
    let n_unmasked = |args: &str| {
        let args = format!("reinforce --audit found/audit.json --rest 1 --pool pool.csv -o rows.csv --force {args}");
        let run = folder.ok(&args);
        let rejected = folder.json_lines("rows.rejected.jsonl");
        let unmasked = rejected.iter().filter(|row| row["reason"].as_str().unwrap().contains("does not know its origin"));
        (unmasked.count(), run.stderr)
    };
    let (n, said) = n_unmasked("--attacks labelled.csv");
    assert!(n > 10 && said.contains("two guards, each without half"), "{n} {said}");
    assert_eq!(n_unmasked("--attacks labelled.csv --no-judges").0, 0);
    let (n, said) = n_unmasked("--attacks attacks.csv");
    assert!(n == 0 && said.contains("no guard judges what is made"), "{said}");
}

#[test]
fn a_plan_writes_nothing_and_a_recipe_says_who_makes_the_rows() {
    let folder = Folder::new();
    folder.write("benign_test_results.json", results().to_string());
    let reinforce = "reinforce --audit benign_test_results.json --hard-negatives none";
    let plan = folder.ok(&format!("{reinforce} --plan --json")).json();
    assert_eq!((&plan["plan"]["n_available"], &plan["plan"]["strategies"]), (&json!(612), &json!({})), "{plan}");
    folder.write("recipe.toml", "[[strategy]]\nname = 'twin'\n\n[[strategy]]\nname = 'format'\nshare = 2\n");
    folder.ok(&format!("{reinforce} --recipe recipe.toml --variations 3 -o rows.csv"));
    let lineage = folder.json_lines("rows.lineage.jsonl");
    let n = |name: &str| lineage.iter().filter(|line| line["strategy"] == name).count();
    // Of three rows of a false positive one is a twin, with its attack, and two are formats.
    assert!(n("twin") % 2 == 0 && n("twin").abs_diff(n("format")) < 50, "{} {}", n("twin"), n("format"));
    let checked = folder.ok("data check rows.csv --json").json();
    assert_eq!(checked["files"][0]["n_attacks"], n("twin") / 2, "{checked}");
    let rejected = folder.json_lines("rows.rejected.jsonl");
    assert!(rejected.iter().all(|line| !line["reason"].as_str().unwrap().is_empty()));
    assert_eq!(folder.run(&format!("{reinforce} --plan --recipe gone.toml")).code, Some(2));
}

#[test]
fn hard_negatives_are_proposed_accepted_and_trained_on() {
    let folder = Folder::with_inputs();
    let mine = "hard-negatives mine --guard guard.lh --benign traffic.csv --attacks attacks.csv --top 6";
    let printed = folder.ok(&format!("{mine} -o proposals.csv")).stdout;
    assert!(printed.contains("6 proposals written to proposals.csv: write y or n"), "{printed}");
    let fault = folder.run("hard-negatives accept --proposals proposals.csv -o hard.csv");
    assert!(fault.code == Some(2) && fault.stderr.contains("no row is accepted"), "{fault:?}");
    let asked = folder.run_on(&format!("{mine} --ask -o proposals.jsonl"), b"y\nn\ny\nq\n");
    assert!(asked.stdout.contains("3 answered, 2 accepted; 6 proposals written"), "{asked:?}");
    folder.ok("hard-negatives accept --proposals proposals.jsonl -o hard.csv");
    assert_eq!(folder.read("hard.csv").matches("HARD NEGATIVE:").count(), 2);
    folder.ok("audit --guard guard.lh --benign traffic.csv -o found");
    folder.ok("reinforce --audit found/audit.json --rest 1 --hard-negatives hard.csv -o rows.csv");
    let lineage = folder.json_lines("rows.lineage.jsonl");
    assert_eq!(lineage.iter().filter(|line| line["strategy"] == "hard_negative").count(), 2);
    // Nothing near a measured prompt is proposed.
    let none = folder.run(&format!("{mine} --measured traffic.csv -o none.csv"));
    assert!(none.code == Some(2) && none.stderr.contains("nothing is left to propose"), "{none:?}");
}
