//! Requests of every service, made by botocore's own serializers: each is understood rightly or refused.

use chaperone_tests::corpus::{Generator, Tally, read};

/// Every request that `cargo xtask corpus` makes, not a sample of them.
const SAMPLE: u32 = 1;
/// botocore 1.44.5 has so many services; each gives one request at least.
const SERVICES: usize = 439;

#[test]
fn every_request_of_botocore_is_understood() {
    let mut requests = Generator { sample: SAMPLE, services: Vec::new() }.start().unwrap();
    let mut tally = Tally::default();
    while let Some(line) = requests.next_line().unwrap() {
        tally.add(&line, read(&line).unwrap());
    }
    let report = tally.report(false);
    println!("{report}");
    assert_eq!(tally.services(), SERVICES, "{report}");
    assert_eq!(tally.wrong(), 0, "{report}");
    // Refused are what is signed with Signature Version 4A, what is no AWS host by name, APIs that customers
    // deploy, and a few that can be read in two ways.
    assert!(tally.right_share() >= 0.999, "{report}");
    assert!(tally.same_params_share() >= 0.999, "{report}");
}
