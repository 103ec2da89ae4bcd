//! Tables of a page.

use crate::html::Html;

/// What stands in a place of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    /// The exact number, as its shortest decimal.
    value: Option<String>,
    /// A second, smaller line.
    below: Option<String>,
    is_best: bool,
}

impl Cell {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None, below: None, is_best: false }
    }

    /// A number as it is shown, with its exact value for programs.
    pub fn number(value: f64, shown: impl Into<String>) -> Self {
        Self { value: Some(value.to_string()), ..Self::text(shown) }
    }

    /// A count.
    pub fn count(count: usize) -> Self {
        Self { value: Some(count.to_string()), ..Self::text(count.to_string()) }
    }

    /// Nothing.
    pub fn empty() -> Self {
        Self::text("")
    }

    /// With a second, smaller line, where there is one.
    #[must_use]
    pub fn below(mut self, line: Option<String>) -> Self {
        self.below = line;
        self
    }

    /// Marked as the best of its column.
    #[must_use]
    pub fn best(mut self, is_best: bool) -> Self {
        self.is_best = is_best;
        self
    }

    fn write(&self, html: Html) -> Html {
        let class = match (&self.value, self.is_best) {
            (None, _) => "",
            (Some(_), false) => "number",
            (Some(_), true) => "number best",
        };
        let attributes: &[(&str, &str)] = if class.is_empty() { &[] } else { &[("class", class)] };
        html.element("td", attributes, |html| {
            let html = match &self.value {
                Some(value) => html.element("data", &[("value", value)], |html| html.text(&self.text)),
                None => html.text(&self.text),
            };
            match &self.below {
                Some(line) => html.raw("<br/>").element("small", &[], |html| html.text(line)),
                None => html,
            }
        })
    }
}

/// A table with a row of headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Self {
        Self { headings: headings.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row below the others.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the column has numbers, and no text but in empty places.
    fn has_numbers(&self, column: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(column)).any(|cell| cell.value.is_some())
    }

    pub(crate) fn write(&self, html: Html) -> Html {
        let headings = |mut html: Html| {
            for (column, heading) in self.headings.iter().enumerate() {
                let attributes: &[(&str, &str)] =
                    if self.has_numbers(column) { &[("class", "number")] } else { &[] };
                html = html.element("th", attributes, |html| html.text(heading));
            }
            html
        };
        let rows = |mut html: Html| {
            for row in &self.rows {
                html = html.element("tr", &[], |html| row.iter().fold(html, |html, cell| cell.write(html)));
                html = html.raw("\n");
            }
            html
        };
        let table = |html: Html| {
            html.element("thead", &[], |html| html.element("tr", &[], headings)).raw("\n").element(
                "tbody",
                &[],
                rows,
            )
        };
        html.element("div", &[("class", "wide")], |html| html.element("table", &[], table)).raw("\n")
    }
}
