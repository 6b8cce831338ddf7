//! A small night of two agents, always the same: what queries and listings are tried on.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use time::{OffsetDateTime, macros::datetime};

use super::support::{Bench, On, call_id, identity, session, session_id};
use crate::record::{
    Decision, Event, Holds, Intent, MaskedValue, Outcome, OutcomeKind, Recorder, SessionEnd, SessionStart,
    Side, query::Reader,
};

/// When someone looks at it.
pub(crate) const MORNING: OffsetDateTime = datetime!(2026-03-01 08:00:00 UTC);

/// A database with a night in it, its daemon still running.
pub(crate) struct Night {
    pub(crate) bench: Bench,
    pub(crate) reader: Reader,
    _recorder: Recorder,
}

impl Night {
    pub(crate) async fn new() -> Self {
        Self::on(On::Sqlite).await
    }

    pub(crate) async fn on(on: On) -> Self {
        let bench = on.bench();
        bench.clock.set(datetime!(2026-03-01 02:00:00 UTC));
        let recorder = bench.open().await.recorder;
        pass(&bench, &recorder).await;
        let reader = Reader::open(&bench.config).await.unwrap();
        Self { bench, reader, _recorder: recorder }
    }
}

fn s3(
    n: u32,
    session: u32,
    operation: &str,
    actions: &[(&str, &str)],
    decision: Decision,
    rule: &str,
) -> Intent {
    Intent {
        account: Some("123456789012".to_owned()),
        region: Some("eu-central-1".to_owned()),
        host: Some("builds.s3.eu-central-1.amazonaws.com".to_owned()),
        service: Some("s3".to_owned()),
        operation: Some(operation.to_owned()),
        method: Some("GET".to_owned()),
        actions: actions.iter().map(|(action, _)| (*action).to_owned()).collect(),
        resources: actions.iter().map(|(_, resource)| (*resource).to_owned()).collect(),
        params: json!({"Bucket": "builds"}),
        rules: vec![rule.to_owned()],
        policy_digest: Some("5f0c4f1e7b1c0a9be6d2a4b9d01c7d3a7a3f6f20d9a0c1b2e4f5061728394a5b".to_owned()),
        access_key_id: Some("ASIACHAPERONEEXAMPLE".to_owned()),
        request_digest: Some(format!("{n:064x}")),
        ..Intent::new(call_id(n), session_id(session), 4200 + session, 1000, decision)
    }
}

fn of(service: &str, host: &str, intent: Intent) -> Intent {
    Intent {
        service: Some(service.to_owned()),
        host: Some(host.to_owned()),
        method: Some("POST".to_owned()),
        ..intent
    }
}

fn answered(status: u16, request_id: &str, bytes_out: u64) -> Outcome {
    Outcome {
        status: Some(status),
        aws_request_id: Some(request_id.to_owned()),
        upstream: Some(Duration::from_micros(18_250)),
        gateway: Some(Duration::from_micros(410)),
        bytes_in: Some(0),
        bytes_out: Some(bytes_out),
        ..Outcome::new(OutcomeKind::Forwarded)
    }
}

fn refusal(status: u16, code: &str) -> Outcome {
    Outcome {
        status: Some(status),
        error_code: Some(code.to_owned()),
        gateway: Some(Duration::from_micros(95)),
        ..Outcome::new(OutcomeKind::Denied)
    }
}

/// A call that AWS answered with this body.
async fn got(recorder: &Recorder, intent: Intent, session: u32, outcome: Outcome, body: &[u8]) {
    let mut call = recorder.intend(intent).await.unwrap();
    let capture = recorder.capture(session_id(session), Holds::Document, None);
    capture.push(body);
    capture.end();
    call.capture(Side::Response, capture);
    call.finish(outcome);
}

async fn pass(bench: &Bench, recorder: &Recorder) {
    let at = |hour, minute, second| {
        bench.clock.set(
            datetime!(2026-03-01 00:00:00 UTC)
                .replace_time(time::Time::from_hms(hour, minute, second).unwrap()),
        );
    };
    let object = "arn:aws:s3:::builds/app.tar";
    recorder.session_started(SessionStart { started: bench.clock.now(), ..session(1) }).await.unwrap();
    at(2, 5, 0);
    let docs = SessionStart {
        started: bench.clock.now(),
        workload: "docs-bot".parse().unwrap(),
        identity: Arc::new(identity("docs-bot")),
        hostname: "build8".to_owned(),
        command: vec!["aider".to_owned(), "--api-key".to_owned(), "k".to_owned()],
        ..session(2)
    };
    recorder.session_started(docs).await.unwrap();

    at(2, 14, 10);
    let get = s3(1, 1, "GetObject", &[("s3:GetObject", object)], Decision::Allow, "builds-read");
    recorder.intend(get).await.unwrap().finish(answered(200, "REQ1", 1_048_576));

    at(2, 15, 0);
    let list = s3(
        2,
        1,
        "ListObjectsV2",
        &[("s3:ListBucket", "arn:aws:s3:::builds")],
        Decision::Allow,
        "builds-read",
    );
    got(recorder, list, 1, answered(200, "REQ2", 2048), b"<ListBucketResult></ListBucketResult>").await;

    at(2, 15, 30);
    let delete = Intent {
        method: Some("DELETE".to_owned()),
        reason: Some("rule no-delete forbids s3:DeleteObject".to_owned()),
        ..s3(3, 2, "DeleteObject", &[("s3:DeleteObject", object)], Decision::Deny, "no-delete")
    };
    recorder.refuse(delete, refusal(403, "AccessDenied")).await.unwrap();

    at(2, 16, 0);
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-a1b2c3";
    let read = s3(
        4,
        2,
        "GetSecretValue",
        &[("secretsmanager:GetSecretValue", secret)],
        Decision::Allow,
        "docs-secrets",
    );
    let read = Intent { params: json!({"SecretId": "prod/db"}), ..read };
    let read = of("secretsmanager", "secretsmanager.eu-central-1.amazonaws.com", read);
    let masked = MaskedValue {
        path: "SecretString".to_owned(),
        cause: "SecretString".to_owned(),
        digest: Some([7; 16]),
        count: 1,
    };
    let hidden = Outcome { masked: vec![masked], ..answered(200, "REQ4", 512) };
    let answer = br#"{"SecretString":"chaperone:masked"}"#;
    got(recorder, read, 2, hidden, answer).await;

    at(2, 17, 0);
    let user = "arn:aws:iam::123456789012:user/eve";
    let create = s3(5, 2, "CreateUser", &[("iam:CreateUser", user)], Decision::Deny, "no-iam");
    let create = Intent {
        region: Some("us-east-1".to_owned()),
        params: json!({"UserName": "eve"}),
        reason: Some("rule no-iam forbids iam:CreateUser".to_owned()),
        ..of("iam", "iam.amazonaws.com", create)
    };
    recorder.refuse(create, refusal(403, "AccessDenied")).await.unwrap();

    at(2, 18, 0);
    let garbled = Intent {
        host: Some("s3.eu-central-1.amazonaws.com".to_owned()),
        method: Some("GET".to_owned()),
        reason: Some("two Authorization headers".to_owned()),
        ..Intent::new(call_id(6), session_id(1), 4201, 1000, Decision::Refused)
    };
    recorder.refuse(garbled, refusal(400, "InvalidRequest")).await.unwrap();

    at(2, 19, 0);
    let table = "arn:aws:dynamodb:us-east-1:123456789012:table/jobs";
    let put = s3(7, 1, "PutItem", &[("dynamodb:PutItem", table)], Decision::Allow, "jobs-write");
    let put = Intent {
        region: Some("us-east-1".to_owned()),
        params: json!({"TableName": "jobs", "progress": "100%"}),
        ..put
    };
    drop(recorder.intend(of("dynamodb", "dynamodb.us-east-1.amazonaws.com", put)).await.unwrap());

    at(2, 20, 0);
    let pairs =
        [("s3:GetObject", "arn:aws:s3:::builds/old.tar"), ("s3:PutObject", "arn:aws:s3:::builds/new.tar")];
    let copy = Intent {
        method: Some("PUT".to_owned()),
        ..s3(8, 1, "CopyObject", &pairs, Decision::Allow, "builds-write")
    };
    let missing = Outcome { error_code: Some("NoSuchKey".to_owned()), ..answered(404, "REQ8", 300) };
    recorder.intend(copy).await.unwrap().finish(missing);

    at(2, 25, 0);
    let refused = Event {
        session: Some(session_id(2)),
        workload: Some("docs-bot".parse().unwrap()),
        pid: Some(4202),
        uid: Some(1000),
        detail: json!({"destination": "192.0.2.10:443"}),
        ..Event::new("route-refused", "the TLS ClientHello has no server name (SNI)")
    };
    recorder.event(refused).await.unwrap();

    at(2, 26, 0);
    let revealed = Event {
        session: Some(session_id(1)),
        workload: Some("claude-builds".parse().unwrap()),
        pid: Some(4201),
        uid: Some(1000),
        detail: json!({
            "operation": "ecr:GetAuthorizationToken", "field": "*", "rules": ["docker-login"], "resources": ["*"],
        }),
        ..Event::new("revealed", "an answer that is withheld otherwise was given to the agent")
    };
    recorder.event(revealed).await.unwrap();

    at(2, 30, 0);
    let end = SessionEnd { session: session_id(2), reason: "cgroup removed".to_owned() };
    recorder.session_ended(end).await.unwrap();

    at(3, 0, 0);
    let open = s3(
        9,
        1,
        "GetObject",
        &[("s3:GetObject", "arn:aws:s3:::builds/big.iso")],
        Decision::Allow,
        "builds-read",
    );
    // It goes on as long as the test.
    std::mem::forget(recorder.intend(open).await.unwrap());
    // Outcomes follow their calls; an event is durable, and what was queued before it too.
    recorder.event(Event::new("night-over", "everything is written")).await.unwrap();
    recorder.healthy_when(|health| health.open_calls == 1).await;
    recorder.event(Event::new("night-over", "and its outcomes")).await.unwrap();
}
