//! What is recorded beside a call's own rows.

use serde::Serialize;

use super::{CallView, EventView, MaskedView, QueryError, Reader, read};

/// What belongs to one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// What was hidden in its answer.
    pub masked: Vec<MaskedView>,
    /// The events that name it: revealed answers, keys that were minted or withheld.
    pub events: Vec<EventView>,
    /// Its answer, as far as it is stored.
    pub answer: Option<Answer>,
}

/// An answer as the agent got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Without what was hidden.
    pub text: String,
}

impl Reader {
    /// Everything that belongs to `call` and is not in its row.
    ///
    /// # Errors
    /// Reading.
    pub async fn about(&self, call: &CallView) -> Result<About, QueryError> {
        let mut query = self.pool.statement("SELECT path, cause, digest, count FROM masked WHERE call = ");
        query.bind(call.id.as_str()).push(" ORDER BY seq");
        let masked = self.pool.all(query).await.map_err(read)?;
        let mut query = self.pool.statement("SELECT * FROM events WHERE session = ");
        query.bind(call.session.as_str()).push(" AND detail ->> 'call_id' = ").bind(call.id.as_str());
        query.push(" ORDER BY time, seq");
        let events = self.pool.all(query).await.map_err(read)?;
        Ok(About { masked, events, answer: answer(call) })
    }
}

/// Bodies are not stored by this version of the record.
fn answer(_call: &CallView) -> Option<Answer> {
    None
}
