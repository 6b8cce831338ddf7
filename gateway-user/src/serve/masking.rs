//! An answer on its way to the agent: what is secret in it stays here.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::{Gateway, minting::Replaced, refused::Refused, tokenizing::Tokenizing};
use crate::{
    body::{self, Body, BodyError},
    decide::Permit,
    forward::Reply,
    identify::Caller,
    mask::{
        self, Asked, Cause, Echo, Format, INSERTED, Job, Known, MaskError, Masker, Plan, Replace, Report, Way,
    },
    prim::CallId,
    record::{Event, Holds, MaskedValue},
};

mod stepwise;

use stepwise::{Hiding, Stepwise};

/// Answers of up to so many bytes are masked as a whole: where nothing had to be hidden, everything their head says stays
/// true, checksums too.
const WHOLE_MAX: usize = 64 * 1024;

/// What must be known of a call when its answer comes.
pub(super) struct Masking {
    how: mask::Masking,
    call: CallId,
    operation: String,
    tokenizing: Option<Tokenizing>,
    inserted: Option<Inserted>,
}

/// That values were put into the request, which AWS may repeat.
#[derive(Debug, Clone)]
pub(super) struct Inserted {
    /// Those that can be looked for.
    pub(super) known: Option<Arc<Known>>,
}

/// Why an answer is not passed on.
#[derive(Debug, thiserror::Error)]
pub(super) enum MaskingError {
    /// What must be hidden cannot be found in it.
    #[error("the answer has a Content-Encoding, which was not asked for")]
    Encoded,
    /// It cannot be read as what it is.
    #[error("{0}")]
    Unreadable(#[from] MaskError),
    /// It ended before its end.
    #[error("{0}")]
    Broken(#[from] BodyError),
    /// What speaks of the bytes after them.
    #[error("the answer has trailers")]
    Trailers,
}

/// An answer in which nothing is left that policy does not reveal. Nothing else reaches an agent.
pub(super) struct Masked {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    pub(super) found: Found,
    /// What the body holds, for who keeps it.
    pub(super) holds: Holds,
    /// Its fields alone do not make one.
    _made_here: (),
}

/// What was hidden so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Found(Arc<Mutex<Vec<MaskedValue>>>);

impl Found {
    fn add(&self, report: &Report, plan: &Plan) {
        let cause = |cause: &Cause| match cause {
            Cause::Field(field) => {
                plan.fields().get(field.at()).map_or("shape", |field| &field.path).to_owned()
            }
            Cause::Detector(name) => format!("detector:{name}"),
            Cause::Shape => "shape".to_owned(),
        };
        let named = report.entries.iter().map(|entry| MaskedValue {
            path: entry.path.clone(),
            cause: cause(&entry.cause),
            digest: Some(entry.digest),
            count: 1,
        });
        let more = (report.more > 0).then(|| MaskedValue {
            path: String::new(),
            cause: "more".to_owned(),
            digest: None,
            count: report.more,
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(named.chain(more));
    }

    /// Values that were put into the request and were there, so often.
    fn add_known(&self, found: mask::Counts) {
        let values = found.into_iter().map(|(digest, count)| MaskedValue {
            path: String::new(),
            cause: format!("detector:{INSERTED}"),
            digest: Some(digest),
            count,
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(values);
    }

    /// All of it; from now on it is forgotten.
    pub(super) fn take(&self) -> Vec<MaskedValue> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Masking {
    /// How the answer of a permitted call is masked.
    pub(super) fn of(
        gateway: &Gateway,
        caller: &Caller,
        permit: &Permit,
        call: CallId,
        inserted: Option<Inserted>,
    ) -> Self {
        let operation = permit.operation();
        let revealed = permit.revealed().iter().map(|part| &*part.field);
        let mut how = gateway.masks.of(Asked::of(operation), revealed);
        if let Some(Inserted { known: Some(known) }) = &inserted {
            how = how.knowing(known);
        }
        let tokenizing = how.is_reversible().then(|| Tokenizing::of(gateway, caller, operation)).flatten();
        Self { how, call, operation: operation.full_name(), tokenizing, inserted }
    }

    /// With what head or body is masked.
    fn job(&self, status: StatusCode) -> Job {
        let mut job = self.how.job(status);
        job.replace = self.tokenizing.clone().map(|tokenizing| Box::new(tokenizing) as Box<dyn Replace>);
        job
    }

    /// An answer whose keys were replaced: there is nothing else in it.
    pub(super) fn replaced(&self, replaced: Replaced) -> Masked {
        let Reply { status, headers, body } = replaced.into_reply();
        let holds = self.holds(status, &headers);
        self.without_inserted(Masked {
            status,
            headers,
            body,
            found: Found::default(),
            holds,
            _made_here: (),
        })
    }

    /// The same without the values that were put into the request, wherever they are and however they are written.
    fn without_inserted(&self, mut masked: Masked) -> Masked {
        let Some(Inserted { known: Some(known) }) = &self.inserted else { return masked };
        masked.found.add_known(mask::without(known, &mut masked.headers));
        if !masked.body.is_end_stream() {
            let length = length(&masked.headers);
            self.how.adapt(&mut masked.headers, length);
            let echo = Echo::of_body(Arc::clone(known), &masked.headers);
            masked.body = Stepwise::new(masked.body, echo, masked.found.clone()).boxed_unsync();
        }
        masked
    }

    /// What the body of an answer with this head holds.
    fn holds(&self, status: StatusCode, headers: &HeaderMap) -> Holds {
        if self.how.reveals(status) || self.inserted.is_some() {
            Holds::Revealed
        } else if self.how.is_stored(status) {
            Holds::Object
        } else if mask::is_readable(headers) {
            Holds::Document
        } else {
            Holds::Unreadable
        }
    }

    /// The answer as the agent may have it. A short one is read here; a longer one is masked as it streams, and broken off
    /// where it cannot be read.
    pub(super) async fn mask(
        self,
        gateway: &Gateway,
        caller: &Caller,
        reply: Reply,
    ) -> Result<Masked, Refused> {
        let masked = self.masked(reply).await.map(|masked| self.without_inserted(masked));
        if self.tokenizing.is_some() {
            // Of an answer that streams, with the upkeep.
            gateway.report_unkept().await;
        }
        match masked {
            Ok(masked) => Ok(masked),
            Err(error) => {
                let mut event =
                    Event::new("answer-withheld", "an answer could not be masked and was not passed on")
                        .of(caller);
                event.detail = json!({
                    "call_id": self.call.to_string(),
                    "operation": self.operation,
                    "reason": error.to_string(),
                });
                gateway.recorder.event(event).await?;
                Err(error.into())
            }
        }
    }

    async fn masked(&self, reply: Reply) -> Result<Masked, MaskingError> {
        let Reply { status, mut headers, body } = reply;
        let found = Found::default();
        let (job, report) = mask::headers(self.job(status), &mut headers)?;
        let plan = Arc::clone(&job.plan);
        found.add(&report, &plan);
        let holds = self.holds(status, &headers);
        let as_it_is = |headers, body, found| Masked { status, headers, body, found, holds, _made_here: () };
        let format = match self.how.way(status, &headers) {
            _ if body.is_end_stream() => return Ok(as_it_is(headers, body, found)),
            Way::Withheld => return Err(MaskingError::Encoded),
            Way::AsItIs => return Ok(as_it_is(headers, body, found)),
            Way::Masked(format) => format,
        };
        let masker = Masker::new(format, job);
        match length(&headers).filter(|length| *length <= WHOLE_MAX && !is_stream(format)) {
            Some(length) => {
                let (text, report) = whole(masker, body, length).await?;
                if report.count() > 0 {
                    self.how.adapt(&mut headers, Some(text.len()));
                    found.add(&report, &plan);
                }
                Ok(as_it_is(headers, body::full(text), found))
            }
            None => {
                self.how.adapt(&mut headers, None);
                let body = Stepwise::new(body, Hiding { masker, plan }, found.clone());
                Ok(as_it_is(headers, body.boxed_unsync(), found))
            }
        }
    }
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_stream(format: Format) -> bool {
    matches!(format, Format::EventStream { .. })
}

/// The whole body of an answer that says how long it is, masked.
async fn whole(mut masker: Masker, mut body: Body, length: usize) -> Result<(Vec<u8>, Report), MaskingError> {
    let mut out = Vec::with_capacity(length);
    while let Some(frame) = body.frame().await {
        let data = frame?.into_data().map_err(|_| MaskingError::Trailers)?;
        masker.push(&data, &mut out)?;
    }
    let report = masker.finish(&mut out)?;
    Ok((out, report))
}
