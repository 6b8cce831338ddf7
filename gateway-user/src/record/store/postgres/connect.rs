//! A connection that may be written on: to a server that keeps its promises, alone for this host.

use std::{borrow::Cow, time::Duration};

use aws_lc_rs::digest;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::timeout;

use crate::record::{Config, DatabaseUrl, RecordError};

/// The oldest PostgreSQL that the schema is for, as `server_version_num`.
const OLDEST: i32 = 150_000;

/// How soon the server notices that this host is gone, in seconds: an idle connection of a host that lost
/// its power would hold the lock for hours otherwise.
const KEEPALIVE_IDLE: u32 = 5;
const KEEPALIVE_INTERVAL: u32 = 3;
const KEEPALIVE_COUNT: u32 = 3;

/// Where the database is, and what is asked of it.
#[derive(Debug)]
pub(super) struct Server {
    /// The URL for people: without the password.
    pub(super) database: String,
    /// What this host is called in the records.
    pub(super) host: String,
    pub(super) statement_timeout: Duration,
    connect_timeout: Duration,
    url: DatabaseUrl,
}

/// A connection's process on the server.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Backend {
    pid: i32,
    /// Pids come again; this tells them apart.
    started: String,
}

/// What the server says of itself.
#[derive(Debug, sqlx::FromRow)]
struct Promises {
    version: i32,
    version_name: String,
    encoding: String,
    fsync: String,
    synchronous_commit: String,
    standby: bool,
    #[sqlx(flatten)]
    backend: Backend,
}

impl Server {
    pub(super) fn new(config: &Config) -> Result<Self, RecordError> {
        let Some(url) = config.url.clone() else {
            let detail = "record.url is missing".to_owned();
            return Err(RecordError::Open { database: "in PostgreSQL".to_owned(), detail });
        };
        Ok(Self {
            database: url.to_string(),
            host: config.host_name(),
            statement_timeout: Duration::from_secs(config.statement_timeout_secs),
            connect_timeout: Duration::from_secs(config.connect_timeout_secs),
            url,
        })
    }

    /// Connects and takes this host's lock. `before` is the connection that this one replaces.
    ///
    /// # Errors
    /// [`RecordError::InUse`]; [`RecordError::Store`] otherwise.
    pub(super) async fn connect(
        &self,
        before: Option<&Backend>,
    ) -> Result<(PgConnection, Backend), RecordError> {
        self.in_time(async {
            let (mut conn, backend) = self.connect_checked().await?;
            if let Some(before) = before {
                // The server may not have noticed yet that the old connection is cut.
                end(&mut conn, before, self.connect_timeout / 3).await?;
            }
            self.lock(&mut conn).await?;
            Ok((conn, backend))
        })
        .await
    }

    /// The same without the lock: for the schema alone.
    pub(super) async fn connect_unlocked(&self) -> Result<PgConnection, RecordError> {
        Ok(self.in_time(self.connect_checked()).await?.0)
    }

    async fn in_time<T>(
        &self,
        connecting: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, RecordError> {
        match timeout(self.connect_timeout, connecting).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(ConnectError::Record(error))) => Err(error),
            Ok(Err(ConnectError::Sql(error))) => Err(RecordError::Store(error.to_string())),
            Err(_) => Err(RecordError::Store(format!("no connection within {:?}", self.connect_timeout))),
        }
    }

    async fn connect_checked(&self) -> Result<(PgConnection, Backend), ConnectError> {
        let options = self
            .url
            .options()?
            .application_name(&format!("chaperone {}", self.host))
            .disable_statement_logging();
        let mut conn = options.connect().await?;
        let promises: Promises = sqlx::query_as(
            "SELECT current_setting('server_version_num')::int AS version, \
             current_setting('server_version') AS version_name, \
             current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync, \
             current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS standby, \
             pg_backend_pid() AS pid, \
             (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started",
        )
        .fetch_one(&mut conn)
        .await?;
        if let Some(broken) = promises.broken() {
            return Err(ConnectError::Record(RecordError::Store(broken.into_owned())));
        }
        self.settle(&mut conn, &promises.synchronous_commit).await?;
        Ok((conn, promises.backend))
    }

    /// What holds for this connection, whatever is changed for others while it lasts.
    async fn settle(&self, conn: &mut PgConnection, synchronous_commit: &str) -> Result<(), sqlx::Error> {
        let setting = |value: u32| value.to_string();
        sqlx::query(
            "SELECT set_config('chaperone.host', $1, false), set_config('synchronous_commit', $2, false), \
             set_config('default_transaction_isolation', 'read committed', false), \
             set_config('tcp_keepalives_idle', $3, false), set_config('tcp_keepalives_interval', $4, false), \
             set_config('tcp_keepalives_count', $5, false)",
        )
        .bind(&self.host)
        .bind(synchronous_commit)
        .bind(setting(KEEPALIVE_IDLE))
        .bind(setting(KEEPALIVE_INTERVAL))
        .bind(setting(KEEPALIVE_COUNT))
        .execute(&mut *conn)
        .await?;
        limit(conn, self.statement_timeout).await
    }

    /// One daemon for each host: the lock is the connection's and ends with it. That of a daemon that has
    /// just ended is waited for.
    async fn lock(&self, conn: &mut PgConnection) -> Result<(), ConnectError> {
        const NOT_AVAILABLE: &str = "55P03";
        let key = lock_key(&self.host);
        wait_for_locks(conn, self.connect_timeout / 3).await?;
        match sqlx::query("SELECT pg_advisory_lock($1)").bind(key).execute(&mut *conn).await {
            Ok(_) => return Ok(wait_for_locks(conn, Duration::ZERO).await?),
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_AVAILABLE) => {}
            Err(error) => return Err(error.into()),
        }
        let holder: Option<String> = sqlx::query_scalar(
            "SELECT coalesce(host(a.client_addr), 'a unix socket') || ', process ' || a.pid || ' of the server' \
             FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND (l.classid::bigint << 32) | l.objid::bigint = $1",
        )
        .bind(key)
        .fetch_optional(&mut *conn)
        .await?;
        let holder = holder.map(|holder| format!(" (from {holder})")).unwrap_or_default();
        Err(ConnectError::Record(RecordError::InUse {
            database: self.database.clone(),
            daemon: format!("another chaperone daemon of the host {:?}{holder}", self.host),
            key: "record.host",
        }))
    }
}

/// Ends the process of a connection that was given up, and waits until it has ended: it may hold the lock,
/// and its commit may still be under way.
async fn end(conn: &mut PgConnection, before: &Backend, wait: Duration) -> Result<(), sqlx::Error> {
    let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    sqlx::query(
        "SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
    )
    .bind(before.pid)
    .bind(&before.started)
    .bind(wait)
    .execute(conn)
    .await?;
    Ok(())
}

/// How long statements wait for locks. Zero: as long as they may take.
async fn wait_for_locks(conn: &mut PgConnection, bound: Duration) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT set_config('lock_timeout', $1, false)")
        .bind(bound.as_millis().to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Bounds every further statement of a connection, and a transaction that nobody goes on with. Zero: no bound.
pub(super) async fn limit(conn: &mut PgConnection, bound: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('statement_timeout', $1, false), \
         set_config('idle_in_transaction_session_timeout', $1, false)",
    )
    .bind(bound.as_millis().to_string())
    .execute(conn)
    .await?;
    Ok(())
}

impl Promises {
    /// Why records do not belong here.
    fn broken(&self) -> Option<Cow<'static, str>> {
        if self.version < OLDEST {
            return Some(
                format!("PostgreSQL {} is too old: 15 or newer is needed", self.version_name).into(),
            );
        }
        if self.encoding != "UTF8" {
            let encoding = &self.encoding;
            return Some(
                format!("the database's encoding is {encoding}: create it with ENCODING 'UTF8'").into(),
            );
        }
        if self.standby {
            return Some("the server is a standby: name the primary in record.url".into());
        }
        if self.fsync != "on" {
            return Some(
                "the server runs with fsync = off: what it calls committed may be lost. Set fsync = on"
                    .into(),
            );
        }
        // remote_apply waits for the disk, too, and for a standby besides.
        if !matches!(self.synchronous_commit.as_str(), "on" | "remote_apply") {
            return Some(
                format!(
                    "synchronous_commit is {} for this role and database: what is called committed may be lost. \
                     Set synchronous_commit = on",
                    self.synchronous_commit
                )
                .into(),
            );
        }
        None
    }
}

/// Why there is no connection.
enum ConnectError {
    Sql(sqlx::Error),
    Record(RecordError),
}

impl From<sqlx::Error> for ConnectError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// The number of a host's lock: the first 8 bytes of a digest of its name.
fn lock_key(host: &str) -> i64 {
    let digest = digest::digest(&digest::SHA256, format!("chaperone record host {host}").as_bytes());
    digest.as_ref().first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promises() -> Promises {
        Promises {
            version: 150_018,
            version_name: "15.18".to_owned(),
            encoding: "UTF8".to_owned(),
            fsync: "on".to_owned(),
            synchronous_commit: "on".to_owned(),
            standby: false,
            backend: Backend { pid: 1, started: String::new() },
        }
    }

    #[track_caller]
    fn check_broken(promises: Promises, expected: &str) {
        let broken = promises.broken();
        assert!(broken.as_ref().is_some_and(|words| words.contains(expected)), "{broken:?}");
    }

    #[test]
    fn a_server_must_be_durable() {
        let text = |text: &str| text.to_owned();
        assert_eq!(promises().broken(), None);
        assert_eq!(Promises { synchronous_commit: text("remote_apply"), ..promises() }.broken(), None);
        check_broken(
            Promises { version: 140_009, version_name: text("14.9"), ..promises() },
            "14.9 is too old",
        );
        check_broken(Promises { encoding: text("SQL_ASCII"), ..promises() }, "ENCODING 'UTF8'");
        check_broken(Promises { standby: true, ..promises() }, "standby");
        check_broken(Promises { fsync: text("off"), ..promises() }, "fsync = off");
        for lossy in ["off", "local", "remote_write"] {
            check_broken(Promises { synchronous_commit: text(lossy), ..promises() }, lossy);
        }
    }

    #[test]
    fn every_host_has_a_lock_of_its_own() {
        assert_eq!(lock_key("build7"), lock_key("build7"));
        assert_ne!(lock_key("build7"), lock_key("build8"));
    }
}
