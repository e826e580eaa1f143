//! Which format and packing a file's name stands for, and its unpacked bytes. Never looks at what the bytes mean.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Result};

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

/// A file's bytes as they were before they were packed.
pub(super) fn open_packed(path: &Path, packing: Packing) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|e| Error::read(path, e))?;
    Ok(match packing {
        Packing::Plain => Box::new(file),
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Packing::Zstd => Box::new(zstd::Decoder::new(file).map_err(|e| Error::read(path, e))?),
    })
}

/// A failed read of a packed file: what the system reports has a number, what the unpacking reports has none.
pub(super) fn read_error(path: &Path, packing: Packing, error: io::Error) -> Error {
    let kind = match packing {
        Packing::Gzip => "gzip",
        Packing::Zstd => "Zstandard",
        Packing::Plain => return Error::read(path, error),
    };
    if error.raw_os_error().is_some() {
        return Error::read(path, error);
    }
    Error::format(path, format!("not whole {kind} data ({error}): copy or pack the file again"))
}
