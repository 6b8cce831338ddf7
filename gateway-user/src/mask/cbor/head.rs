//! The heads of data items (RFC 8949 section 3).

use super::{super::MaskError, malformed};

/// Bytes of the longest head.
const LONGEST: usize = 9;

/// A head, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    bytes: [u8; LONGEST],
    length: usize,
    /// Where it begins in the chunk; `None` where an earlier one has its beginning.
    start: Option<usize>,
}

/// What the head says beside the major type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    Is(u64),
    /// Indefinite length, or break.
    None,
}

/// The part of a head that earlier chunks had.
#[derive(Default)]
pub(super) struct Held {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The head at `at`, and where it ends. `None` where the chunk ends before, which is held.
    pub(super) fn read(&mut self, chunk: &[u8], at: usize) -> Result<(Option<Head>, usize), MaskError> {
        let start = self.is_empty().then_some(at);
        if let (Some(start), Some(bytes)) = (start, chunk.get(at..).and_then(<[u8]>::first_chunk::<LONGEST>))
        {
            // Behind the head come other bytes, which are not looked at.
            let [first, ..] = *bytes;
            let length = length(first)?;
            return Ok((Some(Head { bytes: *bytes, length, start: Some(start) }), at + length));
        }
        let mut end = at;
        loop {
            let whole = match self.bytes.first() {
                Some(first) if self.length > 0 => length(*first)?,
                _ => 1,
            };
            if self.length > 0 && self.length == whole {
                let head = Head { bytes: self.bytes, length: whole, start };
                *self = Self::default();
                return Ok((Some(head), end));
            }
            let (Some(byte), Some(place)) = (chunk.get(end), self.bytes.get_mut(self.length)) else {
                return Ok((None, end));
            };
            *place = *byte;
            self.length += 1;
            end += 1;
        }
    }
}

/// Bytes of the head that begins so.
fn length(first: u8) -> Result<usize, MaskError> {
    match (first >> 5, first & 31) {
        (_, 0..24) => Ok(1),
        (_, 24) => Ok(2),
        (_, 25) => Ok(3),
        (_, 26) => Ok(5),
        (_, 27) => Ok(9),
        (2..=5 | 7, 31) => Ok(1),
        _ => Err(malformed("it is not CBOR")),
    }
}

impl Head {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(super) fn start(&self) -> Option<usize> {
        self.start
    }

    pub(super) fn first(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    pub(super) fn major(&self) -> u8 {
        self.first() >> 5
    }

    fn info(&self) -> u8 {
        self.first() & 31
    }

    pub(super) fn argument(&self) -> Argument {
        match self.info() {
            31 => Argument::None,
            info @ 0..24 => Argument::Is(u64::from(info)),
            _ => {
                let rest = self.bytes().iter().skip(1);
                Argument::Is(rest.fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
        }
    }

    /// A truth value, null, undefined or a float: the only simple values there are in Smithy.
    pub(super) fn is_simple(&self) -> bool {
        matches!(self.info(), 20..=23 | 25..=27)
    }

    /// Null, or undefined, which Smithy takes for it.
    pub(super) fn is_null(&self) -> bool {
        self.major() == 7 && matches!(self.info(), 22 | 23)
    }

    /// What stands in the place of a number or truth value: zero of the same kind, or false.
    pub(super) fn nothing(&self) -> &'static [u8] {
        match (self.major(), self.info()) {
            (7, 25) => &[0xf9, 0, 0],
            (7, 26) => &[0xfa, 0, 0, 0, 0],
            (7, 27) => &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
            (7, _) => &[0xf4],
            _ => &[0],
        }
    }
}

/// What a number or truth value says, in decimal.
pub(super) fn decimal(head: &Head) -> String {
    let Argument::Is(bits) = head.argument() else { return String::new() };
    match (head.major(), head.info()) {
        (0, _) => bits.to_string(),
        (1, _) => (-1 - i128::from(bits)).to_string(),
        (_, 20) => "false".to_owned(),
        (_, 21) => "true".to_owned(),
        (_, 25) => u16::try_from(bits).map(half).unwrap_or_default().to_string(),
        (_, 26) => u32::try_from(bits).map(f32::from_bits).unwrap_or_default().to_string(),
        _ => f64::from_bits(bits).to_string(),
    }
}

/// A float of 16 bits (IEEE 754): every value is one of 32 bits as well.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0_f32 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if bits & 1023 == 0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2_f32.powi(exponent - 25),
    }
}

/// The head of a text or of bytes of this length.
pub(super) fn write_head(major: u8, length: usize, out: &mut Vec<u8>) {
    let major = major << 5;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ 0..24), _) => out.push(major | length),
        (Ok(length), _) => out.extend([major | 24, length]),
        (_, Ok(length)) => {
            out.push(major | 25);
            out.extend(length.to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend((length as u64).to_be_bytes());
        }
    }
}
