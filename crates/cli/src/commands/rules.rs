//! `levelhead rules check`: what each rule of a pack flags, and what would narrow it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use levelhead::RulePack;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::progress::Progress;
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::rule_check::{RuleCheckConfig, check_rules};
use levelhead_lab::rule_check_text::{rule_check_text, taken_text};
use levelhead_lab::rule_pack::read_pack;

use super::exit_code;
use crate::args::RulesCheckArgs;
use crate::inputs::{benign_rows, read_one};
use crate::terminal::{Terminal, print, thousands};

/// Runs the command.
pub fn check(args: &RulesCheckArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = RuleCheckConfig { max_fpr: args.max_fpr, max_lost: args.max_lost, unless: !args.no_unless, seed: args.seed };
    config.check()?;
    if let Some(path) = &args.apply {
        Output::prepare(path, args.force)?;
    }
    let pack = read_pack(&args.rules)?;
    let benign = benign_rows(read_one(&args.benign, false, &args.reading, terminal)?, terminal);
    let attacks = attack_rows(read_one(&args.attacks, true, &args.reading, terminal)?, terminal);
    let found = check_rules(&pack, &benign, &attacks, config, terminal)?;
    if args.json {
        print(serde_json::to_string_pretty(&found)?)?;
    } else {
        print(rule_check_text(&found, args.show).trim_end())?;
    }
    if let Some(path) = &args.apply {
        write_pack(path, &pack.rewritten(&found.narrowed(&pack)), args.force)?;
        terminal.say(&format!("{}{} written", taken_text(&found), path.display()));
    }
    Ok(exit_code(found.passed()))
}

/// Writes a pack that loads and keeps its own examples, or nothing.
fn write_pack(path: &Path, text: &str, force: bool) -> Result<()> {
    let kept = RulePack::from_toml(text).and_then(|pack| pack.check());
    kept.with_context(|| format!("{} is not written: mend the pack first", path.display()))?;
    Ok(write_file(path, text.as_bytes(), force)?)
}

/// The attacks of a file. Others are left out and counted: benign rows, and plain requests for harm, which are no injections.
fn attack_rows(mut data: Dataset, terminal: &Terminal) -> Dataset {
    let name = data.name();
    let mut leave_out = |what: &str, is_out: fn(&Row) -> bool| {
        let n_before = data.rows.len();
        data.rows.retain(|row| !is_out(row));
        let n_left = n_before - data.rows.len();
        if n_left > 0 {
            terminal.say(&format!("{name}: {} rows {what} are left out", thousands(n_left)));
        }
    };
    leave_out("labelled benign", |row| !row.is_attack());
    leave_out("of family harmful_request", |row| !row.counts_in_recall());
    data
}
