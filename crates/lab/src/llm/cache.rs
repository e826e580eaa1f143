//! Answers that were paid, one a line of a JSONL file. A line is written at once; what stands there is never asked again.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::template::Message;
use crate::error::{Error, Result};

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What was asked: see [`key`].
    pub key: String,
    /// What the model wrote, as it came; nothing where the calls were in vain.
    pub answer: Option<String>,
    /// Calls that it took: they count against the budget of later runs too.
    pub calls: usize,
    /// Tokens that it took.
    pub tokens: usize,
    /// Whether the tokens are an estimate.
    pub is_estimated: bool,
}

/// The beginning of every line.
const OPENING: &str = "{\"key\":";

/// BLAKE3 of all that an answer depends on, in hexadecimal.
pub(crate) fn key(settings: &Settings, messages: &[Message; 2], n: usize) -> String {
    let all = (&settings.base_url, &settings.model, settings.temperature, messages, n);
    blake3::hash(&serde_json::to_vec(&all).expect("strings and finite numbers are JSON")).to_hex().to_string()
}

/// The answers of a file.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    known: HashMap<String, Entry>,
    /// Bytes of whole lines.
    n_whole: u64,
    /// Whether the last line was cut off, as when a run is killed while it writes.
    pub is_cut: bool,
}

impl Cache {
    /// Reads the file; one that is not there holds nothing, and its folder must be.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Row`] for a line that was not written by Levelhead.
    pub fn read(path: &Path) -> Result<Cache> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => return Err(Error::write(path, e)),
                _ => Vec::new(),
            },
            Err(e) => return Err(Error::read(path, e)),
        };
        let mut cache = Cache { path: path.to_path_buf(), known: HashMap::new(), n_whole: 0, is_cut: false };
        for (i, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let is_last = cache.n_whole as usize + line.len() == bytes.len();
            let is_begun = line.starts_with(OPENING.as_bytes()) || OPENING.as_bytes().starts_with(line);
            match serde_json::from_slice::<Entry>(line) {
                Ok(entry) if line.ends_with(b"\n") => {
                    let calls = cache.known.get(&entry.key).map_or(0, |earlier| earlier.calls);
                    cache.known.insert(entry.key.clone(), Entry { calls: calls + entry.calls, ..entry });
                }
                _ if is_last && !line.ends_with(b"\n") && is_begun => {
                    cache.is_cut = true;
                    break;
                }
                _ => {
                    let reason = "is no stored answer of a model: name another file as cache, or remove the line";
                    let path = path.to_path_buf();
                    return Err(Error::Row { path, line: i as u64 + 1, column: String::new(), reason: reason.into() });
                }
            }
            cache.n_whole += line.len() as u64;
        }
        Ok(cache)
    }

    /// What became of what was asked before.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.known.get(key)
    }

    /// Opens the file for new answers; a line that was cut off makes way for them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn writer(&mut self) -> Result<Writer> {
        let fault = |e| Error::write(&self.path, e);
        let file = File::options().create(true).append(true).open(&self.path).map_err(fault)?;
        if self.is_cut {
            file.set_len(self.n_whole).map_err(fault)?;
            self.is_cut = false;
        }
        Ok(Writer { path: self.path.clone(), file: Mutex::new(file) })
    }
}

/// Takes new answers, from any thread.
#[derive(Debug)]
pub(crate) struct Writer {
    path: PathBuf,
    file: Mutex<File>,
}

impl Writer {
    /// Writes an answer, whole and at once.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn push(&self, entry: &Entry) -> Result<()> {
        let mut line = serde_json::to_vec(entry).expect("strings and numbers are JSON");
        line.push(b'\n');
        let mut file = self.file.lock().expect("no panic while held");
        file.write_all(&line).and_then(|()| file.flush()).map_err(|e| Error::write(&self.path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Request;

    fn entry(key: &str) -> Entry {
        Entry { key: key.into(), answer: Some("[\"a\\n\u{2028}\"]".into()), calls: 2, tokens: 40, is_estimated: true }
    }

    #[test]
    fn a_key_hangs_on_everything_that_an_answer_depends_on() {
        let settings =
            |text: &str| Settings::parse(Path::new("llm.toml"), &format!("base_url = \"http://h/v1\"\n{text}")).unwrap();
        let base = "model = \"m\"\ntemperature = 0.5";
        let of = |settings: &Settings, prompt: &str, n: usize| {
            key(settings, &settings.template.messages(&Request { prompt, phrase: "", category: "c", n }), n)
        };
        let plain = settings(base);
        let keys = [
            of(&plain, "a", 3),
            of(&plain, "b", 3),
            of(&plain, "a", 4),
            of(&settings("model = \"other\"\ntemperature = 0.5"), "a", 3),
            of(&settings("model = \"m\"\ntemperature = 0.6"), "a", 3),
            of(&settings("model = \"m\""), "a", 3),
            of(&Settings { base_url: "http://h/v2".into(), ..plain.clone() }, "a", 3),
            of(&settings(&format!("{base}\n[template]\nsystem = ''\nuser = '{{prompt}}'")), "a", 3),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
        assert_eq!(keys[0], of(&settings(&format!("{base}\nmax_calls = 7\nretries = 0")), "a", 3));
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out_and_makes_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        let read = || Cache::read(&path).unwrap();
        assert!(!read().is_cut && read().get("a").is_none());
        let writer = read().writer().unwrap();
        writer.push(&entry("a")).unwrap();
        writer.push(&entry("b")).unwrap();
        let whole = fs::read(&path).unwrap();
        let n_first = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
        for n in n_first..whole.len() {
            fs::write(&path, &whole[..n]).unwrap();
            let mut cache = read();
            assert_eq!((cache.is_cut, cache.get("a"), cache.get("b")), (n > n_first, Some(&entry("a")), None), "{n}");
            cache.writer().unwrap().push(&entry("c")).unwrap();
            cache.writer().unwrap().push(&entry("d")).unwrap();
            assert_eq!((read().is_cut, read().known.len()), (false, 3), "{n}");
        }
    }

    #[test]
    fn calls_in_vain_count_until_an_answer_comes_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.jsonl");
        let writer = Cache::read(&path).unwrap().writer().unwrap();
        let in_vain = Entry { answer: None, calls: 5, tokens: 0, is_estimated: false, ..entry("a") };
        writer.push(&in_vain).unwrap();
        assert_eq!(Cache::read(&path).unwrap().get("a"), Some(&in_vain));
        writer.push(&entry("a")).unwrap();
        assert_eq!(Cache::read(&path).unwrap().get("a"), Some(&Entry { calls: 7, ..entry("a") }));
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        let line = serde_json::to_string(&entry("a")).unwrap();
        for (text, n) in
            [("my notes", 1), ("{}\n", 1), (&format!("{line}\nx"), 2), (&format!("{line}\n{{\"key\":1}}\n{line}\n"), 2)]
        {
            fs::write(&path, text).unwrap();
            let error = Cache::read(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("line {n}: is no stored answer")), "{error}");
        }
    }
}
