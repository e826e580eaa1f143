//! A rule pack as a file: read rule by rule, so that one rule at fault hides no other, and written again with its comments.
//!
//! It must never mend a pattern by itself: what cannot run is named, with what to write instead.

use std::ops::Range;
use std::path::Path;

use levelhead::rules::{DEFAULT_PACK, PackFile};
use levelhead::{Rule, RulePack};
use regex_syntax::ast::ErrorKind;
use regex_syntax::ast::parse::Parser;
use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::error::{Error, Result, toml_fault};

/// A pack, with what is wrong with it.
#[derive(Debug, Clone)]
pub struct Pack {
    /// `default`, or the file's name.
    pub name: String,
    /// The file as it stands.
    pub text: String,
    /// The rules that can run, compiled.
    pub rules: RulePack,
    /// The rules that cannot, in the order of the file.
    pub faults: Vec<Fault>,
    /// Rules that can run and fail one of their own examples.
    pub failed: Vec<FailedExample>,
    /// Which rules of the file cannot run.
    is_faulty: Vec<bool>,
}

/// A rule that cannot run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The rule's id.
    pub rule: String,
    /// What is wrong with it.
    pub reason: String,
    /// What to write instead.
    pub fix: String,
}

/// A rule that fails its own example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedExample {
    /// The rule's id.
    pub rule: String,
    /// The first example that it fails, and how.
    pub reason: String,
}

/// Reads the pack that ships (`default`) or a file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] where the file is no rule pack at all, or holds no rule.
pub fn read_pack(name: &str) -> Result<Pack> {
    let path = Path::new(name);
    if name == "default" {
        return Pack::parse(path, DEFAULT_PACK.to_string());
    }
    Pack::parse(path, std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?)
}

impl Pack {
    /// Takes a pack apart. `path` says where its text is from.
    ///
    /// # Errors
    /// [`Error::Format`] as [`read_pack`].
    pub fn parse(path: &Path, text: String) -> Result<Pack> {
        let file: PackFile = toml::from_str(&text).map_err(|e| Error::format(path, toml_fault(&text, &e)))?;
        if file.rule.is_empty() {
            return Err(Error::format(path, "holds no rule: write at least one [[rule]]"));
        }
        let (mut runnable, mut faults, mut failed, mut is_faulty) = (Vec::<Rule>::new(), Vec::new(), Vec::new(), Vec::new());
        for rule in file.rule {
            let fault = match rule.compile() {
                _ if runnable.iter().any(|other| other.id == rule.id) => Some(Fault {
                    rule: rule.id.clone(),
                    reason: "an earlier rule has this id".into(),
                    fix: "give it an id of its own".into(),
                }),
                Ok(compiled) => {
                    failed.extend(compiled.check(&rule).err().map(|reason| FailedExample { rule: rule.id.clone(), reason }));
                    None
                }
                Err(error) => Some(diagnose(&rule, error)),
            };
            is_faulty.push(fault.is_some());
            match fault {
                Some(fault) => faults.push(fault),
                None => runnable.push(rule),
            }
        }
        let rules = RulePack::from_rules(runnable).map_err(|source| Error::Guard { path: path.to_path_buf(), source })?;
        let name = path.file_name().map_or_else(|| "pack".to_string(), |n| n.to_string_lossy().into_owned());
        Ok(Pack { name, text, rules, faults, failed, is_faulty })
    }

    /// The pack's text with some of its rules narrowed, its comments kept, and the rules that cannot run commented out.
    pub fn rewritten(&self, narrowed: &[Rule]) -> String {
        let with = |rule: &Rule| narrowed.iter().find(|n| n.id == rule.id).unwrap_or(rule).clone();
        let wanted = PackFile { rule: self.rules.rules().iter().map(with).collect() };
        // What a person wrote by hand may be laid out in ways that this does not foresee: then all is written anew.
        let edited = self.edited(&wanted.rule).filter(|text| toml::from_str(text).is_ok_and(|file: PackFile| file == wanted));
        edited.unwrap_or_else(|| toml::to_string_pretty(&wanted).expect("rules are strings and numbers"))
    }

    /// The text with each rule's expressions replaced where they stand.
    fn edited(&self, wanted: &[Rule]) -> Option<String> {
        let spots: Spots = toml::from_str(&self.text).ok()?;
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        let (mut wanted, mut faults) = (wanted.iter(), self.faults.iter());
        for (spot, is_faulty) in spots.rule.iter().zip(&self.is_faulty) {
            if *is_faulty {
                let range = table_around(&self.text, spot.pattern.span())?;
                let lines = self.text[range.clone()].lines().map(|line| format!("# {line}").trim_end().to_string());
                let why = format!("# Left out, it cannot run: {}.", faults.next()?.reason);
                edits.push((range, std::iter::once(why).chain(lines).collect::<Vec<_>>().join("\n")));
                continue;
            }
            let rule = wanted.next()?;
            if spot.pattern.get_ref() != &rule.pattern {
                edits.push((spot.pattern.span(), quoted(&rule.pattern)));
            }
            match (&spot.unless, &rule.unless) {
                (Some(old), Some(new)) if old.get_ref() != new => edits.push((old.span(), quoted(new))),
                (None, Some(new)) => {
                    let end = spot.pattern.span().end;
                    edits.push((end..end, format!("\nunless = {}", quoted(new))));
                }
                _ => {}
            }
        }
        edits.sort_by_key(|(range, _)| range.start);
        let mut text = self.text.clone();
        edits.into_iter().rev().for_each(|(range, new)| text.replace_range(range, &new));
        Some(text)
    }
}

#[derive(Deserialize)]
struct Spots {
    rule: Vec<Spot>,
}

/// Where a rule's expressions stand in the file.
#[derive(Deserialize)]
struct Spot {
    pattern: Spanned<String>,
    unless: Option<Spanned<String>>,
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The lines of the `[[rule]]` that a place lies in, without the comments that lead to the next.
fn table_around(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    const HEADER: &str = "[[rule]]";
    let starts = |(at, _): &(usize, &str)| *at == 0 || text[..*at].ends_with('\n');
    let start = text[..place.start].rmatch_indices(HEADER).find(starts)?.0;
    let end = text[place.end..].find("\n[[").map_or(text.len(), |at| place.end + at);
    let own = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let last = text[start..end].lines().rfind(own)?;
    Some(start..last.as_ptr() as usize - text.as_ptr() as usize + last.len())
}

/// Says what is wrong with a rule that does not compile, and what to write instead.
fn diagnose(rule: &Rule, error: levelhead::Error) -> Fault {
    let fault = |reason: String, fix: &str| Fault { rule: rule.id.clone(), reason, fix: fix.to_string() };
    let patterns = [("", Some(&rule.pattern)), ("unless: ", rule.unless.as_ref())];
    for (field, pattern) in patterns.into_iter().filter_map(|(field, pattern)| Some((field, pattern?))) {
        let Err(error) = Parser::new().parse(pattern) else { continue };
        let span = error.span();
        let at = &pattern[span.start.offset..];
        let found = LOOK_AROUND.iter().find(|(open, ..)| at.starts_with(open));
        let (reason, fix) = match (error.kind(), found) {
            (ErrorKind::UnsupportedLookAround, Some((open, name, fix))) => {
                (format!("{name} `{open}`: the engine runs in linear time and has none"), *fix)
            }
            (ErrorKind::UnsupportedBackreference, _) => {
                let reference: String = at.chars().take(2).collect();
                (format!("back-reference `{reference}`: the engine runs in linear time and has none"), REPEAT)
            }
            (kind, _) => (format!("{kind}, at character {}", pattern[..span.start.offset].chars().count() + 1), SYNTAX),
        };
        return fault(format!("{field}{reason}"), fix);
    }
    let levelhead::Error::Rule { reason, .. } = error else { return fault(error.to_string(), SYNTAX) };
    // The engine draws the pattern over several lines; what it says stands in the last.
    let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").trim_end_matches('.').to_string();
    let fix = match &reason {
        _ if reason.contains("size limit") => SIZE,
        _ if reason.contains("confidence") => "write how sure a match is, 0 to 1",
        _ => SYNTAX,
    };
    fault(reason, fix)
}

/// How a look-around opens, what it is called, and what to write instead. Longer ones first.
const LOOK_AROUND: [(&str, &str, &str); 4] = [
    ("(?<=", "look-behind", "write what stands before as a part of the pattern"),
    ("(?<!", "negative look-behind", NEGATIVE),
    (
        "(?=",
        "look-ahead",
        "write what follows as a part of the pattern, or both orders with `|`: `a.{0,80}b|b.{0,80}a`; a word that must \
         stand near by is a narrowing that `rules check` finds and measures",
    ),
    ("(?!", "negative look-ahead", NEGATIVE),
];
const NEGATIVE: &str = "write what must not be there as `unless = '..'`, a second pattern that silences the rule";
const REPEAT: &str = "write each word that may repeat as an alternative of its own: `(a.{0,80}a|b.{0,80}b)`";
const SIZE: &str = "lower the counts in {n,m}, write [a-z0-9_] for \\w in them, or divide the rule into two";
const SYNTAX: &str = "mend the expression; a literal bracket, dot or backslash needs a backslash before it";

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str, more: &str) -> String {
        format!("[[rule]]\nid = \"{id}\" # its name\nfamily = \"x\"\nseverity = \"low\"\nconfidence = 0.5\n{more}\n")
    }

    fn parse(text: &str) -> Pack {
        Pack::parse(Path::new("my/pack.toml"), text.to_string()).unwrap()
    }

    #[test]
    fn each_rule_that_cannot_run_is_named_and_the_others_stay() {
        let rows = [
            ("pattern = 'a(?=b)'", "look-ahead `(?=`: the engine runs in linear time and has none", "both orders"),
            ("pattern = 'a(?!b)'", "negative look-ahead `(?!`: the engine", "unless = '..'"),
            ("pattern = '(?<=b)a'", "look-behind `(?<=`: the engine", "stands before as a part"),
            ("pattern = '(?<!b)a'", "negative look-behind `(?<!`: the engine", "unless = '..'"),
            (r"pattern = '(a|b)\1'", r"back-reference `\1`: the engine", "an alternative of its own"),
            ("pattern = 'ü('", "unclosed group, at character 2", "mend the expression"),
            ("pattern = 'a'\nunless = '(?!b)'", "unless: negative look-ahead `(?!`", "unless = '..'"),
            (r"pattern = '\p{Nothing}'", "Unicode property not found", "mend the expression"),
            (r"pattern = '(\w{50}){50}'", "Compiled regex exceeds size limit of 1048576 bytes", "lower the counts"),
            ("pattern = 'a'\nconfidence = 0.6", "", ""),
        ];
        for (more, reason, fix) in rows {
            let text = rule("first", "pattern = 'one'") + &rule("odd", more) + &rule("last", "pattern = 'two'");
            if reason.is_empty() {
                let error = Pack::parse(Path::new("my/pack.toml"), text).unwrap_err().to_string();
                assert!(error.starts_with("my/pack.toml: line 13: duplicate key"), "{error}");
                continue;
            }
            let pack = parse(&text);
            let ids: Vec<&str> = pack.rules.rules().iter().map(|r| r.id.as_str()).collect();
            assert_eq!((ids.as_slice(), pack.faults.len()), (&["first", "last"][..], 1), "{more}");
            let Fault { rule, reason: found, fix: advice } = &pack.faults[0];
            assert!(rule == "odd" && found.contains(reason) && advice.contains(fix), "{more}: {found}: {advice}");
        }
        let twice = parse(&(rule("same", "pattern = 'one'") + &rule("same", "pattern = 'two'")));
        assert_eq!((twice.faults[0].reason.as_str(), twice.rules.rules().len()), ("an earlier rule has this id", 1));
        let sure = parse(&rule("sure", "pattern = 'a'").replace("0.5", "1.5"));
        assert_eq!(sure.faults[0].fix, "write how sure a match is, 0 to 1");
        let error = Pack::parse(Path::new("empty.toml"), "# nothing".into()).unwrap_err().to_string();
        assert_eq!(error, "empty.toml: holds no rule: write at least one [[rule]]");
    }

    #[test]
    fn an_example_that_a_rule_fails_is_told() {
        let pack = parse(&(rule("a", "pattern = 'abc'\nmatches = ['ABC', 'ab']") + &rule("b", "pattern = 'x'")));
        let expected = FailedExample { rule: "a".into(), reason: "does not match \"ab\"".into() };
        assert_eq!((pack.failed, pack.faults), (vec![expected], vec![]));
    }

    #[test]
    fn a_pack_is_rewritten_with_its_comments() {
        let head = "# My rules.\n\n";
        let odd = rule("odd", "pattern = 'a(?=b)'");
        let text =
            format!("{head}{}\n{odd}\n# The last.\n{}", rule("a", "pattern = 'one' # why"), rule("b", "pattern = \"two\""));
        let pack = parse(&text);
        let narrowed = |i: usize, pattern: &str, unless: Option<&str>| Rule {
            pattern: pattern.into(),
            unless: unless.map(Into::into),
            ..pack.rules.rules()[i].clone()
        };
        let new = pack.rewritten(&[narrowed(0, r"\bone\b", Some("it's")), narrowed(1, "'''", None)]);
        let expected = format!(
            "{head}{}\n# Left out, it cannot run: look-ahead `(?=`: the engine runs in linear time and has none.\n{}\n\n# The last.\n{}",
            rule("a", "pattern = '\\bone\\b'\nunless = \"it's\" # why"),
            odd.trim_end().lines().map(|line| format!("# {line}")).collect::<Vec<_>>().join("\n"),
            rule("b", "pattern = \"'''\"")
        );
        assert_eq!(new, expected);
        let again = parse(&new);
        let silenced = Rule { unless: Some("her".into()), ..again.rules.rules()[0].clone() };
        assert!(again.rewritten(&[silenced]).contains("unless = \"her\" # why"));
    }

    #[test]
    fn a_pack_laid_out_in_another_way_is_written_anew() {
        let text = "rule = [{ id = 'a', family = 'x', severity = 'low', confidence = 0.5, pattern = '(?=a)' }, \
                    { id = 'b', family = 'x', severity = 'low', confidence = 0.5, pattern = 'b' }]";
        let pack = parse(text);
        let new = Rule { pattern: r"\bb".into(), ..pack.rules.rules()[0].clone() };
        let file: PackFile = toml::from_str(&pack.rewritten(std::slice::from_ref(&new))).unwrap();
        assert_eq!(file.rule, [new]);
    }
}
