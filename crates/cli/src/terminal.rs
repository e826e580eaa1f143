//! What a person sees: progress bars, tables, colors. None of it where the output is no terminal.

use std::io::{IsTerminal, Write};
use std::process::exit;
use std::sync::Mutex;

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressStyle};
use levelhead_lab::output::remove_unfinished;
use levelhead_lab::progress::Progress;
use levelhead_lab::row::Rejected;

/// Standard error as a place for progress.
pub struct Terminal {
    shows_bars: bool,
    shows_lines: bool,
    bar: Mutex<Option<ProgressBar>>,
    /// Rows rejected so far, of all inputs: they go to one file.
    rejects: Mutex<Vec<(String, Rejected)>>,
}

impl Terminal {
    /// Progress bars where standard error is a terminal; lines unless `quiet`.
    pub fn new(quiet: bool) -> Terminal {
        Terminal {
            shows_bars: !quiet && std::io::stderr().is_terminal(),
            shows_lines: !quiet,
            bar: Mutex::new(None),
            rejects: Mutex::new(Vec::new()),
        }
    }

    /// Works on the rows rejected so far.
    pub fn with_rejects<T>(&self, f: impl FnOnce(&mut Vec<(String, Rejected)>) -> T) -> T {
        f(&mut self.rejects.lock().expect("no panic while held"))
    }

    fn with_bar(&self, f: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.bar.lock().expect("no panic while held").as_ref() {
            f(bar);
        }
    }
}

impl Progress for Terminal {
    fn begin(&self, stage: &str, total: u64) {
        if self.shows_bars {
            let style = ProgressStyle::with_template("{prefix:<12} {bar:24} {percent:>3} % {eta:>4} left  {msg}")
                .expect("the template is valid")
                .progress_chars("━╸ ");
            let bar = ProgressBar::new(total).with_style(style).with_prefix(stage.to_string());
            *self.bar.lock().expect("no panic while held") = Some(bar);
        }
    }

    fn advance(&self, done: u64) {
        self.with_bar(|bar| bar.inc(done));
    }

    fn note(&self, text: &str) {
        self.with_bar(|bar| bar.set_message(text.to_string()));
    }

    fn end(&self) {
        if let Some(bar) = self.bar.lock().expect("no panic while held").take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        if self.shows_lines {
            eprintln!("{text}");
        }
    }
}

/// Ctrl-C removes unfinished outputs and says so.
pub fn stop_on_interrupt() {
    let stop = || {
        remove_unfinished();
        eprintln!("\nerror: interrupted; no output was written, and what was there before is unchanged");
        exit(2);
    };
    // A second handler cannot be set; without one an interrupt still stops, only leftovers stay.
    let _ = ctrlc::set_handler(stop);
}

/// A plain table, as wide as the terminal at most.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let line = LineStyle::none().fill('─').junction('─');
    let style = TableStyle::new().header_separator(line).bottom_border(line);
    let mut table = Table::new();
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(100);
    }
    table.set_header(header.to_vec());
    table.add_rows(rows);
    table
}

/// A word in a color, where standard output is a terminal and colors are not turned off (`NO_COLOR`).
pub fn colored(text: &str, color: Color) -> String {
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        format!("\x1b[{}m{text}\x1b[0m", color as u8)
    } else {
        text.to_string()
    }
}

/// Colors by their ANSI code.
#[derive(Clone, Copy)]
pub enum Color {
    /// Flagged, failed.
    Red = 31,
    /// Clean, passed.
    Green = 32,
}

/// Prints to standard output; a reader that has gone away is no error.
pub fn print(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

/// A count and its share, with the interval: `3.1 % (31 of 1,000; 2.2-4.4 %)`.
pub fn rate(count: levelhead_lab::stats::Count) -> String {
    match (count.rate(), count.wilson()) {
        (Some(rate), Some(interval)) => format!(
            "{} % ({} of {}; {}-{} %)",
            percent(rate),
            thousands(count.hits),
            thousands(count.n),
            percent(interval.low),
            percent(interval.high)
        ),
        _ => "no rows".to_string(),
    }
}

/// A share as a percentage with two decimals.
pub fn percent(rate: f64) -> String {
    format!("{:.2}", 100.0 * rate)
}

/// A number with commas.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use levelhead_lab::stats::Count;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(rate(Count { hits: 3, n: 50 }), "6.00 % (3 of 50; 2.06-16.22 %)");
        assert_eq!(rate(Count::default()), "no rows");
    }
}
