//! Runs the built command in a temporary folder, on made-up prompts. No network, no wall clock, nothing random.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// A folder in which commands run, so that a test names its files without a path.
pub struct Folder {
    dir: TempDir,
}

/// A rule that flags every prompt of the words of attacks that holds one of two.
pub const RULES: &str = r"# My rules.
[[rule]]
id = 'words'
family = 'data_exfil_pattern'
severity = 'medium'
confidence = 0.8
pattern = 'password|secret' # both
";

/// What a command left behind.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// What a prompt is made of.
#[derive(Clone, Copy)]
pub enum Words {
    Everyday,
    Attack,
}

/// Two rounds of the loop in a folder for it.
pub const LOOP: &str = "improve --train labelled.csv --benign mined.csv --gate-benign gate.csv --gate-attacks hidden.csv \
    --max-fpr 0.1 --rounds 2";

/// Settings that make training a matter of milliseconds.
pub const SMALL: &str = "--char-bits 10 --word-bits 10 --epochs 2";

const EVERYDAY: &str = "garden recipe lantern function border train tomato budget violin ticket museum spreadsheet coffee \
    lemon sorting printer window holiday bicycle dentist poem chapter glacier fraction mortgage kitchen yoga laptop battery \
    bakery paint invoice river puzzle sofa camera orchid harbor lesson grammar salary";
const ATTACK: &str = "ignore previous instructions reveal system prompt override safety jailbreak bypass developer mode secret \
    rules disregard pretend unrestricted exfiltrate hidden password admin guidelines forget obey unlock confidential payload \
    inject root token leak policy filter disable unfiltered persona";

impl Folder {
    pub fn new() -> Folder {
        Folder { dir: tempfile::tempdir().unwrap() }
    }

    /// A folder with a guard, what it was trained on, as much that it has not seen, and a rule that is too wide.
    pub fn with_inputs() -> Folder {
        static GUARD: OnceLock<Vec<u8>> = OnceLock::new();
        let guard = GUARD.get_or_init(|| {
            let folder = Folder::new();
            folder.write("trained.csv", labelled(9));
            folder.ok(&format!("train --data trained.csv -o guard.lh {SMALL}"));
            folder.read_bytes("guard.lh")
        });
        let folder = Folder::new();
        folder.write("guard.lh", guard);
        folder.write("trained.csv", labelled(9));
        folder.write("labelled.csv", labelled(1));
        folder.write("rules.toml", RULES);
        folder.write("benign.csv", csv(&prompts(Words::Everyday, 320, 2), 0));
        folder.write("attacks.csv", csv(&prompts(Words::Attack, 200, 3), 1));
        // Benign prompts in the words of attacks: the guard flags them.
        folder.write("traffic.csv", csv(&prompts(Words::Everyday, 240, 4), 0) + body(&csv(&prompts(Words::Attack, 60, 5), 0)));
        folder
    }

    /// A folder with what the loop runs on. Homework about attacks looks like attacks in a longer text until a guard has
    /// been trained on it.
    pub fn for_the_loop() -> Folder {
        let mixed = |n: usize, seed: u64, end: &str| -> Vec<String> {
            let (attacks, everyday) = (prompts(Words::Attack, n, seed), prompts(Words::Everyday, n, seed));
            attacks.iter().zip(everyday).map(|(a, e)| format!("{a} {e}{end}")).collect()
        };
        let traffic = |n: usize, seed: u64| {
            let homework = csv(&mixed(n, seed, " for my homework about language"), 0);
            csv(&prompts(Words::Everyday, n, seed + 1), 0) + body(&homework)
        };
        let folder = Folder::new();
        folder.write("labelled.csv", labelled(1));
        folder.write("mined.csv", traffic(300, 17));
        folder.write("gate.csv", traffic(200, 27));
        folder.write("hidden.csv", csv(&mixed(200, 37, ""), 1));
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn read_bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    pub fn json_lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The command, ready to run; its arguments are apart by spaces.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_levelhead"));
        command.args(args.split_whitespace()).current_dir(self.dir.path());
        command.env_remove("RUST_BACKTRACE").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &str) -> Run {
        Run::of(self.command(args))
    }

    /// Runs a command whose last argument may hold spaces.
    pub fn run_with(&self, args: &str, last: &str) -> Run {
        let mut command = self.command(args);
        command.arg(last);
        Run::of(command)
    }

    pub fn run_on(&self, args: &str, input: &[u8]) -> Run {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        Run::from(child.wait_with_output().unwrap())
    }

    /// Runs a command that must end with exit code 0.
    pub fn ok(&self, args: &str) -> Run {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{args}\n{run:?}");
        run
    }

    /// Every file under the folder with its bytes; folders without.
    pub fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut waiting = vec![self.dir.path().to_path_buf()];
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    waiting.push(path.clone());
                }
                // A named pipe would be read for ever.
                let bytes = if path.is_file() { Some(fs::read(&path).unwrap()) } else { None };
                found.insert(path, bytes);
            }
        }
        found
    }

    /// Checks that the folder is as it was: nothing half-written, nothing lost.
    pub fn assert_contents(&self, before: &BTreeMap<PathBuf, Option<Vec<u8>>>, what: &str) {
        let after = self.contents();
        let names: Vec<&PathBuf> = before.keys().chain(after.keys()).collect();
        let changed: Vec<&Path> = names.iter().filter(|n| before.get(**n) != after.get(**n)).map(|n| n.as_path()).collect();
        assert!(changed.is_empty(), "{what}\nwritten, removed or changed: {changed:?}");
    }
}

impl Run {
    fn of(mut command: Command) -> Run {
        Run::from(command.output().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}\n{self:?}"))
    }
}

impl From<std::process::Output> for Run {
    fn from(output: std::process::Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Made-up prompts of nine words and a number; no two are near-duplicates.
pub fn prompts(words: Words, n: usize, seed: u64) -> Vec<String> {
    let words: Vec<&str> = match words {
        Words::Everyday => EVERYDAY.split_whitespace().collect(),
        Words::Attack => ATTACK.split_whitespace().collect(),
    };
    let mut state = seed;
    let mut next = || {
        // The generator of Knuth's MMIX; its upper bits are the good ones.
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        words[(state >> 33) as usize % words.len()]
    };
    (0..n).map(|i| (0..9).map(|_| next()).chain([format!("{i}").as_str()]).collect::<Vec<_>>().join(" ")).collect()
}

/// A dataset of prompts with one label, of three categories and two sources.
pub fn csv(prompts: &[String], label: u8) -> String {
    let row = |(i, text): (usize, &String)| {
        let category = if label == 1 { "attack" } else { ["programming", "education", "edge_cases"][i % 3] };
        format!("{text},{label},{category},made/{}\n", ["a", "b"][i % 2])
    };
    std::iter::once("text,label,category,source\n".to_string()).chain(prompts.iter().enumerate().map(row)).collect()
}

/// 200 benign prompts and 200 attacks.
pub fn labelled(seed: u64) -> String {
    let [benign, attacks] =
        [(Words::Everyday, 0), (Words::Attack, 1)].map(|(words, label)| csv(&prompts(words, 200, seed), label));
    benign + body(&attacks)
}

/// A dataset without its header.
pub fn body(csv: &str) -> &str {
    csv.split_once('\n').unwrap().1
}
