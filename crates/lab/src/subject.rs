//! The guard under study: Levelhead's own, any program that answers line by line, or a file of stored verdicts.
//!
//! Whatever it is, it gives one [`Verdict`] for each row, in order.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use levelhead::{BENIGN, Guard, Layer, Probability, Scratch, Severity, Threat, Verdict};
use rayon::prelude::*;
use serde::Deserialize;

use crate::error::{Error, Result, toml_fault};
use crate::progress::Progress;
use crate::row::Row;

/// A guard that can be audited.
#[derive(Debug)]
pub enum Subject {
    /// A Levelhead artifact.
    Levelhead {
        /// What to call it.
        name: String,
        /// The guard.
        guard: Box<Guard>,
    },
    /// A program that reads `{"text":..}` a line and writes `{"score":..,"flagged":..,"threats":[..]}` a line, in order.
    Command {
        /// What to call it.
        name: String,
        /// The program and its arguments.
        command: Vec<String>,
        /// Where it runs.
        folder: PathBuf,
    },
    /// Stored verdicts, by text.
    Results {
        /// What to call it.
        name: String,
        /// The verdict of each text.
        verdicts: HashMap<String, Verdict>,
    },
}

/// A guard spec, as it stands in a `.toml` file.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Spec {
    Command { command: Vec<String> },
    Results { path: PathBuf },
}

/// One line of an outside guard's answer or of a stored result.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    text: Option<String>,
    score: Option<f64>,
    flagged: Option<bool>,
    #[serde(default)]
    threats: Vec<AnswerThreat>,
}

/// A threat as other guards write it: only the rule's id is needed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AnswerThreat {
    rule_id: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    confidence: f64,
    #[serde(default)]
    layer: Option<Layer>,
}

impl From<AnswerThreat> for Threat {
    fn from(t: AnswerThreat) -> Threat {
        let severity = Severity::from_name(&t.severity.to_ascii_lowercase());
        Threat { rule_id: t.rule_id, severity, confidence: t.confidence, layer: t.layer.unwrap_or(Layer::L2) }
    }
}

impl Subject {
    /// Opens what `--guard` names: `default`, a `.lh` artifact or a `.toml` guard spec.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Guard`] for an artifact, [`Error::Format`] for a spec.
    pub fn open(name: &str) -> Result<Subject> {
        if name == "default" {
            return Ok(Subject::Levelhead { name: "default".into(), guard: Box::new(Guard::embedded()) });
        }
        let path = Path::new(name);
        match path.extension().and_then(|e| e.to_str()) {
            Some("lh") => Ok(Subject::Levelhead { name: name.to_string(), guard: Box::new(read_guard(path)?) }),
            Some("toml") => Subject::from_spec(path),
            _ => Err(Error::format(path, "not a guard: `default`, a .lh file or a .toml guard spec is expected")),
        }
    }

    fn from_spec(path: &Path) -> Result<Subject> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
        let spec: Spec = toml::from_str(&text).map_err(|e| Error::format(path, toml_fault(&text, &e)))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf();
        let name = path.display().to_string();
        match spec {
            Spec::Command { command } if command.is_empty() => Err(Error::format(path, "command is empty: name a program")),
            Spec::Command { command } => Ok(Subject::Command { name, command, folder }),
            Spec::Results { path } => Ok(Subject::Results { name, verdicts: read_results(&folder.join(path))? }),
        }
    }

    /// What to call the guard.
    pub fn name(&self) -> &str {
        match self {
            Subject::Levelhead { name, .. } | Subject::Command { name, .. } | Subject::Results { name, .. } => name,
        }
    }

    /// The Levelhead guard, where it is one.
    pub fn guard(&self) -> Option<&Guard> {
        match self {
            Subject::Levelhead { guard, .. } => Some(guard),
            _ => None,
        }
    }

    /// One verdict for each row, in order.
    ///
    /// # Errors
    /// [`Error::Subject`] where an outside guard does not answer as agreed, or has no verdict for a text.
    pub fn judge(&self, rows: &[Row], progress: &dyn Progress) -> Result<Vec<Verdict>> {
        progress.begin("judging", rows.len() as u64);
        let verdicts = match self {
            Subject::Levelhead { guard, .. } => Ok(judge_rows(guard, rows, progress)),
            Subject::Command { name, command, folder } => ask(name, command, folder, rows, progress),
            Subject::Results { name, verdicts } => rows
                .iter()
                .map(|row| {
                    let shown: String = row.text.chars().take(60).collect();
                    let reason = || format!("no stored verdict for {shown:?}: judge this text first, or leave it out");
                    verdicts.get(&row.text).cloned().ok_or_else(|| Error::Subject { guard: name.clone(), reason: reason() })
                })
                .collect(),
        };
        progress.end();
        verdicts
    }
}

/// Reads a Levelhead artifact from a file.
///
/// # Errors
/// [`Error::Io`] and [`Error::Guard`].
pub fn read_guard(path: &Path) -> Result<Guard> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    Guard::from_bytes(&bytes).map_err(|source| Error::Guard { path: path.to_path_buf(), source })
}

/// Judges rows with a Levelhead guard on all cores.
pub fn judge_rows<R: Borrow<Row> + Sync>(guard: &Guard, rows: &[R], progress: &dyn Progress) -> Vec<Verdict> {
    rows.par_chunks(256)
        .flat_map_iter(|chunk| {
            let mut scratch = Scratch::default();
            let verdicts: Vec<Verdict> = chunk.iter().map(|row| guard.judge_with(&row.borrow().text, &mut scratch)).collect();
            progress.advance(chunk.len() as u64);
            verdicts
        })
        .collect()
}

fn ask(name: &str, command: &[String], folder: &Path, rows: &[Row], progress: &dyn Progress) -> Result<Vec<Verdict>> {
    let fault = |reason: String| Error::Subject { guard: name.to_string(), reason };
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| fault(format!("cannot run {:?}: {e}", command[0])))?;
    let mut input = BufWriter::new(child.stdin.take().expect("stdin is piped"));
    let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let (sent, verdicts) = std::thread::scope(|scope| {
        // Writing and reading at once: a program that answers as it reads would fill a pipe and wait for ever.
        let writer = scope.spawn(move || -> std::io::Result<()> {
            for row in rows {
                serde_json::to_writer(&mut input, &serde_json::json!({ "text": row.text }))?;
                input.write_all(b"\n")?;
            }
            input.flush()
        });
        let mut verdicts = Vec::with_capacity(rows.len());
        let mut failed = None;
        for line in output.lines().take(rows.len()) {
            let n = verdicts.len() + 1;
            let answer = line
                .map_err(|e| e.to_string())
                .and_then(|l| {
                    serde_json::from_str::<Answer>(&l).map_err(|e| format!("{e} in {:?}", l.chars().take(80).collect::<String>()))
                })
                .and_then(verdict);
            match answer {
                Ok(verdict) => verdicts.push(verdict),
                Err(reason) => {
                    failed = Some(format!("answer {n}: {reason}"));
                    break;
                }
            }
            progress.advance(1);
        }
        if failed.is_some() || verdicts.len() < rows.len() {
            // It may wait for more input or more answers to be read; neither will come.
            let _ = child.kill();
        }
        let sent = writer.join().expect("the writer does not panic");
        (
            sent,
            match failed {
                Some(reason) => Err(reason),
                None => Ok(verdicts),
            },
        )
    });
    let status = child.wait().map_err(|e| fault(e.to_string()))?;
    let verdicts = verdicts.map_err(fault)?;
    if verdicts.len() < rows.len() {
        let sent = sent.err().map_or_else(String::new, |e| format!(" ({e})"));
        return Err(fault(format!("{} answers for {} prompts; it ended with {status}{sent}", verdicts.len(), rows.len())));
    }
    Ok(verdicts)
}

/// An outside answer as a verdict; without a score, being flagged is one.
fn verdict(answer: Answer) -> std::result::Result<Verdict, String> {
    let threats: Vec<Threat> = answer.threats.into_iter().map(Threat::from).collect();
    let flagged = match (answer.flagged, answer.score) {
        (Some(flagged), _) => flagged,
        (None, Some(score)) => score >= 0.5,
        (None, None) => return Err("neither score nor flagged is given".to_string()),
    };
    let score = answer.score.unwrap_or(f64::from(u8::from(flagged)));
    if !(0.0..=1.0).contains(&score) {
        return Err(format!("score {score} is not P(attack), 0 to 1"));
    }
    Ok(stored_verdict(score, flagged, threats))
}

/// A verdict made from what another guard stored.
pub(crate) fn stored_verdict(score: f64, flagged: bool, threats: Vec<Threat>) -> Verdict {
    let first = threats.first();
    Verdict {
        score: Probability(score),
        flagged,
        family: if flagged { first.map_or("other_attack", |t| t.rule_id.trim_start_matches("l2.")) } else { BENIGN }
            .to_string()
            .into(),
        severity: threats.iter().map(|t| t.severity).max().unwrap_or(Severity::Info),
        layer: if flagged { Some(first.map_or(Layer::L2, |t| t.layer)) } else { None },
        threats,
    }
}

fn read_results(path: &Path) -> Result<HashMap<String, Verdict>> {
    let file = std::fs::File::open(path).map_err(|e| Error::read(path, e))?;
    let mut verdicts = HashMap::new();
    for (i, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| Error::read(path, e))?;
        if line.trim().is_empty() {
            continue;
        }
        let fault = |reason: String| Error::Row { path: path.to_path_buf(), line: i as u64 + 1, column: String::new(), reason };
        let mut answer: Answer = serde_json::from_str(&line).map_err(|e| fault(e.to_string()))?;
        let text = answer.text.take().ok_or_else(|| fault("no text: a stored verdict needs the prompt that it is for".into()))?;
        verdicts.insert(text, verdict(answer).map_err(fault)?);
    }
    if verdicts.is_empty() {
        return Err(Error::format(path, "no stored verdicts"));
    }
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use crate::row::Label;

    fn rows(texts: &[&str]) -> Vec<Row> {
        texts.iter().map(|t| Row::new(*t, Label::Benign)).collect()
    }

    fn spec(dir: &Path, text: &str) -> Result<Subject> {
        let path = dir.join("guard.toml");
        std::fs::write(&path, text).unwrap();
        Subject::open(path.to_str().unwrap())
    }

    #[test]
    fn a_program_is_asked_line_by_line_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let script = r#"while read -r line; do case "$line" in *bad*) echo '{"score":0.9,"flagged":true,"threats":[{"rule_id":"R1","layer":"L1","severity":"low","confidence":0.9}]}';; *) echo '{"score":0.1}';; esac; done"#;
        std::fs::write(dir.path().join("guard.sh"), script).unwrap();
        let subject = spec(dir.path(), "kind = \"command\"\ncommand = [\"sh\", \"guard.sh\"]").unwrap();
        let verdicts = subject.judge(&rows(&["ok", "bad", "ok \"quoted\"\nline"]), &Silent).unwrap();
        assert_eq!(verdicts.iter().map(|v| v.flagged).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!((verdicts[1].layer, verdicts[1].threats[0].rule_id.as_str()), (Some(Layer::L1), "R1"));
    }

    #[test]
    fn a_program_that_breaks_the_agreement_is_named_with_the_fault() {
        let dir = tempfile::tempdir().unwrap();
        let many: Vec<String> = (0..20_000).map(|i| format!("prompt {i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let rows = [
            ("[\"sh\", \"-c\", \"echo '{}'\"]", "answer 1: neither score nor flagged"),
            ("[\"sh\", \"-c\", \"echo nonsense; exec sleep 100\"]", "answer 1: expected"),
            ("[\"sh\", \"-c\", \"echo '{\\\"score\\\":7}'\"]", "score 7 is not P(attack)"),
            (
                "[\"sh\", \"-c\", \"head -n 3 | sed 's/.*/{\\\"score\\\":0}/'; exit 3\"]",
                "3 answers for 20000 prompts; it ended with",
            ),
            ("[\"/no/such/program\"]", "cannot run \"/no/such/program\""),
        ];
        for (command, expected) in rows {
            let subject = spec(dir.path(), &format!("kind = \"command\"\ncommand = {command}")).unwrap();
            let error = subject.judge(&self::rows(&many), &Silent).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn stored_verdicts_answer_by_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("r.jsonl"), "{\"text\":\"a\",\"score\":0.7}\n\n{\"text\":\"b\",\"flagged\":false}\n")
            .unwrap();
        let subject = spec(dir.path(), "kind = \"results\"\npath = \"r.jsonl\"").unwrap();
        let verdicts = subject.judge(&rows(&["b", "a"]), &Silent).unwrap();
        assert_eq!((verdicts[0].flagged, verdicts[1].flagged, verdicts[1].score.0), (false, true, 0.7));
        let error = subject.judge(&rows(&["c"]), &Silent).unwrap_err().to_string();
        assert!(error.contains("no stored verdict for \"c\""), "{error}");
    }

    #[test]
    fn a_spec_that_is_wrong_says_so() {
        let dir = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("kind = \"oracle\"", "unknown variant `oracle`"),
            ("kind = \"command\"\ncommand = []", "command is empty"),
            ("kind = \"results\"\npath = \"missing.jsonl\"", "cannot read"),
            ("kind = ", "line 1: "),
        ] {
            let error = spec(dir.path(), text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Subject::open("guard.pickle").unwrap_err().to_string().contains("not a guard"));
    }
}
