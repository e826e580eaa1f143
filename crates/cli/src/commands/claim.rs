//! `levelhead claim`: how much of a claimed improvement is evidence.

use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::audit_file::read_audit;
use levelhead_lab::claim::claim;

use super::exit_code;
use crate::args::ClaimArgs;
use crate::inputs::read_all;
use crate::terminal::{Terminal, print};

/// Runs the command.
pub fn run(args: &ClaimArgs, terminal: &Terminal) -> Result<ExitCode> {
    let before = read_audit(&args.before)?;
    let after = args.after.as_ref().map(|path| read_audit(path)).transpose()?;
    let files = read_all(&args.trained_on, false, &args.reading, terminal)?;
    let found = claim(&before, after.as_ref(), &files);
    print(if args.json { serde_json::to_string_pretty(&found)? } else { found.words().join("\n") })?;
    Ok(exit_code(found.evidence.n > 0))
}
