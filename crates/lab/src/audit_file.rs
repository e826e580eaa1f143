//! Audits from JSON: our own `audit.json`, and the `benign_test_results.json` that other guards' tests write.
//!
//! What a file leaves out is computed from what it holds. What contradicts itself is refused, never guessed: the message
//! names the entry and the fix.

use std::collections::BTreeMap;
use std::path::Path;

use levelhead::{Layer, Severity, Threat};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::audit::{Audit, arrange, tally_details};
use crate::error::{Error, Result};
use crate::false_positive::{EntryId, FalsePositive};
use crate::language::language;
use crate::slice::{By, Slice, Tally};
use crate::subject::stored_verdict;

/// Reads an audit, ours or of the field's form.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] names the entry at fault and the fix.
pub fn read_audit(path: &Path) -> Result<Audit> {
    let bytes = std::fs::read(path).map_err(|e| Error::read(path, e))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if text.trim_ascii().is_empty() {
        return Err(Error::format(path, "the file is empty: an audit is a JSON object, as `levelhead audit` writes it"));
    }
    let value: Value = serde_json::from_slice(text).map_err(|e| Error::format(path, format!("not JSON: {e}")))?;
    Audit::try_from(value).map_err(|reason| Error::format(path, reason))
}

impl TryFrom<Value> for Audit {
    type Error = String;

    fn try_from(value: Value) -> Checked<Audit> {
        let Value::Object(map) = &value else {
            let form = "an object with total, false_positives, categories and fp_details is expected";
            return Err(format!("the file holds {}: {form}", kind(&value)));
        };
        let file = Fields { map, place: String::new() };
        let details = file.list("fp_details")?.ok_or("no fp_details: list the prompts that were flagged, or [] for none")?;
        let total = file.count("total")?.ok_or("no total: give the number of benign prompts that were judged")?;
        let false_positives = file.count("false_positives")?.unwrap_or(details.len());
        let numbers = [
            (details.len(), "fp_details entries", false_positives, "false_positives"),
            (false_positives, "false_positives", total, "total"),
        ];
        if let Some((n, part, most, whole)) = numbers.into_iter().find(|(n, _, most, _)| n > most) {
            return Err(format!("{whole} is {most}, but there are {n} {part}: correct {whole}"));
        }
        let true_negatives = file.count("true_negatives")?.unwrap_or(total - false_positives);
        if false_positives + true_negatives != total {
            let sum = format!("false_positives {false_positives} and true_negatives {true_negatives}");
            return Err(format!(
                "total is {total}, but {sum} make {}: correct the one that is wrong",
                false_positives + true_negatives
            ));
        }
        let fp_details = details.iter().enumerate().map(|(i, value)| detail(i + 1, value)).collect::<Checked<Vec<_>>>()?;
        let (fp_details, clusters): (Vec<_>, Vec<_>) = fp_details.into_iter().unzip();
        let mut audit = Audit {
            guard: file.text("guard")?.unwrap_or_default().to_string(),
            total,
            false_positives,
            true_negatives,
            n_attacks_left_out: file.count("n_attacks_left_out")?.unwrap_or(0),
            distinct: file.stored("distinct")?.unwrap_or_default(),
            categories: categories(&file, &fp_details)?,
            slices: file.stored("slices")?.unwrap_or_default(),
            clusters: file.stored("clusters")?.unwrap_or_default(),
            fp_details,
        };
        let n_clusters = audit.clusters.len();
        if audit.slices.is_empty() || clusters.iter().any(|c| c.is_none_or(|cluster| cluster >= n_clusters)) {
            complete(&mut audit);
        } else {
            audit.fp_details.iter_mut().zip(clusters.into_iter().flatten()).for_each(|(fp, cluster)| fp.cluster = cluster);
        }
        Ok(audit)
    }
}

/// Computes what the field's form leaves out.
fn complete(audit: &mut Audit) {
    let (clusters, prompt_of) = arrange(&mut audit.fp_details, &[]);
    audit.clusters = clusters;
    audit.distinct.fp = prompt_of.iter().max().map_or(0, |last| last + 1);
    audit.slices.clear();
    let distinct = |by| tally_details(&audit.fp_details, &prompt_of, by);
    let of_category = distinct(By::Category);
    for (name, entries) in &audit.categories {
        let fp = of_category.get(name.as_str()).map_or(0, |(_, distinct)| distinct.fp);
        audit.slices.push(Slice::new(By::Category, name, *entries, Tally { total: None, fp }));
    }
    for by in [By::Length, By::Language] {
        // The file lists no passed prompts, so nobody knows how many were short or German.
        let unknown = |tally: Tally| Tally { total: None, fp: tally.fp };
        audit.slices.extend(distinct(by).into_iter().map(|(name, (e, d))| Slice::new(by, name, unknown(e), unknown(d))));
    }
    audit.slice_guard(&prompt_of);
}

/// The categories' entries: as the file counts them, and those of the details that it does not name.
fn categories(file: &Fields, fps: &[FalsePositive]) -> Checked<BTreeMap<String, Tally>> {
    let mut listed: BTreeMap<&str, usize> = BTreeMap::new();
    fps.iter().for_each(|fp| *listed.entry(&fp.category).or_default() += 1);
    let mut categories: BTreeMap<String, Tally> =
        listed.iter().map(|(name, fp)| (name.to_string(), Tally { total: None, fp: *fp })).collect();
    for (name, value) in file.read("categories", "an object of categories", Value::as_object)?.into_iter().flatten() {
        let place = format!("category {name:?}");
        let map = value.as_object().ok_or_else(|| format!("{place} is {}: total and fp are expected", kind(value)))?;
        let counts = Fields { map, place };
        let fps = listed.get(name.as_str()).copied().unwrap_or(0);
        let tally = Tally { total: counts.count("total")?, fp: counts.count("fp")?.unwrap_or(fps) };
        if tally.fp < fps {
            return Err(format!("{}: fp is {}, but fp_details holds {fps} entries of it: correct fp", counts.place, tally.fp));
        }
        if let Some(total) = tally.total.filter(|total| *total < tally.fp) {
            return Err(format!("{}: total is {total}, but fp is {}: correct total", counts.place, tally.fp));
        }
        categories.insert(name.clone(), tally);
    }
    Ok(categories)
}

/// An entry of `fp_details`, and its cluster where it names one.
fn detail(n: usize, value: &Value) -> Checked<(FalsePositive, Option<usize>)> {
    let place = format!("fp_details entry {n}");
    let map = value.as_object().ok_or_else(|| format!("{place} is {}: an object with a prompt is expected", kind(value)))?;
    let id = match map.get("id") {
        None | Some(Value::Null) => EntryId::from(n),
        Some(Value::Number(number)) => EntryId::Number(number.clone()),
        Some(Value::String(name)) => EntryId::Name(name.clone()),
        Some(other) => return Err(format!("{place}: id is {}: a number or a text is expected", kind(other))),
    };
    let entry = Fields { map, place: format!("{place} (id {id})") };
    let prompt = entry.text("prompt")?.ok_or_else(|| format!("{}: no prompt: give the text that was flagged", entry.place))?;
    let threats = entry.list("threats")?.unwrap_or_default();
    let threats = threats.iter().enumerate().map(|(i, value)| threat(&entry, i + 1, value)).collect::<Checked<Vec<_>>>()?;
    let sure = threats.iter().filter_map(|t| t.1).reduce(f64::max);
    let score = entry.probability("score")?.or(sure);
    let threats: Vec<Threat> = threats.into_iter().map(|t| t.0).collect();
    let family = match entry.text("family")? {
        Some(family) => family.to_string(),
        None => stored_verdict(score.unwrap_or(1.0), true, threats.clone()).family.into_owned(),
    };
    let fp = FalsePositive {
        id,
        prompt: prompt.to_string(),
        category: entry.text("category")?.unwrap_or("unspecified").to_string(),
        threats,
        score,
        family,
        source: entry.text("source")?.unwrap_or("unknown").to_string(),
        language: entry.text("language")?.unwrap_or_else(|| language(prompt)).to_string(),
        cluster: 0,
    };
    Ok((fp, entry.count("cluster")?))
}

/// A threat, and its confidence where it names one.
fn threat(entry: &Fields, n: usize, value: &Value) -> Checked<(Threat, Option<f64>)> {
    let place = format!("{}, threat {n}", entry.place);
    let map = value.as_object().ok_or_else(|| format!("{place} is {}: an object with a rule_id is expected", kind(value)))?;
    let fields = Fields { map, place };
    let layer = match fields.text("layer")?.map(str::to_ascii_uppercase).as_deref() {
        Some("L1") => Layer::L1,
        Some("L2") | None => Layer::L2,
        Some(other) => return Err(format!("{}: layer is {other:?}: L1 (rules) or L2 (classifier) is expected", fields.place)),
    };
    let confidence = fields.probability("confidence")?;
    let threat = Threat {
        rule_id: fields.text("rule_id")?.unwrap_or_default().to_string(),
        severity: Severity::from_name(&fields.text("severity")?.unwrap_or_default().to_ascii_lowercase()),
        confidence: confidence.unwrap_or(0.0),
        layer,
    };
    Ok((threat, confidence))
}

/// A value, or what is wrong with the file.
type Checked<T> = std::result::Result<T, String>;

/// The fields of a JSON object. A field that is `null` counts as missing.
struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// Where the object stands; empty for the whole file.
    place: String,
}

impl<'a> Fields<'a> {
    fn read<T>(&self, name: &str, expected: &str, read: impl Fn(&'a Value) -> Option<T>) -> Checked<Option<T>> {
        let Some(value) = self.map.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let separator = if self.place.is_empty() { "" } else { ": " };
        let fault = || format!("{}{separator}{name} is {}: {expected} is expected", self.place, kind(value));
        read(value).map(Some).ok_or_else(fault)
    }

    fn text(&self, name: &str) -> Checked<Option<&'a str>> {
        self.read(name, "a text", Value::as_str)
    }

    fn list(&self, name: &str) -> Checked<Option<&'a [Value]>> {
        self.read(name, "a list", |value| value.as_array().map(Vec::as_slice))
    }

    /// A count; other languages write 100 as 100.0.
    fn count(&self, name: &str) -> Checked<Option<usize>> {
        let whole = |x: &f64| x.fract() == 0.0 && (0.0..=9e15).contains(x);
        self.read(name, "a whole number from 0", |value| value.as_f64().filter(whole).map(|x| x as usize))
    }

    /// A number from 0 to 1; rounding may have left it a trifle outside.
    fn probability(&self, name: &str) -> Checked<Option<f64>> {
        let near = |x: &f64| (-1e-6..=1.0 + 1e-6).contains(x);
        self.read(name, "a number from 0 to 1", |value| value.as_f64().filter(near).map(|x| x.clamp(0.0, 1.0)))
    }

    /// A part that an audit of ours holds.
    fn stored<T: DeserializeOwned>(&self, name: &str) -> Checked<Option<T>> {
        let Some(value) = self.map.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
        let fix = "take slices, clusters and distinct out to have them computed anew";
        T::deserialize(value).map(Some).map_err(|e| format!("{name}: {e}: {fix}"))
    }
}

/// What a JSON value is, for a message.
fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_string(),
        Value::Bool(_) => "true or false".to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text {:?}", text.chars().take(40).collect::<String>()),
        Value::Array(_) => "a list".to_string(),
        Value::Object(_) => "an object".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slice::Visibility;
    use serde_json::json;

    fn read(bytes: &[u8]) -> Result<Audit> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("benign_test_results.json");
        std::fs::write(&path, bytes).unwrap();
        read_audit(&path)
    }

    /// A file of the field's form: 420 flagged entries of 9,000, which are 35 prompts, each twelve times.
    fn field_form() -> Value {
        let subjects = ["bank", "mail", "phone", "tablet", "router"];
        let details: Vec<Value> = (0..420)
            .map(|i| {
                let (subject, way) = (subjects[i % 5], i % 7);
                let (prompt, category) = match way {
                    0..4 => (format!("Way {way}: I forgot the password of my {subject}"), "daily_tasks"),
                    _ => (format!("Number {way} {subject}"), "creative"),
                };
                let prompt = if i % 2 == 0 { prompt.to_uppercase() } else { prompt };
                let threats = match way {
                    0 => json!([]),
                    1 => json!([{"rule_id": "pi-7", "severity": "HIGH", "confidence": 0.5, "layer": "L1"}]),
                    _ => json!([{"rule_id": "pi-8", "severity": "Medium"}, {"confidence": 0.25, "layer": "L2", "note": 1}]),
                };
                let id = if i % 3 == 0 { json!(i) } else { json!(format!("case-{i}")) };
                json!({"id": id, "prompt": prompt, "category": category, "threats": threats, "raw": {"kept": false}})
            })
            .collect();
        json!({"total": 9000, "false_positives": 420, "true_negatives": 8580, "run_at": "yesterday", "fp_details": details,
            "categories": {"daily_tasks": {"total": 5000, "fp": 240}, "creative": {"total": 1000, "fp": 180},
                "education": {"total": 3000, "fp": 0}}})
    }

    #[test]
    fn the_field_s_file_loads_as_it_is_with_entries_and_distinct_prompts() {
        let audit = read(field_form().to_string().as_bytes()).unwrap();
        assert_eq!((audit.total, audit.false_positives, audit.true_negatives), (9000, 420, 8580));
        assert_eq!(audit.distinct, Tally { total: None, fp: 35 });
        let slice = |by, name: &str| audit.slices_by(by).find(|s| s.name == name).unwrap().clone();
        let counts = |s: Slice| (s.entries.total, s.entries.fp, s.distinct.total, s.distinct.fp, s.visibility);
        assert_eq!(counts(slice(By::Category, "daily_tasks")), (Some(5000), 240, None, 20, Visibility::Ok));
        assert_eq!(counts(slice(By::Category, "education")), (Some(3000), 0, None, 0, Visibility::Ok));
        assert_eq!(counts(slice(By::Rule, "pi-8")), (Some(9000), 300, None, 25, Visibility::Ok));
        assert_eq!(counts(slice(By::Layer, "L1")), (Some(9000), 60, None, 5, Visibility::Ok));
        assert_eq!(counts(slice(By::Rule, "(none given)")), (Some(9000), 360, None, 30, Visibility::Ok));
        assert_eq!(counts(slice(By::Length, "0-19")), (None, 180, None, 15, Visibility::Unknown));
        assert_eq!(slice(By::All, "all").rate, Some(420.0 / 9000.0));
        let first = &audit.clusters[0];
        assert!(first.phrase.contains("password"), "{first:?}");
        assert_eq!((first.entries, first.distinct, first.holding.total), (240, 20, None));
        assert_eq!(audit.clusters.iter().map(|c| c.distinct).sum::<usize>(), 35);
        // A score is the highest confidence; where there is none it is not known, and sorts last.
        let scores: Vec<Option<f64>> = [0, 59, 60, 359, 360].map(|i| audit.fp_details[i].score).into();
        assert_eq!(scores, [Some(0.5), Some(0.5), Some(0.25), Some(0.25), None]);
        assert_eq!(audit.fp_details[0].threats[0].severity, Severity::High);
        assert!(audit.fp_details.iter().all(|fp| fp.cluster < audit.clusters.len()));
    }

    #[test]
    fn what_is_computed_is_kept_by_a_round_trip() {
        let audit = read(field_form().to_string().as_bytes()).unwrap();
        let again = read(serde_json::to_string(&audit).unwrap().as_bytes()).unwrap();
        assert_eq!(again, audit);
        let mut with_mark = b"\xef\xbb\xbf".to_vec();
        with_mark.extend(field_form().to_string().bytes());
        assert_eq!(read(&with_mark).unwrap(), audit);
    }

    #[test]
    fn a_file_that_lists_only_some_entries_gives_no_rates_by_rule() {
        let mut file = field_form();
        file["fp_details"].as_array_mut().unwrap().truncate(70);
        let audit = read(file.to_string().as_bytes()).unwrap();
        assert_eq!((audit.false_positives, audit.fp_details.len(), audit.distinct.fp), (420, 70, 35));
        assert_eq!(audit.slices_by(By::Rule).next().unwrap().rate, None);
        assert_eq!(audit.overall().rate, Some(420.0 / 9000.0));
    }

    #[test]
    fn an_error_names_the_file_the_entry_and_the_fix() {
        let change = |pointer: &str, value: Value| {
            let mut file = field_form();
            match file.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => panic!("{pointer}"),
            }
            file.to_string()
        };
        let without = |pointer: &str, key: &str| {
            let mut file = field_form();
            file.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key);
            file.to_string()
        };
        let rows = [
            (String::new(), "the file is empty: an audit is a JSON object"),
            (" \n".to_string(), "the file is empty"),
            ("total,fp\n1,2".to_string(), "not JSON: expected"),
            ("[1]".to_string(), "the file holds a list: an object with total, false_positives"),
            (without("", "fp_details"), "no fp_details: list the prompts that were flagged"),
            (without("", "total"), "no total: give the number"),
            (change("/total", json!("9000")), "total is the text \"9000\": a whole number from 0 is expected"),
            (change("/total", json!(-1)), "total is the number -1: a whole number"),
            (change("/total", json!(400)), "total is 400, but there are 420 false_positives: correct total"),
            (change("/false_positives", json!(419)), "false_positives is 419, but there are 420 fp_details entries"),
            (change("/true_negatives", json!(8579)), "make 8999: correct the one that is wrong"),
            (change("/fp_details", json!({})), "fp_details is an object: a list is expected"),
            (change("/fp_details/1", json!("x")), "fp_details entry 2 is the text \"x\": an object with a prompt"),
            (without("/fp_details/1", "prompt"), "fp_details entry 2 (id case-1): no prompt: give the text"),
            (change("/fp_details/2/prompt", json!(null)), "fp_details entry 3 (id case-2): no prompt"),
            (change("/fp_details/2/prompt", json!(5)), "entry 3 (id case-2): prompt is the number 5: a text is expected"),
            (change("/fp_details/3/id", json!([])), "fp_details entry 4: id is a list: a number or a text"),
            (change("/fp_details/3/threats", json!("L1")), "entry 4 (id 3): threats is the text \"L1\": a list is expected"),
            (
                change("/fp_details/2/threats/0", json!(1)),
                "entry 3 (id case-2), threat 1 is the number 1: an object with a rule_id",
            ),
            (
                change("/fp_details/1/threats/0/confidence", json!(97.5)),
                "threat 1: confidence is the number 97.5: a number from 0 to 1",
            ),
            (change("/fp_details/1/threats/0/layer", json!("L3")), "threat 1: layer is \"L3\": L1 (rules) or L2 (classifier)"),
            (change("/categories/creative", json!(3)), "category \"creative\" is the number 3: total and fp are expected"),
            (change("/categories/creative/fp", json!(179)), "category \"creative\": fp is 179, but fp_details holds 180"),
            (change("/categories/creative/total", json!(179)), "category \"creative\": total is 179, but fp is 180"),
        ];
        for (text, expected) in rows {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("benign_test_results.json: ") && error.contains(expected), "{error}\n{expected}");
        }
        let missing = read_audit(Path::new("/no/such/audit.json")).unwrap_err().to_string();
        assert!(missing.contains("cannot read /no/such/audit.json"), "{missing}");
    }

    #[test]
    fn a_damaged_part_of_our_own_is_named() {
        let mut file = field_form();
        file["slices"] = json!([{"by": "colour"}]);
        let error = read(file.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("slices: unknown variant `colour`") && error.contains("computed anew"), "{error}");
    }
}
