//! A bounded tree of the elements of an XML document.

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

use crate::classify::{
    ClassifyError,
    members::{
        bad_body,
        budget::{Budget, check_text},
        shortened,
    },
};

/// The namespace of `xsi:type`, the one attribute of the models that has a prefix.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// An element. It has text or children, not both.
#[derive(Debug)]
pub(super) struct Element {
    /// Without prefix.
    pub(super) name: String,
    /// Those that are not about namespaces, each once.
    pub(super) attributes: Vec<(String, String)>,
    /// In the order of the document.
    pub(super) children: Vec<Element>,
    /// All text directly in it, references resolved; blank if there are children.
    pub(super) text: String,
    has_comment: bool,
}

/// The outermost element of a document in UTF-8.
pub(super) fn read(body: &[u8], budget: &Budget) -> Result<Element, ClassifyError> {
    let body = std::str::from_utf8(body).map_err(|_| bad_body("it is not UTF-8"))?;
    check_text(body).map_err(bad_body)?;
    if let Some(c) = body.chars().find(|c| !is_char(*c)) {
        return Err(bad_body(format!("the character {c:?} is not allowed in XML")));
    }
    // XML parsers turn these into line feeds; a reference to one stays what it is.
    if body.contains('\r') {
        return Err(bad_body("a carriage return, which XML parsers change"));
    }
    let mut tree = Tree { open: Vec::new(), root: None, namespace: None, budget };
    let mut reader = Reader::from_str(body);
    let mut first = true;
    loop {
        let event = reader.read_event().map_err(|error| bad_body(error.to_string()))?;
        match event {
            Event::Decl(declaration) if first => check_declaration(&declaration)?,
            Event::Start(start) => tree.start(&start)?,
            Event::Empty(start) => {
                tree.start(&start)?;
                tree.end()?;
            }
            Event::End(_) => tree.end()?,
            Event::Text(text) if text.contains("]]>") => return Err(bad_body("a bare ]]>")),
            Event::Text(text) => tree.text(&text)?,
            Event::GeneralRef(reference) => {
                let resolved = reference.resolve_char_ref().map_err(|error| bad_body(error.to_string()))?;
                let c = resolved.or_else(|| predefined(&reference)).filter(|c| is_char(*c));
                let c = c.ok_or_else(|| bad_body("a reference to something else than a character"))?;
                tree.text(c.encode_utf8(&mut [0; 4]))?;
            }
            Event::Comment(_) => tree.comment(),
            Event::Eof => return tree.finish(),
            Event::CData(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(bad_body("XML other than plain elements and text"));
            }
        }
        first = false;
    }
}

/// The character of `amp`, `lt`, `gt`, `quot` or `apos`.
fn predefined(entity: &str) -> Option<char> {
    resolve_predefined_entity(entity)?.chars().next()
}

/// `Char` of XML 1.0, section 2.2.
fn is_char(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' | '\u{feff}')
}

/// `xml version="1.0" encoding="UTF-8" standalone="yes"`, of which all but the version may be missing.
fn check_declaration(declaration: &str) -> Result<(), ClassifyError> {
    let declaration = declaration.replace('\'', "\"");
    let mut words = declaration.split_ascii_whitespace().skip(1).peekable();
    let version = words.next() == Some("version=\"1.0\"");
    let _ = words.next_if(|word| word.eq_ignore_ascii_case("encoding=\"utf-8\""));
    let _ = words.next_if(|word| matches!(*word, "standalone=\"yes\"" | "standalone=\"no\""));
    if version && words.next().is_none() {
        return Ok(());
    }
    Err(bad_body("an XML declaration of something else than XML 1.0 in UTF-8"))
}

struct Tree<'b> {
    /// From the outermost element to the one being read.
    open: Vec<Element>,
    root: Option<Element>,
    /// The default namespace of the outermost element.
    namespace: Option<String>,
    budget: &'b Budget,
}

impl Tree<'_> {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), ClassifyError> {
        if self.root.is_some() {
            return Err(bad_body("more than one outermost element"));
        }
        self.budget.value(self.open.len() + 1).map_err(bad_body)?;
        let name = start.name().as_ref().to_owned();
        if !is_name(&name) {
            return Err(bad_body(format!("an element with the name {:?}", shortened(&name))));
        }
        let attributes = self.attributes(start)?;
        self.open.push(Element {
            name,
            attributes,
            children: Vec::new(),
            text: String::new(),
            has_comment: false,
        });
        Ok(())
    }

    /// The attributes that are not about namespaces. Those are ignored, so they may say nothing: one
    /// default for the whole document, and the prefix that every AWS client uses for its own purpose.
    fn attributes(&mut self, start: &BytesStart<'_>) -> Result<Vec<(String, String)>, ClassifyError> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| bad_body(error.to_string()))?;
            let name = attribute.key.as_ref();
            let value = attribute.value.as_ref();
            if value.contains(['&', '<', '\t', '\n']) {
                return Err(bad_body(format!(
                    "an attribute with a special character: {:?}",
                    shortened(name)
                )));
            }
            match name {
                "xmlns" if self.open.is_empty() => self.namespace = Some(value.to_owned()),
                "xmlns" if self.namespace.as_deref() == Some(value) => {}
                "xmlns:xsi" if value == SCHEMA_INSTANCE => {}
                _ if name == "xmlns" || name.starts_with("xmlns:") => {
                    return Err(bad_body(format!("the namespace {:?}", shortened(value))));
                }
                _ => {
                    self.budget.value(self.open.len() + 2).map_err(bad_body)?;
                    attributes.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(attributes)
    }

    fn end(&mut self) -> Result<(), ClassifyError> {
        let ended = self.open.pop().ok_or_else(|| bad_body("an element ends that has not begun"))?;
        let blank = ended.text.trim_ascii().is_empty();
        if !ended.children.is_empty() && !blank {
            return Err(bad_body("text between elements"));
        }
        if ended.children.is_empty() && ended.has_comment {
            return Err(bad_body("a comment inside a value"));
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(ended),
            None => self.root = Some(ended),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), ClassifyError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim_ascii().is_empty() => {}
            None => return Err(bad_body("text outside of the outermost element")),
        }
        Ok(())
    }

    fn comment(&mut self) {
        if let Some(element) = self.open.last_mut() {
            element.has_comment = true;
        }
    }

    fn finish(self) -> Result<Element, ClassifyError> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(bad_body("it ends before its outermost element does")),
        }
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}
