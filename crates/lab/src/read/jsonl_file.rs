//! The raw rows of a JSONL file, whose columns are the keys met so far. Never drops a key.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::record::{Fault, Record, Schema, Value, list, quoted};
use super::source::{Packing, open_packed, read_error};
use crate::error::{Error, Result};

/// A JSONL file's raw rows.
pub(super) struct JsonlFile {
    lines: Box<dyn BufRead + Send>,
    packing: Packing,
    /// Number of the line in `buffer`.
    line: u64,
    buffer: Vec<u8>,
    /// Whether the line in `buffer` is still to be handed out.
    pending: bool,
}

impl JsonlFile {
    /// Opens a file. The keys of the first row are the header; none where that row is at fault, which [`JsonlFile::next`]
    /// then reports.
    pub fn open(path: &Path, packing: Packing) -> Result<(JsonlFile, Vec<String>)> {
        let lines = Box::new(BufReader::with_capacity(1 << 16, open_packed(path, packing)?));
        let mut file = JsonlFile { lines, packing, line: 0, buffer: Vec::new(), pending: false };
        file.pending = file.advance(path)?;
        if !file.pending {
            return Err(Error::format(path, "the file is empty: a JSON object a line is expected, like {\"text\": \"…\"}"));
        }
        let header = parse(&file.buffer).unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        Ok((file, header))
    }

    /// The next row; keys that are new become columns of the schema.
    pub fn next(&mut self, path: &Path, schema: &mut Schema) -> Result<Option<Record>> {
        let found = std::mem::take(&mut self.pending) || self.advance(path)?;
        Ok(found.then(|| Record { line: self.line, values: parse(&self.buffer).and_then(|object| values(object, schema)) }))
    }

    /// Fills the buffer with the next line that is not blank; false at the end.
    fn advance(&mut self, path: &Path) -> Result<bool> {
        loop {
            self.buffer.clear();
            if self.lines.read_until(b'\n', &mut self.buffer).map_err(|e| read_error(path, self.packing, e))? == 0 {
                return Ok(false);
            }
            self.line += 1;
            if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }
}

fn values(object: Vec<(String, serde_json::Value)>, schema: &mut Schema) -> std::result::Result<Vec<Value>, Fault> {
    // Checked before new keys become columns, so that a row at fault adds none.
    match object.iter().find(|(name, _)| name == "text").map(|(_, value)| value) {
        Some(serde_json::Value::String(_) | serde_json::Value::Null) => {}
        Some(other) => {
            let reason = format!("{} is no string: put the prompt in quotes", quoted(&other.to_string()));
            return Err(Fault::new("text", reason));
        }
        None => {
            let names: Vec<String> = object.into_iter().map(|(name, _)| name).collect();
            let reason = format!("no such key, only {}: add it, or rename the one that is meant", list(&names));
            return Err(Fault::new("text", reason));
        }
    }
    let mut values = vec![Ok(String::new()); schema.header.len()];
    for (name, value) in object {
        let at = schema.header.iter().position(|h| *h == name).unwrap_or_else(|| {
            schema.add(name.clone());
            values.push(Ok(String::new()));
            schema.header.len() - 1
        });
        values[at] = Ok(match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            serde_json::Value::Bool(b) if name == "label" => u8::from(b).to_string(),
            other => other.to_string(),
        });
    }
    Ok(values)
}

fn parse(line: &[u8]) -> std::result::Result<Vec<(String, serde_json::Value)>, Fault> {
    let not_object = |e: serde_json::Error| {
        // The parser counts lines within this one line, so its "line 1" would point to the wrong place.
        let message = e.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        let at = if e.column() > 0 { format!(", at byte {} of the line", e.column()) } else { String::new() };
        Fault::new("", format!("not a JSON object like {{\"text\": \"…\"}}: {message}{at}"))
    };
    let Ok(text) = std::str::from_utf8(line) else {
        const REPLACED: char = char::REPLACEMENT_CHARACTER;
        let object: Object = serde_json::from_str(&String::from_utf8_lossy(line)).map_err(not_object)?;
        let at_fault = object.0.iter().find(|(name, value)| name.contains(REPLACED) || value.to_string().contains(REPLACED));
        return Err(Fault::not_utf8(at_fault.map_or("", |(name, _)| name)));
    };
    serde_json::from_str(text).map(|object: Object| object.0).map_err(not_object)
}

/// A JSON object with its keys in the file's order. `serde_json::Map` would sort them, and keep the last of equal keys only.
struct Object(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Object, A::Error> {
                let mut entries: Vec<(String, serde_json::Value)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                    if entries.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("key {} stands twice, remove one", quoted(&name))));
                    }
                    entries.push((name, value));
                }
                Ok(Object(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
