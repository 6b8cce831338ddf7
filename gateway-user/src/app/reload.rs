//! Changed policies: the new set as a whole, or the last good one.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;

use crate::{config::policies, record::Event, serve::Gateway};

/// Reloads the policies and remembers how the last attempt went.
pub(super) struct Reloader {
    gateway: Arc<Gateway>,
    dir: PathBuf,
    last_error: Mutex<Option<String>>,
}

impl Reloader {
    pub(super) fn new(gateway: Arc<Gateway>, dir: PathBuf) -> Self {
        Self { gateway, dir, last_error: Mutex::new(None) }
    }

    /// Why the last reload kept the old policies; `None` when the files are what is in force.
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn reload(&self) {
        let event = match policies::load(&self.dir) {
            Ok(policies) => {
                let (digest, rules) = (policies.digest().to_owned(), policies.rule_count());
                self.gateway.policies.store(Arc::new(policies));
                self.remember(None);
                tracing::info!(digest, rules, "policies reloaded");
                let mut event = Event::new("policies-reloaded", format!("{rules} rules"));
                event.detail = json!({ "digest": digest, "rules": rules });
                event
            }
            Err(error) => {
                let digest = self.gateway.policies.load().digest().to_owned();
                tracing::error!(%error, in_force = digest, "the policies were not reloaded: the last good ones stay in force");
                self.remember(Some(error.to_string()));
                let mut event =
                    Event::new("policies-rejected", format!("the last good policies stay in force: {error}"));
                event.detail = json!({ "in_force": digest });
                event
            }
        };
        if let Err(error) = self.gateway.recorder.event(event).await {
            tracing::error!(%error, "a policy reload could not be recorded");
        }
    }

    fn remember(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}
