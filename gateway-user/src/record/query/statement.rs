//! SQL for either store, with every value from outside as a parameter.

use sqlx::{AssertSqlSafe, FromRow, PgPool, SqlitePool, postgres::PgRow, sqlite::SqliteRow};

/// Where statements are asked.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A statement in the making: its text is this program's, its values are parameters.
#[derive(Debug)]
pub(super) struct Statement {
    sql: String,
    values: Vec<Value>,
    dialect: Dialect,
}

/// Where the stores differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl Statement {
    pub(super) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    #[expect(private_bounds, reason = "what can be bound is this file's matter")]
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
        self
    }

    /// That what was pushed last is one of these. Each is a parameter of its own: PostgreSQL looks up how common it is.
    pub(super) fn one_of(&mut self, texts: &[String]) -> &mut Self {
        self.push(" IN (NULL");
        for text in texts {
            self.push(", ").bind(text.as_str());
        }
        self.push(")")
    }

    /// That `seq` is one of few that a statement of its own finds, which `few` pushes. PostgreSQL takes what it puts into an
    /// array for little, and for nothing that the rest could find sooner.
    pub(super) fn seq_in(&mut self, few: impl FnOnce(&mut Self)) -> &mut Self {
        let [begin, end] = match self.dialect {
            Dialect::Sqlite => [" AND seq IN (", ")"],
            Dialect::Postgres => [" AND seq = ANY (ARRAY(", "))"],
        };
        self.push(begin);
        few(self);
        self.push(end)
    }

    /// That what was pushed last, a value of a function, is compared as columns are: with the case of ASCII letters alone aside.
    pub(super) fn as_column(&mut self) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self,
            Dialect::Postgres => self.push(" COLLATE \"C\""),
        }
    }

    /// The column that is pushed next is not looked up in an index. PostgreSQL knows by itself.
    pub(super) fn unindexed(&mut self) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.push("+"),
            Dialect::Postgres => self,
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The values of a text that has its `$1` and so on already.
    pub(super) fn values(&mut self, values: impl IntoIterator<Item = String>) {
        self.values.extend(values.into_iter().map(Value::Text));
    }

    /// That what was pushed last is like `pattern`, in which `\` makes signs literal, without regard to the case of ASCII
    /// letters.
    pub(super) fn like(&mut self, pattern: &str) -> &mut Self {
        let like = match self.dialect {
            Dialect::Sqlite => " LIKE ",
            Dialect::Postgres => " ILIKE ",
        };
        self.push(like).bind(pattern).push(r" ESCAPE '\'")
    }
}

/// A row of either store.
pub(super) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin> Row for T {}

/// Binds the values and asks.
macro_rules! ask {
    ($pool:expr, $statement:expr, $fetch:ident) => {{
        let mut query = sqlx::query_as(AssertSqlSafe($statement.sql));
        for value in $statement.values {
            query = match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
            };
        }
        query.$fetch($pool).await
    }};
}

impl Pool {
    /// The beginning of a statement.
    pub(super) fn statement(&self, sql: &'static str) -> Statement {
        Statement { sql: sql.to_owned(), values: Vec::new(), dialect: self.dialect() }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(super) async fn all<T: Row>(&self, statement: Statement) -> Result<Vec<T>, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => ask!(pool, statement, fetch_all),
            Self::Postgres(pool) => ask!(pool, statement, fetch_all),
        }
    }

    pub(super) async fn optional<T: Row>(&self, statement: Statement) -> Result<Option<T>, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => ask!(pool, statement, fetch_optional),
            Self::Postgres(pool) => ask!(pool, statement, fetch_optional),
        }
    }
}
