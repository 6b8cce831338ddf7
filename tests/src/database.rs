//! Reading the session database as security would: plain SQL, read-only.

use std::path::Path;

use anyhow::Result;
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
