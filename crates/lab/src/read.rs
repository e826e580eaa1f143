//! From CSV, JSONL and Parquet files, plain or compressed, to rows. Nothing is skipped in silence.
//!
//! A file is read as a stream, so that scanning needs memory for a few rows only; [`read`] collects a whole dataset.

mod csv_file;
mod jsonl_file;
mod parquet_file;
mod record;
mod source;

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::mojibake;
use crate::row::{COLUMNS, Dataset, Interner, Label, ReadCounts, Rejected, Row};
use csv_file::CsvFile;
use jsonl_file::JsonlFile;
use parquet_file::ParquetFile;
use record::{Fault, Record, Schema, Value, quoted};
pub use source::{Format, Packing, format_of};

/// How a file is read.
///
/// | name | default | purpose |
/// |---|---|---|
/// | `needs_label` | false | a row without a label 0 or 1 is at fault |
/// | `keep_going` | false | rows at fault are rejected and counted; otherwise the first one ends the reading |
/// | `repair` | false | double-encoded text is repaired |
/// | `max_text_bytes` | 4 MiB | a longer text is at fault |
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Whether every row needs a label.
    pub needs_label: bool,
    /// Whether rows at fault are rejected and counted instead of ending the reading.
    pub keep_going: bool,
    /// Whether double-encoded text is repaired.
    pub repair: bool,
    /// The longest text that is taken, in bytes.
    pub max_text_bytes: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { needs_label: false, keep_going: false, repair: false, max_text_bytes: 4 << 20 }
    }
}

impl ReadOptions {
    /// Every row needs a label.
    pub fn labelled() -> ReadOptions {
        ReadOptions { needs_label: true, ..ReadOptions::default() }
    }
}

/// Reads a whole file.
///
/// # Errors
/// As [`RowReader::open`] and [`RowReader::next_row`]; [`Error::Format`] for a file without rows.
pub fn read(path: &Path, options: ReadOptions) -> Result<Dataset> {
    let mut reader = RowReader::open(path, options)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row()? {
        rows.push(row);
    }
    if reader.counts.read == 0 {
        return Err(Error::format(path, "no rows, a header at most: add rows or name another file"));
    }
    if let (true, Some(Rejected { line, column, reason, .. })) = (rows.is_empty(), reader.rejected.front()) {
        let at = if column.is_empty() { String::new() } else { format!(", column {column}") };
        let reason = format!("all {} rows were rejected, the first for this: line {line}{at}: {reason}", reader.counts.read);
        return Err(Error::format(path, reason));
    }
    let blake3 = hash_file(path)?;
    let RowReader { schema, counts, rejected, .. } = reader;
    Ok(Dataset { path: path.to_path_buf(), extra: schema.extra, rows, counts, rejected: rejected.into(), blake3 })
}

/// BLAKE3 of a file's bytes, in hex.
///
/// # Errors
/// [`Error::Io`].
pub fn hash_file(path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).map_err(|e| Error::read(path, e))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(|e| Error::read(path, e))? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

/// BLAKE3 of bytes, in hex.
pub fn hash_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// A file's rows, one after the other.
pub struct RowReader {
    path: PathBuf,
    options: ReadOptions,
    records: Records,
    schema: Schema,
    interner: Interner,
    /// What became of the rows so far.
    pub counts: ReadCounts,
    /// Rows rejected and not yet taken by the caller.
    pub rejected: VecDeque<Rejected>,
}

/// The raw rows of each format.
enum Records {
    Csv(CsvFile),
    Jsonl(JsonlFile),
    Parquet(ParquetFile),
}

/// A longer value is seldom met twice.
const LONGEST_SHARED: usize = 256;

/// Rows after which shared values are forgotten, so that a file of any length is read in bounded memory.
const SHARED_FOR: usize = 1 << 14;

impl RowReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a header without `text` (or `label`, where it is needed) or with a name twice.
    /// JSONL has no header: there, a row without a key that is needed is at fault.
    pub fn open(path: &Path, options: ReadOptions) -> Result<RowReader> {
        if path.is_dir() {
            return Err(Error::format(path, "is a folder: name one of the files in it"));
        }
        let (format, packing) = format_of(path)?;
        let (records, header) = match format {
            Format::Csv => {
                let (file, header) = CsvFile::open(path, packing)?;
                (Records::Csv(file), header)
            }
            Format::Jsonl => {
                let (file, header) = JsonlFile::open(path, packing)?;
                (Records::Jsonl(file), header)
            }
            Format::Parquet => {
                let (file, header) = ParquetFile::open(path)?;
                (Records::Parquet(file), header)
            }
        };
        let schema = Schema::new(path, header)?;
        if format != Format::Jsonl {
            schema.require(path, if options.needs_label { &COLUMNS[..2] } else { &COLUMNS[..1] })?;
        }
        Ok(RowReader {
            path: path.to_path_buf(),
            options,
            records,
            schema,
            interner: Interner::default(),
            counts: ReadCounts::default(),
            rejected: VecDeque::new(),
        })
    }

    /// Names of the columns beyond the schema's. In a JSONL file, later rows can add to them.
    pub fn extra(&self) -> &[String] {
        &self.schema.extra
    }

    /// The next row that is kept.
    ///
    /// # Errors
    /// [`Error::Row`] for a row at fault, unless rows at fault are rejected; [`Error::Format`] and [`Error::Io`] for a file
    /// that cannot be read on. A CSV quote that is never closed is [`Error::Row`] in any case, as it hides the rows after it.
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        while let Some(Record { line, values }) = self.next_record()? {
            self.counts.read += 1;
            if self.counts.read.is_multiple_of(SHARED_FOR) {
                self.interner = Interner::default();
            }
            let mut text = String::new();
            let row = values.and_then(|values| {
                if self.options.keep_going {
                    text = shown(&values, self.schema.known[0]);
                }
                self.row(values)
            });
            match row {
                Ok((row, repaired)) => {
                    self.counts.kept += 1;
                    self.counts.repaired += usize::from(repaired);
                    return Ok(Some(row));
                }
                Err(Fault { column, reason }) if self.options.keep_going => {
                    self.counts.rejected += 1;
                    self.rejected.push_back(Rejected { line, column, reason, text });
                }
                Err(Fault { column, reason }) => return Err(Error::Row { path: self.path.clone(), line, column, reason }),
            }
        }
        Ok(None)
    }

    fn next_record(&mut self) -> Result<Option<Record>> {
        match &mut self.records {
            Records::Csv(file) => file.next(&self.path),
            Records::Jsonl(file) => file.next(&self.path, &mut self.schema),
            Records::Parquet(file) => file.next(&self.path),
        }
    }

    fn row(&mut self, mut values: Vec<Value>) -> std::result::Result<(Row, bool), Fault> {
        let mut value = |i: usize| match self.schema.known[i].and_then(|at| values.get_mut(at)) {
            None => Ok(String::new()),
            Some(value) => std::mem::replace(value, Ok(String::new())).map_err(|_| Fault::not_utf8(COLUMNS[i])),
        };
        let text = value(0)?;
        let label = value(1)?;
        let confidence = value(5)?;
        let named = [value(2)?, value(3)?, value(4)?, value(6)?, value(7)?];
        let text = self.text(text)?;
        let label = self.label(label.trim())?;
        let repaired = if self.options.repair { mojibake::repair(&text) } else { None };
        let was_repaired = repaired.is_some();
        let mut row = Row::new(repaired.unwrap_or(text), label.unwrap_or(Label::Benign));
        row.label = label;
        let places = [&mut row.family, &mut row.category, &mut row.severity, &mut row.source, &mut row.notes];
        for (value, place) in named.iter().zip(places) {
            *place = share(&mut self.interner, if value.is_empty() { place } else { value });
        }
        if !confidence.is_empty() {
            let number = confidence.trim().parse().ok().filter(|c| (0.0..=1.0).contains(c));
            let reason = || format!("{} is no number from 0 to 1: write 1.0 where the label is sure", quoted(&confidence));
            row.confidence = number.ok_or_else(|| Fault::new("confidence", reason()))?;
        }
        let extra = self.schema.extra.iter().zip(&self.schema.extra_at).map(|(name, at)| match values.get(*at) {
            None => Ok(share(&mut self.interner, "")),
            Some(Ok(value)) => Ok(share(&mut self.interner, value)),
            Some(Err(_)) => Err(Fault::not_utf8(name)),
        });
        row.extra = extra.collect::<std::result::Result<_, _>>()?;
        Ok((row, was_repaired))
    }

    fn text(&self, text: String) -> std::result::Result<String, Fault> {
        let (n, most) = (text.len(), self.options.max_text_bytes);
        if n > most {
            let reason = format!("{n} bytes, more than the {most} that are taken: split the text or raise --max-text-bytes");
            return Err(Fault::new("text", reason));
        }
        if text.contains('\0') {
            return Err(Fault::new("text", "holds a NUL byte: remove it"));
        }
        if self.options.needs_label && text.trim().is_empty() {
            return Err(Fault::new("text", "is empty: a labelled row needs a prompt"));
        }
        Ok(text)
    }

    fn label(&self, label: &str) -> std::result::Result<Option<Label>, Fault> {
        match label {
            "0" | "0.0" => Ok(Some(Label::Benign)),
            "1" | "1.0" => Ok(Some(Label::Attack)),
            "" if !self.options.needs_label => Ok(None),
            "" => Err(Fault::new("label", "is missing: write 0 (benign) or 1 (attack)")),
            other => {
                Err(Fault::new("label", format!("{} is neither 0 (benign) nor 1 (attack): write one of them", quoted(other))))
            }
        }
    }
}

fn share(interner: &mut Interner, value: &str) -> Arc<str> {
    if value.len() > LONGEST_SHARED { value.into() } else { interner.intern(value) }
}

/// The beginning of a row's text, for people.
fn shown(values: &[Value], text_at: Option<usize>) -> String {
    match text_at.and_then(|at| values.get(at)) {
        Some(Ok(text)) => text.chars().take(1000).collect(),
        Some(Err(bytes)) => String::from_utf8_lossy(bytes).chars().take(1000).collect(),
        None => String::new(),
    }
}
