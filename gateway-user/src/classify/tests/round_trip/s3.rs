//! The same for S3, where host and path have the bucket, and a sub-resource of the query string says what is done.
//! Access points and outposts, which have the same operations and other actions, are told by the host alone.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{normal, params};
use crate::{
    catalog::{Location, Operation, Protocol, Service, catalog},
    classify::{
        ClassifyError, Param, needs_of,
        tests::{classified, wire},
    },
    parse::{EndpointError, testing::TestCall},
};

/// Requests of each operation.
const CASES: u32 = 32;

/// Not tried, because they are out of date: on the wire they are their successors, and read as those.
const SUCCEEDED: [(&str, &str); 4] = [
    ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    ("GetBucketNotification", "GetBucketNotificationConfiguration"),
    ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    ("PutBucketNotification", "PutBucketNotificationConfiguration"),
];
/// Not tried, because it has no bucket: it answers a function of S3 Object Lambda, at a host that is refused.
const ANSWER: &str = "WriteGetObjectResponse";

/// Members that are never shown: S3 encrypts with them and forgets them.
const SECRET: [&str; 2] = ["SSECustomerKey", "CopySourceSSECustomerKey"];

/// Members that tell operations apart, so that they are always there.
const TELLING: [&str; 3] = ["AnnotationName", "Id", "UploadId"];

/// Where a request is sent.
#[derive(Debug, Clone)]
enum Style {
    /// The bucket is in the path, at this host.
    Path(&'static str),
    /// The bucket is in front of this host.
    Virtual(&'static str),
    /// A directory bucket, in front of its zone's host.
    Directory,
    /// The host where directory buckets are administered.
    Directories,
}

const DIRECTORY: &str = "b--use1-az4--x-s3";
const ZONE: &str = "s3express-use1-az4.us-east-1.amazonaws.com";

impl Style {
    /// Those that an operation has.
    fn of(operation: &Operation) -> BoxedStrategy<Self> {
        const REGIONAL: &str = "s3.us-east-1.amazonaws.com";
        const DUAL_STACK: &str = "s3.dualstack.us-east-1.amazonaws.com";
        match operation.name {
            "ListDirectoryBuckets" => return Just(Self::Directories).boxed(),
            "RenameObject" => return Just(Self::Directory).boxed(),
            _ => {}
        }
        let in_path =
            prop::sample::select(vec![REGIONAL, DUAL_STACK, "s3.amazonaws.com"]).prop_map(Self::Path);
        if !has(operation, "Bucket") {
            return in_path.boxed();
        }
        let in_host = prop::sample::select(vec![REGIONAL, DUAL_STACK, "s3-accelerate.amazonaws.com"]);
        prop_oneof![in_path, in_host.prop_map(Self::Virtual)].boxed()
    }

    /// A bucket's name; in a host it is one label, because certificates are for one.
    fn bucket(&self) -> BoxedStrategy<String> {
        match self {
            Self::Directory | Self::Directories => Just(DIRECTORY.to_owned()).boxed(),
            Self::Path(_) => "[a-z0-9][a-z0-9.-]?[a-z0-9]{2,20}".boxed(),
            Self::Virtual(_) => "[a-z0-9][a-z0-9-]?[a-z0-9]{2,20}".boxed(),
        }
    }

    fn call(&self, written: &wire::Written, bucket: &str) -> TestCall {
        let method = written.method.parse().unwrap();
        let in_host = || {
            let rest = written.target.strip_prefix(&format!("/{bucket}")).unwrap();
            if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
        };
        let call = match self {
            Self::Path(host) => TestCall::s3(method, host, &written.target),
            Self::Virtual(host) => TestCall::s3(method, &format!("{bucket}.{host}"), &in_host()),
            Self::Directory => TestCall::new(method, "s3express", &format!("{bucket}.{ZONE}"), &in_host()),
            Self::Directories => TestCall::new(
                method,
                "s3express",
                "s3express-control.us-east-1.amazonaws.com",
                &written.target,
            ),
        };
        let headers = written.headers.iter();
        headers.fold(call, |call, (name, value)| call.header(name, value)).body(&written.body)
    }

    fn is_general(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Virtual(_))
    }
}

fn service() -> &'static Service {
    catalog().service("s3").unwrap()
}

fn has(operation: &Operation, name: &str) -> bool {
    wire::members(service(), operation).iter().any(|member| member.name == name)
}

/// Text that S3 takes for a key: all but what leads up.
fn key() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec!["a/k", "/", "//a//b/", "a b+c%2F", "?acl", "é😀", "...", "a/..b"]);
    prop_oneof![2 => "[ -~é😀]{1,20}", 1 => words.prop_map(str::to_owned)]
        .prop_filter("a dot segment", |key| is_key(key))
}

fn is_key(key: &str) -> bool {
    !key.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// `x-amz-copy-source` as clients write it.
fn copy_source() -> impl Strategy<Value = String> {
    (prop::bool::ANY, "[a-z0-9]{3,9}", key(), prop::option::of("[A-Za-z0-9._-]{1,8}")).prop_map(
        |(slash, bucket, key, version)| {
            let slash = if slash { "/" } else { "" };
            let key = percent_encoding::utf8_percent_encode(&key, percent_encoding::NON_ALPHANUMERIC);
            let version = version.map(|version| format!("?versionId={version}")).unwrap_or_default();
            format!("{slash}{bucket}/{key}{version}")
        },
    )
}

/// What DeleteObjects deletes: one object at least.
fn delete() -> impl Strategy<Value = Param> {
    let object = (key(), prop::option::of("[!-~]{1,8}"), prop::option::of("[!-~]{0,8}")).prop_map(
        |(key, version, tag)| {
            let members = [("Key", Some(key)), ("VersionId", version), ("ETag", tag)];
            let present =
                members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Param::Text(value?))));
            Param::Record(present.collect())
        },
    );
    (prop::collection::vec(object, 1..4), prop::option::of(any::<bool>())).prop_map(|(objects, quiet)| {
        let objects = ("Objects".to_owned(), Param::List(objects));
        let quiet = quiet.map(|quiet| ("Quiet".to_owned(), Param::Bool(quiet)));
        Param::Record([objects].into_iter().chain(quiet).collect())
    })
}

/// A request of `operation`: where it goes to and what it says.
fn call_and_params(
    operation: &'static Operation,
) -> impl Strategy<Value = (Style, BTreeMap<String, Param>, bool)> {
    let random = params::params(service(), operation, Protocol::RestXml, "");
    let text = |strategy: BoxedStrategy<String>| strategy.prop_map(Param::Text).boxed();
    Style::of(operation).prop_flat_map(move |style| {
        let mut own = vec![
            ("Bucket", text(style.bucket())),
            ("Key", text(key().boxed())),
            ("CopySource", text(copy_source().boxed())),
            ("Delete", delete().boxed()),
        ];
        own.extend(TELLING.map(|name| (name, text("[ -~é]{1,8}".boxed()))));
        if has(operation, "PartNumber") && has(operation, "UploadId") {
            own.push(("PartNumber", (1..=10_000_i64).prop_map(Param::Number).boxed()));
        }
        let own: Vec<_> = own
            .into_iter()
            .filter(|(name, _)| has(operation, name))
            .map(|(name, value)| value.prop_map(move |value| (name.to_owned(), value)))
            .collect();
        (Just(style), random.clone(), own, any::<bool>()).prop_map(|(style, params, own, says_which)| {
            let Param::Record(mut params) = params else { panic!("{params:?}") };
            params.extend(own);
            (style, params, says_which)
        })
    })
}

/// What is in a body that is not read: data, and the list of its parts.
fn unread(operation: &Operation) -> BTreeSet<String> {
    let members = wire::members(service(), operation);
    let inside = members.iter().filter(|member| matches!(member.at, Location::Body | Location::Payload));
    let data = members.iter().any(|member| member.streaming) || operation.name == "CompleteMultipartUpload";
    inside.filter(|_| data).map(|member| member.name.to_owned()).collect()
}

fn check(
    operation: &'static Operation,
    style: &Style,
    params: &BTreeMap<String, Param>,
    says_which: bool,
) -> Result<(), TestCaseError> {
    let mut params = normal::normal(service(), operation, Protocol::RestXml, params);
    let unread = unread(operation);
    params.retain(|name, _| !unread.contains(name));
    let mut written = wire::write(service(), operation, Protocol::RestXml, &params);
    // Some SDKs say in the query string which operation they mean.
    if says_which {
        let mark = if written.target.contains('?') { '&' } else { '?' };
        written.target = format!("{}{mark}x-id={}", written.target, operation.name);
    }
    let bucket = match params.get("Bucket") {
        Some(Param::Text(bucket)) => bucket.clone(),
        _ => String::new(),
    };
    let call = style.call(&written, &bucket);
    let shown = format!(
        "{} {} {}{} {:?} {:?}",
        operation.name,
        call.method,
        call.host,
        call.target,
        call.headers,
        String::from_utf8_lossy(&call.body)
    );
    let read = classified(&call);
    // A directory bucket's is decided, at its zone's host.
    if operation.mints && !matches!(&read, Ok(read) if read.keys.is_some()) {
        let minted = Err(ClassifyError::MintsCredentials(format!("s3:{}", operation.name)));
        prop_assert_eq!(read, minted, "{}", shown);
        return Ok(());
    }
    let read = match read {
        Ok(read) => read,
        Err(error) => return Err(TestCaseError::fail(format!("{error}: {shown}"))),
    };
    params.retain(|name, _| !SECRET.contains(&name.as_str()));
    prop_assert_eq!((&*read.service, &*read.name), ("s3", operation.name), "{}", shown);
    prop_assert_eq!(&read.params, &params, "{}", shown);
    prop_assert_eq!(&read.unread, &unread, "{}", shown);
    if style.is_general() {
        let needed = needs_of("s3", operation.name, &params, &read.region, read.account.as_ref());
        prop_assert_eq!(&read.actions, &needed.unwrap(), "{}", shown);
    }
    Ok(())
}

fn operations() -> impl Iterator<Item = &'static Operation> {
    let left_out = |name: &str| name == ANSWER || SUCCEEDED.iter().any(|(old, _)| *old == name);
    service().operations().iter().filter(move |operation| !left_out(operation.name))
}

#[test]
fn what_is_called_of_s3_is_what_is_read() {
    let mut wrong = Vec::new();
    for operation in operations() {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config)
            .run(&call_and_params(operation), |(style, params, says_which)| {
                check(operation, &style, &params, says_which)
            });
        wrong.extend(outcome.err().map(|error| format!("{}: {error}", operation.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_not_tried_has_its_reason() {
    let known = service().operations();
    assert_eq!(operations().count(), known.len() - SUCCEEDED.len() - 1);
    for (old, successor) in SUCCEEDED {
        let [old, new] = [old, successor].map(|name| service().operation(name).unwrap());
        assert_eq!(old.http, new.http);
        let target = format!("/?{}", old.http.query[0].name);
        let call = TestCall::s3(old.http.method.parse().unwrap(), "bkt.s3.us-east-1.amazonaws.com", &target);
        assert_eq!(classified(&call).unwrap().name, successor);
    }
    let host = "route.s3-object-lambda.us-east-1.amazonaws.com";
    let answer = TestCall::new(Method::POST, "s3-object-lambda", host, "/WriteGetObjectResponse");
    let why = EndpointError::Unsupported("this form of S3 Object Lambda");
    assert_eq!(answer.read().err(), Some(why.into()));
}
