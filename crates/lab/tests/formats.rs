//! Dataset files as people have them: whole, broken, packed, mislabelled. Every message names the place and the fix.

use std::fs;
use std::path::Path;

use levelhead_lab::Error;
use levelhead_lab::read::{ReadOptions, read};
use levelhead_lab::row::{COLUMNS, Dataset, Label, ReadCounts, Row};
use levelhead_lab::write::write;
use parquet::file::reader::{FileReader, SerializedFileReader};

#[path = "formats/faults.rs"]
mod faults;
#[path = "formats/outputs.rs"]
mod outputs;
#[path = "formats/parquet.rs"]
mod parquet_files;

const PLAIN: ReadOptions = ReadOptions { needs_label: false, keep_going: false, repair: false, max_text_bytes: 4 << 20 };
const LABELLED: ReadOptions = ReadOptions { needs_label: true, ..PLAIN };
const GOING: ReadOptions = ReadOptions { keep_going: true, ..LABELLED };

const NOT_UTF8: &str = "not UTF-8: save the column as UTF-8 (a text file with iconv, for instance) or leave it out";
const UNKNOWN: &str = "unknown kind of file: .csv, .jsonl or .parquet is expected (.csv and .jsonl also as .gz or .zst)";
const NO_ROWS: &str = "no rows, a header at most: add rows or name another file";

/// Reads bytes as a file of the given name.
fn read_bytes(name: &str, bytes: &[u8], options: ReadOptions) -> Result<Dataset, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    read(&path, options).map_err(|e| relative(e, dir.path()))
}

/// The error with its path relative to the folder, after a look at the house rules for messages.
fn relative(mut error: Error, dir: &Path) -> Error {
    let message = error.to_string();
    assert!(message.contains(&dir.display().to_string()), "names no file: {message}");
    assert!(!message.ends_with('.'), "full stop: {message}");
    assert!(message.len() < 2000, "endless: {} bytes", message.len());
    match &mut error {
        Error::Io { path, .. } | Error::Format { path, .. } | Error::Row { path, .. } | Error::Exists { path } => {
            *path = path.strip_prefix(dir).unwrap().to_path_buf();
        }
        other => panic!("{other:?}"),
    }
    error
}

fn check_message(name: &str, bytes: &[u8], options: ReadOptions, expected: &str) {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    match read_bytes(name, bytes, options) {
        Ok(data) => panic!("{name} {shown:?}: read {:?} where {expected:?} is expected", data.counts),
        Err(error) => assert_eq!(error.to_string(), expected, "{name} {shown:?}"),
    }
}

fn texts(data: &Dataset) -> Vec<&str> {
    data.rows.iter().map(|r| r.text.as_str()).collect()
}

fn sample() -> (Vec<String>, Vec<Row>) {
    let extra = vec!["zone".to_string(), "id".to_string()];
    let mut rows = vec![
        Row::new("two\r\nlines, a \"quote\" and\ta tab", Label::Attack),
        Row::new(" 数字 📦 \u{2028} ", Label::Benign),
        Row::new("", Label::Benign),
    ];
    rows[0].family = "role_persona".into();
    rows[0].confidence = 0.1 + 0.2;
    rows[1].notes = "HARD NEGATIVE: \\ 'x'".into();
    rows[1].source = "a,b".into();
    rows[2].label = None;
    for (i, row) in rows.iter_mut().enumerate() {
        row.extra = [format!("z{i}").into(), "".into()].into();
    }
    (extra, rows)
}

const WRITABLE: [&str; 8] = ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz", "a.csv.zst", "a.jsonl.gz", "a.jsonl.zst", "A.NDJSON"];

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (extra, rows) = sample();
    for name in WRITABLE {
        let path = dir.path().join(name);
        write(&path, &extra, &rows, false).unwrap();
        let data = read(&path, PLAIN).unwrap();
        assert_eq!(data.rows, rows, "{name}");
        assert_eq!(data.extra, extra, "{name}");
        assert_eq!(data.counts, ReadCounts { read: 3, kept: 3, repaired: 0, rejected: 0 }, "{name}");
        assert_eq!(data.blake3, blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string(), "{name}");
    }
}

#[test]
fn columns_are_written_in_the_order_of_the_schema() {
    let dir = tempfile::tempdir().unwrap();
    let (extra, rows) = sample();
    let expected: Vec<&str> = COLUMNS.into_iter().chain(["zone", "id"]).collect();
    for name in ["a.csv", "a.jsonl", "a.parquet"] {
        let path = dir.path().join(name);
        write(&path, &extra, &rows, false).unwrap();
        let bytes = fs::read(&path).unwrap();
        let first_line = String::from_utf8_lossy(&bytes).lines().next().unwrap().to_string();
        let found: Vec<String> = match name {
            "a.csv" => first_line.split(',').map(str::to_string).collect(),
            "a.jsonl" => {
                let mut at: Vec<_> = expected.iter().map(|c| (first_line.find(&format!("\"{c}\":")).unwrap(), c)).collect();
                at.sort();
                at.into_iter().map(|(_, c)| c.to_string()).collect()
            }
            _ => {
                let file = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
                file.metadata().file_metadata().schema().get_fields().iter().map(|f| f.name().to_string()).collect()
            }
        };
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn unusual_files_are_read() {
    type Names = &'static [&'static str];
    let rows: [(&str, &[u8], Names, Names); 9] = [
        ("a.csv", b"\xef\xbb\xbftext\nx\n", &["x"], &[]),
        ("a.csv", b"\xef\xbb\xbf\"text\",b\r\n\"x\r\ny\",1\r\n", &["x\r\ny"], &["b"]),
        ("a.csv", b"label,b,text\n1,,x", &["x"], &["b"]),
        ("a.csv", b"text\n5\" pipe\n\"say \"\"hi\"\"\"\n", &["5\" pipe", "say \"hi\""], &[]),
        ("a.csv", b"text\nx\n\"\"\n", &["x", ""], &[]),
        ("a.jsonl", b"\xef\xbb\xbf{\"text\":\"x\"}", &["x"], &[]),
        ("a.jsonl", b"{\"z\":[1],\"text\":\"x\",\"a\":null}\n", &["x"], &["z", "a"]),
        ("a.jsonl", b"{\"text\":null}\n{\"text\":\"y\",\"label\":true}\n", &["", "y"], &[]),
        ("a.NDJSON", b"{\"text\":\"\\u0041\"}\n", &["A"], &[]),
    ];
    for (name, bytes, expected, extra) in rows {
        let data = read_bytes(name, bytes, PLAIN).unwrap();
        assert_eq!(texts(&data), expected, "{:?}", String::from_utf8_lossy(bytes));
        assert_eq!(data.extra, extra, "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn keys_that_only_later_rows_have_become_columns() {
    let lines = br#"{"text":"a"}
{"text":"b","label":1,"id":7}
{"text":"c","id":"8","lang":"en"}
"#;
    let data = read_bytes("a.jsonl", lines, PLAIN).unwrap();
    assert_eq!(data.extra, ["id", "lang"]);
    let values = |column| data.rows.iter().map(|r| data.extra(r, column).unwrap_or("")).collect::<Vec<_>>();
    assert_eq!((values("id"), values("lang")), (vec!["", "7", "8"], vec!["", "", "en"]));
    assert_eq!(data.rows.iter().map(|r| r.label).collect::<Vec<_>>(), [None, Some(Label::Attack), None]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    write(&path, &data.extra, &data.rows, false).unwrap();
    assert_eq!(read(&path, PLAIN).unwrap().extra, ["id", "lang"]);
}

#[test]
fn rows_at_fault_are_rejected_and_counted() {
    let csv: &[u8] = b"text,label,confidence,id\nok,0,,1\nbad,2,,2\n\xff,1,,3\nshort,1\n\nlast,1,7,4\nfine,1,0.5,5\nid,1,,\xff\n";
    let jsonl: &[u8] = b"broken\n{\"text\":\"ok\",\"label\":0}\n[]\n{\"label\":1,\"new\":1}\n{\"text\":\"fine\",\"label\":1}\n";
    type Reasons = &'static [(u64, &'static str, &'static str, &'static str)];
    let rows: [(&str, &[u8], Reasons); 2] = [
        (
            "a.csv",
            csv,
            &[
                (3, "label", "\"2\" is neither", "bad"),
                (4, "text", "not UTF-8", "\u{fffd}"),
                (5, "", "2 fields, the header has 4", ""),
                (7, "confidence", "\"7\" is no number from 0 to 1", "last"),
                (9, "id", "not UTF-8", "id"),
            ],
        ),
        (
            "a.jsonl",
            jsonl,
            &[(1, "", "not a JSON object", ""), (3, "", "not a JSON object", ""), (4, "text", "no such key, only \"label\"", "")],
        ),
    ];
    for (name, bytes, expected) in rows {
        let data = read_bytes(name, bytes, GOING).unwrap();
        assert_eq!(texts(&data), ["ok", "fine"], "{name}");
        assert_eq!(
            data.counts,
            ReadCounts { read: 2 + expected.len(), kept: 2, repaired: 0, rejected: expected.len() },
            "{name}"
        );
        assert_eq!(data.rejected.len(), expected.len(), "{name}");
        for (found, (line, column, reason, text)) in data.rejected.iter().zip(expected) {
            assert_eq!((found.line, found.column.as_str(), found.text.as_str()), (*line, *column, *text), "{name}");
            assert!(found.reason.starts_with(reason), "{name}: {}", found.reason);
        }
        assert!(!data.extra.contains(&"new".to_string()), "a rejected row adds no column");
        read_bytes(name, bytes, LABELLED).unwrap_err();
    }
    let all = "a.csv: all 2 rows were rejected, the first for this: line 2, column label: \"x\" is neither 0 (benign) nor 1 (attack): write one of them";
    check_message("a.csv", b"text,label\na,x\nb,y\n", GOING, all);
}

#[test]
fn repaired_rows_are_counted_only_where_repair_is_asked_for() {
    let csv = "text,label\ndon\u{e2}\u{20ac}\u{2122}t,0\nplain,0\nna\u{ef}ve,1\nCaf\u{c3}\u{a9},9\n";
    for (repair, first, repaired) in [(false, "don\u{e2}\u{20ac}\u{2122}t", 0), (true, "don\u{2019}t", 1)] {
        let data = read_bytes("a.csv", csv.as_bytes(), ReadOptions { repair, ..GOING }).unwrap();
        assert_eq!(texts(&data), [first, "plain", "na\u{ef}ve"]);
        assert_eq!(data.counts, ReadCounts { read: 4, kept: 3, repaired, rejected: 1 });
    }
}
