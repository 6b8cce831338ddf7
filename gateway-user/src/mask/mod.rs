//! AWS's answer → the same answer without its secrets, as it streams. *pure*
//!
//! What is secret is said by a `Plan`, made of AWS's models, built-in lists and the configuration; what it does
//! not cover, `Detectors` look through. Every byte beside the hidden values stays what it was. For the same bytes
//! the outcome is the same, however they come in chunks.
//!
//! It fails closed: a value whose shape is not that of the plan is hidden with all that is in it, and what cannot be
//! read in one way is an error, after which nothing of the answer may follow. What was put out until then is masked.
//!
//! # Memory
//! A stream holds at most 64 KiB between two pushes: 36 KiB of a text that detectors look through, 20 KiB of where in
//! the document it is (of which no answer of AWS's needs more than one), 7 KiB of everything else. Beyond that come
//! the entries of the report (80 KiB at most), the value of a reversible field while it is read (`REVERSIBLE_MAX`),
//! and one message of an event stream, which has a bound of its own.
//!
//! # What it does not see
//! Names of members, comments, attributes and bytes are not looked through by detectors, and neither is text in
//! another encoding (base64, percent-encoding) than the format's own.

use std::sync::Arc;

mod answer;
mod cbor;
mod detect;
mod event_stream;
mod flow;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod head;
mod headers;
mod hide;
mod json;
mod known;
mod masks;
mod path;
mod place;
mod plan;
mod report;
mod rules;
mod text;
mod tree;
mod whole;
mod xml;

#[cfg(test)]
mod tests;

pub use answer::{Masking, Way};
pub use detect::{DetectError, Detectors, INSERTED, MATCH_MAX, Pattern};
pub use head::is_readable;
pub use headers::{headers, without};
pub use known::{Counts, Echo, KNOWN_MAX, KNOWN_MIN, Known, KnownError};
pub use masks::{Asked, Masks, MasksError, masked_param};
pub use place::DEPTH_MAX;
pub use plan::{
    Builder, EventRule, Field, FieldId, HeaderRule, Kind, NAME_MAX, Node, NodeId, Plan, PlanError, Revealed,
};
pub use report::{Cause, ENTRIES_MAX, Entry, Report};
pub use rules::{Config, Effect, Rule, RuleError, Rules};

use hide::Hider;

/// What stands in the place of a hidden text.
pub const MASKED: &str = "chaperone:masked";
/// Bytes of a digest.
pub const DIGEST_LEN: usize = 16;
/// Bytes of a value that may be held to ask [`Replace`] about it.
pub const REVERSIBLE_MAX: usize = 64 * 1024;
/// Bytes of a message of an event stream that may be held, unless something else is said.
pub const MESSAGE_MAX: usize = 1024 * 1024;

/// Why the rest of an answer is not passed on. No text of it is in here: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// It cannot be a document of its format.
    #[error("the answer cannot be read: {0}")]
    Malformed(&'static str),
    /// It ended before its end.
    #[error("the answer broke off")]
    Broken,
    /// It has more than [`DEPTH_MAX`] values inside each other.
    #[error("the answer has too many values inside each other")]
    TooDeep,
    /// A part that must be held as a whole has more bytes than may be held.
    #[error("a part of the answer that must be held is too long")]
    TooLong,
    /// A message of an event stream is not what its checksum says.
    #[error("a message of the answer has a wrong checksum")]
    Checksum,
}

/// A keyed digest of hidden values, so that equal ones are recognised and none is known. One at a time.
pub trait Digest: Send {
    /// A value begins; what was not finished is forgotten.
    fn start(&mut self);
    /// A part of it.
    fn update(&mut self, part: &[u8]);
    /// It has ended.
    fn finish(&mut self) -> [u8; DIGEST_LEN];
}

/// Says what stands in the place of the values of reversible fields: texts in documents, and nothing else.
pub trait Replace: Send {
    /// A text to stand in the place of this value, or `None` for [`MASKED`].
    fn replacement(&mut self, field: &Field, digest: [u8; DIGEST_LEN], value: &[u8]) -> Option<String>;

    /// A value has more than [`REVERSIBLE_MAX`] bytes, and [`MASKED`] stands in its place.
    fn too_long(&mut self, field: &Field);
}

/// With what one answer is masked.
pub struct Job {
    /// What is secret.
    pub plan: Arc<Plan>,
    /// What of it passes.
    pub revealed: Revealed,
    /// Who looks through the texts that the plan does not cover, if anyone does.
    pub detectors: Option<Arc<Detectors>>,
    /// What recognises values.
    pub digest: Box<dyn Digest>,
    /// Who is asked about reversible fields.
    pub replace: Option<Box<dyn Replace>>,
}

/// How the body of an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON document.
    Json,
    /// One XML document. The root of the plan is what this many elements enclose: 2 in the query protocol, 1 in
    /// the others.
    Xml {
        /// Elements around the members of the answer.
        wrappers: u8,
    },
    /// One CBOR data item.
    Cbor,
    /// Messages of `application/vnd.amazon.eventstream`.
    EventStream {
        /// Bytes of the longest message.
        message_max: usize,
    },
    /// One value, whatever it is: the root of the plan says whether it is secret.
    Whole,
    /// Text, which detectors look through.
    Text,
}

/// Masks one answer.
pub struct Masker {
    hider: Hider,
    machine: Machine,
    failed: Option<MaskError>,
}

enum Machine {
    Json(json::Json),
    Xml(xml::Xml),
    Cbor(cbor::Cbor),
    EventStream(event_stream::EventStream),
    Whole(whole::Whole),
    Text(text::Text),
}

impl Masker {
    /// Before the first byte of an answer.
    #[must_use]
    pub fn new(format: Format, mut job: Job) -> Self {
        if !matches!(format, Format::Json | Format::Xml { .. } | Format::Cbor) {
            job.replace = None;
        }
        let hider = Hider::new(job);
        let root = hider.what(hider.plan().root());
        let machine = match format {
            Format::Json => Machine::Json(json::Json::new(root)),
            Format::Xml { wrappers } => Machine::Xml(xml::Xml::new(root, wrappers)),
            Format::Cbor => Machine::Cbor(cbor::Cbor::new(root)),
            Format::EventStream { message_max } => {
                Machine::EventStream(event_stream::EventStream::new(message_max))
            }
            Format::Whole => Machine::Whole(whole::Whole::new(root)),
            Format::Text => Machine::Text(text::Text::new()),
        };
        Self { hider, machine, failed: None }
    }

    /// Takes the next bytes of the answer and adds to `out` what may be passed on.
    ///
    /// # Errors
    /// [`MaskError`], from then on always: nothing may follow on what was put out.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), MaskError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let hider = &mut self.hider;
        let pushed = match &mut self.machine {
            Machine::Json(json) => json.push(hider, chunk, out),
            Machine::Xml(xml) => xml.push(hider, chunk, out),
            Machine::Cbor(cbor) => cbor.push(hider, chunk, out),
            Machine::EventStream(stream) => stream.push(hider, chunk, out),
            Machine::Whole(whole) => whole.push(hider, chunk, out),
            Machine::Text(text) => text.push(hider, chunk, out),
        };
        pushed.inspect_err(|error| self.failed = Some(*error))
    }

    /// The answer has ended: adds what is left to `out`. An answer without any byte is none that could be malformed.
    ///
    /// # Errors
    /// [`MaskError::Broken`] where more should have come; others as in [`Masker::push`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Report, MaskError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let hider = &mut self.hider;
        match &mut self.machine {
            Machine::Json(json) => json.finish(hider, out),
            Machine::Xml(xml) => xml.finish(),
            Machine::Cbor(cbor) => cbor.finish(),
            Machine::EventStream(stream) => stream.finish(),
            Machine::Whole(whole) => whole.finish(hider, out),
            Machine::Text(text) => text.finish(hider, out),
        }?;
        Ok(self.hider.into_report())
    }

    /// What was hidden so far: for answers that break off.
    #[must_use]
    pub fn report(&self) -> &Report {
        self.hider.report()
    }
}
