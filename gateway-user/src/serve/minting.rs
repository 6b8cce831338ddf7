//! An answer that carries keys: they stay here, the agent gets a placeholder for them.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use serde_json::json;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::{Gateway, refused::Refused};
use crate::{
    body::{self, Body},
    classify::{Operation, Param, answer},
    forward::Reply,
    identify::{Caller, GivenKeys, Minted},
    mint::{self, ANSWER_MAX, Head, MintError},
    prim::{AccountId, CallId},
    record::Event,
};

/// An answer that had keys, and has a placeholder for them.
pub(super) struct Replaced(Reply);

impl Replaced {
    /// As the agent may have it.
    pub(super) fn into_reply(self) -> Reply {
        self.0
    }
}

/// An answer of an operation that answers with keys.
pub(super) enum Answer {
    /// It had some.
    Replaced(Replaced),
    /// It had none.
    WithoutKeys(Reply),
}

/// What must be known of a call when its answer comes.
pub(super) struct Minting {
    place: answer::Keys,
    call: CallId,
    operation: String,
    account: Option<AccountId>,
    role: Option<String>,
}

impl Minting {
    /// `None` for an operation whose answer carries no keys.
    pub(super) fn of(operation: &Operation, call: CallId) -> Option<Self> {
        let role = match operation.params.get("RoleArn") {
            Some(Param::Text(role)) => Some(role.clone()),
            _ => None,
        };
        Some(Self {
            place: operation.keys?,
            call,
            operation: operation.full_name(),
            account: operation.account.clone(),
            role,
        })
    }

    /// The answer with a placeholder for its keys; an error of AWS has none.
    pub(super) async fn replace(
        self,
        gateway: &Gateway,
        caller: &Caller,
        reply: Reply,
    ) -> Result<Answer, Refused> {
        let request_id = ["x-amzn-requestid", "x-amz-request-id"]
            .iter()
            .find_map(|name| Some(reply.headers.get(*name)?.to_str().ok()?.to_owned()));
        match self.replaced(caller, reply).await {
            Ok((reply, None)) => Ok(Answer::WithoutKeys(reply)),
            Ok((reply, Some(minted))) => {
                // By it CloudTrail's rows of the agent's further calls are found.
                gateway.recorder.event(self.minted(caller, &minted)).await?;
                Ok(Answer::Replaced(Replaced(reply)))
            }
            Err(error) => {
                let mut event =
                    Event::new("keys-withheld", "an answer with keys was not passed on").of(caller);
                event.detail = json!({
                    "call_id": self.call.to_string(),
                    "operation": self.operation,
                    "reason": error.to_string(),
                    "aws_request_id": request_id,
                });
                gateway.recorder.event(event).await?;
                Err(error.into())
            }
        }
    }

    async fn replaced(
        &self,
        caller: &Caller,
        reply: Reply,
    ) -> Result<(Reply, Option<Arc<Minted>>), MintError> {
        let Reply { status, mut headers, body } = reply;
        if mint::head(self.place, status, &headers)? == Head::Error {
            return Ok((Reply { status, headers, body }, None));
        }
        let whole = collect(body).await?;
        let answer = mint::read(self.place, &whole, self.account.as_ref())?;
        let keys = GivenKeys { role: self.role.clone(), ..answer.keys().clone() };
        let minted = caller.session.keep(keys).ok_or(MintError::NoPlaceholder)?;
        let text = answer.with(&minted.placeholder)?;
        mint::adapt(&mut headers, text.len());
        Ok((Reply { status, headers, body: body::full(text) }, Some(minted)))
    }

    fn minted(&self, caller: &Caller, minted: &Minted) -> Event {
        let mut event =
            Event::new("keys-minted", "AWS gave keys; the agent has a placeholder for them").of(caller);
        let expires = minted.keys.expires.and_then(|expires| expires.format(&Rfc3339).ok());
        event.detail = json!({
            "call_id": self.call.to_string(),
            "operation": self.operation,
            "placeholder_id": minted.placeholder.access_key_id,
            "access_key_id": minted.keys.access_key_id,
            "role": self.role,
            "expires": expires,
        });
        event
    }
}

/// The whole body, in memory that is zeroed and never moved.
async fn collect(mut body: Body) -> Result<Zeroizing<Vec<u8>>, MintError> {
    let mut whole = Zeroizing::new(Vec::with_capacity(ANSWER_MAX));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| MintError::Broken)?;
        let data = frame.into_data().map_err(|_| MintError::Unreadable("it has trailers"))?;
        if data.len() > ANSWER_MAX - whole.len() {
            return Err(MintError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole)
}
