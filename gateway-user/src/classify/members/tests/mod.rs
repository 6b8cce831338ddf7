use http::Method;
use serde_json::json;

use super::*;
use crate::{
    catalog::{Protocol, testing},
    parse::{VerifiedRequest, testing::TestCall},
};

mod bad_bodies;
mod bad_heads;
mod bodies;
mod botocore;
mod heads;
mod round_trip;

const HOST: &str = "kinesis.us-east-1.amazonaws.com";

fn call(method: Method, target: &str) -> TestCall {
    TestCall::new(method, "kinesis", HOST, target)
}

fn parts(request: &VerifiedRequest) -> (&AwsRequest, Option<&[u8]>) {
    (request.request(), request.body().map(|body| &**body))
}

/// The members of the one operation that `shapes` describe, `http` being method and path of its model.
fn read_as(
    protocol: Protocol,
    http: &'static str,
    shapes: &[&'static str],
    labels: &[(&str, &str)],
    call: &TestCall,
) -> Result<Params, ClassifyError> {
    let service = testing::service(protocol, http, shapes);
    let labels: Vec<(&str, String)> = labels.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    read(service, &service.operations()[0], protocol, &labels, parts(&call.verify().unwrap()))
}

/// A parameter as JSON would have it: whole numbers, truth values, texts, lists, records.
fn param(value: serde_json::Value) -> Param {
    use serde_json::Value;
    match value {
        Value::Number(number) => Param::Number(number.as_i64().unwrap()),
        Value::Bool(value) => Param::Bool(value),
        Value::String(text) => Param::Text(text),
        Value::Array(items) => Param::List(items.into_iter().map(param).collect()),
        Value::Object(members) => {
            Param::Record(members.into_iter().map(|(name, value)| (name, param(value))).collect())
        }
        Value::Null => panic!("parameters know no null"),
    }
}

/// What is read: the values, and the names of those that the model does not have.
fn values(read: Result<Params, ClassifyError>) -> (Param, Vec<String>) {
    let Params { values, unknown, unread } = read.unwrap();
    assert!(unread.is_empty());
    (Param::Record(values), unknown.into_iter().collect())
}

fn refusal(read: Result<Params, ClassifyError>) -> String {
    read.expect_err("it is read").to_string()
}
