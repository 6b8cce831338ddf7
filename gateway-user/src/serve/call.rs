//! One call: a line per stage.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, Response, Version, header, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{
    Cause, Gateway, attribution, bypass,
    draft::{Draft, Started},
    inserting::Inserting,
    intake::{self, IntakeError, Unread},
    lasting::lasting,
    ledger::Reservation,
    masking::{Masked, Masking},
    minting::{Answer, Minting},
    refused::Refused,
    reply::Recorded,
    revealing::Revealing,
    uploading::uploading,
};
use crate::{
    body::{self, Body},
    classify::{ClassifyError, Operation, classify},
    credentials::Keys,
    decide::{Permit, Verdict},
    identify::{Caller, CredentialSource, EndReason, Minted, placeholder::looks_like_placeholder},
    mask::{Asked, masked_param},
    mint::ANSWER_MAX,
    parse::{AwsRequest, BodyPlan, ErrorShape, SignatureError, Signer, VerifiedBy, VerifiedRequest},
    prim::{AccountId, CallId, HostName, Region},
    record::Holds,
    respond::Refusal,
    sign::{SignedRequest, sign},
};

/// Answers one request of `caller`, on a connection that asked for `name`.
pub(super) async fn call(
    gateway: &Gateway,
    caller: &Caller,
    name: &HostName,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let mut draft = Draft::new(caller, name, &head.method);
    let wire = Wire { id: draft.id, shape: ErrorShape::guess(&head), method: head.method.clone() };
    let (mut unread, bytes_in) = Unread::new(incoming, &head.headers);
    draft.counting(bytes_in);

    let judged = judge(gateway, caller, name, head, &mut unread, &mut draft);
    let allowed = match while_it_lasts(gateway, caller, judged).await {
        Ok(allowed) => allowed,
        Err(refused) => {
            if let Some(event) = bypass::event(gateway, caller, name, draft.access_key_id(), &refused) {
                gateway.report(Cause::Cgroup(caller.session.cgroup_id), event).await;
            }
            let answer = refuse(gateway, caller, draft, &wire, &refused).await;
            unread.discard().await;
            return answer;
        }
    };
    let mut started = match draft.start(&allowed.permit, &gateway.recorder).await {
        Ok(started) => started,
        Err(error) => return refuse(gateway, caller, draft, &wire, &error.into()).await,
    };
    let carried_out = carry_out(gateway, caller, wire.id, allowed, &mut started);
    match while_it_lasts(gateway, caller, carried_out).await {
        Ok(masked) => {
            gateway.counters.allowed();
            answer(gateway, masked, started, caller)
        }
        Err(failed) => {
            gateway.counters.failed();
            let refusal = failed.explain(caller, wire.id);
            tracing::warn!(call = %wire.id, session = %caller.session.id, reason = refusal.log, "failed");
            started.failed(refusal.status(), refusal.kind.code(wire.shape));
            wire.render(refusal)
        }
    }
}

/// Does `work` unless the session is over, or ends meanwhile: then it is dropped where it is.
async fn while_it_lasts<T>(
    gateway: &Gateway,
    caller: &Caller,
    work: impl Future<Output = Result<T, Refused>>,
) -> Result<T, Refused> {
    let over =
        || caller.session.ended(gateway.clock.now()).map_or(Ok(()), |reason| Err(Refused::Over(reason)));
    over()?;
    tokio::select! {
        biased;
        () = caller.session.over() => {
            over()?;
            Err(Refused::Over(EndReason::Killed))
        }
        done = work => done,
    }
}

/// A call that policy allowed, with everything that is needed to carry it out.
struct Allowed {
    permit: Permit,
    request: VerifiedRequest,
    /// The body where it streams; an inspected one is inside `request`.
    stream: Option<Body>,
    /// Its place in the budgets, given back if it is not sent.
    reservation: Option<Reservation>,
    keys: WhoseKeys,
    /// What is put into its body.
    inserting: Option<Inserting>,
}

/// Whose keys a call is made with.
enum WhoseKeys {
    /// The gateway's: it is signed with the session's placeholder.
    Own,
    /// Those that AWS gave the session: it is signed with their placeholder.
    Given(Arc<Minted>),
    /// The agent's: nobody here knows them.
    Agents,
}

impl WhoseKeys {
    /// Who has signed it, as the agent sends it.
    fn signer<'a>(&'a self, caller: &'a Caller) -> Signer<'a> {
        match self {
            Self::Own => Signer::Placeholder(&caller.session.placeholder),
            Self::Given(minted) => Signer::Placeholder(&minted.placeholder),
            Self::Agents => Signer::Owner,
        }
    }

    /// Their account, by which ARNs are computed.
    async fn account(&self, gateway: &Gateway, region: &Region, caller: &Caller) -> Option<AccountId> {
        match self {
            Self::Own => gateway.credentials.account(region, caller).await,
            Self::Given(minted) => gateway.credentials.account_given(minted, region, caller).await,
            // Whose keys they are is not in a request.
            Self::Agents => caller.session.workload.stated_account(),
        }
    }

    /// Whether a call that is permitted in this role may be made with them: only the gateway can choose.
    fn may_be_of(&self, role: &str) -> bool {
        match self {
            Self::Own => true,
            Self::Given(minted) => minted.keys.role.as_deref() == Some(role),
            Self::Agents => false,
        }
    }
}

/// parse → verify → classify → decide.
async fn judge(
    gateway: &Gateway,
    caller: &Caller,
    name: &HostName,
    head: Parts,
    unread: &mut Unread,
    draft: &mut Draft,
) -> Result<Allowed, Refused> {
    let config = &gateway.config;

    let skew = time::Duration::seconds(i64::try_from(config.max_skew_secs).unwrap_or(i64::MAX));

    draft.holding(gateway.calls.take(caller.session.id, 1)?);
    if head.version == Version::HTTP_2 {
        intake::head(&head.headers, config.header_max_bytes)?;
    }
    let media_type = media_type(&head.headers);
    let request = AwsRequest::read(head, name)?;
    draft.claimed(request.access_key_id(), request.service(), request.region().as_str());
    let minted = minted(gateway, caller, request.access_key_id())?;
    let keys = match (caller.session.workload.credentials, minted) {
        (CredentialSource::Passthrough, _) => WhoseKeys::Agents,
        (CredentialSource::Gateway | CredentialSource::WebIdentity, Some(minted)) => WhoseKeys::Given(minted),
        (CredentialSource::Gateway | CredentialSource::WebIdentity, None) => WhoseKeys::Own,
    };
    let signer = keys.signer(caller);
    let inspected = match request.body_plan() {
        BodyPlan::Stream => None,
        BodyPlan::Inspect => {
            let within = Duration::from_secs(config.inspect_timeout_secs);
            // Held only for who holds the session's keys, and only up to the session's share.
            request.check_claims(signer, gateway.clock.now(), skew)?;
            let size = intake::size(unread, config.inspect_max_bytes)?;
            draft.holding(gateway.memory.take(caller.session.id, size).map_err(IntakeError::from)?);
            Some(intake::inspect(unread.take(), config.inspect_max_bytes, within).await?)
        }
    };
    let streams = inspected.is_none();
    let now = gateway.clock.now();
    let request = request.verify(inspected, signer, now, skew)?;
    let account = keys.account(gateway, request.request().region(), caller).await;
    let operation = understand(gateway, caller, &request, account.as_ref())?;
    attribution::check(&operation, caller)?;
    if operation.keys.is_some() {
        if request.verified_by() == VerifiedBy::Owner {
            // A placeholder would be of no use: it is not what such an agent signs with. That its keys
            // could be replaced elsewhere is no reason to reveal them here.
            return Err(ClassifyError::MintsCredentials(operation.full_name()).into());
        }
        draft.holding(gateway.memory.take(caller.session.id, ANSWER_MAX).map_err(IntakeError::from)?);
    }
    let policies = gateway.policies.load();
    draft.understood(&operation, policies.digest());
    let (verdict, reservation) = gateway.ledger.decide(&policies, caller, operation, now);
    // Keys that AWS gave the session act where they are of, whatever role a rule has.
    let elsewhere = if matches!(keys, WhoseKeys::Given(_)) { None } else { verdict.elsewhere() };
    let (verdict, reservation) = match elsewhere {
        None => (verdict, reservation),
        // A rule wants it done in another account, where its ARNs are others.
        Some((role, account)) => {
            drop(reservation);
            let operation = understand(gateway, caller, &request, Some(&account))?;
            draft.understood(&operation, policies.digest());
            let (verdict, reservation) = gateway.ledger.decide(&policies, caller, operation, now);
            (verdict.in_role(&role), reservation)
        }
    };
    match verdict {
        Verdict::Allow(permit) => {
            if let Some(role) = permit.role()
                && !keys.may_be_of(role)
            {
                return Err(Refused::OtherRole(role.to_owned()));
            }
            let mut inserting = None;
            if let Some((made, search)) = Inserting::of(gateway, caller, &permit).await? {
                draft.holding(search);
                let more = made.room(request.body());
                draft.holding(gateway.memory.take(caller.session.id, more).map_err(IntakeError::from)?);
                inserting = Some(made);
            }
            let stream = streams.then(|| {
                // Bodies stream where they are objects.
                let capture =
                    gateway.recorder.capture(caller.session.id, Holds::Object, media_type.as_deref());
                draft.uploading(capture.clone());
                uploading(lasting(unread.take(), &caller.session), capture)
            });
            Ok(Allowed { permit, request, stream, reservation, keys, inserting })
        }
        Verdict::Ask(question) => {
            draft.asked(&question);
            Err(Refused::Asked(Box::new(question)))
        }
        Verdict::Deny(denial) => {
            draft.denied(&denial);
            Err(Refused::Denied(Box::new(denial)))
        }
    }
}

/// What a request would do, what its tokens stand for, and what is hidden of its answer.
fn understand(
    gateway: &Gateway,
    caller: &Caller,
    request: &VerifiedRequest,
    account: Option<&AccountId>,
) -> Result<Operation, ClassifyError> {
    let mut operation = classify(request, account)?;
    if let Some(member) = masked_param(&operation) {
        let why = "it is what stands in the place of a hidden value: leave it out, or write the value itself";
        return Err(ClassifyError::BadMember { member: member.to_owned(), why: why.to_owned() });
    }
    let session = caller.session.id;
    operation.resolve(|token| Some(Arc::clone(&gateway.tokens.value(session, token)?.secret)))?;
    let hidden = gateway.masks.hidden(Asked::of(&operation));
    operation.hide(hidden);
    Ok(operation)
}

/// The keys that AWS gave the session under this placeholder; `None` for its own, and for keys from elsewhere.
fn minted(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Option<Arc<Minted>>, SignatureError> {
    let session = &caller.session;
    let passes = session.workload.credentials == CredentialSource::Passthrough;
    if passes || id == session.placeholder.access_key_id || !looks_like_placeholder(id) {
        return Ok(None);
    }
    match session.minted(id) {
        Some(minted) if !minted.expired(gateway.clock.now()) => Ok(Some(minted)),
        // Also what was known before a restart.
        Some(_) | None => Err(SignatureError::KeysExpired(id.to_owned())),
    }
}

/// credentials → insert → sign → forward → mint → mask.
async fn carry_out(
    gateway: &Gateway,
    caller: &Caller,
    call: CallId,
    allowed: Allowed,
    started: &mut Started,
) -> Result<Masked, Refused> {
    let Allowed { permit, request, stream, reservation, keys, inserting } = allowed;
    let minting = Minting::of(permit.operation(), call);
    let inserted = inserting.as_ref().map(Inserting::known);
    let masking = Masking::of(gateway, caller, &permit, call, inserted);
    let revealing = Revealing::of(gateway, &permit, call);
    let keys = match keys {
        WhoseKeys::Own => {
            let policies = gateway.policies.load_full();
            Some(gateway.credentials.keys(&permit, caller, &policies).await?)
        }
        WhoseKeys::Given(minted) => Some(Keys::from(&minted.keys)),
        WhoseKeys::Agents => None,
    };
    let signed = match keys {
        // Signed with our clock at the moment it leaves: the agent's date may be minutes old.
        Some(keys) => {
            let inserted = match &inserting {
                Some(inserting) => inserting.insert(&permit, &request)?,
                None => None,
            };
            sign(permit, request, inserted, stream, &keys, caller.session.id, gateway.clock.now())?
        }
        None => SignedRequest::as_received(permit, request, stream)?,
    };
    if let Some(revealing) = revealing {
        revealing.note(gateway, caller).await?;
    }
    if let Some(inserting) = &inserting {
        inserting.note(gateway, caller, call).await?;
    }
    if let Some(reason) = caller.session.ended(gateway.clock.now()) {
        return Err(Refused::Over(reason));
    }
    let proof = started.sent();
    if let Some(reservation) = reservation {
        reservation.keep();
    }
    let reply = gateway.upstream.send(signed, proof).await?;
    let reply = match minting {
        Some(minting) => match minting.replace(gateway, caller, reply).await? {
            Answer::Replaced(replaced) => return Ok(masking.replaced(replaced)),
            Answer::WithoutKeys(reply) => reply,
        },
        None => reply,
    };
    masking.mask(gateway, caller, reply).await
}

/// AWS's answer, streamed; its last byte closes the record.
fn answer(gateway: &Gateway, masked: Masked, started: Started, caller: &Caller) -> Response<Body> {
    let Masked { status, headers, body, found, holds, .. } = masked;
    let media_type = media_type(&headers);
    let capture = gateway.recorder.capture(caller.session.id, holds, media_type.as_deref());
    let ending = started.answered(status, &headers, found, capture);
    let body = Recorded::new(lasting(body, &caller.session), ending);
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

async fn refuse(
    gateway: &Gateway,
    caller: &Caller,
    draft: Draft,
    wire: &Wire,
    refused: &Refused,
) -> Response<Body> {
    gateway.counters.denied();
    let refusal = refused.explain(caller, wire.id);
    tracing::info!(call = %wire.id, session = %caller.session.id, reason = refusal.log, "refused");
    draft
        .refuse(refusal.status(), refusal.kind.code(wire.shape), refusal.log.clone(), &gateway.recorder)
        .await;
    wire.render(refusal)
}

/// How the agent wants to be answered when the gateway answers itself.
struct Wire {
    id: CallId,
    shape: ErrorShape,
    method: Method,
}

impl Wire {
    fn render(&self, refusal: Refusal) -> Response<Body> {
        refusal.into_response(self.shape, &self.method).map(body::full)
    }
}
