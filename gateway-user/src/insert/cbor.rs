//! Texts of a CBOR data item (RFC 8949).

use zeroize::Zeroizing;

use super::{Escaped, Out};

/// Values inside each other; the reader before this one takes fewer.
const DEPTH_MAX: usize = 64;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const BREAK: u8 = 0xff;

/// A text as CBOR writes it, in one piece.
pub(super) fn written(value: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() + 9));
    let (major, length) = (TEXT << 5, value.len() as u64);
    match (u8::try_from(length), u16::try_from(length), u32::try_from(length)) {
        (Ok(length @ 0..=23), ..) => out.push(major | length),
        (Ok(length), ..) => out.extend_from_slice(&[major | 24, length]),
        (_, Ok(length), _) => {
            out.push(major | 25);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (_, _, Ok(length)) => {
            out.push(major | 26);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => return None,
    }
    out.extend_from_slice(value.as_bytes());
    Some(out)
}

/// Copies an item that was read before, with other texts in the place of tokens. Keys of maps stay.
pub(super) fn replaced(body: &[u8], written: &Escaped, out: &mut Out) -> Option<()> {
    let mut copier = Copier { rest: body, written, out };
    copier.item(0, false)?;
    copier.rest.is_empty().then_some(())
}

struct Copier<'a> {
    rest: &'a [u8],
    written: &'a Escaped,
    out: &'a mut Out,
}

/// The head of an item.
struct Head<'a> {
    major: u8,
    /// `None`: of indefinite length.
    argument: Option<u64>,
    bytes: &'a [u8],
}

impl<'a> Copier<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    fn head(&mut self) -> Option<Head<'a>> {
        let whole = self.rest;
        let first = *self.take(1)?.first()?;
        let more = match first & 31 {
            0..=23 | 31 => 0,
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return None,
        };
        let number = self.take(more)?.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let argument = match first & 31 {
            31 => None,
            small @ 0..=23 => Some(u64::from(small)),
            _ => Some(number),
        };
        let bytes = whole.get(..whole.len() - self.rest.len())?;
        Some(Head { major: first >> 5, argument, bytes })
    }

    fn at_break(&mut self) -> Option<bool> {
        let is = *self.rest.first()? == BREAK;
        if is {
            let end = self.take(1)?;
            self.out.keep(end)?;
        }
        Some(is)
    }

    fn item(&mut self, depth: usize, is_key: bool) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        let begin = self.rest;
        let head = self.head()?;
        match head.major {
            BYTES | TEXT => {
                let said = self.chunks(&head)?;
                let raw = begin.get(..begin.len() - self.rest.len())?;
                let token = std::str::from_utf8(&said).ok().filter(|_| head.major == TEXT && !is_key);
                match token.and_then(|text| self.written.of(text)) {
                    Some(value) => self.out.replace(value),
                    None => self.out.keep(raw),
                }
            }
            LIST | MAP => {
                self.out.keep(head.bytes)?;
                let mut left = head.argument;
                loop {
                    match &mut left {
                        Some(0) => return Some(()),
                        Some(left) => *left -= 1,
                        None if self.at_break()? => return Some(()),
                        None => {}
                    }
                    if head.major == MAP {
                        self.item(depth + 1, true)?;
                    }
                    self.item(depth + 1, false)?;
                }
            }
            TAG => {
                self.out.keep(head.bytes)?;
                self.item(depth + 1, false)
            }
            _ => self.out.keep(head.bytes),
        }
    }

    /// What bytes or a text say; the pieces of those that have no length.
    fn chunks(&mut self, head: &Head<'_>) -> Option<Vec<u8>> {
        if let Some(length) = head.argument {
            return self.take(length).map(<[u8]>::to_vec);
        }
        let mut whole = Vec::new();
        while *self.rest.first()? != BREAK {
            let piece = self.head()?;
            whole.extend_from_slice(self.take(piece.argument?)?);
        }
        self.take(1)?;
        Some(whole)
    }
}
