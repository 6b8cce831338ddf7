//! One INSERT for each table and batch: its columns are arrays, so that it is prepared once for any number
//! of rows.

use sqlx::{AssertSqlSafe, PgConnection};

use crate::record::store::{
    book::Pages,
    columns::{Table, Value, form},
    insert::InsertRows,
};

/// The values of one column, one for each row.
enum Column<'u> {
    Texts(Vec<Option<&'u str>>),
    Numbers(Vec<Option<i64>>),
    Bytes(Vec<&'u [u8]>),
}

impl InsertRows for PgConnection {
    async fn insert_rows<T: Table + Sync>(
        &mut self,
        rows: &[&T],
        pages: &mut Pages,
    ) -> Result<(), sqlx::Error> {
        let mut columns = Vec::new();
        for row in rows {
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
        let mut numbers: Vec<i64> = query.fetch_all(&mut *self).await?;
        if T::LEAF {
            // They were given out in the order of the rows; in which order they are told is not said.
            numbers.sort_unstable();
            let host = pages.host.clone();
            for (&row, seq) in rows.iter().zip(numbers) {
                pages.draft.append(&form(row, seq, host.as_deref()));
            }
        }
        Ok(())
    }
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
