//! Requests that botocore's own serializers made of known parameters
//! (`tests/corpus/request_members.py`).

use super::*;
use crate::{catalog::catalog, classify::tests::corpus::decode_base64};

const CORPUS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/members.jsonl"));

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    service: String,
    operation: String,
    protocol: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    labels: Vec<(String, String)>,
    params: serde_json::Value,
    unread: Vec<String>,
}

impl Line {
    fn protocol(&self) -> Protocol {
        let all = [
            Protocol::Json,
            Protocol::Cbor,
            Protocol::Query,
            Protocol::Ec2,
            Protocol::RestJson,
            Protocol::RestXml,
        ];
        all.into_iter().find(|protocol| format!("{protocol:?}") == self.protocol).unwrap()
    }

    fn read(&self) -> Result<Params, ClassifyError> {
        let service = catalog().service(&self.service).unwrap();
        let operation = service.operation(&self.operation).unwrap();
        let call = call(self.method.parse().unwrap(), &self.target).body(decode_base64(&self.body));
        let call = self.headers.iter().fold(call, |call, (name, text)| call.header(name, text));
        let labels: Vec<(&str, String)> =
            self.labels.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
        read(service, operation, self.protocol(), &labels, parts(&call.verify().unwrap()))
    }
}

#[test]
fn what_botocore_serialises_is_read_back() {
    let mut differing = Vec::new();
    let mut read = BTreeMap::<String, usize>::new();
    // All operations are too many to commit: `request_members.py --all` writes them.
    let all = std::env::var("MEMBERS_CORPUS").map(|path| std::fs::read_to_string(path).unwrap());
    for line in all.as_deref().unwrap_or(CORPUS).lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        let expected = Params {
            values: match param(line.params.clone()) {
                Param::Record(values) => values,
                other => panic!("{other:?}"),
            },
            unread: line.unread.iter().cloned().collect(),
            unknown: BTreeSet::new(),
        };
        let found = line.read();
        if found.as_ref() != Ok(&expected) {
            let name = format!("{} {}.{}", line.protocol, line.service, line.operation);
            differing.push(format!("{name}\n  read:     {found:?}\n  expected: {expected:?}"));
        }
        *read.entry(line.protocol).or_default() += 1;
    }
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    println!("{read:?}");
    assert!(read.len() == 6 && read.values().all(|count| *count >= 50), "{read:?}");
}
