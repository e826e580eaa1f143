//! Raw rows by position, and which column is where. Never judges a value.

use std::collections::HashSet;
use std::path::Path;

use crate::error::{Error, Result};
use crate::row::COLUMNS;

/// One raw value; `Err` holds bytes that are no UTF-8.
pub(super) type Value = std::result::Result<String, Vec<u8>>;

/// One raw row.
pub(super) struct Record {
    /// Line of a text file, row of a Parquet file; both from 1.
    pub line: u64,
    /// By position in the schema, as far as the row goes; or why it cannot be taken apart.
    pub values: std::result::Result<Vec<Value>, Fault>,
}

/// What is wrong with a row.
pub(super) struct Fault {
    /// The column, or nothing.
    pub column: String,
    pub reason: String,
}

impl Fault {
    pub fn new(column: &str, reason: impl Into<String>) -> Fault {
        Fault { column: column.to_string(), reason: reason.into() }
    }

    pub fn not_utf8(column: &str) -> Fault {
        Fault::new(column, "not UTF-8: save the column as UTF-8 (a text file with iconv, for instance) or leave it out")
    }
}

/// Which column is where.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub header: Vec<String>,
    pub known: [Option<usize>; COLUMNS.len()],
    pub extra: Vec<String>,
    pub extra_at: Vec<usize>,
}

impl Schema {
    pub fn new(path: &Path, header: Vec<String>) -> Result<Schema> {
        let mut schema = Schema::default();
        let mut seen = HashSet::new();
        for name in header {
            if !seen.insert(name.clone()) {
                let reason = format!("column {} stands twice in the header: rename or remove one", quoted(&name));
                return Err(Error::format(path, reason));
            }
            schema.add(name);
        }
        Ok(schema)
    }

    /// Refuses a header without the columns that every row needs.
    pub fn require(&self, path: &Path, needed: &[&str]) -> Result<()> {
        match needed.iter().find(|column| !self.header.iter().any(|h| h == *column)) {
            None => Ok(()),
            Some(column) => {
                let found = list(&self.header);
                Err(Error::format(path, format!("no column {column:?}, only {found}: add it, or rename the one that is meant")))
            }
        }
    }

    pub fn add(&mut self, name: String) {
        let at = self.header.len();
        match COLUMNS.iter().position(|c| *c == name) {
            Some(i) => self.known[i] = Some(at),
            None => {
                self.extra.push(name.clone());
                self.extra_at.push(at);
            }
        }
        self.header.push(name);
    }
}

/// A value as a message shows it: in quotes, on one line, cut where it gets long.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// Names as a message shows them.
pub(super) fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return "none".to_string();
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| quoted(name)).collect();
    let rest = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    shown.join(", ") + &rest
}
