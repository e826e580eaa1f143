//! `levelhead scan`: judge one text, or a file as a stream.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use levelhead::{Guard, Layer, Normalized, Reason, Verdict, normalize};
use levelhead_lab::Error;
use levelhead_lab::output::Output;
use levelhead_lab::progress::{Progress, Silent};
use levelhead_lab::read::RowReader;
use levelhead_lab::row::{Label, Row};
use levelhead_lab::subject::Subject;
use rayon::prelude::*;
use serde_json::json;

use super::exit_code;
use crate::args::ScanArgs;
use crate::inputs::{check_rejects, options, write_rejects};
use crate::terminal::{Color, Terminal, colored, percent, print, thousands};

/// Rows in memory at a time.
const CHUNK: usize = 4096;

/// Runs the command.
pub fn run(args: &ScanArgs, terminal: &Terminal) -> Result<ExitCode> {
    let subject = Subject::open(&args.guard)?;
    match (&args.input, &args.output, &args.text) {
        (Some(input), Some(output), _) => scan_file(args, &subject, input, output, terminal),
        (None, Some(_), _) => {
            bail!("--output goes with --input FILE: the verdict on one text is printed, with --json for machines")
        }
        (_, _, Some(text)) => scan_text(args, &subject, text),
        _ => bail!("nothing to judge: give a text, `-`, or --input FILE --output FILE"),
    }
}

fn scan_text(args: &ScanArgs, subject: &Subject, text: &str) -> Result<ExitCode> {
    let mut prompt = text.to_string();
    if text == "-" {
        prompt.clear();
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        prompt.push_str(std::str::from_utf8(&bytes).context("standard input is not UTF-8: convert it, for instance with iconv")?);
    }
    let row = Row::new(prompt.as_str(), Label::Benign);
    let verdict = subject.judge(std::slice::from_ref(&row), &Silent)?.remove(0);
    if args.json {
        let mut object = verdict_json(0, &verdict);
        if let Some(guard) = subject.guard() {
            object["threshold"] = json!(guard.threshold.0);
            object["category"] = json!(guard.category(&prompt));
            object["reasons"] = json!(heaviest(guard, &prompt, verdict.flagged));
        }
        print(object)?;
    } else {
        print(readable(subject, &prompt, &verdict))?;
    }
    Ok(exit_code(!verdict.flagged))
}

/// One verdict as the file format has it.
fn verdict_json(index: usize, verdict: &Verdict) -> serde_json::Value {
    json!({
        "index": index,
        "score": verdict.score.0,
        "flagged": verdict.flagged,
        "family": verdict.family,
        "severity": verdict.severity,
        "layer": verdict.layer,
        "threats": verdict.threats,
    })
}

fn readable(subject: &Subject, prompt: &str, verdict: &Verdict) -> String {
    let head = if verdict.flagged { colored("flagged", Color::Red) } else { colored("clean", Color::Green) };
    let mut lines = vec![match subject.guard() {
        Some(guard) => {
            format!("{head}   P(attack) {} %, flagged from {} % up", percent(verdict.score.0), percent(guard.threshold.0))
        }
        None => format!("{head}   P(attack) {} %", percent(verdict.score.0)),
    }];
    if verdict.flagged {
        lines.push(format!("family    {}", verdict.family));
        lines.push(format!("severity  {}", verdict.severity));
    }
    for threat in &verdict.threats {
        let what = match threat.layer {
            Layer::L1 => "rule",
            Layer::L2 => "classifier",
        };
        lines.push(format!("{}        {what} {} ({} %)", threat.layer, threat.rule_id, percent(threat.confidence)));
    }
    if let Some(guard) = subject.guard() {
        if let Some(category) = guard.category(prompt).filter(|_| !verdict.flagged) {
            lines.push(format!("category  {category}"));
        }
        let reasons = heaviest(guard, prompt, verdict.flagged);
        if let Some(first) = reasons.first() {
            let words: Vec<String> = reasons.iter().map(|r| format!("{} {:+.2}", shown(&r.text), r.weight)).collect();
            let hidden = first.hidden.map_or(String::new(), |disguise| format!("  (hidden: {disguise})"));
            lines.push(format!("words     {}{hidden}", words.join("  ")));
        }
    }
    lines.join("\n")
}

/// The five words that weighed most, each once: for an attack where the prompt is flagged, else whichever way they point.
fn heaviest(guard: &Guard, prompt: &str, flagged: bool) -> Vec<Reason> {
    let mut reasons = guard.explain(prompt);
    if !flagged {
        reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    }
    let mut words: Vec<Reason> = Vec::new();
    for reason in reasons.into_iter().filter(|r| r.text.chars().any(char::is_alphanumeric)) {
        let is_new = words.iter().all(|word| normalize(&word.text) != normalize(&reason.text));
        if words.len() < 5 && is_new {
            words.push(reason);
        }
    }
    words
}

/// A word without the characters in it that a terminal would not show, or would obey.
fn shown(word: &str) -> String {
    word.chars().filter(|c| !c.is_control() && normalize(c.encode_utf8(&mut [0; 4])) != Normalized::default()).collect()
}

fn scan_file(args: &ScanArgs, subject: &Subject, input: &Path, path: &Path, terminal: &Terminal) -> Result<ExitCode> {
    check_rejects(&args.reading)?;
    let mut reader = RowReader::open(input, options(&args.reading, false))?;
    let output = if path == Path::new("-") { None } else { Some(Output::prepare(path, args.force)?) };
    let mut out: Box<dyn Write> = match &output {
        Some(output) => Box::new(output.create()?),
        None => Box::new(std::io::BufWriter::new(std::io::stdout())),
    };
    let namer = args.category.then(Guard::embedded);
    let mut rejected = Vec::new();
    let (mut index, mut n_flagged) = (0, 0);
    terminal.begin("judging", 0);
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        while chunk.len() < CHUNK {
            match reader.next_row()? {
                Some(row) => chunk.push(row),
                None => break,
            }
        }
        rejected.extend(reader.rejected.drain(..));
        if chunk.is_empty() {
            break;
        }
        let verdicts = subject.judge(&chunk, &Silent)?;
        let categories: Vec<Option<&str>> = match namer.as_ref() {
            Some(guard) => chunk.par_iter().map(|row| guard.category(&row.text)).collect(),
            None => Vec::new(),
        };
        for (i, verdict) in verdicts.iter().enumerate() {
            n_flagged += usize::from(verdict.flagged);
            let mut object = verdict_json(index, verdict);
            if let Some(category) = categories.get(i) {
                object["category"] = json!(category);
            }
            match writeln!(out, "{object}") {
                // Whoever read standard output has seen enough.
                Err(e) if output.is_none() && e.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
                written => written.map_err(|e| Error::write(path, e))?,
            }
            index += 1;
        }
        terminal.note(&format!("{} prompts, {} flagged", thousands(index), thousands(n_flagged)));
        chunk.clear();
    }
    match out.flush() {
        Err(e) if output.is_none() && e.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
        written => written.map_err(|e| Error::write(path, e))?,
    }
    drop(out);
    terminal.end();
    if reader.counts.read == 0 {
        return Err(Error::format(input, "no rows: the file holds a header at most").into());
    }
    if let Some(rejects) = &args.reading.rejects {
        let name = input.display().to_string();
        let rejected: Vec<_> = rejected.into_iter().map(|r| (name.clone(), r)).collect();
        write_rejects(rejects, &rejected)?;
    }
    if let Some(output) = output {
        output.finish()?;
    }
    let c = reader.counts;
    terminal.say(&format!(
        "{} read, {} judged, {} repaired, {} rejected; {} flagged",
        thousands(c.read),
        thousands(c.kept),
        thousands(c.repaired),
        thousands(c.rejected),
        thousands(n_flagged)
    ));
    Ok(ExitCode::SUCCESS)
}
