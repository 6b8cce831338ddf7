//! What escaped bytes say, one by one. What is no escape says what it is.

/// A byte that is said, and where what says it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Byte {
    pub(super) byte: u8,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// How a format escapes texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 8259.
    Json,
    /// References to the predefined entities and to characters.
    Xml,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// Bytes of the longest escape that is read.
pub(super) const REFERENCE_MAX: usize = 16;

/// Reads escapes.
#[derive(Debug)]
pub(super) struct Unescape {
    coding: Coding,
    /// The beginning of what may be an escape.
    begun: Vec<Byte>,
}

/// What the bytes so far are.
enum Said {
    /// The beginning of an escape.
    More,
    /// An escape that says this.
    Char(char),
    /// The same for one byte.
    Byte(u8),
    /// None.
    Nothing,
}

impl Unescape {
    pub(super) fn new(coding: Coding) -> Self {
        Self { coding, begun: Vec::with_capacity(REFERENCE_MAX) }
    }

    /// Where the beginning of what may be an escape is written.
    pub(super) fn begin(&self) -> Option<u64> {
        self.begun.first().map(|byte| byte.start)
    }

    /// Whether a byte that comes next says what it is.
    pub(super) fn says_itself(&self, byte: u8) -> bool {
        self.begun.is_empty() && !self.begins(byte) && !(self.coding == Coding::Form && byte == b'+')
    }

    pub(super) fn push(&mut self, byte: Byte, out: &mut Vec<Byte>) {
        if self.begun.is_empty() && !self.begins(byte.byte) {
            let said = if self.coding == Coding::Form && byte.byte == b'+' { b' ' } else { byte.byte };
            return out.push(Byte { byte: said, ..byte });
        }
        self.begun.push(byte);
        match self.said() {
            Said::More => {}
            Said::Char(c) => self.say(c.encode_utf8(&mut [0; 4]).as_bytes(), out),
            Said::Byte(said) => self.say(&[said], out),
            Said::Nothing => {
                // It begins none; another may begin with any byte that follows.
                let rest = self.begun.split_off(1);
                out.append(&mut self.begun);
                rest.into_iter().for_each(|byte| self.push(byte, out));
            }
        }
    }

    /// There is no more.
    pub(super) fn finish(&mut self, out: &mut Vec<Byte>) {
        out.append(&mut self.begun);
    }

    fn say(&mut self, said: &[u8], out: &mut Vec<Byte>) {
        let ends = self.begun.first().zip(self.begun.last()).map(|(first, last)| (first.start, last.end));
        let (start, end) = ends.unwrap_or_default();
        out.extend(said.iter().map(|byte| Byte { byte: *byte, start, end }));
        self.begun.clear();
    }

    fn begins(&self, byte: u8) -> bool {
        byte == match self.coding {
            Coding::Json => b'\\',
            Coding::Xml => b'&',
            Coding::Form => b'%',
        }
    }

    fn said(&self) -> Said {
        let mut written = [0; REFERENCE_MAX];
        written.iter_mut().zip(&self.begun).for_each(|(to, from)| *to = from.byte);
        let written = written.get(..self.begun.len()).unwrap_or_default();
        match self.coding {
            Coding::Json => json(written),
            Coding::Xml => xml(written),
            Coding::Form => form(written),
        }
    }
}

fn json(written: &[u8]) -> Said {
    let unit = |hex: &[u8]| u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok();
    match written {
        [b'\\'] | [b'\\', b'u'] => Said::More,
        [b'\\', b'b'] => Said::Byte(8),
        [b'\\', b'f'] => Said::Byte(12),
        [b'\\', b'n'] => Said::Byte(b'\n'),
        [b'\\', b'r'] => Said::Byte(b'\r'),
        [b'\\', b't'] => Said::Byte(b'\t'),
        [b'\\', c @ (b'"' | b'\\' | b'/')] => Said::Byte(*c),
        [b'\\', b'u', hex @ ..] if !hex.iter().take(4).all(u8::is_ascii_hexdigit) => Said::Nothing,
        [b'\\', b'u', hex @ ..] if hex.len() < 4 => Said::More,
        [b'\\', b'u', a, b, c, d] => match unit(&[*a, *b, *c, *d]) {
            Some(0xd800..=0xdbff) => Said::More,
            Some(unit) => char::from_u32(unit).map_or(Said::Nothing, Said::Char),
            None => Said::Nothing,
        },
        // The other half.
        [b'\\', b'u', _, _, _, _, b'\\'] | [b'\\', b'u', _, _, _, _, b'\\', b'u'] => Said::More,
        [b'\\', b'u', a, b, c, d, b'\\', b'u', hex @ ..] if hex.iter().all(u8::is_ascii_hexdigit) => {
            match (unit(&[*a, *b, *c, *d]), unit(hex)) {
                _ if hex.len() < 4 => Said::More,
                (Some(high), Some(low @ 0xdc00..=0xdfff)) => {
                    let c = 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
                    char::from_u32(c).map_or(Said::Nothing, Said::Char)
                }
                _ => Said::Nothing,
            }
        }
        _ => Said::Nothing,
    }
}

fn xml(written: &[u8]) -> Said {
    let [b'&', inner @ ..] = written else { return Said::Nothing };
    let Some(name) = inner.strip_suffix(b";") else {
        let plain = inner.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'#');
        return if plain && written.len() < REFERENCE_MAX { Said::More } else { Said::Nothing };
    };
    let number = |digits: &[u8], radix: u32| {
        let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()?;
        char::from_u32(number)
    };
    let c = match name {
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"amp" => Some('&'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    };
    c.map_or(Said::Nothing, Said::Char)
}

fn form(written: &[u8]) -> Said {
    match written {
        [b'%'] => Said::More,
        [b'%', hex @ ..] if !hex.iter().all(u8::is_ascii_hexdigit) => Said::Nothing,
        [b'%', _] => Said::More,
        [b'%', hex @ ..] => {
            let byte = std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
            byte.map_or(Said::Nothing, Said::Byte)
        }
        [] | [_, ..] => Said::Nothing,
    }
}
