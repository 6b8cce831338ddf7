//! Checkpoints: how many leaves a log has and what their root is, signed
//! ([C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint)).
//!
//! There is no time in them. The specification advises against further lines, because nobody who watches a
//! log can check them; a time that the log's own key vouches for proves nothing that the times in its rows do
//! not. When a checkpoint was there is shown by whoever keeps it elsewhere.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    hash::Hash,
    note::{KeyName, Note, NoteError, Sign, VerifierKey},
};

/// Why a note is not a checkpoint of the log that it should be of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is not a note, or nobody who is believed signed it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text has fewer than three lines, or an empty one.
    #[error("the note is not a checkpoint: it has not three lines or more, or an empty one")]
    Lines,
    /// The second line.
    #[error("the checkpoint's size is not a number as it is written by everyone")]
    Size,
    /// The third line.
    #[error("the checkpoint's root is not the base64 of 32 bytes")]
    Root,
    /// Whose signature is on it is not the log that it names.
    #[error("the checkpoint is of {0:?}, and none of the keys that signed it has that name")]
    Origin(String),
}

/// What a checkpoint says. It may be anybody's word: only a [`SignedCheckpoint`] is the log's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    /// Lines of other people's logs; ours have none.
    extensions: Vec<String>,
}

impl Checkpoint {
    /// Of the log with this name.
    #[must_use]
    pub fn new(origin: &KeyName, size: u64, root: Hash) -> Self {
        Self { origin: origin.as_str().to_owned(), size, root, extensions: Vec::new() }
    }

    /// Which log it is of.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many leaves the log had.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Signs it with every one of these keys.
    ///
    /// # Errors
    /// [`CheckpointError::Origin`] if none of them has the log's name; [`CheckpointError::Note`].
    pub fn sign(self, keys: &[&dyn Sign]) -> Result<SignedCheckpoint, CheckpointError> {
        if !keys.iter().any(|key| key.verifier().name().as_str() == self.origin) {
            return Err(CheckpointError::Origin(self.origin));
        }
        let note = Note::sign(&self.to_string(), keys)?.to_string();
        Ok(SignedCheckpoint { checkpoint: self, note })
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Lines);
        let (origin, size, root) = (line()?.to_owned(), line()?, line()?);
        let number = size.parse::<u64>().map_err(|_| CheckpointError::Size)?;
        // `+5` and `05` are numbers to the parser.
        if number.to_string() != size {
            return Err(CheckpointError::Size);
        }
        let root = BASE64.decode(root).ok().and_then(|bytes| Hash::from_bytes(&bytes));
        let root = root.ok_or(CheckpointError::Root)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Lines);
        }
        Ok(Self { origin, size: number, root, extensions })
    }
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(self.root.as_bytes()))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A checkpoint that the log's key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

impl SignedCheckpoint {
    /// Reads a note, and believes it if one of `keys` signed it that has the log's name.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(note: &[u8], keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let opened = note.open(keys)?;
        let checkpoint = Checkpoint::parse(opened.text())?;
        if !opened.signers().iter().any(|name| name.as_str() == checkpoint.origin) {
            return Err(CheckpointError::Origin(checkpoint.origin));
        }
        Ok(Self { checkpoint, note: note.to_string() })
    }

    /// What it says.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note, to store and hand out.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

#[cfg(test)]
mod tests;
