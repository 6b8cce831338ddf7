//! What the database cannot know by itself: whether a filter leaves few calls or many.
//!
//! Few are quickly found by an index and then sorted by their time; many are found soon by going through time itself. Taken
//! the wrong way round, either reads the whole table. So what an index finds is counted first, up to [`FEW`], and becomes a
//! condition of its own where it is less. Every filter is asked of what it leaves all the same.

use tokio::sync::OnceCell;

use super::{
    CallFilter, QueryError, Reader,
    filter::{self, CALL_TEXT, OUTCOME_TEXT, StatusFilter},
    read,
    statement::{Dialect, Statement},
    trigrams,
};

/// Calls that are quickly read and sorted.
const FEW: i64 = 10_000;
/// The same where each is searched for a text.
const FEW_TEXTS: i64 = 2_000;
/// One in so many calls has what is common.
const COMMON: i64 = 200;
/// Different lists that are looked at.
const LISTS: usize = 2_000;

/// Finds the numbers of few calls, among which are all that a filter leaves.
#[derive(Debug)]
pub(super) enum Few {
    /// By their sessions.
    Of { workload: Option<String>, subject: Option<String> },
    /// By the beginnings of their lists of actions.
    Actions(Vec<String>),
    /// The same of rules.
    Rules(Vec<String>),
    /// By a column that has an index with the time.
    Column(&'static str, String),
    /// By how AWS answered.
    Status(StatusFilter),
    /// By how they ended.
    Outcome(String),
    /// One by one: a JSON list.
    These(String),
    /// By a text in them, in SQLite: what has all these trigrams, and what is not in the index yet.
    Trigrams { all: String, open: String },
    /// By a text in them, in PostgreSQL: a pattern.
    Text { pattern: String, in_outcomes: bool },
}

/// How many calls are to be expected.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::record) struct Expected {
    /// By a way of finding them.
    pub(in crate::record) found: i64,
    /// In all.
    pub(in crate::record) all: i64,
}

/// How sessions with certain calls are found.
#[derive(Debug)]
pub(super) enum SessionHints {
    /// By the calls, which are few.
    Few(Vec<Few>),
    /// One session after the other, until one with such a call is found. The beginnings of the lists of actions and of rules that
    /// such calls have: an index knows which sessions do.
    Each {
        /// `None`: any.
        actions: Option<Vec<String>>,
        /// `None`: any.
        rules: Option<Vec<String>>,
    },
}

impl SessionHints {
    /// Nothing is known.
    pub(super) const NONE: Self = Self::Each { actions: None, rules: None };
}

impl Few {
    /// The statement that finds them.
    pub(super) fn push(&self, query: &mut Statement) {
        const OF_OUTCOMES: &str = "SELECT c.seq FROM outcomes AS o JOIN calls AS c ON c.id = o.call WHERE ";
        match self {
            Self::Of { workload, subject } => {
                let [begin, end] = match query.dialect() {
                    Dialect::Sqlite => {
                        ["SELECT seq FROM calls WHERE session IN (SELECT id FROM sessions WHERE TRUE", ")"]
                    }
                    // A step for each session, whatever the statistics say.
                    Dialect::Postgres => [
                        "SELECT c.seq FROM sessions AS s CROSS JOIN LATERAL \
                         (SELECT seq FROM calls WHERE session = s.id OFFSET 0) AS c WHERE TRUE",
                        "",
                    ],
                };
                query.push(begin);
                filter::push_equal(query, "workload", workload.as_deref());
                filter::push_equal(query, "subject", subject.as_deref());
                query.push(end);
            }
            Self::Actions(lists) => {
                query.push("SELECT seq FROM calls WHERE substr(actions, 1, 200)").one_of(lists);
            }
            Self::Rules(lists) => {
                query.push("SELECT seq FROM calls WHERE substr(rules, 1, 200)").one_of(lists);
            }
            Self::Column(column, value) => {
                query.push("SELECT seq FROM calls WHERE ").push(column).push(" = ").bind(value.as_str());
            }
            Self::Status(status) => {
                query.push(OF_OUTCOMES).push("o.status");
                status.push(query);
            }
            Self::Outcome(outcome) => {
                // As the index says it.
                query
                    .push(OF_OUTCOMES)
                    .push("o.outcome <> 'forwarded' AND o.outcome = ")
                    .bind(outcome.as_str());
            }
            Self::These(list) => push_these(query, list),
            Self::Trigrams { all, open } => {
                // A join: who counts some of them does not wait for all.
                query.push(
                    "SELECT c.seq FROM call_texts AS t JOIN outcomes AS o ON o.seq = t.rowid \
                     JOIN calls AS c ON c.id = o.call WHERE call_texts MATCH ",
                );
                query.bind(all.as_str()).push(" UNION ALL ").push(OF_OUTCOMES);
                query.push("o.seq > (SELECT coalesce(max(id), 0) FROM call_texts_docsize) UNION ALL ");
                push_these(query, open);
            }
            Self::Text { pattern, in_outcomes } => {
                query.push("SELECT seq FROM calls WHERE ").push(CALL_TEXT).like(pattern);
                if *in_outcomes {
                    query.push(" UNION ALL SELECT c.seq FROM (SELECT call FROM outcomes WHERE ");
                    query.push(OUTCOME_TEXT).like(pattern);
                    query.push(") AS o JOIN calls AS c ON c.id = o.call");
                }
            }
        }
    }

    fn limit(&self) -> i64 {
        match self {
            Self::Trigrams { .. } | Self::Text { .. } => FEW_TEXTS,
            _ => FEW,
        }
    }
}

fn push_these(query: &mut Statement, list: &str) {
    query.push("SELECT CAST(value AS bigint) FROM json_each(").bind(list).push(")");
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
    /// What finds few calls of those that the filter leaves.
    pub(super) async fn hints(&self, filter: &CallFilter) -> Result<Vec<Few>, QueryError> {
        // A session's calls have an index by time.
        if filter.session.is_some() {
            return Ok(Vec::new());
        }
        let mut candidates = self.candidates(filter).await?;
        if filter.workload.is_some() || filter.subject.is_some() {
            candidates.push(Few::Of { workload: filter.workload.clone(), subject: filter.subject.clone() });
        }
        let mut found = Vec::new();
        for few in candidates {
            if self.are_few(&few).await? {
                found.push(few);
            }
        }
        Ok(found)
    }

    /// The same for a list of sessions with such calls, which has no order of the calls' times to go by.
    pub(super) async fn session_hints(&self, filter: &CallFilter) -> Result<SessionHints, QueryError> {
        let mut candidates = self.candidates(filter).await?;
        let decision = filter.decision.map(|decision| decision.as_str().to_owned());
        for (column, value) in [
            ("service", &filter.service),
            ("region", &filter.region),
            ("account", &filter.account),
            ("decision", &decision),
        ] {
            candidates.extend(value.clone().map(|value| Few::Column(column, value)));
        }
        let (mut found, mut actions, mut rules) = (Vec::new(), None, None);
        for few in candidates {
            if self.are_few(&few).await? {
                found.push(few);
                continue;
            }
            match few {
                Few::Actions(lists) => actions = Some(lists),
                Few::Rules(lists) => rules = Some(lists),
                _ => {}
            }
        }
        Ok(if found.is_empty() { SessionHints::Each { actions, rules } } else { SessionHints::Few(found) })
    }

    /// What may find few calls, by what they were.
    async fn candidates(&self, filter: &CallFilter) -> Result<Vec<Few>, QueryError> {
        let mut found = Vec::new();
        let open = OnceCell::new();
        if let Some(action) = &filter.action {
            found.extend(self.lists_like(lists!("actions"), action).await?.map(Few::Actions));
        }
        if let Some(rule) = &filter.rule {
            found.extend(self.lists_like(lists!("rules"), rule).await?.map(Few::Rules));
        }
        found.extend(filter.status.map(Few::Status));
        match filter.outcome.as_deref() {
            None | Some("forwarded") => {}
            Some("open") => found.extend(self.open_once(&open).await?.map(Few::These)),
            Some(outcome) => found.push(Few::Outcome(outcome.to_owned())),
        }
        if let Some(resource) = &filter.resource {
            // JSON writes some signs otherwise.
            let is_plain = |c: char| !matches!(c, '"' | '\\') && !c.is_control();
            found.extend(self.containing(resource, is_plain, false, &open).await?);
        }
        if let Some(text) = &filter.text {
            found.extend(self.containing(text, |c| c != '\0', true, &open).await?);
        }
        Ok(found)
    }

    /// The lists with an element like this; `None` where they are too many.
    async fn lists_like(
        &self,
        lists: &'static str,
        pattern: &str,
    ) -> Result<Option<Vec<String>>, QueryError> {
        let mut query = self.pool.statement(lists);
        query.like(&filter::glob(pattern)).push(") ELSE TRUE END LIMIT ");
        query.bind(i64::try_from(LISTS).unwrap_or(i64::MAX));
        let found: Vec<(String,)> = self.pool.all(query).await.map_err(read)?;
        Ok((found.len() < LISTS).then(|| found.into_iter().map(|(list,)| list).collect()))
    }

    /// Calls without an outcome. They are mostly the newest, and it is known how many they are: the search from the newest on
    /// ends with the last of them. `None` where they are not few.
    async fn open_calls(&self) -> Result<Option<String>, QueryError> {
        // A count, not NOT EXISTS, which PostgreSQL would answer for the whole table at once.
        let mut query = self.pool.statement(
            "SELECT seq FROM (SELECT c.seq AS seq FROM calls AS c \
             WHERE (SELECT count(*) FROM outcomes AS o WHERE o.call = c.id) = 0 ORDER BY c.seq DESC \
             LIMIT abs((SELECT count(*) FROM calls) - (SELECT count(*) FROM outcomes))) AS open LIMIT ",
        );
        query.bind(FEW);
        let found: Vec<(i64,)> = self.pool.all(query).await.map_err(read)?;
        if i64::try_from(found.len()).is_ok_and(|count| count >= FEW) {
            return Ok(None);
        }
        let found: Vec<String> = found.into_iter().map(|(seq,)| seq.to_string()).collect();
        Ok(Some(format!("[{}]", found.join(","))))
    }

    /// The same, asked once for one filter.
    async fn open_once(&self, known: &OnceCell<Option<String>>) -> Result<Option<String>, QueryError> {
        known.get_or_try_init(|| self.open_calls()).await.cloned()
    }

    /// Calls with this text, as far as an index finds them. `is_plain`: signs that are stored as they are.
    async fn containing(
        &self,
        text: &str,
        is_plain: impl Fn(char) -> bool + Copy,
        in_outcomes: bool,
        open: &OnceCell<Option<String>>,
    ) -> Result<Option<Few>, QueryError> {
        Ok(match self.pool.dialect() {
            Dialect::Sqlite => match trigrams::of(text, is_plain) {
                Some(all) => self.open_once(open).await?.map(|open| Few::Trigrams { all, open }),
                None => None,
            },
            Dialect::Postgres => {
                (trigrams::has_word(text) && text.chars().all(is_plain) && self.is_indexed().await?)
                    .then(|| Few::Text { pattern: filter::containing(text), in_outcomes })
            }
        })
    }

    /// Whether PostgreSQL has an index of texts: not every server has what it takes.
    async fn is_indexed(&self) -> Result<bool, QueryError> {
        let query = self.pool.statement(
            "SELECT count(*) FROM (SELECT to_regclass('calls_by_text') AS name UNION ALL \
             SELECT to_regclass('outcomes_by_text')) AS indexes WHERE name IS NOT NULL",
        );
        let found: Option<(i64,)> = self.pool.optional(query).await.map_err(read)?;
        Ok(found == Some((2,)))
    }

    /// Whether so many calls have this text that going through time finds them soon. Only PostgreSQL has to be told: it reads all that
    /// an index says before the first is counted.
    async fn is_common(&self, few: &Few) -> Result<bool, QueryError> {
        if !matches!(few, Few::Text { .. }) {
            return Ok(false);
        }
        let Expected { found, all } = self.expected(few).await?;
        Ok(found >= FEW && found.saturating_mul(COMMON) >= all)
    }

    /// What PostgreSQL's statistics say: no call is looked at.
    async fn expected(&self, few: &Few) -> Result<Expected, QueryError> {
        let all = self
            .pool
            .statement("SELECT CAST(reltuples AS bigint) FROM pg_class WHERE oid = to_regclass('calls')");
        let all: Option<(i64,)> = self.pool.optional(all).await.map_err(read)?;
        let mut query = self.pool.statement("EXPLAIN ");
        few.push(&mut query);
        let plan: Vec<(String,)> = self.pool.all(query).await.map_err(read)?;
        // `Append  (cost=0.00..12.35 rows=67 width=8)`
        let rows = plan.first().and_then(|(line,)| line.split_once(" rows=")?.1.split(' ').next());
        let found = rows.and_then(|rows| rows.parse().ok()).unwrap_or_default();
        Ok(Expected { found, all: all.map_or(0, |(all,)| all) })
    }

    /// The same of a text in calls.
    #[cfg(test)]
    pub(in crate::record) async fn expected_with(&self, text: &str) -> Expected {
        let few = Few::Text { pattern: filter::containing(text), in_outcomes: true };
        self.expected(&few).await.unwrap_or_default()
    }

    async fn are_few(&self, few: &Few) -> Result<bool, QueryError> {
        if self.is_common(few).await? {
            return Ok(false);
        }
        let mut query = self.pool.statement("SELECT count(*) FROM (SELECT 1 FROM (");
        few.push(&mut query);
        query.push(") AS found LIMIT ").bind(few.limit()).push(") AS few");
        let found: Option<(i64,)> = self.pool.optional(query).await.map_err(read)?;
        Ok(found.is_some_and(|(count,)| count < few.limit()))
    }
}
