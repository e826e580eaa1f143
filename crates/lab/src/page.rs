//! A page of Markdown and plots: no network, no script, readable in light and dark, on a phone and printed.
//!
//! Prompts in it are foreign text: nothing of them may act as markup, a link or an image.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html::push_html};

use crate::svg::text;

const STYLE: &str = include_str!("report.css");

/// Where plots leave room for names of categories and sources, and for numbers.
pub(crate) const NAMES: f64 = 160.0;
pub(crate) const NUMBERS: f64 = 62.0;

/// A page of sections, each with its figures below its words. `class` says how it looks: `passed`, `failed`, or nothing.
pub(crate) fn page(title: &str, class: &str, sections: impl Iterator<Item = (String, Vec<String>)>) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body class=\"{class}\">\n<main>\n",
        text(title)
    );
    for (markdown, figures) in sections {
        page.push_str("<section>\n");
        push_markdown(&mut page, &markdown);
        page.push_str("<div class=\"figures\">\n");
        figures.iter().for_each(|figure| page.push_str(figure));
        page.push_str("</div>\n</section>\n");
    }
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// Converts Markdown. HTML in it becomes text, links and images their words.
fn push_markdown(page: &mut String, markdown: &str) {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).flat_map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => vec![Event::Text(html)],
        Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock) => vec![],
        Event::End(TagEnd::Link | TagEnd::Image | TagEnd::HtmlBlock) => vec![],
        Event::Start(Tag::Table(_)) => vec![Event::Html("<div class=\"table\">\n".into()), event],
        Event::End(TagEnd::Table) => vec![event, Event::Html("</div>\n".into())],
        event => vec![event],
    });
    push_html(page, events);
}

/// A name that fits beside a plot.
pub(crate) fn shortened(name: &str) -> String {
    let n = name.chars().count();
    if n <= 20 { name.to_string() } else { format!("…{}", name.chars().skip(n - 19).collect::<String>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_never_acts() {
        let mut page = String::new();
        push_markdown(
            &mut page,
            "a <script>alert(1)</script> b [click](javascript:x) ![p](http://h/p.png)\n\n<img src=x>\n\n| a |\n|---|\n| 1 |\n",
        );
        for bad in ["<script", "<img", "href", "javascript:", "http:"] {
            assert!(!page.contains(bad), "{bad}: {page}");
        }
        assert!(page.contains("&lt;script&gt;") && page.contains("click") && page.contains("<div class=\"table\">"), "{page}");
    }

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shortened("programming"), "programming");
        assert_eq!(shortened("starter/attack_system_prompt_extraction"), "…m_prompt_extraction");
    }
}
