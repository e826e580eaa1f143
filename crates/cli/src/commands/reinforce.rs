//! `levelhead reinforce`: false positives in, reinforced training data out.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::audit_file::read_audit;
use levelhead_lab::choose::{Plan, ReinforceConfig};
use levelhead_lab::group::GroupConfig;
use levelhead_lab::improve::false_positives;
use levelhead_lab::near::NearIndex;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::reinforce::{Lineage, Sources, reinforce};
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::{Error, read, starter, write};
use serde_json::json;

use crate::args::ReinforceArgs;
use crate::inputs::{read_all, read_one};
use crate::terminal::{Terminal, print, table, thousands};

/// Runs the command.
pub fn run(args: &ReinforceArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = config(args)?;
    let lineage = args.output.with_extension("lineage.jsonl");
    read::format_of(&args.output)?;
    Output::prepare(&args.output, args.force)?;
    Output::prepare(&lineage, args.force)?;
    let found = read_audit(&args.audit)?;
    let pool = match &args.pool {
        Some(path) => read_one(path, false, &args.reading, terminal)?,
        None => Dataset::default(),
    };
    let attacks = read_all(&args.attacks, true, &args.reading, terminal)?;
    let measured = read_all(&args.measured, false, &args.reading, terminal)?;
    let hard_negatives = hard_negatives(args, terminal)?;
    let texts = |files: &[Dataset], only_attacks: bool| -> NearIndex {
        let rows = files.iter().flat_map(|f| &f.rows).filter(|r| !only_attacks || r.is_attack());
        NearIndex::new(&rows.map(|r| r.text.as_str()).collect::<Vec<_>>(), GroupConfig::default())
    };
    let (attacks, measured) = (texts(&attacks, true), texts(&measured, false));
    let pool: Vec<&str> = pool.rows.iter().filter(|r| !r.is_attack()).map(|r| r.text.as_str()).collect();
    let sources = Sources { pool: &pool, hard_negatives: &hard_negatives, attacks: Some(&attacks), measured: Some(&measured) };
    let made = reinforce(&false_positives(&found), sources, &config)?;
    write::write(&args.output, &[], &made.rows, args.force)?;
    write_file(&lineage, &lineage_bytes(&made.lineage)?, args.force)?;
    if args.json {
        print(json!({"n_rows": made.rows.len(), "plan": made.plan}))?;
    } else {
        print(readable(&made.plan))?;
        let n = thousands(made.rows.len());
        print(format!("{n} rows written to {}, their lineage to {}", args.output.display(), lineage.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lineage as JSON lines.
pub fn lineage_bytes(lineage: &[Lineage]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in lineage {
        serde_json::to_writer(&mut bytes, entry)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn config(args: &ReinforceArgs) -> Result<ReinforceConfig> {
    let mut config = ReinforceConfig {
        n_false_positives: args.false_positives,
        n_variations: args.variations,
        rest: args.rest,
        originals: args.originals,
        seed: args.seed,
        ..ReinforceConfig::default()
    };
    if !args.priority.is_empty() {
        config.priorities = args.priority.iter().map(|p| parse_priority(p)).collect::<Result<BTreeMap<_, _>>>()?;
    }
    Ok(config)
}

fn parse_priority(text: &str) -> Result<(String, f64)> {
    let parsed = text.split_once('=').and_then(|(name, share)| Some((name.trim().to_string(), share.trim().parse().ok()?)));
    Ok(parsed.ok_or_else(|| Error::setting("priority", format!("{text:?} is not like programming=0.4")))?)
}

fn hard_negatives(args: &ReinforceArgs, terminal: &Terminal) -> Result<Vec<Row>> {
    match &args.hard_negatives {
        None => Ok(starter::starter().hard_negatives_train),
        Some(path) if path == Path::new("none") => Ok(Vec::new()),
        Some(path) => Ok(read_one(path, false, &args.reading, terminal)?.rows.into_iter().filter(|r| !r.is_attack()).collect()),
    }
}

fn readable(plan: &Plan) -> String {
    let rows = plan.categories.iter().map(|(name, [asked, available, chosen])| {
        vec![name.clone(), thousands(*asked), thousands(*available), thousands(*chosen)]
    });
    let mut out = format!("{} distinct false positives\n", thousands(plan.n_available));
    out.push_str(&table(&["category", "asked for", "available", "chosen"], rows).to_string());
    let made = plan.strategies.iter().map(|(name, n)| vec![name.clone(), thousands(*n)]);
    out.push_str(&format!("\n\n{}", table(&["made by", "rows"], made)));
    for (reason, n) in &plan.left_out {
        out.push_str(&format!("\nleft out: {} candidates {reason}", thousands(*n)));
    }
    for shortage in &plan.shortages {
        out.push_str(&format!("\nshort: {shortage}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_a_name_and_a_share() {
        assert_eq!(parse_priority("programming = 0.4").unwrap(), ("programming".to_string(), 0.4));
        assert!(parse_priority("programming").unwrap_err().to_string().contains("is not like"));
        assert!(parse_priority("programming=lots").is_err());
    }
}
