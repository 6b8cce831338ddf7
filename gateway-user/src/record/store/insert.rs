//! SQLite's INSERT statements: many rows each, in a few sizes, so that they are prepared once.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{
    book::Pages,
    columns::{Table, Value, form},
};
use crate::record::stored::{
    BodyRow, CallRow, ContentRow, EventRow, HoldRow, IdentityRow, MaskedRow, OutcomeRow, ReleaseRow,
    SessionEndRow, SessionRow, Unit, contents,
};

/// Rows per statement. A batch is cut into these, largest first: few statements per table stay
/// prepared, whatever the batch, and few are executed, each of which is a turn to SQLite's thread.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// SQLite's default SQLITE_MAX_VARIABLE_NUMBER.
const BIND_MAX: usize = 32_766;

/// Inserts every row of `units`; what others refer to comes first. Each gets the next number of its table, and is the next
/// leaf of the log.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    units: &[Unit],
    pages: &mut Pages,
) -> Result<(), sqlx::Error> {
    insert_rows::<SessionRow>(conn, units.iter().filter_map(Unit::session), pages).await?;
    insert_rows::<IdentityRow>(conn, units.iter().filter_map(Unit::identity), pages).await?;
    insert_rows::<CallRow>(conn, units.iter().filter_map(Unit::call), pages).await?;
    insert_rows::<OutcomeRow>(conn, units.iter().filter_map(Unit::outcome), pages).await?;
    insert_rows::<MaskedRow>(conn, units.iter().flat_map(Unit::masked), pages).await?;
    insert_rows::<ContentRow>(conn, contents(units), pages).await?;
    insert_rows::<BodyRow>(conn, units.iter().flat_map(Unit::bodies), pages).await?;
    insert_rows::<SessionEndRow>(conn, units.iter().filter_map(Unit::session_end), pages).await?;
    insert_rows::<EventRow>(conn, units.iter().filter_map(Unit::event), pages).await?;
    insert_rows::<HoldRow>(conn, units.iter().filter_map(Unit::hold), pages).await?;
    insert_rows::<ReleaseRow>(conn, units.iter().filter_map(Unit::release), pages).await
}

async fn insert_rows<'u, T: Table + 'u>(
    conn: &mut SqliteConnection,
    rows: impl Iterator<Item = &'u T>,
    pages: &mut Pages,
) -> Result<(), sqlx::Error> {
    const {
        assert!(SIZES[0] * (1 + T::COLUMNS.len()) <= BIND_MAX, "one statement would have too many parameters")
    };
    let mut numbered = Vec::new();
    for row in rows {
        let seq = T::LEAF.then(|| pages.number(T::NAME));
        if let Some(seq) = seq {
            pages.draft.append(&form(row, seq, None));
        }
        numbered.push((seq, row));
    }
    let number = if T::LEAF { "seq, " } else { "" };
    let mut rest = numbered.as_slice();
    for size in SIZES {
        while let Some((chunk, after)) = rest.split_at_checked(size) {
            QueryBuilder::<Sqlite>::new(format!(
                "INSERT INTO {} ({number}{}) ",
                T::NAME,
                T::COLUMNS.join(", ")
            ))
            .push_values(chunk, |mut values, (seq, row)| {
                if let Some(seq) = seq {
                    values.push_bind(*seq);
                }
                for value in row.values() {
                    match value {
                        Value::Text(text) => values.push_bind(text),
                        Value::Number(number) => values.push_bind(number),
                        Value::Bytes(bytes) => values.push_bind(bytes),
                    };
                }
            })
            .push(" ")
            .push(T::UNLESS)
            .build()
            .execute(&mut *conn)
            .await?;
            rest = after;
        }
    }
    Ok(())
}
