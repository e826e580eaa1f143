//! Codes that turn text into other characters: base64, hexadecimal, binary and decimal numbers, escapes, Morse.

use std::ops::Range;

use super::{Disguise, reads_like_text, runs};

/// Calls `add` with each text found and the part of the prompt that hides it.
pub(super) fn find(prompt: &str, add: &mut impl FnMut(Disguise, Range<usize>, &str)) {
    runs(prompt, is_base64, 16, |range| {
        let run = &prompt[range.clone()];
        if let Some(bytes) = hex(run) {
            found(&bytes, Disguise::Hex, range, add);
        } else if let Some(bytes) = base64(run) {
            found(&bytes, Disguise::Base64, range, add);
        }
    });
    numbers(prompt, add);
    if let Some(text) = escapes(prompt) {
        add(Disguise::Escapes, 0..prompt.len(), &text);
    }
    runs(
        prompt,
        |b| matches!(b, b'.' | b'-' | b' ' | b'/' | b'|' | b'\n'),
        24,
        |range| {
            if let Some(text) = morse(&prompt[range.clone()]) {
                found(text.as_bytes(), Disguise::Morse, range, add);
            }
        },
    );
}

fn found(bytes: &[u8], disguise: Disguise, range: Range<usize>, add: &mut impl FnMut(Disguise, Range<usize>, &str)) {
    if let Some(text) = reads_like_text(bytes) {
        add(disguise, range, text);
    }
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_')
}

/// The bytes of a base64 run. Padding is left out of the run, so any length but 4n + 1 is one.
fn base64(run: &str) -> Option<Vec<u8>> {
    if run.len() % 4 == 1 {
        return None;
    }
    // A plain word or path fails within a few bytes; there is no need to decode it all.
    let mut head = [0; 6];
    base64_bytes(&run[..8]).zip(&mut head).for_each(|(byte, place)| *place = byte);
    if std::str::from_utf8(&head).is_err_and(|e| e.error_len().is_some()) {
        return None;
    }
    Some(base64_bytes(run).collect())
}

fn base64_bytes(run: &str) -> impl Iterator<Item = u8> {
    let (mut buffer, mut n_bits) = (0u32, 0);
    run.bytes().filter_map(move |b| {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        buffer = buffer << 6 | u32::from(value);
        n_bits += 6;
        (n_bits >= 8).then(|| {
            n_bits -= 8;
            (buffer >> n_bits) as u8
        })
    })
}

fn hex(run: &str) -> Option<Vec<u8>> {
    let run = run.strip_prefix("0x").unwrap_or(run);
    if run.len() % 2 == 1 || !run.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16);
    run.as_bytes().chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

/// Lists of numbers that stand for characters: binary octets, hexadecimal pairs, decimal codes.
fn numbers(prompt: &str, add: &mut impl FnMut(Disguise, Range<usize>, &str)) {
    let fits = |b: u8| b.is_ascii_hexdigit() || matches!(b, b' ' | b',' | b'x' | b'\\' | b'\n' | b';');
    runs(prompt, fits, 17, |range| {
        let run = &prompt[range.clone()];
        let groups = || run.split(|c: char| !c.is_ascii_hexdigit()).filter(|g| !g.is_empty());
        let digits = || run.bytes().filter(u8::is_ascii_hexdigit);
        let n_digits = digits().count();
        if n_digits >= 40 && n_digits.is_multiple_of(8) && digits().all(|b| matches!(b, b'0' | b'1')) {
            let bits: Vec<u8> = digits().collect();
            let octet = |bits: &[u8]| bits.iter().fold(0u8, |octet, b| octet << 1 | (b - b'0'));
            let bytes: Vec<u8> = bits.chunks_exact(8).map(octet).collect();
            found(&bytes, Disguise::Binary, range, add);
            return;
        }
        let n = groups().count();
        if n < 8 {
            return;
        }
        // The first and the last group may belong to a word next to the list.
        let hex = || groups().filter_map(|g| if g.len() == 2 { u8::from_str_radix(g, 16).ok() } else { None });
        let decimal = || groups().filter_map(|g| g.parse::<u8>().ok().filter(|n| *n >= 32 || *n == 10));
        let most = |n_codes: usize| n_codes >= 8 && n_codes + 2 >= n;
        if most(hex().count()) && hex().all(|b| b >= 9) {
            found(&hex().collect::<Vec<u8>>(), Disguise::Hex, range, add);
        } else if most(decimal().count()) {
            found(&decimal().collect::<Vec<u8>>(), Disguise::Decimal, range, add);
        }
    });
}

/// The whole prompt with its escapes replaced, where there are at least four letters among them, or where one that breaks a line
/// stands before a word: a string of JSON would run its lines together.
fn escapes(prompt: &str) -> Option<String> {
    let (mut n_letters, mut parts_words) = (0, false);
    each_escape(prompt, |at, c, n| {
        n_letters += usize::from(c.is_alphabetic());
        parts_words |= c == '\n' && prompt[at + n..].starts_with(char::is_alphanumeric);
    });
    if n_letters < 4 && !parts_words {
        return None;
    }
    let mut out = String::with_capacity(prompt.len());
    let mut copied = 0;
    each_escape(prompt, |at, c, n| {
        out.push_str(&prompt[copied..at]);
        out.push(c);
        copied = at + n;
    });
    out.push_str(&prompt[copied..]);
    Some(out)
}

/// Calls `f` with each escape: where it stands, its character and its length in bytes.
fn each_escape(prompt: &str, mut f: impl FnMut(usize, char, usize)) {
    let mut behind = 0;
    for (at, _) in prompt.bytes().enumerate().filter(|(_, b)| matches!(b, b'%' | b'\\' | b'&')) {
        if at >= behind
            && let Some((c, n)) = escape(&prompt[at..])
        {
            f(at, c, n);
            behind = at + n;
        }
    }
}

/// The character of the escape at the start of a text, and the escape's length in bytes.
pub(super) fn escape(text: &str) -> Option<(char, usize)> {
    let code = |digits: &str, radix: u32| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    for (prefix, n_digits) in [("%", 2), ("\\x", 2), ("\\u", 4)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return Some((code(rest.get(..n_digits)?, 16)?, prefix.len() + n_digits));
        }
    }
    if let Some(rest) = text.strip_prefix('\\') {
        let c = match rest.bytes().next()? {
            b'n' | b'r' => '\n',
            b't' => '\t',
            b'"' => '"',
            b'/' => '/',
            _ => return None,
        };
        return Some((c, 2));
    }
    let rest = text.strip_prefix("&#")?;
    let end = rest.as_bytes().iter().take(8).position(|b| *b == b';')?;
    let c = match rest[..end].strip_prefix(['x', 'X']) {
        Some(digits) => code(digits, 16)?,
        None => code(&rest[..end], 10)?,
    };
    Some((c, 2 + end + 1))
}

fn morse(run: &str) -> Option<String> {
    let mut text = String::new();
    let mut n_signs = 0;
    for word in run.split(['/', '|', '\n']).flat_map(|part| part.split("   ")) {
        for sign in word.split(' ').filter(|s| !s.is_empty()) {
            text.push(morse_letter(sign)?);
            n_signs += 1;
        }
        text.push(' ');
    }
    (n_signs >= 8).then(|| text.trim().to_string())
}

/// ITU-R M.1677-1, letters and digits.
fn morse_letter(sign: &str) -> Option<char> {
    const SIGNS: [&str; 36] = [
        ".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--", "-.", "---", ".--.", "--.-",
        ".-.", "...", "-", "..-", "...-", ".--", "-..-", "-.--", "--..", "-----", ".----", "..---", "...--", "....-", ".....",
        "-....", "--...", "---..", "----.",
    ];
    let i = SIGNS.iter().position(|s| *s == sign)?;
    Some(char::from(if i < 26 { b'a' + i as u8 } else { b'0' + (i - 26) as u8 }))
}
