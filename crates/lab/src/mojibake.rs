//! Text that was UTF-8, was read as Windows-1252, and was saved again: `â€™` for an apostrophe.
//!
//! Only a run of characters that encodes to Windows-1252 and then decodes as UTF-8 is repaired; an honest `é` does not.

/// The text with its double encoding undone; none where there is nothing to undo.
///
/// ```
/// assert_eq!(levelhead_lab::mojibake::repair("donâ€™t").as_deref(), Some("don’t"));
/// assert_eq!(levelhead_lab::mojibake::repair("déjà vu"), None);
/// ```
pub fn repair(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut run = Vec::new();
    let mut raw = String::new();
    let mut repaired = false;
    for c in text.chars() {
        if let (false, Some(byte)) = (c.is_ascii(), windows_1252(c)) {
            run.push(byte);
            raw.push(c);
            continue;
        }
        repaired |= flush(&mut run, &mut raw, &mut out);
        out.push(c);
    }
    repaired |= flush(&mut run, &mut raw, &mut out);
    repaired.then_some(out)
}

fn flush(run: &mut Vec<u8>, raw: &mut String, out: &mut String) -> bool {
    let decoded = std::str::from_utf8(run).ok().filter(|s| !s.is_empty());
    out.push_str(decoded.unwrap_or(raw));
    let repaired = decoded.is_some();
    run.clear();
    raw.clear();
    repaired
}

/// The Windows-1252 byte of a character above ASCII; the five bytes without a character stand for themselves.
fn windows_1252(c: char) -> Option<u8> {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“',
        '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
    ];
    match c as u32 {
        0xa0..=0xff => Some(c as u32 as u8),
        _ => HIGH.iter().position(|h| *h == c).map(|i| 0x80 + i as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn double_encoding_is_undone_and_honest_text_is_left_alone() {
        // Left: "…".encode("utf-8").decode("cp1252") in Python.
        let rows = [
            ("ðŸ“¦ What", Some("📦 What")),
            ("itâ€™s â€œfineâ€\u{9d}", Some("it’s “fine”")),
            ("CafÃ©", Some("Café")),
            ("distinctions â\u{ad}\u{90}", Some("distinctions ⭐")),
            ("Grüße aus Köln", None),
            ("naïve façade", None),
            ("plain", None),
            ("数字 and â€™ mixed", Some("数字 and ’ mixed")),
        ];
        for (text, expected) in rows {
            assert_eq!(repair(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn repairing_twice_changes_nothing_more() {
        let once = repair("ðŸŽ¯ donâ€™t").unwrap();
        assert_eq!(repair(&once), None);
    }
}
