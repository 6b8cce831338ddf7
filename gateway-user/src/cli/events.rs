//! `chaperone events`: what happened beside the calls.

use std::process::ExitCode;

use time::OffsetDateTime;

use super::{
    calls::{PageArgs, end_of_list},
    table::{Field, Screen, short_time},
};
use crate::{
    clock::Clock,
    config::Config,
    record::query::{EventFilter, EventView, Reader, when},
};

/// Look at what happened beside the calls: refusals of the kernel and of connections, reloads of the
/// policies, starts and stops of the daemon.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List events, newest first
    List(List),
}

/// Which events, and how they are printed.
#[derive(Debug, clap::Args)]
pub struct List {
    /// At this time or later: 1h, 7d, today, 2026-03-01, 2026-03-01T02:15:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this kind, such as kernel-refused or 'policies-*'
    #[arg(long, value_name = "PATTERN")]
    kind: Option<String>,
    /// Concerning this session: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Concerning this workload
    #[arg(long)]
    workload: Option<String>,
    /// With this text in message or detail
    #[arg(long)]
    text: Option<String>,
    #[command(flatten)]
    page: PageArgs,
}

/// Runs `chaperone events …`.
///
/// # Errors
/// A time that is none; writing the output. What cannot be read is exit code 1.
pub async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    Screen::stdio(async |screen| {
        let reader = Reader::open(&config.record).await?;
        execute(command, &reader, now, screen).await
    })
    .await
}

pub(super) async fn execute(
    command: Command,
    reader: &Reader,
    now: OffsetDateTime,
    screen: &mut Screen<'_>,
) -> anyhow::Result<()> {
    let Command::List(list) = command;
    let filter = EventFilter {
        since: list.since.as_deref().map(|text| when::parse(text, now)).transpose()?,
        until: list.until.as_deref().map(|text| when::parse(text, now)).transpose()?,
        kind: list.kind,
        session: list.session,
        workload: list.workload,
        text: list.text,
    };
    let listing = reader.events(&filter, &list.page.page()).await?;
    if list.page.json {
        listing.rows.iter().try_for_each(|event| screen.json(event))?;
    } else if !listing.rows.is_empty() {
        let mut header = vec!["TIME", "KIND", "WORKLOAD", "MESSAGE", "DETAIL", "SESSION"];
        // A database of one host does not say which.
        let of_hosts = listing.rows.iter().any(|event| event.hostname.is_some());
        header.extend(of_hosts.then_some("HOST"));
        screen.table(&header, listing.rows.iter().map(|event| row(event, of_hosts)).collect())?;
    }
    end_of_list("events", listing.rows.is_empty(), listing.next.as_deref(), screen)?;
    Ok(())
}

fn row(event: &EventView, of_hosts: bool) -> Vec<Field> {
    let detail = if event.detail.0.as_object().is_some_and(serde_json::Map::is_empty) {
        String::new()
    } else {
        event.detail.0.to_string()
    };
    let mut row = vec![
        Field::Text(short_time(&event.time)),
        Field::Text(event.kind.clone()),
        Field::text(event.workload.as_ref()),
        Field::Text(event.message.clone()),
        Field::Text(detail),
        Field::text(event.session.as_ref()),
    ];
    row.extend(of_hosts.then(|| Field::text(event.hostname.as_ref())));
    row
}
