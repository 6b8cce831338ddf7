//! The keys of one issuer, kept: fetched at first use, renewed on a timer, sought once where one is missing.
//!
//! A fetch runs as a task of its own, so that a caller who goes away ends it for nobody; there is never more than one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls_pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;

use super::{Config, IssuerError, discovery::Source, jwk::KeySet};
use crate::{clock::Clock, prim::IssuerName};

/// Seconds between attempts while there are no keys to use.
const RETRY_SECS: u64 = 5;

/// The keys of one issuer. Cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Keys(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: IssuerName,
    source: Source,
    clock: Clock,
    refresh_secs: u64,
    max_age_secs: u64,
    min_refetch_secs: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last keys that could be fetched, and when they were asked for.
    good: Option<(Arc<KeySet>, OffsetDateTime)>,
    /// When a fetch last began or failed.
    tried: Option<OffsetDateTime>,
    /// When an unknown key last made one begin.
    sought: Option<OffsetDateTime>,
    /// The fetch under way: it closes this when it has ended, in whichever way.
    flight: Option<watch::Receiver<()>>,
}

impl Keys {
    pub(super) fn new(
        config: &Config,
        own_ca: Option<&CertificateDer<'_>>,
        clock: Clock,
    ) -> Result<Self, IssuerError> {
        Ok(Self(Arc::new(Shared {
            name: config.name.clone(),
            source: Source::new(config, own_ca)?,
            clock,
            refresh_secs: config.keys_refresh_secs,
            max_age_secs: config.keys_max_age_secs,
            min_refetch_secs: config.min_refetch_secs,
            state: Mutex::default(),
        })))
    }

    /// Keys to check a token with; none while the issuer is down. Waits where there are none, and where those there
    /// are should have been replaced long ago: what was withdrawn since must not be believed while the issuer can
    /// say so.
    pub(super) async fn current(&self) -> Option<Arc<KeySet>> {
        let shared = &self.0;
        let now = shared.clock.now();
        let flight = {
            let mut state = shared.lock();
            let usable = shared.usable(&state, now);
            let pause = if usable.is_some() { shared.min_refetch_secs } else { RETRY_SECS };
            let flight = match state.flight() {
                None if shared.is_due(&state, now) && is_past(state.tried, pause, now) => {
                    Some(shared.begin(&mut state, now))
                }
                under_way => under_way,
            };
            match flight {
                Some(flight) if usable.is_none() || shared.is_overdue(&state, now) => flight,
                Some(_) | None => return usable,
            }
        };
        self.landed(flight).await
    }

    /// Fetches the keys if that is due, and waits for it: so they are renewed also while nobody brings a token.
    pub(super) async fn refresh(&self) {
        let shared = &self.0;
        let now = shared.clock.now();
        let flight = {
            let mut state = shared.lock();
            let due = shared.is_due(&state, now) && is_past(state.tried, shared.min_refetch_secs, now);
            state.flight().or_else(|| due.then(|| shared.begin(&mut state, now)))
        };
        if let Some(flight) = flight {
            self.landed(flight).await;
        }
    }

    /// Keys fetched just now, because a token names one that is not known; none where that was tried a short while
    /// ago, so that made-up names cost the issuer nothing.
    pub(super) async fn newer(&self) -> Option<Arc<KeySet>> {
        let shared = &self.0;
        let now = shared.clock.now();
        let flight = {
            let mut state = shared.lock();
            match state.flight() {
                Some(flight) => flight,
                None if is_past(state.sought, shared.min_refetch_secs, now) => {
                    state.sought = Some(now);
                    shared.begin(&mut state, now)
                }
                None => return None,
            }
        };
        self.landed(flight).await
    }

    /// Waits for the fetch under way, if there is one.
    #[cfg(test)]
    pub(super) async fn settled(&self) {
        let flight = self.0.lock().flight();
        if let Some(flight) = flight {
            self.landed(flight).await;
        }
    }

    async fn landed(&self, mut flight: watch::Receiver<()>) -> Option<Arc<KeySet>> {
        // Nothing is ever sent: this is an error, and comes when the fetch has ended.
        let _ = flight.changed().await;
        self.0.usable(&self.0.lock(), self.0.clock.now())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys there are, unless they are too old to be believed.
    fn usable(&self, state: &State, now: OffsetDateTime) -> Option<Arc<KeySet>> {
        let (set, at) = state.good.as_ref()?;
        (now - *at <= seconds(self.max_age_secs)).then(|| Arc::clone(set))
    }

    /// Whether newer keys are to be fetched.
    fn is_due(&self, state: &State, now: OffsetDateTime) -> bool {
        state.good.as_ref().is_none_or(|(_, at)| is_past(Some(*at), self.refresh_secs, now))
    }

    /// Whether they were to be fetched a whole interval ago.
    fn is_overdue(&self, state: &State, now: OffsetDateTime) -> bool {
        let late = seconds(self.refresh_secs).saturating_add(seconds(self.refresh_secs));
        state.good.as_ref().is_some_and(|(_, at)| now - *at > late)
    }

    fn begin(self: &Arc<Self>, state: &mut State, now: OffsetDateTime) -> watch::Receiver<()> {
        let (landing, flight) = watch::channel(());
        state.flight = Some(flight.clone());
        state.tried = Some(now);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = shared.source.keys().await;
            let mut state = shared.lock();
            state.flight = None;
            let issuer = &shared.name;
            match fetched {
                Ok(set) => {
                    tracing::info!(%issuer, keys = set.len(), "fetched the keys of an issuer");
                    for (place, why) in &set.skipped {
                        tracing::warn!(%issuer, place, why, "a key of an issuer is not used");
                    }
                    state.good = Some((Arc::new(set), now));
                }
                Err(error) => {
                    let end = shared.clock.now();
                    let in_use = shared.usable(&state, end).is_some();
                    tracing::warn!(%issuer, %error, in_use, "cannot fetch the keys of an issuer");
                    state.tried = Some(end);
                }
            }
            // Those who wait read the state, so it is let go first.
            drop(state);
            drop(landing);
        });
        flight
    }
}

impl State {
    /// The fetch under way, if there is one; one that ended badly leaves a closed channel behind.
    fn flight(&self) -> Option<watch::Receiver<()>> {
        self.flight.clone().filter(|flight| flight.has_changed().is_ok())
    }
}

/// Whether something was never done, or not for so many seconds. A clock that was set back makes it due.
fn is_past(last: Option<OffsetDateTime>, secs: u64, now: OffsetDateTime) -> bool {
    last.is_none_or(|last| now < last || now - last >= seconds(secs))
}

fn seconds(count: u64) -> Duration {
    i64::try_from(count).map_or(Duration::MAX, Duration::seconds)
}
