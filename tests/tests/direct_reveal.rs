//! Answers with credentials that cannot be replaced: the agent gets them only where policy reveals them.

use anyhow::Result;
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, Reply, Setup, Signing},
    upstream::{Behaviour, Key, Role},
};
use gateway_user::identify::{CredentialSource, Mode};
use http::{Method, StatusCode};
use serde_json::Value;

const ECR: &str = "api.ecr.eu-central-1.amazonaws.com";
const IAM: &str = "iam.amazonaws.com";
const STS: &str = "sts.eu-central-1.amazonaws.com";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const TARGET: &str = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
const TOKEN: &[u8] =
    br#"{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldA==","expiresAt":1.7e9}]}"#;
const LOGIN: &str = r#"@id("docker-login") permit (principal, action == Action::"reveal", resource)
    when { context.operation == "ecr:GetAuthorizationToken" };"#;
const KEYS: &str = r#"@id("keys") permit (principal, action == Action::"reveal", resource)
    when { context.operation == "iam:CreateAccessKey" };"#;

async fn start(policies: &str, mode: Mode) -> Result<Direct> {
    let policies = policies.to_owned();
    Direct::start(Setup { policies, mode, ..Setup::default() }).await
}

async fn token(direct: &Direct, signing: &Signing) -> Result<Reply> {
    let body = TOKEN.into();
    let (status, content_type) = (StatusCode::OK, "application/x-amz-json-1.1");
    direct.upstream.script([Behaviour::Answer { status, content_type, body }]);
    let headers = [("x-amz-target", TARGET), ("content-type", content_type)];
    direct.agent(ECR).ask(Method::POST, "/", &headers, "{}", signing).await
}

/// Nothing was sent, and the agent was told why in the shape of a denial.
#[track_caller]
fn withheld(direct: &Direct, reply: &Reply, why: &str) {
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
    let text = reply.text();
    assert!(text.contains("AccessDenied") && text.contains(why), "{why}: {text}");
    assert!(direct.upstream.requests().is_empty());
}

const CANNOT: &str = "ecr:GetAuthorizationToken answers with credentials that cannot be replaced, and ";

#[tokio::test]
async fn a_revealed_answer_passes_byte_for_byte_and_is_on_record() -> Result<()> {
    let direct = start(&format!("{ALLOW_ALL}{LOGIN}"), Mode::Enforce).await?;
    let reply = token(&direct, &Signing::new("ecr")).await?;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, TOKEN));

    // It is on record before the agent has it.
    let events = direct.rows("SELECT * FROM events WHERE kind = 'revealed'").await?;
    let [event] = events.as_slice() else { panic!("{events:?}") };
    let detail: Value = match &event["detail"] {
        Value::String(text) => serde_json::from_str(text)?,
        detail => detail.clone(),
    };
    assert_eq!(detail["operation"], "ecr:GetAuthorizationToken", "{event}");
    assert_eq!(detail["field"], "*", "{event}");
    assert_eq!(detail["rules"], serde_json::json!(["docker-login"]), "{event}");
    assert_eq!(detail["resources"], serde_json::json!(["*"]), "{event}");
    assert!(!event.to_string().contains("QVdTOnNlY3JldA"), "{event}");
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "forwarded").await?;
    assert_eq!(call["id"], detail["call_id"], "{call}");
    assert_eq!(event["session"], call["session"], "{event}");
    let text = |name: &str| call[name].to_string();
    assert!(text("rules").contains("allow-all") && text("rules").contains("docker-login"), "{call}");
    assert!(!text("actions").contains("reveal"), "{call}");
    Ok(())
}

#[tokio::test]
async fn without_such_a_rule_the_call_is_not_made() -> Result<()> {
    let forbid = r#"@id("never") forbid (principal, action == Action::"reveal", resource);"#;
    let asks = r#"@id("ask") @reviewers("oncall") permit (principal, action == Action::"reveal", resource)
        when { context has approval && context.approval.groups.contains("oncall") };"#;
    let observed = "(the workload is only observed, but observing reveals nothing)";
    for (rules, mode, decision, why) in [
        (ALLOW_ALL.to_owned(), Mode::Enforce, "deny", format!("{CANNOT}no rule reveals them")),
        (format!("{ALLOW_ALL}{KEYS}"), Mode::Enforce, "deny", format!("{CANNOT}no rule reveals them")),
        (LOGIN.to_owned(), Mode::Enforce, "deny", "which no rule permits".to_owned()),
        (
            format!("{ALLOW_ALL}{LOGIN}{forbid}"),
            Mode::Enforce,
            "deny",
            format!("{CANNOT}to reveal them is forbidden by the rule"),
        ),
        (ALLOW_ALL.to_owned(), Mode::Observe, "deny", format!("no rule reveals them {observed}")),
        (
            format!("{ALLOW_ALL}{asks}"),
            Mode::Enforce,
            "ask",
            "because it answers with credentials".to_owned(),
        ),
        (format!("{ALLOW_ALL}{asks}"), Mode::Observe, "ask", observed.to_owned()),
        (LOGIN.to_owned(), Mode::Observe, "deny", observed.to_owned()),
    ] {
        let direct = start(&rules, mode).await?;
        let reply = token(&direct, &Signing::new("ecr")).await?;
        withheld(&direct, &reply, &why);
        let call = direct.row("SELECT * FROM v_denied", |row| row["outcome"] == "denied").await?;
        assert_eq!(call["decision"], decision, "{rules}: {call}");
        assert!(direct.rows("SELECT * FROM events WHERE kind = 'revealed'").await?.is_empty(), "{rules}");
    }
    Ok(())
}

#[tokio::test]
async fn an_observed_workload_gets_what_is_permitted_and_revealed() -> Result<()> {
    let direct = start(&format!("{ALLOW_ALL}{LOGIN}"), Mode::Observe).await?;
    let reply = token(&direct, &Signing::new("ecr")).await?;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, TOKEN));
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "forwarded").await?;
    assert_eq!(call["decision"], "allow", "{call}");
    assert!(call["rules"].to_string().contains("docker-login"), "{call}");
    assert_eq!(direct.rows("SELECT * FROM events WHERE kind = 'revealed'").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_may_be_revealed_is_on_record_whatever_aws_answers() -> Result<()> {
    let direct = start(&format!("{ALLOW_ALL}{KEYS}"), Mode::Enforce).await?;
    let error =
        "<ErrorResponse><Error><Code>LimitExceeded</Code><Message>2</Message></Error></ErrorResponse>";
    let (status, content_type) = (StatusCode::CONFLICT, "text/xml");
    direct.upstream.script([Behaviour::Answer { status, content_type, body: error.into() }]);
    let signing = Signing { region: "us-east-1".to_owned(), ..Signing::new("iam") };
    let body = "Action=CreateAccessKey&Version=2010-05-08&UserName=ci";
    let reply = direct.agent(IAM).ask(Method::POST, "/", &[FORM], body, &signing).await?;
    assert_eq!((reply.status, reply.text().as_str()), (status, error));
    let call = direct.row("SELECT * FROM v_calls", |row| row["outcome"] == "forwarded").await?;
    assert!(call["resources"].to_string().contains("user/ci"), "{call}");
    assert_eq!(call["status"], 409, "{call}");
    let events = direct.rows("SELECT * FROM events WHERE kind = 'revealed'").await?;
    let [event] = events.as_slice() else { anyhow::bail!("{events:?}") };
    assert!(event.to_string().contains("iam:CreateAccessKey"), "{event}");
    Ok(())
}

#[tokio::test]
async fn keys_that_can_be_replaced_are_replaced_whatever_is_revealed() -> Result<()> {
    const NEXT: &str = "arn:aws:iam::123456789012:role/next";
    let all = r#"@id("all") permit (principal, action == Action::"reveal", resource);"#;
    let direct = Direct::start(Setup {
        policies: format!("{ALLOW_ALL}{all}"),
        upstream: Box::new(|config| config.roles = vec![Role::allowing(NEXT, &["*"])]),
        workload: Box::new(|workload| workload.role_arn = Some(NEXT.to_owned())),
        ..Setup::default()
    })
    .await?;
    let role = NEXT.replace(':', "%3A").replace('/', "%2F");
    let body = format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName=agent&RoleArn={role}");
    let reply = direct.agent(STS).ask(Method::POST, "/", &[FORM], body, &Signing::new("sts")).await?;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert!(reply.text().contains("<AccessKeyId>ASIACHAP"), "{}", reply.text());
    for issued in direct.upstream.issued() {
        assert!(!reply.text().contains(&issued.key.id) && !reply.text().contains(&issued.key.secret));
    }
    assert!(direct.rows("SELECT * FROM events WHERE kind = 'revealed'").await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn agents_with_keys_of_their_own_are_shown_no_more() -> Result<()> {
    let owner = Key {
        id: "ASIAOWNERKEY00000001".to_owned(),
        secret: "owner-secret-0123456789".to_owned(),
        session_token: Some("owner-token".to_owned()),
    };
    let signing = |service: &str| Signing {
        access_key_id: Some(owner.id.clone()),
        secret: Some(owner.secret.clone()),
        session_token: owner.session_token.clone(),
        ..Signing::new(service)
    };
    let passthrough = async |policies: String| {
        let keys = vec![owner.clone()];
        Direct::start(Setup {
            credentials: CredentialSource::Passthrough,
            policies,
            upstream: Box::new(|config| config.keys = keys),
            ..Setup::default()
        })
        .await
    };
    let direct = passthrough(ALLOW_ALL.to_owned()).await?;
    let reply = token(&direct, &signing("ecr")).await?;
    withheld(&direct, &reply, &format!("{CANNOT}no rule reveals them"));

    let direct = passthrough(format!("{ALLOW_ALL}{LOGIN}")).await?;
    let reply = token(&direct, &signing("ecr")).await?;
    assert_eq!((reply.status, &*reply.body), (StatusCode::OK, TOKEN), "{}", reply.text());
    assert_eq!(direct.rows("SELECT * FROM events WHERE kind = 'revealed'").await?.len(), 1);

    // What would be replaced for others is no matter of revealing.
    let all = r#"@id("all") permit (principal, action == Action::"reveal", resource);"#;
    let direct = passthrough(format!("{ALLOW_ALL}{all}")).await?;
    let body = "Action=GetSessionToken&Version=2011-06-15";
    let reply = direct.agent(STS).ask(Method::POST, "/", &[FORM], body, &signing("sts")).await?;
    withheld(&direct, &reply, "sts:GetSessionToken answers with credentials, which must not reach an agent");
    Ok(())
}
