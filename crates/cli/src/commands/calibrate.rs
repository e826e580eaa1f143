//! `levelhead calibrate`: a new threshold and new probabilities, the same weights.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use levelhead_lab::calibrate::{CalibrateConfig, calibrate};
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::row::Row;
use levelhead_lab::subject::Subject;
use serde_json::json;

use crate::args::CalibrateArgs;
use crate::inputs::{benign_rows, read_one};
use crate::terminal::{Terminal, percent, print, rate};

/// Runs the command.
pub fn run(args: &CalibrateArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = CalibrateConfig { max_fpr: args.max_fpr, ..CalibrateConfig::default() };
    config.check()?;
    Output::prepare(&args.output, args.force)?;
    let subject = Subject::open(&args.guard)?;
    let Some(guard) = subject.guard() else {
        bail!("{}: only a Levelhead guard holds a threshold to recalibrate: give `default` or a .lh file", args.guard);
    };
    let benign = benign_rows(read_one(&args.benign, false, &args.reading, terminal)?, terminal).rows;
    let attacks = match &args.attacks {
        Some(path) => read_one(path, true, &args.reading, terminal)?.rows,
        None => Vec::new(),
    };
    let attacks: Vec<&Row> = attacks.iter().filter(|r| r.is_attack()).collect();
    let done = calibrate(guard, &benign.iter().collect::<Vec<_>>(), &attacks, config)
        .with_context(|| format!("--benign {}", args.benign.display()))?;
    write_file(&args.output, &done.guard.to_bytes(), args.force)?;
    if args.json {
        let threshold = done.guard.threshold.0;
        print(json!({"threshold": threshold, "before": done.before, "after": done.after, "by_rules": done.by_rules}))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(format!("flagged before  {}", rate(done.before)))?;
    print(format!("flagged after   {}", rate(done.after)))?;
    print(format!("  by rules      {}", rate(done.by_rules)))?;
    print(format!("threshold       P(attack) {} %: {}", percent(done.guard.threshold.0), done.guard.provenance.threshold))?;
    if attacks.is_empty() {
        print("probabilities   shifted so that 50 % is the threshold; --attacks calibrates them")?;
    }
    print(format!("guard written to {}", args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}
