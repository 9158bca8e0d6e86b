//! Files that a project names: they travel in it, so that every engine reads the same.
//!
//! A reference (`<code file="a.lua"/>`, the `code` of a custom window's `plugin`, the `wordVec` of TextVectorization) is
//! looked up in `<files><file name="a.lua">...</file></files>` below the project. [`named`] says what is still missing,
//! [`carried`] puts it in; who has a disk calls both. Names are compared as they stand in the file, before `@NAME@` is
//! replaced: what the folder of a project is called differs from place to place.

use std::collections::BTreeMap;
use std::fmt::Write;

use roxmltree::{Document, Node};

use crate::reader::Reader;
use crate::report::{Draft, duplicate};
use crate::text::Text;

/// The element that holds the files of a project.
pub(crate) const FILES: &str = "files";
/// The algorithm whose word vectors are a file, and the parameter that names it.
pub(crate) const VECTORS: (&str, &str) = ("TextVectorization", "wordVec");

/// The files that a project refers to and does not hold, as it names them, in file order; none of what is no XML.
pub fn named(xml: &str) -> Vec<String> {
    let Ok(document) = Document::parse(xml) else { return Vec::new() };
    let held: Vec<&str> = document
        .descendants()
        .filter(|node| node.has_tag_name("file") && node.parent_element().is_some_and(|up| up.has_tag_name(FILES)))
        .filter_map(|node| node.attribute("name"))
        .collect();
    let mut found: Vec<String> = Vec::new();
    for name in document.descendants().filter_map(reference) {
        if !held.contains(&name) && !found.iter().any(|other| other == name) {
            found.push(name.to_owned());
        }
    }
    found
}

/// The file that an element refers to.
fn reference<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    let name = match node.tag_name().name() {
        "code" => node.attribute("file"),
        "plugin" if node.parent_element()?.has_tag_name("window-custom") => node.attribute("code"),
        "property" if node.attribute("name")?.eq_ignore_ascii_case(VECTORS.1) => {
            let window = node.ancestors().find(|up| up.has_tag_name("window-calculate"))?;
            let ours = window.attribute("algorithm").is_some_and(|found| found.eq_ignore_ascii_case(VECTORS.0));
            node.text().filter(|_| ours)
        }
        _ => None,
    };
    name.map(str::trim).filter(|name| !name.is_empty())
}

/// The project with these files in it, by name. They stand at its end: lines before them keep their numbers.
pub fn carried(xml: &str, files: &BTreeMap<String, String>) -> String {
    let end = Document::parse(xml).ok().and_then(|document| {
        let root = document.root_element();
        let is_root = root.has_tag_name("contquery") || root.has_tag_name("template");
        let project = if is_root { Some(root) } else { root.descendants().find(|node| node.has_tag_name("project")) };
        let range = project?.range();
        xml[range.clone()].rfind("</").map(|at| range.start + at)
    });
    let Some(end) = end.filter(|_| !files.is_empty()) else { return xml.to_owned() };
    let mut text = format!("{}<{FILES}>", &xml[..end]);
    for (name, content) in files {
        let name = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        // a section of raw text ends with `]]>`; one in the text is cut in two
        let content = content.replace("]]>", "]]]]><![CDATA[>");
        write!(text, "<file name=\"{name}\"><![CDATA[{content}]]></file>").expect("a string takes all that is written");
    }
    text + &format!("</{FILES}>\n") + &xml[end..]
}

/// The files that a project holds, by name: where their contents stand.
pub(crate) fn held(root: Node<'_, '_>, reader: &Reader<'_>) -> BTreeMap<String, Text> {
    let mut found: BTreeMap<String, (Text, u32)> = BTreeMap::new();
    let lists = root.children().filter(|child| child.has_tag_name(FILES));
    for element in lists.flat_map(|list| list.children()).filter(Node::is_element) {
        if !element.has_tag_name("file") {
            reader.unknown_element(element, &["file"]);
            continue;
        }
        reader.check_attributes(element, &[&["name"]]);
        let (Some(given), Some(name)) = (reader.required(element, "name"), element.attribute("name")) else { continue };
        let line = reader.report.line(element.range().start);
        if let Some((_, first)) = found.insert(name.trim().to_owned(), (reader.plain(element), line)) {
            reader.report.add(element, duplicate("file", &given, first));
        }
    }
    found.into_iter().map(|(name, (text, _))| (name, text)).collect()
}

impl Reader<'_> {
    /// What a file of the project holds; `None` after a report. `name`: as it stands in the project; `shown`: its place.
    pub(crate) fn file(&self, node: Node<'_, '_>, name: &str, shown: &Text) -> Option<&Text> {
        let found = self.files.get(name.trim());
        if found.is_none() {
            let headline = format!("file `{}` does not travel with the project", name.trim());
            let help = "espctl takes files that lie beside the project along; others go into \
                        <files><file name=\"...\">...</file></files> at the end of the project";
            let draft = Draft::error("missing-file", shown.full_span(), headline).help(help);
            self.report.add(node, draft.known(name, self.files.keys().map(String::as_str)));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: &str = "<engine><projects><project name='p'><x><window-lua><code file='a.lua'/></window-lua>\
        <window-lua><code file='a.lua'/></window-lua><window-custom><plugin code='@HOME@/b &amp; c.lua'/></window-custom>\
        <window-filter><plugin code='no'/></window-filter>\
        <window-calculate algorithm='TextVectorization'><parameters><properties><property name='wordVec'> v.csv \
        </property></properties></parameters></window-calculate></x></project></projects></engine>";

    #[test]
    fn what_is_named_is_carried_once() {
        assert_eq!(named(PROJECT), ["a.lua", "@HOME@/b & c.lua", "v.csv"]);
        let files = named(PROJECT).into_iter().map(|name| (name, "a ]]> & <b>".to_owned())).collect();
        let with = carried(PROJECT, &files);
        assert_eq!(named(&with), Vec::<String>::new());
        let document = Document::parse(&with).expect("it is XML still");
        let texts: Vec<_> = document.descendants().filter(|node| node.has_tag_name("file")).map(|n| n.text()).collect();
        assert_eq!(texts, [Some("a ]]> & <b>"); 3]);
    }

    #[test]
    fn nothing_to_carry_changes_nothing() {
        assert_eq!(carried(PROJECT, &BTreeMap::new()), PROJECT);
        let file = [("a".to_owned(), "b".to_owned())].into();
        assert_eq!(carried("<project/>", &file), "<project/>");
        assert_eq!(carried("no xml", &file), "no xml");
        assert_eq!(named("no xml"), Vec::<String>::new());
    }
}
