//! Every command of docs/queries.md is run, and prints as many rows as the page says.

use clap::Parser as _;

use super::{Cli, Command, calls, events, sessions, table::tests::printed};
use crate::record::tests::{
    seed::{MORNING, Night},
    support::{On, on_both},
};

on_both!(the_commands_find_what_the_page_says);

const PAGE: &str = include_str!("../../../docs/queries.md");

async fn the_commands_find_what_the_page_says(on: On) {
    let night = Night::on(on).await;
    let mut asked = 0;
    for (line, rows) in commands() {
        let mut words: Vec<String> = line.split_whitespace().map(|word| word.replace('\'', "")).collect();
        if !words.iter().any(|word| word == "--json") {
            words.push("--json".to_owned());
        }
        let command = Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}")).command;
        let (out, _) = printed(None, false, async |screen| match command {
            Command::Calls(command) => calls::execute(command, &night.reader, MORNING, screen).await,
            Command::Sessions(command) => sessions::execute(command, &night.reader, MORNING, screen).await,
            Command::Events(command) => events::execute(command, &night.reader, MORNING, screen).await,
            other => panic!("{line}: {other:?}"),
        })
        .await;
        assert_eq!(out.lines().count(), rows, "{line}\n{out}");
        asked += 1;
    }
    assert!(asked >= 12, "every question has its command");
}

/// `chaperone …  # 3 rows`.
fn commands() -> impl Iterator<Item = (&'static str, usize)> {
    PAGE.lines().filter_map(|line| {
        let (command, said) = line.strip_prefix("chaperone ").map(|_| line)?.split_once("  # ")?;
        Some((command, said.split(' ').next()?.parse().ok()?))
    })
}
