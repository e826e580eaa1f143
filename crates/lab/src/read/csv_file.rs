//! The raw rows of a CSV file, each with the line on which it begins. Never lets a quote swallow rows unseen.

use std::io::{self, Read};
use std::path::Path;

use super::record::{Fault, Record, list, quoted};
use super::source::{Packing, open_packed, read_error};
use crate::error::{Error, Result};

/// Follows the file's last byte. Outside of quotes it is a row of its own; inside, it ends the last field, and so
/// shows that a quote is open, which the CSV reader accepts in silence.
const END: &[u8] = b"\n\0end of the file\0";

/// A CSV file's raw rows.
pub(super) struct CsvFile {
    reader: csv::Reader<Bytes>,
    record: csv::ByteRecord,
    header: Vec<String>,
    packing: Packing,
}

impl CsvFile {
    /// Opens a file and reads its header.
    pub fn open(path: &Path, packing: Packing) -> Result<(CsvFile, Vec<String>)> {
        let bytes = Bytes { inner: open_packed(path, packing)?, last: Vec::new(), end: 0, pending: END };
        let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 16).from_reader(bytes);
        let header = reader.byte_headers().map_err(|e| fatal(path, packing, e))?.clone();
        if is_end(&header) {
            return Err(Error::format(path, "the file is empty: a header with the column \"text\" is expected"));
        }
        if ends_in_quote(&header) {
            return Err(Error::format(path, "a quote in the header is never closed: close it or remove it"));
        }
        let header = header
            .iter()
            .map(|name| {
                String::from_utf8(name.to_vec()).map_err(|_| {
                    let shown = quoted(&String::from_utf8_lossy(name));
                    let reason = format!("the name {shown} is not UTF-8: save the file as UTF-8, for instance with iconv");
                    Error::Row { path: path.to_path_buf(), line: 1, column: String::new(), reason }
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let file = CsvFile { reader, record: csv::ByteRecord::new(), header: header.clone(), packing };
        Ok((file, header))
    }

    /// The next row.
    pub fn next(&mut self, path: &Path) -> Result<Option<Record>> {
        let read = self.reader.read_byte_record(&mut self.record);
        let unequal = match read {
            Ok(false) => return Ok(None),
            Ok(true) => None,
            Err(e) => match e.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => Some((*len, *expected_len)),
                _ => return Err(fatal(path, self.packing, e)),
            },
        };
        if is_end(&self.record) {
            return Ok(None);
        }
        let line = self.line();
        if ends_in_quote(&self.record) {
            let column = self.header.get(self.record.len() - 1).cloned().unwrap_or_default();
            // Rejecting this one row would lose all the rows that the quote holds, so it ends the reading.
            let reason = "a quote of this row is never closed, so it holds the rest of the file: close it or remove it".into();
            return Err(Error::Row { path: path.to_path_buf(), line, column, reason });
        }
        let values = match unequal {
            None => Ok(self.record.iter().map(|v| String::from_utf8(v.to_vec()).map_err(|e| e.into_bytes())).collect()),
            Some((len, expected)) => {
                let names = list(&self.header);
                let reason = format!(
                    "{len} fields, the header has {expected} ({names}): put a field with a comma or a quote in it in quotes"
                );
                Err(Fault::new("", reason))
            }
        };
        Ok(Some(Record { line, values }))
    }

    /// The line on which the row just read begins.
    ///
    /// The CSV reader's own position is that of the previous row's end: before blank lines, and with `\r\n` a line short.
    fn line(&self) -> u64 {
        let position = self.reader.position();
        let inside: usize = self.record.iter().map(|v| v.iter().filter(|b| **b == b'\n').count()).sum();
        let closing = u64::from(self.reader.get_ref().is_line_feed_before(position.byte()));
        position.line().saturating_sub(inside as u64 + closing).max(1)
    }
}

fn is_end(record: &csv::ByteRecord) -> bool {
    record.is_empty() || (record.len() == 1 && record[0] == END[1..])
}

fn ends_in_quote(record: &csv::ByteRecord) -> bool {
    record.iter().next_back().is_some_and(|field| field.ends_with(END))
}

fn fatal(path: &Path, packing: Packing, error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(e) => read_error(path, packing, e),
        other => Error::format(path, format!("not CSV: {other:?}")),
    }
}

/// A file's bytes, then [`END`]. Remembers the last ones that were handed out.
struct Bytes {
    inner: Box<dyn Read + Send>,
    last: Vec<u8>,
    /// Where `last` ends in the file.
    end: u64,
    /// What is left of [`END`].
    pending: &'static [u8],
}

impl Bytes {
    fn is_line_feed_before(&self, at: u64) -> bool {
        let back = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
        self.last.iter().rev().nth(back) == Some(&b'\n')
    }
}

impl Read for Bytes {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut n = self.inner.read(out)?;
        if n == 0 {
            n = self.pending.read(out)?;
        }
        if n > 0 {
            self.last.clear();
            self.last.extend_from_slice(&out[..n]);
            self.end += n as u64;
        }
        Ok(n)
    }
}
