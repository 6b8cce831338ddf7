//! What is known of a call so far ([`Draft`]), its open record ([`Started`]), and the duty to close
//! it with the answer's last byte ([`Ending`]).

use std::time::Instant;

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::{aws_error, intake::BytesIn, masking::Found};
use crate::{
    body::BodyError,
    classify::Operation,
    decide::{Denial, Objection, Permit, Question},
    identify::Caller,
    prim::{CallId, HostName},
    record::{Capture, Decision, Intent, OpenCall, Outcome, OutcomeKind, RecordError, Recorder, Side},
    share::Share,
};

/// The error code of an answer that was cut off because what is secret in it could not be hidden. The agent has none: it has the
/// beginning of the answer.
const WITHHELD: &str = "AnswerWithheld";

/// A call on its way to a decision: whatever stage ends it, what is known by then is recorded.
pub(super) struct Draft {
    pub(super) id: CallId,
    begun: Instant,
    intent: Intent,
    bytes_in: BytesIn,
    shares: Vec<Share>,
    payload: Option<Capture>,
}

impl Draft {
    pub(super) fn new(caller: &Caller, host: &HostName, method: &Method) -> Self {
        let id = CallId::generate();
        let mut intent = Intent::new(id, caller.session.id, caller.pid, caller.uid, Decision::Refused);
        intent.host = Some(host.to_string());
        intent.method = Some(method.to_string());
        intent.account = caller.session.workload.stated_account().as_ref().map(ToString::to_string);
        Self {
            id,
            begun: Instant::now(),
            intent,
            bytes_in: BytesIn::default(),
            shares: Vec::new(),
            payload: None,
        }
    }

    /// The body's bytes are counted here.
    pub(super) fn counting(&mut self, bytes: BytesIn) {
        self.bytes_in = bytes;
    }

    /// What the call takes of the session's shares, until its answer has ended.
    pub(super) fn holding(&mut self, share: Share) {
        self.shares.push(share);
    }

    /// What it uploads passes there.
    pub(super) fn uploading(&mut self, payload: Capture) {
        self.payload = Some(payload);
    }

    /// What the head claims, before its signature is checked.
    pub(super) fn claimed(&mut self, access_key_id: &str, service: &str, region: &str) {
        self.intent.access_key_id = Some(access_key_id.to_owned());
        self.intent.service = Some(service.to_owned());
        self.intent.region = Some(region.to_owned());
    }

    /// The access key id that it claims, as far as its head could be read.
    pub(super) fn access_key_id(&self) -> Option<&str> {
        self.intent.access_key_id.as_deref()
    }

    /// The call is understood; `policy_digest` names the policies it is put to.
    pub(super) fn understood(&mut self, operation: &Operation, policy_digest: &str) {
        let intent = &mut self.intent;
        intent.service = Some(operation.service.clone());
        intent.operation = Some(operation.name.clone());
        intent.region = Some(operation.region.to_string());
        intent.account = operation.account.as_ref().map(ToString::to_string);
        intent.actions = operation.actions.iter().map(|on| on.action.clone()).collect();
        intent.resources = operation.actions.iter().map(|on| on.resource.clone()).collect();
        intent.params = Value::Object(operation.params.iter().map(|(k, v)| (k.clone(), v.json())).collect());
        intent.request_digest = Some(hex::encode(operation.digest.0));
        intent.policy_digest = Some(policy_digest.to_owned());
    }

    /// Policy denied it.
    pub(super) fn denied(&mut self, denial: &Denial) {
        self.intent.decision = Decision::Deny;
        self.intent.rules = denial.reason.rules().to_vec();
    }

    /// Somebody would have to approve of it.
    pub(super) fn asked(&mut self, question: &Question) {
        self.intent.decision = Decision::Ask;
        self.intent.rules = question.approvals.rules();
    }

    /// Policy allowed it: the intent becomes durable. Nothing may leave the host before.
    pub(super) async fn start(
        &mut self,
        permit: &Permit,
        recorder: &Recorder,
    ) -> Result<Started, RecordError> {
        let mut intent = self.intent.clone();
        intent.decision = Decision::Allow;
        intent.rules = permit.rules().to_vec();
        if let Some(objection) = permit.objection() {
            intent.decision = Decision::Observed;
            let verdict = match objection {
                Objection::Deny(_) => "deny",
                Objection::Ask(_) => "ask",
            };
            tracing::warn!(
                call = %self.id, session = %intent.session, verdict, reason = %objection,
                "observed only: policy objects, the call is made all the same",
            );
            intent.reason = Some(format!("observed {verdict}: {objection}"));
        }
        let mut open = recorder.intend(intent).await?;
        if let Some(payload) = self.payload.take() {
            open.capture(Side::Payload, payload);
        }
        let shares = std::mem::take(&mut self.shares);
        Ok(Started { open, begun: self.begun, sent: None, bytes_in: self.bytes_in.clone(), shares })
    }

    /// The gateway itself answers with `status` and `code`; `reason` is the log's text, not the agent's.
    pub(super) async fn refuse(
        mut self,
        status: StatusCode,
        code: &str,
        reason: String,
        recorder: &Recorder,
    ) {
        let mut outcome = Outcome::new(OutcomeKind::Denied);
        outcome.gateway = Some(self.begun.elapsed());
        outcome.bytes_in = Some(self.bytes_in.get());
        outcome.status = Some(status.as_u16());
        outcome.error_code = Some(code.to_owned());
        self.intent.reason = Some(reason);
        if let Err(error) = recorder.refuse(self.intent, outcome).await {
            // Nothing has left the host, and the agent is refused either way.
            tracing::error!(call = %self.id, %error, "a refusal could not be recorded");
        }
    }
}

/// A call that policy allowed and whose intent is on disk. Dropped without an end, it is recorded
/// as aborted.
pub(super) struct Started {
    open: OpenCall,
    begun: Instant,
    sent: Option<Instant>,
    bytes_in: BytesIn,
    shares: Vec<Share>,
}

impl Started {
    /// The request is about to leave the host; the open record is the proof that it may.
    pub(super) fn sent(&mut self) -> &OpenCall {
        self.sent = Some(Instant::now());
        &self.open
    }

    /// AWS answered; what is left is the answer's body.
    /// `found` and `capture` are filled while it passes.
    pub(super) fn answered(
        mut self,
        status: StatusCode,
        headers: &HeaderMap,
        found: Found,
        capture: Capture,
    ) -> Ending {
        self.open.capture(Side::Response, capture.clone());
        let outcome = self.open.so_far();
        outcome.status = Some(status.as_u16());
        outcome.aws_request_id =
            text(headers, "x-amzn-requestid").or_else(|| text(headers, "x-amz-request-id"));
        let failed = status.is_client_error() || status.is_server_error();
        outcome.error_code = failed.then(|| aws_error::in_headers(headers)).flatten();
        outcome.bytes_out = Some(0);
        let error = (failed && outcome.error_code.is_none()).then(Vec::new);
        Ending { started: self, error, found, capture: Some(capture) }
    }

    /// It could not be carried out: the gateway answers with `status` and `code`.
    pub(super) fn failed(mut self, status: StatusCode, code: &str) {
        let outcome = self.open.so_far();
        outcome.status = Some(status.as_u16());
        outcome.error_code = Some(code.to_owned());
        Ending { started: self, error: None, found: Found::default(), capture: None }
            .finish(OutcomeKind::Failed);
    }
}

/// The duty to write a call's outcome when its answer has ended. Dropped without, the call is
/// recorded as aborted, with what is known of it.
pub(super) struct Ending {
    started: Started,
    /// The first bytes of an error whose code is still unknown.
    error: Option<Vec<u8>>,
    /// What was hidden in the answer.
    found: Found,
    /// What passes.
    capture: Option<Capture>,
}

impl Ending {
    /// Part of the answer is on its way to the agent.
    pub(super) fn passed(&mut self, data: &[u8]) {
        if let Some(capture) = &self.capture {
            capture.push(data);
        }
        let outcome = self.started.open.so_far();
        outcome.bytes_out = Some(outcome.bytes_out.unwrap_or(0).saturating_add(data.len() as u64));
        if let Some(start) = &mut self.error {
            let room = aws_error::LOOKED_AT.saturating_sub(start.len());
            start.extend_from_slice(data.get(..room).unwrap_or(data));
            outcome.error_code = aws_error::in_body(start);
        }
    }

    /// The agent has the whole answer.
    pub(super) fn complete(self) {
        if let Some(capture) = &self.capture {
            capture.end();
        }
        self.finish(OutcomeKind::Forwarded);
    }

    /// AWS broke off in the middle of its answer, or it could not be masked to its end.
    pub(super) fn broken(mut self, error: &BodyError) {
        tracing::warn!(%error, "an answer broke off");
        if let BodyError::Withheld(_) = error {
            self.started.open.so_far().error_code = Some(WITHHELD.to_owned());
        }
        self.finish(OutcomeKind::Failed);
    }

    /// The agent went away before it had the whole answer.
    pub(super) fn abandoned(mut self) {
        self.started.open.so_far().masked = self.found.take();
    }

    fn finish(self, kind: OutcomeKind) {
        let masked = self.found.take();
        let Started { mut open, begun, sent, bytes_in, shares } = self.started;
        let outcome = Outcome {
            kind,
            gateway: Some(sent.map_or_else(|| begun.elapsed(), |sent| sent.duration_since(begun))),
            upstream: sent.map(|sent| sent.elapsed()),
            bytes_in: Some(bytes_in.get()),
            masked,
            ..open.so_far().clone()
        };
        open.finish(outcome);
        drop(shares);
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(|value| value.chars().take(256).collect())
}
