//! Pages by an XML reader: whatever the text is, it comes out as it went in, and nothing of it becomes markup.

use ffsvc_page::{Cell, Html, Page, Table};
use ffsvc_plots::{StepCurve, StepsPlot};
use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

fn page(text: &str) -> String {
    let mut table = Table::new([text, "number"]);
    table.row([Cell::text(text).below(Some(text.to_owned())), Cell::number(1.0 / 3.0, "0.33").best(true)]);
    let curve = |name: &str| StepCurve { name: name.to_owned(), values: vec![(1, 2.0), (3, 1.0)] };
    let plot = StepsPlot {
        title: Some(text.to_owned()),
        label: "Loss".to_owned(),
        curves: vec![curve(text), curve("b")],
        from_zero: false,
    };
    let empty = StepsPlot { title: None, label: "Loss".to_owned(), curves: Vec::new(), from_zero: false };
    let mut page = Page::new(text);
    let charts = Html::new().chart(&plot, text).chart(&empty, "Empty.");
    let content = Html::new().heading(text).paragraph(text).table(&table).beside(charts).preformatted(text);
    page.section(text, content);
    page.finish(text)
}

/// Reads the page as XML.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}\n{page}"))
}

fn elements<'a>(document: &'a Document<'_>, name: &str) -> Vec<Node<'a, 'a>> {
    document.descendants().filter(|node| node.has_tag_name(name)).collect()
}

/// Names of the elements, in their order.
fn names(page: &str) -> Vec<String> {
    let document = parsed(page);
    let elements = document.descendants().filter(Node::is_element);
    elements.map(|node| node.tag_name().name().to_owned()).filter(|name| name != "text").collect()
}

proptest! {
    #[test]
    fn any_text_stays_text(text in "[\\PC\n\t\r<>&\"'\\x00-\\x1f]{0,40}") {
        let made = page(&text);
        prop_assert_eq!(names(&made), names(&page("x")));
        let document = parsed(&made);
        let expected: String = text
            .chars()
            .map(|c| if c < ' ' && !"\n\t\r".contains(c) { '\u{fffd}' } else { c })
            .collect();
        for name in ["title", "h1", "h2", "h3", "p", "pre", "small", "footer", "figcaption"] {
            let found: String = elements(&document, name)[0].text().unwrap_or_default().to_owned();
            prop_assert_eq!(&found, &expected, "{}", name);
        }
    }
}

#[test]
fn numbers_are_kept_and_nothing_is_fetched() {
    let made = page("<script>alert(1)</script> & \"x\"");
    assert_eq!(made, page("<script>alert(1)</script> & \"x\""));
    let document = parsed(&made);
    assert!(elements(&document, "script").is_empty());
    let number = elements(&document, "data")[0];
    assert_eq!(number.attribute("value").unwrap().parse::<f64>().unwrap(), 1.0 / 3.0);
    assert_eq!(number.text(), Some("0.33"));
    for node in document.descendants() {
        for attribute in node.attributes() {
            let links_inside = attribute.name() == "href" && attribute.value().starts_with('#');
            assert!(!["src", "href", "style"].contains(&attribute.name()) || links_inside, "{attribute:?}");
        }
    }
    assert!(!made.contains("url(") && !made.contains("@import"));
    let svg = document.descendants().find(|node| node.tag_name().name() == "svg").unwrap();
    assert_eq!(svg.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
    assert!(made.contains("Empty. No chart: nothing to draw"));
}

#[test]
fn links_lead_to_the_sections() {
    let mut page = Page::new("p");
    page.section("a", Html::new().paragraph("1"));
    page.section("b", Html::new().paragraph("2"));
    let made = page.finish("end");
    let document = parsed(&made);
    let ids: Vec<&str> =
        elements(&document, "section").iter().filter_map(|node| node.attribute("id")).collect();
    let targets: Vec<&str> = elements(&document, "a")
        .iter()
        .filter_map(|node| node.attribute("href")?.strip_prefix('#'))
        .collect();
    assert_eq!((ids.len(), &ids), (2, &targets));
}
