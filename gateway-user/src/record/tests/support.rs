//! A database in a directory of its own, and rows to put into it.

use std::{path::PathBuf, str::FromStr, sync::Arc};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row, SqliteConnection,
    sqlite::SqliteConnectOptions,
};
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    clock::Clock,
    identify::{Identity, WorkloadConfig},
    prim::{CallId, CgroupId, CgroupPath, SessionId},
    record::{Config, DatabaseUrl, Decision, Intent, Opened, Recorder, SessionStart, StoreKind, audit},
};

use super::server::Server;

/// The same promises of both stores: each test of the list is one of `sqlite` and one of `postgres`.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::record::tests::support::On::Sqlite).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name($crate::record::tests::support::On::Postgres).await;
            })+
        }
    };
}
pub(crate) use on_both;

/// Which store a promise is tried on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

impl On {
    pub(crate) fn bench(self) -> Bench {
        self.with(|_| {})
    }

    pub(crate) fn with(self, change: impl FnOnce(&mut Config)) -> Bench {
        match self {
            Self::Sqlite => Bench::with(change),
            Self::Postgres => Bench::postgres(Server::shared(), change),
        }
    }
}

/// Which host records for.
pub(crate) const HOST: &str = "build7";
/// Where every test's clock starts.
pub(crate) const START: OffsetDateTime = datetime!(2026-03-01 12:00:00 UTC);

/// A temporary directory with a database, and a clock that is moved by hand.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("state/chaperone.db");
        let mut config = Config { database, host: Some(HOST.to_owned()), ..Config::default() };
        change(&mut config);
        Self { dir, config, clock: Clock::manual(START) }
    }

    /// A new database of the server.
    pub(crate) fn postgres(server: &Server, change: impl FnOnce(&mut Config)) -> Self {
        let database = server.create_database();
        server.sql(&database, GROUP_CONCAT);
        let url: DatabaseUrl = server.url("postgres", &database).parse().unwrap();
        Self::with(|config| {
            config.store = StoreKind::Postgres;
            config.url = Some(url);
            change(config);
        })
    }

    pub(crate) async fn open(&self) -> Opened {
        Recorder::open(&self.config, self.clock.clone()).await.unwrap()
    }

    /// An open database with one session in it.
    pub(crate) async fn recorder(&self) -> Recorder {
        let recorder = self.open().await.recorder;
        recorder.session_started(session(1)).await.unwrap();
        recorder
    }

    pub(crate) fn tick(&self, step: Duration) {
        self.clock.set(self.clock.now() + step);
    }

    /// A second connection, as another process would have it.
    pub(crate) async fn sqlite(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(&self.config.database)
            .foreign_keys(true)
            .connect()
            .await
            .unwrap()
    }

    /// The same to PostgreSQL.
    pub(crate) async fn postgres_connection(&self) -> PgConnection {
        self.config.url.as_ref().unwrap().options().unwrap().connect().await.unwrap()
    }

    /// The rows of a statement, with its columns' names before them, as text.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, sqlx::Error> {
        macro_rules! rows {
            ($conn:expr) => {{
                let mut conn = $conn;
                let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut conn).await?;
                conn.close().await?;
                let names = rows.first().map(|row| {
                    row.columns().iter().map(|column| sqlx::Column::name(column).to_owned()).collect()
                });
                let cell = |row: &_, n| {
                    let text: Option<String> = Row::try_get_unchecked(row, n).unwrap();
                    text.unwrap_or_else(|| "NULL".to_owned())
                };
                let rows = rows.iter().map(|row| (0..row.len()).map(|n| cell(row, n)).collect());
                names.into_iter().chain(rows).collect()
            }};
        }
        Ok(match self.config.store {
            StoreKind::Sqlite => rows!(self.sqlite().await),
            StoreKind::Postgres => rows!(self.postgres_connection().await),
        })
    }

    /// The only value of a statement, as text.
    pub(crate) async fn ask(&self, sql: &str) -> String {
        let rows = self.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.get(1).unwrap_or_else(|| panic!("{sql}: no row"))[0].clone()
    }

    /// Changes the database's settings and ends every connection to it, so that they hold for the next.
    pub(crate) async fn alter(&self, setting: &str) {
        let mut conn = self.postgres_connection().await;
        let database: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&mut conn).await.unwrap();
        let statements = [
            "SET default_transaction_read_only = off".to_owned(),
            format!("ALTER DATABASE {database} {setting}"),
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
                .to_owned(),
        ];
        for sql in statements {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
        }
        conn.close().await.unwrap();
    }

    /// Nothing in the file contradicts anything else in it.
    pub(crate) async fn check_integrity(&self) {
        if self.config.store == StoreKind::Sqlite {
            assert_eq!(self.ask("PRAGMA integrity_check").await, "ok");
        }
        let audit = audit::audit(&self.config, audit::Request::default(), audit::Progress::default()).await;
        let audit = audit.unwrap();
        assert!(!audit.has_discrepancy(), "{audit:?}");
        assert!(!audit.logs.is_empty());
    }

    pub(crate) fn file(&self, suffix: &str) -> PathBuf {
        let mut path = self.config.database.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

/// SQLite's aggregate, so that tests ask both stores in the same words.
const GROUP_CONCAT: &str = "\
    CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE sql \
    RETURN CASE WHEN $1 IS NULL THEN $2 ELSE $1 || ',' || $2 END; \
    CREATE AGGREGATE group_concat(text) (sfunc = joined, stype = text)";

/// Ids that are the same in every run and sort by `n`.
pub(crate) fn session_id(n: u32) -> SessionId {
    SessionId::from_str(&format!("s-{n:08x}0000700080000000000000aa")).unwrap()
}

pub(crate) fn call_id(n: u32) -> CallId {
    CallId::from_str(&format!("c-{n:08x}0000700080000000000000cc")).unwrap()
}

pub(crate) fn session(n: u32) -> SessionStart {
    SessionStart {
        id: session_id(n),
        started: START,
        workload: "claude-builds".parse().unwrap(),
        identity: Arc::new(identity("claude-builds")),
        hostname: HOST.to_owned(),
        boot_id: "6f1d7c1e-4a7b-4a53-9d8e-3f2c3b1a0e55".to_owned(),
        cgroup_path: CgroupPath::new("agents.slice/claude-1.scope"),
        cgroup_id: CgroupId(4711),
        command: vec!["claude".to_owned(), "-p".to_owned(), "fix the build".to_owned()],
        uid: Some(1000),
    }
}

/// Vouched for by the host.
pub(crate) fn identity(workload: &str) -> Identity {
    let groups = vec!["ai-agents".to_owned()];
    Identity::host(&WorkloadConfig { groups, ..WorkloadConfig::named(workload.parse().unwrap()) })
}

/// An allowed call of session 1.
pub(crate) fn intent(n: u32) -> Intent {
    Intent {
        account: Some("123456789012".to_owned()),
        region: Some("eu-central-1".to_owned()),
        host: Some("builds.s3.eu-central-1.amazonaws.com".to_owned()),
        service: Some("s3".to_owned()),
        operation: Some("GetObject".to_owned()),
        method: Some("GET".to_owned()),
        actions: vec!["s3:GetObject".to_owned()],
        resources: vec!["arn:aws:s3:::builds/app.tar".to_owned()],
        params: serde_json::json!({"Bucket": "builds", "Key": "app.tar"}),
        rules: vec!["builds-read".to_owned()],
        ..Intent::new(call_id(n), session_id(1), 42, 1000, Decision::Allow)
    }
}
