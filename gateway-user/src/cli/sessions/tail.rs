//! `chaperone sessions tail`: calls and events while they are recorded.

use std::time::Duration;

use super::replay::{Beside, Form, tell, tell_event, whole};
use crate::{
    cli::table::Screen,
    record::query::{CallFilter, EventFilter, Marks, Order, Page, Reader},
};

/// Between two looks at the database.
const PAUSE: Duration = Duration::from_millis(300);
/// Longest wait for how calls of an ended session end.
const LAST: Duration = Duration::from_secs(10);
/// Rows that are read at once.
const AT_ONCE: u32 = 500;

/// Follows until the session ends, or Ctrl-C.
pub(super) async fn run(
    reader: &Reader,
    id: Option<&str>,
    form: Form,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    // From the first time that it is listened for, Ctrl-C does nothing else: so it is throughout, also while the database
    // is asked. A call or an event is printed without waiting in between, so whatever was begun is whole.
    tokio::select! {
        biased;
        stopped = tokio::signal::ctrl_c() => Ok(stopped?),
        over = follow(reader, id, form, screen) => over,
    }
}

/// Follows until the session ends; without one, for ever.
async fn follow(
    reader: &Reader,
    id: Option<&str>,
    form: Form,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let session = match id {
        Some(id) => Some(reader.session(id).await?.id),
        None => None,
    };
    let mut tail = Tail {
        calls: CallFilter { session: session.clone(), ..CallFilter::default() },
        events: EventFilter { session: session.clone(), ..EventFilter::default() },
        at: reader.settled().await?,
        form,
    };
    let mut waited = Duration::ZERO;
    loop {
        // Asked first: what the session did before its end, and how that ended, is told before this returns.
        let ended = match &session {
            Some(id) => reader.session(id).await?.ended,
            None => None,
        };
        let is_under_way = ended.is_some() && waited < LAST && tail.is_under_way(reader).await?;
        tail.catch_up(reader, screen).await?;
        screen.flush()?;
        if is_under_way {
            waited += PAUSE;
        } else if let Some(ended) = ended {
            screen.note(&format!("the session ended at {ended}"))?;
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is followed, and up to where it was told.
pub(super) struct Tail {
    pub(super) calls: CallFilter,
    pub(super) events: EventFilter,
    pub(super) at: Marks,
    pub(super) form: Form,
}

impl Tail {
    /// Whether a call of the session has not ended.
    async fn is_under_way(&self, reader: &Reader) -> anyhow::Result<bool> {
        let open = CallFilter { outcome: Some("open".to_owned()), ..self.calls.clone() };
        let page = Page { limit: 1, cursor: None, order: Order::Newest };
        Ok(!reader.calls(&open, &page).await?.rows.is_empty())
    }

    /// Tells what came since the last time. A call that is open is told twice: when it begins, and when it ends.
    pub(super) async fn catch_up(&mut self, reader: &Reader, screen: &mut Screen<'_>) -> anyhow::Result<()> {
        let to = reader.settled().await?;
        let beside = if self.calls.session.is_some() { Beside::Time } else { Beside::Whose };
        loop {
            let events = reader.happened(&self.events, (self.at.events, to.events), AT_ONCE).await?;
            for event in &events {
                tell_event(event, beside, self.form, screen)?;
                self.at.events = event.seq;
            }
            if events.is_empty() {
                break;
            }
        }
        loop {
            let calls = reader.begun(&self.calls, (self.at.calls, to.calls), AT_ONCE).await?;
            if calls.is_empty() {
                break;
            }
            for call in calls {
                self.at.calls = call.seq;
                // What has ended comes below, now or next time.
                if call.outcome_seq.is_none() {
                    tell(&whole(call, reader, self.form).await?, beside, self.form, screen)?;
                }
            }
        }
        loop {
            let calls = reader.ended(&self.calls, (self.at.outcomes, to.outcomes), AT_ONCE).await?;
            if calls.is_empty() {
                break;
            }
            for call in calls {
                self.at.outcomes = call.outcome_seq.unwrap_or(to.outcomes);
                tell(&whole(call, reader, self.form).await?, beside, self.form, screen)?;
            }
        }
        self.at = to;
        Ok(())
    }
}
