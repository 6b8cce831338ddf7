//! A database in a directory of its own, and rows to put into it.

use std::{path::PathBuf, str::FromStr, sync::Arc};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    clock::Clock,
    identify::{Identity, WorkloadConfig},
    prim::{CallId, CgroupId, CgroupPath, SessionId},
    record::{Config, Decision, Intent, Opened, Recorder, SessionStart},
};

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
        let mut config = Config { database: dir.path().join("state/chaperone.db"), ..Config::default() };
        change(&mut config);
        Self { dir, config, clock: Clock::manual(START) }
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

    /// The only value of a statement, as text.
    pub(crate) async fn ask(&self, sql: &'static str) -> String {
        let mut conn = self.sqlite().await;
        let value: Option<String> = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        value.unwrap_or_else(|| "NULL".to_owned())
    }

    pub(crate) fn file(&self, suffix: &str) -> PathBuf {
        let mut path = self.config.database.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

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
        hostname: "build7".to_owned(),
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
