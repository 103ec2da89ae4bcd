//! The page around its sections.

use crate::html::Html;

/// A report. [`finish`](Self::finish) gives the text of its HTML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    title: String,
    sections: Vec<(String, Html)>,
}

/// For the screen, light and dark, and for paper.
const STYLE: &str = include_str!("style.css");

impl Page {
    /// A page without sections.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), sections: Vec::new() }
    }

    /// Adds a section below the others.
    pub fn section(&mut self, title: impl Into<String>, content: Html) {
        self.sections.push((title.into(), content));
    }

    /// The whole file. `foot` is its last line: the program that made it.
    pub fn finish(&self, foot: &str) -> String {
        let id = |number: usize| format!("section-{}", number + 1);
        let head = |html: Html| {
            html.raw("\n<meta charset=\"utf-8\"/>\n")
                .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n")
                .raw("<meta name=\"color-scheme\" content=\"light dark\"/>\n")
                .element("title", &[], |html| html.text(&self.title))
                .raw("\n<style>\n")
                .raw(STYLE)
                .raw("</style>\n")
        };
        let links = |mut html: Html| {
            for (number, (title, _)) in self.sections.iter().enumerate() {
                let target = format!("#{}", id(number));
                html = html.element("a", &[("href", &target)], |html| html.text(title)).raw("\n");
            }
            html
        };
        let body = |html: Html| {
            let mut html = html.raw("\n").element("h1", &[], |html| html.text(&self.title)).raw("\n");
            html = html.element("nav", &[], links).raw("\n");
            for (number, (title, content)) in self.sections.iter().enumerate() {
                let section = |html: Html| {
                    html.element("h2", &[], |html| html.text(title)).raw("\n").raw(content.as_str())
                };
                html = html.element("section", &[("id", &id(number))], section).raw("\n");
            }
            html.element("footer", &[], |html| html.text(foot)).raw("\n")
        };
        let html = Html::new().raw("<!DOCTYPE html>\n").element("html", &[("lang", "en")], |html| {
            html.raw("\n").element("head", &[], head).raw("\n").element("body", &[], body).raw("\n")
        });
        html.raw("\n").as_str().to_owned()
    }
}
