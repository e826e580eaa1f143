//! Settings of a model that writes variations: a TOML file. It names the variable that holds the key; the key is never in it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::template::{Template, Text};
use crate::error::{Error, Result, toml_fault};

/// Which model is asked, how, and how much at most.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `base_url` | | what stands before `/chat/completions` | http or https |
/// | `model` | | the model's name at the endpoint | |
/// | `key_env` | none | the environment variable that holds the key | |
/// | `proxy` | none | the proxy to go through | http or https |
/// | `temperature` | the server's | how freely it writes | 0 to 2 |
/// | `max_calls` | 1000 | calls in all, retries too | 1 up |
/// | `max_tokens` | 1000000 | tokens in all | 1 up |
/// | `timeout_seconds` | 60 | for one call | 1 to 3600 |
/// | `retries` | 4 | calls after the first for one answer | 0 to 10 |
/// | `parallel` | 4 | calls at a time | 1 to 64 |
/// | `cache` | beside the file, `.cache.jsonl` | every answer that was paid | |
/// | `template` or `template_file` | that of `data/llm/example.toml` | what is asked | |
///
/// ```
/// use levelhead_lab::llm::Settings;
/// let text = "base_url = 'http://127.0.0.1:8080/v1/'\nmodel = 'qwen'\nretries = 2";
/// let settings = Settings::parse("my/llm.toml".as_ref(), text).unwrap();
/// assert_eq!((settings.base_url.as_str(), settings.retries), ("http://127.0.0.1:8080/v1", 2));
/// assert_eq!(settings.cache, std::path::Path::new("my/llm.cache.jsonl"));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// What stands before `/chat/completions`, without a slash at its end.
    pub base_url: String,
    /// The model's name at the endpoint.
    pub model: String,
    /// The environment variable that holds the key.
    pub key_env: Option<String>,
    /// The proxy to go through.
    pub proxy: Option<String>,
    /// How freely the model writes; the server's own where nothing is given.
    pub temperature: Option<f64>,
    /// Calls in all, retries too.
    pub max_calls: usize,
    /// Tokens in all.
    pub max_tokens: usize,
    /// The longest time for one call.
    pub timeout: Duration,
    /// Calls after the first for one answer.
    pub retries: usize,
    /// Calls at a time.
    pub parallel: usize,
    /// The file of answers that were paid.
    pub cache: PathBuf,
    /// What is asked.
    pub template: Template,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    base_url: Spanned<String>,
    model: Spanned<String>,
    key_env: Option<Spanned<String>>,
    proxy: Option<Spanned<String>>,
    temperature: Option<Spanned<f64>>,
    max_calls: Option<Spanned<u64>>,
    max_tokens: Option<Spanned<u64>>,
    timeout_seconds: Option<Spanned<u64>>,
    retries: Option<Spanned<u64>>,
    parallel: Option<Spanned<u64>>,
    cache: Option<Spanned<PathBuf>>,
    template: Option<Spanned<Texts>>,
    template_file: Option<Spanned<PathBuf>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    system: Spanned<String>,
    user: Spanned<String>,
}

/// The settings that ship; what they ask is the default template.
const EXAMPLE: &str = include_str!("../../../../data/llm/example.toml");

/// A fault: where in the text, and what.
type Fault = (usize, String);

impl Settings {
    /// Reads a settings file and the template that it names.
    ///
    /// # Errors
    /// [`Error::Io`]; as [`Settings::parse`].
    pub fn read(path: &Path) -> Result<Settings> {
        Settings::parse(path, &std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?)
    }

    /// Reads settings; files that they name are looked for beside `path`.
    ///
    /// # Errors
    /// [`Error::Format`] with the line and the fix; [`Error::Io`] for a template that cannot be read.
    pub fn parse(path: &Path, text: &str) -> Result<Settings> {
        let file: File = parsed(path, text)?;
        let at_line = |(at, reason): Fault| Error::format(path, format!("line {}: {reason}", line(text, at)));
        let beside = |name: &Path| path.parent().unwrap_or(Path::new("")).join(name);
        let template = match (&file.template, &file.template_file) {
            (Some(_), Some(other)) => {
                let reason = "template_file and [template] stand in one file: remove one of them".to_string();
                return Err(at_line((other.span().start, reason)));
            }
            (Some(texts), None) => template(texts.get_ref()).map_err(at_line)?,
            (None, Some(name)) => read_template(&beside(name.get_ref()))?,
            (None, None) => default_template(),
        };
        let cache = file.cache.as_ref().map_or_else(|| path.with_extension("cache.jsonl"), |name| beside(name.get_ref()));
        from_file(file, template, cache).map_err(at_line)
    }
}

fn from_file(file: File, template: Template, cache: PathBuf) -> std::result::Result<Settings, Fault> {
    let base_url = url("base_url", &file.base_url)?;
    if base_url.ends_with("/chat/completions") {
        let reason = "base_url ends in /chat/completions, which is added: leave it out";
        return Err((file.base_url.span().start, reason.to_string()));
    }
    if let Some(t) = file.temperature.as_ref().filter(|t| !(0.0..=2.0).contains(t.get_ref())) {
        return Err((t.span().start, format!("temperature {} is not from 0 to 2: try 0.8", t.get_ref())));
    }
    Ok(Settings {
        base_url,
        model: named("model", &file.model)?,
        key_env: file.key_env.as_ref().map(|name| named("key_env", name)).transpose()?,
        proxy: file.proxy.as_ref().map(|name| url("proxy", name)).transpose()?,
        temperature: file.temperature.map(Spanned::into_inner),
        max_calls: count("max_calls", file.max_calls, 1000, 1..=usize::MAX)?,
        max_tokens: count("max_tokens", file.max_tokens, 1_000_000, 1..=usize::MAX)?,
        timeout: Duration::from_secs(count("timeout_seconds", file.timeout_seconds, 60, 1..=3600)? as u64),
        retries: count("retries", file.retries, 4, 0..=10)?,
        parallel: count("parallel", file.parallel, 4, 1..=64)?,
        cache,
        template,
    })
}

fn parsed<T: for<'a> Deserialize<'a>>(path: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e| Error::format(path, toml_fault(text, &e)))
}

fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn named(name: &str, value: &Spanned<String>) -> std::result::Result<String, Fault> {
    match value.get_ref().trim() {
        "" => Err((value.span().start, format!("{name} is empty: write a name, or remove the line"))),
        text => Ok(text.to_string()),
    }
}

/// An address without a slash at its end. It may stand in messages, so it holds no secret.
fn url(name: &str, value: &Spanned<String>) -> std::result::Result<String, Fault> {
    let text = value.get_ref().trim().trim_end_matches('/');
    let rest = text.strip_prefix("http://").or(text.strip_prefix("https://")).unwrap_or("");
    let reason = if rest.is_empty() {
        format!("{name} is no address such as http://127.0.0.1:8080/v1: write one")
    } else if rest.contains('@') {
        format!("{name} holds a user or a password: remove it, and give a key by key_env")
    } else if rest.contains(['?', '#']) || text.parse::<ureq::http::Uri>().is_err() {
        format!("{name} is no plain address, such as https://api.example.com/v1: write one")
    } else {
        return Ok(text.to_string());
    };
    Err((value.span().start, reason))
}

fn count(
    name: &str,
    value: Option<Spanned<u64>>,
    default: usize,
    range: RangeInclusive<usize>,
) -> std::result::Result<usize, Fault> {
    let Some(value) = value else { return Ok(default) };
    let n = usize::try_from(*value.get_ref()).unwrap_or(usize::MAX);
    if range.contains(&n) {
        return Ok(n);
    }
    let most = if *range.end() == usize::MAX { "up".to_string() } else { format!("to {}", range.end()) };
    Err((value.span().start, format!("{name} {n} is out of range, {} {most}: try {default}", range.start())))
}

fn template(texts: &Texts) -> std::result::Result<Template, Fault> {
    let text = |name: &str, text: &Spanned<String>| {
        Text::parse(text.get_ref()).map_err(|reason| (text.span().start, format!("{name}: {reason}")))
    };
    let (system, user) = (text("system", &texts.system)?, text("user", &texts.user)?);
    if !user.holds("prompt") {
        return Err((texts.user.span().start, "user: {prompt} is missing: without it every answer is the same".to_string()));
    }
    Ok(Template::new(system, user))
}

fn read_template(path: &Path) -> Result<Template> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::read(path, e))?;
    let texts: Texts = parsed(path, &text)?;
    template(&texts).map_err(|(at, reason)| Error::format(path, format!("line {}: {reason}", line(&text, at))))
}

fn default_template() -> Template {
    let file: File = toml::from_str(EXAMPLE).expect("a test reads the example");
    let texts = file.template.expect("the example has a template").into_inner();
    template(&texts).expect("a test reads the example")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "base_url = 'http://h/v1'\nmodel = 'm'\n";

    #[test]
    fn the_example_states_the_defaults() {
        let example = Settings::parse(Path::new("llm.toml"), EXAMPLE).unwrap();
        let plain = Settings::parse(Path::new("llm.toml"), BASE).unwrap();
        let same = Settings { base_url: plain.base_url.clone(), model: plain.model.clone(), temperature: None, ..example };
        assert_eq!(same, plain);
    }

    #[test]
    fn a_template_stands_in_the_file_or_in_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("llm.toml");
        let texts = "system = 's'\nuser = '{n} of {prompt}'\n";
        std::fs::write(dir.path().join("my.toml"), texts).unwrap();
        let [inside, beside] = [format!("{BASE}[template]\n{texts}"), format!("{BASE}template_file = 'my.toml'")].map(|text| {
            std::fs::write(&path, text).unwrap();
            Settings::read(&path).unwrap()
        });
        assert_eq!(inside, beside);
        std::fs::write(dir.path().join("my.toml"), "system = 's'\nuser = '{tone}'").unwrap();
        let error = Settings::read(&path).unwrap_err().to_string();
        assert!(error.contains("my.toml: line 2: user: {tone} is no placeholder"), "{error}");
    }

    #[test]
    fn faults_name_the_line_and_the_fix() {
        let rows = [
            ("model = 'm'", "line 1: missing field `base_url`"),
            ("base_url = 'h/v1'\nmodel = 'm'", "line 1: base_url is no address such as http://127.0.0.1:8080/v1: write one"),
            ("model = 'm'\nbase_url = 'https://u:p@h/v1'", "line 2: base_url holds a user or a password: remove it"),
            ("base_url = 'http://h/v1?key=1'\nmodel = 'm'", "line 1: base_url is no plain address"),
            ("base_url = 'http://h h'\nmodel = 'm'", "line 1: base_url is no plain address"),
            ("base_url = 'http://h/v1/chat/completions'\nmodel = 'm'", "line 1: base_url ends in /chat/completions"),
            ("base_url = 'http://h'\nmodel = ' '", "line 2: model is empty"),
            ("key = 'sk-1'", "line 3: unknown field `key`"),
            ("key_env = ''", "line 3: key_env is empty"),
            ("proxy = 'p:80'", "line 3: proxy is no address"),
            ("temperature = 2.5", "line 3: temperature 2.5 is not from 0 to 2: try 0.8"),
            ("temperature = nan", "line 3: temperature NaN is not from 0 to 2"),
            ("max_calls = 0", "line 3: max_calls 0 is out of range, 1 up: try 1000"),
            ("max_tokens = -1", "line 3: invalid value: integer `-1`"),
            ("timeout_seconds = 4000", "line 3: timeout_seconds 4000 is out of range, 1 to 3600: try 60"),
            ("retries = 11", "line 3: retries 11 is out of range, 0 to 10: try 4"),
            ("\nparallel = 0", "line 4: parallel 0 is out of range, 1 to 64: try 4"),
            ("[template]\nuser = '{prompt}'", "missing field `system`"),
            (
                "[template]\nsystem = '{Prompt}'\nuser = ''",
                "line 4: system: {Prompt} is no placeholder: there are {prompt}, {phrase}",
            ),
            ("[template]\nsystem = ''\nuser = '{n}'", "line 5: user: {prompt} is missing"),
            ("template_file = 'a'\n[template]\nsystem = ''\nuser = '{prompt}'", "line 3: template_file and [template]"),
            ("template_file = 'gone.toml'", "cannot read gone.toml"),
        ];
        for (text, expected) in rows {
            let is_whole = text.contains("model") || text.contains("base_url");
            let text = if is_whole { text.to_string() } else { format!("{BASE}{text}") };
            let error = Settings::parse(Path::new("llm.toml"), &text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
