//! Tables and foreign text in Markdown that also reads well as plain text.
//!
//! Prompts are foreign text: nothing of them may act as markup, as HTML, or on a terminal.

/// Writes a table whose first column is set left, and whose last is if it holds text.
pub(crate) fn table<const N: usize>(out: &mut String, headings: [&str; N], rows: Vec<[String; N]>) {
    let headings = headings.map(str::to_string);
    let columns = |row: &[String; N]| row.clone().map(|cell| width(&cell));
    let mut widths = columns(&headings);
    for row in &rows {
        widths.iter_mut().zip(columns(row)).for_each(|(most, n)| *most = n.max(*most));
    }
    let is_left = |i: usize| i == 0 || i == N - 1;
    let line = |row: &[String; N]| {
        let cells = row.iter().enumerate().map(|(i, cell)| {
            let space = " ".repeat(widths[i] - width(cell));
            if is_left(i) { format!("{cell}{space}") } else { format!("{space}{cell}") }
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    out.push_str(&line(&headings));
    let rules = std::array::from_fn(|i| if is_left(i) { "-".repeat(widths[i]) } else { "-".repeat(widths[i] - 1) + ":" });
    out.push_str(&line(&rules));
    rows.iter().for_each(|row| out.push_str(&line(row)));
    out.push('\n');
}

/// Foreign text as a table cell of at most so many columns, before escapes.
pub(crate) fn cell(text: &str, columns: usize) -> String {
    escape(&shorten(&plain(text), columns))
}

/// Text on one line, without characters that steer a terminal or show nothing.
pub(crate) fn plain(text: &str) -> String {
    let steers = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            || matches!(c, '\u{e0000}'..='\u{e007f}')
    };
    let words = text.split_whitespace().map(|word| word.chars().filter(|c| !steers(c)).collect::<String>());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Takes away what Markdown, HTML or a table would read as more than text.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let (mut before, mut chars) = (' ', text.chars().peekable());
    while let Some(c) = chars.next() {
        // An underscore inside a word is only that.
        let inside = before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric());
        if matches!(c, '\\' | '`' | '*' | '[' | ']' | '<' | '|') || c == '_' && !inside {
            escaped.push('\\');
        }
        escaped.push(c);
        before = c;
    }
    escaped
}

/// At most so many columns of a text.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_string();
    }
    let mut left = columns - 1;
    let fits = |c: &char| {
        let n = char_width(*c);
        let fits = n <= left;
        left -= if fits { n } else { left };
        fits
    };
    let shown: String = text.chars().take_while(fits).collect();
    format!("{}…", shown.trim_end())
}

/// How many columns a terminal gives a text; near enough to set tables.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    match c as u32 {
        // Marks that stand over or under the letter before them.
        0x300..=0x36f => 0,
        // Hangul, kana, Han, full-width forms, pictographs.
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// A list item, broken into lines of at most 100 columns.
pub(crate) fn item(out: &mut String, text: &str) {
    wrapped(out, text, 100);
}

/// A paragraph, broken into lines of at most so many columns; all but the first are set in by two more.
pub(crate) fn wrapped(out: &mut String, text: &str, columns: usize) {
    let indent = " ".repeat(text.len() - text.trim_start_matches(' ').len() + 2);
    let mut line = String::new();
    let mut words = text.split_inclusive(' ').peekable();
    while let Some(first) = words.next() {
        // A number and its sign of percent stay together.
        let mut word = first.to_string();
        while let Some(sign) = words.next_if(|next| next.starts_with('%')) {
            word.push_str(sign);
        }
        if width(&line) + width(word.trim_end()) > columns {
            out.push_str(line.trim_end());
            out.push('\n');
            line = indent.clone();
        }
        line.push_str(&word);
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_only_text() {
        let rows = [
            ("a | b\r\n\tc", r"a \| b c"),
            ("<script>*x*</script> `y` [z](u)", r"\<script>\*x\*\</script> \`y\` \[z\](u)"),
            ("path_to_file _it_ \\", r"path_to_file \_it\_ \\"),
            ("\u{1b}[31mred\u{7} \u{202e}evil\u{200b}", r"\[31mred evil"),
        ];
        for (text, expected) in rows {
            assert_eq!(cell(text, 100), expected, "{text:?}");
        }
    }

    #[test]
    fn a_cell_has_at_most_its_columns() {
        for (text, columns, expected) in [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abcde…"),
            ("ab cdefg", 4, "ab…"),
            ("你好世界", 6, "你好…"),
            ("你好", 4, "你好"),
        ] {
            assert_eq!(cell(text, columns), expected, "{text}");
        }
    }

    #[test]
    fn a_table_is_set_to_its_widest_cells() {
        let mut out = String::new();
        table(
            &mut out,
            ["name", "n", "note"],
            vec![["a".into(), "1,234".into(), "你好".into()], ["bcdef".into(), "5".into(), String::new()]],
        );
        let expected = "\
| name  |     n | note |
| ----- | ----: | ---- |
| a     | 1,234 | 你好 |
| bcdef |     5 |      |

";
        assert_eq!(out, expected);
    }

    #[test]
    fn a_long_item_is_broken_under_its_text() {
        let mut out = String::new();
        item(&mut out, &format!("  - list: {}", ["word (12),"; 12].join(" ")));
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines.len() == 2 && lines.iter().all(|l| l.len() <= 100), "{out}");
        assert!(lines[1].starts_with("    word"), "{out}");
    }
}
