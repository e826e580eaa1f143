//! `levelhead reinforce`: false positives in, reinforced training data out.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use levelhead::RulePack;
use levelhead_lab::audit_file::read_audit;
use levelhead_lab::choose::{Plan, ReinforceConfig};
use levelhead_lab::false_positive::Candidate;
use levelhead_lab::fluency::Fluency;
use levelhead_lab::group::GroupConfig;
use levelhead_lab::llm::{Asked, Llm, Settings};
use levelhead_lab::mining::{direct_twins, false_positives};
use levelhead_lab::near::NearIndex;
use levelhead_lab::output::{Output, write_file};
use levelhead_lab::progress::Progress;
use levelhead_lab::proof::{Judges, Proof};
use levelhead_lab::recipe::Recipe;
use levelhead_lab::reinforce::{Sources, plan, reinforce};
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::train::TrainConfig;
use levelhead_lab::{Error, read, starter, write};
use serde::Serialize;
use serde_json::json;

use crate::args::ReinforceArgs;
use crate::inputs::{read_all, read_one};
use crate::terminal::{Terminal, print, table, thousands};

/// Runs the command.
pub fn run(args: &ReinforceArgs, terminal: &Terminal) -> Result<ExitCode> {
    let config = config(args)?;
    let mut llm = llm(args.llm.as_deref(), !args.plan)?;
    let found = read_audit(&args.audit)?;
    let candidates = false_positives(&found);
    let plan = plan(&candidates, llm.as_ref(), &config)?;
    if args.plan {
        print(if args.json { json!({ "plan": plan }).to_string() } else { readable(&plan, true) })?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(output) = &args.output else { bail!("-o FILE is missing: it says where the rows go (--plan needs none)") };
    let lineage = output.with_extension("lineage.jsonl");
    let rejected = output.with_extension("rejected.jsonl");
    read::format_of(output)?;
    for path in [output, &lineage, &rejected] {
        Output::prepare(path, args.force)?;
    }
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
    let judges = judges(args, &attacks, &candidates, terminal)?;
    let (attacks, measured) = (texts(&attacks, true), texts(&measured, false));
    let pool: Vec<&str> = pool.rows.iter().filter(|r| !r.is_attack()).map(|r| r.text.as_str()).collect();
    let (rules, twins) = (RulePack::embedded(), direct_twins());
    // The false positives of one guard are too much alike to say what else is fluent.
    let fluency = Fluency::learn(&pool);
    let proof = Proof {
        attacks: Some(&attacks),
        measured: Some(&measured),
        fluency: Some(&fluency),
        rules: Some(&rules),
        judges: judges.as_ref(),
        earlier: &[],
    };
    let sources =
        Sources { pool: &pool, traffic: &pool, twins: &twins, hard_negatives: &hard_negatives, llm: llm.as_mut(), proof };
    let made = reinforce(&candidates, sources, &config, terminal)?;
    write::write(output, &[], &made.rows, args.force)?;
    write_file(&lineage, &json_lines(&made.lineage)?, args.force)?;
    write_file(&rejected, &json_lines(&made.rejected)?, args.force)?;
    if args.json {
        print(json!({"n_rows": made.rows.len(), "fluency_threshold_bits": fluency.threshold, "plan": made.plan}))?;
    } else {
        print(readable(&made.plan, false))?;
        print(match fluency.threshold {
            bits if bits.is_finite() => {
                format!("fluent is up to {bits:.2} bits a character, or about as fluent as the prompt itself")
            }
            _ => "fluency was not checked: without --pool, or with few prompts, nothing says what is fluent".to_string(),
        })?;
        print(format!(
            "{} rows written to {}, their lineage to {}",
            thousands(made.rows.len()),
            output.display(),
            lineage.display()
        ))?;
        print(format!("{} proposals left out, with the reasons in {}", thousands(made.rejected.len()), rejected.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The guards that judge what is made, where the labelled prompts can train them.
fn judges(args: &ReinforceArgs, files: &[Dataset], candidates: &[Candidate], terminal: &Terminal) -> Result<Option<Judges>> {
    if args.no_judges || files.is_empty() {
        return Ok(None);
    }
    let rows: Vec<&Row> = files.iter().flat_map(|file| &file.rows).collect();
    let judges = Judges::of_labelled(&rows, candidates, TrainConfig { seed: args.seed, ..TrainConfig::default() }, terminal)?;
    terminal.say(match judges {
        Some(_) => "two guards, each without half of the false positives, judge what is made of that half",
        None => "no guard judges what is made: --attacks holds too few prompts, or harmless ones are missing beside the attacks",
    });
    Ok(judges)
}

/// One line of JSON for each entry.
pub fn json_lines<T: Serialize>(entries: &[T]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut bytes, entry)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// The recipe of a file, or the default; where settings of a model are named, one that asks it.
pub fn recipe(path: Option<&Path>, llm: Option<&Path>) -> Result<Recipe> {
    let Some(path) = path else {
        return Ok(if llm.is_some() { Recipe::default().with_llm() } else { Recipe::default() });
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let recipe = Recipe::parse(&path.display().to_string(), &text)?;
    if llm.is_some() && !recipe.asks() {
        let reason = "has no strategy llm, and --llm is given: add one with its share, or leave --llm out";
        return Err(Error::format(path, reason).into());
    }
    Ok(recipe)
}

/// The model that is named, with its key out of the environment where one is needed: a plan makes no call.
pub fn llm(path: Option<&Path>, needs_key: bool) -> Result<Option<Llm>> {
    let Some(path) = path else { return Ok(None) };
    let settings = Settings::read(path)?;
    let key = match &settings.key_env {
        Some(name) if needs_key => Some(std::env::var(name).map_err(|_| {
            let reason = format!("the environment variable {name} is not set: export the key, or remove the line");
            Error::setting("key_env", reason)
        })?),
        _ => None,
    };
    Ok(Some(Llm::open(settings, key)?))
}

fn config(args: &ReinforceArgs) -> Result<ReinforceConfig> {
    let recipe = recipe(args.recipe.as_deref(), args.llm.as_deref())?;
    let mut config = ReinforceConfig {
        n_false_positives: args.false_positives,
        n_variations: args.variations,
        rest: args.rest,
        most_per_cluster: args.most_per_cluster,
        recipe: if args.originals { recipe.with_originals(args.variations) } else { recipe },
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

fn readable(plan: &Plan, is_forecast: bool) -> String {
    let rows = plan.categories.iter().map(|(name, [asked, available, chosen])| {
        vec![name.clone(), thousands(*asked), thousands(*available), thousands(*chosen)]
    });
    let mut out = format!("{} distinct false positives\n", thousands(plan.n_available));
    out.push_str(&table(&["category", "asked for", "available", "chosen"], rows).to_string());
    let [n_clusters, n_reached] = plan.reach;
    let [n_within, n_entries] = plan.entries;
    out.push_str(&format!(
        "\nthe chosen come from {} clusters, which hold {} of the false positives and {} of the {} entries that these stand \
         for: at most so many can be expected to go",
        thousands(n_clusters),
        thousands(n_reached),
        thousands(n_within),
        thousands(n_entries)
    ));
    if !plan.strategies.is_empty() {
        let made = plan.strategies.iter().map(|(name, [tried, n])| vec![name.clone(), thousands(*tried), thousands(*n)]);
        out.push_str(&format!("\n\n{}", table(&["made by", "proposed", "kept"], made)));
    }
    if let Some(asked) = &plan.llm {
        out.push_str("\n\n");
        out.push_str(&if is_forecast { forecast(asked) } else { bill(asked) });
    }
    for (reason, n) in &plan.left_out {
        out.push_str(&format!("\nleft out: {} proposals {reason}", thousands(*n)));
    }
    for shortage in &plan.shortages {
        out.push_str(&format!("\nshort: {shortage}"));
    }
    out
}

/// What a model would be asked.
fn forecast(asked: &Asked) -> String {
    let [prompts, cached, calls] = [asked.n_prompts, asked.n_cached, asked.n_calls].map(thousands);
    format!("llm: {prompts} prompts to ask about, {cached} of them answered in the cache; {calls} calls at most, retries too")
}

/// What a model was asked, and what that took.
fn bill(asked: &Asked) -> String {
    let [prompts, cached, calls, tokens, estimated] =
        [asked.n_prompts, asked.n_cached, asked.n_calls, asked.n_tokens, asked.n_estimated].map(thousands);
    let of_them = match asked.n_estimated {
        0 => String::new(),
        _ => format!(", those of {estimated} answers estimated at four bytes a token"),
    };
    format!(
        "llm: {prompts} prompts, {cached} of them answered from the cache; {calls} calls; {tokens} tokens, cached ones too{of_them}"
    )
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
