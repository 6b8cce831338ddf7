//! Rows as they are written: bounded, redacted, times and JSON as text.
//!
//! They are made on the task of the call, so that the writer only writes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use time::OffsetDateTime;

use super::{
    Event, Intent, MaskedValue, Outcome, SessionEnd, SessionStart, Side,
    bounds::{Cutter, LIST_MAX, NAME_MAX, TEXT_MAX},
    capture::Body,
    redact::{redact_command, redact_params},
    retention::{Held, Why},
    stamp::stamp,
};
use crate::{identify::Identity, prim::SessionId, share::Share};

/// What is written together or not at all.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// A session begins.
    Session(Box<SessionRow>),
    /// A session's token was renewed.
    Identity(IdentityRow),
    /// A session ends.
    SessionEnd(SessionEndRow),
    /// A call wants to happen.
    Call(Box<CallRow>),
    /// A call that does not happen.
    Refusal(Box<CallRow>, OutcomeRow),
    /// A call has ended.
    Outcome(OutcomeRow),
    /// Something else.
    Event(EventRow),
    /// Something must be kept.
    Hold(HoldRow),
    /// It need not be kept any more.
    Release(ReleaseRow),
}

impl Unit {
    /// How many rows it is.
    pub(super) fn rows(&self) -> u64 {
        let rows = match self {
            Self::Refusal(..) | Self::Session(_) => 2,
            Self::Outcome(row) => 1 + row.masked.len() as u64,
            Self::Identity(_) | Self::SessionEnd(_) | Self::Call(_) | Self::Event(_) => 1,
            Self::Hold(_) | Self::Release(_) => 1,
        };
        rows + self.bodies().count() as u64
    }

    /// Bytes of its contents: by far the most of what is sent to the database.
    pub(super) fn content_bytes(&self) -> usize {
        self.bodies().filter_map(|row| row.content.as_ref()).map(|row| row.content.len()).sum()
    }

    pub(super) fn session(&self) -> Option<&SessionRow> {
        if let Self::Session(row) = self { Some(row) } else { None }
    }

    pub(super) fn identity(&self) -> Option<&IdentityRow> {
        match self {
            Self::Session(row) => Some(&row.identity),
            Self::Identity(row) => Some(row),
            _ => None,
        }
    }

    pub(super) fn session_end(&self) -> Option<&SessionEndRow> {
        if let Self::SessionEnd(row) = self { Some(row) } else { None }
    }

    pub(super) fn call(&self) -> Option<&CallRow> {
        if let Self::Call(row) | Self::Refusal(row, _) = self { Some(row) } else { None }
    }

    pub(super) fn outcome(&self) -> Option<&OutcomeRow> {
        if let Self::Outcome(row) | Self::Refusal(_, row) = self { Some(row) } else { None }
    }

    pub(super) fn masked(&self) -> &[MaskedRow] {
        self.outcome().map_or(&[], |row| &row.masked)
    }

    pub(super) fn bodies(&self) -> impl Iterator<Item = &BodyRow> {
        let request = self.call().and_then(|row| row.request.as_ref());
        request.into_iter().chain(self.outcome().map_or(&[] as &[BodyRow], |row| &row.bodies))
    }

    pub(super) fn hold(&self) -> Option<&HoldRow> {
        if let Self::Hold(row) = self { Some(row) } else { None }
    }

    pub(super) fn release(&self) -> Option<&ReleaseRow> {
        if let Self::Release(row) = self { Some(row) } else { None }
    }

    pub(super) fn event(&self) -> Option<&EventRow> {
        if let Self::Event(row) = self { Some(row) } else { None }
    }
}

/// What `units` bring for `bodies`: each content once, in an order of their own, so that no two transactions wait for each
/// other.
pub(super) fn contents(units: &[Unit]) -> impl Iterator<Item = &ContentRow> {
    let contents = units.iter().flat_map(Unit::bodies).filter_map(|row| row.content.as_ref());
    contents.map(|row| (row.digest.as_str(), row)).collect::<BTreeMap<_, _>>().into_values()
}

/// A row of `sessions`.
#[derive(Debug, Clone)]
pub(super) struct SessionRow {
    pub(super) id: String,
    pub(super) started: String,
    pub(super) workload: String,
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) hostname: String,
    pub(super) boot_id: String,
    pub(super) cgroup_path: String,
    pub(super) cgroup_id: i64,
    pub(super) command: String,
    pub(super) uid: Option<i64>,
    pub(super) identity: IdentityRow,
    pub(super) truncated: String,
}

impl SessionRow {
    pub(super) fn new(start: SessionStart) -> Self {
        let mut cutter = Cutter::default();
        let identity = IdentityRow::new(start.id, &start.identity, start.started);
        Self {
            id: start.id.to_string(),
            started: stamp(start.started),
            workload: start.workload.as_str().to_owned(),
            subject: cutter.text("subject", start.identity.subject.clone(), TEXT_MAX),
            issuer: cutter.text("issuer", start.identity.issuer.clone(), TEXT_MAX),
            identity,
            hostname: cutter.text("hostname", start.hostname, NAME_MAX),
            boot_id: cutter.text("boot_id", start.boot_id, NAME_MAX),
            cgroup_path: cutter.text("cgroup_path", start.cgroup_path.as_str().to_owned(), TEXT_MAX),
            // SQLite has no unsigned 64-bit integers; the same bits come back.
            cgroup_id: start.cgroup_id.0.cast_signed(),
            command: cutter.list("command", redact_command(start.command)),
            uid: start.uid.map(i64::from),
            truncated: cutter.truncated(),
        }
    }
}

/// A row of `identities`.
#[derive(Debug, Clone)]
pub(super) struct IdentityRow {
    pub(super) session: String,
    pub(super) time: String,
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) groups: String,
    pub(super) token_groups: String,
    pub(super) claims: String,
    pub(super) expires: Option<String>,
    pub(super) token_digest: Option<String>,
    pub(super) truncated: String,
}

impl IdentityRow {
    pub(super) fn new(session: SessionId, identity: &Identity, now: OffsetDateTime) -> Self {
        let mut cutter = Cutter::default();
        let claims = identity.claims.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let claims = Value::Object(claims.collect());
        Self {
            session: session.to_string(),
            time: stamp(now),
            issuer: cutter.text("issuer", identity.issuer.clone(), TEXT_MAX),
            subject: cutter.text("subject", identity.subject.clone(), TEXT_MAX),
            groups: cutter.list("groups", identity.groups.clone()),
            token_groups: cutter.list("token_groups", identity.token_groups.clone()),
            claims: cutter.json("claims", &claims, LIST_MAX),
            expires: identity.expires.map(stamp),
            token_digest: identity.token_digest.clone(),
            truncated: cutter.truncated(),
        }
    }
}

/// A row of `session_ends`.
#[derive(Debug, Clone)]
pub(super) struct SessionEndRow {
    pub(super) session: String,
    pub(super) ended: String,
    pub(super) reason: String,
}

impl SessionEndRow {
    pub(super) fn new(end: SessionEnd, now: OffsetDateTime) -> Self {
        let reason = Cutter::default().text("reason", end.reason, TEXT_MAX);
        Self { session: end.session.to_string(), ended: stamp(now), reason }
    }
}

/// A row of `calls`.
#[derive(Debug, Clone)]
pub(super) struct CallRow {
    pub(super) id: String,
    pub(super) session: String,
    pub(super) time: String,
    pub(super) pid: i64,
    pub(super) uid: i64,
    pub(super) account: Option<String>,
    pub(super) region: Option<String>,
    pub(super) host: Option<String>,
    pub(super) service: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) method: Option<String>,
    pub(super) actions: String,
    pub(super) resources: String,
    pub(super) params: String,
    pub(super) decision: &'static str,
    pub(super) rules: String,
    pub(super) reason: Option<String>,
    pub(super) policy_digest: Option<String>,
    pub(super) access_key_id: Option<String>,
    pub(super) request_digest: Option<String>,
    pub(super) truncated: String,
    /// Its parameters, where `params` does not hold them all. Written with it.
    pub(super) request: Option<BodyRow>,
}

impl CallRow {
    /// `whole` makes a body of parameters that do not fit.
    pub(super) fn new(
        intent: Intent,
        now: OffsetDateTime,
        params_max: usize,
        whole: impl FnOnce(SessionId, &Value) -> Option<Body>,
    ) -> Self {
        let mut cutter = Cutter::default();
        let service = intent.service.as_deref().unwrap_or_default();
        let operation = intent.operation.as_deref().unwrap_or_default();
        let params = redact_params(service, operation, intent.params);
        let kept = cutter.json("params", &params, params_max);
        let id = intent.id.to_string();
        let request = cutter.is_cut("params").then(|| whole(intent.session, &params)).flatten();
        let request = request.map(|body| BodyRow::new(&id, "request", body));
        Self {
            id,
            request,
            session: intent.session.to_string(),
            time: stamp(now),
            pid: intent.pid.into(),
            uid: intent.uid.into(),
            account: cutter.optional("account", intent.account, NAME_MAX),
            region: cutter.optional("region", intent.region, NAME_MAX),
            host: cutter.optional("host", intent.host, NAME_MAX),
            service: cutter.optional("service", intent.service, NAME_MAX),
            operation: cutter.optional("operation", intent.operation, NAME_MAX),
            method: cutter.optional("method", intent.method, NAME_MAX),
            actions: cutter.list("actions", intent.actions),
            resources: cutter.list("resources", intent.resources),
            params: kept,
            decision: intent.decision.as_str(),
            rules: cutter.list("rules", intent.rules),
            reason: cutter.optional("reason", intent.reason, TEXT_MAX),
            policy_digest: cutter.optional("policy_digest", intent.policy_digest, NAME_MAX),
            access_key_id: cutter.optional("access_key_id", intent.access_key_id, NAME_MAX),
            request_digest: cutter.optional("request_digest", intent.request_digest, NAME_MAX),
            truncated: cutter.truncated(),
        }
    }
}

/// A row of `outcomes`.
#[derive(Debug, Clone)]
pub(super) struct OutcomeRow {
    pub(super) call: String,
    pub(super) ended: String,
    pub(super) outcome: &'static str,
    pub(super) status: Option<i64>,
    pub(super) aws_request_id: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) upstream_us: Option<i64>,
    pub(super) gateway_us: Option<i64>,
    pub(super) bytes_in: Option<i64>,
    pub(super) bytes_out: Option<i64>,
    pub(super) truncated: String,
    /// Written with it.
    pub(super) masked: Vec<MaskedRow>,
    /// Written with it.
    pub(super) bodies: Vec<BodyRow>,
}

/// A row of `call_bodies`.
#[derive(Debug, Clone)]
pub(super) struct BodyRow {
    pub(super) call: String,
    pub(super) side: &'static str,
    pub(super) media_type: Option<String>,
    pub(super) digest: Option<String>,
    pub(super) length: i64,
    /// The digest of `content`.
    pub(super) kept: Option<String>,
    pub(super) truncated: String,
    /// Written before it, unless it is there.
    pub(super) content: Option<ContentRow>,
}

/// A row of `bodies`.
#[derive(Debug, Clone)]
pub(super) struct ContentRow {
    pub(super) digest: String,
    pub(super) length: i64,
    pub(super) content: Vec<u8>,
    /// Its place in memory, until it is written.
    pub(super) _held: Arc<Vec<Share>>,
}

impl BodyRow {
    pub(super) fn new(call: &str, side: &'static str, body: Body) -> Self {
        let mut cutter = Cutter::default();
        let media_type = cutter.optional("media_type", body.media_type, NAME_MAX);
        body.missing.into_iter().for_each(|word| cutter.note(word));
        let content = body.content.map(|content| ContentRow {
            digest: hex::encode(content.digest),
            length: saturated(content.length as u64),
            content: content.compressed,
            _held: Arc::new(content.held),
        });
        Self {
            call: call.to_owned(),
            side,
            media_type,
            digest: body.digest.map(hex::encode),
            length: saturated(body.length),
            kept: content.as_ref().map(|content| content.digest.clone()),
            truncated: cutter.truncated(),
            content,
        }
    }
}

/// A row of `masked`.
#[derive(Debug, Clone)]
pub(super) struct MaskedRow {
    pub(super) call: String,
    pub(super) path: String,
    pub(super) cause: String,
    pub(super) digest: Option<String>,
    pub(super) count: i64,
    pub(super) truncated: String,
}

impl MaskedRow {
    fn new(call: &str, value: MaskedValue) -> Self {
        let mut cutter = Cutter::default();
        Self {
            call: call.to_owned(),
            path: cutter.text("path", value.path, NAME_MAX),
            cause: cutter.text("cause", value.cause, NAME_MAX),
            digest: value.digest.map(hex::encode),
            count: saturated(value.count),
            truncated: cutter.truncated(),
        }
    }
}

impl OutcomeRow {
    pub(super) fn new(
        call: String,
        outcome: Outcome,
        bodies: Vec<(Side, Body)>,
        now: OffsetDateTime,
    ) -> Self {
        let mut cutter = Cutter::default();
        let bodies =
            bodies.into_iter().map(|(side, body)| BodyRow::new(&call, side.as_str(), body)).collect();
        let masked = outcome.masked.into_iter().map(|value| MaskedRow::new(&call, value)).collect();
        Self {
            call,
            masked,
            bodies,
            ended: stamp(now),
            outcome: outcome.kind.as_str(),
            status: outcome.status.map(i64::from),
            aws_request_id: cutter.optional("aws_request_id", outcome.aws_request_id, NAME_MAX),
            error_code: cutter.optional("error_code", outcome.error_code, NAME_MAX),
            upstream_us: outcome.upstream.map(micros),
            gateway_us: outcome.gateway.map(micros),
            bytes_in: outcome.bytes_in.map(saturated),
            bytes_out: outcome.bytes_out.map(saturated),
            truncated: cutter.truncated(),
        }
    }
}

/// A row of `events`.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    pub(super) time: String,
    pub(super) kind: &'static str,
    pub(super) session: Option<String>,
    pub(super) workload: Option<String>,
    pub(super) pid: Option<i64>,
    pub(super) uid: Option<i64>,
    pub(super) message: String,
    pub(super) detail: String,
    pub(super) truncated: String,
}

impl EventRow {
    pub(super) fn new(event: Event, now: OffsetDateTime) -> Self {
        let mut cutter = Cutter::default();
        let detail: Value = redact_params("", "", event.detail);
        Self {
            time: stamp(now),
            kind: event.kind,
            session: event.session.map(|id| id.to_string()),
            workload: event.workload.map(|name| name.as_str().to_owned()),
            pid: event.pid.map(i64::from),
            uid: event.uid.map(i64::from),
            message: cutter.text("message", event.message, TEXT_MAX),
            detail: cutter.json("detail", &detail, TEXT_MAX),
            truncated: cutter.truncated(),
        }
    }
}

/// A row of `holds`.
#[derive(Debug, Clone)]
pub(super) struct HoldRow {
    pub(super) id: String,
    pub(super) time: String,
    pub(super) actor: String,
    pub(super) reason: String,
    pub(super) session: Option<String>,
    pub(super) workload: Option<String>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
}

impl HoldRow {
    pub(super) fn new(id: &str, held: &Held, why: &Why, now: OffsetDateTime) -> Self {
        let mut row = Self {
            id: id.to_owned(),
            time: stamp(now),
            actor: why.actor.clone(),
            reason: Cutter::default().text("reason", why.reason.clone(), TEXT_MAX),
            session: None,
            workload: None,
            since: None,
            until: None,
        };
        match held {
            Held::Session(session) => row.session = Some(session.to_string()),
            Held::Workload(workload) => row.workload = Some(workload.as_str().to_owned()),
            Held::Time { since, until } => (row.since, row.until) = (since.map(stamp), until.map(stamp)),
        }
        row
    }
}

/// A row of `hold_releases`.
#[derive(Debug, Clone)]
pub(super) struct ReleaseRow {
    pub(super) hold: String,
    pub(super) time: String,
    pub(super) actor: String,
    pub(super) reason: String,
}

impl ReleaseRow {
    pub(super) fn new(hold: String, why: &Why, now: OffsetDateTime) -> Self {
        let reason = Cutter::default().text("reason", why.reason.clone(), TEXT_MAX);
        Self { hold, time: stamp(now), actor: why.actor.clone(), reason }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn saturated(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
