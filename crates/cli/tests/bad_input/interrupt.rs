//! Ctrl-C in the middle of a run.

#![cfg(unix)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::support::{Folder, Run};

fn interrupt(child: &Child) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

fn assert_interrupted(run: &Run) {
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{run:?}");
    let last = run.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: interrupted"), "{}", run.stderr);
}

#[test]
fn an_interrupted_loop_leaves_nothing() {
    let folder = Folder::new();
    folder.write("notes.md", "mine");
    std::fs::create_dir(folder.path("old")).unwrap();
    folder.write("old/run.json", "{}");
    folder.write("old/model.lh", "the only copy");
    let before = folder.contents();
    for args in ["improve -o run --epochs 100", "improve -o old --force --epochs 100"] {
        let mut child = folder.command(args).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        // The first round is begun: minutes are left.
        let mut said = String::new();
        while !said.ends_with("round 0\n") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        interrupt(&child);
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        let run = Run { stderr: rest, ..Run::from(child.wait_with_output().unwrap()) };
        assert_interrupted(&run);
        folder.assert_contents(&before, args);
    }
}

#[test]
fn an_interrupted_scan_removes_what_it_has_begun() {
    let folder = Folder::with_inputs();
    folder.write("verdicts.jsonl", "mine");
    let made = Command::new("mkfifo").arg(folder.path("pipe.csv")).status().unwrap();
    assert!(made.success());
    let before = folder.contents();
    let child = folder.command("scan --guard guard.lh --input pipe.csv --output verdicts.jsonl --force").spawn().unwrap();
    let mut pipe = File::options().write(true).open(folder.path("pipe.csv")).unwrap();
    pipe.write_all(b"text\nhello\n").unwrap();
    // The pipe stays open, so the scan waits for more rows with its output begun.
    let patience = Instant::now() + Duration::from_secs(60);
    while folder.contents().len() == before.len() {
        assert!(Instant::now() < patience, "the output is never begun");
        std::thread::sleep(Duration::from_millis(5));
    }
    interrupt(&child);
    let run = Run::from(child.wait_with_output().unwrap());
    drop(pipe);
    assert_interrupted(&run);
    folder.assert_contents(&before, "scan");
}
