//! Stage 3: the passages of a prompt that are judged: the whole, windows of a long one, and what is hidden in it.
//!
//! An attack is seldom all of a document. A prompt is as bad as its worst passage, so nothing is cut off, and harmless text
//! around an attack does not thin it out.

use crate::normalize::{Normalized, normalize_into};
use crate::reveal::{Hidden, reveal};

/// A prompt, normalized, with the texts that are hidden in it.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// The prompt itself.
    pub text: Normalized,
    /// What it hides.
    pub hidden: Vec<Hidden>,
    marked: String,
    starts: Vec<usize>,
}

/// A passage of a prompt: the only thing that features are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage<'a> {
    text: &'a str,
}

impl<'a> Passage<'a> {
    /// The text of the passage.
    pub fn as_str(self) -> &'a str {
        self.text
    }
}

impl<'a> From<&'a Normalized> for Passage<'a> {
    fn from(text: &'a Normalized) -> Self {
        Passage { text: text.as_str() }
    }
}

impl Prompt {
    /// Reads a prompt, in place of the one before.
    pub fn read(&mut self, prompt: &str) {
        normalize_into(prompt, &mut self.text);
        self.hidden = reveal(prompt, &self.text);
        self.marked.clear();
        self.starts.clear();
        for hidden in &self.hidden {
            self.starts.push(self.marked.len());
            self.marked.push(hidden.disguise.mark());
            self.marked.push(' ');
            self.marked.push_str(hidden.text.as_str());
        }
    }

    /// The prompt's text and every text that it hides.
    pub fn texts(&self) -> impl Iterator<Item = &Normalized> {
        std::iter::once(&self.text).chain(self.hidden.iter().map(|h| &h.text))
    }

    /// Calls `f` with every passage. `window` is the length of a window in bytes.
    pub fn passages<'a>(&'a self, window: usize, mut f: impl FnMut(Passage<'a>)) {
        let ends = self.starts.iter().skip(1).copied().chain([self.marked.len()]);
        let hidden = self.starts.iter().zip(ends).map(|(start, end)| &self.marked[*start..end]);
        for text in std::iter::once(self.text.as_str()).chain(hidden) {
            f(Passage { text });
            windows(text, window, |text| f(Passage { text }));
        }
    }
}

/// Windows of about `size` bytes, each half over the next. A text that is little longer than one has none.
fn windows<'a>(text: &'a str, size: usize, mut f: impl FnMut(&'a str)) {
    if size == 0 || text.len() <= size + size / 4 {
        return;
    }
    let mut start = 0;
    loop {
        let end = if text.len() - start <= size + size / 4 { text.len() } else { boundary(text, start + size) };
        f(&text[start..end]);
        if end == text.len() {
            return;
        }
        start = boundary(text, start + size / 2);
    }
}

/// How far a cut may move to fall between two words.
const REACH: usize = 32;

/// A place to cut: behind the next white space, or at the next character where none is near.
fn boundary(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let space = (at..(at + REACH).min(bytes.len())).find(|i| bytes[*i].is_ascii_whitespace());
    let mut cut = space.unwrap_or(at);
    while !text.is_char_boundary(cut) {
        cut += 1;
    }
    cut
}
