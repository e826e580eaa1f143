//! How long a new process takes to load the default guard and reach a first verdict, and how many prompts it then judges in a second
//! on one thread, without the time to read them.
//!
//! `cargo run --release -p levelhead --example throughput prompts.jsonl`, with `{"text": ".."}` on each line.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use levelhead::{Guard, Scratch};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: throughput PROMPTS.jsonl");
        return ExitCode::from(2);
    };
    let texts = match read(&path) {
        Ok(texts) => texts,
        Err(reason) => {
            eprintln!("{path}: {reason}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let (guard, mut scratch) = (Guard::embedded(), Scratch::default());
    guard.judge_with(&texts[0], &mut scratch);
    println!("levelhead: loaded, with a first verdict, in {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let mut n_flagged = 0;
    let mut times: Vec<Duration> = Vec::with_capacity(texts.len());
    let started = Instant::now();
    for text in &texts {
        let before = Instant::now();
        n_flagged += usize::from(guard.judge_with(text, &mut scratch).flagged);
        times.push(before.elapsed());
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let micros = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
    println!(
        "levelhead: {} texts in {seconds:.2} s, {:.0} a second, median {:.1} us, 99 % within {:.0} us; {n_flagged} flagged",
        texts.len(),
        texts.len() as f64 / seconds,
        micros(50),
        micros(99)
    );
    ExitCode::SUCCESS
}

fn read(path: &str) -> Result<Vec<String>, String> {
    let content = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let text = |(i, line): (usize, &str)| -> Result<String, String> {
        let value: serde_json::Value = serde_json::from_str(line).map_err(|e| format!("line {}: {e}", i + 1))?;
        let text = value["text"].as_str().ok_or_else(|| format!("line {}: has no text", i + 1))?;
        Ok(text.to_string())
    };
    let texts: Vec<String> = content.lines().enumerate().map(text).collect::<Result<_, _>>()?;
    if texts.is_empty() { Err("holds no prompt".to_string()) } else { Ok(texts) }
}
