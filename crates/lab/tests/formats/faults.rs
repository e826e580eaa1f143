//! Files at fault: each message names the file, the line, the column and the fix.

use super::*;

const EMPTY: &str = r#"the file is empty: a header with the column "text" is expected"#;

#[test]
fn a_faulty_file_is_named_with_the_place_and_the_fix() {
    let rows: &[(&str, &[u8], ReadOptions, &str, &str)] = &[
        (
            "a.csv",
            b"prompt,label\nx,1\n",
            PLAIN,
            "",
            r#"no column "text", only "prompt", "label": add it, or rename the one that is meant"#,
        ),
        ("a.csv", b"text\nx\n", LABELLED, "", r#"no column "label", only "text": add it, or rename the one that is meant"#),
        (
            "a.csv",
            b"text,label\nx,2\n",
            PLAIN,
            ", line 2, column label",
            r#""2" is neither 0 (benign) nor 1 (attack): write one of them"#,
        ),
        (
            "a.csv",
            b"text,label\nx,yes\n",
            LABELLED,
            ", line 2, column label",
            r#""yes" is neither 0 (benign) nor 1 (attack): write one of them"#,
        ),
        ("a.csv", b"text,label\nx,\n", LABELLED, ", line 2, column label", "is missing: write 0 (benign) or 1 (attack)"),
        ("a.csv", b"text,label\n  ,1\n", LABELLED, ", line 2, column text", "is empty: a labelled row needs a prompt"),
        ("a.csv", b"", PLAIN, "", EMPTY),
        ("a.csv", b"\xef\xbb\xbf\r\n", PLAIN, "", EMPTY),
        ("a.csv", b"text,label\n", LABELLED, "", NO_ROWS),
        ("a.csv", b"text,label", LABELLED, "", NO_ROWS),
        ("a.csv", b"text,label\nok,0\ncaf\xe9,1\n", PLAIN, ", line 3, column text", NOT_UTF8),
        ("a.csv", b"text,nom\nx,caf\xe9\n", PLAIN, ", line 2, column nom", NOT_UTF8),
        (
            "a.csv",
            b"text,caf\xe9\nx,1\n",
            PLAIN,
            ", line 1",
            "the name \"caf\u{fffd}\" is not UTF-8: save the file as UTF-8, for instance with iconv",
        ),
        ("a.csv", b"text\nx\0y\n", PLAIN, ", line 2, column text", "holds a NUL byte: remove it"),
        ("a.csv", b"text,id,id\nx,1,2\n", PLAIN, "", r#"column "id" stands twice in the header: rename or remove one"#),
        (
            "a.csv",
            b"text,label\nx,1\nx,y,1\n",
            PLAIN,
            ", line 3",
            r#"3 fields, the header has 2 ("text", "label"): put a field with a comma or a quote in it in quotes"#,
        ),
        (
            "a.csv",
            b"text,confidence\nx,1.5\n",
            PLAIN,
            ", line 2, column confidence",
            r#""1.5" is no number from 0 to 1: write 1.0 where the label is sure"#,
        ),
        (
            "a.csv",
            b"text,confidence\nx,NaN\n",
            PLAIN,
            ", line 2, column confidence",
            r#""NaN" is no number from 0 to 1: write 1.0 where the label is sure"#,
        ),
        (
            "a.csv",
            b"label,text\n0,ok\n1,\"open\n1,x\n",
            GOING,
            ", line 3, column text",
            "a quote of this row is never closed, so it holds the rest of the file: close it or remove it",
        ),
        ("a.csv", b"text,\"label\nx,1\n", PLAIN, "", "a quote in the header is never closed: close it or remove it"),
        ("a.jsonl", b"", PLAIN, "", r#"the file is empty: a JSON object a line is expected, like {"text": "…"}"#),
        (
            "a.jsonl",
            b"\n\nnot json\n",
            PLAIN,
            ", line 3",
            r#"not a JSON object like {"text": "…"}: expected ident, at byte 2 of the line"#,
        ),
        (
            "a.jsonl",
            b"{\"text\":\"x\"}\n[1]\n",
            PLAIN,
            ", line 2",
            r#"not a JSON object like {"text": "…"}: invalid type: sequence, expected an object"#,
        ),
        (
            "a.jsonl",
            b"{\"text\":\"x\"}\n{\"text\":\"y\"",
            PLAIN,
            ", line 2",
            r#"not a JSON object like {"text": "…"}: EOF while parsing an object, at byte 11 of the line"#,
        ),
        (
            "a.jsonl",
            b"{\"text\":\"x\",\"id\":1,\"id\":2}\n",
            PLAIN,
            ", line 1",
            r#"not a JSON object like {"text": "…"}: key "id" stands twice, remove one, at byte 26 of the line"#,
        ),
        (
            "a.jsonl",
            b"{\"text\":\"x\"}\n{\"txt\":\"y\"}\n",
            PLAIN,
            ", line 2, column text",
            r#"no such key, only "txt": add it, or rename the one that is meant"#,
        ),
        ("a.jsonl", b"{\"text\":5}\n", PLAIN, ", line 1, column text", "\"5\" is no string: put the prompt in quotes"),
        ("a.jsonl", b"{\"text\":\"x\"}\n", LABELLED, ", line 1, column label", "is missing: write 0 (benign) or 1 (attack)"),
        ("a.jsonl", b"{\"id\":1,\"text\":\"\xe9\"}\n", PLAIN, ", line 1, column text", NOT_UTF8),
        ("a.txt", b"x\n", PLAIN, "", UNKNOWN),
        ("a.parquet.gz", b"x", PLAIN, "", UNKNOWN),
        (
            "a.parquet",
            b"text\nx\n",
            PLAIN,
            "",
            "not a whole Parquet file (EOF: Parquet file too small. Size is 7 but need 8): copy or write it again",
        ),
        ("a.csv.gz", b"text,label\nx,1\n", PLAIN, "", "not whole gzip data (invalid gzip header): copy or pack the file again"),
        (
            "a.jsonl.zst",
            b"text\nx\n",
            PLAIN,
            "",
            "not whole Zstandard data (Unknown frame descriptor): copy or pack the file again",
        ),
    ];
    for (name, bytes, options, place, reason) in rows {
        check_message(name, bytes, *options, &format!("{name}{place}: {reason}"));
    }
}

#[test]
fn a_row_is_named_by_the_line_on_which_it_begins() {
    let rows: [(&str, &[u8], u64); 8] = [
        ("a.csv", b"text,label\n\"a\nb\nc\",0\nx,2\n", 5),
        ("a.csv", b"text,label\r\n\"a\r\nb\",0\r\nx,2\r\n", 4),
        ("a.csv", b"text,label\n\n\na,0\n\nx,2", 6),
        ("a.csv", b"text,label\r\n\r\na,0\r\n\"x\r\ny\",2", 4),
        ("a.csv", b"text,label\na,0\n\"x\ny\",0,0\n", 3),
        ("a.csv", b"\xef\xbb\xbftext,label\r\nx,2", 2),
        ("a.jsonl", b"\n{\"text\":\"a\"}\r\n\r\n{\"text\":\"x\",\"label\":2}", 4),
        ("a.jsonl", b"\xef\xbb\xbf{\"text\":\"x\",\"label\":2}", 1),
    ];
    for (name, bytes, expected) in rows {
        let shown = String::from_utf8_lossy(bytes);
        match read_bytes(name, bytes, PLAIN) {
            Err(Error::Row { line, .. }) => assert_eq!(line, expected, "{shown:?}"),
            other => panic!("{shown:?}: {other:?}"),
        }
    }
    // Beyond the reader's buffer, too: rows of 7 bytes on two lines each.
    let mut many = b"text,label\r\n".to_vec();
    for _ in 0..50_000 {
        many.extend(b"\"a\nb\",0\r\n");
    }
    many.extend(b"x,2");
    assert!(matches!(read_bytes("a.csv", &many, PLAIN), Err(Error::Row { line: 100_002, .. })));
}

#[test]
fn a_line_of_ten_megabytes_is_refused_with_the_option_that_takes_it() {
    let long = "x".repeat(10_000_000);
    let reason = "column text: 10000000 bytes, more than the 4194304 that are taken: split the text or raise --max-text-bytes";
    for (name, file, line) in [
        ("a.csv", format!("text\nok\n{long}\n"), 3),
        ("a.jsonl", format!("{{\"text\":\"{long}\"}}\n"), 1),
        ("a.csv", format!("text\n{}{long}\n", "\n".repeat(3)), 5),
    ] {
        check_message(name, file.as_bytes(), PLAIN, &format!("{name}, line {line}, {reason}"));
        let taken = read_bytes(name, file.as_bytes(), ReadOptions { max_text_bytes: long.len(), ..PLAIN }).unwrap();
        assert_eq!(taken.rows.last().unwrap().text.len(), long.len(), "{name}");
    }
    // As a header, a label or broken JSON, a long line is cut in the message; read_bytes checks the length.
    for (name, file) in [
        ("a.csv", format!("{long}\nx\n")),
        ("a.csv", "a,".repeat(5_000_000)),
        ("a.csv", format!("text,label\nx,{long}\n")),
        ("a.jsonl", format!("{long}\n")),
        ("a.jsonl", format!("{{\"{long}\":1}}\n")),
    ] {
        read_bytes(name, file.as_bytes(), PLAIN).unwrap_err();
    }
}

#[test]
fn paths_that_cannot_be_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder.csv")).unwrap();
    for (name, expected) in [
        ("folder.csv", "folder.csv: is a folder: name one of the files in it"),
        ("", ": is a folder: name one of the files in it"),
        ("none.csv", "cannot read none.csv: No such file or directory (os error 2)"),
        ("none.jsonl.gz", "cannot read none.jsonl.gz: No such file or directory (os error 2)"),
        ("none.parquet", "cannot read none.parquet: No such file or directory (os error 2)"),
    ] {
        let error = read(&dir.path().join(name), PLAIN).unwrap_err();
        assert_eq!(relative(error, dir.path()).to_string(), expected);
    }
}

#[test]
fn a_packed_file_cut_anywhere_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (extra, rows) = sample();
    for name in ["a.csv.gz", "a.csv.zst", "a.jsonl.gz", "a.jsonl.zst"] {
        let path = dir.path().join(name);
        write(&path, &extra, &rows, false).unwrap();
        let whole = fs::read(&path).unwrap();
        for n in 0..whole.len() {
            let message = read_bytes(name, &whole[..n], GOING).unwrap_err().to_string();
            let named = message.contains("not whole") || (n == 0 && message.contains("the file is empty"));
            assert!(named, "{name} cut to {n} of {} bytes: {message}", whole.len());
        }
    }
}
