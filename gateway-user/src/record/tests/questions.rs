//! Every worked question of docs/queries.md is asked, and answers what the page says.

use super::{
    seed::Night,
    support::{On, on_both},
};

on_both!(the_page_tells_the_truth, the_page_lists_every_column,);

const PAGE: &str = include_str!("../../../../docs/queries.md");

async fn the_page_tells_the_truth(on: On) {
    let night = Night::on(on).await;
    let mut asked = 0;
    for (sql, expected) in questions() {
        let rows = night.bench.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let line = |cells: &Vec<String>| cells.join("|").replace("NULL", "") + "\n";
        assert_eq!(rows.iter().map(line).collect::<String>(), expected, "{sql}");
        asked += 1;
    }
    assert!(asked >= 12, "the page has its questions");
}

async fn the_page_lists_every_column(on: On) {
    let night = Night::on(on).await;
    for view in ["v_calls", "v_sessions", "v_masked", "v_bodies", "v_secrets_read", "events"] {
        let names = match on {
            On::Sqlite => format!("SELECT name FROM pragma_table_info('{view}')"),
            // Whose event it is has a column in PostgreSQL alone: the file of SQLite is one host's.
            On::Postgres => format!(
                "SELECT column_name FROM information_schema.columns WHERE table_name = '{view}' \
                 AND NOT (table_name = 'events' AND column_name = 'hostname') ORDER BY ordinal_position"
            ),
        };
        let rows = night.bench.rows(&names).await.unwrap();
        let columns: Vec<&String> = rows.iter().skip(1).flatten().collect();
        let section = PAGE.split("\n### ").find(|section| section.starts_with(&format!("`{view}`"))).unwrap();
        let listed: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name))
            .collect();
        assert_eq!(listed, columns, "{view}");
    }
}

/// Where events are written.
const WRITERS: [&str; 16] = [
    include_str!("../../api/log.rs"),
    include_str!("../../serve/bypass.rs"),
    include_str!("../../serve/call.rs"),
    include_str!("../../serve/inserting.rs"),
    include_str!("../../serve/masking.rs"),
    include_str!("../../serve/minting.rs"),
    include_str!("../../serve/mod.rs"),
    include_str!("../../serve/revealing.rs"),
    include_str!("../../serve/tokenizing.rs"),
    include_str!("../../app.rs"),
    include_str!("../../app/reload.rs"),
    include_str!("../../app/upkeep.rs"),
    include_str!("../retention.rs"),
    include_str!("../retention/clock.rs"),
    include_str!("../store/book.rs"),
    include_str!("../store/recover.rs"),
];

#[test]
fn the_page_lists_every_kind_of_event() {
    // A kind stands where an event is made, where an error is given its kind, or in a constant.
    let mut written: Vec<&str> = WRITERS
        .iter()
        .flat_map(|text| text.lines())
        .flat_map(|line| {
            let starts = ["Event::new(\"", "(_) => \"", "ED: &str = \"", "UN: &str = \"", "_KIND: &str = \""];
            starts.map(|start| (line, start))
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
