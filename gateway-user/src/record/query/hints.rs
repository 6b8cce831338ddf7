//! What the database cannot know by itself: whether a filter leaves few calls or many.
//!
//! Few are quickly found by an index and then sorted by their time; many are found soon by going through time itself. Taken
//! the wrong way round, either reads the whole table. So up to [`FEW`] are counted first, which an index answers. PostgreSQL
//! has statistics for columns; for lists of actions and rules, nobody has.

use super::{
    CallFilter, QueryError, Reader,
    filter::{self, StatusFilter},
    read,
    statement::{Pool, Statement},
};

/// Calls that are quickly sorted.
const FEW: i64 = 20_000;
/// Different lists that are looked at.
const LISTS: usize = 2_000;

/// How calls are best found.
#[derive(Debug, Clone, Default)]
pub(super) struct Hints {
    /// Not by way of their sessions.
    pub(super) many_of_sessions: bool,
    /// Not by way of their outcomes.
    pub(super) many_of_status: bool,
    /// The beginnings of the lists of actions that fit, where they are of few calls.
    pub(super) actions: Option<Vec<String>>,
    /// The same of rules.
    pub(super) rules: Option<Vec<String>>,
}

/// The different beginnings of a list, found by steps through its index.
macro_rules! lists {
    ($column:literal) => {
        concat!(
            "WITH RECURSIVE step (list) AS (SELECT min(substr(",
            $column,
            ", 1, 200)) FROM calls UNION ALL \
             SELECT (SELECT min(substr(c.",
            $column,
            ", 1, 200)) FROM calls AS c \
             WHERE substr(c.",
            $column,
            ", 1, 200) > step.list) FROM step WHERE step.list IS NOT NULL) \
             SELECT list FROM step WHERE list IS NOT NULL AND CASE WHEN length(list) < 200 THEN \
             EXISTS (SELECT 1 FROM json_each(list) AS item WHERE item.value"
        )
    };
}

impl Reader {
    pub(super) async fn hints(&self, filter: &CallFilter) -> Result<Hints, QueryError> {
        let mut hints = Hints::default();
        if filter.session.is_some() {
            return Ok(hints);
        }
        if let Pool::Sqlite(_) = self.pool {
            hints.many_of_sessions = self.many_of_sessions(filter).await?;
            if let Some(status) = filter.status {
                hints.many_of_status = self.many_of_status(status).await?;
            }
        }
        if let Some(action) = &filter.action {
            hints.actions = self
                .few_of(
                    lists!("actions"),
                    "SELECT count(*) FROM (SELECT 1 FROM calls WHERE substr(actions, 1, 200)",
                    action,
                )
                .await?;
        }
        if let Some(rule) = &filter.rule {
            hints.rules = self
                .few_of(
                    lists!("rules"),
                    "SELECT count(*) FROM (SELECT 1 FROM calls WHERE substr(rules, 1, 200)",
                    rule,
                )
                .await?;
        }
        Ok(hints)
    }

    async fn many_of_sessions(&self, filter: &CallFilter) -> Result<bool, QueryError> {
        if filter.workload.is_none() && filter.subject.is_none() {
            return Ok(false);
        }
        let mut query = self.pool.statement(
            "SELECT count(*) FROM (SELECT 1 FROM calls WHERE session IN (SELECT id FROM sessions WHERE TRUE",
        );
        filter::push_equal(&mut query, "workload", filter.workload.as_deref());
        filter::push_equal(&mut query, "subject", filter.subject.as_deref());
        query.push(")");
        self.is_many(query).await
    }

    async fn many_of_status(&self, status: StatusFilter) -> Result<bool, QueryError> {
        let mut query = self.pool.statement("SELECT count(*) FROM (SELECT 1 FROM outcomes WHERE status");
        status.push(&mut query);
        self.is_many(query).await
    }

    /// The lists with an element like this, where they are of few calls.
    async fn few_of(
        &self,
        lists: &'static str,
        calls: &'static str,
        pattern: &str,
    ) -> Result<Option<Vec<String>>, QueryError> {
        let mut query = self.pool.statement(lists);
        query.like(&filter::glob(pattern)).push(") ELSE TRUE END LIMIT ");
        query.bind(i64::try_from(LISTS).unwrap_or(i64::MAX));
        let found: Vec<(String,)> = self.pool.all(query).await.map_err(read)?;
        if found.len() >= LISTS {
            return Ok(None);
        }
        let found: Vec<String> = found.into_iter().map(|(list,)| list).collect();
        let mut query = self.pool.statement(calls);
        query.one_of(&found);
        Ok(if self.is_many(query).await? { None } else { Some(found) })
    }

    async fn is_many(&self, mut counted: Statement) -> Result<bool, QueryError> {
        counted.push(" LIMIT ").bind(FEW).push(") AS few");
        let found: Option<(i64,)> = self.pool.optional(counted).await.map_err(read)?;
        Ok(found.is_some_and(|(count,)| count >= FEW))
    }
}
