//! The `levelhead` command: parse, match, exit code.

mod args;
mod commands;
mod inputs;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, DataCommand, HardNegativesCommand, RulesCommand};
use terminal::Terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::stop_on_interrupt();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Some(n) = cli.threads {
        rayon::ThreadPoolBuilder::new().num_threads(n).build_global()?;
    }
    let terminal = Terminal::new(cli.quiet);
    match cli.command {
        Command::Scan(args) => commands::scan::run(&args, &terminal),
        Command::Data { command: DataCommand::Check { files, json, reading } } => {
            commands::data::check(&files, json, &reading, &terminal)
        }
        Command::Data { command: DataCommand::Leaks(args) } => commands::leaks::run(&args, &terminal),
        Command::Data { command: DataCommand::Labels(args) } => commands::labels::audit(&args, &terminal),
        Command::Data { command: DataCommand::Relabel(args) } => commands::labels::correct(&args, &terminal),
        Command::Data { command: DataCommand::Merge(args) } => commands::data::merge(&args, &terminal),
        Command::Data { command: DataCommand::Starter { output, force } } => commands::data::starter(&output, force),
        Command::Rules { command: RulesCommand::Check(args) } => commands::rules::check(&args, &terminal),
        Command::Train(args) => commands::train::run(&args, &terminal),
        Command::Crossval(args) => commands::crossval::run(&args, &terminal),
        Command::Calibrate(args) => commands::calibrate::run(&args, &terminal),
        Command::Audit(args) => commands::audit::run(&args, &terminal),
        Command::HardNegatives { command: HardNegativesCommand::Mine(args) } => {
            commands::hard_negatives::propose(&args, &terminal)
        }
        Command::HardNegatives { command: HardNegativesCommand::Accept(args) } => {
            commands::hard_negatives::accept(&args, &terminal)
        }
        Command::Reinforce(args) => commands::reinforce::run(&args, &terminal),
        Command::Evaluate(args) => commands::evaluate::run(&args, &terminal),
        Command::Claim(args) => commands::claim::run(&args, &terminal),
        Command::Compare(args) => commands::compare::run(&args, &terminal),
        Command::Gate(args) => commands::gate::run(&args, &terminal),
        Command::Improve(args) => commands::improve::run(&args, &terminal),
        Command::Ablate(args) => commands::ablate::run(&args, &terminal),
        Command::Completions { shell } => commands::completions(shell),
    }
}
