//! What a model is asked: two texts with places to fill in.

use std::fmt;

use serde::Serialize;

use super::Request;

/// The places of a template, by name.
const PLACES: [&str; 4] = ["prompt", "phrase", "n", "category"];

/// The two messages of a request, with places to fill in.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub(crate) system: Text,
    pub(crate) user: Text,
}

/// One message of a chat, as the protocol has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Message {
    pub role: &'static str,
    pub content: String,
}

/// A text in pieces, so that what is filled in is never taken for a place itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    Place(&'static str),
}

impl Text {
    /// Reads a text; `{name}` is a place, every other brace stands for itself.
    ///
    /// # Errors
    /// An unknown place, with the known ones.
    pub fn parse(text: &str) -> Result<Text, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, from_brace) = rest.split_at(at);
            literal.push_str(before);
            let name = from_brace[1..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
            match name {
                Some(name) => {
                    let place = PLACES.into_iter().find(|place| *place == name);
                    let known = PLACES.map(|place| format!("{{{place}}}")).join(", ");
                    let place = place.ok_or_else(|| format!("{{{name}}} is no placeholder: there are {known}"))?;
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    pieces.push(Piece::Place(place));
                    rest = &from_brace[name.len() + 2..];
                }
                None => {
                    literal.push('{');
                    rest = &from_brace[1..];
                }
            }
        }
        literal.push_str(rest);
        pieces.push(Piece::Literal(literal));
        Ok(Text(pieces))
    }

    /// Whether a place stands in it.
    pub fn holds(&self, place: &str) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Place(name) if *name == place))
    }

    fn fill(&self, request: &Request<'_>) -> String {
        let value = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Place("prompt") => request.prompt.to_string(),
            Piece::Place("phrase") => or_unknown(request.phrase).to_string(),
            Piece::Place("category") => or_unknown(request.category).to_string(),
            Piece::Place(_) => request.n.to_string(),
        };
        self.0.iter().map(value).collect()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(text),
            Piece::Place(name) => write!(f, "{{{name}}}"),
        })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic() || c == '_')
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "(not known)" } else { text }
}

impl Template {
    /// A template of two texts.
    pub(crate) fn new(system: Text, user: Text) -> Template {
        Template { system, user }
    }

    /// The messages of one request.
    pub(crate) fn messages(&self, request: &Request<'_>) -> [Message; 2] {
        let message = |role, text: &Text| Message { role, content: text.fill(request) };
        [message("system", &self.system), message("user", &self.user)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_other_braces_stay() {
        let request = Request { prompt: "what is {n}?", phrase: "", category: "education", n: 3 };
        for (text, expected) in [
            ("{n} of {category}: {prompt}", "3 of education: what is {n}?"),
            ("{\"a\": [{phrase}]} {", "{\"a\": [(not known)]} {"),
            ("{ n } {} {{n}}", "{ n } {} {3}"),
            ("", ""),
        ] {
            let read = Text::parse(text).unwrap();
            assert_eq!((read.fill(&request).as_str(), read.to_string().as_str()), (expected, text));
        }
        let error = Text::parse("{prompt} {Tone}").unwrap_err();
        assert_eq!(error, "{Tone} is no placeholder: there are {prompt}, {phrase}, {n}, {category}");
    }
}
