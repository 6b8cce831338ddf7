//! The values of a JSON document (RFC 8259) and where they stand. No name is in an object twice.

use std::{collections::HashSet, ops::Range};

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::{Leaf, MintError, Read};

/// Objects and lists inside each other.
const DEPTH_MAX: usize = 32;

pub(super) fn read(text: &str) -> Result<Read, MintError> {
    // What follows may then take the grammar for granted.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| unreadable("it is no JSON"))?;
    let mut document = Document { text, open: Vec::new(), read: Read::default(), structures: 0 };
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        at = match byte {
            b'{' => document.begin(Some(HashSet::new()), at)?,
            b'[' => document.begin(None, at)?,
            b'}' | b']' => {
                document.open.pop();
                document.value_ended();
                at + 1
            }
            b'"' => document.string(at)?,
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => at + 1,
            _ => document.scalar(at)?,
        };
    }
    Ok(document.read)
}

fn unreadable(why: &'static str) -> MintError {
    MintError::Unreadable(why)
}

struct Document<'a> {
    text: &'a str,
    open: Vec<Open>,
    read: Read,
    structures: usize,
}

/// An object or list that has not ended.
struct Open {
    number: usize,
    /// The names so far; `None` for a list.
    names: Option<HashSet<String>>,
    /// The name whose value comes next.
    name: Option<String>,
}

impl Document<'_> {
    fn begin(&mut self, names: Option<HashSet<String>>, at: usize) -> Result<usize, MintError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(unreadable("too many values inside each other"));
        }
        self.structures += 1;
        self.open.push(Open { number: self.structures, names, name: None });
        Ok(at + 1)
    }

    fn value_ended(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.name = None;
        }
    }

    /// A name or a text, which begins at `at`.
    fn string(&mut self, at: usize) -> Result<usize, MintError> {
        let mut end = at + 1;
        loop {
            match self.text.as_bytes().get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
                None => return Err(unreadable("a text without an end")),
            }
        }
        let span = at..end + 1;
        let written = self.text.get(span.clone()).ok_or_else(|| unreadable("a text"))?;
        let decoded: String = serde_json::from_str(written).map_err(|_| unreadable("a text"))?;
        let text = Zeroizing::new(decoded);
        if let Some(Open { names: Some(names), name: name @ None, .. }) = self.open.last_mut() {
            if !names.insert(text.to_string()) {
                return Err(unreadable("a name twice in one object"));
            }
            *name = Some(text.to_string());
            self.read.names.push(text.to_string());
            return Ok(span.end);
        }
        self.leaf(text, true, span)
    }

    /// A number, a truth value or null, which begins at `at`.
    fn scalar(&mut self, at: usize) -> Result<usize, MintError> {
        let rest = self.text.get(at..).ok_or_else(|| unreadable("a value"))?;
        let length = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
        let text = Zeroizing::new(rest.get(..length).unwrap_or_default().to_owned());
        self.leaf(text, false, at..at + length.max(1))
    }

    fn leaf(
        &mut self,
        text: Zeroizing<String>,
        is_text: bool,
        span: Range<usize>,
    ) -> Result<usize, MintError> {
        let name = |open: &Open| open.name.clone().unwrap_or_else(|| "[]".to_owned());
        let path = self.open.iter().map(name).collect();
        let parent = self.open.last().map_or(0, |open| open.number);
        let end = span.end;
        self.read.push(Leaf { path, parent, text, is_text, span })?;
        self.value_ended();
        Ok(end)
    }
}
