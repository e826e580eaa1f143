//! Outputs that cannot be written: the reason is named, and what was there stays.

use super::*;

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    fs::create_dir(dir.path().join("folder.csv")).unwrap();
    let there = dir.path().display();
    let long = format!("{}.csv", "n".repeat(250));
    let rows = [
        ("none/a.csv", format!("none/a.csv: folder {there}/none is not there: create it first")),
        ("file/a.csv", format!("file/a.csv: folder {there}/file is not there: create it first")),
        (
            "folder.csv",
            "folder.csv: this folder was not written by levelhead, so it is not replaced: choose another name".to_string(),
        ),
        ("a.txt", format!("a.txt: {UNKNOWN}")),
        (&long, format!("cannot write {long}: File name too long (os error 36)")),
    ];
    for (name, expected) in &rows {
        let error = write(&dir.path().join(name), &[], &sample().1, true).unwrap_err();
        assert_eq!(relative(error, dir.path()).to_string(), *expected);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn an_output_that_is_there_is_replaced_only_by_force() {
    let dir = tempfile::tempdir().unwrap();
    let (extra, rows) = sample();
    for name in WRITABLE {
        let path = dir.path().join(name);
        fs::write(&path, "old").unwrap();
        let error = relative(write(&path, &extra, &rows, false).unwrap_err(), dir.path());
        assert_eq!(error.to_string(), format!("{name} already exists: choose another name or pass --force to replace it"));
        assert_eq!(fs::read(&path).unwrap(), b"old", "{name}");
        write(&path, &extra, &rows, true).unwrap();
        assert_eq!(read(&path, PLAIN).unwrap().rows, rows, "{name}");
    }
}

/// Writes under a limit of 8 KiB a file, which the shell sets before it runs this one test again.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_half_way_leaves_nothing_behind() {
    const FOLDER: &str = "LEVELHEAD_LIMITED_FOLDER";
    let names = ["a.csv", "a.jsonl", "a.parquet", "a.csv.gz", "a.csv.zst"];
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = Path::new(&folder);
        // Texts that no packing makes small.
        let text = |i: u32| blake3::hash(&i.to_le_bytes()).to_hex().to_string();
        for n in [1000, 40_000] {
            let rows: Vec<Row> = (0..n).map(|i| Row::new(text(i), Label::Attack)).collect();
            for name in names {
                let error = write(&folder.join(name), &[], &rows, true).unwrap_err();
                let message = relative(error, folder).to_string();
                assert_eq!(message, format!("cannot write {name}: File too large (os error 27)"), "{n} rows");
            }
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.csv"), "old").unwrap();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            r#"trap "" XFSZ; ulimit -f 16; exec "$0" --exact outputs::a_write_that_fails_half_way_leaves_nothing_behind"#,
        ])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}");
    assert_eq!(fs::read(dir.path().join("a.csv")).unwrap(), b"old");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
