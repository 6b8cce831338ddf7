//! SQLite's INSERT statements: many rows each, in a few sizes, so that they are prepared once.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::record::store::{
    book::Pages,
    columns::{Table, Value, form},
    insert::InsertRows,
};

/// Rows per statement. A batch is cut into these, largest first: few statements per table stay prepared, whatever the batch, and
/// few are executed, two for up to 64 rows: each is a turn of SQLite's thread, which costs more than some rows.
const SIZES: [usize; 21] = [256, 128, 64, 48, 32, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1];

/// SQLite's default SQLITE_MAX_VARIABLE_NUMBER.
const BIND_MAX: usize = 32_766;

impl InsertRows for SqliteConnection {
    async fn insert_rows<T: Table + Sync>(
        &mut self,
        rows: &[&T],
        pages: &mut Pages,
    ) -> Result<(), sqlx::Error> {
        const {
            assert!(
                SIZES[0] * (1 + T::COLUMNS.len()) <= BIND_MAX,
                "one statement would have too many parameters"
            )
        };
        let mut numbered = Vec::with_capacity(rows.len());
        for &row in rows {
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
                .execute(&mut *self)
                .await?;
                rest = after;
            }
        }
        Ok(())
    }
}
