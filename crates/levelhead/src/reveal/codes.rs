//! Codes that turn text into other characters: base64, hexadecimal, binary and decimal numbers, escapes, Morse.

use super::{Disguise, reads_like_text};

/// Calls `add` with each text found.
pub(super) fn find(prompt: &str, add: &mut impl FnMut(Disguise, &str)) {
    runs(prompt, is_base64, 16, |run| {
        if let Some(bytes) = hex(run) {
            found(&bytes, Disguise::Hex, add);
        } else if let Some(bytes) = base64(run) {
            found(&bytes, Disguise::Base64, add);
        }
    });
    numbers(prompt, add);
    if let Some(text) = escapes(prompt) {
        add(Disguise::Escapes, &text);
    }
    runs(
        prompt,
        |b| matches!(b, b'.' | b'-' | b' ' | b'/' | b'|' | b'\n'),
        24,
        |run| {
            if let Some(text) = morse(run) {
                found(text.as_bytes(), Disguise::Morse, add);
            }
        },
    );
}

fn found(bytes: &[u8], disguise: Disguise, add: &mut impl FnMut(Disguise, &str)) {
    if let Some(text) = reads_like_text(bytes) {
        add(disguise, text);
    }
}

/// Calls `f` with each longest run of bytes that fit, of `least` bytes at least.
fn runs(text: &str, fits: impl Fn(u8) -> bool, least: usize, mut f: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start + least <= bytes.len() {
        // The last byte that does not fit rules out every run that begins before it.
        if let Some(i) = (start..start + least).rev().find(|i| !fits(bytes[*i])) {
            start = i + 1;
            continue;
        }
        let end = (start + least..bytes.len()).find(|i| !fits(bytes[*i])).unwrap_or(bytes.len());
        // Only ASCII fits, so both ends are character boundaries.
        f(&text[start..end]);
        start = end + 1;
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
    let mut bytes = Vec::with_capacity(run.len() * 3 / 4);
    let (mut buffer, mut n_bits) = (0u32, 0);
    for b in run.bytes() {
        let value = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        buffer = buffer << 6 | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((buffer >> n_bits) as u8);
            // A plain word or path fails within a few bytes; there is no need to decode it all.
            if bytes.len() == 6 && std::str::from_utf8(&bytes).is_err_and(|e| e.error_len().is_some()) {
                return None;
            }
        }
    }
    Some(bytes)
}

fn hex(run: &str) -> Option<Vec<u8>> {
    let run = run.strip_prefix("0x").unwrap_or(run);
    if run.len() % 2 == 1 {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16);
    run.as_bytes().chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

/// Lists of numbers that stand for characters: binary octets, hexadecimal pairs, decimal codes.
fn numbers(prompt: &str, add: &mut impl FnMut(Disguise, &str)) {
    let fits = |b: u8| b.is_ascii_hexdigit() || matches!(b, b' ' | b',' | b'x' | b'\\' | b'\n' | b';');
    runs(prompt, fits, 17, |run| {
        let groups = || run.split(|c: char| !c.is_ascii_hexdigit()).filter(|g| !g.is_empty());
        let digits: String = groups().collect();
        if digits.len() >= 40 && digits.len().is_multiple_of(8) && digits.bytes().all(|b| matches!(b, b'0' | b'1')) {
            let octet = |bits: &[u8]| bits.iter().fold(0u8, |octet, b| octet << 1 | (b - b'0'));
            let bytes: Vec<u8> = digits.as_bytes().chunks_exact(8).map(octet).collect();
            found(&bytes, Disguise::Binary, add);
            return;
        }
        // The first and the last group may belong to a word next to the list.
        let mut codes = (Vec::new(), Vec::new());
        for group in groups() {
            let hex = (group.len() == 2).then(|| u8::from_str_radix(group, 16).ok()).flatten();
            let decimal = group.parse::<u8>().ok().filter(|n| *n >= 32 || *n == 10);
            codes.0.extend(hex);
            codes.1.extend(decimal);
        }
        let n = groups().count();
        let most = |bytes: &[u8]| bytes.len() >= 8 && bytes.len() + 2 >= n;
        if most(&codes.0) && codes.0.iter().all(|b| *b >= 9) {
            found(&codes.0, Disguise::Hex, add);
        } else if most(&codes.1) {
            found(&codes.1, Disguise::Decimal, add);
        }
    });
}

/// The whole prompt with its escapes replaced, where there are at least four letters among them.
fn escapes(prompt: &str) -> Option<String> {
    if !prompt.bytes().any(|b| matches!(b, b'%' | b'\\' | b'&')) {
        return None;
    }
    let mut out = String::with_capacity(prompt.len());
    let mut n_letters = 0;
    let mut rest = prompt;
    while let Some(at) = rest.find(['%', '\\', '&']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match escape(rest) {
            Some((c, n)) => {
                n_letters += usize::from(c.is_alphabetic());
                out.push(c);
                rest = &rest[n..];
            }
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    (n_letters >= 4).then_some(out)
}

/// The character of the escape at the start of a text, and the escape's length in bytes.
fn escape(text: &str) -> Option<(char, usize)> {
    let code = |digits: &str, radix: u32| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    for (prefix, n_digits) in [("%", 2), ("\\x", 2), ("\\u", 4)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return Some((code(rest.get(..n_digits)?, 16)?, prefix.len() + n_digits));
        }
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
