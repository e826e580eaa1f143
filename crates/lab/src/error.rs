//! What can go wrong in the lab. Every variant names the place; every message says the fix.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a step of the lab did not finish.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file.
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A file is not of the form that its name promises.
    Format {
        /// The file.
        path: PathBuf,
        /// What does not fit, and the fix.
        reason: String,
    },
    /// One row is at fault.
    Row {
        /// The file.
        path: PathBuf,
        /// Line of a text file, row of a Parquet file; both from 1.
        line: u64,
        /// The column, where one is at fault.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An output is already there.
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// A guard file was not loaded.
    Guard {
        /// The file.
        path: PathBuf,
        /// Why.
        source: levelhead::Error,
    },
    /// A guard that runs outside of Levelhead did not answer as agreed.
    Subject {
        /// The guard's name.
        guard: String,
        /// What happened.
        reason: String,
    },
    /// A language model's endpoint gives no answer.
    Endpoint {
        /// Its address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The data cannot carry what was asked of it.
    Data {
        /// What is missing, and the fix.
        reason: String,
    },
    /// A setting makes no sense.
    Setting {
        /// The setting's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The lab's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failed read.
    pub fn read(path: &Path, source: std::io::Error) -> Error {
        Error::Io { path: path.to_path_buf(), action: "read", source }
    }

    /// A failed write.
    pub fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Io { path: path.to_path_buf(), action: "write", source }
    }

    /// A file of the wrong form.
    pub fn format(path: &Path, reason: impl ToString) -> Error {
        Error::Format { path: path.to_path_buf(), reason: reason.to_string() }
    }

    /// Data that cannot carry what was asked of it.
    pub fn data(reason: impl ToString) -> Error {
        Error::Data { reason: reason.to_string() }
    }

    /// A setting that makes no sense.
    pub fn setting(name: &str, reason: impl ToString) -> Error {
        Error::Setting { name: name.to_string(), reason: reason.to_string() }
    }
}

/// A fault of a TOML file as one line: where, and what.
pub(crate) fn toml_fault(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    format!("line {line}: {}", error.message().lines().next().unwrap_or("not TOML"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, action, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Error::Format { path, reason } => write!(f, "{}: {reason}", path.display()),
            Error::Row { path, line, column, reason } if column.is_empty() => {
                write!(f, "{}, line {line}: {reason}", path.display())
            }
            Error::Row { path, line, column, reason } => {
                write!(f, "{}, line {line}, column {column}: {reason}", path.display())
            }
            Error::Exists { path } => {
                write!(f, "{} already exists: choose another name or pass --force to replace it", path.display())
            }
            Error::Guard { path, source } => write!(f, "{}: {source}", path.display()),
            Error::Subject { guard, reason } => write!(f, "guard {guard}: {reason}"),
            Error::Endpoint { url, reason } => write!(f, "{url}: {reason}"),
            Error::Data { reason } => f.write_str(reason),
            Error::Setting { name, reason } => write!(f, "{name}: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}
