//! A session's newer tokens.

use super::Registry;
use crate::{
    identify::{Identity, Session, VouchError, vouch::from_file},
    issuer::TokenError,
    secret::SecretText,
};

impl Registry {
    /// Who the session is by the token in its file, where that is another than the one it is known by; the
    /// caller records it and calls [`Session::is_known_as`].
    pub async fn renewal(&self, session: &Session) -> Option<Result<Identity, VouchError>> {
        if session.launch.as_ref().is_some_and(|launch| launch.uid != 0) {
            return None;
        }
        match from_file(session).await {
            Ok(None) => None,
            Ok(Some(token)) => {
                let known = session.identity();
                let same = known.token.as_ref().is_some_and(|known| known.expose() == token.expose());
                if same { None } else { Some(self.renewed(session, token).await) }
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Who a newer token says that `session` is.
    ///
    /// # Errors
    /// [`VouchError`]: it is not accepted, or is somebody else's.
    pub async fn renewed(&self, session: &Session, token: SecretText) -> Result<Identity, VouchError> {
        self.still_holding(self.vouchers.renewed(session, token).await?)
    }

    /// A token may be verified just after its end, because its issuer's clock may be off. A session ends at that
    /// very moment all the same: there is none to begin, or to go on, with such a token.
    pub(super) fn still_holding(&self, identity: Identity) -> Result<Identity, VouchError> {
        if identity.holds(self.clock.now()) { Ok(identity) } else { Err(TokenError::Expired.into()) }
    }
}
