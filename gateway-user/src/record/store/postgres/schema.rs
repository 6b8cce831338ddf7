//! The schema, and who may do what in it.

use std::time::Duration;

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection,
    migrate::{Migrate as _, MigrateError},
};
use tokio::time::timeout;

use super::{
    super::{POSTGRES, explain, newest, prune},
    GOODBYE,
    connect::{self, Server},
};
use crate::record::{Config, RecordError, Roles};

/// Where sqlx notes which migrations were made.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// Makes the migrations that are missing, or says why they cannot be made.
pub(super) async fn migrate(conn: &mut PgConnection) -> Result<(), String> {
    if current(conn).await.map_err(|error| explain(&error))? {
        return Ok(());
    }
    POSTGRES.run(&mut *conn).await.map_err(|error| {
        let newest = newest(&POSTGRES);
        format!(
            "its schema cannot be brought to version {newest}: {error}; `chaperone database migrate` does it as \
             the owner of the tables"
        )
    })
}

/// Whether exactly the known migrations were made. A role that may only write finds that out and needs no
/// right to make any.
async fn current(conn: &mut PgConnection) -> Result<bool, MigrateError> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(MIGRATIONS_TABLE)
        .fetch_one(&mut *conn)
        .await?;
    if !there || conn.dirty_version(MIGRATIONS_TABLE).await?.is_some() {
        return Ok(false);
    }
    let applied = conn.list_applied_migrations(MIGRATIONS_TABLE).await?;
    for migration in &applied {
        match POSTGRES.iter().find(|known| known.version == migration.version) {
            None => return Err(MigrateError::VersionMissing(migration.version)),
            Some(known) if known.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
        }
    }
    Ok(applied.len() == POSTGRES.iter().count())
}

/// Makes the schema what this program knows, as the role of the URL, and lets roles write and read.
pub(in crate::record::store) async fn prepare_schema(
    config: &Config,
    roles: &Roles,
) -> Result<(), RecordError> {
    let Roles { writers, readers, removers } = roles;
    let server = Server::new(config)?;
    let failed = |detail: String| RecordError::Open { database: server.database.clone(), detail };
    let mut conn = server.connect_unlocked().await?;
    let prepared = async {
        connect::limit(&mut conn, Duration::ZERO).await?;
        POSTGRES.run(&mut conn).await?;
        for (roles, rights) in [(readers, "SELECT"), (writers, "SELECT"), (writers, "INSERT")] {
            for role in roles {
                grant(&mut conn, role, rights).await?;
            }
        }
        for role in removers {
            allow_removal(&mut conn, role).await?;
        }
        Ok::<_, MigrateError>(())
    };
    prepared.await.map_err(|error| failed(explain(&error)))?;
    let _ = timeout(GOODBYE, conn.close()).await;
    Ok(())
}

/// Lets a role read everything, or add to what is no note of the migrations'.
async fn grant(conn: &mut PgConnection, role: &str, right: &str) -> Result<(), sqlx::Error> {
    let grants: Vec<String> = sqlx::query_scalar(
        "SELECT format('GRANT %s ON %I.%I TO %I', $2, n.nspname, c.relname, $1) \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = current_schema() \
           AND CASE WHEN $2 = 'INSERT' THEN c.relkind = 'r' AND c.relname <> $3 ELSE c.relkind IN ('r', 'v') END",
    )
    .bind(role)
    .bind(right)
    .bind(MIGRATIONS_TABLE)
    .fetch_all(&mut *conn)
    .await?;
    for grant in grants {
        // The server has quoted what is in it.
        sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Lets a role remove what retention removes, as far as the triggers let it.
async fn allow_removal(conn: &mut PgConnection, role: &str) -> Result<(), sqlx::Error> {
    let quoted: String =
        sqlx::query_scalar("SELECT quote_ident($1)").bind(role).fetch_one(&mut *conn).await?;
    let tables = prune::TABLES.join(", ");
    // A tombstone's number is in what is signed, before the row is there.
    let grants = format!(
        "GRANT DELETE ON {tables} TO {quoted}; GRANT USAGE ON SEQUENCE tombstones_seq_seq TO {quoted}"
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut *conn).await.map(drop)
}
