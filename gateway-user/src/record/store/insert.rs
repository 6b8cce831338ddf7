//! The rows of a batch, in the order in which they refer to each other.

use super::{
    book::Pages,
    columns::Table,
    pages::{Conn, with},
};
use crate::record::stored::{
    BodyRow, CallRow, ContentRow, EventRow, HoldRow, IdentityRow, MaskedRow, OutcomeRow, ReleaseRow,
    SessionEndRow, SessionRow, Unit, contents,
};

/// A connection that rows are written to.
pub(super) trait InsertRows {
    /// Inserts the rows of one table, in order. Each gets the next number of its table and, where the table has leaves, is
    /// the next leaf of the log.
    fn insert_rows<T: Table + Sync>(
        &mut self,
        rows: &[&T],
        pages: &mut Pages,
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;
}

/// Inserts every row of `units`; what others refer to comes first.
pub(super) async fn insert(
    conn: &mut (impl InsertRows + Send),
    units: &[Unit],
    pages: &mut Pages,
) -> Result<(), sqlx::Error> {
    conn.insert_rows::<SessionRow>(&all(units.iter().filter_map(Unit::session)), pages).await?;
    conn.insert_rows::<IdentityRow>(&all(units.iter().filter_map(Unit::identity)), pages).await?;
    conn.insert_rows::<CallRow>(&all(units.iter().filter_map(Unit::call)), pages).await?;
    conn.insert_rows::<OutcomeRow>(&all(units.iter().filter_map(Unit::outcome)), pages).await?;
    conn.insert_rows::<MaskedRow>(&all(units.iter().flat_map(Unit::masked)), pages).await?;
    conn.insert_rows::<ContentRow>(&all(contents(units)), pages).await?;
    conn.insert_rows::<BodyRow>(&all(units.iter().flat_map(Unit::bodies)), pages).await?;
    conn.insert_rows::<SessionEndRow>(&all(units.iter().filter_map(Unit::session_end)), pages).await?;
    conn.insert_rows::<EventRow>(&all(units.iter().filter_map(Unit::event)), pages).await?;
    conn.insert_rows::<HoldRow>(&all(units.iter().filter_map(Unit::hold)), pages).await?;
    conn.insert_rows::<ReleaseRow>(&all(units.iter().filter_map(Unit::release)), pages).await
}

/// In one place before anything is awaited.
fn all<'u, T>(rows: impl Iterator<Item = &'u T>) -> Vec<&'u T> {
    rows.collect()
}

/// Whether a row that the database refused is in it already. Only sessions are sent twice: whoever enrols one asks again
/// after a time-out, which says nothing about whether the first attempt was written.
pub(super) async fn is_repeated(
    mut conn: Conn<'_>,
    unit: &Unit,
    pages: &mut Pages,
) -> Result<bool, sqlx::Error> {
    let Unit::Session(session) = unit else { return Ok(false) };
    if !is_stored(&mut conn, session).await? {
        return Ok(false);
    }
    // A token that was read at the second attempt may be newer than that of the first, which is then a renewal.
    let identity = &session.identity;
    if known_by(&mut conn, session).await? != Some((identity.token_digest.clone(), identity.expires.clone()))
    {
        let renewal = [Unit::Identity(identity.clone())];
        with!(conn, conn => insert(conn, &renewal, pages).await)?;
    }
    Ok(true)
}

/// Whether this very session is in the database.
async fn is_stored(conn: &mut Conn<'_>, session: &SessionRow) -> Result<bool, sqlx::Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM sessions WHERE id = $1 AND started = $2 AND workload = $3 \
        AND subject = $4 AND issuer = $5 AND boot_id = $6 AND cgroup_id = $7)";
    with!(conn, conn => {
        sqlx::query_scalar(SQL)
            .bind(&session.id)
            .bind(&session.started)
            .bind(&session.workload)
            .bind(&session.subject)
            .bind(&session.issuer)
            .bind(&session.boot_id)
            .bind(session.cgroup_id)
            .fetch_one(&mut **conn)
            .await
    })
}

/// Digest and end of a token.
type Token = (Option<String>, Option<String>);

/// What the session was last known by.
async fn known_by(conn: &mut Conn<'_>, session: &SessionRow) -> Result<Option<Token>, sqlx::Error> {
    const SQL: &str =
        "SELECT token_digest, expires FROM identities WHERE session = $1 ORDER BY seq DESC LIMIT 1";
    with!(conn, conn => sqlx::query_as(SQL).bind(&session.id).fetch_optional(&mut **conn).await)
}
