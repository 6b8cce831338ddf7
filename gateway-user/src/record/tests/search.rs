//! A filter leaves the same calls whatever finds them: an index, or a look at each.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    server::Server,
    support::{Bench, On, call_id, intent, on_both, session, session_id},
};
use crate::record::{
    DatabaseUrl, Decision, Intent, Outcome, OutcomeKind, Recorder, SessionStart, StoreKind,
    query::{CallFilter, CallView, Order, Page, Reader, SessionFilter},
    retention::{Progress, Request, Why, run},
    store::search,
};

on_both!(every_way_leaves_the_same_calls, what_came_last_is_found,);

/// Enough for some steps of the index, and not for a whole number of them.
const CALLS: u32 = 330;
/// These have not ended.
const OPEN: [u32; 3] = [7, 199, 329];

fn page(order: Order) -> Page {
    Page { limit: CALLS * 2, cursor: None, order }
}

/// Calls that differ in all that is searched for.
fn varied(n: u32) -> Intent {
    let (service, operation, resource) = match n % 3 {
        0 => (
            "dynamodb",
            "Query",
            format!("arn:aws:dynamodb:eu-central-1:123456789012:table/orders-{}", n % 7),
        ),
        1 => ("s3", "GetObject", format!("arn:aws:s3:::builds/\"{n}\" \\ übung.tar")),
        _ => ("lambda", "Invoke", "arn:aws:lambda:eu-central-1:123456789012:function:100%_resize".to_owned()),
    };
    let is_denied = n % 11 == 5;
    Intent {
        session: session_id(1 + n % 2),
        service: Some(service.to_owned()),
        operation: (!n.is_multiple_of(13)).then(|| operation.to_owned()),
        actions: vec![format!("{service}:{operation}")],
        resources: vec![resource],
        params: json!({ "Key": format!("Straße {n}\n\"quoted\""), "Customer": format!("CUSTOMER#{}", n * 37 % 1000) }),
        decision: if is_denied { Decision::Deny } else { Decision::Allow },
        rules: vec![if is_denied { "no-secrets" } else { "orders-read" }.to_owned()],
        reason: is_denied.then(|| "Nobody reads secrets".to_owned()),
        ..intent(n)
    }
}

fn outcome(n: u32) -> Outcome {
    let kind = match n % 17 {
        0 => OutcomeKind::Failed,
        1 => OutcomeKind::Denied,
        _ => OutcomeKind::Forwarded,
    };
    Outcome {
        status: Some(if n.is_multiple_of(17) { 503 } else { 200 }),
        aws_request_id: Some(format!("{:08X}-7B2D-4D6B-8C1E-000000000000", n.wrapping_mul(2_654_435_761))),
        error_code: n.is_multiple_of(17).then(|| "ServiceUnavailable".to_owned()),
        ..Outcome::new(kind)
    }
}

/// Sessions 1 and 2, with their calls. The open ones stay open as long as what is returned.
async fn recorded(bench: &Bench) -> (Recorder, Vec<crate::record::OpenCall>) {
    let recorder = bench.recorder().await;
    let second = SessionStart { workload: "docs-bot".parse().unwrap(), ..session(2) };
    recorder.session_started(second).await.unwrap();
    let mut open = Vec::new();
    for n in 1..=CALLS {
        let call = recorder.intend(varied(n)).await.unwrap();
        if OPEN.contains(&n) {
            open.push(call);
        } else {
            call.finish(outcome(n));
        }
    }
    recorder.healthy_when(|health| health.open_calls == OPEN.len() && health.queued == 0).await;
    (recorder, open)
}

fn holds(text: &str, part: &str) -> bool {
    text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

/// What a search for a text looks at, in its order.
fn has_text(call: &CallView, part: &str) -> bool {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let json = |json: &crate::record::query::Json| json.0.to_string();
    let of_call = [
        or_empty(&call.operation),
        json(&call.resources),
        json(&call.params),
        json(&call.rules),
        or_empty(&call.reason),
    ];
    let of_outcome = [or_empty(&call.error_code), or_empty(&call.aws_request_id)];
    holds(&of_call.join(" "), part) || holds(&of_outcome.join(" "), part)
}

/// A filter, and the same asked of a call.
type Case = (CallFilter, Box<dyn Fn(&CallView) -> bool>);

fn cases() -> Vec<Case> {
    let text = |text: &str| Some(text.to_owned());
    let all = CallFilter::default;
    let mut cases: Vec<Case> = Vec::new();
    for part in [
        "CUSTOMER#37",
        "customer#999",
        "nowhere",
        "or",
        "O",
        "read\"] ",
        "0%_RES",
        "%",
        "100%",
        r"\",
        r" \\ ",
        "\"quoted\"",
        "\\\"quoted",
        "Straße",
        "STRAßE",
        "ühung",
        "übung.tar",
        "Query [",
        "Nobody",
        "Unavailable",
        "unavailable 0",
        "7b2d-4d6b",
        "-000000000000",
        "secrets\"] Nobody",
        "*",
        "\" OR \"",
        "NOT",
        "",
        "s/\"10\" \\ ü",
    ] {
        let owned = part.to_owned();
        cases.push((CallFilter { text: text(part), ..all() }, Box::new(move |call| has_text(call, &owned))));
        let owned = part.to_owned();
        let of_resource =
            move |call: &CallView| call.resources.texts().iter().any(|name| holds(name, &owned));
        cases.push((CallFilter { resource: text(part), ..all() }, Box::new(of_resource)));
    }
    for outcome in ["open", "failed", "denied", "forwarded", "aborted", "nothing"] {
        let is = move |call: &CallView| call.outcome == outcome;
        cases.push((CallFilter { outcome: text(outcome), ..all() }, Box::new(is)));
    }
    for workload in ["claude-builds", "docs-bot", "nobody"] {
        let is = move |call: &CallView| call.workload == workload;
        cases.push((CallFilter { workload: text(workload), ..all() }, Box::new(is)));
        let both =
            CallFilter { workload: text(workload), text: text("orders-3"), outcome: text("failed"), ..all() };
        let is = move |call: &CallView| {
            call.workload == workload && call.outcome == "failed" && has_text(call, "orders-3")
        };
        cases.push((both, Box::new(is)));
    }
    let status = CallFilter { status: Some("5xx".parse().unwrap()), subject: text("nobody"), ..all() };
    cases.push((status, Box::new(|_| false)));
    cases.push((
        CallFilter { service: text("s3"), ..all() },
        Box::new(|call| call.service.as_deref() == Some("s3")),
    ));
    cases.push((CallFilter { rule: text("no-*"), ..all() }, Box::new(|call| call.decision == "deny")));
    cases
}

async fn check_all(reader: &Reader) {
    let calls = reader.calls(&CallFilter::default(), &page(Order::Newest)).await.unwrap().rows;
    assert_eq!(calls.len(), CALLS as usize);
    let mut found = 0;
    for (filter, is) in cases() {
        let expected: Vec<&str> = calls.iter().filter(|call| is(call)).map(|call| call.id.as_str()).collect();
        let left = reader.calls(&filter, &page(Order::Newest)).await.unwrap().rows;
        let left: Vec<&str> = left.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(left, expected, "{filter:?}");
        found += usize::from(!left.is_empty());
    }
    assert!(found > 35, "{found} filters leave something");
    // Sessions with such calls.
    for (filter, is) in cases() {
        if filter.workload.is_some() || filter.subject.is_some() {
            continue;
        }
        let expected: BTreeSet<&str> =
            calls.iter().filter(|call| is(call)).map(|call| call.session.as_str()).collect();
        let wanted = SessionFilter { calls: Some(filter), ..SessionFilter::default() };
        let left = reader.sessions(&wanted, &page(Order::Newest)).await.unwrap().rows;
        let left: BTreeSet<&str> = left.iter().map(|session| session.id.as_str()).collect();
        assert_eq!(left, expected, "{wanted:?}");
    }
}

async fn every_way_leaves_the_same_calls(on: On) {
    let bench = on.bench();
    let (recorder, open) = recorded(&bench).await;
    let reader = Reader::open(&bench.config).await.unwrap();
    // Whatever part is in the index by now.
    check_all(&reader).await;
    recorder.healthy_when(|health| health.unindexed == 0).await;
    match on {
        On::Sqlite => {
            let indexed = bench.ask("SELECT count(*) FROM call_texts_docsize").await;
            assert_eq!(indexed, (CALLS as usize - OPEN.len()).to_string());
            assert!(u64::from(CALLS) > search::STEP * 2);
            let check = "INSERT INTO call_texts (call_texts) VALUES ('integrity-check')";
            bench.rows(check).await.unwrap();
        }
        On::Postgres => {
            check_all(&reader).await;
            bench.rows("DROP INDEX calls_by_text; DROP INDEX outcomes_by_text").await.unwrap();
        }
    }
    check_all(&reader).await;
    drop(open);
    recorder.close().await;
}

/// PostgreSQL says beforehand what is in most calls and what is in few.
#[tokio::test]
async fn postgres_knows_what_many_calls_have() {
    let bench = On::Postgres.bench();
    let (recorder, open) = recorded(&bench).await;
    bench.rows("ANALYZE").await.unwrap();
    let reader = Reader::open(&bench.config).await.unwrap();
    let (most, few) = (reader.expected_with("customer#").await, reader.expected_with("nowhere").await);
    assert_eq!((most.all, few.all), (i64::from(CALLS), i64::from(CALLS)));
    assert!(most.found > most.all / 2 && few.found < few.all / 10, "{most:?} {few:?}");
    drop(open);
    recorder.close().await;
}

/// A call is found when it is open, when it has just ended, and when it is in the index.
async fn what_came_last_is_found(on: On) {
    let bench = on.bench();
    let (recorder, open) = recorded(&bench).await;
    recorder.healthy_when(|health| health.unindexed == 0).await;
    let reader = Reader::open(&bench.config).await.unwrap();
    let last = CALLS + 1;
    let call = Intent { params: json!({ "Key": "the last one" }), ..varied(last) };
    let call = recorder.intend(call).await.unwrap();
    let filter = CallFilter { text: Some("the LAST one".to_owned()), ..CallFilter::default() };
    let check = async || {
        let found = reader.calls(&filter, &page(Order::Newest)).await.unwrap().rows;
        assert_eq!(found.iter().map(|call| call.id.clone()).collect::<Vec<_>>(), [call_id(last).to_string()]);
    };
    check().await;
    let rows = recorder.health().rows;
    call.finish(outcome(last));
    recorder.healthy_when(|health| health.rows > rows).await;
    check().await;
    recorder.healthy_when(|health| health.unindexed == 0).await;
    check().await;
    drop(open);
    recorder.close().await;
}

/// What a former run left out of the index is added by the next.
#[tokio::test]
async fn a_new_start_goes_on_with_the_index() {
    let bench = Bench::new();
    let (recorder, open) = recorded(&bench).await;
    drop(open);
    recorder.close().await;
    // As if the daemon had been killed before it came to it.
    bench.rows("INSERT INTO call_texts (call_texts) VALUES ('delete-all')").await.unwrap();
    assert_eq!(bench.ask("SELECT count(*) FROM call_texts_docsize").await, "0");
    let recorder = bench.open().await.recorder;
    recorder.healthy_when(|health| health.unindexed == 0).await;
    assert_eq!(bench.ask("SELECT count(*) FROM call_texts_docsize").await, CALLS.to_string());
    recorder.close().await;
}

/// Agents write what is indexed: a step does not become long by that.
#[tokio::test]
async fn a_step_of_the_index_has_a_bound_in_bytes() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    for n in 1..=5 {
        let resources: Vec<String> =
            (0..100).map(|key| format!("arn:aws:s3:::builds/{}{key}-{n}", "x".repeat(1000))).collect();
        recorder.intend(Intent { resources, ..intent(n) }).await.unwrap().finish(outcome(n));
    }
    recorder.close().await;
    bench.rows("INSERT INTO call_texts (call_texts) VALUES ('delete-all')").await.unwrap();
    let mut conn = bench.sqlite().await;
    for (calls, more) in [(2, true), (2, true), (1, false), (0, false)] {
        assert_eq!(search::add(&mut conn).await.unwrap(), search::Added { calls, more });
    }
}

/// A removed call leaves nothing in the index.
#[tokio::test]
async fn what_is_removed_leaves_the_index() {
    let bench = Bench::new();
    let recorder = bench.recorder().await;
    for n in [1, 2] {
        let params = json!({ "Key": if n == 1 { "xylophone" } else { "quartz" } });
        let call = recorder.intend(Intent { session: session_id(n), params, ..intent(n) }).await.unwrap();
        call.finish(outcome(n));
        if n == 1 {
            let end = crate::record::SessionEnd { session: session_id(1), reason: "exited".to_owned() };
            recorder.healthy_when(|health| health.open_calls == 0).await;
            recorder.session_ended(end).await.unwrap();
            bench.tick(time::Duration::days(100));
            recorder
                .session_started(SessionStart { started: bench.clock.now(), ..session(2) })
                .await
                .unwrap();
        }
    }
    recorder.healthy_when(|health| health.open_calls == 0 && health.unindexed == 0).await;
    let terms = "CREATE VIRTUAL TABLE temp.terms USING fts5vocab (main, call_texts, 'row'); \
                 SELECT group_concat(term) FROM temp.terms WHERE term IN ('xyl', 'pho', 'qua')";
    let words = bench.rows(terms).await.unwrap();
    assert!(words[1][0].contains("xyl") && words[1][0].contains("qua"), "{words:?}");
    let request = Request {
        bodies_before: None,
        rows_before: Some(bench.clock.now() - time::Duration::days(50)),
        why: Why { actor: "uid 0".to_owned(), reason: "a test".to_owned() },
    };
    run(Some(&recorder), &bench.config, &request, bench.clock.now(), &Progress::default()).await.unwrap();
    assert_eq!(bench.ask("SELECT group_concat(id) FROM calls").await, call_id(2).to_string());
    let words = bench.rows(terms).await.unwrap();
    assert_eq!(words[1][0], "qua");
    recorder.close().await;
}

/// Who owns the tables and may not extend the database searches without the index.
#[tokio::test]
async fn an_owner_without_the_extension_searches_all_the_same() {
    let server = Server::shared();
    let database = server.create_database();
    let role = format!("owner_{database}");
    server.sql(&database, &format!("CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA public TO {role}"));
    let url: DatabaseUrl = server.url(&role, &database).parse().unwrap();
    let bench = Bench::with(|config| {
        config.store = StoreKind::Postgres;
        config.url = Some(url);
    });
    let (recorder, open) = recorded(&bench).await;
    let indexes = "SELECT count(*) FROM pg_indexes WHERE indexname IN ('calls_by_text', 'calls_by_service')";
    assert_eq!(server.sql(&database, indexes).trim(), "1");
    check_all(&Reader::open(&bench.config).await.unwrap()).await;
    drop(open);
    recorder.close().await;
}
