//! Every worked question of docs/queries.md is asked, and answers what the page says.

use sqlx::{AssertSqlSafe, Column, Row};

use super::seed::Night;

const PAGE: &str = include_str!("../../../../docs/queries.md");

#[tokio::test]
async fn the_page_tells_the_truth() {
    let night = Night::new().await;
    let mut conn = night.bench.sqlite().await;
    let mut asked = 0;
    for (sql, expected) in questions() {
        let rows = sqlx::query(AssertSqlSafe(sql))
            .fetch_all(&mut conn)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let header =
            rows.first().map(|row| row.columns().iter().map(Column::name).collect::<Vec<_>>().join("|"));
        let lines = rows.iter().map(|row| {
            let cells = (0..row.len())
                .map(|n| row.try_get_unchecked::<Option<String>, _>(n).unwrap().unwrap_or_default());
            cells.collect::<Vec<_>>().join("|")
        });
        let answer: String = header.into_iter().chain(lines).map(|line| line + "\n").collect();
        assert_eq!(answer, expected, "{sql}");
        asked += 1;
    }
    assert!(asked >= 9, "the page has its questions");
}

#[tokio::test]
async fn the_page_lists_every_column() {
    let night = Night::new().await;
    let mut conn = night.bench.sqlite().await;
    for view in ["v_calls", "v_sessions", "events"] {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(view)
            .fetch_all(&mut conn)
            .await
            .unwrap();
        let section = PAGE.split("\n### ").find(|section| section.starts_with(&format!("`{view}`"))).unwrap();
        let listed: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name))
            .collect();
        assert_eq!(listed, columns, "{view}");
    }
}

/// Where events are written.
const WRITERS: [&str; 10] = [
    include_str!("../../api/log.rs"),
    include_str!("../../serve/bypass.rs"),
    include_str!("../../serve/call.rs"),
    include_str!("../../serve/minting.rs"),
    include_str!("../../serve/mod.rs"),
    include_str!("../../serve/revealing.rs"),
    include_str!("../../app.rs"),
    include_str!("../../app/reload.rs"),
    include_str!("../../app/upkeep.rs"),
    include_str!("../store.rs"),
];

#[test]
fn the_page_lists_every_kind_of_event() {
    // A kind stands where an event is made, where an error is given its kind, or in a constant.
    let mut written: Vec<&str> = WRITERS
        .iter()
        .flat_map(|text| text.lines())
        .flat_map(|line| {
            ["Event::new(\"", "(_) => \"", "OPENED: &str = \"", "_KIND: &str = \""].map(|start| (line, start))
        })
        .filter_map(|(line, start)| Some(line.split_once(start)?.1.split_once('"')?.0))
        .collect();
    written.sort_unstable();
    let section = PAGE.split("\n### ").find(|section| section.starts_with("The kinds of events")).unwrap();
    let mut listed: Vec<&str> =
        section.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect();
    listed.sort_unstable();
    assert_eq!(listed, written);
}

/// Each ```sql block with the ```text block that follows it.
fn questions() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("```sql\n").skip(1).map(|rest| {
        let (sql, rest) = rest.split_once("```\n").expect("the block ends");
        let answer = rest.trim_start().strip_prefix("```text\n").expect("an answer follows");
        (sql, answer.split_once("```").expect("the answer ends").0)
    })
}
