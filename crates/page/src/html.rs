//! Part of a page. Text becomes markup by these functions only.

use ffsvc_plots::Picture;

use crate::table::Table;

/// Part of a page, from the top downwards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Html(String);

impl Html {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An element with its attributes, and what is inside.
    #[must_use]
    pub(crate) fn element(
        mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        inside: impl FnOnce(Self) -> Self,
    ) -> Self {
        self.0 += "<";
        self.0 += name;
        for (attribute, value) in attributes {
            self.0 += &format!(" {attribute}=\"");
            escape(value, &mut self.0);
            self.0 += "\"";
        }
        self.0 += ">";
        self = inside(self);
        self.0 += &format!("</{name}>");
        self
    }

    /// Text as it is.
    #[must_use]
    pub(crate) fn text(mut self, text: &str) -> Self {
        escape(text, &mut self.0);
        self
    }

    /// Markup that is well-formed and trusted.
    #[must_use]
    pub(crate) fn raw(mut self, markup: &str) -> Self {
        self.0 += markup;
        self
    }

    /// A heading inside of a section.
    #[must_use]
    pub fn heading(self, text: impl AsRef<str>) -> Self {
        self.element("h3", &[], |html| html.text(text.as_ref())).raw("\n")
    }

    /// A paragraph.
    #[must_use]
    pub fn paragraph(self, text: impl AsRef<str>) -> Self {
        self.element("p", &[], |html| html.text(text.as_ref())).raw("\n")
    }

    /// Text with its line breaks, in a font of equal widths.
    #[must_use]
    pub fn preformatted(self, text: impl AsRef<str>) -> Self {
        self.element("pre", &[], |html| html.text(text.as_ref())).raw("\n")
    }

    /// A table.
    #[must_use]
    pub fn table(self, table: &Table) -> Self {
        table.write(self)
    }

    /// A chart with a line below it that says what it shows. Where there is nothing to draw, the line says why.
    #[must_use]
    pub fn chart(self, picture: &impl Picture, caption: impl AsRef<str>) -> Self {
        let caption = caption.as_ref();
        match ffsvc_plots::svg(picture) {
            Ok(svg) => self
                .element("figure", &[], |html| {
                    html.raw(&readable(svg.trim())).element("figcaption", &[], |html| html.text(caption))
                })
                .raw("\n"),
            Err(error) => self.paragraph(format!("{caption} No chart: {error}.")),
        }
    }

    /// What another part has, below this one.
    #[must_use]
    pub fn then(self, other: Html) -> Self {
        self.raw(&other.0)
    }

    /// Charts side by side where the page is wide enough.
    #[must_use]
    pub fn beside(self, charts: Html) -> Self {
        self.element("div", &[("class", "beside")], |html| html.raw(&charts.0)).raw("\n")
    }
}

/// Names in a chart may have characters that XML does not know.
fn readable(svg: &str) -> String {
    svg.replace(is_unknown_to_xml, "\u{fffd}")
}

fn is_unknown_to_xml(character: char) -> bool {
    matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Adds text with the characters that are markup written as references. Characters that XML does not know are replaced.
fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => *into += "&amp;",
            '<' => *into += "&lt;",
            '>' => *into += "&gt;",
            '"' => *into += "&quot;",
            '\'' => *into += "&#39;",
            // A reader of XML takes a carriage return for a line break.
            '\r' => *into += "&#13;",
            _ if is_unknown_to_xml(character) => into.push('\u{fffd}'),
            _ => into.push(character),
        }
    }
}
