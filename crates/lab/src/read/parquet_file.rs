//! The raw rows of a Parquet file, decoded in batches by column. Never holds more than a batch and a page of each column.
//!
//! The crate's own row iterator was rejected: it panics on dates out of range, ends at the first text that is not UTF-8,
//! and takes twice as long.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{ColumnDescPtr, Type};

use super::record::{Record, Value, quoted};
use crate::error::{Error, Result};

/// Rows decoded at once: few enough for texts of megabytes, enough to make the calls cheap.
const BATCH: usize = 256;

/// A Parquet file's raw rows.
pub(super) struct ParquetFile {
    reader: SerializedFileReader<File>,
    next_group: usize,
    columns: Vec<Column>,
    /// Rows of the current group that are not decoded yet.
    n_left: usize,
    /// Rows handed out.
    row: u64,
}

/// A column of the current row group.
struct Column {
    descriptor: ColumnDescPtr,
    reader: ColumnReader,
    batch: std::vec::IntoIter<Value>,
}

impl ParquetFile {
    /// Opens a file and reads its schema.
    pub fn open(path: &Path) -> Result<(ParquetFile, Vec<String>)> {
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        let reader = no_panic(|| SerializedFileReader::new(file))
            .map_err(|e| fault(path, e, "not a whole Parquet file", "copy or write it again"))?;
        let fields = reader.metadata().file_metadata().schema().get_fields();
        for field in fields {
            let name = quoted(field.name());
            if !field.is_primitive() || repetition(field) == Repetition::REPEATED {
                let reason = format!("column {name} holds lists or groups: turn it into strings or leave it out");
                return Err(Error::format(path, reason));
            }
            if field.name() == "text" && field.get_physical_type() != Physical::BYTE_ARRAY {
                let found = field.get_physical_type();
                return Err(Error::format(path, format!("column {name} is {found}: write it as a column of strings")));
            }
        }
        let header = fields.iter().map(|f| f.name().to_string()).collect();
        Ok((ParquetFile { reader, next_group: 0, columns: Vec::new(), n_left: 0, row: 0 }, header))
    }

    /// The next row.
    pub fn next(&mut self, path: &Path) -> Result<Option<Record>> {
        let row = self.row;
        let values = no_panic(|| self.values()).map_err(|e| {
            let what = format!("cannot be read on after row {row}");
            fault(path, e, &what, "the file is damaged or in a form that is not supported, write it again")
        })?;
        self.row += 1;
        Ok(values.map(|values| Record { line: self.row, values: Ok(values) }))
    }

    fn values(&mut self) -> ParquetResult<Option<Vec<Value>>> {
        if self.columns.iter().all(|column| column.batch.len() == 0) {
            while self.n_left == 0 {
                if self.next_group == self.reader.num_row_groups() {
                    return Ok(None);
                }
                self.open_group()?;
            }
            let n = self.n_left.min(BATCH);
            for column in &mut self.columns {
                column.batch = column.decode(n)?.into_iter();
            }
            self.n_left -= n;
        }
        // Each batch was checked to hold the same number of rows.
        Ok(self.columns.iter_mut().map(|column| column.batch.next()).collect())
    }

    fn open_group(&mut self) -> ParquetResult<()> {
        let group = self.reader.get_row_group(self.next_group)?;
        self.n_left = usize::try_from(group.metadata().num_rows())?;
        self.columns = (0..group.num_columns())
            .map(|i| {
                let descriptor = group.metadata().column(i).column_descr_ptr();
                Ok(Column { descriptor, reader: group.get_column_reader(i)?, batch: Vec::new().into_iter() })
            })
            .collect::<ParquetResult<_>>()?;
        self.next_group += 1;
        Ok(())
    }
}

impl Column {
    fn decode(&mut self, n: usize) -> ParquetResult<Vec<Value>> {
        let d = &self.descriptor;
        let is_label = d.name() == "label";
        match &mut self.reader {
            // A label is 0 or 1, whatever its type.
            ColumnReader::BoolColumnReader(r) if is_label => batch(r, d, n, |v| Ok(u8::from(v).to_string())),
            ColumnReader::BoolColumnReader(r) => batch(r, d, n, |v| Ok(v.to_string())),
            ColumnReader::Int32ColumnReader(r) => batch(r, d, n, |v| Ok(number(&Field::convert_int32(d, v)))),
            ColumnReader::Int64ColumnReader(r) => batch(r, d, n, |v| Ok(number(&Field::convert_int64(d, v)))),
            ColumnReader::Int96ColumnReader(r) => batch(r, d, n, |v| Ok(number(&Field::convert_int96(d, v)))),
            ColumnReader::FloatColumnReader(r) => batch(r, d, n, |v| Ok(format!("{v:?}"))),
            ColumnReader::DoubleColumnReader(r) => batch(r, d, n, |v| Ok(format!("{v:?}"))),
            ColumnReader::ByteArrayColumnReader(r) => batch(r, d, n, |v| bytes(d, v)),
            ColumnReader::FixedLenByteArrayColumnReader(r) => batch(r, d, n, |v| bytes(d, v.into())),
        }
    }
}

/// The next `n` values of a column, with empty text for null.
fn batch<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    descriptor: &ColumnDescPtr,
    n: usize,
    text: impl Fn(T::T) -> Value,
) -> ParquetResult<Vec<Value>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (n_read, ..) = reader.read_records(n, Some(&mut levels), None, &mut values)?;
    if n_read != n {
        let name = quoted(descriptor.name());
        return Err(ParquetError::General(format!("column {name} has {n_read} values where {n} rows follow")));
    }
    let mut values = values.into_iter().map(text);
    if descriptor.max_def_level() == 0 {
        return Ok(values.collect());
    }
    let empty = || Ok(String::new());
    Ok(levels.iter().map(|level| if *level == 0 { empty() } else { values.next().unwrap_or_else(empty) }).collect())
}

/// A number, a date or a time. Formatting a date out of the calendar's range would panic, so it stays a number.
fn number(field: &Field) -> String {
    // chrono counts some 262,000 years to either side of 1970: 9.5e7 days, 8.2e15 ms, 8.2e18 us.
    match field {
        Field::Date(days) if days.unsigned_abs() > 90_000_000 => days.to_string(),
        Field::TimestampMillis(ms) if ms.unsigned_abs() > 8_000_000_000_000_000 => ms.to_string(),
        Field::TimestampMicros(us) if us.unsigned_abs() > 8_000_000_000_000_000_000 => us.to_string(),
        other => other.to_string(),
    }
}

fn bytes(descriptor: &ColumnDescPtr, value: ByteArray) -> Value {
    let decimal = descriptor.converted_type() == ConvertedType::DECIMAL;
    let half = descriptor.logical_type_ref() == Some(&LogicalType::Float16);
    if decimal || half {
        return Field::convert_byte_array(descriptor, value.clone())
            .map_or_else(|_| Err(value.data().to_vec()), |f| Ok(f.to_string()));
    }
    String::from_utf8(value.data().to_vec()).map_err(|e| e.into_bytes())
}

/// Runs the decoder. It panics on some damaged files (parquet 60.1.0: a dictionary shorter than it claims, a negative
/// offset), where an error must name the file. After an error nobody reads on, so the decoder's state does not matter.
fn no_panic<T>(decode: impl FnOnce() -> ParquetResult<T>) -> ParquetResult<T> {
    let failed = |_| Err(ParquetError::General("its parts contradict each other".to_string()));
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(failed)
}

fn repetition(field: &Type) -> Repetition {
    let info = field.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}

/// The system's own fault as such; any other as one of the file's form.
fn fault(path: &Path, error: ParquetError, what: &str, fix: &str) -> Error {
    match error {
        ParquetError::External(e) => match e.downcast::<std::io::Error>() {
            Ok(io) if io.raw_os_error().is_some() => Error::read(path, *io),
            Ok(io) => Error::format(path, format!("{what} ({io}): {fix}")),
            Err(e) => Error::format(path, format!("{what} ({e}): {fix}")),
        },
        e => Error::format(path, format!("{what} ({e}): {fix}")),
    }
}
