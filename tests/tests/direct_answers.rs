//! What the gateway answers by itself: in the protocol's own shape, with nothing forwarded and a
//! row that says why.
#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use anyhow::{Context as _, Result};
use chaperone_tests::direct::{Agent, Direct, Payload, Reply, Setup, Signing};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";

/// A refused call: status, content type, and what its body must contain; then its row, in which the
/// reason contains `reason`.
async fn check(
    direct: &Direct,
    reply: &Reply,
    (status, content_type): (u16, &str),
    body: &[&str],
    reason: &str,
) -> Result<Value> {
    let text = reply.text();
    assert_eq!(
        (reply.status.as_u16(), header(&reply.headers, "content-type")),
        (status, content_type),
        "{text}"
    );
    for part in body {
        assert!(text.contains(part), "no {part}: {text}");
    }
    assert!(direct.upstream.requests().is_empty(), "{reason}: something was forwarded");
    let id = header(&reply.headers, "x-amzn-requestid");
    let call = direct.row("SELECT * FROM v_calls", |row| row["id"] == id).await?;
    assert!(call["reason"].as_str().is_some_and(|text| text.contains(reason)), "{call}");
    assert_eq!((&call["outcome"], &call["status"]), (&"denied".into(), &status.into()), "{call}");
    Ok(call)
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A PUT with this payload mode.
async fn put(agent: &Agent<'_>, mode: &'static str, headers: &[(&str, &str)]) -> Result<Reply> {
    let signing = Signing { payload: Payload::Named(mode), ..Signing::new("s3") };
    agent.ask(Method::PUT, "/a", headers, "5;chunk-signature=00\r\nhello\r\n", &signing).await
}

#[tokio::test]
async fn payloads_that_cannot_be_signed_anew_are_not_implemented() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(S3);
    let chunked = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "5")];
    let trailer = [chunked.as_slice(), &[("x-amz-trailer", "x-amz-checksum-crc32")]].concat();
    let modes = [
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            chunked.as_slice(),
            "signed chunks (STREAMING-AWS4-HMAC-SHA256-PAYLOAD)",
        ),
        (
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            trailer.as_slice(),
            "signed chunks (STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER)",
        ),
        (
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            chunked.as_slice(),
            "signed chunks (STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD)",
        ),
        (
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
            trailer.as_slice(),
            "signed chunks (STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER)",
        ),
        ("STREAMING-AWS4-HMAC-SHA256-EVENTS", &[], "signed event streams are not supported"),
    ];
    for (mode, headers, reason) in modes {
        let reply = put(&agent, mode, headers).await?;
        let body = ["<Error><Code>NotImplemented</Code><Message>", reason];
        check(&direct, &reply, (501, "application/xml"), &body, reason).await?;
    }
    let reply = put(&agent, "SOMETHING-ELSE", &[]).await?;
    let reason = "neither a lower-case SHA-256 nor a known payload mode";
    let body = ["<Error><Code>InvalidRequest</Code><Message>", reason];
    check(&direct, &reply, (400, "application/xml"), &body, reason).await?;
    Ok(())
}

#[tokio::test]
async fn other_ways_to_sign_are_refused() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent(S3);
    let signing = Signing::new("s3");

    let mut several = agent.signed(Method::GET, "/a", &[], "", &signing).await?;
    let authorization = header(several.headers(), "authorization").to_owned();
    let asymmetric = authorization.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256");
    several.headers_mut().insert("authorization", HeaderValue::from_str(&asymmetric)?);
    let reason = "Signature Version 4A is not supported";
    let body = ["<Error><Code>NotImplemented</Code><Message>", reason];
    check(&direct, &agent.send(several).await?, (501, "application/xml"), &body, reason).await?;

    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20260101%2F\
                 eu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=600&\
                 X-Amz-SignedHeaders=host&X-Amz-Signature=00";
    let mut presigned = agent.signed(Method::GET, &format!("/a?{query}"), &[], "", &signing).await?;
    let doubly = presigned.clone();
    presigned.headers_mut().remove("authorization");
    let reason = "refused for its parameter X-Amz-Date: it is there more than once, or in a header, too";
    let body = ["<Error><Code>AuthorizationHeaderMalformed</Code><Message>", reason];
    check(&direct, &agent.send(presigned).await?, (400, "application/xml"), &body, reason).await?;
    let target = "/a?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=c2ln&Expires=1900000000";
    let mut older = agent.signed(Method::GET, target, &[], "", &signing).await?;
    older.headers_mut().remove("authorization");
    let reason = "URLs presigned by Signature Version 2 are not supported";
    let body = ["<Error><Code>NotImplemented</Code><Message>", reason];
    check(&direct, &agent.send(older).await?, (501, "application/xml"), &body, reason).await?;
    let reason = "signed twice";
    let body = ["<Error><Code>AccessDenied</Code><Message>", reason];
    check(&direct, &agent.send(doubly).await?, (403, "application/xml"), &body, reason).await?;
    Ok(())
}

/// One operation that policy denies, in its protocol.
struct Denied {
    host: &'static str,
    signing: Signing,
    method: Method,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    operation: &'static str,
}

impl Denied {
    /// Asks, and checks what is common to all shapes: 403, and the row of a decided call.
    async fn check(self, content_type: &str, body: &[&str]) -> Result<Reply> {
        let policies = "@id(\"nothing\") forbid (principal, action, resource);\n".to_owned();
        let direct = Direct::start(Setup { policies, ..Setup::default() }).await?;
        let agent = direct.agent(self.host);
        let reply = agent.ask(self.method, self.path, self.headers, self.body, &self.signing).await?;
        let call = check(&direct, &reply, (403, content_type), body, "\"nothing\"").await?;
        assert_eq!(
            (&call["decision"], &call["operation"]),
            (&"deny".into(), &self.operation.into()),
            "{call}"
        );
        Ok(reply)
    }
}

/// The body begins and ends so; between is the message.
#[track_caller]
fn framed(reply: &Reply, before: &str, after: &str) {
    let text = reply.text();
    assert!(text.starts_with(before) && text.ends_with(after), "{before} … {after}: {text}");
}

#[tokio::test]
async fn json_says_its_type() -> Result<()> {
    let denied = Denied {
        host: "dynamodb.eu-central-1.amazonaws.com",
        signing: Signing::new("dynamodb"),
        method: Method::POST,
        path: "/",
        headers: &[
            ("x-amz-target", "DynamoDB_20120810.ListTables"),
            ("content-type", "application/x-amz-json-1.0"),
        ],
        body: b"{}",
        operation: "ListTables",
    };
    let reply = denied.check("application/x-amz-json-1.1", &[]).await?;
    let error: Value = serde_json::from_slice(&reply.body)?;
    assert_eq!(error["__type"], "AccessDeniedException");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("the rule \"nothing\"")), "{error}");
    Ok(())
}

#[tokio::test]
async fn rest_json_says_its_type_in_a_header() -> Result<()> {
    let direct = Direct::start(Setup::default()).await?;
    let agent = direct.agent("lambda.eu-central-1.amazonaws.com");
    let reply = agent.ask(Method::GET, "/2015-03-31/nothing", &[], "", &Signing::new("lambda")).await?;
    let reason = "no operation of lambda fits this request";
    let call = check(&direct, &reply, (403, "application/json"), &[], reason).await?;
    assert_eq!(call["decision"], "refused", "{call}");
    assert_eq!(header(&reply.headers, "x-amzn-errortype"), "AccessDeniedException");
    let error: Value = serde_json::from_slice(&reply.body)?;
    assert!(error["message"].as_str().is_some_and(|text| text.contains(reason)), "{error}");
    Ok(())
}

const FORM: &[(&str, &str)] = &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")];

#[tokio::test]
async fn query_services_answer_an_error_response() -> Result<()> {
    let form = |host, signing, body, operation| Denied {
        host,
        signing,
        method: Method::POST,
        path: "/",
        headers: FORM,
        body,
        operation,
    };
    let global = Signing { region: "us-east-1".to_owned(), ..Signing::new("iam") };
    for denied in [
        form(
            "sts.eu-central-1.amazonaws.com",
            Signing::new("sts"),
            b"Action=GetCallerIdentity&Version=2011-06-15".as_slice(),
            "GetCallerIdentity",
        ),
        form("iam.amazonaws.com", global, b"Action=ListRoles&Version=2010-05-08".as_slice(), "ListRoles"),
    ] {
        let reply = denied.check("text/xml", &["the rule &quot;nothing&quot;"]).await?;
        let before = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>";
        let id = header(&reply.headers, "x-amzn-requestid");
        framed(&reply, before, &format!("</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"));
    }
    Ok(())
}

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

#[tokio::test]
async fn ec2_answers_a_list_of_errors() -> Result<()> {
    let denied = Denied {
        host: "ec2.eu-central-1.amazonaws.com",
        signing: Signing::new("ec2"),
        method: Method::POST,
        path: "/",
        headers: FORM,
        body: b"Action=DescribeInstances&Version=2016-11-15",
        operation: "DescribeInstances",
    };
    let reply = denied.check("text/xml", &["the rule &quot;nothing&quot;"]).await?;
    let before = format!("{XML}<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>");
    let id = header(&reply.headers, "x-amzn-requestid");
    framed(&reply, &before, &format!("</Message></Error></Errors><RequestID>{id}</RequestID></Response>"));
    Ok(())
}

#[tokio::test]
async fn s3_answers_a_bare_error() -> Result<()> {
    let denied = Denied {
        host: S3,
        signing: Signing::new("s3"),
        method: Method::GET,
        path: "/secret",
        headers: &[],
        body: b"",
        operation: "GetObject",
    };
    let reply = denied.check("application/xml", &["the rule &quot;nothing&quot;"]).await?;
    let id = header(&reply.headers, "x-amz-request-id");
    assert_eq!(id, header(&reply.headers, "x-amzn-requestid"));
    let after = format!("</Message><RequestId>{id}</RequestId><HostId>chaperone</HostId></Error>");
    framed(&reply, &format!("{XML}<Error><Code>AccessDenied</Code><Message>"), &after);
    Ok(())
}

#[tokio::test]
async fn cbor_services_answer_a_map() -> Result<()> {
    let denied = Denied {
        host: "monitoring.eu-central-1.amazonaws.com",
        signing: Signing::new("monitoring"),
        method: Method::POST,
        path: "/service/GraniteServiceVersion20100801/operation/ListMetrics",
        headers: &[("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")],
        body: &[0xa0],
        operation: "ListMetrics",
    };
    let reply = denied.check("application/cbor", &["the rule \"nothing\""]).await?;
    assert_eq!(header(&reply.headers, "smithy-protocol"), "rpc-v2-cbor");
    // A map of two pairs (RFC 8949 §3.1): "__type" with its value, then "message".
    let expected = b"\xa2\x66__type\x75AccessDeniedException\x67message";
    let head = reply.body.get(..expected.len()).context("too short")?;
    assert_eq!(head, expected, "{}", reply.text());
    Ok(())
}
