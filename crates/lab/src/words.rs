//! How counts, shares and bounds are written for people.
//!
//! It must never round a figure onto a limit or to nothing: 0.99997 % is not "1 %", and one in a million is not "0 %".

use crate::stats::{Count, Interval};

/// A count with its thousands set apart: `100,000`.
pub fn number(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share (0 to 1) in percent, with two decimals: `3.92 %`.
pub fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    match text.as_str() {
        _ if share.is_nan() => "not a number".to_string(),
        "0.00" | "-0.00" if share > 0.0 => "<0.01 %".to_string(),
        "100.00" if share < 1.0 => ">99.99 %".to_string(),
        _ => format!("{text} %"),
    }
}

/// A share in percent with as many decimals, from two to nine, as tell it from the limit that it is held against.
pub fn percent_beside(share: f64, limit: f64) -> String {
    let places = (2..9).find(|d| format!("{:.d$}", share * 100.0) != format!("{:.d$}", limit * 100.0));
    match places {
        _ if share == limit => percent_limit(share),
        None | Some(2) => percent(share),
        Some(d) => format!("{:.d$} %", share * 100.0),
    }
}

/// A limit as a person wrote it: `1 %`, `0.5 %`.
pub fn percent_limit(share: f64) -> String {
    let text = format!("{:.6}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Both ends of an interval in percent: `3.80 % to 4.05 %`; a dash where there is none.
pub fn percent_interval(interval: Option<Interval>) -> String {
    interval.map_or_else(|| "–".to_string(), |i| format!("{} to {}", percent(i.low), percent(i.high)))
}

/// So many of so many: `948 of 100,000`.
pub fn count(count: Count) -> String {
    format!("{} of {}", number(count.hits), number(count.n))
}

/// A text as one cell of a Markdown table.
pub fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_figure_is_rounded_onto_a_limit_or_to_nothing() {
        let rows = [
            (percent(0.039_216), "3.92 %"),
            (percent(0.0), "0.00 %"),
            (percent(1e-6), "<0.01 %"),
            (percent(0.999_99), ">99.99 %"),
            (percent(1.0), "100.00 %"),
            (percent(f64::NAN), "not a number"),
            (percent_beside(0.009_999_714, 0.01), "0.99997 %"),
            (percent_beside(0.010_009_977, 0.01), "1.001 %"),
            (percent_beside(0.05, 0.01), "5.00 %"),
            (percent_beside(0.01, 0.01), "1 %"),
            (percent_beside(f64::NAN, 0.01), "not a number"),
            (percent_limit(0.005), "0.5 %"),
            (percent_limit(0.01), "1 %"),
            (percent_limit(0.0), "0 %"),
            (percent_limit(1.0), "100 %"),
            (percent_interval(Some(Interval { low: 0.038, high: 0.0405 })), "3.80 % to 4.05 %"),
            (percent_interval(None), "–"),
            (count(Count { hits: 948, n: 100_000 }), "948 of 100,000"),
            (number(999), "999"),
            (number(1_234_567), "1,234,567"),
            (cell("a|b\nc"), "a\\|b c"),
        ];
        for (text, expected) in rows {
            assert_eq!(text, expected);
        }
    }
}
