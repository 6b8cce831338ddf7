use std::io::Write as _;

use crate::{
    classify::{ClassifyError, Operation, Param, classify},
    parse::{ParseError, testing::TestCall},
};

const FORM: &[u8] = b"Action=PutMetricData&Version=2010-08-01&Namespace=n";

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn form(coding: &str, body: impl AsRef<[u8]>) -> TestCall {
    let call = TestCall::query("monitoring", "monitoring.us-east-1.amazonaws.com", "");
    call.header("content-encoding", coding).body(body)
}

fn classified(call: &TestCall) -> Result<Operation, ClassifyError> {
    classify(&call.verify().unwrap(), None)
}

#[track_caller]
fn puts_metric_data(call: &TestCall) {
    let read = classified(call).unwrap();
    assert_eq!(read.name, "PutMetricData");
    assert_eq!(read.params, [("Namespace".to_owned(), Param::Text("n".to_owned()))].into());
}

#[track_caller]
fn refused(call: &TestCall, why: &str) {
    assert_eq!(classified(call), Err(ClassifyError::BadBody(why.to_owned())));
}

#[test]
fn metric_data_may_be_packed_in_every_protocol() {
    puts_metric_data(&form("gzip", packed(FORM)));
    puts_metric_data(&form("identity", FORM));
    let json = TestCall::json(
        "monitoring",
        "monitoring.us-east-1.amazonaws.com",
        "GraniteServiceVersion20100801.PutMetricData",
        "",
    );
    puts_metric_data(&json.header("content-encoding", "gzip").body(packed(b"{\"Namespace\":\"n\"}")));
    let cbor = TestCall::new(
        http::Method::POST,
        "monitoring",
        "monitoring.us-east-1.amazonaws.com",
        "/service/GraniteServiceVersion20100801/operation/PutMetricData",
    );
    let cbor = cbor.header("smithy-protocol", "rpc-v2-cbor").header("content-type", "application/cbor");
    puts_metric_data(&cbor.header("content-encoding", "gzip").body(packed(b"\xa1\x69Namespace\x61n")));
}

#[test]
fn nothing_else_may_be_packed() {
    let why = "it is encoded as \"gzip\"; only plain bodies are read";
    let other = b"Action=PutDashboard&Version=2010-08-01&DashboardName=d&DashboardBody=b";
    refused(&form("gzip", packed(other)), why);
    assert_eq!(classified(&form("identity", other)).unwrap().name, "PutDashboard");
    let sts = TestCall::query("sts", "sts.us-east-1.amazonaws.com", "").header("content-encoding", "gzip");
    refused(&sts.body(packed(b"Action=GetCallerIdentity&Version=2011-06-15")), why);
}

#[test]
fn one_coding_is_undone() {
    for coding in ["deflate", "br", "zstd", "GZIP", "x-gzip", "", "gzip, gzip", "gzip,identity", "gzip;q=1"] {
        let why = format!("it is encoded as {coding:?}; only plain bodies are read");
        refused(&form(coding, packed(FORM)), &why);
        refused(&form(coding, FORM), &why);
    }
    let two_headers = form("gzip", packed(FORM)).header("content-encoding", "gzip");
    assert!(matches!(two_headers.read(), Err(ParseError::Head(_))));
    // What is inside is no form.
    refused(&form("gzip", packed(&packed(FORM))), "it is not UTF-8");
}

#[test]
fn one_gzip_member_of_bounded_size() {
    refused(&form("gzip", FORM), "it is not gzip");
    refused(&form("gzip", packed(FORM).split_last().unwrap().1), "it is not gzip");
    refused(&form("gzip", [packed(FORM), packed(FORM)].concat()), "trailing bytes after the gzip member");
    refused(&form("gzip", [packed(FORM), vec![0]].concat()), "trailing bytes after the gzip member");
    let long = |length: usize| {
        let start = [FORM, b"&Unknown="].concat();
        packed(&[start.clone(), vec![b'a'; length - start.len()]].concat())
    };
    let bomb = long((4 << 20) + 1);
    assert!(bomb.len() < 10_000);
    refused(&form("gzip", bomb), "it has more than 4194304 bytes when it is unpacked");
    assert_eq!(classified(&form("gzip", long(4 << 20))).unwrap().name, "PutMetricData");
}
