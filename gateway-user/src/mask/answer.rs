//! What is done with one answer: how it is read, and what of its head is true no longer.

use std::sync::Arc;

use aws_lc_rs::hmac;
use http::{HeaderMap, StatusCode, header};

use super::{
    DIGEST_LEN, Detectors, Digest, Format, Job, Kind, Known, MESSAGE_MAX, Plan, Revealed,
    head::{by_media_type, is_encoded},
    plan::Node,
};
use crate::{body, catalog::Protocol};

/// How one answer is masked.
#[derive(Debug)]
pub struct Masking {
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) revealed: Revealed,
    /// Whether something passes that is hidden otherwise.
    pub(super) reveals: bool,
    pub(super) detectors: Option<Arc<Detectors>>,
    /// Errors are AWS's own words, whatever the answer would have been.
    pub(super) on_errors: Option<Arc<Detectors>>,
    pub(super) protocol: Protocol,
    /// Where no plan is about it, it need not be the document that its head says it is.
    pub(super) raw: bool,
    pub(super) object: bool,
    /// Whether its body is what somebody wrote who is not AWS.
    pub(super) stored: bool,
    pub(super) key: hmac::Key,
    /// Values that were put into the request.
    pub(super) known: Option<Arc<Known>>,
}

/// How the body of an answer passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it is: nothing of it is hidden, and it is no text.
    AsItIs,
    /// It is masked, read so.
    Masked(Format),
    /// Not at all: it is compressed, and something of it is hidden, or it is an error that would be looked through.
    Withheld,
}

impl Masking {
    /// The same, of a request that these values were put into.
    #[must_use]
    pub fn knowing(mut self, known: &Arc<Known>) -> Self {
        for detectors in [&mut self.detectors, &mut self.on_errors].into_iter().flatten() {
            *detectors = Arc::new(detectors.knowing(known));
        }
        self.known = Some(Arc::clone(known));
        self
    }

    /// Who looks through an answer with this status.
    fn detectors(&self, status: StatusCode) -> Option<&Arc<Detectors>> {
        if is_error(status) { self.on_errors.as_ref() } else { self.detectors.as_ref() }
    }

    /// How the body passes.
    #[must_use]
    pub fn way(&self, status: StatusCode, headers: &HeaderMap) -> Way {
        match (self.planned(status).and_then(|plan| plan.format(self.protocol)), is_encoded(headers)) {
            (Some(_), true) => Way::Withheld,
            (None, true) if self.known.is_some() => Way::Withheld,
            // AWS's own words are looked through, or not passed on.
            (None, true) if is_error(status) && self.on_errors.is_some() => Way::Withheld,
            (Some(format), false) => Way::Masked(format),
            (None, true) => Way::AsItIs,
            (None, false) => match self.detectors(status).and_then(|_| by_media_type(headers)) {
                Some(Format::Json | Format::Xml { .. } | Format::Cbor) if self.raw && status.is_success() => {
                    Way::Masked(Format::Text)
                }
                Some(format) => Way::Masked(format),
                None => Way::AsItIs,
            },
        }
    }

    /// Whether something of it passes that is hidden otherwise: because policy or the configuration reveals it.
    #[must_use]
    pub fn reveals(&self, status: StatusCode) -> bool {
        self.reveals && !is_error(status)
    }

    /// Whether its body is what somebody stored or wrote who is not AWS: an object, a message, what a function answers.
    #[must_use]
    pub fn is_stored(&self, status: StatusCode) -> bool {
        self.stored && !is_error(status)
    }

    /// Whether tokens may stand for some of its values.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.fields().iter().any(|field| field.reversible))
    }

    /// With what body and head are masked.
    #[must_use]
    pub fn job(&self, status: StatusCode) -> Job {
        let plan = self.planned(status).map_or_else(|| Arc::new(Plan::nothing()), Arc::clone);
        let context = hmac::Context::with_key(&self.key);
        Job {
            plan,
            revealed: self.revealed.clone(),
            detectors: self.detectors(status).cloned(),
            digest: Box::new(Keyed { key: self.key.clone(), context }),
            replace: None,
        }
    }

    /// Makes the headers those of a body that AWS did not write: what is said of its bytes goes. `length`: its bytes,
    /// where that is known. An `ETag` is a version to whoever changes something, and of the bytes in objects alone.
    pub fn adapt(&self, headers: &mut HeaderMap, length: Option<usize>) {
        body::rewritten(headers, length);
        if self.object {
            headers.remove(header::ETAG);
        }
    }

    /// The plan is about what the operation answers, not about errors.
    fn planned(&self, status: StatusCode) -> Option<&Arc<Plan>> {
        self.plan.as_ref().filter(|_| !is_error(status))
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

impl Plan {
    /// How the body of an answer is read; `None` where nothing of it is hidden.
    fn format(&self, protocol: Protocol) -> Option<Format> {
        if self.has_events() {
            return Some(Format::EventStream { message_max: MESSAGE_MAX });
        }
        let kind = match self.node(self.root()) {
            Some(Node::Structure(members)) if members.is_empty() => return None,
            Some(Node::Secret(field)) => self.field(*field).map(|field| field.kind),
            _ => None,
        };
        Some(match (protocol, kind) {
            // The body is the member itself.
            (Protocol::RestJson | Protocol::RestXml, Some(Kind::Text | Kind::Blob)) => Format::Whole,
            (Protocol::Json | Protocol::RestJson, _) => Format::Json,
            (Protocol::Cbor, _) => Format::Cbor,
            (Protocol::Query, _) => Format::Xml { wrappers: 2 },
            (Protocol::Ec2 | Protocol::RestXml, _) => Format::Xml { wrappers: 1 },
        })
    }
}

/// HMAC-SHA256, cut to [`DIGEST_LEN`] bytes.
struct Keyed {
    key: hmac::Key,
    context: hmac::Context,
}

impl Digest for Keyed {
    fn start(&mut self) {
        self.context = hmac::Context::with_key(&self.key);
    }

    fn update(&mut self, part: &[u8]) {
        self.context.update(part);
    }

    fn finish(&mut self) -> [u8; DIGEST_LEN] {
        let context = std::mem::replace(&mut self.context, hmac::Context::with_key(&self.key));
        let mut digest = [0; DIGEST_LEN];
        digest.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        digest
    }
}

#[cfg(test)]
mod tests;
