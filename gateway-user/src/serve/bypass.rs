//! Calls that were signed with keys which are not the session's: somebody should know.

use serde_json::{Map, Value};

use super::{Gateway, refused::Refused};
use crate::{
    identify::{Caller, Session},
    parse::SignatureError,
    prim::HostName,
    record::Event,
};

/// Kinds of events. They are counted apart, so that those which mistakes cause as well hide none of the others.
const FOREIGN_KIND: &str = "foreign-key";
const UNKNOWN_KIND: &str = "unknown-placeholder";
const WRONG_KIND: &str = "wrong-signature";

/// The event about a call of `caller` that was refused, where its keys are the reason; `access_key_id` is the one that
/// it claims.
pub(super) fn event(
    gateway: &Gateway,
    caller: &Caller,
    host: &HostName,
    access_key_id: Option<&str>,
    refused: &Refused,
) -> Option<Event> {
    let Refused::Signature(error) = refused else { return None };
    let session = &caller.session;
    let mut detail = Map::new();
    let mut because = |reason: &str| detail.insert("reason".to_owned(), reason.into());
    let (kind, message) = match error {
        SignatureError::UnknownAccessKey(_) => {
            because("not-a-placeholder");
            (FOREIGN_KIND, "a call was signed with keys that are not the session's")
        }
        SignatureError::KeysExpired(id) | SignatureError::PlaceholderKey(id) => {
            match whose(gateway, session, id) {
                Whose::Another(other) => {
                    because("another-session");
                    detail.insert("other_session".to_owned(), other.id.to_string().into());
                    detail.insert("other_workload".to_owned(), other.workload.name.to_string().into());
                    (FOREIGN_KIND, "a call was signed with another session's placeholder")
                }
                Whose::Own if matches!(error, SignatureError::KeysExpired(_)) => return None,
                Whose::Own => {
                    because("placeholder");
                    (
                        FOREIGN_KIND,
                        "a call was signed with the placeholder, where agents have keys of their own",
                    )
                }
                Whose::Nobody => return None,
                Whose::Unknown => {
                    (UNKNOWN_KIND, "a call was signed with a placeholder that is no living session's")
                }
            }
        }
        SignatureError::SessionToken => {
            because("wrong-token");
            (WRONG_KIND, "a call names the session's keys, and its session token is not theirs")
        }
        SignatureError::Mismatch => {
            because("wrong-signature");
            (WRONG_KIND, "a call names the session's keys, and its signature is not made with them")
        }
        _ => return None,
    };
    detail.insert("access_key_id".to_owned(), access_key_id.into());
    detail.insert("host".to_owned(), host.to_string().into());
    detail.insert("cgroup_id".to_owned(), session.cgroup_id.0.into());
    let mut event = Event::new(kind, message).of(caller);
    event.detail = Value::Object(detail);
    Some(event)
}

/// Whose a placeholder is that `session` may not sign with.
enum Whose {
    /// Its own: the keys have expired, or made room for others.
    Own,
    Another(std::sync::Arc<Session>),
    /// What those get whose identity is not accepted; the session may have been one of them a minute ago.
    Nobody,
    /// A former session's, one of before a restart of the daemon, another host's, or made up.
    Unknown,
}

fn whose(gateway: &Gateway, session: &Session, id: &str) -> Whose {
    let nobody = gateway.registry.nobody().placeholder();
    if id == nobody.access_key_id {
        Whose::Nobody
    } else if id == session.placeholder.access_key_id || session.had_minted(id) {
        Whose::Own
    } else {
        gateway.registry.holder(id).map_or(Whose::Unknown, Whose::Another)
    }
}
