//! Every job against the verifying upstream: what the generator signs is accepted.

use std::{sync::Arc, time::Duration};

use super::{Job, Target, run};
use crate::{
    pki::TestCa,
    upstream::{Key, Upstream, UpstreamConfig},
};

async fn check(job: Job) -> super::Report {
    let ca = Arc::new(TestCa::new().unwrap());
    let key =
        Key { id: "AKIALOAD".into(), secret: "load+secret/key".into(), session_token: Some("t".into()) };
    let upstream = Upstream::start(UpstreamConfig::new(ca, vec![key.clone()])).await.unwrap();
    let target = Target { address: upstream.addr(), roots_pem: upstream.ca_pem().to_owned() };
    let report = run(&target, &key, job).await.unwrap();
    assert!(upstream.requests().iter().all(|request| request.refused.is_none()));
    report
}

#[tokio::test]
async fn every_job_is_accepted() {
    let short = Duration::from_millis(50);
    assert!(check(Job::Post { connections: 3, duration: short }).await.requests > 0);
    assert!(check(Job::Connect { duration: short }).await.requests > 0);
    assert_eq!(check(Job::Download { bytes: 3_000_001 }).await.requests, 1);
    assert_eq!(check(Job::Upload { bytes: 3_000_001 }).await.requests, 1);
}

#[tokio::test]
async fn a_refused_request_ends_the_run() {
    let ca = Arc::new(TestCa::new().unwrap());
    let key = Key { id: "AKIALOAD".into(), secret: "right".into(), session_token: None };
    let upstream = Upstream::start(UpstreamConfig::new(ca, vec![key.clone()])).await.unwrap();
    let target = Target { address: upstream.addr(), roots_pem: upstream.ca_pem().to_owned() };
    let wrong = Key { secret: "wrong".into(), ..key };
    let error = run(&target, &wrong, Job::Connect { duration: Duration::ZERO }).await.unwrap_err();
    assert!(error.to_string().contains("InvalidSignatureException"), "{error:#}");
}
