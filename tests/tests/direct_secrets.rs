//! Secrets that an agent moves by their tokens: it reads one, sends the token back, and AWS gets the value.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use anyhow::Result;
use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chaperone_tests::{
    direct::{ALLOW_ALL, Agent, Direct, Reply, Setup, Signing},
    upstream::{Behaviour, UpstreamConfig},
};
use gateway_user::{
    identify::{EndReason, Mode},
    mask,
};
use http::{Method, StatusCode};

const SECRETS: &str = "secretsmanager.eu-central-1.amazonaws.com";
const LAMBDA: &str = "lambda.eu-central-1.amazonaws.com";
const JSON: &str = "application/x-amz-json-1.1";
/// With what every format writes in another way.
const SECRET: &str = "correct \"horse\" & <battery> \\ staple ü";
const INSERT: &str = r#"@id("environment") permit (principal, action == Action::"insert", resource)
    when { context.field == "Environment.Variables{}" && context.secret.id == "db" &&
           context.secret.operation == "secretsmanager:GetSecretValue" };"#;

fn config() -> mask::Config {
    let rule = |(operation, path): (&str, &str)| mask::Rule {
        operation: operation.to_owned(),
        path: path.to_owned(),
        effect: mask::Effect::Hide,
        reversible: true,
    };
    let rules = [
        ("secretsmanager:GetSecretValue", "SecretString"),
        ("secretsmanager:BatchGetSecretValue", "SecretValues[].SecretString"),
    ];
    mask::Config { rule: rules.map(rule).to_vec(), ..mask::Config::default() }
}

async fn start(policies: &str) -> Result<Direct> {
    let policies = format!("{ALLOW_ALL}{policies}");
    let upstream: Box<dyn FnOnce(&mut UpstreamConfig)> = Box::new(|config| config.hash_bodies = true);
    Direct::start(Setup { policies, mask: config(), upstream, ..Setup::default() }).await
}

/// What the agent gets for a secret.
async fn read(direct: &Direct, id: &str) -> Result<String> {
    read_as(direct, id, SECRET).await
}

async fn read_as(direct: &Direct, id: &str, secret: &str) -> Result<String> {
    let body = serde_json::json!({ "Name": id, "SecretString": secret }).to_string();
    let (status, content_type) = (StatusCode::OK, JSON);
    direct.upstream.script([Behaviour::Answer { status, content_type, body: body.into() }]);
    let headers = [("x-amz-target", "secretsmanager.GetSecretValue"), ("content-type", JSON)];
    let asked = serde_json::json!({ "SecretId": id }).to_string();
    let signing = Signing::new("secretsmanager");
    let reply = direct.agent(SECRETS).ask(Method::POST, "/", &headers, asked, &signing).await?;
    assert!(!reply.text().contains(secret), "{}", reply.text());
    let answer: serde_json::Value = serde_json::from_str(&reply.text())?;
    assert_eq!(answer["Name"], id);
    Ok(answer["SecretString"].as_str().unwrap_or_default().to_owned())
}

fn environment(value: &str) -> String {
    serde_json::json!({ "Environment": { "Variables": { "DB": value } }, "Timeout": 3 }).to_string()
}

async fn update(direct: &Direct, body: String) -> Result<Reply> {
    update_by(direct.agent(LAMBDA), body).await
}

async fn update_by(agent: Agent<'_>, body: String) -> Result<Reply> {
    let headers =
        [("content-type", "application/json"), ("x-amz-checksum-sha256", "x"), ("content-md5", "y")];
    let path = "/2015-03-31/functions/f/configuration";
    agent.ask(Method::PUT, path, &headers, body, &Signing::new("lambda")).await
}

/// It is refused, and AWS is not asked.
async fn refused(direct: &Direct, body: String, status: StatusCode, why: &str) -> Result<()> {
    let before = direct.upstream.requests().len();
    let reply = update(direct, body).await?;
    assert_eq!(reply.status, status, "{}", reply.text());
    assert!(reply.text().contains(why), "{}", reply.text());
    assert_eq!(direct.upstream.requests().len(), before, "{why}");
    assert!(direct.rows("SELECT * FROM events WHERE kind = 'inserted'").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn the_value_arrives_and_the_token_does_not() -> Result<()> {
    let direct = start(INSERT).await?;
    let token = read(&direct, "db").await?;
    assert!(token.starts_with("chaperone:secret:") && token.len() == 49, "{token}");
    assert_eq!(read(&direct, "db").await?, token, "read twice");
    // And again, as SDKs retry.
    for _ in 0..2 {
        let (status, content_type) = (StatusCode::OK, "application/json");
        let body = environment(SECRET).into();
        direct.upstream.script([Behaviour::Answer { status, content_type, body }]);
        let reply = update(&direct, environment(&token)).await?;
        assert_eq!((reply.status, reply.text()), (StatusCode::OK, environment(mask::MASKED)));
    }
    let requests = direct.upstream.requests();
    for request in requests.iter().skip(2) {
        assert!(request.refused.is_none(), "the signature is about the new body: {request:?}");
        let expected = environment(SECRET);
        let digest = digest::digest(&digest::SHA256, expected.as_bytes());
        assert_eq!(request.body_sha256, Some(hex::encode(digest)), "{request:?}");
        assert_eq!(request.header("content-length"), expected.len().to_string());
        for gone in ["content-md5", "x-amz-checksum-sha256"] {
            assert_eq!(request.header(gone), "", "{gone}");
        }
    }
    let ended = "SELECT outcome, upstream_us FROM v_calls WHERE service = 'lambda' AND outcome <> 'open'";
    direct.row("SELECT count(*) AS n FROM v_calls WHERE outcome <> 'open'", |row| row["n"] == 4).await?;
    for call in direct.rows(ended).await? {
        assert_eq!(call["outcome"], "forwarded", "the agent has all of it: {call}");
        assert!(call["upstream_us"].is_number(), "{call}");
    }
    let events = direct.rows("SELECT * FROM events WHERE kind = 'inserted' ORDER BY seq").await?;
    assert_eq!(events.len(), 2);
    let detail: serde_json::Value = serde_json::from_str(events[0]["detail"].as_str().unwrap_or("null"))
        .unwrap_or_else(|_| events[0]["detail"].clone());
    assert_eq!(detail["field"], "Environment.Variables{}", "{detail}");
    assert_eq!(detail["path"], "Environment.Variables.DB");
    assert_eq!(detail["rules"], serde_json::json!(["environment"]));
    assert_eq!(
        detail["from"],
        serde_json::json!({
            "operation": "secretsmanager:GetSecretValue",
            "field": "SecretString",
            "region": "eu-central-1",
            "account": "123456789012",
            "resource": "*",
            "id": "db",
            "version": "",
        })
    );
    let hidden = direct.row("SELECT * FROM v_masked", |row| row["path"] == "SecretString").await?;
    assert_eq!(hidden["digest"], detail["digest"], "it is known to be the same");
    // Nothing on disk knows the value.
    let mut database = std::fs::read(direct.database())?;
    database.extend(std::fs::read(direct.database().with_extension("db-wal")).unwrap_or_default());
    assert!(!database.windows(9).any(|window| window == b"<battery>"));
    Ok(())
}

#[tokio::test]
async fn without_a_rule_that_says_so_nothing_is_inserted() -> Result<()> {
    let other_field = INSERT.replace("Environment.Variables{}", "Description");
    let other_secret = INSERT.replace(r#""db""#, r#""other""#);
    let no = r#"is permitted by no rule"#;
    let forbid = format!(r#"{INSERT}@id("never") forbid (principal, action == Action::"insert", resource);"#);
    for (policies, mode, why) in [
        (String::new(), Mode::Enforce, no),
        (other_field, Mode::Enforce, no),
        (other_secret, Mode::Enforce, no),
        (forbid, Mode::Enforce, "forbidden by the rule"),
        (String::new(), Mode::Observe, "but observing inserts nothing"),
    ] {
        let policies = format!("{ALLOW_ALL}{policies}");
        let direct = Direct::start(Setup { policies, mode, mask: config(), ..Setup::default() }).await?;
        let token = read(&direct, "db").await?;
        refused(&direct, environment(&token), StatusCode::FORBIDDEN, why).await?;
        refused(&direct, environment(&token), StatusCode::FORBIDDEN, "Environment.Variables.DB").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_stands_for_nothing_elsewhere() -> Result<()> {
    let direct = start(INSERT).await?;
    let token = read(&direct, "db").await?;
    let whole = "only as the whole of a text in the body";
    for body in [environment(&format!("x{token}")), environment(&token).replace("DB", &token)] {
        refused(&direct, body, StatusCode::BAD_REQUEST, whole).await?;
    }
    // Of another session, or of the daemon before its restart.
    let stranger = start(INSERT).await?;
    stranger.placeholder().await?;
    let unknown = "unknown in this session: read the secret again";
    refused(&stranger, environment(&token), StatusCode::BAD_REQUEST, unknown).await?;
    let token = read(&stranger, "db").await?;
    assert_eq!(stranger.gateway.tokens.size().0, 1);
    refused(&direct, environment(&token), StatusCode::BAD_REQUEST, unknown).await
}

#[tokio::test]
async fn tokens_end_with_their_session() -> Result<()> {
    let direct = start(INSERT).await?;
    let token = read(&direct, "db").await?;
    let session = direct.session().await?;
    assert!(direct.gateway.tokens.value(session.id, &token).is_some());
    session.end(EndReason::Killed);
    direct.gateway.end(&session, EndReason::Killed).await?;
    assert!(direct.gateway.tokens.value(session.id, &token).is_none());
    assert_eq!(direct.gateway.tokens.size(), (0, 0));
    Ok(())
}

#[tokio::test]
async fn what_is_not_kept_is_hidden_for_good_and_said_to_be() -> Result<()> {
    type Bound = fn(&mut mask::Config);
    let tight: [(Bound, &str); 3] = [
        (|mask| mask.tokens_per_session = 1, "mask.tokens_per_session"),
        (|mask| mask.token_max_bytes = 8, "mask.token_max_bytes"),
        (|mask| mask.tokens_memory_bytes = 4 * 500, "mask.tokens_memory_bytes"),
    ];
    for (bound, reason) in tight {
        let mut mask = config();
        bound(&mut mask);
        let direct = Direct::start(Setup { mask, ..Setup::default() }).await?;
        read(&direct, "db").await?;
        assert_eq!(read(&direct, "other").await?, mask::MASKED);
        let event = direct.row("SELECT * FROM events WHERE kind = 'token-not-kept'", |_| true).await?;
        assert!(event["detail"].to_string().contains(reason), "{event}");
    }
    Ok(())
}

/// Equal tokens would tell that two secrets are equal.
#[tokio::test]
async fn equal_values_of_a_batch_have_different_tokens() -> Result<()> {
    let direct = start(INSERT).await?;
    let headers = [("x-amz-target", "secretsmanager.BatchGetSecretValue"), ("content-type", JSON)];
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let values = ["a", "b"].map(|name| serde_json::json!({ "Name": name, "SecretString": SECRET }));
        let body = serde_json::json!({ "SecretValues": values }).to_string();
        let (status, content_type) = (StatusCode::OK, JSON);
        direct.upstream.script([Behaviour::Answer { status, content_type, body: body.into() }]);
        let asked = r#"{"SecretIdList":["a","b"]}"#;
        let signing = Signing::new("secretsmanager");
        let reply = direct.agent(SECRETS).ask(Method::POST, "/", &headers, asked, &signing).await?;
        let answer: serde_json::Value = serde_json::from_str(&reply.text())?;
        for number in 0..2 {
            let token = &answer["SecretValues"][number]["SecretString"];
            tokens.push(token.as_str().unwrap_or_default().to_owned());
        }
    }
    assert!(tokens.iter().all(|token| token.starts_with("chaperone:secret:")), "{tokens:?}");
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 4);
    // The call did not name one thing, and the rule wants one.
    refused(&direct, environment(&tokens[0]), StatusCode::FORBIDDEN, "is permitted by no rule").await
}

/// A secret of the same name elsewhere is another one.
#[tokio::test]
async fn policy_tells_where_a_secret_is_from() -> Result<()> {
    for (condition, inserts) in [
        (r#"context.secret.region == "eu-central-1" && context.secret.account == "123456789012""#, true),
        (r#"context.secret.region == "us-east-1""#, false),
        (r#"context.secret.account == "210987654321""#, false),
    ] {
        let direct = start(&INSERT.replace("when {", &format!("when {{ {condition} && "))).await?;
        let token = read(&direct, "db").await?;
        if inserts {
            let (status, content_type) = (StatusCode::OK, "application/json");
            direct.upstream.script([Behaviour::Answer { status, content_type, body: "{}".into() }]);
            let reply = update(&direct, environment(&token)).await?;
            assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        } else {
            refused(&direct, environment(&token), StatusCode::FORBIDDEN, "is permitted by no rule").await?;
        }
    }
    Ok(())
}

/// As `application/x-www-form-urlencoded` writes it.
fn form(text: &str) -> String {
    let written = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(written).collect()
}

/// What AWS repeats of a value, in errors and answers, however it writes it and whether or not anything else is hidden.
#[tokio::test]
async fn what_aws_repeats_of_a_value_does_not_reach_the_agent() -> Result<()> {
    let json = serde_json::json!({ "message": format!("Value '{SECRET}' is wrong"), "Description": SECRET });
    let ascii: String = SECRET.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let xml = SECRET.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let long = serde_json::json!({ "Layers": vec!["x"; 100_000], "Description": SECRET });
    let bodies = [
        ("application/json", json.to_string()),
        ("application/json", serde_json::json!({ "message": json.to_string() }).to_string()),
        ("application/json", format!(r#"{{"Description":"{ascii}"}}"#)),
        ("application/json", serde_json::json!({ SECRET: 1 }).to_string()),
        ("application/json", long.to_string()),
        ("text/xml", format!("<Error><Message a=\"{xml}\">{xml}</Message></Error>")),
        ("text/plain", format!("{SECRET}{SECRET}")),
        ("text/html", xml.replace('&', "&amp;")),
        ("text/plain", form(&json.to_string())),
        ("text/event-stream", SECRET.to_owned()),
        ("application/octet-stream", SECRET.to_owned()),
    ];
    for detect in [true, false] {
        let mask = mask::Config { detect, ..config() };
        let policies = format!("{ALLOW_ALL}{INSERT}");
        let direct = Direct::start(Setup { policies, mask, ..Setup::default() }).await?;
        let token = read(&direct, "db").await?;
        for status in [StatusCode::BAD_REQUEST, StatusCode::OK] {
            for (content_type, body) in bodies.clone() {
                // As JSON it is what the model says, or withheld.
                if status == StatusCode::OK && content_type != "application/json" {
                    continue;
                }
                let body = body.into();
                direct.upstream.script([Behaviour::Answer { status, content_type, body }]);
                let reply = update(&direct, environment(&token)).await?;
                assert_eq!(reply.status, status, "{}", reply.text());
                for part in ["horse", "battery", "staple", "\\u0068\\u006f\\u0072"] {
                    assert!(!reply.text().contains(part), "{content_type}: {}", reply.text());
                }
                assert!(reply.text().contains(mask::MASKED), "{content_type}: {}", reply.text());
            }
        }
        let rows = direct.rows("SELECT * FROM v_masked WHERE cause = 'detector:inserted'").await?;
        let read = direct.row("SELECT * FROM v_masked", |row| row["path"] == "SecretString").await?;
        assert!(
            rows.len() >= bodies.len() && rows.iter().all(|row| row["digest"] == read["digest"]),
            "{rows:?}"
        );
        // Of what is not shown to the agent nothing is kept, either.
        let kept = direct.rows("SELECT * FROM v_bodies").await?;
        assert!(kept.iter().all(|row| !row.to_string().contains("battery")), "{kept:?}");
        let mut database = std::fs::read(direct.database())?;
        database.extend(std::fs::read(direct.database().with_extension("db-wal")).unwrap_or_default());
        assert!(!database.windows(9).any(|window| window == b"<battery>"));
    }
    Ok(())
}

#[tokio::test]
async fn nor_what_it_repeats_in_a_header_or_compressed() -> Result<()> {
    const PLAIN: &str = "correct horse battery";
    let direct = start(INSERT).await?;
    let token = read_as(&direct, "db", PLAIN).await?;
    let answer_with = |name: &'static str, value: &'static str| {
        let (status, content_type, body) = (StatusCode::BAD_REQUEST, "application/json", "{}".into());
        direct.upstream.script([Behaviour::AnswerWith { name, value, status, content_type, body }]);
    };
    answer_with("x-amzn-errormessage", "the value correct horse battery is wrong");
    let reply = update(&direct, environment(&token)).await?;
    assert_eq!(reply.headers["x-amzn-errormessage"], "the value chaperone:masked***** is wrong");
    assert_eq!(reply.headers["content-length"], "2");
    answer_with("content-encoding", "gzip");
    let reply = update(&direct, environment(&token)).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
    Ok(())
}

/// Where a detector finds a secret in a value, nothing of the rest of the value is shown.
#[tokio::test]
async fn nor_what_is_left_of_it_where_a_part_looks_like_a_secret() -> Result<()> {
    const URL: &str = "postgres://admin:hunter2hunter2@db.internal/prod?a=\"b\"";
    let direct = start(INSERT).await?;
    let token = read_as(&direct, "db", URL).await?;
    for (status, content_type) in
        [(StatusCode::BAD_REQUEST, "application/json"), (StatusCode::CONFLICT, "text/plain")]
    {
        let body = serde_json::json!({ "message": format!("Value '{URL}' is wrong") }).to_string();
        direct.upstream.script([Behaviour::Answer { status, content_type, body: body.into() }]);
        let reply = update(&direct, environment(&token)).await?;
        assert_eq!(reply.status, status, "{}", reply.text());
        for part in ["postgres", "admin", "hunter2", "internal"] {
            assert!(!reply.text().contains(part), "{}", reply.text());
        }
        assert!(reply.text().contains("' is wrong"), "{}", reply.text());
    }
    // It is known to be the same value, however it was written where it was found.
    let read = direct.row("SELECT * FROM v_masked", |row| row["path"] == "SecretString").await?;
    let cause = "SELECT * FROM v_masked WHERE cause = 'detector:inserted'";
    direct.row(cause, |row| row["seq"] == 3).await?;
    let found = direct.rows(cause).await?;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|row| row["digest"] == read["digest"]), "{found:?} {read}");
    Ok(())
}

/// Long ones are searched for beside the runtime, and their memory is counted before it is taken.
#[tokio::test]
async fn long_values_are_found_and_bounded() -> Result<()> {
    let long =
        |tag: &str| (0..).map(|n| format!("{tag}{n} ")).take(9000).collect::<String>()[..40_000].to_owned();
    let mut setup = Setup { policies: format!("{ALLOW_ALL}{INSERT}"), mask: config(), ..Setup::default() };
    setup.serve.inspect_memory_bytes = 32 << 20;
    let direct = Direct::start(setup).await?;
    let [one, two] = [read_as(&direct, "db", &long("a")).await?, read_as(&direct, "db", &long("b")).await?];
    let (status, content_type) = (StatusCode::OK, "application/json");
    let body = environment(&long("a")).into();
    direct.upstream.script([Behaviour::Answer { status: StatusCode::BAD_REQUEST, content_type, body }]);
    let reply = update(&direct, environment(&one)).await?;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert!(!reply.text().contains("a17") && reply.text().contains(mask::MASKED), "{}", reply.text());
    assert_eq!(direct.gateway.memory.in_use(), 0, "what was taken came back");

    // A quarter of the memory is a session's, which two of them do not have room in.
    let both = serde_json::json!({ "Environment": { "Variables": { "A": one, "B": two } } }).to_string();
    let before = direct.upstream.requests().len();
    let reply = update(&direct, both.clone()).await?;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text());
    assert_eq!(direct.upstream.requests().len(), before);
    assert_eq!(direct.gateway.memory.in_use(), 0);
    let body = "{}".into();
    direct.upstream.script([Behaviour::Answer { status, content_type, body }]);
    assert_eq!(update(&direct, environment(&two)).await?.status, status);
    Ok(())
}

/// The same value of another version has another token: equal ones would tell that it is the same.
#[tokio::test]
async fn a_version_is_another_origin() -> Result<()> {
    let condition = r#"when { context.secret.version == "AWSPREVIOUS" && "#;
    let direct = start(&INSERT.replace("when {", condition)).await?;
    let read_version = async |more: serde_json::Value| -> Result<String> {
        let body = serde_json::json!({ "SecretString": SECRET }).to_string();
        let (status, content_type) = (StatusCode::OK, JSON);
        direct.upstream.script([Behaviour::Answer { status, content_type, body: body.into() }]);
        let headers = [("x-amz-target", "secretsmanager.GetSecretValue"), ("content-type", JSON)];
        let mut asked = serde_json::json!({ "SecretId": "db" });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let signing = Signing::new("secretsmanager");
        let reply =
            direct.agent(SECRETS).ask(Method::POST, "/", &headers, asked.to_string(), &signing).await?;
        let answer: serde_json::Value = serde_json::from_str(&reply.text())?;
        Ok(answer["SecretString"].as_str().unwrap_or_default().to_owned())
    };
    let current = read(&direct, "db").await?;
    let previous = read_version(serde_json::json!({ "VersionStage": "AWSPREVIOUS" })).await?;
    let by_id = read_version(serde_json::json!({ "VersionId": "0123456789abcdef0123456789abcdef" })).await?;
    assert!(current != previous && previous != by_id && by_id != current, "{current} {previous} {by_id}");
    let again = read_version(serde_json::json!({ "VersionStage": "AWSPREVIOUS" })).await?;
    assert_eq!(again, previous);
    for other in [&current, &by_id] {
        refused(&direct, environment(other), StatusCode::FORBIDDEN, "is permitted by no rule").await?;
    }
    let (status, content_type, body) = (StatusCode::OK, "application/json", "{}".into());
    direct.upstream.script([Behaviour::Answer { status, content_type, body }]);
    assert_eq!(update(&direct, environment(&previous)).await?.status, status);
    let event = direct.row("SELECT * FROM events WHERE kind = 'inserted'", |_| true).await?;
    assert!(event["detail"].to_string().contains("AWSPREVIOUS"), "{event}");
    Ok(())
}

/// What speaks of the bytes behind them goes where they may be others.
#[tokio::test]
async fn an_answer_that_may_repeat_a_value_has_no_trailers() -> Result<()> {
    let direct = start(INSERT).await?;
    let token = read(&direct, "db").await?;
    let body = format!("{SECRET} is wrong");
    let value = BASE64_STANDARD.encode(crc32fast::hash(body.as_bytes()).to_be_bytes());
    direct.upstream.script([Behaviour::AnswerTrailed {
        name: "x-amz-checksum-crc32",
        value,
        status: StatusCode::BAD_REQUEST,
        content_type: "text/plain",
        body: body.into(),
    }]);
    let reply = update_by(direct.agent(LAMBDA).h2(), environment(&token)).await?;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert!(!reply.text().contains("battery") && reply.text().ends_with(" is wrong"), "{}", reply.text());
    assert_eq!((reply.checksum_holds(), reply.trailers.len()), (None, 0));
    Ok(())
}
