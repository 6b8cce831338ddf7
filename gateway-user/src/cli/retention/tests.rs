use clap::Parser;
use time::macros::datetime;

use super::*;
use crate::{
    cli::table::tests::printed,
    record::retention::{Senseless, Tally},
};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
    Line::try_parse_from([&["retention"], arguments].concat()).map(|line| line.command)
}

fn config(bodies_days: u64, rows_days: u64) -> Config {
    let mut config = Config::default();
    config.record.retention = retention::Config { bodies_days, rows_days, ..retention::Config::default() };
    config
}

fn wanted_of(arguments: &[&str], config: &Config) -> Option<RetentionRequest> {
    let Ok(Command::Run(args)) = parse(&[&["run"], arguments].concat()) else { panic!("{arguments:?}") };
    wanted(&args, config, NOW).unwrap()
}

#[test]
fn the_arguments_count_before_the_configuration() {
    assert!(wanted_of(&[], &config(0, 0)).is_none());
    let configured = wanted_of(&[], &config(7, 30)).unwrap();
    assert_eq!(configured.bodies_before, Some(datetime!(2026-02-22 12:00 UTC)));
    assert_eq!(configured.rows_before, Some(datetime!(2026-01-30 12:00 UTC)));
    assert_eq!(configured.reason, "bodies_days = 7, rows_days = 30");
    let given = wanted_of(&["--bodies-older-than", "2w"], &config(7, 30)).unwrap();
    assert_eq!((given.bodies_before, given.rows_before), (Some(datetime!(2026-02-15 12:00 UTC)), None));
    assert_eq!(given.reason, "--bodies-older-than 2w");
    let said = wanted_of(&["--older-than", "2025-01-01", "--reason", "the contract"], &config(0, 0)).unwrap();
    assert_eq!(
        (said.reason.as_str(), said.rows_before),
        ("the contract", Some(datetime!(2025-01-01 0:00 UTC)))
    );
}

/// Wrong usage, before anybody is asked.
#[tokio::test]
async fn what_may_never_go_is_wrong_usage() {
    let exit = async |arguments: &[&str]| {
        let Ok(command) = parse(&[&["run"], arguments].concat()) else { panic!("{arguments:?}") };
        run(command, &config(0, 0)).await.unwrap()
    };
    let code = |code: ExitCode| format!("{code:?}");
    assert_eq!(code(exit(&["--older-than", "1d"]).await), code(USAGE.into()));
    assert_eq!(code(exit(&["--older-than", "3d", "--bodies-older-than", "4d"]).await), code(USAGE.into()));
    assert_eq!(code(exit(&["--older-than", "three"]).await), code(USAGE.into()));
    assert_eq!(code(exit(&[]).await), code(USAGE.into()));
}

/// What the daemon of before removed is in the record.
#[tokio::test]
async fn a_run_whose_daemon_is_gone_is_looked_up() {
    use crate::record::{Event, tests::support::Bench};
    let bench = Bench::new();
    let recorder = bench.open().await.recorder;
    let config = Config { record: bench.config.clone(), ..Config::default() };
    let begun = RetentionBegun { run: "r-7".to_owned(), began: NOW };
    let wanted = wanted_of(&["--older-than", "30d"], &config).unwrap();
    let gone = lost(&wanted, &begun, &config).await.unwrap_err().to_string();
    assert!(gone.contains("have tombstones of this run are 0") && gone.contains("again"), "{gone}");
    for (run, calls, error) in [("r-6", 1, None), ("r-7", 12, Some("told to stop")), ("r-8", 3, None)] {
        let detail = serde_json::json!({ "run": run, "removed": { "calls": calls }, "error": error });
        recorder.event(Event { detail, ..Event::new("retention", "rows") }).await.unwrap();
    }
    recorder.close().await;
    let ended = finished(lost(&wanted, &begun, &config).await.unwrap()).unwrap_err().to_string();
    assert_eq!(ended, "12 rows were removed, then it ended: told to stop");
    let begun = RetentionBegun { run: "r-8".to_owned(), ..begun };
    assert_eq!(finished(lost(&wanted, &begun, &config).await.unwrap()).unwrap().rows(), 3);
}

#[test]
fn a_hold_is_of_one_thing_and_has_a_reason() {
    assert!(parse(&["holds", "add", "--session", "s-1", "--reason", "r"]).is_ok());
    assert!(parse(&["holds", "add", "--since", "7d", "--until", "1d", "--reason", "r"]).is_ok());
    assert!(parse(&["holds", "add", "--session", "s-1"]).is_err());
    assert!(parse(&["holds", "add", "--session", "s-1", "--workload", "w", "--reason", "r"]).is_err());
    assert!(parse(&["holds", "add", "--workload", "w", "--since", "7d", "--reason", "r"]).is_err());
    assert!(parse(&["holds", "release", "h-1"]).is_err());
    assert_eq!(Held::of(None, None, None, None), Err(Senseless::Hold));
    assert_eq!(retention::reason(" "), Err(Senseless::NoReason));
    assert_eq!(retention::reason(&"x".repeat(2001)), Err(Senseless::LongReason));
    assert_eq!(retention::reason(" the incident\n").as_deref(), Ok("the incident"));
}

#[tokio::test]
async fn what_goes_is_a_table() {
    let tally = |table: &str, rows| Tally {
        table: table.to_owned(),
        rows,
        bytes: rows * 700,
        oldest: Some("2025-01-01T02:15:00.000000Z".to_owned()),
        newest: Some("2025-01-31T02:15:00.000000Z".to_owned()),
    };
    let bodies = Tally { oldest: None, newest: None, ..tally("bodies", 3) };
    let mut report = Report {
        run: None,
        dry_run: true,
        bodies_before: None,
        rows_before: Some("2025-02-01T00:00:00.000000Z".to_owned()),
        tables: vec![tally("call_bodies", 4), bodies, tally("calls", 12)],
    };
    let shown =
        async |report: &Report| printed(None, false, async |screen| Ok(show(report, screen)?)).await.0;
    insta::assert_snapshot!(shown(&report).await, @r"
    sessions ended, and events from, before 2025-02-01 00:00:00Z

    TABLE        WOULD GO  BYTES  OLDEST                NEWEST
    call_bodies  4         2800   2025-01-01 02:15:00Z  2025-01-31 02:15:00Z
    bodies       3         2100
    calls        12        8400   2025-01-01 02:15:00Z  2025-01-31 02:15:00Z
    ");
    (report.dry_run, report.tables) = (false, Vec::new());
    assert!(shown(&report).await.ends_with("nothing was removed\n"));
    let status = RetentionStatus { running: false, report, error: Some("why not".to_owned()) };
    assert!(finished(status).unwrap_err().to_string().ends_with("then it ended: why not"));
}

#[tokio::test]
async fn holds_are_listed() {
    let hold = |id: &str| HoldView {
        id: id.to_owned(),
        time: "2026-01-01T02:15:00.000000Z".to_owned(),
        actor: "uid 0".to_owned(),
        reason: "the incident".to_owned(),
        session: None,
        workload: None,
        since: None,
        until: None,
        released: None,
        released_by: None,
        release_reason: None,
    };
    let holds = [
        HoldView { session: Some("s-1".to_owned()), ..hold("h-1") },
        HoldView {
            since: Some("2025-12-01T00:00:00.000000Z".to_owned()),
            until: Some("2025-12-02T00:00:00.000000Z".to_owned()),
            ..hold("h-2")
        },
        HoldView { workload: Some("aider".to_owned()), released: Some(hold("").time), ..hold("h-3") },
    ];
    let (out, _) = printed(None, false, async |screen| list(&holds, false, false, screen)).await;
    insta::assert_snapshot!(out, @r"
    PLACED                BY     HOLDS                                                  REASON        RELEASED  HOLD
    2026-01-01 02:15:00Z  uid 0  session s-1                                            the incident            h-1
    2026-01-01 02:15:00Z  uid 0  since 2025-12-01 00:00:00Z until 2025-12-02 00:00:00Z  the incident            h-2
    ");
    let (out, _) = printed(None, false, async |screen| list(&holds, true, true, screen)).await;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), lines[2]["workload"].as_str()), (3, Some("aider")));
    let (out, _) = printed(None, false, async |screen| list(&[], false, false, screen)).await;
    assert_eq!(out, "no holds are in force\n");
}

/// Without a daemon the command is the writer.
#[tokio::test]
async fn without_a_daemon_the_command_does_it() {
    use crate::record::tests::support::{Bench, session};
    let bench = Bench::new();
    let recorder = bench.open().await.recorder;
    recorder.session_started(session(1)).await.unwrap();
    recorder.close().await;
    let mut config = Config { record: bench.config.clone(), ..Config::default() };
    config.api.socket = bench.dir.path().join("nobody.sock");
    let wanted = HoldRequest {
        session: Some(crate::record::tests::support::session_id(1)),
        workload: None,
        since: None,
        until: None,
        reason: "the incident".to_owned(),
    };
    let unknown =
        HoldRequest { session: None, workload: Some("claude-bilds".parse().unwrap()), ..wanted.clone() };
    let refused = add(unknown, &config).await.unwrap_err().to_string();
    assert!(refused.ends_with("did you mean claude-builds?"), "{refused}");
    let nobody =
        HoldRequest { session: Some(crate::record::tests::support::session_id(9)), ..wanted.clone() };
    let refused = add(nobody, &config).await.unwrap_err().to_string();
    assert!(refused.contains("would hold nothing"), "{refused}");
    let HoldPlaced { hold, sessions } = add(wanted, &config).await.unwrap();
    assert_eq!(sessions, 1);
    release(&hold, "over".to_owned(), &config).await.unwrap();
    let again = release(&hold, "over".to_owned(), &config).await.unwrap_err().to_string();
    assert!(again.contains("was released at"), "{again}");
    let unknown = release("h-none", "over".to_owned(), &config).await.unwrap_err().to_string();
    assert!(unknown.contains("there is no hold \"h-none\""), "{unknown}");
    // Everything is old for the clock of this host, but the session goes on.
    let wanted = wanted_of(&["--older-than", "2d"], &config);
    let wanted = RetentionRequest {
        rows_before: Some(Clock::system().now() - time::Duration::days(2)),
        ..wanted.unwrap()
    };
    assert!(ask_daemon(&wanted, &config).await.unwrap().is_none());
    // Months have passed since the last record, and nobody has said that this is so.
    let refused = alone(&wanted, &config).await.unwrap_err().to_string();
    assert!(refused.contains("--clock-is-right"), "{refused}");
    let wanted = RetentionRequest { clock_is_right: true, ..wanted };
    let report = alone(&wanted, &config).await.unwrap();
    assert!(report.tables.iter().all(|tally| tally.table == "events"), "{report:?}");
    bench.check_integrity().await;
}
