//! The values of an XML document and where they stand.
//!
//! Plain elements and text alone, as in requests: no document types, entities of one's own, CDATA or prefixes, and
//! nothing in a value but its text.

use std::ops::Range;

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};
use zeroize::Zeroizing;

use super::{Leaf, MintError, Read};

/// Elements inside each other.
const DEPTH_MAX: usize = 32;

pub(super) fn read(text: &str) -> Result<Read, MintError> {
    let mut document = Document::default();
    let mut reader = Reader::from_str(text);
    let mut first = true;
    loop {
        let before = position(&reader)?;
        let event = reader.read_event().map_err(|_| unreadable("it is no XML"))?;
        let after = position(&reader)?;
        match event {
            Event::Decl(declaration) if first => declared(&declaration)?,
            Event::Start(start) => document.start(&start, after)?,
            Event::Empty(start) => {
                document.start(&start, after)?;
                document.end(after..after)?;
            }
            Event::End(_) => document.end(before..before)?,
            Event::Text(written) => document.text(&written)?,
            Event::GeneralRef(reference) => {
                let resolved = reference.resolve_char_ref().map_err(|_| unreadable("a bad reference"))?;
                let named = || resolve_predefined_entity(&reference)?.chars().next();
                let c = resolved.or_else(named).ok_or_else(|| unreadable("an entity"))?;
                document.text(c.encode_utf8(&mut [0; 4]))?;
            }
            Event::Comment(_) => document.comment(),
            Event::Eof => return document.finish(),
            Event::CData(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(unreadable("XML other than plain elements and text"));
            }
        }
        first = false;
    }
}

fn unreadable(why: &'static str) -> MintError {
    MintError::Unreadable(why)
}

fn position(reader: &Reader<&[u8]>) -> Result<usize, MintError> {
    usize::try_from(reader.buffer_position()).map_err(|_| unreadable("it is too long"))
}

/// In UTF-8, where it says.
fn declared(declaration: &str) -> Result<(), MintError> {
    let declaration = declaration.to_ascii_lowercase().replace('\'', "\"");
    if !declaration.contains("encoding") || declaration.contains("encoding=\"utf-8\"") {
        return Ok(());
    }
    Err(unreadable("it is not UTF-8"))
}

#[derive(Default)]
struct Document {
    open: Vec<Open>,
    read: Read,
    elements: usize,
    has_root: bool,
}

/// An element that has not ended.
struct Open {
    name: String,
    number: usize,
    /// Where its content begins.
    from: usize,
    text: Zeroizing<String>,
    has_children: bool,
    has_comment: bool,
}

impl Document {
    fn start(&mut self, start: &BytesStart<'_>, from: usize) -> Result<(), MintError> {
        if self.open.len() >= DEPTH_MAX || (self.open.is_empty() && self.has_root) {
            return Err(unreadable("too many elements inside each other, or beside the outermost"));
        }
        let name = start.name().as_ref().to_owned();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(unreadable("the name of an element"));
        }
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| unreadable("an attribute"))?;
            if attribute.value.contains(['&', '<']) {
                return Err(unreadable("an attribute with a special character"));
            }
        }
        if let Some(parent) = self.open.last_mut() {
            parent.has_children = true;
        }
        self.has_root = true;
        self.elements += 1;
        self.read.names.push(name.clone());
        let text = Zeroizing::new(String::new());
        self.open.push(Open {
            name,
            number: self.elements,
            from,
            text,
            has_children: false,
            has_comment: false,
        });
        Ok(())
    }

    fn end(&mut self, at: Range<usize>) -> Result<(), MintError> {
        let ended = self.open.pop().ok_or_else(|| unreadable("an element ends that has not begun"))?;
        if ended.has_children {
            return match ended.text.trim_ascii() {
                "" => Ok(()),
                _ => Err(unreadable("text between elements")),
            };
        }
        if ended.has_comment {
            return Err(unreadable("a comment inside a value"));
        }
        let mut path: Vec<String> = self.open.iter().map(|open| open.name.clone()).collect();
        path.push(ended.name);
        let parent = self.open.last().map_or(0, |open| open.number);
        let span = ended.from..at.start;
        self.read.push(Leaf { path, parent, text: ended.text, is_text: true, span })
    }

    fn text(&mut self, text: &str) -> Result<(), MintError> {
        match self.open.last_mut() {
            Some(open) if text.contains('\r') && !text.trim_ascii().is_empty() => {
                // XML parsers read a line feed there.
                drop(std::mem::take(&mut open.text));
                Err(unreadable("a carriage return in a value"))
            }
            Some(open) => {
                open.text = joined(&open.text, text);
                Ok(())
            }
            None if text.trim_ascii().is_empty() => Ok(()),
            None => Err(unreadable("text outside of the outermost element")),
        }
    }

    fn comment(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.has_comment = true;
        }
    }

    fn finish(self) -> Result<Read, MintError> {
        if self.open.is_empty() && self.has_root {
            return Ok(self.read);
        }
        Err(unreadable("it ends before its outermost element does"))
    }
}

/// In fresh memory, so that what grows leaves no copy behind that is not zeroed.
fn joined(first: &str, second: &str) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(first.len() + second.len()));
    whole.push_str(first);
    whole.push_str(second);
    whole
}
