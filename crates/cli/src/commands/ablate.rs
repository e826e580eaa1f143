//! `levelhead ablate`: what each part of reinforcement buys.

use std::process::ExitCode;

use anyhow::Result;
use levelhead_lab::Error;
use levelhead_lab::ablation::{AblateConfig, Factor, ablate};
use levelhead_lab::ablation_report::{ablation_html, ablation_markdown, ablation_section};
use levelhead_lab::choose::ReinforceConfig;
use levelhead_lab::improvement::ImproveConfig;
use levelhead_lab::output::{Output, write_file};

use super::improve::{command_line, inputs};
use super::reinforce::recipe;
use super::train::config;
use crate::args::AblateArgs;
use crate::terminal::{Terminal, print};

/// Runs the command.
pub fn run(args: &AblateArgs, terminal: &Terminal) -> Result<ExitCode> {
    let output = Output::prepare_folder(&args.output, args.force)?;
    let recipe = recipe(args.recipe.as_deref(), None)?;
    if recipe.asks() {
        return Err(Error::setting("recipe", "ablate asks no model: take strategy llm out").into());
    }
    let of_loop = ImproveConfig::default();
    let is_asked = |factor: &Factor| args.factor.is_empty() || args.factor.iter().any(|name| name == factor.name());
    let settings = AblateConfig {
        train: config(&args.settings, args.seed),
        reinforce: ReinforceConfig { recipe, ..of_loop.reinforce },
        n_rows: args.rows,
        n_seeds: args.seeds,
        matched_fpr: args.matched_fpr,
        near_misses: of_loop.near_misses,
        factors: Factor::ALL.into_iter().filter(is_asked).collect(),
    };
    settings.check()?;
    let inputs = inputs(&args.data, &args.reading, terminal)?;
    let ablation = ablate(&inputs, &settings, terminal)?;
    let command = command_line();
    let (json, markdown) = (serde_json::to_string_pretty(&ablation)?, ablation_markdown(&ablation, &command));
    let folder = output.create_folder()?;
    let file = |name: &str, text: &str| write_file(&folder.join(name), text.as_bytes(), false);
    file("ablation.json", &json)?;
    file("ablation.md", &markdown)?;
    file("ablation.html", &ablation_html(&ablation, &command))?;
    output.finish()?;
    print(if args.json { json } else { ablation_section(&ablation) })?;
    Ok(ExitCode::SUCCESS)
}
