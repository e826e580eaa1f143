//! A server that speaks the OpenAI chat completions protocol, for tests: it lists made-up variations of the prompt.
//!
//! `chat_stub BEHAVIOR LOG` prints its port and writes one line of JSON to LOG for each request. Behaviors: `good`,
//! `busy` (every other request is put off), `broken`, `slow`, `chatty` (refuses in words), `html`, `uncounted` (no usage),
//! `denied` (and gives the key back), `moved`, `calm` (good, after a while), `lapse-N` (refuses the request after the first N alone).

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

const OPENINGS: [&str; 9] =
    ["At work", "For a class", "In a book", "On holiday", "For my notes", "At home", "In a talk", "Today", "Now"];

static N_REQUESTS: AtomicUsize = AtomicUsize::new(0);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let behavior = args.next().ok_or("a behavior is missing")?;
    let log = Mutex::new(File::options().create(true).append(true).open(args.next().ok_or("a log is missing")?)?);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            // A client that goes away early is no fault of the server.
            scope.spawn(|| serve(stream, &behavior, &log).ok());
        }
    });
    Ok(())
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, behavior: &str, log: &Mutex<File>) -> Result<(), Box<dyn Error>> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_string());
        }
        let header = |name: &str| {
            let value = |line: &String| {
                line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_string())
            };
            head.iter().find_map(value).unwrap_or_default()
        };
        let mut body = vec![0; header("content-length").parse()?];
        reader.read_exact(&mut body)?;
        let asked: Value = serde_json::from_slice(&body)?;
        let key = header("authorization");
        writeln!(log.lock().unwrap(), "{}", json!({"line": head[0], "authorization": key, "asked": asked}))?;
        let (status, headers, answer) = answer(behavior, &asked, &key);
        write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{answer}", answer.len())?;
    }
}

/// Status line, further headers, body.
fn answer(behavior: &str, asked: &Value, key: &str) -> (&'static str, &'static str, String) {
    let nth = N_REQUESTS.fetch_add(1, Ordering::SeqCst);
    let fault = |message: &str| json!({"error": {"message": message, "code": null}}).to_string();
    if behavior.strip_prefix("lapse-").is_some_and(|n| n == nth.to_string()) {
        return ("403 Forbidden", "", fault("not now"));
    }
    match behavior {
        "busy" if nth.is_multiple_of(2) => ("429 Too Many Requests", "Retry-After: 0.01\r\n", fault("slow down")),
        "broken" => ("500 Internal Server Error", "", fault("out of memory")),
        "denied" => ("401 Unauthorized", "", fault(&format!("no such key: {key}"))),
        "moved" => ("302 Found", "Location: http://127.0.0.1:1/\r\n", String::new()),
        "html" => ("200 OK", "", "<html>Welcome</html>".to_string()),
        "slow" => {
            std::thread::sleep(Duration::from_secs(3));
            ("200 OK", "", completion("[]", true))
        }
        "calm" => {
            std::thread::sleep(Duration::from_millis(100));
            ("200 OK", "", completion(&variations(asked), true))
        }
        "chatty" => ("200 OK", "", completion("I'm sorry, but I can't help with that.", true)),
        _ => ("200 OK", "", completion(&variations(asked), behavior != "uncounted")),
    }
}

fn completion(content: &str, is_counted: bool) -> String {
    let usage = if is_counted { json!({"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100}) } else { Value::Null };
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}], "usage": usage}).to_string()
}

/// As many variations as the first number of the message says, of what stands between its marks.
fn variations(asked: &Value) -> String {
    let message = asked["messages"].as_array().and_then(|all| all.last()).and_then(|m| m["content"].as_str()).unwrap_or_default();
    let n = message.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(1);
    let prompt = message.split("<prompt>").nth(1).and_then(|rest| rest.split("</prompt>").next()).unwrap_or(message).trim();
    let texts: Vec<String> = OPENINGS.iter().take(n).map(|opening| format!("{opening}: {prompt}")).collect();
    format!("```json\n{}\n```", json!(texts))
}
