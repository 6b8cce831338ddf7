//! Keys made for a workload and limited to its call: what they are good for at an AWS that looks at
//! policies, even if somebody signs with them what was never decided.

use anyhow::{Context as _, Result};
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, Reply, Setup, Signing},
    load::{self, Client, Coverage, Target, given},
    upstream::{Key, Role},
};
use gateway_user::identify::Scope;
use http::{Method, Request, StatusCode};

const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
const OTHER: &str = "arn:aws:iam::222222222222:role/x";
const S3: &str = "s3.eu-central-1.amazonaws.com";
const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";

async fn start(policies: &str, scope: Option<Scope>) -> Result<Direct> {
    Direct::start(Setup {
        policies: policies.to_owned(),
        upstream: Box::new(|config| {
            config.roles = vec![Role::allowing(ROLE, &["*"]), Role::allowing(OTHER, &["dynamodb:*"])];
        }),
        workload: Box::new(move |workload| {
            workload.role_arn = Some(ROLE.to_owned());
            workload.scope = scope;
        }),
        ..Setup::default()
    })
    .await
}

async fn s3(direct: &Direct, method: Method, path: &str) -> Result<Reply> {
    direct.agent(S3).ask(method, path, &[], "", &Signing::new("s3")).await
}

/// What AWS says to a request that somebody signs with `key` past the gateway.
async fn past_the_gateway(
    direct: &Direct,
    key: &Key,
    (method, host, path): (&str, &str, &str),
    headers: &[(&str, &str)],
    body: &'static str,
) -> Result<(StatusCode, String)> {
    let target = Target { address: direct.upstream.addr(), roots_pem: direct.upstream.ca_pem().to_owned() };
    let mut client = Client::connect(&target, host).await?;
    let mut request = Request::builder().method(method).uri(path).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(given(body))?;
    let service = host.split('.').next().context("a service")?;
    load::sign(&mut request, service, key, Coverage::Body(body.as_bytes()))?;
    let (status, body) = client.send(request).await?;
    Ok((status, body.head()))
}

#[tokio::test]
async fn the_keys_of_a_call_are_good_for_that_call() -> Result<()> {
    let direct = start(ALLOW_ALL, None).await?;
    let reply = s3(&direct, Method::GET, "/bucket/a").await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let issued = direct.upstream.issued();
    let [issued] = issued.as_slice() else { panic!("{issued:?}") };

    let check = async |method: &str, path: &str, expected: StatusCode| -> Result<()> {
        let (status, text) = past_the_gateway(&direct, &issued.key, (method, S3, path), &[], "").await?;
        assert_eq!(status, expected, "{method} {path}: {text}");
        assert_eq!(text.contains("<Code>AccessDenied</Code>"), expected == StatusCode::FORBIDDEN, "{text}");
        Ok(())
    };
    check("GET", "/bucket/a", StatusCode::OK).await?;
    check("PUT", "/bucket/a", StatusCode::FORBIDDEN).await?;
    check("DELETE", "/bucket/a", StatusCode::FORBIDDEN).await?;
    check("GET", "/bucket/b", StatusCode::FORBIDDEN).await?;
    check("GET", "/other/a", StatusCode::FORBIDDEN).await?;
    check("GET", "/bucket", StatusCode::FORBIDDEN).await?;
    let target =
        [("x-amz-target", "DynamoDB_20120810.GetItem"), ("content-type", "application/x-amz-json-1.0")];
    let call = ("POST", DYNAMODB, "/");
    let (status, text) =
        past_the_gateway(&direct, &issued.key, call, &target, r#"{"TableName":"t"}"#).await?;
    assert!(status == 400 && text.contains("AccessDeniedException"), "{status} {text}");

    // Another call has other keys, and nothing is kept of the first.
    assert_eq!(s3(&direct, Method::GET, "/bucket/a").await?.status, StatusCode::OK);
    assert_eq!(direct.upstream.issued().len(), 2);
    Ok(())
}

#[tokio::test]
async fn signs_in_a_key_are_no_wildcards_at_aws() -> Result<()> {
    let direct = start(ALLOW_ALL, None).await?;
    for (path, others) in [
        ("/bucket/a*b", ["/bucket/axxb", "/bucket/ab"]),
        ("/bucket/a%3Fb", ["/bucket/axb", "/bucket/a%2Ab"]),
        ("/bucket/*", ["/bucket/k", "/bucket/a/b"]),
        ("/bucket/$%7B*%7D", ["/bucket/*", "/bucket/x"]),
        ("/bucket/%E4%B8%AD", ["/bucket/x", "/bucket/%E4%B8%AE"]),
    ] {
        let reply = s3(&direct, Method::GET, path).await?;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
        let issued = direct.upstream.issued().pop().context("keys")?;
        for other in others {
            let (status, text) = past_the_gateway(&direct, &issued.key, ("GET", S3, other), &[], "").await?;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path} {other}: {text}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn calls_of_many_kinds_pass_with_keys_of_their_own() -> Result<()> {
    let direct = start(ALLOW_ALL, None).await?;
    let copy = [("x-amz-copy-source", "/source/a%2Ab")];
    let s3 = direct.agent(S3);
    let json =
        |target: &'static str| [("x-amz-target", target), ("content-type", "application/x-amz-json-1.0")];
    for (method, path, headers) in [
        (Method::PUT, "/target/k", copy.as_slice()),
        (Method::PUT, "/target/k", [("x-amz-tagging", "a=b")].as_slice()),
        (Method::DELETE, "/target/k", [].as_slice()),
        (Method::GET, "/target?list-type=2", [].as_slice()),
    ] {
        let reply = s3.ask(method, path, headers, "", &Signing::new("s3")).await?;
        assert!(reply.status.is_success(), "{path} {headers:?}: {}", reply.text());
    }
    let queue = r#"{"QueueUrl":"https://sqs.eu-central-1.amazonaws.com/123456789012/q","MessageBody":"x"}"#;
    for (service, target, body) in [
        ("dynamodb", "DynamoDB_20120810.PutItem", r#"{"TableName":"t","Item":{}}"#),
        ("sqs", "AmazonSQS.SendMessage", queue),
        ("secretsmanager", "secretsmanager.GetSecretValue", r#"{"SecretId":"db"}"#),
    ] {
        let host = format!("{service}.eu-central-1.amazonaws.com");
        let agent = direct.agent(&host);
        let reply = agent.ask(Method::POST, "/", &json(target), body, &Signing::new(service)).await?;
        assert_eq!(reply.status, StatusCode::OK, "{target}: {}", reply.text());
    }
    let lambda = direct.agent("lambda.eu-central-1.amazonaws.com");
    let path = "/2015-03-31/functions/f/invocations";
    let reply = lambda.ask(Method::POST, path, &[], "{}", &Signing::new("lambda")).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(direct.upstream.issued().len(), 8);
    Ok(())
}

#[tokio::test]
async fn aws_is_told_who_calls() -> Result<()> {
    let direct = start(ALLOW_ALL, None).await?;
    assert_eq!(s3(&direct, Method::GET, "/bucket/a").await?.status, StatusCode::OK);
    let issued = direct.upstream.issued().pop().context("keys")?;
    let session = issued.session_name.clone();
    assert!(session.starts_with("s-"), "{session}");
    assert!(
        issued.source_identity.as_deref().is_some_and(|who| who.starts_with("host-builds-")),
        "{issued:?}"
    );
    let tags: Vec<(&str, &str)> =
        issued.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("chaperone:workload", "builds"),
        ("chaperone:session", session.as_str()),
        ("chaperone:issuer", "host"),
    ];
    assert_eq!(tags, expected);
    assert_eq!(issued.role, ROLE);
    Ok(())
}

#[tokio::test]
async fn the_keys_of_a_session_are_good_for_its_rules() -> Result<()> {
    let rules = r#"
        permit (principal, action in [Action::"s3:GetObject", Action::"s3:PutObject"], resource)
        when { resource.arn like "arn:aws:s3:::bucket/*" };
        forbid (principal, action == Action::"s3:PutObject", resource == Resource::"arn:aws:s3:::bucket/fixed");
    "#;
    let direct = start(rules, Some(Scope::Session)).await?;
    for path in ["/bucket/a", "/bucket/b"] {
        assert_eq!(s3(&direct, Method::GET, path).await?.status, StatusCode::OK);
    }
    let issued = direct.upstream.issued();
    let [issued] = issued.as_slice() else { panic!("{issued:?}") };
    for (method, path, expected) in [
        ("PUT", "/bucket/c", StatusCode::OK),
        ("PUT", "/bucket/fixed", StatusCode::FORBIDDEN),
        ("DELETE", "/bucket/a", StatusCode::FORBIDDEN),
        ("GET", "/other/a", StatusCode::FORBIDDEN),
    ] {
        let (status, text) = past_the_gateway(&direct, &issued.key, (method, S3, path), &[], "").await?;
        assert_eq!(status, expected, "{method} {path}: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn keys_of_scope_role_are_good_for_the_role() -> Result<()> {
    let direct = start(ALLOW_ALL, Some(Scope::Role)).await?;
    for path in ["/bucket/a", "/bucket/b"] {
        assert_eq!(s3(&direct, Method::GET, path).await?.status, StatusCode::OK);
    }
    let issued = direct.upstream.issued();
    let [issued] = issued.as_slice() else { panic!("{issued:?}") };
    assert_eq!(issued.policy, None);
    let (status, _) = past_the_gateway(&direct, &issued.key, ("DELETE", S3, "/x/y"), &[], "").await?;
    assert_eq!(status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_rule_has_its_role_and_its_account() -> Result<()> {
    let rules = format!(
        r#"@id("x") @role("{OTHER}") permit (principal, action == Action::"dynamodb:GetItem", resource)
           when {{ resource has account && resource.account == "222222222222" }};
           @id("here") @role("{OTHER}") permit (principal, action == Action::"dynamodb:GetItem", resource)
           when {{ resource.arn like "*:123456789012:table/t*" }};
           @id("list") permit (principal, action == Action::"dynamodb:ListTables", resource);"#
    );
    let direct = start(&rules, None).await?;
    let agent = direct.agent(DYNAMODB);
    let reply = agent.dynamodb("GetItem", r#"{"TableName":"t","Key":{"id":{"S":"1"}}}"#).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let issued = direct.upstream.issued().pop().context("keys")?;
    assert_eq!(issued.role, OTHER);
    let policy = issued.policy.unwrap_or_default();
    assert!(policy.contains("arn:aws:dynamodb:eu-central-1:222222222222:table/t"), "{policy}");
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "forwarded").await?;
    assert_eq!(call["account"], "222222222222", "{call}");
    assert_eq!(call["rules"], r#"["x"]"#, "{call}");

    assert_eq!(agent.dynamodb("ListTables", "{}").await?.status, StatusCode::OK);
    assert_eq!(direct.upstream.issued().pop().context("keys")?.role, ROLE);

    Ok(())
}

#[tokio::test]
async fn the_second_verdict_counts() -> Result<()> {
    let rules = format!(
        r#"@id("here") @role("{OTHER}") permit (principal, action == Action::"dynamodb:GetItem", resource)
           when {{ resource.arn like "*:123456789012:table/t*" }};
           @id("there") permit (principal, action == Action::"dynamodb:GetItem", resource)
           when {{ resource.arn like "*:222222222222:table/t2" }};"#
    );
    let direct = start(&rules, None).await?;
    let agent = direct.agent(DYNAMODB);
    // In the role's account nothing permits it, or something does in another role.
    for (table, words) in [("t1", "which no rule permits"), ("t2", "permitted in different roles")] {
        let reply = agent.dynamodb("GetItem", &format!(r#"{{"TableName":"{table}"}}"#)).await?;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{table}");
        assert!(reply.text().contains(words), "{table}: {}", reply.text());
    }
    assert!(direct.upstream.issued().is_empty());
    assert!(direct.upstream.requests().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_too_much_says_so() -> Result<()> {
    let direct = start(ALLOW_ALL, None).await?;
    let keys: String = (0..200).map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
    let body = format!("<Delete>{keys}</Delete>");
    let reply = direct.agent(S3).ask(Method::POST, "/bucket?delete", &[], body, &Signing::new("s3")).await?;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text());
    assert!(
        reply.text().contains("needs 200 actions on resources") && reply.text().contains("fewer"),
        "{}",
        reply.text()
    );
    assert!(direct.upstream.issued().is_empty());
    Ok(())
}
