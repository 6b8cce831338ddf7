//! Placeholder keys: what an agent's SDK signs with.
//!
//! Those of sessions are derived, not stored: HKDF-SHA256 (RFC 5869, the HMAC-SHA256 construction) over a master
//! key that never leaves the host, with the session's id as context. So they survive a restart of
//! the daemon, no database row holds one, and knowing one session's says nothing of another's.
//! Those of keys that AWS gives a session ([`super::Minted`]) are random.

use aws_lc_rs::{
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    rand,
};
use zeroize::Zeroizing;

use super::{Placeholder, master_key::MasterKey};
use crate::{prim::SessionId, secret::SecretText};

/// What every placeholder's access key id starts with: `ASIA`, as temporary AWS keys do, then a
/// reserved mark by which people and scanners recognise that the key is worthless.
pub const PREFIX: &str = "ASIACHAP";

/// AWS access key ids have 20 characters of base32 (RFC 4648).
const ACCESS_KEY_LEN: usize = 20;
/// AWS secret access keys have 40 characters of base64.
const SECRET_LEN: usize = 40;
/// Shorter than AWS's own session tokens, and as long as it needs to be to look like one.
const TOKEN_LEN: usize = 160;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Derives the placeholders of sessions.
#[derive(Debug)]
pub struct Placeholders {
    prk: Prk,
}

impl Placeholders {
    /// From the host's master key.
    #[must_use]
    pub fn new(key: &MasterKey) -> Self {
        Self { prk: Salt::new(HKDF_SHA256, b"chaperone placeholder v1").extract(key.expose()) }
    }

    /// The placeholder of `session`: the same at every call, on this host.
    #[must_use]
    pub fn of(&self, session: SessionId) -> Placeholder {
        let tail = self.text(session, b"access key id", BASE32, ACCESS_KEY_LEN - PREFIX.len());
        Placeholder {
            access_key_id: format!("{PREFIX}{}", tail.expose()),
            secret: self.text(session, b"secret access key", BASE64, SECRET_LEN),
            session_token: self.text(session, b"session token", BASE64, TOKEN_LEN),
        }
    }

    /// `len` characters of `alphabet`.
    fn text(&self, session: SessionId, role: &[u8], alphabet: &[u8], len: usize) -> SecretText {
        let session = session.to_string();
        let mut bytes = Zeroizing::new(vec![0_u8; len]);
        let filled = self
            .prk
            .expand(&[role, b"\0", session.as_bytes()], Length(len))
            .and_then(|okm| okm.fill(&mut bytes));
        debug_assert_eq!(filled, Ok::<(), Unspecified>(()), "HKDF refuses only more than 255 blocks");
        if filled.is_err() {
            // Cannot happen for these lengths. An empty secret verifies no signature.
            return SecretText::new(String::new());
        }
        written(&bytes, alphabet)
    }
}

/// A placeholder that is no session's, for those whose identity is not accepted: nothing that is signed with it is ever
/// let through, because its id is that of no session, and a session's own placeholder is derived from its own id.
#[derive(Debug)]
pub struct Nobody {
    id: SessionId,
    placeholder: Placeholder,
}

impl Nobody {
    /// Another one at every start of the daemon.
    #[must_use]
    pub(super) fn new(placeholders: &Placeholders) -> Self {
        let id = SessionId::generate();
        Self { id, placeholder: placeholders.of(id) }
    }

    /// An id that no session has.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Keys that are good for nothing.
    #[must_use]
    pub fn placeholder(&self) -> &Placeholder {
        &self.placeholder
    }
}

impl Placeholder {
    /// One that nothing tells: for keys that AWS gives a session. `None` where the system has no random numbers.
    #[must_use]
    pub(super) fn fresh() -> Option<Self> {
        let text = |alphabet: &[u8], len: usize| {
            let mut bytes = Zeroizing::new(vec![0_u8; len]);
            rand::fill(&mut bytes).ok()?;
            Some(written(&bytes, alphabet))
        };
        Some(Self {
            access_key_id: format!("{PREFIX}{}", text(BASE32, ACCESS_KEY_LEN - PREFIX.len())?.expose()),
            secret: text(BASE64, SECRET_LEN)?,
            session_token: text(BASE64, TOKEN_LEN)?,
        })
    }
}

/// A character of `alphabet`, whose size divides 256, for each byte, without bias.
fn written(bytes: &[u8], alphabet: &[u8]) -> SecretText {
    let symbol = |byte: &u8| alphabet.get(usize::from(*byte) % alphabet.len()).copied().map(char::from);
    SecretText::new(bytes.iter().filter_map(symbol).collect())
}

/// Whether an access key id looks like a placeholder of some chaperone. By that a call is told that its keys have
/// expired, and not that they are foreign; it lets nothing through: what does is that the signature verifies with a
/// placeholder of the session itself.
#[must_use]
pub fn looks_like_placeholder(access_key_id: &str) -> bool {
    access_key_id.starts_with(PREFIX) && access_key_id.len() == ACCESS_KEY_LEN
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(byte: u8) -> Placeholders {
        Placeholders::new(&MasterKey::from_bytes([byte; 32]))
    }

    #[test]
    fn shaped_like_temporary_aws_keys() {
        let placeholder = placeholders(7).of(SessionId::generate());
        let id = &placeholder.access_key_id;
        assert_eq!(id.len(), 20);
        assert!(id.starts_with("ASIACHAP") && id.bytes().all(|b| BASE32.contains(&b)), "{id}");
        assert_eq!(placeholder.secret.expose().len(), 40);
        assert_eq!(placeholder.session_token.expose().len(), 160);
        for text in [&placeholder.secret, &placeholder.session_token] {
            assert!(text.expose().bytes().all(|b| BASE64.contains(&b)));
        }
        assert!(looks_like_placeholder(id));
        assert!(!looks_like_placeholder("AKIAIOSFODNN7EXAMPLE"));
    }

    #[test]
    fn the_same_session_always_has_the_same_placeholder() {
        let session = SessionId::generate();
        let texts = |p: Placeholder| {
            [p.access_key_id, p.secret.expose().to_owned(), p.session_token.expose().to_owned()]
        };
        assert_eq!(texts(placeholders(7).of(session)), texts(placeholders(7).of(session)));
        for (mine, other) in std::iter::zip(
            texts(placeholders(7).of(session)),
            texts(placeholders(7).of(SessionId::generate())),
        ) {
            assert_ne!(mine, other, "another session");
        }
        for (mine, other) in
            std::iter::zip(texts(placeholders(7).of(session)), texts(placeholders(8).of(session)))
        {
            assert_ne!(mine, other, "another host");
        }
    }

    /// Pins the derivation: changing it would break every running session at an upgrade. The values
    /// were computed by an independent HKDF (RFC 5869) in another language.
    #[test]
    fn the_derivation_does_not_change() {
        let session = "s-0190f5fe7c2a7b3e8a1d2c3b4a596877".parse().unwrap();
        let placeholder = placeholders(1).of(session);
        assert_eq!(placeholder.access_key_id, "ASIACHAPJLIMTVBIA7DX");
        assert_eq!(placeholder.secret.expose(), "Qj3DgNIz6Np+rv7Dcp2GbPqvIpj7bUiznk6utZbu");
    }
}
