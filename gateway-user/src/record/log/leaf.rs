//! The canonical form of a row, whose hash is the row's leaf.
//!
//! The form is bytes, made so that two different rows never have the same. In
//! [ABNF](https://www.rfc-editor.org/rfc/rfc5234), with `LF` for the byte 0x0A and `SP` for 0x20:
//!
//! ```text
//! form    = "chaperone-row/1" LF row *column
//! row     = "row" SP string SP integer LF              ; the table's name, the row's number (`seq`)
//! column  = "null" SP string LF                        ; the column's name, in each of these
//!         / "integer" SP string SP integer LF
//!         / "text" SP string SP string LF              ; the text in UTF-8
//!         / "blob" SP string SP string LF              ; the bytes as they are
//! string  = length ":" *OCTET                          ; exactly `length` bytes
//! length  = "0" / %x31-39 *DIGIT
//! integer = "0" / ["-"] %x31-39 *DIGIT                 ; -2^63 … 2^63 - 1
//! ```
//!
//! All literals are in lower case as written. The columns are those of the table in the order in which the
//! table's first version declares them, without `seq`, which is the row's number. A column that a table was
//! given later comes after these, in the order in which the columns were added, and only where it is not NULL:
//! rows from before it keep their form. Text is the stored bytes, with nothing normalised; JSON is text.
//!
//! The leaf's hash is SHA-256 of the byte 0x00 and the form
//! ([RFC 6962 §2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1)). For example the row 7 of a table `ends`
//! with the columns `session` = `s1`, `status` = -1 and `note` = NULL has the form
//!
//! ```text
//! chaperone-row/1
//! row 4:ends 7
//! text 7:session 2:s1
//! integer 6:status -1
//! null 4:note
//! ```
//!
//! (with a line feed at the end of each line) and the hash
//! `8efa3730772454b777d594ddfb067bd65334476744852c94ba49d455346433cb`.

use std::borrow::Cow;

use super::hash::{LEAF, LeafHash};

/// First line of the form.
const VERSION: &[u8] = b"chaperone-row/1\n";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A text, as the bytes that are stored: a database that was tampered with may hold what is not UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The form of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    table: Cow<'static, str>,
    row: i64,
    /// [`LEAF`], then the form.
    bytes: Vec<u8>,
}

impl Form {
    /// Begins the form of the row with this number.
    #[must_use]
    pub fn new(table: impl Into<Cow<'static, str>>, row: i64) -> Self {
        let table = table.into();
        let mut bytes = Vec::with_capacity(1024);
        bytes.push(LEAF);
        bytes.extend_from_slice(VERSION);
        bytes.extend_from_slice(b"row ");
        string(&mut bytes, table.as_bytes());
        integer(&mut bytes, row);
        bytes.push(b'\n');
        Self { table, row, bytes }
    }

    /// Adds the next column.
    #[must_use]
    pub fn column<'a>(mut self, name: &str, value: impl Into<Value<'a>>) -> Self {
        let value = value.into();
        let kind: &[u8] = match value {
            Value::Null => b"null ",
            Value::Integer(_) => b"integer ",
            Value::Text(_) => b"text ",
            Value::Blob(_) => b"blob ",
        };
        self.bytes.extend_from_slice(kind);
        string(&mut self.bytes, name.as_bytes());
        match value {
            Value::Null => {}
            Value::Integer(number) => integer(&mut self.bytes, number),
            Value::Text(bytes) | Value::Blob(bytes) => {
                self.bytes.push(b' ');
                string(&mut self.bytes, bytes);
            }
        }
        self.bytes.push(b'\n');
        self
    }

    /// Adds a column that the table was given after its first version: nothing where it is NULL.
    #[must_use]
    pub fn later_column<'a>(self, name: &str, value: impl Into<Value<'a>>) -> Self {
        match value.into() {
            Value::Null => self,
            value => self.column(name, value),
        }
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &Cow<'static, str> {
        &self.table
    }

    /// The row's number.
    #[must_use]
    pub fn row(&self) -> i64 {
        self.row
    }

    /// The form itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    /// What the column of this name holds; `None` where the form has no such column.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value<'_>> {
        let mut rest = Rest(self.as_bytes());
        rest.until(b'\n')?;
        // The table's name may be anything, so it is not looked for the line's end in it.
        rest.until(b' ')?;
        rest.string()?;
        rest.until(b'\n')?;
        loop {
            let (column, value) = rest.column()?;
            if column == name.as_bytes() {
                return Some(value);
            }
        }
    }

    /// The text in the column of this name; `None` where it holds none.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            Value::Null | Value::Integer(_) | Value::Blob(_) => None,
        }
    }

    /// The leaf's hash.
    #[must_use]
    pub fn hash(&self) -> LeafHash {
        LeafHash::of(&self.bytes)
    }
}

/// What is left of a form that is read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// What comes before this byte, which is left out.
    fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = self.0.iter().position(|byte| *byte == end)?;
        let (read, rest) = self.0.split_at_checked(at)?;
        self.0 = rest.get(1..)?;
        Some(read)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = std::str::from_utf8(self.until(b':')?).ok()?.parse().ok()?;
        let (read, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(read)
    }

    fn column(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let kind = self.until(b' ')?;
        let name = self.string()?;
        let value = match kind {
            b"null" => Value::Null,
            b"integer" => {
                self.until(b' ')?;
                return Some((
                    name,
                    Value::Integer(std::str::from_utf8(self.until(b'\n')?).ok()?.parse().ok()?),
                ));
            }
            b"text" => {
                self.until(b' ')?;
                Value::Text(self.string()?)
            }
            b"blob" => {
                self.until(b' ')?;
                Value::Blob(self.string()?)
            }
            _ => return None,
        };
        self.until(b'\n')?;
        Some((name, value))
    }
}

fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    decimal(to, bytes.len() as u64);
    to.push(b':');
    to.extend_from_slice(bytes);
}

fn integer(to: &mut Vec<u8>, number: i64) {
    to.extend_from_slice(if number < 0 { b" -" } else { b" " });
    decimal(to, number.unsigned_abs());
}

/// Written by hand: with `write!` a form takes three times as long.
fn decimal(to: &mut Vec<u8>, number: u64) {
    let (mut digits, mut rest) = ([0_u8; 20], number);
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        // Below ten, so nothing is lost.
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        (rest, used) = (rest / 10, used + 1);
        if rest == 0 {
            break;
        }
    }
    to.extend(digits.iter().skip(digits.len() - used));
}

#[cfg(test)]
mod tests;
