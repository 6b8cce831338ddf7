//! Which cgroup a token was accepted for: from another it is worthless, for as long as it lives.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::VouchError;
use crate::prim::CgroupId;

/// Every token that was accepted and has not expired, by its digest, also those that were renewed since.
#[derive(Debug)]
pub(super) struct Bindings {
    max: usize,
    tokens: HashMap<String, Binding>,
    /// How many of them each user presented.
    presented: HashMap<u32, usize>,
}

/// The part of `max_tokens` that one user's tokens may take, so that no user keeps out others. Who may present
/// tokens at all is the host's to say (the group `chaperone`).
const USERS_SHARE: usize = 64;
/// The part that all users' may take together: the rest is for those that lie in files.
const PRESENTED_SHARE: usize = 2;

/// Whom a token was accepted for.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    /// The session's cgroup; `None` where it was of an earlier boot.
    pub(super) cgroup: Option<CgroupId>,
    /// The user who presented it; `None` where it was in a file, which is the host's word for it.
    pub(super) user: Option<u32>,
    /// When the token ends, and this with it.
    pub(super) expires: OffsetDateTime,
}

impl Bindings {
    pub(super) fn new(max: usize) -> Self {
        Self { max, tokens: HashMap::new(), presented: HashMap::new() }
    }

    /// Binds a token, or finds it bound to the very same. A user may present it anew when its cgroup is gone
    /// (`lives` tells), because then nobody is left there; nobody else ever may. The same file may be that of
    /// several cgroups: which it is for is the host's to say.
    ///
    /// # Errors
    /// [`VouchError::TokenOfAnother`], or [`VouchError::TooManyTokens`] of all or of this user: what has not expired is
    /// never forgotten.
    pub(super) fn bind(
        &mut self,
        digest: &str,
        binding: Binding,
        now: OffsetDateTime,
        lives: impl FnOnce(CgroupId) -> bool,
    ) -> Result<(), VouchError> {
        self.bind_within(self.max, digest, binding, now, lives)
    }

    /// Takes up what a former run of the daemon accepted: all of it, however many there are. A token that is not
    /// known any more would be good for anybody.
    pub(super) fn restore(&mut self, digest: &str, binding: Binding, now: OffsetDateTime) {
        // Of two that contradict each other the older one stays.
        let _ = self.bind_within(usize::MAX, digest, binding, now, |_| false);
    }

    fn bind_within(
        &mut self,
        max: usize,
        digest: &str,
        binding: Binding,
        now: OffsetDateTime,
        lives: impl FnOnce(CgroupId) -> bool,
    ) -> Result<(), VouchError> {
        match self.tokens.get_mut(digest).filter(|bound| now < bound.expires) {
            Some(bound) if bound.cgroup.is_some() && bound.cgroup == binding.cgroup => Ok(()),
            Some(bound) if bound.user == binding.user => {
                if bound.user.is_some() && bound.cgroup.is_some_and(lives) {
                    return Err(VouchError::TokenOfAnother);
                }
                *bound = binding;
                Ok(())
            }
            Some(_) => Err(VouchError::TokenOfAnother),
            None => self.insert(max, digest, binding, now),
        }
    }

    /// Whether anything is known of this token at `now`.
    pub(super) fn knows(&self, digest: &str, now: OffsetDateTime) -> bool {
        self.tokens.get(digest).is_some_and(|bound| now < bound.expires)
    }

    fn insert(
        &mut self,
        max: usize,
        digest: &str,
        binding: Binding,
        now: OffsetDateTime,
    ) -> Result<(), VouchError> {
        if self.is_full(max, binding.user) {
            self.tokens.retain(|_, bound| now < bound.expires);
            self.presented.clear();
            for user in self.tokens.values().filter_map(|bound| bound.user) {
                *self.presented.entry(user).or_default() += 1;
            }
        }
        if self.is_full(max, binding.user) {
            return Err(VouchError::TooManyTokens(self.tokens.len()));
        }
        if let Some(user) = binding.user {
            *self.presented.entry(user).or_default() += 1;
        }
        // One that has expired may be in its place, and is counted until the next time that there are too many.
        self.tokens.insert(digest.to_owned(), binding);
        Ok(())
    }

    fn is_full(&self, max: usize, user: Option<u32>) -> bool {
        let full = self.tokens.len() >= max;
        let Some(user) = user else { return full };
        let own = self.presented.get(&user).copied().unwrap_or_default();
        let all: usize = self.presented.values().sum();
        full || own >= max.div_ceil(USERS_SHARE) || all >= max.div_ceil(PRESENTED_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use time::{Duration, macros::datetime};

    use super::*;

    const NOW: OffsetDateTime = datetime!(2030-01-01 00:00 UTC);
    const LATER: OffsetDateTime = datetime!(2030-01-01 01:00 UTC);
    const FILE: Option<u32> = None;

    fn binding(cgroup: u64, user: Option<u32>) -> Binding {
        Binding { cgroup: Some(CgroupId(cgroup)), user, expires: LATER }
    }

    fn alive(_: CgroupId) -> bool {
        true
    }

    fn gone(_: CgroupId) -> bool {
        false
    }

    /// What becomes of the token `t`, accepted for cgroup 1 and `first`, when it is presented for another.
    fn check(first: Option<u32>, second: Binding, lives: fn(CgroupId) -> bool, accepted: bool) {
        let mut bindings = Bindings::new(8);
        bindings.bind("t", binding(1, first), NOW, alive).unwrap();
        let bound = bindings.bind("t", second.clone(), NOW, lives);
        assert_eq!(
            bound.map_err(|error| error.reason()),
            if accepted { Ok(()) } else { Err("token-of-another") }
        );
        // A refusal changes nothing.
        assert!(accepted || bindings.bind("t", binding(1, first), NOW, alive).is_ok());
    }

    #[test]
    fn a_token_is_worthless_from_another_cgroup() {
        check(Some(1000), binding(1, Some(1000)), alive, true);
        check(Some(1000), binding(2, Some(1000)), alive, false);
        check(Some(1000), binding(2, Some(1000)), gone, true);
        for lives in [alive as fn(CgroupId) -> bool, gone] {
            check(Some(1000), binding(2, Some(1001)), lives, false);
            check(Some(1000), binding(2, Some(0)), lives, false);
            check(Some(1000), binding(2, FILE), lives, false);
            check(FILE, binding(2, Some(0)), lives, false);
            check(FILE, binding(2, FILE), lives, true);
            // Numbers of an earlier boot mean nothing.
            check(Some(1000), Binding { cgroup: None, ..binding(1, Some(1001)) }, lives, false);
        }
    }

    #[test]
    fn only_what_has_expired_is_forgotten() {
        let mut bindings = Bindings::new(2);
        for token in ["a", "b"] {
            bindings.bind(token, binding(1, FILE), NOW, alive).unwrap();
        }
        let full = bindings.bind("c", binding(2, FILE), NOW, alive).unwrap_err();
        assert_eq!(full.reason(), "too-many-tokens");
        assert!(bindings.bind("a", binding(1, FILE), NOW, alive).is_ok(), "what is known goes on");
        let c = Binding { expires: LATER + Duration::HOUR, ..binding(2, Some(1000)) };
        bindings.bind("c", c, LATER, alive).unwrap();
        assert_eq!(bindings.tokens.len(), 1);
    }

    #[test]
    fn no_user_keeps_out_others_and_all_together_no_file() {
        let mut bindings = Bindings::new(256);
        let mut accepts = |token: String, user| bindings.bind(&token, binding(1, user), NOW, alive).is_ok();
        let of = |user: u32| (0..256).map(move |number| (format!("{user} {number}"), Some(user)));
        let accepted = of(1000).filter(|(token, user)| accepts(token.clone(), *user)).count();
        assert_eq!(accepted, 4, "of one user");
        let accepted =
            (1001..1100).flat_map(of).filter(|(token, user)| accepts(token.clone(), *user)).count();
        assert_eq!(accepted, 124, "of all others");
        let accepted = (0..256).filter(|number| accepts(format!("file {number}"), FILE)).count();
        assert_eq!(accepted, 128, "of files");
        // Room again once they have expired.
        assert!(bindings.bind("new", binding(1, Some(1000)), LATER, alive).is_ok());
        assert_eq!((bindings.tokens.len(), bindings.presented.len()), (1, 1));
    }

    #[test]
    fn what_a_former_run_accepted_stays_bound_beyond_the_bound() {
        let mut bindings = Bindings::new(2);
        for token in ["a", "b", "c", "d"] {
            bindings.restore(token, binding(1, Some(1000)), NOW);
        }
        for token in ["a", "b", "c", "d"] {
            let stolen = bindings.bind(token, binding(2, Some(1001)), NOW, alive).unwrap_err();
            assert_eq!(stolen.reason(), "token-of-another", "{token}");
        }
        let new = bindings.bind("e", binding(2, Some(1001)), NOW, alive).unwrap_err();
        assert_eq!(new.reason(), "too-many-tokens");
        bindings.restore("a", binding(2, Some(1001)), NOW);
        assert!(bindings.bind("a", binding(1, Some(1000)), NOW, alive).is_ok(), "the first stays");
    }
}
