use time::macros::datetime;

use super::*;
use crate::{
    identify::{MasterKey, Placeholders},
    prim::{CgroupId, CgroupPath, SessionId},
};

fn of(workload: &str) -> (String, Environment) {
    let id = SessionId::generate();
    let workload = std::sync::Arc::new(toml::from_str(workload).unwrap());
    let cgroup = (CgroupPath::new("agents.slice/x"), CgroupId(1));
    let placeholder = Placeholders::new(&MasterKey::from_bytes([1; 32])).of(id);
    let session = Session::new(id, workload, cgroup, datetime!(2030-01-01 00:00 UTC), placeholder, None);
    (id.to_string(), environment(&session, &[("AWS_CA_BUNDLE".to_owned(), "/ca.pem".to_owned())]))
}

fn value<'a>(list: &'a [(String, String)], name: &str) -> Option<&'a str> {
    list.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_command_gets_the_ca_its_session_and_a_region() {
    let (id, environment) = of("name = 'a'\nidentity = 'host'\nregion = 'eu-central-1'");
    assert_eq!(value(&environment.set, "AWS_CA_BUNDLE"), Some("/ca.pem"));
    assert_eq!(value(&environment.set, "CHAPERONE_SESSION"), Some(id.as_str()));
    assert_eq!(value(&environment.set, "AWS_SHARED_CREDENTIALS_FILE"), Some("/dev/null"));
    // The user's own region goes first.
    assert_eq!(value(&environment.default, "AWS_REGION"), Some("eu-central-1"));
    assert_eq!(value(&environment.default, "AWS_DEFAULT_REGION"), Some("eu-central-1"));

    let (_, environment) = of("name = 'a'\nidentity = 'host'");
    assert_eq!(value(&environment.default, "AWS_REGION"), None);
}

#[test]
fn no_credential_reaches_a_command() {
    let (_, environment) = of("name = 'a'\nidentity = 'host'");
    for name in
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"]
    {
        assert!(environment.remove.iter().any(|removed| removed == name), "{name}");
    }
    let all = format!("{:?}", environment.set);
    assert!(!all.contains("ASIA"), "the placeholder comes from the metadata endpoint");
}

#[test]
fn a_workload_with_keys_of_its_own_keeps_them() {
    let (id, environment) = of("name = 'a'\nidentity = 'host'\ncredentials = 'passthrough'");
    assert_eq!(environment.remove, Vec::<String>::new());
    assert_eq!(value(&environment.set, "AWS_SHARED_CREDENTIALS_FILE"), None);
    assert_eq!(value(&environment.set, "AWS_CA_BUNDLE"), Some("/ca.pem"));
    assert_eq!(value(&environment.set, "CHAPERONE_SESSION"), Some(id.as_str()));
}
