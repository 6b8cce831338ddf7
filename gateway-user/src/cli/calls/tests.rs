use clap::Parser;

use super::*;
use crate::{
    cli::table::tests::printed,
    record::{
        query::QueryError,
        tests::seed::{MORNING, Night},
    },
};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

async fn output(arguments: &[&str], width: Option<u16>) -> (String, String) {
    let night = Night::new().await;
    let line = Line::try_parse_from([&["calls"], arguments].concat()).unwrap();
    printed(width, false, async |screen| execute(line.command, &night.reader, MORNING, screen).await).await
}

#[tokio::test]
async fn a_list_is_a_table_newest_first() {
    let (out, err) = output(&["list", "--until", "2026-03-01T02:17:30Z"], None).await;
    insta::assert_snapshot!(out, @r#"
    TIME                  WORKLOAD       DECISION  OPERATION                      RESOURCE                                                                STATUS  RULE          CALL
    2026-03-01 02:17:00Z  docs-bot       deny      iam:CreateUser                 arn:aws:iam::123456789012:user/eve                                      403     no-iam        c-000000050000700080000000000000cc
    2026-03-01 02:16:00Z  docs-bot       allow     secretsmanager:GetSecretValue  arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1b2c3  200     docs-secrets  c-000000040000700080000000000000cc
    2026-03-01 02:15:30Z  docs-bot       deny      s3:DeleteObject                arn:aws:s3:::builds/app.tar                                             403     no-delete     c-000000030000700080000000000000cc
    2026-03-01 02:15:00Z  claude-builds  allow     s3:ListObjectsV2               arn:aws:s3:::builds                                                     200     builds-read   c-000000020000700080000000000000cc
    2026-03-01 02:14:10Z  claude-builds  allow     s3:GetObject                   arn:aws:s3:::builds/app.tar                                             200     builds-read   c-000000010000700080000000000000cc
    "#);
    assert_eq!(err, "");
}

#[tokio::test]
async fn a_list_fits_the_terminal() {
    let (out, _) = output(&["list"], Some(100)).await;
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
}

#[tokio::test]
async fn json_is_one_object_per_line_with_the_views_columns() {
    let (out, err) = output(&["list", "--json", "--action", "s3:PutObject"], None).await;
    insta::assert_snapshot!(out, @r#"
    {"seq":8,"id":"c-000000080000700080000000000000cc","time":"2026-03-01T02:20:00.000000Z","session":"s-000000010000700080000000000000aa","workload":"claude-builds","subject":"host:claude-builds","issuer":"host","groups":["ai-agents"],"hostname":"build7","pid":4201,"uid":1000,"account":"123456789012","region":"eu-central-1","host":"builds.s3.eu-central-1.amazonaws.com","service":"s3","operation":"CopyObject","method":"PUT","actions":["s3:GetObject","s3:PutObject"],"resources":["arn:aws:s3:::builds/old.tar","arn:aws:s3:::builds/new.tar"],"params":{"Bucket":"builds"},"decision":"allow","rules":["builds-write"],"reason":null,"policy_digest":"5f0c4f1e7b1c0a9be6d2a4b9d01c7d3a7a3f6f20d9a0c1b2e4f5061728394a5b","access_key_id":"ASIACHAPERONEEXAMPLE","request_digest":"0000000000000000000000000000000000000000000000000000000000000008","outcome":"forwarded","outcome_seq":8,"ended":"2026-03-01T02:20:00.000000Z","status":404,"aws_request_id":"REQ8","error_code":"NoSuchKey","upstream_us":18250,"gateway_us":410,"bytes_in":0,"bytes_out":300,"truncated":[],"outcome_truncated":[]}
    "#);
    assert_eq!(err, "");
}

#[tokio::test]
async fn pages_say_how_to_go_on() {
    let (out, err) = output(&["list", "--json", "--limit", "2", "--oldest-first"], None).await;
    assert_eq!(out.lines().count(), 2);
    assert_eq!(err, "there are more: --cursor c-000000020000700080000000000000cc\n");
    let cursor = "c-000000020000700080000000000000cc";
    let (out, _) =
        output(&["list", "--json", "--limit", "1", "--oldest-first", "--cursor", cursor], None).await;
    assert!(out.contains(r#""id":"c-000000030000700080000000000000cc""#), "{out}");
}

#[tokio::test]
async fn nothing_found_is_said_beside_the_output() {
    let (out, err) = output(&["list", "--since", "1h"], None).await;
    assert_eq!((out.as_str(), err.as_str()), ("", "no calls match\n"));
}

#[tokio::test]
async fn one_call_is_shown_with_everything() {
    let (out, _) = output(&["show", "c-00000003"], None).await;
    insta::assert_snapshot!(out, @r#"
    call            c-000000030000700080000000000000cc
    time            2026-03-01T02:15:30.000000Z
    session         s-000000020000700080000000000000aa
    workload        docs-bot
    subject         host:docs-bot
    issuer          host
    groups          ai-agents
    hostname        build8
    pid             4202
    uid             1000
    operation       s3:DeleteObject
    account         123456789012
    region          eu-central-1
    method          DELETE
    host            builds.s3.eu-central-1.amazonaws.com
    actions         s3:DeleteObject
    resources       arn:aws:s3:::builds/app.tar
    params          {"Bucket":"builds"}
    decision        deny
    rules           no-delete
    reason          rule no-delete forbids s3:DeleteObject
    policy digest   5f0c4f1e7b1c0a9be6d2a4b9d01c7d3a7a3f6f20d9a0c1b2e4f5061728394a5b
    access key id   ASIACHAPERONEEXAMPLE
    request digest  0000000000000000000000000000000000000000000000000000000000000003
    outcome         denied
    ended           2026-03-01T02:15:30.000000Z
    status          403
    error code      AccessDenied
    gateway         95 µs
    command         aws s3api delete-object --bucket builds --region eu-central-1
    "#);
    let (json, _) = output(&["show", "--json", "c-00000003"], None).await;
    assert_eq!(json.lines().count(), 1);
}

async fn failure(arguments: &[&str]) -> anyhow::Error {
    let night = Night::new().await;
    let line = Line::try_parse_from([&["calls"], arguments].concat()).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut screen = Screen::new(&mut out, &mut err, None, false);
    execute(line.command, &night.reader, MORNING, &mut screen).await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_be_found_fails() {
    let unknown = QueryError::Unknown { kind: "call", id: "c-77".to_owned() };
    assert_eq!(failure(&["show", "c-77"]).await.downcast_ref(), Some(&unknown));
    let bad_time = failure(&["list", "--since", "soon"]).await;
    assert!(bad_time.is::<when::BadTime>(), "{bad_time}");
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    for arguments in [
        &["list", "--decision", "maybe"][..],
        &["list", "--status", "4x"],
        &["list", "--limit", "0"],
        &["list", "--limit", "10001"],
        &["show"],
    ] {
        assert!(Line::try_parse_from([&["calls"], arguments].concat()).is_err(), "{arguments:?}");
    }
}
