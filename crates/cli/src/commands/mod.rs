//! One file for each command: arguments in, output and exit code out.

pub mod ablate;
pub mod audit;
pub mod calibrate;
pub mod claim;
pub mod compare;
pub mod crossval;
pub mod data;
pub mod evaluate;
pub mod gate;
pub mod hard_negatives;
pub mod improve;
pub mod labels;
pub mod leaks;
pub mod reinforce;
pub mod rules;
pub mod scan;
pub mod train;

use std::process::ExitCode;

use clap::CommandFactory;

/// 0 where all is well, 1 where not.
pub fn exit_code(good: bool) -> ExitCode {
    ExitCode::from(u8::from(!good))
}

/// Prints a completion script.
pub fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::args::Cli::command(), "levelhead", &mut script);
    crate::terminal::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::SUCCESS)
}
