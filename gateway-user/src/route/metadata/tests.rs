use std::sync::Arc;

use http::Request;
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::{
    identify::{Placeholder, WorkloadConfig},
    prim::{CgroupId, CgroupPath, SessionId},
    secret::SecretText,
};

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00:00.5 UTC);
const KEY: &[u8] = &[7; 32];
const ROLE: &str = "chaperone-builds";
const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";

fn session() -> Session {
    let workload = WorkloadConfig {
        region: Some("eu-central-1".parse().unwrap()),
        account: Some("123456789012".parse().unwrap()),
        ..WorkloadConfig::named("builds".parse().unwrap())
    };
    let placeholder = Placeholder {
        access_key_id: "ASIAPLACEHOLDER00000".to_owned(),
        secret: SecretText::new("secret/placeholder".to_owned()),
        session_token: SecretText::new("token/placeholder".to_owned()),
    };
    let cgroup = (CgroupPath::new("agents.slice/builds.service"), CgroupId(7));
    Session::new(SessionId::generate(), Arc::new(workload), cgroup, NOW, placeholder, None)
}

fn ask(
    session: &Session,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    now: OffsetDateTime,
) -> Response<Bytes> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(&request.body(()).unwrap().into_parts().0, session, ROLE, now, KEY)
}

/// A token as the SDKs get it.
fn token(session: &Session) -> String {
    let response = ask(session, "PUT", "/latest/api/token", &[(TTL, "21600")], NOW);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[TTL], "21600");
    String::from_utf8(response.into_body().to_vec()).unwrap()
}

fn get(session: &Session, path: &str) -> Response<Bytes> {
    ask(session, "GET", path, &[(TOKEN, &token(session))], NOW)
}

#[track_caller]
fn check_text(path: &str, expected: &str) {
    let response = get(&session(), path);
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain", "{path}");
    assert_eq!(response.into_body(), expected, "{path}");
}

#[track_caller]
fn check_json(response: Response<Bytes>, expected: Value) {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(serde_json::from_slice::<Value>(response.body()).unwrap(), expected);
}

#[track_caller]
fn check_status(response: &Response<Bytes>, status: u16) {
    let body = String::from_utf8_lossy(response.body());
    assert_eq!(response.status(), status, "{body}");
    assert!(!body.contains("placeholder"), "{body}");
}

#[test]
fn what_boto3_asks() {
    check_text(CREDENTIALS, ROLE);
    check_text("/latest/meta-data/placement/availability-zone/", "eu-central-1a");
    check_json(
        get(&session(), &format!("{CREDENTIALS}{ROLE}")),
        json!({
            "Code": "Success",
            "LastUpdated": "2026-03-01T12:00:00Z",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAPLACEHOLDER00000",
            "SecretAccessKey": "secret/placeholder",
            "Token": "token/placeholder",
            "Expiration": "2026-03-01T18:00:00Z",
        }),
    );
}

#[test]
fn what_other_sdks_ask() {
    check_text(CREDENTIALS.trim_end_matches('/'), ROLE);
    check_text("/latest/meta-data/placement/region", "eu-central-1");
    check_text("/latest/meta-data/placement/availability-zone", "eu-central-1a");
    check_text("/latest/meta-data/", "iam/\nplacement/");
    check_text("/latest/meta-data/iam/", "security-credentials/");
    check_text("/latest/meta-data/placement/", "availability-zone\nregion");
    check_json(
        get(&session(), "/latest/dynamic/instance-identity/document"),
        json!({
            "accountId": "123456789012",
            "region": "eu-central-1",
            "availabilityZone": "eu-central-1a",
            "version": "2017-09-30",
        }),
    );
}

#[test]
fn containers_ask_without_a_token() {
    let mut session = session();
    let mut expected = json!({
        "AccessKeyId": "ASIAPLACEHOLDER00000",
        "SecretAccessKey": "secret/placeholder",
        "Token": "token/placeholder",
        "Expiration": "2026-03-01T18:00:00Z",
        "AccountId": "123456789012",
    });
    for path in ["/v2/credentials", "/v2/credentials/0f3c", "/v1/credentials"] {
        check_json(ask(&session, "GET", path, &[("authorization", "anything")], NOW), expected.clone());
    }
    let workload = Arc::get_mut(&mut session.workload).unwrap();
    workload.role_arn = Some("arn:aws:iam::123456789012:role/agents".to_owned());
    workload.account = None;
    expected["RoleArn"] = json!("arn:aws:iam::123456789012:role/agents");
    expected.as_object_mut().unwrap().remove("AccountId");
    check_json(ask(&session, "GET", "/v2/credentials/0f3c", &[], NOW), expected);
}

#[test]
fn imds_v1_is_refused() {
    for path in
        [CREDENTIALS, "/latest/meta-data/placement/region", "/latest/dynamic/instance-identity/document"]
    {
        check_status(&ask(&session(), "GET", path, &[], NOW), 401);
    }
}

#[test]
fn tokens_that_are_not_valid() {
    let mine = session();
    let good = token(&mine);
    let path = "/latest/meta-data/placement/region";
    let with = |session: &Session, token: &str, now| ask(session, "GET", path, &[(TOKEN, token)], now);
    let last_second = NOW + Duration::seconds(21_599);
    assert_eq!(with(&mine, &good, last_second).headers()[TTL], "1");

    check_status(&with(&mine, &good, last_second + Duration::seconds(1)), 401);
    check_status(&with(&session(), &good, NOW), 401);
    let later = format!("{}{}", hex::encode(i64::MAX.to_be_bytes()), &good[16..]);
    for bad in ["", "x", "00", "\u{e4}", &good[..good.len() - 1], &good[..16], &later, &format!("{good}00")] {
        check_status(&with(&mine, bad, NOW), 401);
    }
    check_status(&ask(&mine, "GET", path, &[(TOKEN, &good), (TOKEN, &good)], NOW), 401);
    let other_key = Request::get(path).header(TOKEN, &good).body(()).unwrap().into_parts().0;
    check_status(&answer(&other_key, &mine, ROLE, NOW, &[8; 32]), 401);
}

#[test]
fn the_life_of_a_token() {
    let session = session();
    for bad in ["0", "21601", "-1", "", "x", "99999999999999999999"] {
        check_status(&ask(&session, "PUT", "/latest/api/token", &[(TTL, bad)], NOW), 400);
    }
    check_status(&ask(&session, "PUT", "/latest/api/token", &[], NOW), 400);
    check_status(&ask(&session, "PUT", "/latest/api/token", &[(TTL, "60"), (TTL, "60")], NOW), 400);
    for good in ["1", "21600"] {
        check_status(&ask(&session, "PUT", "/latest/api/token", &[(TTL, good)], NOW), 200);
    }
}

#[test]
fn requests_that_come_through_a_proxy() {
    let session = session();
    let forwarded = ("x-forwarded-for", "10.0.0.1");
    check_status(&ask(&session, "PUT", "/latest/api/token", &[(TTL, "60"), forwarded], NOW), 403);
    check_status(&ask(&session, "GET", CREDENTIALS, &[(TOKEN, &token(&session)), forwarded], NOW), 403);
    check_status(&ask(&session, "GET", "/v2/credentials", &[forwarded], NOW), 403);
}

#[test]
fn paths_that_are_not_there() {
    for path in [
        "/",
        "/latest/meta-data/instance-id",
        "/latest/meta-data/iam/security-credentials/other-role",
        "/latest/meta-data/iam/security-credentials/chaperone-builds/",
        "/latest/meta-data/iam/security-credentialsx",
        "/latest/user-data",
        "/1.0/meta-data/placement/region",
        "/v2/credentialsx",
        "/v3/metadata",
    ] {
        check_status(&get(&session(), path), 404);
    }
    let mut nowhere = session();
    Arc::get_mut(&mut nowhere.workload).unwrap().region = None;
    check_status(&get(&nowhere, "/latest/meta-data/placement/region"), 404);
    check_status(&get(&nowhere, "/latest/dynamic/instance-identity/document"), 404);
}

#[test]
fn methods() {
    let session = session();
    let refused = ask(&session, "GET", "/latest/api/token", &[(TTL, "60")], NOW);
    check_status(&refused, 405);
    assert_eq!(refused.headers()[ALLOW], "PUT");
    let refused = ask(&session, "POST", "/v1/credentials", &[], NOW);
    check_status(&refused, 405);
    assert_eq!(refused.headers()[ALLOW], "GET, HEAD");
}

#[test]
fn who_has_keys_of_its_own_is_given_none() {
    let mut session = session();
    let mut workload = (*session.workload).clone();
    workload.credentials = CredentialSource::Passthrough;
    session.workload = Arc::new(workload);
    for path in [
        CREDENTIALS,
        "/latest/meta-data/iam/security-credentials",
        &format!("{CREDENTIALS}{ROLE}"),
        "/latest/meta-data/iam",
        "/latest/meta-data/iam/",
        "/v1/credentials",
        "/v2/credentials/x",
    ] {
        check_status(&get(&session, path), 404);
    }
    assert_eq!(get(&session, "/latest/meta-data/").into_body(), "placement/");
    assert_eq!(get(&session, "/latest/meta-data/placement/region").into_body(), "eu-central-1");
}
