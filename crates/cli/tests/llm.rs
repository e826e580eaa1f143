//! `levelhead reinforce --llm` and `improve --llm` against a server of its own process: what is asked, what is paid, what goes wrong.

mod support;

#[path = "llm/improve.rs"]
mod improve;

use std::env::consts::EXE_EXTENSION;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Folder, Run, Words, prompts};

const KEY: &str = "sk-4f1c9e77d0";
const RECIPE: &str = "[[strategy]]\nname = 'llm'\n[[strategy]]\nname = 'frame'\nshare = 0\n";
/// A template of few tokens.
const SHORT: &str = "[template]\nsystem = ''\nuser = '{n} like <prompt>{prompt}</prompt>'";
const REINFORCE: &str = "reinforce --audit found.json --hard-negatives none --rest 1 --variations 3 --llm llm.toml";

/// The example `chat_stub`, running.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Folder, behavior: &str) -> Server {
        // Tests are built beside the examples: target/PROFILE/deps, target/PROFILE/examples.
        let program =
            Path::new(env!("CARGO_BIN_EXE_levelhead")).with_file_name("examples").join("chat_stub").with_extension(EXE_EXTENSION);
        let mut child = Command::new(&program)
            .args([behavior, "log.jsonl"])
            .current_dir(folder.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; cargo build --examples makes it", program.display()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, port: line.trim().parse().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A folder with an audit of eight false positives, and settings for a server with this behavior.
fn with_server(behavior: &str, settings: &str) -> (Folder, Server) {
    let folder = Folder::new();
    let details: Vec<Value> =
        prompts(Words::Everyday, 8, 5).iter().map(|prompt| json!({"prompt": prompt, "category": "education"})).collect();
    folder.write("found.json", json!({"total": 100, "fp_details": details}).to_string());
    folder.write("recipe.toml", RECIPE);
    let server = Server::start(&folder, behavior);
    configure(&folder, &server, settings);
    (folder, server)
}

fn configure(folder: &Folder, server: &Server, settings: &str) {
    folder.write("llm.toml", format!("base_url = 'http://127.0.0.1:{}/v1'\nmodel = 'small'\n{settings}\n", server.port));
}

/// The requests that the server has seen.
fn requests(folder: &Folder) -> Vec<Value> {
    folder.json_lines("log.jsonl")
}

/// Runs with a key in the environment, and with a proxy there that nobody has chosen.
fn with_key(folder: &Folder, args: &str) -> Run {
    let mut command = folder.command(args);
    command.env("MY_KEY", KEY);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:1");
    }
    Run::from(command.output().unwrap())
}

fn n_of(lineage: &[Value], strategy: &str) -> usize {
    lineage.iter().filter(|line| line["strategy"] == strategy).count()
}

/// A run that must end with an error.
fn fails(folder: &Folder, args: &str, expected: &str) {
    let run = with_key(folder, args);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    let last = run.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && last.contains(expected), "{expected:?}\n{}", run.stderr);
    assert!(!run.stderr.contains(KEY) && !run.stderr.contains("panicked"), "{}", run.stderr);
    assert!(!folder.path("rows.csv").exists(), "{args}");
}

#[test]
fn a_model_writes_rows_and_is_not_asked_twice() {
    let (folder, _server) = with_server("good", "key_env = 'MY_KEY'\ntemperature = 0.5");
    let run = with_key(&folder, &format!("{REINFORCE} --recipe recipe.toml -o rows.csv"));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.stdout.contains("llm: 8 prompts, 0 of them answered from the cache; 8 calls; 800 tokens, cached ones too\n"),
        "{run:?}"
    );
    let lineage = folder.json_lines("rows.lineage.jsonl");
    assert_eq!((lineage.len(), n_of(&lineage, "llm")), (24, 24));
    assert!(folder.read("rows.csv").contains("At work: "), "{}", folder.read("rows.csv"));

    let seen = requests(&folder);
    assert_eq!(seen.len(), 8);
    for request in &seen {
        assert_eq!(request["line"], "POST /v1/chat/completions HTTP/1.1");
        assert_eq!(request["authorization"], format!("Bearer {KEY}"));
        assert_eq!((&request["asked"]["model"], &request["asked"]["temperature"]), (&json!("small"), &json!(0.5)));
        let message = request["asked"]["messages"][1]["content"].as_str().unwrap();
        // Three are needed; some may fail the proof.
        assert!(message.contains("Write 5 harmless variations") && message.contains("Category: education"), "{message}");
    }
    let again = with_key(&folder, &format!("{REINFORCE} --recipe recipe.toml -o again.csv"));
    assert!(again.stdout.contains("llm: 8 prompts, 8 of them answered from the cache; 0 calls; 800 tokens"), "{again:?}");
    assert_eq!((requests(&folder).len(), folder.read("again.csv")), (8, folder.read("rows.csv")));

    // The key goes to the server, and nowhere else.
    std::fs::remove_file(folder.path("log.jsonl")).unwrap();
    for (path, bytes) in folder.contents() {
        assert!(!String::from_utf8_lossy(&bytes.unwrap_or_default()).contains(KEY), "{}", path.display());
    }
    assert!(!format!("{run:?}{again:?}").contains(KEY));
}

#[test]
fn a_run_that_was_cut_off_pays_only_for_the_rest() {
    let (folder, _server) = with_server("good", "parallel = 1");
    let args = format!("{REINFORCE} --recipe recipe.toml");
    folder.ok(&format!("{args} -o rows.csv"));
    let cache = folder.read("llm.cache.jsonl");
    let whole: usize = cache.split_inclusive('\n').take(3).map(str::len).sum();
    folder.write("llm.cache.jsonl", &cache[..whole + 30]);
    let run = folder.ok(&format!("{args} -o again.csv"));
    assert!(run.stderr.contains("llm.cache.jsonl: the last answer was cut off"), "{}", run.stderr);
    assert!(run.stdout.contains("8 prompts, 3 of them answered from the cache; 5 calls"), "{}", run.stdout);
    assert_eq!(folder.read("again.csv"), folder.read("rows.csv"));
    assert_eq!(folder.read("llm.cache.jsonl"), cache);
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_keeps_what_it_has_paid() {
    let (folder, _server) = with_server("calm", "parallel = 1");
    let args = format!("{REINFORCE} --recipe recipe.toml -o rows.csv");
    let child = folder.command(&args).spawn().unwrap();
    let n_paid = || std::fs::read_to_string(folder.path("llm.cache.jsonl")).unwrap_or_default().lines().count();
    let patience = Instant::now() + Duration::from_secs(60);
    while n_paid() < 2 {
        assert!(Instant::now() < patience, "nothing is ever paid");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let run = Run::from(child.wait_with_output().unwrap());
    assert!(run.code == Some(2) && run.stderr.contains("error: interrupted"), "{run:?}");
    let n_before = n_paid();
    assert!((2..8).contains(&n_before) && !folder.path("rows.csv").exists(), "{n_before}");
    let run = folder.ok(&args);
    assert!(run.stdout.contains(&format!("{n_before} of them answered from the cache; {} calls", 8 - n_before)), "{run:?}");
}

#[test]
fn a_budget_is_kept_and_the_rest_is_made_otherwise() {
    let (folder, server) = with_server("good", &format!("max_calls = 5\n{SHORT}"));
    let args = format!("{REINFORCE} --recipe recipe.toml --force -o rows.csv");
    for n_new in [5, 0] {
        let run = folder.ok(&args);
        assert!(run.stdout.contains("short: llm: 3 of 8 prompts were not asked about: max_calls = 5 is spent"), "{}", run.stdout);
        assert!(run.stdout.contains(&format!("; {n_new} calls; 500 tokens")), "{}", run.stdout);
        let lineage = folder.json_lines("rows.lineage.jsonl");
        assert_eq!((requests(&folder).len(), n_of(&lineage, "llm")), (5, 15));
    }
    // What was paid before counts: with 500 tokens spent and some 110 to a call, 650 leave room for one more.
    configure(&folder, &server, &format!("max_tokens = 650\n{SHORT}"));
    let run = folder.ok(&args);
    let lacking = "short: llm: 2 of 8 prompts were not asked about: max_tokens = 650 has no room for another, 600 are spent";
    assert!(run.stdout.contains(lacking), "{}", run.stdout);
    assert_eq!(requests(&folder).len(), 6);
}

#[test]
fn a_plan_says_what_would_be_asked_and_asks_nothing() {
    let (folder, _server) = with_server("good", "retries = 1\nmax_calls = 12\nkey_env = 'MY_KEY'");
    let plan = format!("{REINFORCE} --recipe recipe.toml --plan");
    let run = folder.ok(&plan);
    assert!(
        run.stdout.contains("llm: 8 prompts to ask about, 0 of them answered in the cache; 12 calls at most, retries too"),
        "{run:?}"
    );
    assert_eq!((requests(&folder).len(), folder.path("llm.cache.jsonl").exists()), (0, false));
    with_key(&folder, &format!("{REINFORCE} --recipe recipe.toml -o rows.csv"));
    let run = folder.ok(&format!("{plan} --json"));
    assert_eq!(
        (&run.json()["plan"]["llm"]["n_cached"], &run.json()["plan"]["llm"]["n_calls"]),
        (&json!(8), &json!(0)),
        "{run:?}"
    );
}

#[test]
fn nothing_is_asked_without_the_option() {
    let (folder, _server) = with_server("good", "");
    let without = "reinforce --audit found.json --rest 1 -o rows.csv";
    fails(&folder, &format!("{without} --recipe recipe.toml"), "strategy llm needs a model: name one with --llm FILE");
    fails(&folder, "improve --recipe recipe.toml -o out", "strategy llm needs a model: name one with --llm FILE");
    fails(&folder, "ablate --recipe recipe.toml -o out", "ablate asks no model: take strategy llm out");
    folder.ok(without);
    assert_eq!(n_of(&folder.json_lines("rows.lineage.jsonl"), "llm"), 0);
    assert_eq!(requests(&folder).len(), 0);
}

#[test]
fn without_a_recipe_the_model_is_one_step_more() {
    let (folder, _server) = with_server("good", "");
    folder.ok(&format!("{REINFORCE} -o rows.csv"));
    let lineage = folder.json_lines("rows.lineage.jsonl");
    assert_eq!((n_of(&lineage, "llm"), requests(&folder).len()), (12, 8));
    folder.write("other.toml", "[[strategy]]\nname = 'frame'\n");
    let run = folder.run(&format!("{REINFORCE} --recipe other.toml -o other.csv"));
    assert!(run.code == Some(2) && run.stderr.contains("other.toml: has no strategy llm, and --llm is given"), "{run:?}");
}

#[test]
fn a_server_that_puts_off_is_asked_again() {
    // However the calls of several prompts take turns, none is put off so often.
    let (folder, _server) = with_server("busy", "retries = 10");
    let run = folder.ok(&format!("{REINFORCE} --recipe recipe.toml -o rows.csv"));
    let lineage = folder.json_lines("rows.lineage.jsonl");
    assert_eq!(n_of(&lineage, "llm"), 24, "{run:?}");
    // Every second request goes through: of sixteen calls eight are retries.
    assert!(run.stdout.contains("; 16 calls; 800 tokens"), "{}", run.stdout);
    // Calls in vain are spent as well: a rerun has none left.
    let (folder, _server) = with_server("busy", "max_calls = 9");
    for n_new in [9, 0] {
        let run = folder.ok(&format!("{REINFORCE} --recipe recipe.toml --force -o rows.csv"));
        assert!(run.stdout.contains(&format!("; {n_new} calls; 400 tokens")), "{}", run.stdout);
    }
}

#[test]
fn answers_without_variations_are_counted_and_tokens_without_a_count_estimated() {
    let (folder, _server) = with_server("chatty", "");
    let run = folder.ok(&format!("{REINFORCE} --recipe recipe.toml -o rows.csv"));
    assert!(run.stdout.contains("short: llm: 8 of 8 answers hold no list of variations"), "{}", run.stdout);
    assert_eq!(n_of(&folder.json_lines("rows.lineage.jsonl"), "llm"), 0);
    let (folder, _server) = with_server("uncounted", "");
    let run = folder.ok(&format!("{REINFORCE} --recipe recipe.toml -o rows.csv"));
    assert!(run.stdout.contains("those of 8 answers estimated at four bytes a token"), "{}", run.stdout);
}

#[test]
fn faults_name_the_endpoint_and_what_it_said() {
    let rows = [
        ("denied", "key_env = 'MY_KEY'", "/v1: status 401 Unauthorized: no such key: Bearer (key); look at the key", 4),
        ("moved", "", "/v1: status 302 Found: (nothing); it is elsewhere", 4),
        ("html", "", "/v1: what came is no chat completion: <html>Welcome</html>", 6),
        ("broken", "retries = 1", "/v1: status 500 Internal Server Error: out of memory; given up after 2 calls", 12),
        (
            "slow",
            "retries = 0\ntimeout_seconds = 1",
            "no answer within 1 s: raise timeout_seconds where the model is slow; given up",
            6,
        ),
    ];
    for (behavior, settings, expected, most) in rows {
        let (folder, _server) = with_server(behavior, settings);
        fails(&folder, &format!("{REINFORCE} --recipe recipe.toml -o rows.csv"), expected);
        let n = requests(&folder).len();
        assert!((1..=most).contains(&n), "{behavior}: {n}");
    }
    let (folder, server) = with_server("good", "retries = 0");
    drop(server);
    fails(&folder, &format!("{REINFORCE} -o rows.csv"), "is a server there, and base_url right?");
}

#[test]
fn settings_that_make_no_sense_are_named_before_anything_is_asked() {
    let (folder, server) = with_server("good", "");
    let rows = [
        ("tempo = 1", "llm.toml: line 3: unknown field `tempo`"),
        ("parallel = 0", "llm.toml: line 3: parallel 0 is out of range"),
        ("[template]\nsystem = ''\nuser = '{prompt} {tone}'", "llm.toml: line 5: user: {tone} is no placeholder"),
        ("key_env = 'NO_SUCH_KEY'", "key_env: the environment variable NO_SUCH_KEY is not set"),
        ("cache = 'found.json'", "found.json, line 1: is no stored answer of a model"),
        ("cache = 'gone/cache.jsonl'", "cannot write gone/cache.jsonl"),
    ];
    for (settings, expected) in rows {
        configure(&folder, &server, settings);
        fails(&folder, &format!("{REINFORCE} -o rows.csv"), expected);
    }
    fails(&folder, &format!("{} -o rows.csv", REINFORCE.replace("llm.toml", "gone.toml")), "cannot read gone.toml");
    assert_eq!(requests(&folder).len(), 0);
}
