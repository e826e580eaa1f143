//! Parquet files that other programs write: other types, many row groups, damage.

use std::sync::Arc;

use levelhead_lab::read::RowReader;
use parquet::basic::{ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::*;

/// One column's values.
#[derive(Clone)]
enum Values {
    Bytes(Vec<&'static [u8]>),
    Nullable(Vec<Option<&'static str>>),
    Repeated(Vec<&'static str>),
    Int64(Vec<i64>),
    Timestamp(Vec<i64>),
    Date(Vec<i32>),
    Bool(Vec<bool>),
    Double(Vec<f64>),
}

use Values::*;

impl Values {
    fn field(&self, name: &str) -> Type {
        let (physical, repetition, converted) = match self {
            Bytes(_) => (Physical::BYTE_ARRAY, Repetition::REQUIRED, ConvertedType::NONE),
            Nullable(_) => (Physical::BYTE_ARRAY, Repetition::OPTIONAL, ConvertedType::UTF8),
            Repeated(_) => (Physical::BYTE_ARRAY, Repetition::REPEATED, ConvertedType::UTF8),
            Int64(_) => (Physical::INT64, Repetition::REQUIRED, ConvertedType::NONE),
            Timestamp(_) => (Physical::INT64, Repetition::REQUIRED, ConvertedType::TIMESTAMP_MILLIS),
            Date(_) => (Physical::INT32, Repetition::REQUIRED, ConvertedType::DATE),
            Bool(_) => (Physical::BOOLEAN, Repetition::REQUIRED, ConvertedType::NONE),
            Double(_) => (Physical::DOUBLE, Repetition::REQUIRED, ConvertedType::NONE),
        };
        Type::primitive_type_builder(name, physical).with_repetition(repetition).with_converted_type(converted).build().unwrap()
    }
}

/// A Parquet file with the given columns, repeated in as many row groups as asked for.
fn parquet_bytes(columns: &[(&str, Values)], n_groups: usize) -> Vec<u8> {
    let fields = columns.iter().map(|(name, values)| Arc::new(values.field(name))).collect();
    let schema = Arc::new(Type::group_type_builder("rows").with_fields(fields).build().unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Default::default()).unwrap();
    for _ in 0..n_groups {
        let mut group = writer.next_row_group().unwrap();
        for (_, values) in columns {
            let mut column = group.next_column().unwrap().unwrap();
            let strings = |v: &[&str]| v.iter().map(|s| ByteArray::from(*s)).collect::<Vec<_>>();
            match values {
                Bytes(v) => {
                    let v: Vec<ByteArray> = v.iter().map(|b| b.to_vec().into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&v, None, None)
                }
                Nullable(v) => {
                    let levels: Vec<i16> = v.iter().map(|s| s.is_some().into()).collect();
                    let known: Vec<&str> = v.iter().flatten().copied().collect();
                    column.typed::<ByteArrayType>().write_batch(&strings(&known), Some(&levels), None)
                }
                Repeated(v) => {
                    let (one, zero) = (vec![1; v.len()], vec![0; v.len()]);
                    column.typed::<ByteArrayType>().write_batch(&strings(v), Some(&one), Some(&zero))
                }
                Int64(v) | Timestamp(v) => column.typed::<Int64Type>().write_batch(v, None, None),
                Date(v) => column.typed::<Int32Type>().write_batch(v, None, None),
                Bool(v) => column.typed::<BoolType>().write_batch(v, None, None),
                Double(v) => column.typed::<DoubleType>().write_batch(v, None, None),
            }
            .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

#[test]
fn a_column_of_the_wrong_type_is_named() {
    let text = ("text", Bytes(vec![b"x"]));
    let missing = r#"no column "label", only "text": add it, or rename the one that is meant"#;
    let no_label = r#""2.0" is neither 0 (benign) nor 1 (attack): write one of them"#;
    let lists = r#"column "tags" holds lists or groups: turn it into strings or leave it out"#;
    let rows = [
        (
            vec![("text", Int64(vec![5]))],
            PLAIN,
            r#"a.parquet: column "text" is INT64: write it as a column of strings"#.to_string(),
        ),
        (vec![text.clone(), ("tags", Repeated(vec!["t"]))], PLAIN, format!("a.parquet: {lists}")),
        (vec![text.clone()], LABELLED, format!("a.parquet: {missing}")),
        (vec![text.clone(), ("label", Double(vec![2.0]))], PLAIN, format!("a.parquet, line 1, column label: {no_label}")),
        (vec![("text", Bytes(vec![b"x", b"\xff"]))], PLAIN, format!("a.parquet, line 2, column text: {NOT_UTF8}")),
        (vec![text.clone(), ("raw", Bytes(vec![b"\xff"]))], PLAIN, format!("a.parquet, line 1, column raw: {NOT_UTF8}")),
        (
            vec![text.clone(), text.clone()],
            PLAIN,
            r#"a.parquet: column "text" stands twice in the header: rename or remove one"#.to_string(),
        ),
        (vec![("text", Bytes(vec![]))], PLAIN, format!("a.parquet: {NO_ROWS}")),
    ];
    for (columns, options, expected) in rows {
        check_message("a.parquet", &parquet_bytes(&columns, 1), options, &expected);
    }
}

#[test]
fn columns_of_many_types_are_carried_through_as_text() {
    let day = 18_628; // 2021-01-01, as `date -d 2021-01-01 +%s` / 86400 says.
    let columns = [
        ("text", Nullable(vec![Some("a"), None, Some("c")])),
        ("label", Bool(vec![true, false, true])),
        ("confidence", Double(vec![1.0, 0.25, 0.0])),
        ("n", Int64(vec![i64::MIN, 0, 7])),
        ("seen", Timestamp(vec![day * 86_400_000, 0, i64::MAX])),
        ("day", Date(vec![day as i32, 0, i32::MIN])),
    ];
    let data = read_bytes("a.parquet", &parquet_bytes(&columns, 1), PLAIN).unwrap();
    assert_eq!(texts(&data), ["a", "", "c"]);
    assert_eq!(data.rows.iter().map(Row::is_attack).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(data.rows.iter().map(|r| r.confidence).collect::<Vec<_>>(), [1.0, 0.25, 0.0]);
    let values = |column| data.rows.iter().map(|r| data.extra(r, column).unwrap()).collect::<Vec<_>>();
    assert_eq!(values("n"), ["-9223372036854775808", "0", "7"]);
    assert_eq!(values("seen"), ["2021-01-01 00:00:00.000 +00:00", "1970-01-01 00:00:00.000 +00:00", "9223372036854775807"]);
    assert_eq!(values("day"), ["2021-01-01", "1970-01-01", "-2147483648"]);
}

#[test]
fn row_groups_are_read_on_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    // 600 rows a group: more than one batch, and no multiple of one.
    let text: Vec<&[u8]> = (0..600)
        .map(|i| {
            if i == 599 {
                &b"last"[..]
            } else if i == 300 {
                b"\xff"
            } else {
                b"x"
            }
        })
        .collect();
    let ids = Int64((0..600).collect());
    fs::write(&path, parquet_bytes(&[("text", Bytes(text)), ("label", Int64(vec![1; 600])), ("id", ids)], 3)).unwrap();
    let mut reader = RowReader::open(&path, GOING).unwrap();
    let mut ids = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        assert_eq!(row.text == "last", &*row.extra[0] == "599");
        ids.push(row.extra[0].parse::<i64>().unwrap());
    }
    let expected: Vec<i64> = (0..3).flat_map(|_| (0..600).filter(|i| *i != 300)).collect();
    assert_eq!(ids, expected);
    assert_eq!(reader.counts, ReadCounts { read: 1800, kept: 1797, repaired: 0, rejected: 3 });
    let rejected: Vec<_> = reader.rejected.iter().map(|r| (r.line, r.column.as_str(), r.text.as_str())).collect();
    assert_eq!(rejected, [(301, "text", "\u{fffd}"), (901, "text", "\u{fffd}"), (1501, "text", "\u{fffd}")]);
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let columns = [
        ("text", Nullable(vec![Some("one"), None, Some("three"), Some("one")])),
        ("label", Int64(vec![0, 1, 0, 1])),
        ("id", Bytes(vec![b"a", b"b", b"c", b"d"])),
    ];
    let whole = parquet_bytes(&columns, 2);
    for n in 0..whole.len() {
        let message = read_bytes("a.parquet", &whole[..n], PLAIN).unwrap_err().to_string();
        assert!(
            message.starts_with("a.parquet: not a whole Parquet file (") && message.ends_with("write it again"),
            "{n}: {message}"
        );
    }
    // A hole in the pages, with the footer whole: whatever is found, it is no panic.
    for at in 0..whole.len() {
        for value in [0x00, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            let _ = read_bytes("a.parquet", &damaged, GOING);
        }
    }
}
