use clap::Parser;
use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::{
    cli::{
        calls::{self, masked_place},
        events,
        table::tests::printed,
    },
    record::{
        Event, Intent, Outcome, OutcomeKind,
        query::{EventFilter, MaskedView},
        tests::{
            seed::{MORNING, Night},
            support::{Bench, On, call_id, intent, session_id},
        },
    },
};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

async fn output(arguments: &[&str]) -> (String, String) {
    output_of(&Night::new().await, arguments).await
}

async fn output_of(night: &Night, arguments: &[&str]) -> (String, String) {
    output_from(&night.reader, arguments).await
}

async fn output_from(reader: &Reader, arguments: &[&str]) -> (String, String) {
    let line = Line::try_parse_from([&["sessions"], arguments].concat()).unwrap();
    printed(None, false, async |screen| execute(line.command, reader, MORNING, screen).await).await
}

/// What `chaperone calls …` or `chaperone events …` prints.
async fn other_output(reader: &Reader, arguments: &[&str]) -> String {
    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Other,
    }
    #[derive(clap::Subcommand)]
    enum Other {
        #[command(subcommand)]
        Calls(calls::Command),
        #[command(subcommand)]
        Events(events::Command),
    }
    let line = Line::try_parse_from([&["chaperone"], arguments].concat()).unwrap();
    let (out, err) = printed(None, false, async |screen| match line.command {
        Other::Calls(command) => calls::execute(command, reader, MORNING, screen).await,
        Other::Events(command) => events::execute(command, reader, MORNING, screen).await,
    })
    .await;
    assert_eq!(err, "");
    out
}

#[tokio::test]
async fn sessions_are_listed_with_their_counts() {
    let (out, err) = output(&["list"]).await;
    insta::assert_snapshot!(out, @r#"
    STARTED               ENDED                 WORKLOAD       SUBJECT             HOST    CALLS  DENIED  SESSION
    2026-03-01 02:05:00Z  2026-03-01 02:30:00Z  docs-bot       host:docs-bot       build8  3      2       s-000000020000700080000000000000aa
    2026-03-01 02:00:00Z  open                  claude-builds  host:claude-builds  build7  6      1       s-000000010000700080000000000000aa
    "#);
    assert_eq!(err, "");
}

#[tokio::test]
async fn a_session_is_shown_with_every_call_in_order() {
    let (out, _) = output(&["show", "s-00000001"]).await;
    insta::assert_snapshot!(out, @r#"
    session     s-000000010000700080000000000000aa
    workload    claude-builds
    subject     host:claude-builds
    issuer      host
    groups      ai-agents
    started     2026-03-01T02:00:00.000000Z
    ended       open
    host        build7
    cgroup      /agents.slice/claude-1.scope
    command     claude -p "fix the build"
    uid         1000
    calls       6, 1 of them not allowed

    TIME                  DECISION  OPERATION         RESOURCE                                            STATUS   RULE
    2026-03-01 02:14:10Z  allow     s3:GetObject      arn:aws:s3:::builds/app.tar                         200      builds-read
    2026-03-01 02:15:00Z  allow     s3:ListObjectsV2  arn:aws:s3:::builds                                 200      builds-read
    2026-03-01 02:18:00Z  refused                                                                         400      two Authorization headers
    2026-03-01 02:19:00Z  allow     dynamodb:PutItem  arn:aws:dynamodb:us-east-1:123456789012:table/jobs  aborted  jobs-write
    2026-03-01 02:20:00Z  allow     s3:CopyObject     arn:aws:s3:::builds/old.tar (+1)                    404      builds-write
    2026-03-01 03:00:00Z  allow     s3:GetObject      arn:aws:s3:::builds/big.iso                         open     builds-read
    "#);
}

#[tokio::test]
async fn a_session_as_json_is_followed_by_its_calls() {
    let (out, _) = output(&["show", "--json", "s-00000002"]).await;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<_> = lines.iter().map(|line| line["id"].as_str().unwrap().get(..10).unwrap()).collect();
    assert_eq!(ids, ["s-00000002", "c-00000003", "c-00000004", "c-00000005"]);
    insta::assert_snapshot!(out.lines().next().unwrap(), @r#"
    {"seq":2,"id":"s-000000020000700080000000000000aa","started":"2026-03-01T02:05:00.000000Z","ended":"2026-03-01T02:30:00.000000Z","end_reason":"cgroup removed","workload":"docs-bot","subject":"host:docs-bot","issuer":"host","groups":["ai-agents"],"claims":{},"token_expires":null,"token_digest":null,"hostname":"build8","boot_id":"6f1d7c1e-4a7b-4a53-9d8e-3f2c3b1a0e55","cgroup_path":"agents.slice/claude-1.scope","cgroup_id":4711,"command":["aider","--api-key","[redacted]"],"uid":1000,"calls":3,"denied":2,"truncated":[]}
    "#);
}

#[tokio::test]
async fn no_sessions_is_said_beside_the_output() {
    let (out, err) = output(&["list", "--workload", "nobody"]).await;
    assert_eq!((out.as_str(), err.as_str()), ("", "no sessions match\n"));
}

#[tokio::test]
async fn events_are_listed() {
    let list = async |night: &Night, more: &[&str]| {
        other_output(&night.reader, &[&["events", "list", "--kind", "route-*"], more].concat()).await
    };
    let night = Night::new().await;
    insta::assert_snapshot!(list(&night, &[]).await, @r#"
    TIME                  KIND           WORKLOAD  MESSAGE                                       DETAIL                            SESSION
    2026-03-01 02:25:00Z  route-refused  docs-bot  the TLS ClientHello has no server name (SNI)  {"destination":"192.0.2.10:443"}  s-000000020000700080000000000000aa
    "#);
    let json = list(&night, &["--json"]).await;
    insta::assert_snapshot!(json, @r#"
    {"seq":3,"time":"2026-03-01T02:25:00.000000Z","kind":"route-refused","session":"s-000000020000700080000000000000aa","workload":"docs-bot","pid":4202,"uid":1000,"message":"the TLS ClientHello has no server name (SNI)","detail":{"destination":"192.0.2.10:443"},"truncated":[]}
    "#);
    // A database of many hosts says whose daemon wrote it.
    let hosts = Night::on(On::Postgres).await;
    let table = list(&hosts, &[]).await;
    let ends: Vec<&str> = table.lines().filter_map(|line| Some(line.rsplit_once("  ")?.1)).collect();
    assert_eq!(ends, ["HOST", "build7"], "{table}");
    assert_eq!(list(&hosts, &["--json"]).await, json.replace("[]}", r#"[],"hostname":"build7"}"#));
}

#[tokio::test]
async fn a_replay_tells_the_session_in_order() {
    let (out, err) = output(&["replay", "s-00000001"]).await;
    assert_eq!(err, "");
    insta::assert_snapshot!(out, @r#"
    session   s-000000010000700080000000000000aa
    who       claude-builds as host:claude-builds (by host), in ai-agents
    command   claude -p "fix the build"
    where     build7, /agents.slice/claude-1.scope
    started   2026-03-01 02:00:00Z
    calls     6, 1 of them not allowed

    +0:14:10   allow    aws s3api get-object --bucket builds --region eu-central-1 /dev/stdout
                        by builds-read
                        200 · 18.2 ms at AWS · 0.4 ms here · 1048576 bytes · REQ1 · c-000000010000700080000000000000cc
    +0:15:00   allow    aws s3api list-objects-v2 --bucket builds --region eu-central-1
                        by builds-read
                        200 · 18.2 ms at AWS · 0.4 ms here · 2048 bytes · REQ2 · c-000000020000700080000000000000cc
                        | <ListBucketResult></ListBucketResult>
    +0:18:00   refused  GET https://s3.eu-central-1.amazonaws.com/…
                        two Authorization headers
                        400 · InvalidRequest · 0.0 ms here · c-000000060000700080000000000000cc
    +0:19:00   allow    aws dynamodb put-item --table-name jobs --region us-east-1
                        by jobs-write
                        aborted · c-000000070000700080000000000000cc
    +0:20:00   allow    aws s3api copy-object --bucket builds --region eu-central-1
                        by builds-write
                        404 · NoSuchKey · 18.2 ms at AWS · 0.4 ms here · 300 bytes · REQ8 · c-000000080000700080000000000000cc
    +0:26:00   event    revealed: an answer that is withheld otherwise was given to the agent {"operation":"ecr:GetAuthorizationToken","field":"*","rules":["docker-login"],"resources":["*"]}
    +1:00:00   allow    aws s3api get-object --bucket builds --region eu-central-1 /dev/stdout
                        by builds-read
                        open · c-000000090000700080000000000000cc
    the session is open
    "#);
    let (out, _) = output(&["replay", "s-00000002"]).await;
    insta::assert_snapshot!(out, @r#"
    session   s-000000020000700080000000000000aa
    who       docs-bot as host:docs-bot (by host), in ai-agents
    command   aider --api-key [redacted]
    where     build8, /agents.slice/claude-1.scope
    started   2026-03-01 02:05:00Z
    calls     3, 2 of them not allowed

    +0:10:30   deny     aws s3api delete-object --bucket builds --region eu-central-1
                        by no-delete: rule no-delete forbids s3:DeleteObject
                        403 · AccessDenied · 0.0 ms here · c-000000030000700080000000000000cc
    +0:11:00   allow    aws secretsmanager get-secret-value --secret-id prod/db --region eu-central-1
                        by docs-secrets
                        200 · 18.2 ms at AWS · 0.4 ms here · 512 bytes · REQ4 · c-000000040000700080000000000000cc
                        masked: SecretString
                        | {
                        |   "SecretString": "chaperone:masked"
                        | }
    +0:12:00   deny     aws iam create-user --user-name eve --region us-east-1
                        by no-iam: rule no-iam forbids iam:CreateUser
                        403 · AccessDenied · 0.0 ms here · c-000000050000700080000000000000cc
    +0:20:00   event    route-refused: the TLS ClientHello has no server name (SNI) {"destination":"192.0.2.10:443"}
    +0:25:00   ended    cgroup removed
    "#);
}

#[tokio::test]
async fn a_replay_for_programs_says_what_each_line_is() {
    let (out, _) = output(&["replay", "--json", "s-00000002"]).await;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["session", "call", "call", "call", "event"]);
    let read = lines.iter().find(|line| line["operation"] == "GetSecretValue").unwrap();
    assert_eq!(
        read["command"],
        "aws secretsmanager get-secret-value --secret-id prod/db --region eu-central-1"
    );
    assert_eq!(read["masked"][0]["path"], "SecretString");
    assert_eq!(read["bodies"]["answer"]["content"], r#"{"SecretString":"chaperone:masked"}"#);
}

#[tokio::test]
async fn both_stores_tell_the_same() {
    let (sqlite, postgres) = (Night::on(On::Sqlite).await, Night::on(On::Postgres).await);
    for arguments in [
        &["list"][..],
        &["list", "--json", "--action", "s3:*"],
        &["show", "s-00000001"],
        &["replay", "s-00000001"],
        &["replay", "--json", "s-00000002"],
    ] {
        let told = output_of(&sqlite, arguments).await;
        assert!(told.0.lines().count() > 1, "{told:?}");
        let (out, err) = output_of(&postgres, arguments).await;
        // Only there do events name their host.
        let out = out.replace(r#""truncated":[],"hostname":"build7"}"#, r#""truncated":[]}"#);
        assert_eq!(told, (out, err), "{arguments:?}");
    }
    let tail = async |night: &Night| {
        let form = replay::Form { full: true, json: false };
        let mut tail = tail::Tail {
            calls: CallFilter::default(),
            events: Default::default(),
            at: Default::default(),
            form,
        };
        let (out, _) = printed(None, false, async |screen| tail.catch_up(&night.reader, screen).await).await;
        // The beginning of a database says which it is.
        out.lines()
            .filter(|line| !line.contains("log-begun") && !line.contains("record-opened"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let told = tail(&sqlite).await;
    assert!(told.iter().any(|line| line.contains("get-secret-value")), "{told:?}");
    assert_eq!(told, tail(&postgres).await);
}

#[tokio::test]
async fn a_decision_is_coloured_on_a_terminal() {
    let night = Night::new().await;
    let (out, _) = printed(Some(80), true, async |screen| {
        replay::run(&night.reader, "s-00000002", replay::Form::default(), screen).await
    })
    .await;
    assert!(out.contains("\u{1b}[31mdeny\u{1b}[0m"), "{out:?}");
}

#[tokio::test]
async fn a_tail_tells_open_calls_and_then_their_ends_once() {
    let night = Night::new().await;
    let (filter, form) = (CallFilter::default(), replay::Form { full: false, json: true });
    let mut tail = tail::Tail { calls: filter, events: Default::default(), at: Default::default(), form };
    let (out, _) = printed(None, false, async |screen| {
        tail.catch_up(&night.reader, screen).await?;
        tail.catch_up(&night.reader, screen).await
    })
    .await;
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let calls: Vec<&serde_json::Value> = lines.iter().filter(|line| line["type"] == "call").collect();
    assert_eq!(calls.len(), 9, "each once");
    assert_eq!(calls.iter().filter(|call| call["outcome"] == "open").count(), 1);
    assert_eq!(lines.iter().filter(|line| line["type"] == "event").count(), 6);
}

#[tokio::test]
async fn a_tail_of_all_sessions_says_whose_each_line_is() {
    let night = Night::new().await;
    let told = async |session: Option<&str>| {
        let session = session.map(str::to_owned);
        let mut tail = tail::Tail {
            calls: CallFilter { session: session.clone(), ..CallFilter::default() },
            events: EventFilter { session, ..EventFilter::default() },
            at: Default::default(),
            form: replay::Form::default(),
        };
        printed(None, false, async |screen| tail.catch_up(&night.reader, screen).await).await.0
    };
    let all = told(None).await;
    let [builds, docs, nobody] = [
        "claude-builds    s-000000010000  ",
        "docs-bot         s-000000020000  ",
        "-                -               ",
    ];
    assert!(
        all.lines().all(|line| [builds, docs, nobody].iter().any(|whose| line.starts_with(whose))),
        "{all}"
    );
    let of_docs: Vec<&str> = all.lines().filter_map(|line| line.strip_prefix(docs)).collect();
    for line in [
        "2026-03-01 02:15:30Z  deny     aws s3api delete-object",
        "                    by no-delete",
        "2026-03-01 02:25:00Z  event    route-refused: ",
    ] {
        assert!(of_docs.iter().any(|told| told.starts_with(line)), "{line:?}: {all}");
    }
    assert!(all.lines().any(|line| line.starts_with(nobody) && line.contains("night-over")), "{all}");
    // Of one session, they need not say it.
    let own = told(Some(&session_id(2).to_string())).await;
    assert_eq!(own.lines().collect::<Vec<_>>(), of_docs);
}

/// Also while the database is asked: here it is waited for the end of another client's transaction.
#[tokio::test]
async fn ctrl_c_ends_a_tail_whatever_it_is_doing() {
    let night = Night::on(On::Postgres).await;
    let mut slow = night.bench.postgres_connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE outcomes IN ROW EXCLUSIVE MODE").execute(&mut slow).await.unwrap();
    let tail = printed(None, false, async |screen| {
        tail::run(&night.reader, None, replay::Form::default(), screen).await
    });
    // The tail is polled first, so it listens when the signal comes.
    let stop = async { kill_process(getpid(), Signal::INT).unwrap() };
    let ((out, err), ()) = tokio::join!(biased; tail, stop);
    assert_eq!((out.as_str(), err.as_str()), ("", ""));
}

#[tokio::test]
async fn parameters_that_are_complete_are_not_said_to_be_cut() {
    let bench = On::Sqlite.with(|config| config.params_max_bytes = 256);
    let recorder = bench.recorder().await;
    let key = "k".repeat(1000);
    let long = Intent { params: serde_json::json!({"Bucket": "builds", "Key": key}), ..intent(1) };
    recorder.intend(long).await.unwrap().finish(Outcome::new(OutcomeKind::Forwarded));
    recorder.event(Event::new("tick", "its end is written")).await.unwrap();
    let reader = Reader::open(&bench.config).await.unwrap();
    let json = async |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&other_output(&reader, arguments).await).unwrap()
    };
    let listed = json(&["calls", "list", "--json"]).await;
    assert_eq!(listed["truncated"], serde_json::json!(["params"]), "a list has the row as it is");
    let shown = json(&["calls", "show", "--json", "c-00000001"]).await;
    assert_eq!(shown["params"]["Key"], key.as_str());
    assert_eq!(shown["truncated"], serde_json::json!([]));
    let text = other_output(&reader, &["calls", "show", "c-00000001"]).await;
    let (story, _) = output_from(&reader, &["replay", "s-00000001"]).await;
    for text in [text, story] {
        assert!(text.contains(&key) && !text.contains("cut to fit"), "{text}");
    }
}

#[tokio::test]
async fn the_events_of_a_call_are_looked_for_only_where_they_are_shown_with_it() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    recorder.intend(intent(1)).await.unwrap().finish(Outcome::new(OutcomeKind::Forwarded));
    let minted = Event {
        session: Some(session_id(1)),
        detail: serde_json::json!({"call_id": call_id(1)}),
        ..Event::new("keys-minted", "keys were minted")
    };
    recorder.event(minted).await.unwrap();
    let reader = Reader::open(&bench.config).await.unwrap();
    let events = async |json: bool| {
        let call = reader.call("c-00000001").await.unwrap();
        let whole = replay::whole(call, &reader, replay::Form { full: false, json }).await.unwrap();
        whole.about.events.len()
    };
    assert_eq!((events(true).await, events(false).await), (1, 0));
    let (story, _) = output_from(&reader, &["replay", "s-00000001"]).await;
    assert_eq!(story.matches("keys-minted").count(), 1, "it has a line of its own: {story}");
}

#[test]
fn where_something_was_hidden_is_said() {
    let check = |path: &str, cause: &str, expected: &str| {
        let (path, cause) = (path.to_owned(), cause.to_owned());
        assert_eq!(masked_place(&MaskedView { path, cause, digest: None, count: 3 }), expected);
    };
    check("SecretString", "SecretString", "SecretString");
    check("Parameters[3].Value", "Parameters[].Value", "Parameters[3].Value (Parameters[].Value)");
    check("Log", "detector:aws-key", "Log (detector:aws-key)");
    check("", "shape", "the whole body (shape)");
    check("", "detector:aws-key", "in the body (detector:aws-key)");
    check("", "more", "3 more");
}

#[tokio::test]
async fn sessions_are_found_by_their_calls() {
    let found =
        async |arguments: &[&str]| output(&[&["list", "--json"], arguments].concat()).await.0.lines().count();
    assert_eq!(found(&["--action", "iam:*"]).await, 1);
    assert_eq!(found(&["--decision", "allow"]).await, 2);
    assert_eq!(found(&["--rule", "jobs-*", "--region", "us-east-1"]).await, 1);
    assert_eq!(found(&["--rule", "jobs-*", "--region", "eu-central-1"]).await, 0);
    assert_eq!(found(&["--subject", "host:docs-bot"]).await, 1);
    assert_eq!(found(&["--text", "FIX THE BUILD"]).await, 1);
    assert_eq!(found(&["--account", "999999999999"]).await, 0);
}
