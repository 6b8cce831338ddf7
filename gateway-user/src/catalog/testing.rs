//! Small services for tests, in the words of the table.

use std::sync::OnceLock;

use super::{Http, Operation, Protocol, Service, service::Body, shape::Shapes};

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
                streams: false,
                host_prefix: "",
                unsigned: false,
                unsigned_body: false,
                mints: false,
                needs: Vec::new(),
            }],
        }),
    }))
}
