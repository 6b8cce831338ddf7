//! The body of DeleteObjects: one action for each key.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html>

use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};

use super::{address::Address, on};
use crate::{
    classify::{ActionOn, ClassifyError, protocol::plain_body},
    parse::{PayloadMode, VerifiedRequest},
};

/// Keys in one call (S3's own bound).
const MAX_KEYS: usize = 1000;

/// `s3:DeleteObject` or `s3:DeleteObjectVersion` on every key.
pub(super) fn actions(request: &VerifiedRequest, address: &Address) -> Result<Vec<ActionOn>, ClassifyError> {
    let bad = |what: &str| ClassifyError::BadBody(what.to_owned());
    if *request.request().payload() == PayloadMode::StreamingUnsignedTrailer {
        return Err(bad("it is aws-chunked"));
    }
    let body = plain_body(request)?;
    let body = std::str::from_utf8(body).map_err(|_| bad("it is not UTF-8"))?;
    let bucket = address.bucket().ok_or_else(|| bad("there is no bucket"))?;
    let keys = keys(body)?;
    let mut actions = Vec::with_capacity(keys.len());
    for (key, versioned) in keys {
        super::address::check_key(&key)?;
        let action = if versioned { "DeleteObjectVersion" } else { "DeleteObject" };
        actions.push(on(action, &bucket.object_arn(&key)));
    }
    Ok(actions)
}

/// Keys and whether a version is named. Exactly the elements of the API, each once, in its place;
/// no DTD, entities of one's own, processing instructions, CDATA or namespace prefixes.
fn keys(body: &str) -> Result<Vec<(String, bool)>, ClassifyError> {
    let bad = |what: &str| ClassifyError::BadBody(what.to_owned());
    let mut reader = Reader::from_str(body);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut object = Object::default();
    let mut keys = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| bad(&error.to_string()))?;
        match event {
            Event::Decl(declaration) if path.is_empty() => {
                if !is_utf8(&declaration) {
                    return Err(bad("an XML declaration with an encoding other than UTF-8"));
                }
            }
            Event::Start(start) => {
                let name = name(start.name().as_ref())?;
                if path.is_empty() && !keys.is_empty() {
                    return Err(bad("more than one root element"));
                }
                open(&path, &name, &mut object)?;
                path.push(name);
                text.clear();
            }
            Event::End(_) => {
                let ended = path.pop().ok_or_else(|| bad("an element ends that has not begun"))?;
                match ended.as_str() {
                    "Key" => object.key = Some(std::mem::take(&mut text)),
                    "VersionId" => object.version = Some(std::mem::take(&mut text)),
                    "Object" => keys.push(std::mem::take(&mut object).finish()?),
                    _ => text.clear(),
                }
                if keys.len() > MAX_KEYS {
                    return Err(bad("more than 1000 objects"));
                }
            }
            Event::Text(piece) => text.push_str(&piece),
            Event::GeneralRef(reference) => {
                match reference.resolve_char_ref().map_err(|error| bad(&error.to_string()))? {
                    Some(c) => text.push(c),
                    None => text.push_str(
                        resolve_predefined_entity(&reference).ok_or_else(|| bad("an entity of its own"))?,
                    ),
                }
            }
            Event::Comment(_)
                if matches!(path.last().map(String::as_str), Some("Delete" | "Object") | None) => {}
            Event::Eof => break,
            Event::Empty(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_) => {
                return Err(bad("XML other than plain elements and text"));
            }
        }
        let inside_leaf =
            matches!(path.last().map(String::as_str), Some(name) if name != "Delete" && name != "Object");
        if !inside_leaf && !text.trim_ascii().is_empty() {
            return Err(bad("text between elements"));
        }
        if text.contains('\r') {
            return Err(bad("a carriage return, which XML parsers change"));
        }
        if !inside_leaf {
            text.clear();
        }
    }
    if !path.is_empty() {
        return Err(bad("it ends before its root element does"));
    }
    if keys.is_empty() {
        return Err(bad("it names no objects"));
    }
    Ok(keys)
}

/// Whether an XML declaration says nothing else than that the text is UTF-8.
fn is_utf8(declaration: &str) -> bool {
    let declaration = declaration.to_ascii_lowercase();
    match declaration.split_once("encoding") {
        None => true,
        Some((_, rest)) => {
            let rest = rest.trim_start_matches(['=', ' ', '\t', '\r', '\n']);
            rest.starts_with("\"utf-8\"") || rest.starts_with("'utf-8'")
        }
    }
}

#[derive(Default)]
struct Object {
    key: Option<String>,
    version: Option<String>,
    seen: Vec<String>,
}

impl Object {
    fn finish(self) -> Result<(String, bool), ClassifyError> {
        match self.key {
            Some(key) if !key.is_empty() => Ok((key, self.version.is_some())),
            _ => Err(ClassifyError::BadBody("an Object without Key".to_owned())),
        }
    }
}

/// Whether `name` may begin below `path`.
fn open(path: &[String], name: &str, object: &mut Object) -> Result<(), ClassifyError> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let known = match path.as_slice() {
        [] => name == "Delete",
        ["Delete"] => matches!(name, "Object" | "Quiet"),
        ["Delete", "Object"] => matches!(name, "Key" | "VersionId" | "ETag" | "LastModifiedTime" | "Size"),
        _ => false,
    };
    if !known {
        return Err(ClassifyError::BadBody(format!("the element {name:?} in {}", path.join("/"))));
    }
    if path.len() == 2 {
        if object.seen.iter().any(|seen| seen == name) {
            return Err(ClassifyError::BadBody(format!("the element {name:?} is there twice")));
        }
        object.seen.push(name.to_owned());
    }
    Ok(())
}

fn name(bytes: &str) -> Result<String, ClassifyError> {
    let plain = bytes.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain {
        Ok(bytes.to_owned())
    } else {
        Err(ClassifyError::BadBody("an element with a namespace prefix".to_owned()))
    }
}
