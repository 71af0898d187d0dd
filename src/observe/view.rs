//! What the page shows, as a tree of elements: written as HTML for those without scripts, as JSON for
//! the page that updates itself. One tree, so both show the same; tags and attribute names come from
//! the source code alone, and whatever came from outside can only become text or an attribute's
//! value.

use serde::ser::{Serialize, SerializeSeq, Serializer};

pub enum Node {
    Text(String),
    Element(Element),
}

pub struct Element {
    tag: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

pub fn el(tag: &'static str, class: &str) -> Element {
    let attributes = if class.is_empty() { Vec::new() } else { vec![("class", class.to_owned())] };
    Element { tag, attributes, children: Vec::new() }
}

impl Element {
    pub fn attr(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, clean(value.into())));
        self
    }

    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(clean(text.into())));
        self
    }

    pub fn child(mut self, child: Element) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    pub fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    pub fn html(&self, out: &mut String) {
        out.push('<');
        out.push_str(self.tag);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            escape(value, out);
            out.push('"');
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Text(text) => escape(text, out),
                Node::Element(element) => element.html(out),
            }
        }
        out.push_str("</");
        out.push_str(self.tag);
        out.push('>');
    }
}

/// `["tag", {"attribute": "value"}, child, ...]`.
impl Serialize for Element {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes: std::collections::BTreeMap<_, _> =
            self.attributes.iter().map(|(name, value)| (name, value)).collect();
        let mut seq = serializer.serialize_seq(Some(2 + self.children.len()))?;
        seq.serialize_element(self.tag)?;
        seq.serialize_element(&attributes)?;
        for child in &self.children {
            match child {
                Node::Text(text) => seq.serialize_element(text)?,
                Node::Element(element) => seq.serialize_element(element)?,
            }
        }
        seq.end()
    }
}

/// A control or direction character could make one name look like another.
fn clean(text: String) -> String {
    let misleads = |c: char| {
        c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
    };
    if text.contains(misleads) { text.replace(misleads, "\u{fffd}") } else { text }
}

pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}
