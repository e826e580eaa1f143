//! One call of an endpoint that speaks the OpenAI chat completions protocol. The key goes into the request and nowhere else.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ureq::http::{Response, StatusCode};

use super::settings::Settings;
use super::template::Message;

/// A key, which no message shows.
#[derive(Clone)]
pub(crate) struct Key(pub String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What a model answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    /// Its text; empty where it declined.
    pub text: String,
    /// The tokens that the server counted.
    pub tokens: Option<usize>,
}

/// Why a call gave no answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Failure {
    /// It may go well later; after so long, where the server says so.
    Passing(String, Option<Duration>),
    /// What came is of another protocol.
    Unknown(String),
    /// No call will go well.
    Lasting(String),
}

/// The longest answer that is read.
const MOST_BYTES: u64 = 4 << 20;

/// Sends requests; connections are kept and shared by threads.
#[derive(Debug)]
pub(crate) struct Client<'a> {
    agent: ureq::Agent,
    settings: &'a Settings,
    key: Option<&'a Key>,
    url: String,
}

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    messages: &'a [Message; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Content,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

impl<'a> Client<'a> {
    /// A client for the endpoint of the settings.
    ///
    /// # Errors
    /// What is wrong with the proxy.
    pub fn new(settings: &'a Settings, key: Option<&'a Key>) -> Result<Client<'a>, String> {
        let proxy = settings.proxy.as_deref().map(ureq::Proxy::new).transpose().map_err(|e| format!("proxy: {e}"))?;
        // A redirect would take the key to another host, and a proxy from the environment would be nobody's choice.
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .timeout_global(Some(settings.timeout))
            .user_agent(concat!("levelhead/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Client { agent: config.into(), settings, key, url: format!("{}/chat/completions", settings.base_url) })
    }

    /// Asks once.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn call(&self, messages: &[Message; 2]) -> Result<Reply, Failure> {
        let asked = Asked { model: &self.settings.model, messages, temperature: self.settings.temperature };
        let asked = serde_json::to_vec(&asked).expect("strings and finite numbers are JSON");
        let mut request = self.agent.post(&self.url).content_type("application/json");
        if let Some(Key(key)) = self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(&asked).map_err(|e| self.failure(&e))?;
        let wait = wait(&response);
        let body = response.body_mut().with_config().limit(MOST_BYTES).lossy_utf8(true).read_to_string();
        // A server may give back what it was sent.
        let body = match (body.map_err(|e| self.failure(&e))?, self.key) {
            (body, Some(Key(key))) => body.replace(key.as_str(), "(key)"),
            (body, None) => body,
        };
        read(response.status(), &body, wait)
    }

    fn failure(&self, error: &ureq::Error) -> Failure {
        use ureq::Error::{BodyStalled, ConnectionFailed, HostNotFound, Io, Timeout};
        match error {
            Timeout(_) => {
                let seconds = self.settings.timeout.as_secs();
                Failure::Passing(format!("no answer within {seconds} s: raise timeout_seconds where the model is slow"), None)
            }
            HostNotFound | ConnectionFailed | Io(_) | BodyStalled => {
                Failure::Passing(format!("{error}: is a server there, and base_url right?"), None)
            }
            _ => Failure::Lasting(error.to_string()),
        }
    }
}

/// How long the server asks to be left alone. A date is not read: the growing pauses serve as well.
fn wait<T>(response: &Response<T>) -> Option<Duration> {
    let seconds: f64 = response.headers().get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn read(status: StatusCode, body: &str, wait: Option<Duration>) -> Result<Reply, Failure> {
    let code = status.as_u16();
    if status.is_success() {
        let unknown = || Failure::Unknown(format!("what came is no chat completion: {}", excerpt(body)));
        let answer: Answer = serde_json::from_str(body).map_err(|_| unknown())?;
        let choice = answer.choices.into_iter().next().ok_or_else(unknown)?;
        return Ok(Reply { text: choice.message.content.unwrap_or_default(), tokens: tokens(&answer.usage) });
    }
    let (said, kind) = said(body);
    let reason = format!("status {status}: {said}");
    match code {
        // Nothing is wrong with the endpoint, only with this one prompt.
        400 | 413 | 422 if ["content_filter", "context_length_exceeded"].contains(&kind.as_str()) => {
            Ok(Reply { text: String::new(), tokens: Some(0) })
        }
        429 if kind == "insufficient_quota" => Err(Failure::Lasting(reason)),
        408 | 425 | 429 | 500.. => Err(Failure::Passing(reason, wait)),
        401 | 403 => Err(Failure::Lasting(format!("{reason}; look at the key, which key_env names"))),
        404 => Err(Failure::Lasting(format!("{reason}; look at base_url and model"))),
        300..400 => Err(Failure::Lasting(format!("{reason}; it is elsewhere, and is not followed there: look at base_url"))),
        _ => Err(Failure::Lasting(reason)),
    }
}

fn tokens(usage: &Value) -> Option<usize> {
    let of = |name: &str| usage[name].as_u64();
    let total = of("total_tokens").or_else(|| Some(of("prompt_tokens")? + of("completion_tokens")?))?;
    usize::try_from(total).ok()
}

/// What a server says of a fault, on one line, and the fault's code.
fn said(body: &str) -> (String, String) {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    let error = &value["error"];
    let text = [&error["message"], error, &value["message"], &value["detail"]].into_iter().find_map(Value::as_str);
    let code = error["code"].as_str().unwrap_or_default().to_string();
    (excerpt(text.unwrap_or(body)), code)
}

fn excerpt(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.join(" ") {
        line if line.is_empty() => "(nothing)".to_string(),
        line if line.chars().count() > 200 => line.chars().take(200).chain("..".chars()).collect(),
        line => line.trim_end_matches('.').to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(code: u16, body: &str) -> Result<Reply, Failure> {
        read(StatusCode::from_u16(code).unwrap(), body, None)
    }

    #[test]
    fn answers_are_read_with_their_tokens() {
        let body = |content: &str, usage: &str| format!("{{\"choices\":[{{\"message\":{{\"content\":{content}}}}}]{usage}}}");
        for (content, usage, text, tokens) in [
            ("\"a\"", ",\"usage\":{\"total_tokens\":7}", "a", Some(7)),
            ("\"a\"", ",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}", "a", Some(5)),
            ("null", ",\"usage\":null", "", None),
            ("\"a\"", "", "a", None),
        ] {
            assert_eq!(read_as(200, &body(content, usage)), Ok(Reply { text: text.into(), tokens }));
        }
        for body in ["", "<html>", "{}", "{\"choices\":[]}", "{\"choices\":[{\"text\":\"a\"}]}"] {
            assert!(matches!(read_as(200, body), Err(Failure::Unknown(_))), "{body}");
        }
    }

    #[test]
    fn faults_pass_or_last_and_say_what_the_server_says() {
        let passing = |code: u16, body: &str, expected: &str| match read_as(code, body) {
            Err(Failure::Passing(reason, None)) => assert_eq!(reason, expected),
            other => panic!("{code}: {other:?}"),
        };
        passing(429, "{\"error\":{\"message\":\"Slow\\ndown.\"}}", "status 429 Too Many Requests: Slow down");
        passing(500, "", "status 500 Internal Server Error: (nothing)");
        passing(503, "{\"detail\":\"loading\"}", "status 503 Service Unavailable: loading");
        for (code, body, expected) in [
            (401, "{\"error\":\"who?\"}", "status 401 Unauthorized: who?; look at the key, which key_env names"),
            (404, "{\"message\":\"no model\"}", "status 404 Not Found: no model; look at base_url and model"),
            (400, "{\"error\":{\"message\":\"bad\",\"code\":null}}", "status 400 Bad Request: bad"),
            (429, "{\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}", "status 429 Too Many Requests: pay"),
            (302, "", "status 302 Found: (nothing); it is elsewhere, and is not followed there: look at base_url"),
        ] {
            assert_eq!(read_as(code, body), Err(Failure::Lasting(expected.into())));
        }
        let filtered = read_as(400, "{\"error\":{\"code\":\"content_filter\"}}");
        assert_eq!(filtered, Ok(Reply { text: String::new(), tokens: Some(0) }));
        assert_eq!(excerpt(&"é".repeat(300)).chars().count(), 202);
    }

    #[test]
    fn a_pause_that_the_server_asks_for_is_read() {
        for (value, expected) in [("2", Some(2_000)), ("0.5", Some(500)), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)] {
            let response = Response::builder().header("Retry-After", value).body(()).unwrap();
            assert_eq!(wait(&response), expected.map(Duration::from_millis), "{value}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(format!("{:?}", Key("sk-1".into())), "Key(..)");
    }
}
