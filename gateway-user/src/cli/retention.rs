//! `chaperone retention`: what is kept, and what goes.

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    USAGE,
    progress::{LOOK, Line, watched},
    table::{Field, Screen, short_time},
};
use crate::{
    api::{
        Client, ClientError,
        process::Process,
        retention::actor,
        wire::{HoldPlaced, HoldRequest, ReleaseRequest, RetentionBegun, RetentionRequest, RetentionStatus},
    },
    clock::Clock,
    config::Config,
    prim::WorkloadName,
    record::{
        Recorder,
        query::{HoldView, Reader, when},
        retention::{self, Held, Progress, Report, Request, Why, clock::Clocked},
    },
};

/// How long a daemon that does not answer is asked again: it may be started anew.
const PATIENCE: Duration = Duration::from_secs(30);

/// Said where neither arguments nor configuration name an age.
const NO_AGE: &str = "nothing says how old what goes is: give --older-than or --bodies-older-than, or set rows_days or \
                      bodies_days in [record.retention]";

/// What is kept, and what goes.
///
/// Root alone may change anything here. A running daemon does it; without one, the command writes to the database itself. Exit code
/// 0: done; 1: not, or not all of it; 64: wrong usage.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Remove what is old, as the configuration says or older than given. Every step leaves a tombstone: `chaperone verify` says how
    /// many rows are gone, and that they were no others
    Run(Run),
    /// What must not be removed, whatever its age
    #[command(subcommand)]
    Holds(Holds),
}

/// How old what goes is.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// Bodies of calls that are older: 30d, 12h, 2026-03-01. Where neither age is given, both are as in [record.retention]
    #[arg(long, value_name = "AGE")]
    bodies_older_than: Option<String>,
    /// Sessions that ended longer ago, with all that belongs to them, and older events: 400d, 2025-01-01; at least two days
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// The clock is right, although nothing was recorded for more than a week; it is recorded who says so
    #[arg(long)]
    clock_is_right: bool,
    /// Why, in your words; tombstones have it [default: the ages, as they are given or configured]
    #[arg(long, value_name = "TEXT", value_parser = retention::reason)]
    reason: Option<String>,
    /// As JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Look at holds, place and release them.
#[derive(Debug, clap::Subcommand)]
pub enum Holds {
    /// List holds in force, oldest first
    List {
        /// Also those that were released
        #[arg(long)]
        all: bool,
        /// Print JSON: a hold per line
        #[arg(long)]
        json: bool,
    },
    /// Keep a session, a workload's sessions, or what was open in a time, until it is released
    #[command(group = clap::ArgGroup::new("held").args(["session", "workload", "since", "until"]).multiple(true).required(true))]
    Add {
        /// This session, by its id or the beginning of it
        #[arg(long, value_name = "ID", conflicts_with_all = ["workload", "since", "until"])]
        session: Option<String>,
        /// The sessions and events of this workload
        #[arg(long, value_name = "NAME", conflicts_with_all = ["since", "until"])]
        workload: Option<WorkloadName>,
        /// Sessions that were open at this time or later, and events: 7d, 2026-03-01, 2026-03-01T02:15:00Z
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Sessions that began before this time, and events
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why, in your words; it is recorded
        #[arg(long, value_name = "TEXT", value_parser = retention::reason)]
        reason: String,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Let a hold go: what it held is removed when it is old enough
    Release {
        /// The hold's id
        id: String,
        /// Why, in your words; it is recorded
        #[arg(long, value_name = "TEXT", value_parser = retention::reason)]
        reason: String,
    },
}

/// Runs `chaperone retention …`.
///
/// # Errors
/// What the daemon or the database say.
pub async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    match command {
        Command::Run(args) => remove(args, config, now).await,
        Command::Holds(Holds::List { all, json }) => {
            Screen::stdio(async |screen| {
                let holds = Reader::open(&config.record).await?.holds().await?;
                list(&holds, all, json, screen)
            })
            .await
        }
        Command::Holds(Holds::Add { session, workload, since, until, reason, json }) => {
            Screen::stdio(async |screen| {
                let session = match session {
                    Some(id) => Some(Reader::open(&config.record).await?.session(&id).await?.id.parse()?),
                    None => None,
                };
                let time = |text: Option<String>| text.map(|text| when::parse(&text, now)).transpose();
                let (since, until) = (time(since)?, time(until)?);
                let placed = add(HoldRequest { session, workload, since, until, reason }, config).await?;
                let HoldPlaced { hold, sessions } = &placed;
                match json {
                    true => screen.json(&placed)?,
                    false => screen
                        .text(&format!("hold {hold} is in force; sessions that it holds: {sessions}"))?,
                }
                Ok(())
            })
            .await
        }
        Command::Holds(Holds::Release { id, reason }) => {
            release(&id, reason, config).await?;
            writeln!(io::stdout(), "hold {id} is released")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn remove(args: Run, config: &Config, now: OffsetDateTime) -> anyhow::Result<ExitCode> {
    let wanted = match wanted(&args, config, now) {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return Ok(misused(NO_AGE)),
        Err(error) => return Ok(misused(&error.to_string())),
    };
    if let Err(error) = request(&wanted, "uid 0").check(now) {
        return Ok(misused(&error.to_string()));
    }
    let report = if args.dry_run {
        let request = request(&wanted, "uid 0");
        let progress = Progress::default();
        let looking = retention::run(None, &config.record, &request, now, &progress);
        watched(looking, || Some(line(&progress.report()))).await?
    } else {
        match ask_daemon(&wanted, config).await? {
            Some(status) => finished(status)?,
            None => alone(&wanted, config).await?,
        }
    };
    Screen::stdio(async |screen| {
        if args.json {
            screen.json(&report)?
        } else {
            show(&report, screen)?
        }
        Ok(())
    })
    .await
}

fn misused(why: &str) -> ExitCode {
    eprintln!("chaperone: {why}");
    USAGE.into()
}

/// What the arguments ask for, or else the configuration.
fn wanted(
    args: &Run,
    config: &Config,
    now: OffsetDateTime,
) -> Result<Option<RetentionRequest>, when::BadTime> {
    let before = |text: &Option<String>| text.as_deref().map(|text| when::parse(text, now)).transpose();
    let (bodies, rows) = (before(&args.bodies_older_than)?, before(&args.older_than)?);
    let given = bodies.is_some() || rows.is_some();
    let due = config.record.retention.due(now);
    let (bodies_before, rows_before) = match (&due, given) {
        (_, true) => (bodies, rows),
        (Some(due), false) => (due.bodies_before, due.rows_before),
        (None, false) => return Ok(None),
    };
    let older = |name: &str, text: &Option<String>| text.as_ref().map(|text| format!("{name} {text}"));
    let arguments =
        [older("--bodies-older-than", &args.bodies_older_than), older("--older-than", &args.older_than)];
    let arguments: Vec<String> = arguments.into_iter().flatten().collect();
    let reason = args.reason.clone().unwrap_or_else(|| match (given, due) {
        (false, Some(due)) => due.why.reason,
        _ => arguments.join(" "),
    });
    Ok(Some(RetentionRequest { bodies_before, rows_before, clock_is_right: args.clock_is_right, reason }))
}

fn request(wanted: &RetentionRequest, actor: &str) -> Request {
    let RetentionRequest { bodies_before, rows_before, reason, .. } = wanted;
    let why = Why { actor: actor.to_owned(), reason: reason.trim().to_owned() };
    Request { bodies_before: *bodies_before, rows_before: *rows_before, why }
}

/// Has the daemon do it; `None` where none runs.
async fn ask_daemon(wanted: &RetentionRequest, config: &Config) -> anyhow::Result<Option<RetentionStatus>> {
    let sent = wanted.clone();
    let begun = match asked(config, move |client| client.remove_old(&sent)).await? {
        Ok(begun) => begun,
        Err(ClientError::NotRunning { .. }) => return Ok(None),
        Err(error) => bail!("{error}\nnext step: {}", error.next_step()),
    };
    let (mut answered, mut shown) = (Instant::now(), Line::stderr());
    loop {
        tokio::time::sleep(LOOK).await;
        match asked(config, |client| client.retention()).await? {
            // Another daemon, or another run after this one.
            Ok(status) if status.report.run.as_ref() != Some(&begun.run) => break,
            Ok(status) if status.running => {
                answered = Instant::now();
                shown.show(&line(&status.report));
            }
            Ok(status) => {
                shown.clear();
                return Ok(Some(status));
            }
            Err(_) if answered.elapsed() > PATIENCE => break,
            Err(_) => {}
        }
    }
    shown.clear();
    lost(wanted, &begun, config).await.map(Some)
}

/// What became of a run whose daemon is gone: its event says so, or else its tombstones.
async fn lost(
    wanted: &RetentionRequest,
    begun: &RetentionBegun,
    config: &Config,
) -> anyhow::Result<RetentionStatus> {
    let reader = Reader::open(&config.record).await?;
    let RetentionBegun { run, began } = begun;
    let Some(view) = reader.retention_run(run).await? else {
        let Why { actor, reason } = request(wanted, &own_name()).why;
        let rows = reader.buried(&actor, &reason, *began).await?;
        bail!(
            "the daemon ended while it removed: the rows that have tombstones of this run are {rows}\nnext step: run the \
             command again, which goes on"
        );
    };
    let tally = |(table, rows)| retention::Tally { table, rows, ..retention::Tally::default() };
    let tables = view.removed.into_iter().map(tally).collect();
    let report = Report { run: Some(run.clone()), tables, ..Report::default() };
    Ok(RetentionStatus { running: false, report, error: view.error })
}

/// The client waits by itself.
async fn asked<T: Send + 'static>(
    config: &Config,
    ask: impl FnOnce(Client) -> Result<T, ClientError> + Send + 'static,
) -> anyhow::Result<Result<T, ClientError>> {
    let client = Client::new(&config.api);
    Ok(tokio::task::spawn_blocking(move || ask(client)).await?)
}

/// Does it without a daemon, under the writer's lock.
async fn alone(wanted: &RetentionRequest, config: &Config) -> anyhow::Result<Report> {
    let request = request(wanted, &own_name());
    let (now, began) = (Clock::system().now(), Instant::now());
    let recorder = opened(config).await?;
    let progress = Progress::default();
    let removing = async {
        let right = wanted.clock_is_right.then_some(&request.why);
        Clocked::read(&config.record, began).await?.check(&recorder, now, right).await?;
        retention::run(Some(&recorder), &config.record, &request, now, &progress).await
    };
    let done = watched(removing, || Some(line(&progress.report()))).await;
    recorder.close().await;
    Ok(done?)
}

async fn opened(config: &Config) -> anyhow::Result<Recorder> {
    Ok(Recorder::open(&config.record, Clock::system()).await?.recorder)
}

/// Who runs this, as a daemon would say it.
fn own_name() -> String {
    actor(rustix::process::getuid().as_raw(), Process::open(std::process::id()).ok().as_ref())
}

fn line(report: &Report) -> String {
    let verb = if report.dry_run { "would go" } else { "removed" };
    let at = report.tables.last().map(|tally| format!(", now at {}", tally.table)).unwrap_or_default();
    format!("{} rows {verb}{at}", report.rows())
}

/// What a run of the daemon came to.
fn finished(status: RetentionStatus) -> anyhow::Result<Report> {
    match status.error {
        Some(error) => bail!("{} rows were removed, then it ended: {error}", status.report.rows()),
        None => Ok(status.report),
    }
}

fn show(report: &Report, screen: &mut Screen<'_>) -> io::Result<()> {
    let ages = [
        ("bodies of calls from before", &report.bodies_before),
        ("sessions ended, and events from, before", &report.rows_before),
    ];
    for (what, before) in ages {
        if let Some(before) = before {
            screen.text(&format!("{what} {}", short_time(before)))?;
        }
    }
    if report.rows() == 0 {
        return screen.text(if report.dry_run { "nothing would be removed" } else { "nothing was removed" });
    }
    screen.gap()?;
    let time = |time: &Option<String>| Field::Text(time.as_deref().map(short_time).unwrap_or_default());
    let rows = report.tables.iter().map(|tally| {
        vec![
            Field::Text(tally.table.clone()),
            Field::Text(tally.rows.to_string()),
            Field::Text(tally.bytes.to_string()),
            time(&tally.oldest),
            time(&tally.newest),
        ]
    });
    let header = ["TABLE", if report.dry_run { "WOULD GO" } else { "REMOVED" }, "BYTES", "OLDEST", "NEWEST"];
    screen.table(&header, rows.collect())
}

async fn add(wanted: HoldRequest, config: &Config) -> anyhow::Result<HoldPlaced> {
    let sent = wanted.clone();
    match asked(config, move |client| client.hold(&sent)).await? {
        Ok(placed) => return Ok(placed),
        Err(ClientError::NotRunning { .. }) => {}
        Err(error) => bail!("{error}\nnext step: {}", error.next_step()),
    }
    let HoldRequest { session, workload, since, until, reason } = wanted;
    let held = Held::of(session, workload, since, until)?;
    let why = Why::new(own_name(), &reason)?;
    let workloads: Vec<WorkloadName> = config.workload.iter().map(|workload| workload.name.clone()).collect();
    let recorder = opened(config).await?;
    let placed = async {
        let reader = Reader::open(&config.record).await?;
        reader.known(&held, &workloads).await??;
        let hold = recorder.hold(&held, &why).await?;
        Ok(HoldPlaced { hold, sessions: reader.held_sessions(&held).await? })
    };
    let placed = placed.await;
    recorder.close().await;
    placed
}

async fn release(id: &str, reason: String, config: &Config) -> anyhow::Result<()> {
    let holds = Reader::open(&config.record).await?.holds().await?;
    match holds.iter().find(|hold| hold.id == id) {
        None => bail!("there is no hold {id:?}; `chaperone retention holds list` has those in force"),
        Some(HoldView { released: Some(at), .. }) => bail!("the hold {id} was released at {at}"),
        Some(_) => {}
    }
    let (hold, sent) = (id.to_owned(), ReleaseRequest { reason: reason.clone() });
    match asked(config, move |client| client.release(&hold, &sent)).await? {
        Ok(()) => return Ok(()),
        Err(ClientError::NotRunning { .. }) => {}
        Err(error) => bail!("{error}\nnext step: {}", error.next_step()),
    }
    let why = Why::new(own_name(), &reason)?;
    let recorder = opened(config).await?;
    let released = recorder.release(id, &why).await;
    recorder.close().await;
    Ok(released?)
}

fn list(holds: &[HoldView], all: bool, json: bool, screen: &mut Screen<'_>) -> anyhow::Result<()> {
    let holds: Vec<&HoldView> = holds.iter().filter(|hold| all || hold.released.is_none()).collect();
    if json {
        holds.iter().try_for_each(|hold| screen.json(hold))?;
    } else if holds.is_empty() {
        screen.text("no holds are in force")?;
    } else {
        let header = ["PLACED", "BY", "HOLDS", "REASON", "RELEASED", "HOLD"];
        screen.table(&header, holds.into_iter().map(row).collect())?;
    }
    Ok(())
}

fn row(hold: &HoldView) -> Vec<Field> {
    let time = |time: &Option<String>| time.as_deref().map(short_time);
    let what = match (&hold.session, &hold.workload) {
        (Some(session), _) => format!("session {session}"),
        (None, Some(workload)) => format!("workload {workload}"),
        (None, None) => {
            let since = time(&hold.since).map(|since| format!("since {since}"));
            let until = time(&hold.until).map(|until| format!("until {until}"));
            since.into_iter().chain(until).collect::<Vec<_>>().join(" ")
        }
    };
    vec![
        Field::Text(short_time(&hold.time)),
        Field::Text(hold.actor.clone()),
        Field::Text(what),
        Field::Text(hold.reason.clone()),
        Field::text(time(&hold.released)),
        Field::Text(hold.id.clone()),
    ]
}

#[cfg(test)]
mod tests;
