//! What a text says (RFC 8259 section 7). Surrogates come in pairs: of a single one readers make different things.

use super::{MaskError, Piece, malformed};

/// The escape that is being read: at most a pair of surrogates.
#[derive(Default)]
pub(super) struct Escape {
    written: [u8; 12],
    length: usize,
    /// It is whole, and the next byte begins something new.
    done: bool,
}

impl Escape {
    /// The next part of a text and how many bytes it takes. `ordinary`: how many bytes say what is written.
    ///
    /// `rest` is not empty.
    #[inline]
    pub(super) fn next<'a>(
        &mut self,
        rest: &'a [u8],
        ordinary: fn(&[u8]) -> usize,
    ) -> Result<(Piece<'a>, usize), MaskError> {
        if self.done {
            (self.done, self.length) = (false, 0);
        }
        if self.length == 0 {
            let length = ordinary(rest);
            if length > 0 {
                return Ok((Piece::Text(rest.get(..length).unwrap_or_default()), length));
            }
            match rest.first() {
                Some(b'"') => return Ok((Piece::End, 1)),
                Some(b'\\') => {}
                _ => return Err(malformed("a control character in a text")),
            }
        }
        // Most are of two bytes.
        if let (0, [b'\\', letter, ..]) = (self.length, rest)
            && let Some(c) = simple(*letter)
        {
            self.written = [b'\\', *letter, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            (self.length, self.done) = (2, true);
            return Ok((Piece::Char(c), 2));
        }
        let mut used = 0;
        for byte in rest {
            used += 1;
            if let Some(c) = self.push(*byte)? {
                self.done = true;
                return Ok((Piece::Char(c), used));
            }
        }
        Ok((Piece::More, used))
    }

    /// The escape that was read last.
    pub(super) fn written(&self) -> &[u8] {
        self.written.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) -> Result<Option<char>, MaskError> {
        let place = self.written.get_mut(self.length).ok_or(BAD)?;
        *place = byte;
        self.length += 1;
        match (self.length, byte) {
            (1 | 7, b'\\') | (2 | 8, b'u') => Ok(None),
            (2, letter) => simple(letter).ok_or(BAD).map(Some),
            (3..=6 | 9..=12, _) if byte.is_ascii_hexdigit() => self.unit(),
            _ => Err(BAD),
        }
    }

    /// After a hexadecimal digit.
    fn unit(&self) -> Result<Option<char>, MaskError> {
        let four = |from: usize| {
            let digits = self.written.get(from..from + 4)?;
            u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let units = match self.length {
            6 => four(2).map(|unit| ([unit, unit], 1)),
            12 => four(2).zip(four(8)).map(|(high, low)| ([high, low], 2)),
            _ => return Ok(None),
        };
        let (units, length) = units.ok_or(BAD)?;
        match char::decode_utf16(units.into_iter().take(length)).next() {
            Some(Ok(c)) => Ok(Some(c)),
            // The second half must follow.
            Some(Err(error)) if length == 1 && matches!(error.unpaired_surrogate(), 0xd800..=0xdbff) => {
                Ok(None)
            }
            _ => Err(BAD),
        }
    }
}

/// What a backslash before this letter says.
fn simple(letter: u8) -> Option<char> {
    Some(match letter {
        b'"' | b'\\' | b'/' => char::from(letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

const BAD: MaskError = MaskError::Malformed("an escape that is none");
