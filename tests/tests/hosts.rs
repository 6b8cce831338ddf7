//! Every host that botocore's endpoint rulesets produce is read: service, partition, region and the name
//! it is signed for. botocore evaluates them here and now; the product has patterns.
#![expect(clippy::unwrap_used, reason = "this is a test: that is how it fails")]

use std::{collections::HashSet, path::Path, process::Command};

use gateway_user::{
    parse::{Endpoint, EndpointError, Partition},
    prim::HostName,
};

/// Known, and refused: APIs that customers deploy; where functions of S3 Object Lambda answer; and a sign-in
/// page.
fn is_refused(service: &str, host: &str) -> Option<bool> {
    let error = host.parse::<HostName>().ok().map(|host| Endpoint::read(&host).unwrap_err())?;
    Some(match service {
        "apigatewaymanagementapi" => matches!(error, EndpointError::Unsupported("an API of API Gateway")),
        "s3" => matches!(error, EndpointError::Unsupported("this form of S3 Object Lambda")),
        "signin" => matches!(error, EndpointError::NotAws(_)),
        _ => return None,
    })
}

#[test]
fn every_host_of_the_rulesets_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join("target/peers/venv/bin/python");
    let output = Command::new(&python).arg(root.join("xtask/src/codegen/hosts.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = String::from_utf8(output.stdout).unwrap();
    let (mut read, mut refused, mut wrong) = (HashSet::new(), HashSet::new(), Vec::new());
    for row in rows.lines() {
        let columns: Vec<&str> = row.split('\t').collect();
        let [host, service, partition, _, region, signing_name, _] = columns.as_slice() else {
            panic!("hosts.py printed {row:?}")
        };
        let endpoint = match Endpoint::read(&host.parse().unwrap()) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                match is_refused(service, host) {
                    Some(true) => drop(refused.insert(*host)),
                    Some(false) | None => wrong.push(format!("{row}: {error}")),
                }
                continue;
            }
        };
        let named = endpoint.candidates().iter().any(|candidate| candidate.service.name == *service);
        // A few services are at home in one partition and answer all.
        let placed = endpoint.partition().arn_name() == *partition
            || Partition::of_region(region)
                .is_some_and(|other| other.suffixes() == endpoint.partition().suffixes());
        let region = endpoint.accepts_region(&region.parse().unwrap());
        if named && placed && region && endpoint.serves(signing_name) {
            read.insert(*host);
        } else {
            wrong.push(format!("{row}: {endpoint:?}").chars().take(300).collect());
        }
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{} hosts read, {} known and refused", read.len(), refused.len());
    assert!(read.len() > 70_000, "{}", read.len());
}
