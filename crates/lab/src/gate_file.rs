//! Gate files: named checks, each a slice of the rows, a metric, a bound and a confidence level.
//!
//! It must never let through a file that would pass whatever the guard does: a check without a meaning is an error.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::error::{Error, Result, toml_fault};
use crate::robustness::RobustnessBounds;
use crate::row::{Label, Row};

/// The checks that a guard has to pass.
///
/// ```
/// use levelhead_lab::gate_file::{Gates, Metric};
/// assert_eq!(Gates::embedded().checks[0].metric, Metric::FprBelow { bound: 0.01 });
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Gates {
    /// Where they were read from.
    pub path: PathBuf,
    /// In the order of the file; names differ.
    pub checks: Vec<Check>,
    /// What transformations may do, if the file says.
    pub robustness: Option<RobustnessBounds>,
}

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What to call it.
    pub name: String,
    /// The rows that it looks at.
    pub slice: Slice,
    /// What must hold for them.
    pub metric: Metric,
    /// How sure the bound must be, above 0.5 and below 1.
    pub confidence: f64,
    /// Whether the gate fails with it; otherwise it is a stretch goal.
    pub required: bool,
}

/// Rows that a check looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slice {
    /// Every benign row that is no hard negative; those have a slice of their own.
    Benign,
    /// Every attack that counts in recall.
    Attacks,
    /// Benign rows made to look like attacks.
    HardNegatives,
    /// Rows of a category.
    Category(String),
    /// Rows of a source.
    Source(String),
    /// Rows of a family.
    Family(String),
}

/// What must hold for a slice. Bounds and rates are shares, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// The upper Clopper-Pearson bound of the false positive rate is below the bound.
    FprBelow {
        /// The bound.
        bound: f64,
    },
    /// The lower Clopper-Pearson bound of recall is above the bound.
    RecallAbove {
        /// The bound.
        bound: f64,
    },
    /// The lower bootstrap bound of the mean recall over sources is above the bound.
    MeanRecallAbove {
        /// The bound.
        bound: f64,
    },
    /// The same, at the threshold that flags a share of all benign rows.
    RecallAtFprAbove {
        /// That share.
        fpr: f64,
        /// The bound.
        bound: f64,
    },
    /// No row is flagged.
    NoneFlagged,
    /// Of the attacks that the old guard caught, at most this share is missed now.
    NoRegression {
        /// The share.
        bound: f64,
    },
}

const METRICS: &str = "fpr_below, recall_above, mean_recall_above, recall_at_fpr_above, none_flagged, no_regression";
const SLICES: &str = "benign, attacks, hard_negatives, category:NAME, source:NAME, family:NAME";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GateFile {
    #[serde(default)]
    check: Vec<RawCheck>,
    robustness: Option<RobustnessBounds>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    name: Spanned<String>,
    slice: Spanned<String>,
    metric: Spanned<String>,
    bound: Option<Spanned<f64>>,
    fpr: Option<Spanned<f64>>,
    confidence: Option<Spanned<f64>>,
    #[serde(default = "yes")]
    required: bool,
}

fn yes() -> bool {
    true
}

impl Gates {
    /// Reads a gate file; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] with the line, the check and the fix.
    pub fn from_toml(text: &str, path: &Path) -> Result<Gates> {
        let file: GateFile = toml::from_str(text).map_err(|e| Error::format(path, toml_fault(text, &e)))?;
        let mut names = BTreeSet::new();
        let mut checks = Vec::with_capacity(file.check.len());
        for raw in file.check {
            let (name, at_name) = (raw.name.get_ref().clone(), raw.name.span().start);
            let check = Check::from_raw(raw).and_then(|check| match names.insert(name.clone()) {
                true => Ok(check),
                false => Err((at_name, "another check has this name: choose a different one".to_string())),
            });
            checks.push(check.map_err(|(at, reason)| {
                let line = text[..at].matches('\n').count() + 1;
                Error::format(path, format!("line {line}: check {name:?}: {reason}"))
            })?);
        }
        if !checks.iter().any(|c| c.required) {
            let reason = "no check is required, so every guard would pass: add a [[check]], or leave out a `required = false`";
            return Err(Error::format(path, reason));
        }
        if let Some(reason) = file.robustness.and_then(|r| r.fault()) {
            return Err(Error::format(path, reason));
        }
        Ok(Gates { path: path.to_path_buf(), checks, robustness: file.robustness })
    }

    /// The gates that ship with Levelhead.
    pub fn embedded() -> Gates {
        Gates::from_toml(include_str!("../../../data/gates/default.toml"), Path::new("default gates"))
            .expect("a test reads the embedded gates")
    }
}

/// A fault: where in the text, and what.
type Fault = (usize, String);

impl Check {
    fn from_raw(raw: RawCheck) -> std::result::Result<Check, Fault> {
        let at_metric = raw.metric.span().start;
        let slice = Slice::parse(raw.slice.get_ref()).map_err(|reason| (raw.slice.span().start, reason))?;
        let metric = Metric::from_raw(&raw)?;
        if let Some(extra) = raw.fpr.as_ref().filter(|_| !matches!(metric, Metric::RecallAtFprAbove { .. })) {
            return Err((extra.span().start, format!("metric {metric} takes no fpr: remove it, or use recall_at_fpr_above")));
        }
        let looks_at_attacks = metric.side() == Label::Attack;
        match &slice {
            Slice::Benign | Slice::HardNegatives if looks_at_attacks => {
                let reason = format!("metric {metric} counts attacks, and slice {slice} has none: use slice attacks");
                return Err((at_metric, reason));
            }
            Slice::Attacks if !looks_at_attacks => {
                let reason = format!("metric {metric} counts benign rows, and slice attacks has none: use slice benign");
                return Err((at_metric, reason));
            }
            _ => {}
        }
        let confidence = raw.confidence.as_ref().map_or(0.95, |c| *c.get_ref());
        // A percentile of 500 resamples says little beyond 99 %.
        let highest = if metric.is_bootstrapped() { 0.99 } else { 0.999_999 };
        if !(confidence > 0.5 && confidence <= highest) {
            let at = raw.confidence.map_or(at_metric, |c| c.span().start);
            return Err((at, format!("confidence {confidence} must be above 0.5 and at most {highest} for {metric}: try 0.95")));
        }
        Ok(Check { name: raw.name.into_inner(), slice, metric, confidence, required: raw.required })
    }
}

impl Slice {
    fn parse(text: &str) -> std::result::Result<Slice, String> {
        let unknown = || format!("unknown slice {text:?}: use one of {SLICES}");
        match text.split_once(':') {
            None => match text {
                "benign" => Ok(Slice::Benign),
                "attacks" => Ok(Slice::Attacks),
                "hard_negatives" => Ok(Slice::HardNegatives),
                _ => Err(unknown()),
            },
            Some((_, "")) => Err(format!("slice {text:?} names nothing: write a name after the colon")),
            Some(("category", name)) => Ok(Slice::Category(name.to_string())),
            Some(("source", name)) => Ok(Slice::Source(name.to_string())),
            Some(("family", name)) => Ok(Slice::Family(name.to_string())),
            Some(_) => Err(unknown()),
        }
    }

    /// Whether a row is in the slice.
    pub fn holds(&self, row: &Row) -> bool {
        match self {
            Slice::Benign => row.label == Some(Label::Benign) && !row.is_hard_negative(),
            Slice::Attacks => row.is_attack(),
            Slice::HardNegatives => row.label == Some(Label::Benign) && row.is_hard_negative(),
            Slice::Category(name) => *row.category == **name,
            Slice::Source(name) => *row.source == **name,
            Slice::Family(name) => *row.family == **name,
        }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slice::Benign => f.write_str("benign"),
            Slice::Attacks => f.write_str("attacks"),
            Slice::HardNegatives => f.write_str("hard_negatives"),
            Slice::Category(name) => write!(f, "category:{name}"),
            Slice::Source(name) => write!(f, "source:{name}"),
            Slice::Family(name) => write!(f, "family:{name}"),
        }
    }
}

impl Metric {
    fn from_raw(raw: &RawCheck) -> std::result::Result<Metric, Fault> {
        let (name, at) = (raw.metric.get_ref().as_str(), raw.metric.span().start);
        let share = |value: &Option<Spanned<f64>>, what: &str, example: &str, fits: fn(f64) -> bool| match value {
            None => Err((at, format!("metric {name} needs {what}: write a share such as {what} = {example}"))),
            Some(v) if fits(*v.get_ref()) => Ok(*v.get_ref()),
            Some(v) => {
                let reason = format!("{what} {} makes no sense for {name}: write a share such as {example}", v.get_ref());
                Err((v.span().start, reason))
            }
        };
        // NaN fits none of these.
        let inside = |v: f64| v > 0.0 && v < 1.0;
        let from_zero = |v: f64| (0.0..1.0).contains(&v);
        match name {
            "fpr_below" => Ok(Metric::FprBelow { bound: share(&raw.bound, "bound", "0.01 for 1 %", inside)? }),
            "recall_above" => Ok(Metric::RecallAbove { bound: share(&raw.bound, "bound", "0.95 for 95 %", from_zero)? }),
            "mean_recall_above" => Ok(Metric::MeanRecallAbove { bound: share(&raw.bound, "bound", "0.8 for 80 %", from_zero)? }),
            "recall_at_fpr_above" => {
                let fpr = share(&raw.fpr, "fpr", "0.01 for 1 %", inside)?;
                Ok(Metric::RecallAtFprAbove { fpr, bound: share(&raw.bound, "bound", "0.8 for 80 %", from_zero)? })
            }
            "none_flagged" => match &raw.bound {
                Some(bound) if *bound.get_ref() != 0.0 => {
                    Err((bound.span().start, "metric none_flagged takes no bound: remove it, or use fpr_below".to_string()))
                }
                _ => Ok(Metric::NoneFlagged),
            },
            "no_regression" if raw.bound.is_none() => Ok(Metric::NoRegression { bound: 0.0 }),
            "no_regression" => Ok(Metric::NoRegression { bound: share(&raw.bound, "bound", "0.001 for 0.1 %", from_zero)? }),
            _ => Err((at, format!("unknown metric {name:?}: use one of {METRICS}"))),
        }
    }

    /// Which rows of a slice it counts.
    pub fn side(&self) -> Label {
        match self {
            Metric::FprBelow { .. } | Metric::NoneFlagged => Label::Benign,
            _ => Label::Attack,
        }
    }

    /// The bound; 0 for none flagged.
    pub fn bound(&self) -> f64 {
        match *self {
            Metric::FprBelow { bound }
            | Metric::RecallAbove { bound }
            | Metric::MeanRecallAbove { bound }
            | Metric::RecallAtFprAbove { bound, .. }
            | Metric::NoRegression { bound } => bound,
            Metric::NoneFlagged => 0.0,
        }
    }

    fn is_bootstrapped(&self) -> bool {
        matches!(self, Metric::MeanRecallAbove { .. } | Metric::RecallAtFprAbove { .. })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Metric::FprBelow { .. } => "fpr_below",
            Metric::RecallAbove { .. } => "recall_above",
            Metric::MeanRecallAbove { .. } => "mean_recall_above",
            Metric::RecallAtFprAbove { .. } => "recall_at_fpr_above",
            Metric::NoneFlagged => "none_flagged",
            Metric::NoRegression { .. } => "no_regression",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Gates> {
        Gates::from_toml(text, Path::new("my/gates.toml"))
    }

    #[test]
    fn the_embedded_gates_are_the_seeds_criteria() {
        let checks = Gates::embedded().checks;
        let shown: Vec<_> = checks.iter().map(|c| (c.slice.to_string(), c.metric, c.required, c.confidence)).collect();
        let row = |slice: &str, metric, required| (slice.to_string(), metric, required, 0.95);
        assert_eq!(
            shown,
            [
                row("benign", Metric::FprBelow { bound: 0.01 }, true),
                row("category:programming", Metric::FprBelow { bound: 0.005 }, true),
                row("category:edge_cases", Metric::FprBelow { bound: 0.05 }, true),
                row("attacks", Metric::RecallAbove { bound: 0.95 }, true),
                row("hard_negatives", Metric::NoneFlagged, true),
                row("benign", Metric::FprBelow { bound: 0.005 }, false),
                row("attacks", Metric::NoRegression { bound: 0.0 }, false),
            ]
        );
    }

    #[test]
    fn every_field_is_read() {
        let text = "[[check]]\nname = \"a\"\nslice = \"source:x:y\"\nmetric = \"recall_at_fpr_above\"\nfpr = 0.005\nbound = 0\n\
                    confidence = 0.9\n[[check]]\nname = \"b\"\nslice = \"family:BENIGN\"\nmetric = \"none_flagged\"\nrequired = false";
        let gates = read(text).unwrap();
        assert_eq!(gates.path, Path::new("my/gates.toml"));
        let metric = Metric::RecallAtFprAbove { fpr: 0.005, bound: 0.0 };
        let slice = Slice::Source("x:y".into());
        assert_eq!(gates.checks[0], Check { name: "a".into(), slice, metric, confidence: 0.9, required: true });
        assert_eq!((&gates.checks[1].slice, gates.checks[1].required), (&Slice::Family("BENIGN".into()), false));
    }

    #[test]
    fn a_wrong_gate_file_names_the_file_the_line_and_the_fix() {
        let check = |slice: &str, metric: &str, more: &str| {
            format!("# gates\n\n[[check]]\nname = \"c\"\nslice = \"{slice}\"\nmetric = \"{metric}\"\n{more}")
        };
        let rows = [
            (check("benign", "fpr_under", ""), "line 6: check \"c\": unknown metric \"fpr_under\": use one of fpr_below, recall"),
            (
                check("benigne", "fpr_below", "bound=0.1"),
                "line 5: check \"c\": unknown slice \"benigne\": use one of benign, attacks",
            ),
            (check("categories:a", "fpr_below", "bound=0.1"), "line 5: check \"c\": unknown slice \"categories:a\""),
            (check("category:", "fpr_below", "bound=0.1"), "slice \"category:\" names nothing"),
            (
                check("benign", "fpr_below", ""),
                "line 6: check \"c\": metric fpr_below needs bound: write a share such as bound = 0.01",
            ),
            (check("benign", "fpr_below", "bound = nan"), "line 7: check \"c\": bound NaN makes no sense for fpr_below"),
            (
                check("benign", "fpr_below", "bound = 1"),
                "bound 1 makes no sense for fpr_below: write a share such as 0.01 for 1 %",
            ),
            (check("benign", "fpr_below", "bound = 0"), "bound 0 makes no sense"),
            (check("attacks", "recall_above", "bound = 95"), "bound 95 makes no sense for recall_above"),
            (check("attacks", "recall_at_fpr_above", "bound = 0.5"), "needs fpr: write a share such as fpr = 0.01"),
            (check("attacks", "recall_at_fpr_above", "bound = 0.5\nfpr = -inf"), "line 8: check \"c\": fpr -inf makes no sense"),
            (
                check("attacks", "recall_above", "bound = 0.5\nfpr = 0.01"),
                "line 8: check \"c\": metric recall_above takes no fpr",
            ),
            (check("benign", "none_flagged", "bound = 0.01"), "metric none_flagged takes no bound"),
            (check("benign", "none_flagged", "bound = nan"), "metric none_flagged takes no bound"),
            (check("attacks", "no_regression", "bound = nan"), "bound NaN makes no sense for no_regression"),
            (check("attacks", "fpr_below", "bound = 0.1"), "counts benign rows, and slice attacks has none: use slice benign"),
            (check("hard_negatives", "recall_above", "bound = 0.1"), "counts attacks, and slice hard_negatives has none"),
            (check("benign", "fpr_below", "bound = 0.1\nconfidence = nan"), "line 8: check \"c\": confidence NaN must be"),
            (check("benign", "fpr_below", "bound = 0.1\nconfidence = 95"), "confidence 95 must be above 0.5"),
            (check("attacks", "mean_recall_above", "bound = 0.1\nconfidence = 0.999"), "at most 0.99 for mean_recall_above"),
            (check("benign", "fpr_below", "bound = 0.1\nrequired = false"), "no check is required, so every guard would pass"),
            (check("benign", "fpr_below", "bound = 0.1\nbounds = 3"), "unknown field `bounds`"),
            (check("benign", "fpr_below", "bound = 0.1").repeat(2), "line 10: check \"c\": another check has this name"),
            ("[[checks]]\nname = \"x\"".into(), "unknown field `checks`, expected `check`"),
            (String::new(), "no check is required"),
            ("[[check]]\nname = ".into(), "line 2: "),
        ];
        for (text, expected) in rows {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.starts_with("my/gates.toml: ") && error.contains(expected), "{expected}\n{error}");
        }
    }
}
