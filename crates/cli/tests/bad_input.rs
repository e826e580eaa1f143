//! What people do wrong: each mistake ends with exit code 2 and one line that names the place, and leaves no trace.

mod support;

#[path = "bad_input/artifacts.rs"]
mod artifacts;
#[path = "bad_input/datasets.rs"]
mod datasets;
#[path = "bad_input/interrupt.rs"]
mod interrupt;
#[path = "bad_input/outputs.rs"]
mod outputs;
#[path = "bad_input/settings.rs"]
mod settings;

use support::{Folder, Run};

/// Runs a command that must fail as the house rules say, with an error that holds `expected`.
fn fails(folder: &Folder, args: &str, expected: &str) {
    let before = folder.contents();
    let run = folder.run(args);
    assert_fault(args, &run, expected);
    folder.assert_contents(&before, args);
}

fn assert_fault(args: &str, run: &Run, expected: &str) {
    let Run { code, stdout, stderr } = run;
    assert_eq!(*code, Some(2), "{args}\n{stdout}\n{stderr}");
    assert_eq!(stdout, "", "{args}");
    assert!(!stderr.contains("panicked"), "{args}\n{stderr}");
    // Counts of rows may stand before it, the error itself is the last line.
    let errors = stderr.lines().filter(|line| line.starts_with("error: ")).count();
    let last = stderr.lines().last().unwrap_or_default();
    assert!(errors == 1 && last.starts_with("error: "), "{args}: one line of error is expected\n{stderr}");
    assert!(last.contains(expected), "{args}: {expected:?} is expected\n{stderr}");
    assert!(last.len() < 600 && !last.ends_with('.'), "{args}\n{stderr}");
}

/// Runs a command with arguments that make no sense: the parser's own message, with the usage below it.
fn is_misused(folder: &Folder, args: &str, expected: &str) {
    let before = folder.contents();
    let run = folder.run(args);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args}\n{run:?}");
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains(expected), "{args}: {expected:?}\n{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{args}\n{}", run.stderr);
    folder.assert_contents(&before, args);
}
