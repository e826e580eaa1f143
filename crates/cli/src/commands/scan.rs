//! `levelhead scan`: judge one text, or a file as a stream.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use levelhead::{Guard, Layer, Verdict};
use levelhead_lab::Error;
use levelhead_lab::output::Output;
use levelhead_lab::progress::{Progress, Silent};
use levelhead_lab::read::RowReader;
use levelhead_lab::row::{Label, Row};
use levelhead_lab::subject::Subject;
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
            object["words"] = json!(heaviest(guard, &prompt, verdict.flagged));
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
        let words: Vec<String> = heaviest(guard, prompt, verdict.flagged).iter().map(|(w, x)| format!("{w} {x:+.2}")).collect();
        if !words.is_empty() {
            lines.push(format!("words     {}", words.join("  ")));
        }
    }
    lines.join("\n")
}

/// The five words that weighed most, each once: for an attack where the prompt is flagged, else whichever way they point.
fn heaviest(guard: &Guard, prompt: &str, flagged: bool) -> Vec<(String, f32)> {
    let mut reasons = guard.explain(prompt);
    if !flagged {
        reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    }
    let mut words: Vec<(String, f32)> = Vec::new();
    for reason in reasons.into_iter().filter(|r| r.text.chars().any(char::is_alphanumeric)) {
        if words.len() < 5 && words.iter().all(|(word, _)| *word != reason.text) {
            words.push((reason.text, reason.weight));
        }
    }
    words
}

fn scan_file(args: &ScanArgs, subject: &Subject, input: &Path, path: &Path, terminal: &Terminal) -> Result<ExitCode> {
    check_rejects(&args.reading)?;
    let mut reader = RowReader::open(input, options(&args.reading, false))?;
    let output = if path == Path::new("-") { None } else { Some(Output::prepare(path, args.force)?) };
    let mut out: Box<dyn Write> = match &output {
        Some(output) => Box::new(output.create()?),
        None => Box::new(std::io::BufWriter::new(std::io::stdout())),
    };
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
        for verdict in subject.judge(&chunk, &Silent)? {
            n_flagged += usize::from(verdict.flagged);
            match writeln!(out, "{}", verdict_json(index, &verdict)) {
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
