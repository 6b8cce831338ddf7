//! What is recorded beside a call's own rows.

use serde::Serialize;

use super::{Bodies, CallView, EventView, MaskedView, QueryError, Reader, read};

/// What belongs to one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// What was hidden in its answer.
    pub masked: Vec<MaskedView>,
    /// The events that name it: revealed answers, keys that were minted or withheld.
    pub events: Vec<EventView>,
    /// What was asked and answered, as far as it is kept; `None` where it is not what was recorded.
    pub bodies: Option<Bodies>,
    /// What is wrong with what is kept.
    pub altered: Option<String>,
}

impl Reader {
    /// Everything that belongs to `call` and is not in its row.
    ///
    /// # Errors
    /// Reading.
    pub async fn about(&self, call: &CallView) -> Result<About, QueryError> {
        let mut query = self.pool.statement("SELECT * FROM events WHERE session = ");
        query.bind(call.session.as_str()).push(" AND detail ->> 'call_id' = ").bind(call.id.as_str());
        query.push(" ORDER BY time, seq");
        let events = self.pool.all(query).await.map_err(read)?;
        Ok(About { events, ..self.about_without_events(call).await? })
    }

    /// The same but for the events, to find which all of the session's are read.
    ///
    /// # Errors
    /// Reading.
    pub async fn about_without_events(&self, call: &CallView) -> Result<About, QueryError> {
        let mut query = self.pool.statement("SELECT path, cause, digest, count FROM masked WHERE call = ");
        query.bind(call.id.as_str()).push(" ORDER BY seq");
        let masked = self.pool.all(query).await.map_err(read)?;
        let (bodies, altered) = match self.bodies(&call.id).await {
            Ok(bodies) => (Some(bodies), None),
            // The rest of what is known of the call is as good as before.
            Err(error @ QueryError::Altered { .. }) => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        Ok(About { masked, events: Vec::new(), bodies, altered })
    }
}
