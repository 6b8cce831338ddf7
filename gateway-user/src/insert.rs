//! `Permit` + request → its body with values in the place of tokens. *pure*
//!
//! There is no way around policy: an [`Inserted`] has private fields and one constructor, which takes a [`Permit`].
//!
//! ```compile_fail,E0451
//! use gateway_user::insert::Inserted;
//! let forge = |body, digest| Inserted { body, digest };
//! ```
//! Whoever has one may ask how long it is:
//! ```
//! use gateway_user::insert::Inserted;
//! let look = |inserted: Inserted| inserted.len();
//! ```
//!
//! Every byte beside the tokens stays what it was. The new body is read again by the reader that understood the call: unless
//! that finds the same parameters, with the values in place and nothing else, there is no new body.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use zeroize::Zeroizing;

use crate::{
    classify::{ActionOn, Operation, Param, Reread, Written, reread, wipe},
    decide::{Permit, Permitted},
    parse::{RequestDigest, VerifiedBy, VerifiedRequest},
    tokens::Value,
};

mod cbor;
mod form;
mod json;
#[cfg(test)]
mod tests;
mod xml;

/// The body of a request with values in the place of its tokens.
pub struct Inserted {
    body: Zeroizing<Vec<u8>>,
    digest: RequestDigest,
}

/// Why values are not put into a permitted request. Nothing of the values is in here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// The permit was given for another request.
    #[error("the permit is bound to another request")]
    PermitMismatch,
    /// The agent signed it with keys of its own, so that nothing in it can be changed.
    #[error("the request is signed with the agent's own keys: tokens stand for nothing in it")]
    ByOwner,
    /// Its body was not read.
    #[error("the body is not one that tokens are looked for in")]
    NoBody,
    /// Its body is compressed.
    #[error("the body has a Content-Encoding: tokens stand for nothing in it")]
    Encoded,
    /// The session has ended meanwhile.
    #[error("a token is unknown in this session: read the secret again")]
    Gone,
    /// A value names what the call was not decided for: another resource, a role that is passed.
    #[error(
        "the value of a token names a resource or a role that this call was not decided for: name it in the clear"
    )]
    Names,
    /// The values are more than can be looked for in the answer, which may repeat them.
    #[error("the values that the request's tokens stand for have more than {0} bytes together")]
    TooMuch(usize),
    /// It would have more bytes than a body may have that is read. That tells how long a value is, as AWS's own bounds do.
    #[error("with the values in the place of the tokens the body is longer than {0} bytes")]
    TooLong(usize),
    /// The format has no words for the value, or the new body would not say what it should.
    #[error(
        "the value cannot be put into this request: the format cannot write it, or there is no text in its place"
    )]
    Unfaithful,
}

impl Inserted {
    /// Puts values into `request` in the place of all tokens that `permit` names; `None` where it names none. `most`: bytes
    /// that the new body may have.
    ///
    /// # Errors
    /// [`InsertError`].
    pub fn of(
        permit: &Permit,
        request: &VerifiedRequest,
        value: impl Fn(&str) -> Option<Arc<Value>>,
        most: usize,
    ) -> Result<Option<Self>, InsertError> {
        let operation = permit.operation();
        if permit.inserted().is_empty() {
            return Ok(None);
        }
        if permit.digest() != request.digest() {
            return Err(InsertError::PermitMismatch);
        }
        if request.verified_by() != VerifiedBy::Placeholder {
            return Err(InsertError::ByOwner);
        }
        let body = request.body().ok_or(InsertError::NoBody)?;
        if request.request().headers().contains_key(CONTENT_ENCODING) {
            return Err(InsertError::Encoded);
        }
        let mut values = HashMap::new();
        for permitted in permit.inserted() {
            let token = permitted.token.text.as_str();
            values.insert(token, value(token).ok_or(InsertError::Gone)?);
        }
        let read =
            |body: &[u8]| reread(request.request(), operation, body).map_err(|_| InsertError::Unfaithful);
        let Reread { written, params: before, .. } = read(body)?;
        let values = Values { written: Escaped::all(written, &values)?, plain: values };
        let wanted = Wanted::of(before, &values);
        let body = values.put_into(written, body, permit.inserted(), most)?;
        let Reread { params: after, actions, .. } = read(&body.text)?;
        let after = Wiped(after);
        if body.count != wanted.count || body.count != permit.inserted().len() || after.0 != wanted.params.0 {
            return Err(InsertError::Unfaithful);
        }
        if !actions.iter().all(|on| was_decided(operation, on)) {
            return Err(InsertError::Names);
        }
        Ok(Some(Self { body: body.text, digest: request.digest() }))
    }

    /// Bytes of the new body.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a token has been in it")]
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// The request that it is of.
    pub(crate) fn digest(&self) -> RequestDigest {
        self.digest
    }

    /// For the signer. The memory is zeroed with the last reference.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.body)
    }
}

/// Whether a call was decided for this, or for this on anything.
fn was_decided(operation: &Operation, on: &ActionOn) -> bool {
    operation.actions.iter().any(|decided| {
        decided.action == on.action && (decided.resource == on.resource || decided.resource == "*")
    })
}

/// What the tokens of a request stand for.
struct Values<'t> {
    plain: HashMap<&'t str, Arc<Value>>,
    written: Escaped,
}

/// Values as a format writes them, by their tokens.
struct Escaped(HashMap<String, Zeroizing<Vec<u8>>>);

impl Escaped {
    fn all(written: Written, values: &HashMap<&str, Arc<Value>>) -> Result<Self, InsertError> {
        let write = match written {
            Written::Json => json::written,
            Written::Cbor => cbor::written,
            Written::Form => form::written,
            Written::Xml => xml::written,
        };
        let one = |(token, value): (&&str, &Arc<Value>)| Some(((*token).to_owned(), write(value.expose())?));
        let all: Option<HashMap<_, _>> = values.iter().map(one).collect();
        all.map(Self).ok_or(InsertError::Unfaithful)
    }

    /// What is to be written in the place of this text.
    fn of(&self, text: &str) -> Option<&[u8]> {
        self.0.get(text).map(|written| written.as_slice())
    }
}

/// A body that is being written.
struct Out {
    text: Zeroizing<Vec<u8>>,
    /// How many tokens were replaced.
    count: usize,
}

impl Out {
    /// In memory that is never moved: a copy that is left behind would not be zeroed.
    fn new(capacity: usize) -> Self {
        Self { text: Zeroizing::new(Vec::with_capacity(capacity)), count: 0 }
    }

    /// What stays as it is. Beyond the capacity there would be more of values than was counted: that much is never written.
    fn keep(&mut self, bytes: &[u8]) -> Option<()> {
        (self.text.len() + bytes.len() <= self.text.capacity()).then(|| self.text.extend_from_slice(bytes))
    }

    fn replace(&mut self, written: &[u8]) -> Option<()> {
        self.count += 1;
        self.keep(written)
    }
}

impl Values<'_> {
    fn put_into(
        &self,
        written: Written,
        body: &[u8],
        permitted: &[Permitted],
        most: usize,
    ) -> Result<Out, InsertError> {
        let put = match written {
            Written::Json => json::replaced,
            Written::Cbor => cbor::replaced,
            Written::Form => form::replaced,
            Written::Xml => xml::replaced,
        };
        let room = self.room(body, permitted);
        let mut out = Out::new(most.saturating_add(1).min(room));
        match put(body, &self.written, &mut out) {
            Some(()) if out.text.len() <= most => Ok(out),
            Some(()) => Err(InsertError::TooLong(most)),
            None if room > most => Err(InsertError::TooLong(most)),
            None => Err(InsertError::Unfaithful),
        }
    }

    /// Bytes that a body may have once each token that is permitted is replaced. What else looks like one stays.
    fn room(&self, body: &[u8], permitted: &[Permitted]) -> usize {
        let written = |one: &Permitted| self.written.of(&one.token.text).map_or(0, <[u8]>::len);
        permitted.iter().map(written).fold(body.len(), usize::saturating_add)
    }
}

/// What the parameters should be.
struct Wanted {
    params: Wiped,
    count: usize,
}

impl Wanted {
    fn of(mut params: BTreeMap<String, Param>, values: &Values<'_>) -> Self {
        fn replace(param: &mut Param, values: &Values<'_>) -> usize {
            match param {
                Param::Text(text) => match values.plain.get(text.as_str()) {
                    Some(value) => {
                        value.expose().clone_into(text);
                        1
                    }
                    None => 0,
                },
                Param::List(items) => items.iter_mut().map(|item| replace(item, values)).sum(),
                Param::Record(fields) => fields.values_mut().map(|item| replace(item, values)).sum(),
                Param::Number(_) | Param::Bool(_) => 0,
            }
        }
        let count = params.values_mut().map(|param| replace(param, values)).sum();
        Self { params: Wiped(params), count }
    }
}

/// Parameters with values among them, which are zeroed.
struct Wiped(BTreeMap<String, Param>);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut self.0));
    }
}
