//! A language model that writes variations, behind an endpoint that the user names. Nothing else in the lab uses a network.
//!
//! What it gives are proposals. No key, and no text but that of the requests, leaves by it.

mod answer;
mod cache;
mod client;
mod queue;
mod settings;
mod template;

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::progress::Progress;
use answer::variations;
use cache::{Cache, Entry, key};
use client::{Client, Failure, Key, Reply};
use queue::{Queue, Spent};
use template::Message;

pub use settings::Settings;
pub use template::Template;

/// One prompt that variations are asked of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// The prompt.
    pub prompt: &'a str,
    /// What sets the guard off; may be empty.
    pub phrase: &'a str,
    /// The benign category.
    pub category: &'a str,
    /// Variations to ask for.
    pub n: usize,
}

/// What was asked, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Asked {
    /// Prompts to ask about.
    pub n_prompts: usize,
    /// Those of them that the cache has an answer for.
    pub n_cached: usize,
    /// Calls that were made, retries too; in a plan, calls that would be made at most.
    pub n_calls: usize,
    /// Tokens of all answers, those of the cache too.
    pub n_tokens: usize,
    /// Answers whose tokens are estimated, since the server did not count them.
    pub n_estimated: usize,
    /// Answers that hold no variations.
    pub n_unreadable: usize,
    /// Prompts that got no answer after all retries.
    pub n_failed: usize,
    /// Prompts that the budget was too small for.
    pub n_unasked: usize,
}

/// The variations of each request, in order, and how they were come by.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub variations: Vec<Vec<String>>,
    pub asked: Asked,
    /// What fell short, in words.
    pub shortages: Vec<String>,
}

/// How the calls for one request ended.
enum End {
    Answered(Reply),
    /// After all retries.
    Failed(Error),
    /// The budget is spent, or the work has ended.
    GivenUp,
    /// No call will go well.
    Stopped(Error),
}

/// A model, with the answers that it gave before. Its budget is for all that one of these asks.
///
/// ```
/// use levelhead_lab::llm::{Llm, Settings};
/// let text = "base_url = 'http://127.0.0.1:8080/v1'\nmodel = 'qwen'";
/// let settings = Settings::parse("llm.toml".as_ref(), text).unwrap();
/// let llm = Llm::open(settings, Some("my-key".into())).unwrap();
/// assert!(!format!("{llm:?}").contains("my-key"));
/// ```
#[derive(Debug)]
pub struct Llm {
    pub(crate) settings: Settings,
    key: Option<Key>,
    cache: Cache,
    /// Prompts that were asked about.
    asked: HashSet<String>,
    /// What that took, answers from the cache as they were paid.
    spent: Spent,
}

/// Bytes of a token where a server does not count: about what English text has.
const BYTES_OF_TOKEN: usize = 4;
/// A server that wants a longer pause gives no answer today.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Pauses double from one second to this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

impl Llm {
    /// Reads the answers that were paid before; makes no call.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Row`] for the cache; [`Error::Setting`] for a key that cannot be sent.
    pub fn open(settings: Settings, key: Option<String>) -> Result<Llm> {
        if key.as_ref().is_some_and(|key| key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic())) {
            return Err(Error::setting("key_env", "the key is empty, or holds a space or another character that no key has"));
        }
        let cache = Cache::read(&settings.cache)?;
        Ok(Llm { settings, key: key.map(Key), cache, asked: HashSet::new(), spent: Spent::default() })
    }

    /// The model and its endpoint.
    pub fn name(&self) -> String {
        format!("{} at {}", self.settings.model, self.settings.base_url)
    }

    /// Whether a prompt was not asked about yet. What was written for one that was is known, and trains or may not.
    pub(crate) fn is_new(&self, prompt: &str) -> bool {
        !self.asked.contains(prompt)
    }

    /// What asking would take at most, without asking.
    pub(crate) fn forecast(&self, requests: &[Request<'_>]) -> Asked {
        let (known, spent) = self.known(&self.keyed(requests));
        let known: Vec<&Entry> = known.iter().flatten().collect();
        let n_left = self.settings.max_calls.saturating_sub(spent.calls);
        let n_waiting = requests.len() - known.len();
        Asked { n_calls: n_left.min(n_waiting * (1 + self.settings.retries)), ..count(requests.len(), &known) }
    }

    /// Asks for the variations of all requests, as far as the budget goes that earlier ones have left.
    ///
    /// # Errors
    /// [`Error::Endpoint`] where no call can go well; [`Error::Io`] for the cache.
    pub(crate) fn ask(&mut self, requests: &[Request<'_>], progress: &dyn Progress) -> Result<Answers> {
        let keyed = self.keyed(requests);
        let (mut entries, before) = self.known(&keyed);
        let n_cached = entries.iter().flatten().count();
        if self.cache.is_cut {
            let path = self.settings.cache.display();
            progress.say(&format!("warning: {path}: the last answer was cut off, as by a run that was killed; it is left out"));
        }
        let waiting: Vec<(usize, usize)> = (0..requests.len())
            .filter(|i| entries[*i].is_none())
            .map(|i| (i, tokens_of(&keyed[i].1, requests[i].n * requests[i].prompt.len())))
            .collect();
        let n_waiting = waiting.len();
        self.asked.extend(requests.iter().map(|request| request.prompt.to_string()));
        let most = Spent { calls: self.settings.max_calls, tokens: self.settings.max_tokens };
        let queue = Queue::new(waiting, most, before);
        if n_waiting > 0 {
            let n_calls = self.forecast(requests).n_calls;
            progress.say(&format!("asking {} about {n_waiting} false positives, {n_calls} calls at most", self.name()));
            progress.begin("asking", n_waiting as u64);
            let answered = self.work(&queue, &keyed, n_waiting, progress);
            progress.end();
            for (place, entry) in answered? {
                entries[place] = Some(entry);
            }
        }
        let (spent, n_failed, fault) = queue.finish();
        self.spent = spent;
        let answered: Vec<&Entry> = entries.iter().flatten().collect();
        if let Some(fault) = fault {
            let (n, path) = (answered.len(), self.settings.cache.display());
            progress.say(&format!("{n} of {} answers stand in {path}: a rerun goes on from there", requests.len()));
            return Err(fault);
        }
        let variations: Vec<Option<Vec<String>>> =
            entries.iter().map(|entry| variations(entry.as_ref()?.answer.as_ref()?)).collect();
        let n_unasked = n_waiting - n_failed - (answered.len() - n_cached);
        let n_read = variations.iter().flatten().count();
        let asked = Asked {
            n_cached,
            n_calls: spent.calls - before.calls,
            n_unreadable: answered.len() - n_read,
            n_failed,
            n_unasked,
            ..count(requests.len(), &answered)
        };
        let variations = variations.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Answers { variations, asked, shortages: self.shortages(&asked, spent) })
    }

    fn keyed(&self, requests: &[Request<'_>]) -> Vec<(String, [Message; 2])> {
        let one = |request: &Request<'_>| {
            let messages = self.settings.template.messages(request);
            (key(&self.settings, &messages, request.n), messages)
        };
        requests.iter().map(one).collect()
    }

    /// The answers that the cache has, and what was spent on these requests and on earlier ones.
    fn known(&self, keyed: &[(String, [Message; 2])]) -> (Vec<Option<Entry>>, Spent) {
        let entries: Vec<Option<&Entry>> = keyed.iter().map(|(key, _)| self.cache.get(key)).collect();
        let sum = |of: fn(&Entry) -> usize| -> usize { entries.iter().flatten().map(|entry| of(entry)).sum() };
        let Spent { calls, tokens } = self.spent;
        let spent = Spent { calls: calls + sum(|entry| entry.calls), tokens: tokens + sum(|entry| entry.tokens) };
        (entries.into_iter().map(|entry| entry.filter(|e| e.answer.is_some()).cloned()).collect(), spent)
    }

    /// Answers requests on several threads until none waits or the budget is spent.
    fn work(
        &mut self,
        queue: &Queue,
        keyed: &[(String, [Message; 2])],
        n_waiting: usize,
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, Entry)>> {
        let writer = self.cache.writer()?;
        let client = Client::new(&self.settings, self.key.as_ref()).map_err(|reason| self.fault(reason))?;
        let one_thread = || {
            let mut answered = Vec::new();
            while let Some((place, estimate)) = queue.next() {
                let (key, messages) = &keyed[place];
                let (end, calls) = self.persist(queue, &client, messages, progress);
                let entry = entry(key, messages, &end, calls);
                let stored = if matches!(end, End::Stopped(_)) { Ok(()) } else { writer.push(&entry) };
                match (stored, end) {
                    (Err(fault), _) | (_, End::Stopped(fault)) => queue.stop(estimate, fault),
                    (_, End::Failed(fault)) => queue.failed(estimate, fault),
                    (_, End::GivenUp) => queue.give_back(estimate),
                    (_, End::Answered(_)) => {
                        queue.answered(estimate, entry.tokens);
                        answered.push((place, entry));
                    }
                }
                let Spent { calls, tokens } = queue.spent();
                progress.note(&format!("{calls} calls, {tokens} tokens"));
                progress.advance(1);
            }
            answered
        };
        Ok(std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.settings.parallel.min(n_waiting)).map(|_| scope.spawn(one_thread)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no thread panics")).collect()
        }))
    }

    /// Calls until an answer comes or none will; says how many calls it took.
    fn persist(&self, queue: &Queue, client: &Client<'_>, messages: &[Message; 2], progress: &dyn Progress) -> (End, usize) {
        let mut calls = 1;
        loop {
            let (reason, wait) = match client.call(messages) {
                Ok(reply) => return (End::Answered(reply), calls),
                Err(Failure::Lasting(reason)) => return (End::Stopped(self.fault(reason)), calls),
                Err(Failure::Unknown(reason)) => return (End::Failed(self.fault(reason)), calls),
                Err(Failure::Passing(reason, wait)) => (reason, wait),
            };
            let pause = wait.unwrap_or_else(|| Duration::from_secs(1 << (calls - 1)).min(LONGEST_BACKOFF));
            if calls > self.settings.retries || pause > LONGEST_WAIT {
                return (End::Failed(self.fault(format!("{reason}; given up after {calls} calls"))), calls);
            }
            let brief: String = reason.chars().take(40).collect();
            progress.note(&format!("a pause of {:.0} s: {brief}", pause.as_secs_f64()));
            if !queue.again(pause) {
                return (End::GivenUp, calls);
            }
            calls += 1;
        }
    }

    fn fault(&self, reason: String) -> Error {
        Error::Endpoint { url: self.settings.base_url.clone(), reason }
    }

    fn shortages(&self, asked: &Asked, spent: Spent) -> Vec<String> {
        let Settings { max_calls, max_tokens, .. } = self.settings;
        let limit = if spent.calls >= max_calls {
            format!("max_calls = {max_calls} is spent")
        } else {
            format!("max_tokens = {max_tokens} has no room for another, {} are spent", spent.tokens)
        };
        let rows = [
            (asked.n_unasked, format!("prompts were not asked about: {limit}")),
            (asked.n_failed, "prompts got no answer after all retries; another run asks for them again".to_string()),
            (asked.n_unreadable, "answers hold no list of variations".to_string()),
        ];
        let shortage = |(n, what): (usize, String)| (n > 0).then(|| format!("llm: {n} of {} {what}", asked.n_prompts));
        rows.into_iter().filter_map(shortage).collect()
    }
}

fn entry(key: &str, messages: &[Message; 2], end: &End, calls: usize) -> Entry {
    let key = key.to_string();
    match end {
        End::Answered(Reply { text, tokens }) => Entry {
            key,
            answer: Some(text.clone()),
            calls,
            tokens: tokens.unwrap_or_else(|| tokens_of(messages, text.len())),
            is_estimated: tokens.is_none(),
        },
        _ => Entry { key, answer: None, calls, tokens: 0, is_estimated: false },
    }
}

/// Tokens of a call, estimated: its messages and an answer of so many bytes.
fn tokens_of(messages: &[Message; 2], n_answer_bytes: usize) -> usize {
    (messages.iter().map(|m| m.content.len()).sum::<usize>() + n_answer_bytes).div_ceil(BYTES_OF_TOKEN)
}

fn count(n_prompts: usize, answered: &[&Entry]) -> Asked {
    Asked {
        n_prompts,
        n_cached: answered.len(),
        n_tokens: answered.iter().map(|entry| entry.tokens).sum(),
        n_estimated: answered.iter().filter(|entry| entry.is_estimated).count(),
        ..Asked::default()
    }
}
