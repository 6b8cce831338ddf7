//! Signed notes: a text, a blank line, and lines that say who signed it
//! ([C2SP signed-note](https://c2sp.org/signed-note)), with Ed25519.
//!
//! Reading is strict: bytes that are read as a note are the only ones that are read as that note.

use std::{fmt, str::FromStr};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::hash::Hash;

/// Bytes of a note: 16 signatures of the largest kind that is in use fit.
pub const NOTE_MAX: usize = 128 * 1024;
/// Signatures of a note.
pub const SIGNATURES_MAX: usize = 64;

/// Bytes of an Ed25519 public key ([RFC 8032 §5.1.5](https://www.rfc-editor.org/rfc/rfc8032#section-5.1.5)).
pub const PUBLIC_LEN: usize = 32;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// The signature type of Ed25519 over the text.
const ED25519_TYPE: u8 = 0x01;
/// Bytes of a key's id.
const ID_LEN: usize = 4;
/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// Why bytes are not a note that is believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`NOTE_MAX`] bytes or [`SIGNATURES_MAX`] signatures.
    #[error("the note is too long")]
    TooLong,
    /// Not UTF-8, or with control characters.
    #[error("the note is not a plain text")]
    NotText,
    /// No text, or no signatures, or no blank line between them.
    #[error("the note is not a text, a blank line and signatures")]
    NotSigned,
    /// A line among the signatures is not one. Lines are counted from 1, after the blank line.
    #[error("line {0} of the note's signatures is not a signature")]
    Signature(usize),
    /// A key that is known signed more than once.
    #[error("the note has two signatures of {0}")]
    Repeated(KeyName),
    /// A key that is known did not sign this text.
    #[error("the signature of {0} does not fit the text")]
    Wrong(KeyName),
    /// No key that is known signed.
    #[error("the note is signed by none of the keys that are believed")]
    Unknown,
    /// Two different keys that are believed have one name and id: whose is the signature?
    #[error("two keys that are believed have the name {0} and the same id")]
    Ambiguous(KeyName),
}

/// Why a text is not a key's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's name is not empty and has no spaces, control characters and +")]
pub struct NameError;

/// Why a text is not a verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `<name>+<id>+<key>`.
    #[error("a verifier key is <name>+<8 hex digits>+<base64>")]
    Shape,
    /// The name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not Ed25519.
    #[error("the verifier key is not an Ed25519 key")]
    Kind,
    /// The id does not belong to this name and key.
    #[error("the verifier key's id does not fit its name and key: a part of it was changed or lost")]
    Id,
}

/// The name of a key: by convention a URL without its scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let strange = |c: char| c.is_whitespace() || c == '+' || c < ' ';
        (!text.is_empty() && !text.contains(strange)).then(|| Self(text.to_owned())).ok_or(NameError)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public half of a key, with its name: what an auditor is given, and given by other ways than the notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    public: [u8; PUBLIC_LEN],
}

impl VerifierKey {
    /// From its parts.
    #[must_use]
    pub fn new(name: KeyName, public: [u8; PUBLIC_LEN]) -> Self {
        Self { name, public }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id: the first bytes of SHA-256 of the name, a line feed, the type and the key.
    fn id(&self) -> [u8; ID_LEN] {
        let name = self.name.as_str().as_bytes();
        let hash = Hash::of(&[name, b"\n", &[ED25519_TYPE], &self.public].concat());
        let mut id = [0; ID_LEN];
        id.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        id
    }

    fn is_of(&self, signature: &Signature) -> bool {
        self.name == signature.name && self.id() == signature.id
    }

    fn signed(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text.as_bytes(), signature).is_ok()
    }
}

/// The text form `<name>+<id>+<type and key>`.
impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [[ED25519_TYPE].as_slice(), &self.public].concat();
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), BASE64.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Shape);
        };
        let name = name.parse()?;
        let key = BASE64.decode(key).map_err(|_| KeyError::Shape)?;
        let public = match key.split_first() {
            Some((&ED25519_TYPE, public)) => public.try_into().map_err(|_| KeyError::Kind)?,
            _ => return Err(KeyError::Kind),
        };
        let key = Self { name, public };
        // Compared as text: hex digits in upper case would be another spelling of the same key.
        if id == hex::encode(key.id()) { Ok(key) } else { Err(KeyError::Id) }
    }
}

/// Who can sign notes.
pub trait Sign {
    /// The key that verifies.
    fn verifier(&self) -> &VerifierKey;

    /// An Ed25519 signature over `text`.
    fn sign(&self, text: &[u8]) -> [u8; SIGNATURE_LEN];
}

/// One line of signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: KeyName,
    id: [u8; ID_LEN],
    bytes: Vec<u8>,
}

/// A note whose signatures nobody has looked at yet. What it says must not be used before [`Note::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// The text of a note, and who signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened<'n> {
    text: &'n str,
    signers: Vec<&'n KeyName>,
}

impl<'n> Opened<'n> {
    /// The text, with the line feed at its end.
    #[must_use]
    pub fn text(&self) -> &'n str {
        self.text
    }

    /// The names of the keys that are believed and signed it.
    #[must_use]
    pub fn signers(&self) -> &[&'n KeyName] {
        &self.signers
    }
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError`]: of its shape only.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_MAX {
            return Err(NoteError::TooLong);
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if !is_plain(note) {
            return Err(NoteError::NotText);
        }
        // The last blank line: a text may have blank lines, signatures have none.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::NotSigned)?;
        let lines = signatures.strip_suffix('\n').ok_or(NoteError::NotSigned)?;
        let signatures = lines
            .split('\n')
            .take(SIGNATURES_MAX + 1)
            .enumerate()
            .map(|(at, line)| Signature::parse(line).ok_or(NoteError::Signature(at + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::TooLong);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The text, if at least one of `keys` signed it and no signature of any of them is wrong. Signatures
    /// of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(&self, keys: &[VerifierKey]) -> Result<Opened<'_>, NoteError> {
        let mut signers: Vec<&KeyName> = Vec::new();
        let mut seen: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let mut of = keys.iter().filter(|key| key.is_of(signature));
            let Some(key) = of.next() else { continue };
            if of.any(|other| other != key) {
                return Err(NoteError::Ambiguous(key.name.clone()));
            }
            if seen.contains(&key) {
                return Err(NoteError::Repeated(key.name.clone()));
            }
            if !key.signed(&self.text, &signature.bytes) {
                return Err(NoteError::Wrong(key.name.clone()));
            }
            seen.push(key);
            signers.push(&signature.name);
        }
        if signers.is_empty() {
            return Err(NoteError::Unknown);
        }
        Ok(Opened { text: &self.text, signers })
    }

    /// Signs a text with every one of these keys: with the old and the new one while a key changes.
    ///
    /// # Errors
    /// [`NoteError::NotText`] for a text with control characters or without a line feed at its end,
    /// [`NoteError::TooLong`], [`NoteError::NotSigned`] without keys.
    pub fn sign(text: &str, keys: &[&dyn Sign]) -> Result<Self, NoteError> {
        if !text.ends_with('\n') || !is_plain(text) {
            return Err(NoteError::NotText);
        }
        if keys.is_empty() {
            return Err(NoteError::NotSigned);
        }
        let signature = |key: &&dyn Sign| Signature {
            name: key.verifier().name.clone(),
            id: key.verifier().id(),
            bytes: key.sign(text.as_bytes()).to_vec(),
        };
        let note = Self { text: text.to_owned(), signatures: keys.iter().map(signature).collect() };
        if keys.len() > SIGNATURES_MAX || note.to_string().len() > NOTE_MAX {
            return Err(NoteError::TooLong);
        }
        Ok(note)
    }
}

/// The note as it is stored and sent.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| {
            let bytes = [signature.id.as_slice(), &signature.bytes].concat();
            writeln!(f, "{DASH}{} {}", signature.name, BASE64.encode(bytes))
        })
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
        let decoded = BASE64.decode(signature).ok()?;
        let (id, bytes) = decoded.split_first_chunk::<ID_LEN>()?;
        let name = name.parse().ok()?;
        (!bytes.is_empty()).then(|| Self { name, id: *id, bytes: bytes.to_vec() })
    }
}

/// No ASCII control characters but line feeds.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte >= b' ' || byte == b'\n')
}

#[cfg(test)]
mod tests;
