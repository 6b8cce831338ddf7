use clap::Parser;
use serde_json::Value;

use super::*;
use crate::record::tests::{
    seed::{MORNING, Night},
    support::On,
};

#[derive(Parser)]
struct Parsed {
    #[command(flatten)]
    args: Args,
}

fn args(arguments: &[&str]) -> Args {
    Parsed::try_parse_from([&["export"], arguments].concat()).unwrap().args
}

async fn exported(night: &Night, arguments: &[&str]) -> (String, Done) {
    let mut out = Vec::new();
    let mut place = Place { out: &mut out, kept: None };
    let done =
        execute(&args(arguments), &night.reader, MORNING, &mut place, &mut Line::hidden()).await.unwrap();
    (String::from_utf8(out).unwrap(), done)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_has_ended_comes_in_the_order_in_which_it_did() {
    let night = Night::new().await;
    let (text, done) = exported(&night, &["--format", "jsonl"]).await;
    let ids: Vec<Value> = lines(&text).iter().map(|call| call["operation"].clone()).collect();
    assert_eq!(done.calls, 8, "the ninth is open");
    assert_eq!(ids.len(), 8);
    assert!(lines(&text).iter().all(|call| call["outcome"] != "open"));
    let (text, again) = exported(&night, &["--format", "jsonl", "--cursor", &done.cursor]).await;
    assert_eq!((text.as_str(), again.calls), ("", 0));
    assert_eq!(again.cursor, done.cursor);
}

#[tokio::test]
async fn both_stores_export_the_same() {
    let (sqlite, postgres) = (Night::on(On::Sqlite).await, Night::on(On::Postgres).await);
    for format in ["jsonl", "csv", "ocsf", "cloudtrail"] {
        for more in [&[][..], &["--text", "PROD/db"], &["--limit", "3", "--cursor", "e-2"]] {
            let arguments = [&["--format", format], more].concat();
            let (text, done) = exported(&sqlite, &arguments).await;
            assert!(done.calls > 0 && !text.is_empty(), "{arguments:?}");
            let (other, also_done) = exported(&postgres, &arguments).await;
            assert_eq!(
                (text, done.calls, done.cursor),
                (other, also_done.calls, also_done.cursor),
                "{arguments:?}"
            );
        }
    }
}

#[tokio::test]
async fn pages_join() {
    let night = Night::new().await;
    let (whole, _) = exported(&night, &["--format", "jsonl"]).await;
    let (mut joined, mut cursor) = (String::new(), "e-0".to_owned());
    loop {
        let (page, done) =
            exported(&night, &["--format", "jsonl", "--limit", "3", "--cursor", &cursor]).await;
        joined.push_str(&page);
        cursor = done.cursor;
        if done.calls < 3 {
            break;
        }
    }
    assert_eq!(joined, whole);
}

#[tokio::test]
async fn filters_hold() {
    let night = Night::new().await;
    let (text, done) =
        exported(&night, &["--format", "jsonl", "--decision", "deny", "--workload", "docs-bot"]).await;
    assert_eq!(lines(&text).len(), 2);
    // The cursor has passed those that were left out.
    let (rest, _) = exported(&night, &["--format", "jsonl", "--cursor", &done.cursor]).await;
    assert_eq!(rest, "");
}

#[tokio::test]
async fn a_cursor_must_come_from_an_export() {
    let night = Night::new().await;
    for cursor in ["", "e-", "e-x", "e--1", "7", "c-00000003", "e-99999", "e-99999999999999999999"] {
        let mut out = Vec::new();
        let mut place = Place { out: &mut out, kept: None };
        let args = args(&["--format", "jsonl", "--cursor", cursor]);
        let error =
            execute(&args, &night.reader, MORNING, &mut place, &mut Line::hidden()).await.unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(QueryError::BadCursor(_))), "{cursor}: {error}");
    }
}

#[tokio::test]
async fn ocsf_is_api_activity() {
    let night = Night::new().await;
    let (text, _) = exported(&night, &["--format", "ocsf", "--action", "s3:DeleteObject"]).await;
    let mut event = lines(&text).remove(0);
    event["metadata"]["product"]["version"] = "0".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&event).unwrap(), @r#"
    {
      "class_uid": 6003,
      "class_name": "API Activity",
      "category_uid": 6,
      "category_name": "Application Activity",
      "activity_id": 4,
      "activity_name": "Delete",
      "type_uid": 600304,
      "type_name": "API Activity: Delete",
      "severity_id": 2,
      "severity": "Low",
      "status_id": 2,
      "status": "Failure",
      "status_code": "AccessDenied",
      "status_detail": "rule no-delete forbids s3:DeleteObject",
      "time": 1772331330000,
      "start_time": 1772331330000,
      "end_time": 1772331330000,
      "metadata": {
        "version": "1.4.0",
        "uid": "c-000000030000700080000000000000cc",
        "profiles": [
          "cloud"
        ],
        "product": {
          "name": "chaperone",
          "vendor_name": "chaperone",
          "version": "0"
        }
      },
      "actor": {
        "user": {
          "name": "host:docs-bot",
          "uid": "host:docs-bot",
          "type_id": 99,
          "type": "Agent",
          "domain": "host",
          "groups": [
            {
              "name": "ai-agents"
            }
          ],
          "credential_uid": "ASIACHAPERONEEXAMPLE"
        },
        "session": {
          "uid": "s-000000020000700080000000000000aa",
          "issuer": "host"
        },
        "process": {
          "pid": 4202,
          "user": {
            "uid": "1000"
          }
        },
        "app_name": "docs-bot"
      },
      "api": {
        "operation": "DeleteObject",
        "service": {
          "name": "s3.amazonaws.com"
        },
        "request": {
          "uid": "c-000000030000700080000000000000cc"
        },
        "response": {
          "code": 403,
          "error": "AccessDenied",
          "error_message": "rule no-delete forbids s3:DeleteObject"
        }
      },
      "cloud": {
        "provider": "AWS",
        "region": "eu-central-1",
        "account": {
          "uid": "123456789012"
        }
      },
      "resources": [
        {
          "uid": "arn:aws:s3:::builds/app.tar"
        }
      ],
      "src_endpoint": {
        "hostname": "build8"
      },
      "dst_endpoint": {
        "hostname": "builds.s3.eu-central-1.amazonaws.com",
        "svc_name": "s3.amazonaws.com"
      },
      "http_request": {
        "http_method": "DELETE"
      },
      "http_response": {
        "code": 403
      },
      "unmapped": {
        "decision": "deny",
        "rules": [
          "no-delete"
        ],
        "reason": "rule no-delete forbids s3:DeleteObject",
        "policy_digest": "5f0c4f1e7b1c0a9be6d2a4b9d01c7d3a7a3f6f20d9a0c1b2e4f5061728394a5b",
        "outcome": "denied",
        "actions": [
          "s3:DeleteObject"
        ],
        "params": {
          "Bucket": "builds"
        },
        "request_digest": "0000000000000000000000000000000000000000000000000000000000000003",
        "gateway_us": 95,
        "upstream_us": null,
        "truncated": []
      }
    }
    "#);
    let (text, _) = exported(&night, &["--format", "ocsf"]).await;
    for mut event in lines(&text) {
        let activity = event["activity_id"].as_u64().unwrap();
        assert!([1, 2, 3, 4, 99].contains(&activity), "{event}");
        assert_eq!(event["type_uid"], 600_300 + activity);
        for required in ["time", "metadata", "severity_id", "actor", "api", "cloud", "src_endpoint"] {
            assert!(!event[required].is_null(), "{required}: {event}");
        }
        event["unmapped"].take();
        assert!(!event.to_string().replace(r#""unmapped":null"#, "").contains(":null"), "{event}");
    }
}

/// Attributes that are required where an object is there, and of which one must be, by their paths: of the class and its
/// objects in the schema of version 1.4.0.
const REQUIRED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "activity_id",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "time",
            "type_uid",
            "actor",
            "api",
            "src_endpoint",
            "cloud",
        ],
    ),
    ("/metadata", &["product", "version"]),
    ("/api", &["operation"]),
    ("/api/request", &["uid"]),
    ("/cloud", &["provider"]),
    ("/http_response", &["code"]),
];
const ONE_OF: &[(&str, &[&str])] = &[
    ("/actor", &["process", "user", "app_name", "app_uid", "session"]),
    ("/actor/user", &["account", "name", "uid"]),
    ("/actor/process", &["pid", "uid", "cpid"]),
    ("/http_request/url", &["url_string", "path"]),
    ("/metadata/product", &["name", "uid"]),
    ("/api/service", &["name", "uid"]),
    ("/cloud/account", &["name", "uid"]),
    ("/src_endpoint", &["hostname", "ip", "name", "uid", "svc_name"]),
    ("/dst_endpoint", &["hostname", "ip", "name", "uid", "svc_name"]),
];

#[tokio::test]
async fn ocsf_has_what_the_schema_requires() {
    let night = Night::new().await;
    let (text, _) = exported(&night, &["--format", "ocsf"]).await;
    assert_eq!(lines(&text).len(), 8);
    for event in lines(&text) {
        let has = |at: &str, name: &str| event.pointer(&format!("{at}/{name}")).is_some();
        for (at, names) in REQUIRED.iter().filter(|(at, _)| event.pointer(at).is_some()) {
            assert!(names.iter().all(|name| has(at, name)), "{at} {names:?}: {event}");
        }
        for (at, names) in ONE_OF.iter().filter(|(at, _)| event.pointer(at).is_some()) {
            assert!(names.iter().any(|name| has(at, name)), "{at} {names:?}: {event}");
        }
    }
}

#[tokio::test]
async fn what_policy_only_observed_is_no_error_and_what_may_have_happened_no_failure() {
    let night = Night::new().await;
    let page =
        crate::record::query::Page { limit: 1, cursor: None, order: crate::record::query::Order::Oldest };
    let mut call = night.reader.calls(&Default::default(), &page).await.unwrap().rows.remove(0);
    call.decision = "observed".to_owned();
    call.reason = Some("observed deny: no rule permits it".to_owned());
    (call.outcome, call.status, call.error_code) = ("forwarded".to_owned(), Some(200), None);
    let (event, record) = (ocsf::event(&call), cloudtrail::records(std::slice::from_ref(&call)));
    assert_eq!((&event["status"], event.get("status_detail")), (&"Success".into(), None), "{event}");
    assert!(record["Records"][0].get("errorMessage").is_none(), "{record}");
    assert_eq!(record["Records"][0]["additionalEventData"]["reason"], "observed deny: no rule permits it");
    // The request had left, and its answer was withheld: what the agent got is the gateway's word.
    (call.outcome, call.status, call.error_code) =
        ("failed".to_owned(), Some(403), Some("AccessDenied".to_owned()));
    call.upstream_us = Some(1200);
    let (event, record) = (ocsf::event(&call), cloudtrail::records(std::slice::from_ref(&call)));
    assert_eq!(event["status_id"], 0, "{event}");
    assert!(event.get("http_response").is_none() && event.get("status_code").is_none(), "{event}");
    assert!(record["Records"][0].get("errorCode").is_none(), "{record}");
    // Nothing had left.
    call.upstream_us = None;
    assert_eq!(ocsf::event(&call)["status_id"], 2);
    assert_eq!(cloudtrail::records(&[call])["Records"][0]["errorCode"], "AccessDenied");
}

#[tokio::test]
async fn cloudtrail_is_records() {
    let night = Night::new().await;
    let (text, _) = exported(&night, &["--format", "cloudtrail", "--service", "secretsmanager"]).await;
    let mut document = lines(&text).remove(0);
    document["Records"][0]["userAgent"] = "chaperone".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap(), @r#"
    {
      "Records": [
        {
          "eventVersion": "1.11",
          "userIdentity": {
            "type": "Unknown",
            "principalId": "s-000000020000700080000000000000aa",
            "userName": "host:docs-bot",
            "accountId": "123456789012",
            "accessKeyId": "ASIACHAPERONEEXAMPLE",
            "invokedBy": "docs-bot"
          },
          "eventTime": "2026-03-01T02:16:00Z",
          "eventSource": "secretsmanager.amazonaws.com",
          "eventName": "GetSecretValue",
          "awsRegion": "eu-central-1",
          "sourceIPAddress": "build8",
          "userAgent": "chaperone",
          "requestParameters": {
            "SecretId": "prod/db"
          },
          "responseElements": null,
          "requestID": "REQ4",
          "eventID": "c-000000040000700080000000000000cc",
          "readOnly": true,
          "resources": [
            {
              "ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1b2c3",
              "accountId": "123456789012"
            }
          ],
          "eventType": "AwsApiCall",
          "recipientAccountId": "123456789012",
          "additionalEventData": {
            "decision": "allow",
            "rules": [
              "docs-secrets"
            ],
            "reason": null,
            "outcome": "forwarded",
            "status": 200,
            "issuer": "host",
            "groups": [
              "ai-agents"
            ],
            "policyDigest": "5f0c4f1e7b1c0a9be6d2a4b9d01c7d3a7a3f6f20d9a0c1b2e4f5061728394a5b"
          },
          "tlsDetails": {
            "clientProvidedHostHeader": "secretsmanager.eu-central-1.amazonaws.com"
          }
        }
      ]
    }
    "#);
    let (text, _) = exported(&night, &["--format", "cloudtrail"]).await;
    assert_eq!(lines(&text)[0]["Records"].as_array().unwrap().len(), 8);
    let (text, _) = exported(&night, &["--format", "cloudtrail", "--service", "none"]).await;
    assert_eq!(text, "");
}

#[tokio::test]
async fn csv_has_a_header_and_the_columns_of_the_view() {
    let night = Night::new().await;
    let (text, _) = exported(&night, &["--format", "csv", "--service", "dynamodb"]).await;
    insta::assert_snapshot!(text.replace("\r\n", "\n"), @r#"
    seq,id,time,session,workload,subject,issuer,groups,hostname,pid,uid,account,region,host,service,operation,method,actions,resources,params,decision,rules,reason,policy_digest,access_key_id,request_digest,outcome,outcome_seq,ended,status,aws_request_id,error_code,upstream_us,gateway_us,bytes_in,bytes_out,truncated,outcome_truncated
    7,c-000000070000700080000000000000cc,2026-03-01T02:19:00.000000Z,s-000000010000700080000000000000aa,claude-builds,host:claude-builds,host,"[""ai-agents""]",build7,4201,1000,123456789012,us-east-1,dynamodb.us-east-1.amazonaws.com,dynamodb,PutItem,POST,"[""dynamodb:PutItem""]","[""arn:aws:dynamodb:us-east-1:123456789012:table/jobs""]","{""TableName"":""jobs"",""progress"":""100%""}",allow,"[""jobs-write""]",,5f0c4f1e7b1c0a9be6d2a4b9d01c7d3a7a3f6f20d9a0c1b2e4f5061728394a5b,ASIACHAPERONEEXAMPLE,0000000000000000000000000000000000000000000000000000000000000007,aborted,7,2026-03-01T02:19:00.000000Z,,,,,,,,[],[]
    "#);
    assert_eq!(text.matches("\r\n").count(), 2);
    let page = include_str!("../../../../docs/queries.md");
    let section = page.split("\n### `v_calls`").nth(1).unwrap().split("\n### ").next().unwrap();
    let columns: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(name, _)| name))
        .collect();
    assert_eq!(columns, csv::COLUMNS);
}

async fn to(path: &Path, night: &Night, more: &[&str]) -> anyhow::Result<Done> {
    let args = args(&[&["--format", "csv", "--output", path.to_str().unwrap()], more].concat());
    to_file(&args, path, &night.reader, MORNING, &mut Line::hidden()).await
}

#[tokio::test]
async fn a_file_goes_on_where_it_ended_also_after_an_interruption() {
    let night = Night::new().await;
    let (whole, _) = exported(&night, &["--format", "csv"]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("calls.csv");
    assert_eq!(to(&path, &night, &["--resume", "--limit", "3"]).await.unwrap().calls, 3);
    // What was written and not known to be: half a row.
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"4,c-000").unwrap();
    assert_eq!(to(&path, &night, &["--resume", "--limit", "3"]).await.unwrap().calls, 3);
    assert_eq!(to(&path, &night, &["--resume"]).await.unwrap().calls, 2);
    assert_eq!(to(&path, &night, &["--resume"]).await.unwrap().calls, 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);

    // It is of this export alone.
    let error = to(&path, &night, &["--resume", "--decision", "deny"]).await.unwrap_err().to_string();
    assert!(error.contains("is of an export of another format or with other filters"), "{error}");

    // Without it, a file is written anew, and an older cursor does not say anything of it.
    to(&path, &night, &["--limit", "2"]).await.unwrap();
    let error = to(&path, &night, &["--resume"]).await.unwrap_err().to_string();
    assert!(error.contains("export to another file, or remove it"), "{error}");
    to(&path, &night, &[]).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
}

/// Files go on with a newer version: SHA-256 of the form, and a line for each option.
#[test]
fn what_is_exported_has_the_same_word_in_every_version() {
    let deny = args(&["--format", "csv", "--decision", "deny", "--since", "7d", "--status", "4xx"]);
    assert_eq!(kind(&deny), "041c78185ec543b2");
}

#[tokio::test]
async fn a_file_that_does_not_fit_its_cursor_is_left_alone() {
    let night = Night::new().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("calls.csv");
    fs::write(&path, "mine").unwrap();
    let error = to(&path, &night, &["--resume"]).await.unwrap_err();
    assert!(error.to_string().contains("is there and"), "{error}");
    let kind = kind(&args(&["--format", "csv"]));
    fs::write(dir.path().join("calls.csv.cursor"), format!("e-3 5000 {kind}\n")).unwrap();
    let error = to(&path, &night, &["--resume"]).await.unwrap_err();
    assert!(error.to_string().contains("it was changed"), "{error}");
    fs::write(dir.path().join("calls.csv.cursor"), "nonsense").unwrap();
    let error = to(&path, &night, &["--resume"]).await.unwrap_err();
    assert!(error.to_string().contains("holds no cursor"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}
