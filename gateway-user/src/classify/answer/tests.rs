use serde::Deserialize;

use super::*;
use crate::catalog::catalog;

/// A place with a pair of keys in an answer, as AWS's models have it: a line of what `cargo xtask codegen` wrote.
#[derive(Deserialize)]
pub(crate) struct Modelled {
    pub(crate) service: String,
    pub(crate) operation: String,
    protocols: Vec<String>,
    /// Whether clients sign the request.
    signed: bool,
    /// The names around the parts; `[]` for a list or map.
    place: Vec<String>,
    /// What id, secret, session token and expiry are called.
    names: [Option<String>; 4],
    /// An answer, with `@id@`, `@secret@` and `@token@` for the parts.
    pub(crate) body: String,
}

pub(crate) fn modelled() -> Vec<Modelled> {
    let lines = include_str!("models.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Answers with keys that are not replaced, and why.
const OTHERS: [(&str, &str, Why); 17] = [
    ("account-access-runtime", "GetRoleCredentials", Why::NoAction),
    ("cloudwatchomni", "GetSpaceCredentialsForOrganization", Why::Cbor),
    ("cloudwatchomni", "GetSpaceDataAccess", Why::Cbor),
    ("codepipeline", "GetJobDetails", Why::Cbor),
    ("codepipeline", "GetThirdPartyJobDetails", Why::Cbor),
    ("codepipeline", "PollForJobs", Why::Cbor),
    ("cognito-identity", "GetCredentialsForIdentity", Why::NoAction),
    ("datazone", "GetConnection", Why::OthersBeside),
    ("gamelift", "CreateBuild", Why::Cbor),
    ("gamelift", "GetComputeAccess", Why::Cbor),
    ("gamelift", "RequestUploadCredentials", Why::Cbor),
    ("iam", "CreateAccessKey", Why::NoToken),
    ("lightsail", "CreateBucketAccessKey", Why::NoToken),
    ("lightsail", "GetBucketAccessKeys", Why::NoSecret),
    ("signin", "CreateOAuth2Token", Why::OthersBeside),
    ("ssm", "GetAccessToken", Why::NotAlways),
    ("sso", "GetRoleCredentials", Why::NoAction),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// The service answers in CBOR as well, in which nothing is replaced.
    Cbor,
    /// They do not expire: there is no session token.
    NoToken,
    /// The model alone has the secret: "This action does not return the secret access key value of an access key."
    /// <https://docs.aws.amazon.com/lightsail/2016-11-28/api-reference/API_GetBucketAccessKeys.html>
    NoSecret,
    /// The answer has passwords or tokens beside them.
    OthersBeside,
    /// IAM has no say in it: it is asked with a token or an identity's name, not with a signature, and always refused.
    NoAction,
    /// There are none before somebody approved, and an answer without keys is not passed on.
    NotAlways,
}

#[test]
fn every_answer_with_keys_is_replaced_or_not_for_a_reason() {
    for model in modelled() {
        let (service, operation) = (model.service.as_str(), model.operation.as_str());
        let name = format!("{service}.{operation}");
        let known = catalog().service(service).unwrap().operation(operation).unwrap();
        let why = OTHERS.iter().find(|row| (row.0, row.1) == (service, operation)).map(|row| row.2);
        // What nobody marked in `xtask/overlays` would reach agents as it is.
        assert_eq!(known.mints, why != Some(Why::NoSecret), "{name}");
        let Some(row) = row(service, operation) else {
            let speaks_cbor = model.protocols.iter().any(|protocol| protocol == "smithy-rpc-v2-cbor");
            let why = why.unwrap_or_else(|| panic!("{name} answers with keys"));
            assert_eq!(why == Why::Cbor, speaks_cbor, "{name}");
            assert!(why != Why::NoAction || known.needs.is_empty() && !model.signed, "{name}");
            assert_eq!(matches!(why, Why::NoToken | Why::NoSecret), model.names[2].is_none(), "{name}");
            let passes = why == Why::NoSecret || HIDDEN.contains(&(service, operation));
            assert_eq!(withheld(service, known).is_empty(), passes, "{name}");
            continue;
        };
        assert_eq!(why, None, "{name}");
        // Whoever need not sign gets no keys that IAM has a say in; neither does who signs and brings a token.
        let by_token = [
            ("eks-auth", "AssumeRoleForPodIdentity"),
            ("lakeformation", "AssumeDecoratedRoleWithSAML"),
            ("sts", "GetDelegatedAccessToken"),
        ];
        let signer = model.signed && !by_token.contains(&(service, operation));
        assert_eq!(row.whose == For::Signer, signer, "{name}");
        assert_eq!(withheld(service, known).is_empty(), signer, "{name}");
        // What nothing permits would stand here, and on the page, for nothing.
        assert!(service == "s3" || !known.needs.is_empty(), "{name} needs no action");
        let names = model.names.each_ref().map(|name| name.as_deref().unwrap_or_default());
        let protocols: Vec<&str> = model.protocols.iter().map(String::as_str).collect();
        match row.keys.format {
            Format::Xml { depth } => {
                assert!(matches!(protocols.as_slice(), ["query" | "rest-xml"]), "{name}");
                assert_eq!(model.place.len(), depth + 1, "{name}");
                assert_eq!(model.place.last().map(String::as_str), Some("Credentials"), "{name}");
                assert_eq!(names, LARGE, "{name}");
            }
            Format::Json { within, names: expected } => {
                assert!(matches!(protocols.as_slice(), ["json" | "rest-json"]), "{name}");
                assert_eq!(
                    (model.place.as_slice(), names),
                    (within_owned(within).as_slice(), expected),
                    "{name}"
                );
            }
        }
    }
}

fn within_owned(within: &[&str]) -> Vec<String> {
    within.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn every_row_is_modelled_once() {
    let modelled = modelled();
    let named = TABLE.iter().map(|row| (row.service, row.operation));
    let others = OTHERS.iter().map(|row| (row.0, row.1));
    for (service, operation) in named.chain(others) {
        let of = |model: &&Modelled| model.service == service && model.operation == operation;
        assert_eq!(modelled.iter().filter(of).count(), 1, "{service}.{operation}");
    }
    assert_eq!(modelled.len(), TABLE.len() + OTHERS.len());
}
