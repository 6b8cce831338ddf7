use crate::{
    classify::{ClassifyError, Operation, classify},
    parse::testing::TestCall,
};

mod address;
mod beyond;
mod delete_objects;
mod further_actions;
mod operations;
mod parameters;
mod presigned;

const HOST: &str = "bkt.s3.us-east-1.amazonaws.com";
const PATH_HOST: &str = "s3.us-east-1.amazonaws.com";

fn call(method: &str, target: &str) -> TestCall {
    TestCall::s3(method.parse().unwrap(), HOST, target)
}

fn classified(call: &TestCall) -> Result<Operation, ClassifyError> {
    classify(&call.verify().unwrap(), None)
}

#[track_caller]
fn check(call: &TestCall, operation: &str, expected: &[&str]) {
    let got = classified(call).unwrap_or_else(|error| panic!("{} {}: {error}", call.method, call.target));
    let actions: Vec<String> =
        got.actions.iter().map(|on| format!("{} {}", on.action, on.resource)).collect();
    assert_eq!((got.name.as_str(), actions), (operation, expected.iter().map(|s| (*s).to_owned()).collect()));
}
