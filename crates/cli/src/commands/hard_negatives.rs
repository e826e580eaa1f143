//! `levelhead hard-negatives`: propose prompts that look like attacks and are none, and take what a person accepts.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use levelhead_lab::group::GroupConfig;
use levelhead_lab::hard_negative::{EXTRA, accepted, mine, proposal_rows};
use levelhead_lab::near::NearIndex;
use levelhead_lab::output::Output;
use levelhead_lab::row::{Dataset, Row};
use levelhead_lab::subject::Subject;
use levelhead_lab::{read, write};
use serde_json::json;

use crate::args::{AcceptArgs, MineArgs};
use crate::inputs::{benign_rows, read_all, read_one};
use crate::terminal::{Terminal, print, table, thousands};

/// Where the answer stands in the columns that are added.
const ANSWER: usize = EXTRA.len() - 1;

/// `hard-negatives mine`.
pub fn propose(args: &MineArgs, terminal: &Terminal) -> Result<ExitCode> {
    read::format_of(&args.output)?;
    Output::prepare(&args.output, args.force)?;
    let subject = Subject::open(&args.guard)?;
    let benign = benign_rows(read_one(&args.benign, false, &args.reading, terminal)?, terminal);
    let attacks = read_all(&args.attacks, true, &args.reading, terminal)?;
    let measured = read_all(&args.measured, false, &args.reading, terminal)?;
    let texts: Vec<&str> = measured.iter().flat_map(|file| &file.rows).map(|row| row.text.as_str()).collect();
    let measured = NearIndex::new(&texts, GroupConfig::default());
    let verdicts = subject.judge(&benign.rows, terminal)?;
    let benign: Vec<&Row> = benign.rows.iter().collect();
    let attacks: Vec<&Row> = attacks.iter().flat_map(|file: &Dataset| &file.rows).filter(|row| row.is_attack()).collect();
    let found = mine(&verdicts, &benign, &attacks, &measured, args.top as usize, terminal)?;
    let mut rows = proposal_rows(&benign, &attacks, &found);
    if rows.is_empty() {
        bail!("--benign: nothing is left to propose: every prompt nearly repeats an attack or a measured one");
    }
    let n_answered = if args.ask { ask(&mut rows, &mut std::io::stdin().lock())? } else { 0 };
    write::write(&args.output, &EXTRA.map(str::to_string), &rows, args.force)?;
    let n_accepted = rows.iter().filter(|row| &*row.extra[ANSWER] == "y").count();
    if args.json {
        let all =
            json!({"n_proposals": rows.len(), "n_answered": n_answered, "n_accepted": n_accepted, "left_out": found.left_out});
        print(serde_json::to_string_pretty(&all)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.ask {
        let line = |row: &Row| {
            let text: String = row.text.chars().take(48).collect::<String>().replace(['\n', '\r', '\t'], " ");
            vec![row.extra[0].to_string(), row.extra[1].to_string(), row.extra[2].to_string(), text]
        };
        print(table(&["rank", "P(attack)", "likeness", "prompt"], rows.iter().take(20).map(line)))?;
    }
    for (reason, n) in &found.left_out {
        print(format!("left out: {} {reason}", thousands(*n)))?;
    }
    let path = args.output.display();
    print(match args.ask {
        true => format!("{} answered, {} accepted; {} proposals written to {path}", n_answered, n_accepted, rows.len()),
        false => format!("{} proposals written to {path}: write y or n in the column `accept`", thousands(rows.len())),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Shows each proposal and reads an answer, until there are no more or `q`; gives how many were answered.
fn ask(rows: &mut [Row], input: &mut impl BufRead) -> Result<usize> {
    let n = rows.len();
    for (at, row) in rows.iter_mut().enumerate() {
        let shown =
            format!("\n{} of {n}, P(attack) {}\n\n{}\n\nlike the attack: {}\n", at + 1, row.extra[1], row.text, row.extra[3]);
        eprintln!("{shown}");
        loop {
            eprint!("Harmless, and to be passed? [y/n/q] ");
            std::io::stderr().flush()?;
            let mut answer = String::new();
            let n_read = input.read_line(&mut answer).context("standard input cannot be read")?;
            match answer.trim().to_lowercase().as_str() {
                "y" | "yes" => row.extra[ANSWER] = "y".into(),
                "n" | "no" => row.extra[ANSWER] = "n".into(),
                "q" | "quit" => return Ok(at),
                _ if n_read == 0 => return Ok(at),
                _ => continue,
            }
            break;
        }
    }
    Ok(n)
}

/// `hard-negatives accept`.
pub fn accept(args: &AcceptArgs, terminal: &Terminal) -> Result<ExitCode> {
    read::format_of(&args.output)?;
    Output::prepare(&args.output, args.force)?;
    let proposals = read_one(&args.proposals, false, &args.reading, terminal)?;
    let rows = accepted(&proposals)?;
    write::write(&args.output, &[], &rows, args.force)?;
    print(format!("{} hard negatives written to {}", thousands(rows.len()), args.output.display()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use levelhead_lab::row::Label;

    #[test]
    fn answers_are_read_until_the_person_has_enough() {
        let rows = || -> Vec<Row> {
            let row = |i: usize| Row { extra: EXTRA.map(|_| "".into()).into(), ..Row::new(format!("text {i}"), Label::Benign) };
            (0..4).map(row).collect()
        };
        for (typed, n, answers) in
            [("y\nwhat\nn\nq\n", 2, "y,n,,"), ("YES\n", 1, "y,,,"), ("", 0, ",,,"), ("y\ny\ny\nn\n", 4, "y,y,y,n")]
        {
            let mut rows = rows();
            assert_eq!(ask(&mut rows, &mut typed.as_bytes()).unwrap(), n);
            assert_eq!(rows.iter().map(|row| row.extra[ANSWER].to_string()).collect::<Vec<_>>().join(","), answers);
        }
    }
}
