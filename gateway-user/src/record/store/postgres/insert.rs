//! One INSERT for each table and batch: its columns are arrays, so that it is prepared once for any number
//! of rows.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::record::{
    store::{
        book::Pages,
        columns::{Table, Value, form},
    },
    stored::{
        BodyRow, CallRow, ContentRow, EventRow, HoldRow, IdentityRow, MaskedRow, OutcomeRow, ReleaseRow,
        SessionEndRow, SessionRow, Unit, contents,
    },
};

/// Inserts every row of `units`, in order; what others refer to comes first. Each is the next leaf of the log.
pub(super) async fn insert(
    conn: &mut PgConnection,
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

/// The values of one column, one for each row.
enum Column<'u> {
    Texts(Vec<Option<&'u str>>),
    Numbers(Vec<Option<i64>>),
    Bytes(Vec<&'u [u8]>),
}

async fn insert_rows<'u, T: Table + 'u>(
    conn: &mut PgConnection,
    rows: impl Iterator<Item = &'u T>,
    pages: &mut Pages,
) -> Result<(), sqlx::Error> {
    let rows: Vec<&T> = rows.collect();
    let mut columns = Vec::new();
    for row in &rows {
        if columns.is_empty() {
            columns.extend(row.values().map(|value| match value {
                Value::Text(_) => Column::Texts(Vec::new()),
                Value::Number(_) => Column::Numbers(Vec::new()),
                Value::Bytes(_) => Column::Bytes(Vec::new()),
            }));
        }
        for (column, value) in columns.iter_mut().zip(row.values()) {
            match (column, value) {
                (Column::Texts(texts), Value::Text(text)) => texts.push(text),
                (Column::Numbers(numbers), Value::Number(number)) => numbers.push(number),
                (Column::Bytes(all), Value::Bytes(bytes)) => all.push(bytes),
                // A field has one type.
                (Column::Texts(_) | Column::Numbers(_) | Column::Bytes(_), _) => {}
            }
        }
    }
    if columns.is_empty() {
        return Ok(());
    }
    let mut query = sqlx::query_scalar(AssertSqlSafe(statement::<T>(&columns)));
    for column in columns {
        query = match column {
            Column::Texts(texts) => query.bind(texts),
            Column::Numbers(numbers) => query.bind(numbers),
            Column::Bytes(all) => query.bind(all),
        };
    }
    let mut numbers: Vec<i64> = query.fetch_all(conn).await?;
    if T::LEAF {
        // They were given out in the order of the rows; in which order they are told is not said.
        numbers.sort_unstable();
        let host = pages.host.clone();
        for (row, seq) in rows.into_iter().zip(numbers) {
            pages.draft.append(&form(row, seq, host.as_deref()));
        }
    }
    Ok(())
}

/// `seq` is given out in the order of the rows.
fn statement<T: Table>(columns: &[Column<'_>]) -> String {
    let names: Vec<String> = T::COLUMNS.iter().map(|name| format!("\"{name}\"")).collect();
    let names = names.join(", ");
    let arrays: Vec<String> = columns
        .iter()
        .zip(1..)
        .map(|(column, number)| match column {
            Column::Texts(_) => format!("${number}::text[]"),
            Column::Numbers(_) => format!("${number}::bigint[]"),
            Column::Bytes(_) => format!("${number}::bytea[]"),
        })
        .collect();
    format!(
        "INSERT INTO {} ({names}) SELECT {names} FROM unnest({}) WITH ORDINALITY AS batch ({names}, position) \
         ORDER BY position {} {}",
        T::NAME,
        arrays.join(", "),
        T::UNLESS,
        if T::LEAF { "RETURNING seq" } else { "" }
    )
}
