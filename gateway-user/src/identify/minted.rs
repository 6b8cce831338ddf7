//! Keys that AWS gave for a call of the session, and the placeholders that the agent got in their place.
//!
//! They are in memory alone: after a restart of the daemon, or the session's end, the placeholders stand for
//! nothing, and SDKs ask for new keys.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;
use tokio::sync::OnceCell;

use super::Placeholder;
use crate::{
    prim::{AccountId, Region},
    secret::SecretText,
};

/// A pair of keys that AWS gave, as its answer had it. They never leave the gateway.
#[derive(Debug, Clone)]
pub struct GivenKeys {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret: SecretText,
    /// Session token.
    pub session_token: SecretText,
    /// When they stop working, where the answer tells.
    pub expires: Option<OffsetDateTime>,
    /// The account that they are of, where that is known.
    pub account: Option<AccountId>,
    /// The role that was assumed, where it was one.
    pub role: Option<String>,
}

/// Keys that AWS gave, with what stands for them.
#[derive(Debug)]
pub struct Minted {
    /// What the agent signs with.
    pub placeholder: Placeholder,
    /// What its calls are signed with.
    pub keys: GivenKeys,
    /// The account, where somebody had to be asked for it.
    pub learnt: OnceCell<AccountId>,
    /// Where it was not told, and until when nobody is asked there again. By region, because agents choose it.
    pub untold: Mutex<Option<(Region, OffsetDateTime)>>,
}

impl Minted {
    /// Whether the keys have stopped working at `now`.
    #[must_use]
    pub fn expired(&self, now: OffsetDateTime) -> bool {
        self.keys.expires.is_some_and(|expires| expires <= now)
    }
}

/// All of a session, by the placeholder's access key id, and not without bound.
#[derive(Debug)]
pub(super) struct Kept {
    room: usize,
    /// `None` once the session is over.
    state: Mutex<Option<State>>,
}

#[derive(Debug, Default)]
struct State {
    by_id: HashMap<String, Arc<Minted>>,
    /// The last that made room for others, as many as there is room for: who signs with one of them is no stranger.
    gone: VecDeque<String>,
}

impl Kept {
    pub(super) fn new(room: usize) -> Self {
        Self { room: room.max(1), state: Mutex::new(Some(State::default())) }
    }

    /// Keeps `keys` under a fresh placeholder; where there is no room, those that expire first go. `None` where the session
    /// is over, or the system has no random numbers.
    pub(super) fn keep(&self, keys: GivenKeys) -> Option<Arc<Minted>> {
        let mut state = self.state();
        let State { by_id, gone } = state.as_mut()?;
        let placeholder = loop {
            let fresh = Placeholder::fresh()?;
            if !by_id.contains_key(&fresh.access_key_id) {
                break fresh;
            }
        };
        while by_id.len() >= self.room {
            // Those that do not say when they expire are the first to go.
            let first = by_id.values().min_by_key(|minted| minted.keys.expires)?;
            let first = first.placeholder.access_key_id.clone();
            by_id.remove(&first);
            if gone.len() >= self.room {
                gone.pop_front();
            }
            gone.push_back(first);
        }
        let id = placeholder.access_key_id.clone();
        let minted =
            Arc::new(Minted { placeholder, keys, learnt: OnceCell::new(), untold: Mutex::default() });
        by_id.insert(id, Arc::clone(&minted));
        Some(minted)
    }

    pub(super) fn get(&self, access_key_id: &str) -> Option<Arc<Minted>> {
        self.state().as_ref()?.by_id.get(access_key_id).cloned()
    }

    /// Whether it is kept, or was until lately.
    pub(super) fn had(&self, access_key_id: &str) -> bool {
        self.state().as_ref().is_some_and(|State { by_id, gone }| {
            by_id.contains_key(access_key_id) || gone.iter().any(|gone| gone == access_key_id)
        })
    }

    /// Forgets everything, and keeps nothing from now on. What calls under way hold is zeroed with the last of them.
    pub(super) fn close(&self) {
        self.state().take();
    }

    /// No code that holds the lock can panic half-way.
    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;
    use crate::identify::placeholder::looks_like_placeholder;

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);

    fn keys(minutes: Option<i64>) -> GivenKeys {
        GivenKeys {
            access_key_id: "ASIAREALREALREALREAL".to_owned(),
            secret: SecretText::new("secret".to_owned()),
            session_token: SecretText::new("token".to_owned()),
            expires: minutes.map(|minutes| NOW + Duration::minutes(minutes)),
            account: None,
            role: None,
        }
    }

    #[test]
    fn what_expires_first_goes_first() {
        let kept = Kept::new(3);
        let id = |minutes| kept.keep(keys(minutes)).unwrap().placeholder.access_key_id.clone();
        let (late, soon, later) = (id(Some(30)), id(Some(10)), id(Some(60)));
        let known = |ids: [&String; 3]| ids.map(|id| kept.get(id).is_some());
        assert_eq!(known([&late, &soon, &later]), [true; 3]);
        let unsaid = id(None);
        assert_eq!(known([&late, &soon, &later]), [true, false, true]);
        let next = id(Some(5));
        assert_eq!(known([&unsaid, &late, &next]), [false, true, true]);
        assert!(
            [&late, &soon, &later, &unsaid, &next].into_iter().all(|id| kept.had(id)),
            "they are no strangers"
        );
        assert!(!kept.had("ASIACHAPAAAAAAAAAAAA"));
        // Not without bound.
        for minutes in 61..70 {
            id(Some(minutes));
        }
        assert!(!kept.had(&soon));
    }

    #[test]
    fn each_has_a_placeholder_of_its_own_that_says_nothing_of_the_keys() {
        let kept = Kept::new(8);
        let (one, two) = (kept.keep(keys(None)).unwrap(), kept.keep(keys(None)).unwrap());
        for minted in [&one, &two] {
            let placeholder = &minted.placeholder;
            assert!(looks_like_placeholder(&placeholder.access_key_id));
            assert_eq!(placeholder.secret.expose().len(), 40);
            assert_eq!(placeholder.session_token.expose().len(), 160);
        }
        assert_ne!(one.placeholder.access_key_id, two.placeholder.access_key_id);
        assert_ne!(one.placeholder.secret.expose(), two.placeholder.secret.expose());
        assert_ne!(one.placeholder.session_token.expose(), two.placeholder.session_token.expose());
    }

    #[test]
    fn nothing_is_kept_of_a_session_that_is_over() {
        let kept = Kept::new(8);
        let minted = kept.keep(keys(Some(10))).unwrap();
        let id = minted.placeholder.access_key_id.clone();
        kept.close();
        assert!(kept.get(&id).is_none() && kept.keep(keys(Some(10))).is_none());
        assert_eq!(Arc::strong_count(&minted), 1);
    }

    #[test]
    fn keys_expire_at_their_time() {
        let minted = Kept::new(1).keep(keys(Some(10))).unwrap();
        assert!(!minted.expired(NOW + Duration::seconds(599)));
        assert!(minted.expired(NOW + Duration::minutes(10)));
    }
}
