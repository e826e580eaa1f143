//! From CSV, JSONL and Parquet files, plain or compressed, to rows. Nothing is skipped in silence.
//!
//! A file is read as a stream, so that scanning needs memory for a few rows only; [`read`] collects a whole dataset.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

use crate::error::{Error, Result};
use crate::mojibake;
use crate::row::{COLUMNS, Dataset, Interner, Label, ReadCounts, Rejected, Row};

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

/// What a file's name says of its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// A JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// How the file's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// The format and the packing that a file's name stands for.
///
/// # Errors
/// [`Error::Format`] for another extension.
pub fn format_of(path: &Path) -> Result<(Format, Packing)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let (stem, packing) = match name.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Packing::Gzip),
        Some((stem, "zst")) => (stem, Packing::Zstd),
        _ => (name.as_str(), Packing::Plain),
    };
    let format = match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => Format::Csv,
        Some("jsonl" | "ndjson") => Format::Jsonl,
        Some("parquet") if packing == Packing::Plain => Format::Parquet,
        _ => {
            let reason = "unknown kind of file: .csv, .jsonl or .parquet is expected (.csv and .jsonl also as .gz or .zst)";
            return Err(Error::format(path, reason));
        }
    };
    Ok((format, packing))
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
        return Err(Error::format(path, "no rows: the file holds a header at most"));
    }
    if rows.is_empty() {
        return Err(Error::format(path, format!("all {} rows were rejected", reader.counts.read)));
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
    Csv(Box<csv::Reader<Box<dyn Read + Send>>>, csv::ByteRecord),
    Jsonl { lines: Box<dyn BufRead + Send>, line: u64, buffer: Vec<u8> },
    Parquet(Box<RowIter<'static>>, u64),
}

/// One raw row: where it stands, and its values by column.
struct Record {
    line: u64,
    /// By position in the schema; `Err` holds bytes that are no UTF-8.
    values: Vec<std::result::Result<String, Vec<u8>>>,
}

/// Which column is where.
#[derive(Debug, Default)]
struct Schema {
    header: Vec<String>,
    known: [Option<usize>; COLUMNS.len()],
    extra: Vec<String>,
    extra_at: Vec<usize>,
}

struct Fault {
    column: &'static str,
    reason: String,
}

impl RowReader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a header without `text` (or `label`, where it is needed) or with a name twice.
    pub fn open(path: &Path, options: ReadOptions) -> Result<RowReader> {
        let (format, packing) = format_of(path)?;
        let (records, header) = match format {
            Format::Csv => open_csv(path, packing)?,
            Format::Jsonl => open_jsonl(path, packing)?,
            Format::Parquet => open_parquet(path)?,
        };
        let schema = Schema::new(path, header, options)?;
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

    /// Names of the columns beyond the schema's.
    pub fn extra(&self) -> &[String] {
        &self.schema.extra
    }

    /// The next row that is kept.
    ///
    /// # Errors
    /// [`Error::Row`] for a row at fault, unless rows at fault are rejected; [`Error::Format`] and [`Error::Io`] for a file
    /// that cannot be read on.
    pub fn next_row(&mut self) -> Result<Option<Row>> {
        while let Some(record) = self.next_record()? {
            self.counts.read += 1;
            let line = record.line;
            let shown = record.values.get(self.schema.known[0].unwrap_or(0)).and_then(|v| v.as_ref().ok()).cloned();
            match self.row(record) {
                Ok((row, repaired)) => {
                    self.counts.kept += 1;
                    self.counts.repaired += usize::from(repaired);
                    return Ok(Some(row));
                }
                Err(fault) if self.options.keep_going => {
                    self.counts.rejected += 1;
                    let text = shown.unwrap_or_default().chars().take(1000).collect();
                    self.rejected.push_back(Rejected { line, column: fault.column.to_string(), reason: fault.reason, text });
                }
                Err(Fault { column, reason }) => {
                    let path = self.path.clone();
                    return Err(Error::Row { path, line, column: column.to_string(), reason });
                }
            }
        }
        Ok(None)
    }

    fn next_record(&mut self) -> Result<Option<Record>> {
        match &mut self.records {
            Records::Csv(reader, record) => match reader.read_byte_record(record) {
                Ok(false) => Ok(None),
                Ok(true) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    let values = record.iter().map(|v| String::from_utf8(v.to_vec()).map_err(|e| e.into_bytes())).collect();
                    Ok(Some(Record { line, values }))
                }
                Err(e) => Err(csv_error(&self.path, e)),
            },
            Records::Jsonl { lines, line, buffer } => loop {
                buffer.clear();
                if lines.read_until(b'\n', buffer).map_err(|e| Error::read(&self.path, e))? == 0 {
                    return Ok(None);
                }
                *line += 1;
                if !buffer.trim_ascii().is_empty() {
                    let values = json_values(&self.path, *line, buffer, &mut self.schema)?;
                    return Ok(Some(Record { line: *line, values }));
                }
            },
            Records::Parquet(rows, line) => {
                let Some(row) = rows.next() else { return Ok(None) };
                let row = row.map_err(|e| Error::format(&self.path, format!("after row {line}: {e}")))?;
                *line += 1;
                let values = row.get_column_iter().map(|(_, field)| Ok(field_text(field))).collect();
                Ok(Some(Record { line: *line, values }))
            }
        }
    }

    fn row(&mut self, mut record: Record) -> std::result::Result<(Row, bool), Fault> {
        let mut value = |i: usize| -> std::result::Result<Option<String>, Fault> {
            let column = COLUMNS[i];
            let Some(at) = self.schema.known[i] else { return Ok(None) };
            match record.values.get_mut(at).map(|v| std::mem::replace(v, Ok(String::new()))) {
                None => Ok(None),
                Some(Ok(text)) => Ok(Some(text)),
                Some(Err(_)) => Err(Fault { column, reason: "not UTF-8: convert the file, for instance with iconv".into() }),
            }
        };
        let mut text = value(0)?.unwrap_or_default();
        let label = value(1)?.unwrap_or_default();
        let named = [value(2)?, value(3)?, value(4)?, value(6)?, value(7)?];
        let confidence = value(5)?.unwrap_or_default();
        if text.len() > self.options.max_text_bytes {
            let reason = format!(
                "{} bytes, more than the {} that are taken: split the text or raise --max-text-bytes",
                text.len(),
                self.options.max_text_bytes
            );
            return Err(Fault { column: "text", reason });
        }
        if text.contains('\0') {
            return Err(Fault { column: "text", reason: "holds a NUL byte: remove it".into() });
        }
        let label = match label.trim() {
            "0" | "0.0" => Some(Label::Benign),
            "1" | "1.0" => Some(Label::Attack),
            "" if !self.options.needs_label => None,
            other => return Err(Fault { column: "label", reason: format!("{other:?} is neither 0 (benign) nor 1 (attack)") }),
        };
        if self.options.needs_label && text.trim().is_empty() {
            return Err(Fault { column: "text", reason: "is empty: a labelled row needs a prompt".into() });
        }
        let repaired = self.options.repair.then(|| mojibake::repair(&text)).flatten();
        let was_repaired = repaired.is_some();
        if let Some(repaired) = repaired {
            text = repaired;
        }
        let mut row = Row::new(text, label.unwrap_or(Label::Benign));
        row.label = label;
        let [family, category, severity, source, notes] = named;
        for (value, place) in [
            (family, &mut row.family),
            (category, &mut row.category),
            (severity, &mut row.severity),
            (source, &mut row.source),
            (notes, &mut row.notes),
        ] {
            let value = value.filter(|v| !v.is_empty());
            *place = self.interner.intern(value.as_deref().unwrap_or(place));
        }
        if !confidence.is_empty() {
            row.confidence = confidence
                .trim()
                .parse()
                .ok()
                .filter(|c| (0.0..=1.0).contains(c))
                .ok_or_else(|| Fault { column: "confidence", reason: format!("{confidence:?} is no number from 0 to 1") })?;
        }
        let interner = &mut self.interner;
        let extra = self.schema.extra_at.iter().map(|at| record.values.get(*at).and_then(|v| v.as_deref().ok()).unwrap_or(""));
        row.extra = extra.map(|v| interner.intern(v)).collect();
        Ok((row, was_repaired))
    }
}

impl Schema {
    fn new(path: &Path, header: Vec<String>, options: ReadOptions) -> Result<Schema> {
        let mut schema = Schema { header: Vec::new(), ..Schema::default() };
        for name in header {
            if schema.header.contains(&name) {
                return Err(Error::format(path, format!("column {name:?} stands twice in the header: rename or remove one")));
            }
            schema.add(name);
        }
        let needed = if options.needs_label { &COLUMNS[..2] } else { &COLUMNS[..1] };
        for (i, column) in needed.iter().enumerate() {
            if schema.known[i].is_none() {
                let found = if schema.header.is_empty() { "none".to_string() } else { schema.header.join(", ") };
                return Err(Error::format(path, format!("no column {column:?}; the columns are: {found}")));
            }
        }
        Ok(schema)
    }

    fn add(&mut self, name: String) {
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

fn open_packed(path: &Path, packing: Packing) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    if file.metadata().map_err(|e| Error::read(path, e))?.is_dir() {
        return Err(Error::format(path, "is a folder, a file is expected"));
    }
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Packing::Zstd => Box::new(zstd::Decoder::new(file).map_err(|e| Error::read(path, e))?),
    })
}

fn open_csv(path: &Path, packing: Packing) -> Result<(Records, Vec<String>)> {
    let mut reader = csv::ReaderBuilder::new().from_reader(open_packed(path, packing)?);
    let header = reader.byte_headers().map_err(|e| csv_error(path, e))?.clone();
    let header = header
        .iter()
        .enumerate()
        .map(|(i, name)| {
            // A byte order mark is no part of the first name.
            let name = if i == 0 { name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name) } else { name };
            String::from_utf8(name.to_vec()).map_err(|_| Error::format(path, "the header is not UTF-8: convert the file"))
        })
        .collect::<Result<Vec<_>>>()?;
    if header.is_empty() {
        return Err(Error::format(path, "the file is empty: a header with the column text is expected"));
    }
    Ok((Records::Csv(Box::new(reader), csv::ByteRecord::new()), header))
}

fn csv_error(path: &Path, error: csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(e) => Error::read(path, e),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => Error::Row {
            path: path.to_path_buf(),
            line,
            column: String::new(),
            reason: format!("{len} fields, the header has {expected_len}: look for a comma or a quote that is not escaped"),
        },
        other => Error::format(path, format!("{other:?}")),
    }
}

fn open_jsonl(path: &Path, packing: Packing) -> Result<(Records, Vec<String>)> {
    // JSON names its columns in every row: those of the first row are the schema, later ones add to it.
    let mut lines = BufReader::new(open_packed(path, packing)?);
    let mut first = Vec::new();
    let mut n_blank = 0;
    loop {
        let start = first.len();
        if lines.read_until(b'\n', &mut first).map_err(|e| Error::read(path, e))? == 0 {
            return Err(Error::format(path, "the file is empty: a JSON object a line is expected"));
        }
        if !first[start..].trim_ascii().is_empty() {
            first.drain(..start);
            break;
        }
        n_blank += 1;
    }
    let header = json_object(path, n_blank + 1, &first)?.into_iter().map(|(name, _)| name).collect();
    let lines: Box<dyn BufRead + Send> = Box::new(BufReader::new(std::io::Cursor::new(first).chain(lines)));
    Ok((Records::Jsonl { lines, line: n_blank, buffer: Vec::new() }, header))
}

fn json_object(path: &Path, line: u64, bytes: &[u8]) -> Result<Vec<(String, serde_json::Value)>> {
    let fault = |reason: String| Error::Row { path: path.to_path_buf(), line, column: String::new(), reason };
    match serde_json::from_slice(bytes) {
        Ok(serde_json::Value::Object(object)) => Ok(object.into_iter().collect()),
        Ok(_) => Err(fault("not a JSON object like {\"text\": \"…\"}".into())),
        Err(e) => Err(fault(format!("not JSON: {e}"))),
    }
}

fn json_values(path: &Path, line: u64, bytes: &[u8], schema: &mut Schema) -> Result<Vec<std::result::Result<String, Vec<u8>>>> {
    let mut values = vec![Ok(String::new()); schema.header.len()];
    for (name, value) in json_object(path, line, bytes)? {
        let at = schema.header.iter().position(|h| *h == name).unwrap_or_else(|| {
            schema.add(name.clone());
            values.push(Ok(String::new()));
            schema.header.len() - 1
        });
        values[at] = Ok(match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            serde_json::Value::Bool(b) if name == "label" => u8::from(b).to_string(),
            other => other.to_string(),
        });
    }
    Ok(values)
}

fn open_parquet(path: &Path) -> Result<(Records, Vec<String>)> {
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| Error::format(path, format!("not a Parquet file: {e}")))?;
    let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
    for field in &fields {
        let primitive = field.is_primitive();
        let text = primitive && field.get_physical_type() == parquet::basic::Type::BYTE_ARRAY;
        if (field.name() == "text" && !text) || !primitive {
            return Err(Error::format(
                path,
                format!("column {} is {}: a column of strings is expected", field.name(), type_name(field)),
            ));
        }
    }
    let header = fields.iter().map(|f| f.name().to_string()).collect();
    let rows = RowIter::from_file_into(Box::new(reader));
    Ok((Records::Parquet(Box::new(rows), 0), header))
}

fn type_name(field: &Type) -> String {
    if field.is_primitive() { format!("{:?}", field.get_physical_type()) } else { "a nested type".to_string() }
}

fn field_text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
        Field::Double(x) => format!("{x:?}"),
        Field::Float(x) => format!("{x:?}"),
        other => other.to_string(),
    }
}
