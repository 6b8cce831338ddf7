//! Answers with secrets: the agent gets them without, and the record says what was hidden.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, Reply, Setup, Signing},
    upstream::Behaviour,
};
use gateway_user::mask;
use http::{Method, StatusCode};

const SECRETS: &str = "secretsmanager.eu-central-1.amazonaws.com";
const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
const IAM: &str = "iam.amazonaws.com";
const S3: &str = "s3.eu-central-1.amazonaws.com";
const JSON: &str = "application/x-amz-json-1.1";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const SECRET: &str = "correct horse battery staple";
const REVEAL: &str = r#"@id("show") permit (principal, action == Action::"reveal", resource)
    when { context.field == "SecretString" };"#;
const PRIVATE_KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----";

async fn start(policies: &str) -> Result<Direct> {
    Direct::start(Setup { policies: format!("{ALLOW_ALL}{policies}"), ..Setup::default() }).await
}

/// An answer of GetSecretValue with something after the secret, which makes it as long as is wanted.
fn secret_value(padding: usize) -> String {
    let stages = vec!["\"AWSCURRENT\""; 1 + padding / 13].join(",");
    format!(r#"{{"Name":"db","SecretString":"{SECRET}","VersionStages":[{stages}]}}"#)
}

fn masked(text: &str) -> String {
    text.replace(SECRET, mask::MASKED)
}

fn answer(direct: &Direct, content_type: &'static str, body: impl Into<Bytes>) {
    let body = body.into();
    direct.upstream.script([Behaviour::Answer { status: StatusCode::OK, content_type, body }]);
}

fn answer_with(direct: &Direct, name: &'static str, value: &'static str, body: String) {
    let (status, body) = (StatusCode::OK, body.into());
    direct.upstream.script([Behaviour::AnswerWith { name, value, status, content_type: JSON, body }]);
}

async fn get_secret(direct: &Direct) -> Result<Reply> {
    let headers = [("x-amz-target", "secretsmanager.GetSecretValue"), ("content-type", JSON)];
    let signing = Signing::new("secretsmanager");
    direct.agent(SECRETS).ask(Method::POST, "/", &headers, r#"{"SecretId":"db"}"#, &signing).await
}

async fn item(direct: &Direct, text: &str) -> Result<Reply> {
    let body = serde_json::json!({ "Item": { "id": { "S": "1" }, "text": { "S": text } } }).to_string();
    answer(direct, "application/x-amz-json-1.0", body);
    direct.agent(DYNAMODB).dynamodb("GetItem", r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#).await
}

/// The outcome of the only call.
async fn outcome(direct: &Direct) -> Result<String> {
    let row = direct.row("SELECT * FROM v_calls", |row| row["outcome"] != "open").await?;
    Ok(row["outcome"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_secret_is_hidden_and_what_was_is_on_record() -> Result<()> {
    let direct = start("").await?;
    let text = secret_value(0);
    for _ in 0..2 {
        answer(&direct, JSON, text.clone());
        let reply = get_secret(&direct).await?;
        assert_eq!((reply.status, reply.text()), (StatusCode::OK, masked(&text)));
        assert_eq!(reply.headers["content-length"].to_str()?, reply.body.len().to_string());
    }
    let asked = direct.upstream.requests();
    assert!(asked.iter().all(|request| request.header("accept-encoding") == "identity"));

    direct.row("SELECT * FROM v_masked", |row| row["seq"] == 2).await?;
    let rows = direct.rows("SELECT * FROM v_masked").await?;
    let [first, second] = rows.as_slice() else { panic!("{rows:?}") };
    for (column, expected) in [
        ("path", "SecretString"),
        ("cause", "SecretString"),
        ("service", "secretsmanager"),
        ("operation", "GetSecretValue"),
        ("workload", "builds"),
    ] {
        assert_eq!(first[column], expected, "{first}");
    }
    assert_eq!(first["digest"].as_str().map(str::len), Some(32));
    assert_eq!(first["digest"], second["digest"], "the same value is recognised");
    assert_ne!(first["call"], second["call"]);
    // Nothing else knows it.
    let mut database = std::fs::read(direct.dir.path().join("chaperone.db"))?;
    database.extend(std::fs::read(direct.dir.path().join("chaperone.db-wal"))?);
    assert!(database.windows(8).any(|window| window == b"v_masked"), "the tables are in these files");
    assert!(!database.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    Ok(())
}

#[tokio::test]
async fn what_a_rule_reveals_passes_byte_for_byte() -> Result<()> {
    let direct = start(REVEAL).await?;
    let text = secret_value(0);
    answer_with(&direct, "x-amz-crc32", "1234", text.clone());
    let reply = get_secret(&direct).await?;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, text));
    assert_eq!(reply.headers["x-amz-crc32"], "1234", "what is said of the bytes is still true");
    let event = direct.row("SELECT * FROM events WHERE kind = 'revealed'", |_| true).await?;
    assert!(event["detail"].to_string().contains("SecretString"), "{event}");
    assert_eq!(outcome(&direct).await?, "forwarded");
    assert!(direct.rows("SELECT * FROM masked").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_long_answer_streams() -> Result<()> {
    let direct = start("").await?;
    let text = secret_value(3 << 20);
    answer_with(&direct, "x-amz-crc32", "1234", text.clone());
    let reply = get_secret(&direct).await?;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text() == masked(&text), "{}", reply.body.len());
    assert!(!reply.headers.contains_key("x-amz-crc32"), "{:?}", reply.headers);
    let row = direct.row("SELECT * FROM v_masked", |_| true).await?;
    assert_eq!(row["path"], "SecretString");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_read_does_not_pass() -> Result<()> {
    let refused = |reply: &Reply| {
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
        assert!(reply.text().contains("the secrets in the answer could not be hidden"), "{}", reply.text());
        assert!(!reply.text().contains(SECRET), "{}", reply.text());
    };
    let text = secret_value(0);
    for (broken, reason) in [
        (text.replace(r#""SecretString""#, "SecretString"), "the answer cannot be read"),
        (text.replace("]}", "]"), "the answer broke off"),
    ] {
        let direct = start("").await?;
        answer(&direct, JSON, broken);
        let reply = get_secret(&direct).await?;
        if reason.ends_with("off") {
            assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{}", reply.text());
        } else {
            refused(&reply);
        }
        let event = direct.row("SELECT * FROM events WHERE kind = 'answer-withheld'", |_| true).await?;
        assert!(event["detail"].to_string().contains(reason), "{event}");
        assert_eq!(outcome(&direct).await?, "failed");
    }
    let direct = start("").await?;
    answer_with(&direct, "content-encoding", "gzip", text);
    refused(&get_secret(&direct).await?);
    Ok(())
}

#[tokio::test]
async fn a_long_answer_that_cannot_be_read_is_broken_off() -> Result<()> {
    let direct = start("").await?;
    answer(&direct, JSON, format!("{}garbage", secret_value(1 << 20)));
    let reply = get_secret(&direct).await;
    assert!(reply.is_err(), "{reply:?}");
    assert_eq!(outcome(&direct).await?, "failed");
    let row = direct.row("SELECT * FROM v_masked", |_| true).await?;
    assert_eq!(row["path"], "SecretString", "what was hidden by then is on record");
    Ok(())
}

#[tokio::test]
async fn a_new_access_key_is_of_no_use_unless_it_is_revealed() -> Result<()> {
    let created = |secret: &str| {
        format!(
            "<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>ci</UserName>\
             <AccessKeyId>AKIAIOSFODNN7EXAMPLE</AccessKeyId><Status>Active</Status>\
             <SecretAccessKey>{secret}</SecretAccessKey></AccessKey></CreateAccessKeyResult>\
             </CreateAccessKeyResponse>"
        )
    };
    let real = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let shown = r#"permit (principal, action == Action::"reveal", resource) when { context.operation == "iam:CreateAccessKey" };"#;
    for (policies, expected) in [("", mask::MASKED), (shown, real)] {
        let direct = start(policies).await?;
        answer(&direct, "text/xml", created(real));
        let body = "Action=CreateAccessKey&Version=2010-05-08&UserName=ci";
        let signing = Signing { region: "us-east-1".to_owned(), ..Signing::new("iam") };
        let reply = direct.agent(IAM).ask(Method::POST, "/", &[FORM], body, &signing).await?;
        assert_eq!((reply.status, reply.text()), (StatusCode::OK, created(expected)));
    }
    Ok(())
}

#[tokio::test]
async fn what_looks_like_a_secret_is_hidden_wherever_it_is() -> Result<()> {
    let direct = start("").await?;
    let text = format!("here it is: {PRIVATE_KEY}");
    let reply = item(&direct, &text).await?;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.text().contains("here it is") && !reply.text().contains("MIIEvQ"), "{}", reply.text());
    let row = direct.row("SELECT * FROM v_masked", |_| true).await?;
    assert_eq!((&row["path"], &row["cause"]), (&"Item.text.S".into(), &"detector:private-key".into()));

    let mask = mask::Config { detect: false, ..mask::Config::default() };
    let direct = Direct::start(Setup { mask, ..Setup::default() }).await?;
    assert!(item(&direct, &text).await?.text().contains("MIIEvQ"));
    Ok(())
}

#[tokio::test]
async fn an_object_passes_as_it_is() -> Result<()> {
    let direct = start("").await?;
    answer(&direct, "text/plain", PRIVATE_KEY);
    let reply = direct.agent(S3).ask(Method::GET, "/bucket/key.pem", &[], "", &Signing::new("s3")).await?;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, PRIVATE_KEY.to_owned()));
    assert_eq!(reply.headers["content-length"].to_str()?, PRIVATE_KEY.len().to_string());

    let mask = mask::Config { objects: true, ..mask::Config::default() };
    let direct = Direct::start(Setup { mask, ..Setup::default() }).await?;
    answer(&direct, "text/plain", PRIVATE_KEY);
    let reply = direct.agent(S3).ask(Method::GET, "/bucket/key.pem", &[], "", &Signing::new("s3")).await?;
    assert!(!reply.text().contains("MIIEvQ"), "{}", reply.text());
    Ok(())
}

/// Who reads, changes and writes back must not put what stands in a value's place over the value.
#[tokio::test]
async fn what_was_hidden_is_not_written_back() -> Result<()> {
    let direct = start("").await?;
    let headers = [("x-amz-target", "secretsmanager.PutSecretValue"), ("content-type", JSON)];
    let signing = Signing::new("secretsmanager");
    for value in [mask::MASKED.to_owned(), format!("user:{}", mask::MASKED)] {
        let body = serde_json::json!({ "SecretId": "db", "SecretString": value }).to_string();
        let reply = direct.agent(SECRETS).ask(Method::POST, "/", &headers, body, &signing).await?;
        assert!(reply.status.is_client_error(), "{}", reply.text());
        assert!(reply.text().contains("SecretString"), "{}", reply.text());
    }
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}

/// AWS's errors are looked through, also where its answers are not.
#[tokio::test]
async fn errors_about_objects_and_messages_are_looked_through() -> Result<()> {
    let direct = start("").await?;
    let error = |content_type: &'static str, body: String| {
        let (status, body) = (StatusCode::FORBIDDEN, body.into());
        direct.upstream.script([Behaviour::Answer { status, content_type, body }]);
    };
    error(
        "application/xml",
        format!("<Error><Code>SignatureDoesNotMatch</Code><a>{PRIVATE_KEY}</a></Error>"),
    );
    let reply = direct.agent(S3).ask(Method::GET, "/bucket/key.pem", &[], "", &Signing::new("s3")).await?;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.text().contains("<a>chaperone:masked</a>"), "{}", reply.text());

    error("application/x-amz-json-1.0", serde_json::json!({ "message": PRIVATE_KEY }).to_string());
    let headers =
        [("x-amz-target", "AmazonSQS.ReceiveMessage"), ("content-type", "application/x-amz-json-1.0")];
    let asked = r#"{"QueueUrl":"https://sqs.eu-central-1.amazonaws.com/123456789012/q"}"#;
    let agent = direct.agent("sqs.eu-central-1.amazonaws.com");
    let reply = agent.ask(Method::POST, "/", &headers, asked, &Signing::new("sqs")).await?;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (StatusCode::FORBIDDEN, r#"{"message":"chaperone:masked"}"#)
    );
    direct.row("SELECT * FROM v_masked", |row| row["operation"] == "ReceiveMessage").await?;
    assert_eq!(direct.rows("SELECT * FROM v_masked").await?.len(), 2);
    Ok(())
}

/// SDKs ask for compressed answers, and some sign that they do: AWS is asked for others all the same.
#[tokio::test]
async fn a_signed_wish_for_a_compressed_answer_is_not_passed_on() -> Result<()> {
    let direct = start("").await?;
    let text = secret_value(0);
    answer(&direct, JSON, text.clone());
    let headers = [
        ("x-amz-target", "secretsmanager.GetSecretValue"),
        ("content-type", JSON),
        ("accept-encoding", "gzip, deflate, br"),
    ];
    let signing = Signing::new("secretsmanager");
    let agent = direct.agent(SECRETS);
    let signed = agent.signed(Method::POST, "/", &headers, r#"{"SecretId":"db"}"#, &signing).await?;
    let authorization = signed.headers()["authorization"].to_str()?;
    assert!(authorization.contains("accept-encoding;"), "the test signs it: {authorization}");
    let reply = agent.send(signed).await?;
    assert_eq!((reply.status, reply.text()), (StatusCode::OK, masked(&text)));
    let [asked] = direct.upstream.requests().try_into().map_err(|all| anyhow::anyhow!("{all:?}"))?;
    assert_eq!(asked.header("accept-encoding"), "identity");
    assert!(asked.refused.is_none(), "what leaves is signed anew: {asked:?}");
    Ok(())
}

/// What is said of the bytes, in the head or behind them, is said of no others: SDKs would take the answer for damaged.
#[tokio::test]
async fn no_checksum_is_of_other_bytes_than_the_agent_has() -> Result<()> {
    let (status, content_type) = (StatusCode::OK, "text/plain");
    let name = "x-amz-checksum-crc32";
    for (text, objects, hidden, told) in [
        // As it is; looked through; with something to hide.
        (PRIVATE_KEY, false, false, Some(true)),
        ("nothing to hide", true, false, None),
        (PRIVATE_KEY, true, true, None),
    ] {
        let value = BASE64_STANDARD.encode(crc32fast::hash(text.as_bytes()).to_be_bytes());
        let mask = mask::Config { objects, ..mask::Config::default() };
        let direct = Direct::start(Setup { mask, ..Setup::default() }).await?;
        let signing = Signing::new("s3");
        let agent = direct.agent(S3).h2();
        let ask = || agent.ask(Method::GET, "/bucket/key", &[], "", &signing);
        // It has no length then, so it streams.
        let body: Bytes = text.into();
        let (behind, same) = (value.clone(), body.clone());
        let trailed = Behaviour::AnswerTrailed { name, value: behind, status, content_type, body: same };
        direct.upstream.script([trailed]);
        let reply = ask().await?;
        assert_eq!(reply.text().contains(mask::MASKED), hidden, "{}", reply.text());
        assert_eq!((reply.checksum_holds(), reply.trailers.len()), (told, usize::from(told.is_some())));
        assert_eq!(reply.headers.contains_key("x-amz-trailer"), told.is_some());

        let value = value.leak();
        direct.upstream.script([Behaviour::AnswerWith { name, value, status, content_type, body }]);
        let reply = ask().await?;
        assert_eq!(reply.text().contains(mask::MASKED), hidden, "{}", reply.text());
        // A short one is read before its head is passed on.
        assert_eq!(reply.checksum_holds(), if hidden { None } else { Some(true) });
    }
    Ok(())
}

/// AWS was asked for no compression: what comes compressed all the same is not looked through, so it does not pass.
#[tokio::test]
async fn a_compressed_error_does_not_pass() -> Result<()> {
    let direct = start("").await?;
    for status in [StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR] {
        let body = Bytes::from(secret_value(0));
        let (name, value, content_type) = ("content-encoding", "gzip", JSON);
        direct.upstream.script([Behaviour::AnswerWith { name, value, status, content_type, body }]);
        let reply = get_secret(&direct).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
        assert!(reply.text().contains("the secrets in the answer could not be hidden"), "{}", reply.text());
    }
    let events = direct.rows("SELECT * FROM events WHERE kind = 'answer-withheld'").await?;
    assert_eq!(events.len(), 2);
    Ok(())
}
