//! Texts of an XML document, of the plain kind that the classifier reads.

use quick_xml::{Reader, escape::resolve_predefined_entity, events::Event};
use zeroize::Zeroizing;

use super::{Escaped, Out};

/// A text as XML writes it; what XML has no characters for is found when it is read again.
pub(super) fn written(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() * 6));
    for c in value.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            // Parsers make line feeds of bare ones.
            '\r' => out.extend_from_slice(b"&#xD;"),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(out)
}

/// Copies a document that was read before, with other texts in the place of tokens. Attributes stay.
pub(super) fn replaced(body: &[u8], written: &Escaped, out: &mut Out) -> Option<()> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::from_str(text);
    let (mut kept, mut content) = (0, None);
    loop {
        let before = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let after = usize::try_from(reader.buffer_position()).ok()?;
        match event {
            // The text of an element without children is between its tags.
            Event::Start(_) => content = Some((after, String::new())),
            Event::Text(part) => {
                if let Some((_, said)) = &mut content {
                    said.push_str(&part);
                }
            }
            Event::GeneralRef(reference) => {
                let c = match reference.resolve_char_ref().ok()? {
                    Some(c) => c,
                    None => resolve_predefined_entity(&reference)?.chars().next()?,
                };
                if let Some((_, said)) = &mut content {
                    said.push(c);
                }
            }
            Event::End(_) => {
                if let Some((begin, said)) = content.take()
                    && let Some(value) = written.of(&said)
                {
                    out.keep(body.get(kept..begin)?)?;
                    out.replace(value)?;
                    kept = before;
                }
            }
            Event::Eof => return out.keep(body.get(kept..)?),
            _ => content = None,
        }
    }
}
