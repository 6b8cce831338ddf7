//! Reading the session database as security would: plain SQL, read-only.

use std::{path::Path, process::Command};

use anyhow::{Result, ensure};
use serde_json::{Map, Value};
use sqlx::{Column as _, ConnectOptions as _, Connection as _, Row as _, TypeInfo as _, ValueRef as _};

/// The rows of `sql` as JSON objects.
///
/// # Errors
/// When the database cannot be opened or the query is wrong.
pub async fn rows(database: &Path, sql: &str) -> Result<Vec<Value>> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
    let mut connection = options.connect().await?;
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await?;
    let values = rows.iter().map(object).collect::<Result<_>>()?;
    connection.close().await?;
    Ok(values)
}

/// Runs `sql` by `sqlite3`, as whoever may write to the file could.
///
/// # Errors
/// What `sqlite3` says.
pub fn change(database: &Path, sql: &str) -> Result<()> {
    let output =
        Command::new("sqlite3").args(["-bail", "-cmd", ".timeout 10000"]).arg(database).arg(sql).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn object(row: &sqlx::sqlite::SqliteRow) -> Result<Value> {
    let mut object = Map::new();
    for column in row.columns() {
        let at = column.ordinal();
        let raw = row.try_get_raw(at)?;
        let value = match (raw.is_null(), raw.type_info().name()) {
            (true, _) => Value::Null,
            (false, "INTEGER" | "BOOLEAN") => row.try_get::<i64, _>(at)?.into(),
            (false, "REAL") => row.try_get::<f64, _>(at)?.into(),
            (false, "BLOB") => hex::encode(row.try_get::<Vec<u8>, _>(at)?).into(),
            (false, _) => row.try_get::<String, _>(at)?.into(),
        };
        object.insert(column.name().to_owned(), value);
    }
    Ok(Value::Object(object))
}

/// Holds the database's write lock until it is released.
pub struct WriteLock(sqlx::SqliteConnection);

/// Takes the write lock, as another program could.
///
/// # Errors
/// When the database cannot be opened or is locked.
pub async fn lock(database: &Path) -> Result<WriteLock> {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(database).connect().await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await?;
    Ok(WriteLock(connection))
}

impl WriteLock {
    /// Gives the lock back.
    ///
    /// # Errors
    /// When the database is gone.
    pub async fn release(mut self) -> Result<()> {
        sqlx::query("ROLLBACK").execute(&mut self.0).await?;
        Ok(self.0.close().await?)
    }
}
