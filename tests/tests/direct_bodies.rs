//! What is on record of bodies: what the agent got, without secrets, and of what is not kept why.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, Payload, Reply, Setup, Signing},
    upstream::Behaviour,
};
use gateway_user::{
    mask,
    record::{
        self,
        query::{Bodies, Reader},
    },
};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SECRETS: &str = "secretsmanager.eu-central-1.amazonaws.com";
const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
const S3: &str = "s3.eu-central-1.amazonaws.com";
const OBJECTS: &str = "artifacts.s3.eu-central-1.amazonaws.com";
const JSON: &str = "application/x-amz-json-1.1";
const SECRET: &str = "correct horse battery staple";
const REVEAL: &str = r#"@id("show") permit (principal, action == Action::"reveal", resource)
    when { context.field == "SecretString" };"#;

async fn start(change: impl FnOnce(&mut Setup)) -> Result<Direct> {
    let mut setup = Setup::default();
    change(&mut setup);
    Direct::start(setup).await
}

fn answer(direct: &Direct, content_type: &'static str, body: impl Into<Bytes>) {
    let body = body.into();
    direct.upstream.script([Behaviour::Answer { status: StatusCode::OK, content_type, body }]);
}

async fn secret(direct: &Direct) -> Result<Reply> {
    answer(direct, JSON, format!(r#"{{"Name":"db","SecretString":"{SECRET}"}}"#));
    let headers = [("x-amz-target", "secretsmanager.GetSecretValue"), ("content-type", JSON)];
    let signing = Signing::new("secretsmanager");
    direct.agent(SECRETS).ask(Method::POST, "/", &headers, r#"{"SecretId":"db"}"#, &signing).await
}

async fn tables(direct: &Direct, text: &str) -> Result<Reply> {
    answer(direct, "application/x-amz-json-1.0", format!(r#"{{"TableNames":["{text}"]}}"#));
    direct.agent(DYNAMODB).dynamodb("ListTables", "{}").await
}

/// What is on record of the only call, when it has ended.
async fn recorded(direct: &Direct) -> Result<Bodies> {
    let row = direct.row("SELECT id, outcome FROM v_calls", |row| row["outcome"] != "open").await?;
    let config = record::Config { database: direct.database().to_owned(), ..record::Config::default() };
    Ok(Reader::open(&config).await?.bodies(row["id"].as_str().context("an id")?).await?)
}

fn sha256(data: &[u8]) -> Option<String> {
    Some(hex::encode(digest(&SHA256, data)))
}

#[tokio::test]
async fn an_answer_is_kept_as_the_agent_got_it() -> Result<()> {
    let direct = start(|_| {}).await?;
    let reply = secret(&direct).await?;
    assert!(reply.text().contains(mask::MASKED), "{}", reply.text());
    let found = recorded(&direct).await?;
    let kept = found.answer.context("an answer")?;
    assert_eq!(kept.content.as_deref(), Some(&*reply.body));
    assert_eq!((kept.length, kept.digest), (reply.body.len() as u64, sha256(&reply.body)));
    assert_eq!((kept.media_type.as_deref(), kept.missing.len()), (Some(JSON), 0));
    assert!(found.params.complete && found.payload.is_none());
    assert_eq!(found.params.params.0["SecretId"], "db");
    for file in ["chaperone.db", "chaperone.db-wal"] {
        let file = std::fs::read(direct.dir.path().join(file))?;
        assert!(!file.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
    Ok(())
}

#[tokio::test]
async fn what_is_revealed_is_not_kept_and_its_digest_neither() -> Result<()> {
    let revealing = mask::Rule {
        operation: "secretsmanager:GetSecretValue".to_owned(),
        path: "SecretString".to_owned(),
        effect: mask::Effect::Reveal,
        reversible: false,
    };
    let by_policy: fn(&mut Setup) = |setup| setup.policies = format!("{ALLOW_ALL}{REVEAL}");
    for configured in [false, true] {
        let direct = start(|setup| match configured {
            false => by_policy(setup),
            true => setup.mask.rule.push(revealing.clone()),
        })
        .await?;
        let reply = secret(&direct).await?;
        assert!(reply.text().contains(SECRET), "{}", reply.text());
        let kept = recorded(&direct).await?.answer.context("an answer")?;
        assert_eq!((kept.content, kept.digest, kept.length), (None, None, reply.body.len() as u64));
        assert_eq!(kept.missing, ["revealed"]);
        // Security finds it, whoever revealed it.
        let seen = "SELECT operation, how, path, rules FROM v_secrets_read";
        let seen = direct.rows(seen).await?;
        let rule = if configured { r#"["mask.rule[0]"]"# } else { r#"["show"]"# };
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(
            (&seen[0]["how"], &seen[0]["path"]),
            (&"revealed".into(), &"SecretString".into()),
            "{seen:?}"
        );
        assert_eq!(seen[0]["rules"], rule);
        assert!(direct.rows("SELECT * FROM bodies").await?.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn of_a_long_answer_the_head_is_kept() -> Result<()> {
    let direct = start(|_| {}).await?;
    let long: String = (0..200_000).map(|n| n.to_string()).collect();
    let reply = tables(&direct, &long).await?;
    assert!(reply.body.len() > 1 << 20);
    let kept = recorded(&direct).await?.answer.context("an answer")?;
    assert_eq!(kept.content.as_deref(), reply.body.get(..64 << 10));
    assert_eq!((kept.length, kept.digest), (reply.body.len() as u64, sha256(&reply.body)));
    assert_eq!(kept.missing, ["too-long"]);
    Ok(())
}

#[tokio::test]
async fn equal_answers_share_a_content() -> Result<()> {
    let direct = start(|_| {}).await?;
    for text in ["same", "same", "other"] {
        tables(&direct, text).await?;
    }
    direct.row("SELECT count(*) AS n FROM call_bodies", |row| row["n"] == 3).await?;
    assert_eq!(direct.rows("SELECT * FROM bodies").await?.len(), 2);
    assert_eq!(direct.rows("SELECT DISTINCT digest FROM v_bodies WHERE kept = digest").await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn an_object_is_kept_where_that_is_configured_alone() -> Result<()> {
    for objects in [false, true] {
        let direct = start(|setup| setup.record.objects = objects).await?;
        answer(&direct, "text/plain", "what somebody stored");
        let reply = direct.agent(S3).ask(Method::GET, "/bucket/key", &[], "", &Signing::new("s3")).await?;
        let kept = recorded(&direct).await?.answer.context("an answer")?;
        assert_eq!(kept.content.is_some(), objects);
        assert_eq!((kept.length, kept.digest), (20, sha256(&reply.body)));
        assert_eq!(kept.missing, if objects { vec![] } else { vec!["object"] });
    }
    // Its errors are the service's own.
    let direct = start(|_| {}).await?;
    direct.upstream.script([Behaviour::Fail { status: StatusCode::NOT_FOUND, code: "NoSuchKey" }]);
    let reply = direct.agent(S3).ask(Method::GET, "/bucket/key", &[], "", &Signing::new("s3")).await?;
    assert_eq!(recorded(&direct).await?.answer.context("an answer")?.content.as_deref(), Some(&*reply.body));
    Ok(())
}

#[tokio::test]
async fn an_upload_is_counted_and_hashed() -> Result<()> {
    let direct = start(|_| {}).await?;
    let signing = Signing { payload: Payload::Unsigned, ..Signing::new("s3") };
    let headers = [("content-type", "application/zip")];
    let data = vec![b'x'; 300_000];
    let reply = direct.agent(S3).ask(Method::PUT, "/bucket/key", &headers, data.clone(), &signing).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let found = recorded(&direct).await?;
    let payload = found.payload.context("a payload")?;
    assert_eq!((payload.length, payload.digest, payload.content), (300_000, sha256(&data), None));
    assert_eq!(
        (payload.media_type.as_deref(), payload.missing),
        (Some("application/zip"), vec!["object".to_owned()])
    );
    assert!(found.params.complete);
    Ok(())
}

#[tokio::test]
async fn what_nobody_could_look_through_is_not_kept() -> Result<()> {
    let direct = start(|_| {}).await?;
    let (status, body) = (StatusCode::OK, Bytes::from_static(b"who knows"));
    let encoded =
        Behaviour::AnswerWith { name: "content-encoding", value: "gzip", status, content_type: JSON, body };
    direct.upstream.script([encoded]);
    direct.agent(DYNAMODB).dynamodb("ListTables", "{}").await?;
    let kept = recorded(&direct).await?.answer.context("an answer")?;
    assert_eq!((kept.content, kept.length, kept.missing), (None, 9, vec!["unreadable".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn without_memory_the_digest_is_kept() -> Result<()> {
    let direct = start(|setup| setup.record.capture_memory_bytes = 4096).await?;
    let reply = tables(&direct, &"x".repeat(3000)).await?;
    assert_eq!(reply.status, StatusCode::OK);
    let kept = recorded(&direct).await?.answer.context("an answer")?;
    assert_eq!((kept.content, kept.digest), (None, sha256(&reply.body)));
    assert_eq!(kept.missing, ["memory"]);
    Ok(())
}

#[tokio::test]
async fn an_answer_that_breaks_off_says_so() -> Result<()> {
    const PATH: &str = "/bytes-1000000?x-id=GetObject";
    let direct = start(|_| {}).await?;
    direct.upstream.script([Behaviour::ResetAfter(100_000)]);
    let broken = direct.agent(OBJECTS).ask(Method::GET, PATH, &[], "", &Signing::new("s3")).await;
    assert!(broken.is_err(), "{broken:?}");
    let kept = recorded(&direct).await?.answer.context("an answer")?;
    assert_eq!((kept.length, kept.missing), (100_000, vec!["object".to_owned(), "broken-off".to_owned()]));

    // The agent goes away in the middle.
    let direct = start(|_| {}).await?;
    direct.upstream.script([Behaviour::StallAfter(100_000)]);
    let agent = direct.agent(OBJECTS);
    let request = agent.signed(Method::GET, PATH, &[], "", &Signing::new("s3")).await?;
    let mut head = format!("GET {PATH} HTTP/1.1\r\nHost: {OBJECTS}\r\n");
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
    }
    let mut tls = agent.tls().await?;
    tls.write_all(format!("{head}\r\n").as_bytes()).await?;
    tls.read_exact(&mut vec![0; 50_000]).await?;
    drop(tls);
    let kept = recorded(&direct).await?.answer.context("an answer")?;
    assert_eq!(kept.missing, ["object", "broken-off"]);
    assert!((49_000..=100_000).contains(&kept.length), "{}", kept.length);
    Ok(())
}

#[tokio::test]
async fn parameters_that_do_not_fit_are_kept_whole_and_redacted() -> Result<()> {
    let direct = start(|_| {}).await?;
    let text = "y".repeat(40_000);
    let headers = [("x-amz-target", "secretsmanager.CreateSecret"), ("content-type", JSON)];
    let body = serde_json::json!({ "Name": "db", "Description": text, "SecretString": SECRET }).to_string();
    let signing = Signing::new("secretsmanager");
    direct.agent(SECRETS).ask(Method::POST, "/", &headers, body.clone(), &signing).await?;
    // AWS gets what the agent sent.
    let sent = direct.upstream.requests();
    let sent = sent.last().context("a request")?;
    assert_eq!(sent.body_sha256, sha256(body.as_bytes()));
    let params = recorded(&direct).await?.params;
    assert!(params.complete);
    assert_eq!(params.params.0["Description"], text.as_str());
    assert_eq!(params.params.0["SecretString"], "[redacted]");
    let row = &direct.rows("SELECT media_type, truncated FROM v_bodies WHERE side = 'request'").await?[0];
    assert_eq!(
        (&row["media_type"], &row["truncated"]),
        (&"application/vnd.chaperone.params+json".into(), &"[]".into())
    );
    Ok(())
}
