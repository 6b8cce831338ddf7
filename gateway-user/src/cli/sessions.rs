//! `chaperone sessions`: runs of workloads, and everything they did.

use std::process::ExitCode;

use time::OffsetDateTime;

use super::{
    calls::{PageArgs, What, end_of_list, operation, resource, rule, status},
    table::{Field, Screen, short_time},
};
use crate::{
    api::Client,
    clock::Clock,
    config::Config,
    prim::SessionId,
    record::query::{CallFilter, CallView, Json, Order, Page, Reader, SessionFilter, SessionView, when},
};

mod replay;
mod tail;

/// Calls that are read and printed at once.
const CALLS_AT_ONCE: u32 = 500;

/// Look at the sessions of agents.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List sessions, newest first
    List(Box<List>),
    /// Show one session and every call it made, in order
    Show {
        /// The session's id, or the beginning of it
        id: String,
        /// Print JSON: the session on the first line, then one call per line
        #[arg(long)]
        json: bool,
    },
    /// Tell what one session did as a story: each call as the command of the AWS CLI that would make it, what was decided
    /// and why, what came of it, and what was hidden
    Replay {
        /// The session's id, or the beginning of it
        id: String,
        /// Answers as long as they are
        #[arg(long)]
        full: bool,
        /// Print JSON: the session on the first line, then a call or an event per line
        #[arg(long)]
        json: bool,
    },
    /// Follow calls and events as they are recorded, until the session ends or Ctrl-C
    Tail {
        /// The session's id, or the beginning of it [default: all sessions]
        id: Option<String>,
        /// Answers as long as they are
        #[arg(long)]
        full: bool,
        /// Print JSON: a call or an event per line
        #[arg(long)]
        json: bool,
    },
    /// End a session at once: its calls, also those under way, are refused, and its cgroup gets no other session
    ///
    /// Its processes go on running. Root may end any session, other users those that they launched.
    Kill {
        /// The session's id
        id: SessionId,
    },
}

/// Which sessions, and how they are printed.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Started at this time or later: 1h, 7d, today, 2026-03-01, 2026-03-01T02:15:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Started before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this workload
    #[arg(long)]
    workload: Option<String>,
    /// Of this subject, e.g. host:claude-builds
    #[arg(long)]
    subject: Option<String>,
    /// With a call like this
    #[command(flatten, next_help_heading = "With a call")]
    what: What,
    /// With this text in id, subject, command, claims, host name or end reason
    #[arg(long)]
    text: Option<String>,
    /// Only those that have not ended
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    page: PageArgs,
}

/// Runs `chaperone sessions …`.
///
/// # Errors
/// A time that is none; writing the output. What cannot be found is exit code 1.
pub async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    if let Command::Kill { id } = command {
        return kill(id, config).await;
    }
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
    match command {
        Command::List(list) => {
            let list = *list;
            let filter = SessionFilter {
                since: list.since.as_deref().map(|text| when::parse(text, now)).transpose()?,
                until: list.until.as_deref().map(|text| when::parse(text, now)).transpose()?,
                calls: list.what.filter(),
                workload: list.workload,
                subject: list.subject,
                open: list.open,
                text: list.text,
            };
            let listing = reader.sessions(&filter, &list.page.page()).await?;
            if list.page.json {
                listing.rows.iter().try_for_each(|session| screen.json(session))?;
            } else if !listing.rows.is_empty() {
                let header =
                    ["STARTED", "ENDED", "WORKLOAD", "SUBJECT", "HOST", "CALLS", "DENIED", "SESSION"];
                screen.table(&header, listing.rows.iter().map(row).collect())?;
            }
            end_of_list("sessions", listing.rows.is_empty(), listing.next.as_deref(), screen)?;
        }
        Command::Replay { id, full, json } => {
            replay::run(reader, &id, replay::Form { full, json }, screen).await?
        }
        Command::Tail { id, full, json } => {
            tail::run(reader, id.as_deref(), replay::Form { full, json }, screen).await?;
        }
        Command::Show { id, json } => show(reader, &id, json, screen).await?,
        // Needs the daemon, not its database.
        Command::Kill { .. } => {}
    }
    Ok(())
}

async fn kill(id: SessionId, config: &Config) -> anyhow::Result<ExitCode> {
    let client = Client::new(&config.api);
    // The client waits by itself.
    let killed = tokio::task::spawn_blocking(move || client.kill(id)).await?;
    match killed {
        Ok(()) => {
            println!("session {id} is over");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => anyhow::bail!("{error}\nnext step: {}", error.next_step()),
    }
}

async fn show(reader: &Reader, id: &str, json: bool, screen: &mut Screen<'_>) -> anyhow::Result<()> {
    let session = reader.session(id).await?;
    if json {
        screen.json(&session)?;
    } else {
        screen.fields(&fields(&session))?;
    }
    let filter = CallFilter { session: Some(session.id), ..CallFilter::default() };
    let mut page = Page { limit: CALLS_AT_ONCE, cursor: None, order: Order::Oldest };
    loop {
        let listing = reader.calls(&filter, &page).await?;
        if json {
            listing.rows.iter().try_for_each(|call| screen.json(call))?;
        } else if !listing.rows.is_empty() {
            screen.gap()?;
            let header = ["TIME", "DECISION", "OPERATION", "RESOURCE", "STATUS", "RULE"];
            screen.table(&header, listing.rows.iter().map(call_row).collect())?;
        }
        match listing.next {
            Some(cursor) => page.cursor = Some(cursor),
            None => return Ok(()),
        }
    }
}

fn row(session: &SessionView) -> Vec<Field> {
    vec![
        Field::Text(short_time(&session.started)),
        Field::Text(session.ended.as_deref().map_or_else(|| "open".to_owned(), short_time)),
        Field::Text(session.workload.clone()),
        Field::Text(session.subject.clone()),
        Field::Text(session.hostname.clone()),
        Field::Text(session.calls.to_string()),
        Field::Text(session.denied.to_string()),
        Field::Text(session.id.clone()),
    ]
}

fn call_row(call: &CallView) -> Vec<Field> {
    vec![
        Field::Text(short_time(&call.time)),
        Field::Decision(call.decision.clone()),
        Field::Text(operation(call)),
        Field::Text(resource(call)),
        Field::Text(status(call)),
        Field::Text(rule(call)),
    ]
}

fn fields(session: &SessionView) -> Vec<(&'static str, Field)> {
    vec![
        ("session", Field::text(Some(&session.id))),
        ("workload", Field::text(Some(&session.workload))),
        ("subject", Field::text(Some(&session.subject))),
        ("issuer", Field::text(Some(&session.issuer))),
        ("groups", Field::Text(session.groups.texts().join(", "))),
        ("claims", Field::Text(claims(&session.claims))),
        ("token ends", Field::text(session.token_expires.as_ref())),
        ("started", Field::text(Some(&session.started))),
        ("ended", Field::text(Some(session.ended.as_deref().unwrap_or("open")))),
        ("end reason", Field::text(session.end_reason.as_ref())),
        ("host", Field::text(Some(&session.hostname))),
        ("cgroup", Field::Text(format!("/{}", session.cgroup_path))),
        ("command", Field::Text(command_line(&session.command))),
        ("uid", Field::text(session.uid)),
        ("calls", Field::Text(format!("{}, {} of them not allowed", session.calls, session.denied))),
        ("cut to fit", Field::Text(session.truncated.texts().join(", "))),
    ]
}

/// `name=value`, with commas.
fn claims(claims: &Json) -> String {
    let claims = claims.0.as_object().into_iter().flatten();
    claims
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The arguments, quoted where they would not be seen to be one.
fn command_line(command: &Json) -> String {
    let quoted = |argument: String| {
        let plain = !argument.is_empty() && !argument.contains(|c: char| c.is_whitespace() || c == '"');
        if plain { argument } else { format!("{argument:?}") }
    };
    command.texts().into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
