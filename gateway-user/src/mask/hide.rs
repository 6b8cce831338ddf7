//! One hidden value: its digest, what stands in its place, and its entry in the report.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    Cause, DIGEST_LEN, Job, MASKED, MaskError, REVERSIBLE_MAX, Report,
    detect::Detectors,
    place::{Place, What},
    plan::{Field, FieldId, Kind, Node, NodeId},
};

/// Why a value is hidden, apart from what detectors find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Field(FieldId),
    Shape,
}

/// How the format writes a value, which decides what may stand in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// A text; blobs are base64.
    Text,
    /// A text that stands for numbers and truth values as well.
    Untyped,
    /// Bytes.
    Bytes,
    /// Whatever it is, the format has no choice: only digest and entry are needed.
    Given,
}

/// What maskers of all formats need to hide values. Between two pushes it holds no value but one that is
/// reversible.
pub(super) struct Hider {
    job: Job,
    report: Report,
    value: Value,
    /// What comes before all paths.
    within: String,
}

/// The value that is being hidden.
struct Value {
    why: Why,
    kind: Kind,
    looks: Looks,
    /// Of a reversible field.
    kept: Option<Zeroizing<Vec<u8>>>,
    /// Of a reversible field, too, and longer than what is kept.
    too_long: bool,
    /// Bytes that wait for more, because digests are of base64.
    odd: Zeroizing<Vec<u8>>,
}

impl Hider {
    pub(super) fn new(job: Job) -> Self {
        let value = Value {
            why: Why::Shape,
            kind: Kind::Any,
            looks: Looks::default(),
            kept: None,
            too_long: false,
            odd: Zeroizing::new(Vec::with_capacity(3)),
        };
        Self { job, report: Report::default(), value, within: String::new() }
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    pub(super) fn into_parts(self) -> (Job, Report) {
        (self.job, self.report)
    }

    /// Paths from now on are below this one.
    pub(super) fn within(&mut self, path: &str) {
        path.clone_into(&mut self.within);
    }

    pub(super) fn plan(&self) -> &super::Plan {
        &self.job.plan
    }

    pub(super) fn plan_shared(&self) -> std::sync::Arc<super::Plan> {
        self.job.plan.clone()
    }

    /// Whether the model says that the value being hidden is of this kind.
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.value.kind == kind
    }

    pub(super) fn detectors(&self) -> Option<&std::sync::Arc<Detectors>> {
        self.job.detectors.as_ref()
    }

    pub(super) fn node(&self, id: NodeId) -> Option<&Node> {
        self.job.plan.node(id)
    }

    /// What is to be done with a value at this node.
    pub(super) fn what(&self, id: NodeId) -> What {
        match self.job.plan.node(id) {
            Some(Node::Secret(field)) => self.field(*field),
            // Without rules nothing is expected.
            Some(Node::Structure(members)) if members.is_empty() => What::Free,
            Some(_) => What::Node(id),
            None => What::Hide(Why::Shape),
        }
    }

    pub(super) fn field(&self, field: FieldId) -> What {
        if self.job.revealed.contains(field) { What::Pass } else { What::Hide(Why::Field(field)) }
    }

    /// What is to be done with a member; `None`: its name is longer than those of any plan.
    #[inline]
    pub(super) fn member(&self, structure: NodeId, name: Option<&[u8]>) -> What {
        let node = name.and_then(|name| self.job.plan.member(structure, name));
        node.map_or(What::Free, |node| self.what(node))
    }

    /// A hidden value begins.
    pub(super) fn begin(&mut self, why: Why) {
        let field = self.field_of(why);
        let kind = field.map_or(Kind::Any, |field| field.kind);
        let reversible = field.is_some_and(|field| field.reversible && field.kind == Kind::Text)
            && self.job.replace.is_some();
        self.value.why = why;
        self.value.kind = kind;
        self.value.looks = Looks::default();
        self.value.kept = reversible.then(Zeroizing::default);
        self.value.too_long = false;
        self.value.odd.clear();
        self.job.digest.start();
    }

    fn field_of(&self, why: Why) -> Option<&Field> {
        match why {
            Why::Field(id) => self.job.plan.field(id),
            Why::Shape => None,
        }
    }

    /// A part of the value, decoded. Bytes of formats that write them as text come as that text.
    pub(super) fn update(&mut self, part: &[u8]) -> Result<(), MaskError> {
        self.value.looks.update(part);
        self.job.digest.update(part);
        match &mut self.value.kept {
            Some(kept) if kept.len() + part.len() > REVERSIBLE_MAX => {
                self.value.kept = None;
                self.value.too_long = true;
                Ok(())
            }
            Some(kept) => {
                append(kept, part);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A part of the value, which are bytes.
    pub(super) fn update_bytes(&mut self, mut part: &[u8]) -> Result<(), MaskError> {
        let mut text = Zeroizing::new([0; 1024]);
        let mut odd = std::mem::take(&mut self.value.odd);
        while odd.len() + part.len() >= 3 {
            let mut whole = Zeroizing::new([0; 768]);
            let length = (odd.len() + part.len()).min(whole.len()) / 3 * 3;
            let (head, rest) = part.split_at_checked(length - odd.len()).unwrap_or((part, &[]));
            let bytes = odd.iter().chain(head);
            whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            odd.clear();
            part = rest;
            let written = STANDARD
                .encode_slice(whole.get(..length).unwrap_or_default(), text.as_mut_slice())
                .map_err(|_| MaskError::TooLong)?;
            self.update(text.get(..written).unwrap_or_default())?;
        }
        odd.extend_from_slice(part);
        self.value.odd = odd;
        Ok(())
    }

    /// The value turned out to be none.
    pub(super) fn forget(&mut self) {
        self.value.kept = None;
        self.value.too_long = false;
        self.value.odd.clear();
    }

    /// The value has ended. Returns what stands in its place, not yet as the format writes it.
    pub(super) fn end(&mut self, place: &Place, wire: Wire) -> Result<Cow<'static, str>, MaskError> {
        self.end_at(|| place.path(), wire)
    }

    /// The same, for a value that has no place in a document.
    pub(super) fn end_at(
        &mut self,
        path: impl FnOnce() -> String,
        wire: Wire,
    ) -> Result<Cow<'static, str>, MaskError> {
        if !self.value.odd.is_empty() {
            let last = Zeroizing::new(STANDARD.encode(&*self.value.odd));
            self.value.odd.clear();
            self.update(last.as_bytes())?;
        }
        let digest = self.job.digest.finish();
        let cause = match self.value.why {
            Why::Field(field) => Cause::Field(field),
            Why::Shape => Cause::Shape,
        };
        self.report.add(|| below(&self.within, path()), cause, digest);
        let is_text = matches!(wire, Wire::Text | Wire::Untyped);
        if std::mem::take(&mut self.value.too_long) && is_text {
            self.note_too_long();
        }
        if let Some(kept) = self.value.kept.take().filter(|_| is_text)
            && let Some(text) = self.asked(digest, &kept)
        {
            return Ok(Cow::Owned(text));
        }
        Ok(self.constant(wire))
    }

    fn note_too_long(&mut self) {
        let Why::Field(id) = self.value.why else { return };
        let Job { plan, replace, .. } = &mut self.job;
        if let (Some(replace), Some(field)) = (replace, plan.field(id)) {
            replace.too_long(field);
        }
    }

    fn asked(&mut self, digest: [u8; DIGEST_LEN], value: &[u8]) -> Option<String> {
        let Why::Field(id) = self.value.why else { return None };
        let Job { plan, replace, .. } = &mut self.job;
        replace.as_mut()?.replacement(plan.field(id)?, digest, value)
    }

    fn constant(&self, wire: Wire) -> Cow<'static, str> {
        let (kind, looks) = (self.value.kind, &self.value.looks);
        match (wire, kind) {
            (Wire::Text | Wire::Untyped, Kind::Blob) => Cow::Owned(STANDARD.encode(MASKED)),
            (Wire::Text | Wire::Untyped, Kind::Timestamp) => Cow::Borrowed(looks.time()),
            (Wire::Untyped, Kind::Number) => Cow::Borrowed("0"),
            (Wire::Untyped, Kind::Boolean) => Cow::Borrowed("false"),
            (Wire::Untyped, Kind::Any) => Cow::Borrowed(looks.constant()),
            _ => Cow::Borrowed(MASKED),
        }
    }

    /// What a detector found begins; it is not reversible.
    pub(super) fn found_begins(&mut self) {
        self.job.digest.start();
    }

    pub(super) fn found_goes_on(&mut self, part: &[u8]) {
        self.job.digest.update(part);
    }

    pub(super) fn found_ends(&mut self, path: impl FnOnce() -> String, name: std::sync::Arc<str>) {
        let digest = self.job.digest.finish();
        self.found(path, name, digest);
    }

    /// A detector found what is known by this digest.
    pub(super) fn found(
        &mut self,
        path: impl FnOnce() -> String,
        name: std::sync::Arc<str>,
        digest: [u8; DIGEST_LEN],
    ) {
        self.report.add(|| below(&self.within, path()), Cause::Detector(name), digest);
    }
}

fn below(within: &str, path: String) -> String {
    match (within, path.as_str()) {
        ("", _) => path,
        (_, "") => within.to_owned(),
        (_, path) if path.starts_with('[') => format!("{within}{path}"),
        _ => format!("{within}.{path}"),
    }
}

/// Into fresh memory where it grows, so that no copy is left behind that is not zeroed.
pub(super) fn append(to: &mut Zeroizing<Vec<u8>>, part: &[u8]) {
    append_within(to, part, usize::MAX);
}

/// The same, for what never has more than `most` bytes.
pub(super) fn append_within(to: &mut Zeroizing<Vec<u8>>, part: &[u8], most: usize) {
    let length = to.len() + part.len();
    if length > to.capacity() {
        let room = (length + length / 2).clamp(64, most.max(64));
        let mut larger = Zeroizing::new(Vec::with_capacity(room.max(length)));
        larger.extend_from_slice(to);
        *to = larger;
    }
    to.extend_from_slice(part);
}

/// What a value looks like, of which no type is known: its beginning.
#[derive(Default)]
struct Looks {
    head: Zeroizing<[u8; 32]>,
    length: usize,
}

impl Looks {
    fn update(&mut self, part: &[u8]) {
        let room = self.head.get_mut(self.length..).unwrap_or_default();
        room.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
        self.length = self.length.saturating_add(part.len());
    }

    /// The beginning of what it says.
    fn seen(&self) -> &[u8] {
        self.head.get(..self.length).unwrap_or(self.head.as_slice())
    }

    /// A time in the form that this one has
    /// (<https://smithy.io/2.0/spec/protocol-traits.html#timestampformat-trait>).
    fn time(&self) -> &'static str {
        match self.seen() {
            [first, ..] if first.is_ascii_alphabetic() => "Thu, 01 Jan 1970 00:00:00 GMT",
            [_, _, _, _, b'-', ..] => "1970-01-01T00:00:00Z",
            _ => "0",
        }
    }

    /// What stands in the place of something of the same type.
    fn constant(&self) -> &'static str {
        let seen = self.seen();
        let number = |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
        let date = |(at, b): (usize, &u8)| if at == 4 { *b == b'-' } else { b.is_ascii_digit() };
        match seen {
            b"true" | b"false" => "false",
            _ if seen.len() > 16 && seen.iter().take(5).enumerate().all(date) && seen.contains(&b'T') => {
                "1970-01-01T00:00:00Z"
            }
            [first, ..] if (first.is_ascii_digit() || *first == b'-') && seen.iter().all(number) => "0",
            _ => MASKED,
        }
    }
}
