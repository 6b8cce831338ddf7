//! Small services for tests, in the words of the table.

use std::sync::OnceLock;

use super::{Http, Operation, Partition, Protocol, Service, service::Body, shape::Shapes};

/// A service of one operation, `Op`: how it is asked for, and shapes of which the first is its input.
/// Structures may be closed by `}`.
pub(crate) fn service(protocol: Protocol, http: &'static str, shapes: &[&'static str]) -> &'static Service {
    let texts: Vec<&str> = shapes.iter().map(|text| text.trim_end_matches('}')).collect();
    let http = Http::read(http).unwrap();
    let mut table = Shapes::read(&texts).unwrap();
    let members = texts.first().map(|text| text.trim_start_matches('{'));
    let input = table.add_input(members, &http).unwrap();
    table.check().unwrap();
    Box::leak(Box::new(Service {
        index: 0,
        name: "test",
        prefix: "test",
        signing_name: "test",
        endpoint_prefix: "test",
        protocols: vec![protocol],
        target_prefix: Some("Test"),
        version: "2025-01-01",
        lines: "",
        body: OnceLock::from(Body {
            shapes: table,
            operations: vec![Operation {
                name: "Op",
                http,
                input,
                host_prefix: "",
                unsigned_body: false,
                mints: false,
                needs: Vec::new(),
            }],
        }),
    }))
}

/// Hosts of a service, each with a region that requests to it are signed for.
pub(crate) fn hosts(service: &Service) -> Vec<(String, &'static str)> {
    let line: serde_json::Value = serde_json::from_str(service.lines.lines().next().unwrap()).unwrap();
    let patterns: Vec<String> = serde_json::from_value(line["hosts"].clone()).unwrap();
    patterns.iter().map(|pattern| host(pattern)).collect()
}

fn host(pattern: &str) -> (String, &'static str) {
    if let Some((host, regions)) = pattern.split_once('=') {
        let region = regions.split(' ').next().unwrap().to_owned();
        return (host.to_owned(), String::leak(region));
    }
    let mut words = pattern.split(' ');
    let host = words.next().unwrap();
    let partition = words.next().map_or(Partition::Aws, |name| Partition::of_arn_name(name).unwrap());
    let region = match partition {
        Partition::Aws => "us-east-1",
        Partition::Cn => "cn-north-1",
        Partition::UsGov => "us-gov-west-1",
        Partition::Eusc => "eusc-de-east-1",
        Partition::Iso => "us-iso-east-1",
        Partition::IsoB => "us-isob-east-1",
        Partition::IsoE => "eu-isoe-west-1",
        Partition::IsoF => "us-isof-south-1",
    };
    let [plain, dual_stack] = partition.suffixes();
    let host = host.replace("{r}", region).replace("{a}", "123456789012");
    let host = match (host.strip_suffix(".d"), host.strip_suffix(".D")) {
        (Some(labels), _) => format!("{labels}.{plain}"),
        (None, Some(labels)) => format!("{labels}.{dual_stack}"),
        (None, None) => host,
    };
    (host, region)
}
