//! From rows to CSV, JSONL and Parquet files, plain or compressed, in the schema's order of columns.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde::ser::{SerializeMap, Serializer};

use crate::error::{Error, Result};
use crate::output::Output;
use crate::read::{Format, Packing, format_of};
use crate::row::{COLUMNS, Label, Row};

/// Writes rows to a file whose name says the format. `extra` names the columns of [`Row::extra`].
///
/// # Errors
/// [`Error::Exists`], [`Error::Io`], and [`Error::Format`] for an unknown extension.
pub fn write(path: &Path, extra: &[String], rows: &[Row], force: bool) -> Result<()> {
    let (format, packing) = format_of(path)?;
    let output = Output::prepare(path, force)?;
    write_to(&output, path, (format, packing), extra, rows)?;
    output.finish()
}

/// Writes rows as plain CSV bytes.
pub fn to_csv(extra: &[String], rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_csv(&mut bytes, extra, rows).expect("writing to memory cannot fail");
    bytes
}

fn write_to(output: &Output, path: &Path, (format, packing): (Format, Packing), extra: &[String], rows: &[Row]) -> Result<()> {
    let fault = |e: std::io::Error| Error::write(path, e);
    let file = output.create()?;
    if format == Format::Parquet {
        return write_parquet(file, extra, rows).map_err(|e| parquet_error(path, e));
    }
    let body = |out: &mut dyn Write| match format {
        Format::Jsonl => write_jsonl(out, extra, rows),
        _ => write_csv(out, extra, rows),
    };
    match packing {
        Packing::Plain => {
            let mut file = file;
            body(&mut file).and_then(|()| file.flush()).map_err(fault)
        }
        Packing::Gzip => {
            let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
            body(&mut packed).and_then(|()| packed.finish()?.flush()).map_err(fault)
        }
        Packing::Zstd => {
            let mut packed = zstd::Encoder::new(file, 9).map_err(fault)?;
            body(&mut packed).and_then(|()| packed.finish()?.flush()).map_err(fault)
        }
    }
}

fn label_text(row: &Row) -> &'static str {
    match row.label {
        Some(Label::Benign) => "0",
        Some(Label::Attack) => "1",
        None => "",
    }
}

fn write_csv(out: impl Write, extra: &[String], rows: &[Row]) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(COLUMNS.iter().copied().chain(extra.iter().map(String::as_str)))?;
    for row in rows {
        // The seed's file writes 1.0 and 0.95, as `{:?}` does.
        let confidence = format!("{:?}", row.confidence);
        let known: [&str; COLUMNS.len()] =
            [&row.text, label_text(row), &row.family, &row.category, &row.severity, &confidence, &row.source, &row.notes];
        let values = extra.iter().enumerate().map(|(i, _)| row.extra.get(i).map_or("", |v| v));
        writer.write_record(known.into_iter().chain(values))?;
    }
    writer.flush()
}

fn write_jsonl(out: &mut dyn Write, extra: &[String], rows: &[Row]) -> std::io::Result<()> {
    for row in rows {
        // Entry by entry: a `serde_json::Map` would sort the keys.
        let mut serializer = serde_json::Serializer::new(&mut *out);
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("text", &row.text)?;
        if let Some(label) = row.label {
            object.serialize_entry("label", &u8::from(label == Label::Attack))?;
        }
        for (name, value) in [("family", &row.family), ("category", &row.category), ("severity", &row.severity)] {
            object.serialize_entry(name, &**value)?;
        }
        object.serialize_entry("confidence", &row.confidence)?;
        object.serialize_entry("source", &*row.source)?;
        object.serialize_entry("notes", &*row.notes)?;
        for (i, name) in extra.iter().enumerate() {
            object.serialize_entry(name, row.extra.get(i).map_or("", |v| v))?;
        }
        object.end()?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn write_parquet(file: BufWriter<std::fs::File>, extra: &[String], rows: &[Row]) -> parquet::errors::Result<()> {
    let text_column = |name: &str| {
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(Some(LogicalType::String))
            .build()
            .map(Arc::new)
    };
    let mut fields = Vec::new();
    for name in COLUMNS.iter().copied().chain(extra.iter().map(String::as_str)) {
        fields.push(match name {
            "label" => {
                Arc::new(Type::primitive_type_builder(name, Physical::INT64).with_repetition(Repetition::OPTIONAL).build()?)
            }
            "confidence" => {
                Arc::new(Type::primitive_type_builder(name, Physical::DOUBLE).with_repetition(Repetition::REQUIRED).build()?)
            }
            _ => text_column(name)?,
        });
    }
    let schema = Arc::new(Type::group_type_builder("rows").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut at = 0;
    while let Some(mut column) = group.next_column()? {
        match at {
            1 => {
                let levels: Vec<i16> = rows.iter().map(|r| i16::from(r.label.is_some())).collect();
                let values: Vec<i64> = rows.iter().filter_map(|r| r.label).map(|l| i64::from(l == Label::Attack)).collect();
                column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            }
            5 => {
                let values: Vec<f64> = rows.iter().map(|r| r.confidence).collect();
                column.typed::<DoubleType>().write_batch(&values, None, None)?;
            }
            _ => {
                let values: Vec<ByteArray> =
                    rows.iter().map(|r| ByteArray::from(text_value(r, at).as_bytes().to_vec())).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
        }
        column.close()?;
        at += 1;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

/// The system's refusal as such, so that a full disk reads like one.
fn parquet_error(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(e) => match e.downcast::<std::io::Error>() {
            Ok(io) => Error::write(path, *io),
            Err(e) => Error::format(path, format!("cannot be written as Parquet ({e}): choose .csv or .jsonl")),
        },
        e => Error::format(path, format!("cannot be written as Parquet ({e}): choose .csv or .jsonl")),
    }
}

/// The value of a text column, by its place in the written schema.
fn text_value(row: &Row, at: usize) -> &str {
    match at {
        0 => &row.text,
        2 => &row.family,
        3 => &row.category,
        4 => &row.severity,
        6 => &row.source,
        7 => &row.notes,
        _ => row.extra.get(at - COLUMNS.len()).map_or("", |v| v),
    }
}
