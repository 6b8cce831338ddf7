//! Opening a database to read it, and nothing else.

use std::{io, path::Path, time::Duration};

use sqlx::{
    ConnectOptions, PgPool, SqlitePool,
    migrate::Migrator,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};

use super::{Config, QueryError, read};
use crate::record::store::{POSTGRES, SQLITE, newest};

/// The version of the schema.
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";

/// The file at `path`.
pub(super) async fn sqlite(path: &Path) -> Result<SqlitePool, QueryError> {
    std::fs::File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => QueryError::Missing(path.to_owned()),
        io::ErrorKind::PermissionDenied => QueryError::Forbidden(path.to_owned()),
        _ => QueryError::Store(error.to_string()),
    })?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    match connect(path, options.clone()).await {
        Err(QueryError::Store(_)) if !has_wal(path) => {
            // A reader who may not create the WAL's index cannot open a database that nobody writes
            // to. Without a WAL the file alone is the whole truth.
            connect(path, options.immutable(true)).await
        }
        other => other,
    }
}

async fn connect(path: &Path, options: SqliteConnectOptions) -> Result<SqlitePool, QueryError> {
    let failed = |error| failed_sqlite(path, error);
    let pool = SqlitePoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .map_err(failed)?;
    let found: i64 = sqlx::query_scalar(VERSION).fetch_one(&pool).await.map_err(failed)?;
    check_version(found, &SQLITE, "start the new daemon once; it migrates")?;
    Ok(pool)
}

fn has_wal(path: &Path) -> bool {
    let mut wal = path.to_owned().into_os_string();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|wal| wal.len() > 0)
}

fn failed_sqlite(path: &Path, error: sqlx::Error) -> QueryError {
    const SQLITE_ERROR: &str = "1";
    const SQLITE_NOTADB: &str = "26";
    match code(&error).as_deref() {
        // No such table: some other program's database.
        Some(SQLITE_ERROR | SQLITE_NOTADB) => QueryError::Foreign(path.display().to_string()),
        Some(_) | None => read(error),
    }
}

/// The database that `record.url` names.
pub(super) async fn postgres(config: &Config) -> Result<PgPool, QueryError> {
    let Some(url) = &config.url else { return Err(QueryError::Store("record.url is missing".to_owned())) };
    let database = || url.to_string();
    let unreachable = |error: sqlx::Error| QueryError::Unreachable {
        database: database(),
        detail: match error {
            sqlx::Error::PoolTimedOut => format!("no connection within {} s", config.connect_timeout_secs),
            other => other.to_string(),
        },
    };
    let options = url
        .options()
        .map_err(unreachable)?
        .application_name("chaperone (reading)")
        .options([
            ("default_transaction_read_only", "on".to_owned()),
            // A page is small, whatever the planner expects: making code for it takes longer than asking.
            ("jit", "off".to_owned()),
            ("statement_timeout", format!("{}s", config.read_timeout_secs)),
        ])
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(config.connect_timeout_secs))
        .connect_with(options)
        .await
        .map_err(unreachable)?;
    let found: i64 = sqlx::query_scalar(VERSION).fetch_one(&pool).await.map_err(|error| {
        const UNDEFINED_TABLE: &str = "42P01";
        const INSUFFICIENT_PRIVILEGE: &str = "42501";
        match code(&error).as_deref() {
            Some(UNDEFINED_TABLE) => QueryError::Foreign(database()),
            Some(INSUFFICIENT_PRIVILEGE) => QueryError::NotGranted(database()),
            Some(_) | None => read(error),
        }
    })?;
    check_version(found, &POSTGRES, "run the new version's `chaperone database migrate` as the owner")?;
    Ok(pool)
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned))
}

fn check_version(found: i64, known: &Migrator, to_migrate: &'static str) -> Result<(), QueryError> {
    let expected = newest(known);
    let remedy = match found.cmp(&expected) {
        std::cmp::Ordering::Equal => return Ok(()),
        std::cmp::Ordering::Less => to_migrate,
        std::cmp::Ordering::Greater => "use the version that wrote it",
    };
    Err(QueryError::Schema { found, expected, remedy })
}
