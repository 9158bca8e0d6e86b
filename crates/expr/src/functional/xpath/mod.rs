//! XPath 1.0 over small documents: all axes but the namespace axis, predicates, operators, the core functions.

mod eval;
mod parse;

use roxmltree::{Document, ParsingOptions};

use crate::scalar::{Outcome, Scalar};
use eval::{Found, Spot, Value, Visit};
use parse::Expr;

/// Most nodes of a document.
const MAX_NODES: u32 = 1_000_000;

const NO_DOCUMENT: &str = "the text is no XML document";
const NO_PATH: &str = "the path is no XPath";

/// Whether a text is an XPath that can be run here.
pub(super) fn check(path: &str) -> Result<(), String> {
    parse::parse(path).map(|_| ())
}

fn run<T>(document: &str, path: &str, use_value: impl FnOnce(Value<'_, '_>, &str) -> T) -> Result<T, &'static str> {
    let path: Expr = parse::parse(path).map_err(|_| NO_PATH)?;
    let document = document.trim_start_matches('\u{feff}').trim();
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let parsed = Document::parse_with_options(document, options).map_err(|_| NO_DOCUMENT)?;
    // Relative paths start at the document's element, as models write them; those that find nothing there, before it.
    let at = |node| Visit::new().eval(&path, Found { spot: Spot::Node(node), position: 1, size: 1 });
    let value = match at(parsed.root_element())? {
        Value::Nodes(nodes) if nodes.is_empty() => at(parsed.root())?,
        value => value,
    };
    Ok(use_value(value, document))
}

/// What a path gives: a text, a number, a truth; of nodes the first one's text, or all joined by a delimiter.
pub(super) fn value(document: &str, path: &str, delimiter: Option<&str>) -> Outcome<'static> {
    run(document, path, |value, _| match value {
        Value::Boolean(value) => Scalar::Boolean(value),
        Value::Number(value) if value.is_nan() => Scalar::Null,
        Value::Number(value) => match crate::convert::real_to_integer(value) {
            Some(whole) if whole as f64 == value => Scalar::Integer(whole),
            _ => Scalar::Real(value),
        },
        Value::Text(text) => Scalar::text(text),
        Value::Nodes(nodes) => match (nodes.first(), delimiter) {
            (None, _) => Scalar::Null,
            (Some(first), None) => Scalar::text(first.text()),
            (Some(_), Some(delimiter)) => {
                Scalar::text(nodes.iter().map(Spot::text).collect::<Vec<_>>().join(delimiter))
            }
        },
    })
}

/// The nodes that a path selects, as documents of their own; attributes and texts as elements of their text.
pub(super) fn nodes(document: &str, path: &str) -> Result<Vec<String>, &'static str> {
    run(document, path, |value, source| match value {
        Value::Nodes(nodes) => nodes.iter().map(|node| node.document(source)).collect(),
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "<r xmlns:p='urn:p'><a id='1'>one<b>x</b></a><a id='2'>two</a><p:c>3</p:c>\
        <d n='4'><a id='5'/></d><!-- note --></r>";

    fn text(path: &str) -> String {
        match value(DOCUMENT, path, Some("|")) {
            Ok(Scalar::Text(text)) => text.into_owned(),
            Ok(Scalar::Null) => "null".into(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.into(),
        }
    }

    #[test]
    fn paths() {
        let table = [
            ("/r/a", "onex|two"),
            ("//a/@id", "1|2|5"),
            ("//a[2]", "two"),
            ("//a[last()]/@id", "2|5"),
            ("(//a)[last()]/@id", "5"),
            ("/r/a[@id='2']/text()", "two"),
            ("/r/a[@id>1]", "two"),
            ("/r/*[b]", "onex"),
            ("/r/p:c", "3"),
            ("/r/c", "null"),
            ("//b/..//@id", "1"),
            ("//b/ancestor::r/d/@n", "4"),
            ("/r/a[1]/following-sibling::a", "two"),
            ("/r/d/preceding-sibling::*[1]", "3"),
            ("count(//a)", "Integer(3)"),
            ("sum(//@id) div 2", "Integer(4)"),
            ("1 + 2 * 3 mod 4", "Integer(3)"),
            ("concat('<', string(//b), '>')", "<x>"),
            ("normalize-space('  a  b ')", "a b"),
            ("substring('12345', 2, 3)", "234"),
            ("translate('bar', 'abc', 'AB')", "BAr"),
            ("contains(//a, 'ne') and not(false())", "Boolean(true)"),
            ("//a[contains(., 'tw') or position() = 1]/@id", "1|2|5"),
            ("local-name(/r/p:c)", "c"),
            ("//comment()", " note "),
            ("/r/b | /r/a/b | //d/@n", "x|4"),
            ("name(//*[@n])", "d"),
            ("starts-with(//b, 'x')", "Boolean(true)"),
            ("round(2.5) = 3 and floor(-1.5) = -2", "Boolean(true)"),
            ("self::node()/r/d/a/@id", "5"),
            ("//a[", "the path is no XPath"),
        ];
        for (path, expected) in table {
            assert_eq!(text(path), expected, "{path}");
        }
        assert_eq!(value("<a", "/a", None), Err(NO_DOCUMENT));
    }

    #[test]
    fn items_are_documents_with_their_namespaces() {
        assert_eq!(
            nodes(DOCUMENT, "//a[@id > 1]"),
            Ok(vec!["<a xmlns:p=\"urn:p\" id='2'>two</a>".into(), "<a xmlns:p=\"urn:p\" id='5'/>".into()])
        );
        assert_eq!(nodes(DOCUMENT, "/r/p:c"), Ok(vec!["<p:c xmlns:p=\"urn:p\">3</p:c>".into()]));
        assert_eq!(nodes(DOCUMENT, "/r/a/@id"), Ok(vec!["<id>1</id>".into(), "<id>2</id>".into()]));
    }

    #[test]
    fn work_is_bounded() {
        let document = format!("<r>{}</r>", "<a/>".repeat(3000));
        assert!(value(&document, "count(//*[count(//*[count(//*) > 0]) > 0])", None).is_err());
    }
}
