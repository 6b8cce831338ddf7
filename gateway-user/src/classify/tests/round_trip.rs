//! What a client calls is what is read: operations of the real catalogue, random parameters, every protocol.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use http::Method;
use proptest::{prelude::*, sample::Index};

use super::{classified, wire};
use crate::{
    catalog::{Location, Operation, Protocol, Service, catalog, testing},
    classify::{ClassifyError, Param, answer, needs_of},
    parse::{Endpoint, testing::TestCall},
    prim::HostName,
};

mod normal;
mod params;
mod s3;

const PROTOCOLS: [Protocol; 6] =
    [Protocol::Json, Protocol::RestJson, Protocol::RestXml, Protocol::Query, Protocol::Ec2, Protocol::Cbor];

/// What is called, and where.
#[derive(Clone)]
struct Asked {
    service: &'static Service,
    operation: &'static Operation,
    protocol: Protocol,
    host: String,
    region: &'static str,
    /// Whether a form is sent in the URL.
    by_get: bool,
}

/// A service's own form is its whole table.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {:?} {}", self.service.name, self.operation.name, self.protocol, self.host)
    }
}

/// Any operation of any service but S3, which has a reader of its own.
fn asked() -> impl Strategy<Value = Asked> {
    (prop::sample::select(PROTOCOLS.to_vec()), any::<Index>(), any::<Index>(), any::<bool>()).prop_filter_map(
        "it has no hosts, or two signatures",
        |(protocol, service, operation, get)| {
            let services = catalog().services().iter();
            let services: Vec<&Service> =
                services.filter(|service| service.speaks(protocol) && service.name != "s3").collect();
            let service = *service.get(&services);
            let operation = operation.get(service.operations());
            // What looks like a second signature is refused before it is read.
            let literals = &operation.http.query;
            if literals.iter().any(|literal| literal.name.starts_with("x-amz-")) {
                return None;
            }
            let (host, region) = host(service, operation)?;
            let form = matches!(protocol, Protocol::Query | Protocol::Ec2) && literals.is_empty();
            let by_get = get && form && !shares_host_with_rest(service, &host);
            Some(Asked { service, operation, protocol, host, region, by_get })
        },
    )
}

/// What stands in a host for a member.
fn subject(operation: &Operation) -> &'static str {
    if operation.host_prefix.starts_with("{AccountId}") { "123456789012" } else { "abc" }
}

/// The first host where the operation is served.
fn host(service: &'static Service, operation: &Operation) -> Option<(String, &'static str)> {
    let prefix = match operation.host_prefix.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((_, rest)) => format!("{}{rest}", subject(operation)),
        None => operation.host_prefix.to_owned(),
    };
    testing::hosts(service).into_iter().map(|(host, region)| (format!("{prefix}{host}"), region)).find(
        |(host, _)| {
            let Ok(endpoint) = Endpoint::read(&host.parse::<HostName>().unwrap()) else { return false };
            endpoint.candidates().iter().any(|candidate| {
                candidate.service.name == service.name && candidate.host_prefix == operation.host_prefix
            })
        },
    )
}

/// There, what is in the URL is not a call by form.
fn shares_host_with_rest(service: &Service, host: &str) -> bool {
    let endpoint = Endpoint::read(&host.parse().unwrap()).unwrap();
    endpoint.candidates().iter().any(|candidate| {
        let other = candidate.service;
        other.signing_name == service.signing_name
            && (other.speaks(Protocol::RestJson) || other.speaks(Protocol::RestXml))
    })
}

fn call(asked: &Asked, params: &BTreeMap<String, Param>) -> TestCall {
    let mut written = wire::write(asked.service, asked.operation, asked.protocol, params);
    if asked.by_get {
        let form = String::from_utf8(written.body).unwrap().replace('+', "%20");
        written = wire::Written { method: "GET", target: format!("/?{form}"), ..Default::default() };
    }
    let method = Method::from_bytes(written.method.as_bytes()).unwrap();
    let call = TestCall::new(method, asked.service.signing_name, &asked.host, &written.target);
    let headers = written.headers.iter();
    headers
        .fold(call.region(asked.region), |call, (name, value)| call.header(name, value))
        .body(&written.body)
}

/// What a stream has in its body, which is not read.
fn unread(asked: &Asked) -> BTreeSet<String> {
    let members = wire::members(asked.service, asked.operation);
    let inside = members.iter().filter(|member| matches!(member.at, Location::Body | Location::Payload));
    let streams = members.iter().any(|member| member.streaming);
    inside.filter(|_| streams).map(|member| member.name.to_owned()).collect()
}

fn call_and_params() -> impl Strategy<Value = (Asked, Param)> {
    asked().prop_flat_map(|asked| {
        let Asked { service, operation, protocol, .. } = asked;
        let params = params::params(service, operation, protocol, subject(operation));
        (Just(asked), params)
    })
}

proptest! {
    #[test]
    fn what_is_called_is_what_is_read((asked, params) in call_and_params()) {
        let Param::Record(params) = params else { panic!("{params:?}") };
        let Asked { service, operation, protocol, .. } = asked;
        let params = normal::normal(service, operation, protocol, &params);
        let call = call(&asked, &params);
        let shown = format!(
            "{}.{} {} {:?} {:?}",
            service.name, operation.name, call.target, call.headers, String::from_utf8_lossy(&call.body)
        );
        let read = classified(&call);
        // Who decodes before splitting would find another operation.
        if matches!(&read, Err(ClassifyError::Ambiguous(why)) if why == "the path has an encoded slash") {
            prop_assert!(call.target.contains("%2F"), "{}", shown);
            return Ok(());
        }
        let name = |prefix: &str| format!("{prefix}:{}", operation.name);
        if operation.needs.is_empty() {
            let prefix = if service.prefix.is_empty() { service.name } else { service.prefix };
            prop_assert_eq!(read, Err(ClassifyError::UnknownAction(name(prefix))), "{}", shown);
            return Ok(());
        }
        let read = match read {
            Ok(read) => read,
            Err(error) => return Err(TestCaseError::fail(format!("{error}: {shown}"))),
        };
        prop_assert_eq!((&*read.service, &*read.name), (service.prefix, operation.name), "{}", shown);
        // Services that share host, prefix and names are one, which is read by the model of the largest; to the
        // others' members it may give other names.
        let reader = super::super::operation::find(&call.verify().unwrap()).unwrap().service;
        if reader.name != service.name {
            prop_assert_eq!(reader.prefix, service.prefix, "{}", shown);
            return Ok(());
        }
        let replaced = answer::keys_of(service.name, operation.name);
        prop_assert_eq!(&read.keys, &replaced, "{}", shown);
        prop_assert!(replaced.is_none() || operation.mints, "{}", shown);
        prop_assert_eq!(&read.withheld, &answer::withheld(service.name, operation), "{}", shown);
        let hidden = answer::HIDDEN.contains(&(service.name, operation.name));
        let untouched = read.withheld.is_empty() && read.keys.is_none() && !hidden;
        prop_assert_eq!(untouched, !operation.mints, "{}", shown);
        let own = |name: &str| service.members(operation).iter().any(|member| member.name == name);
        let mut named = read.params.clone();
        named.retain(|name, _| own(name) || params.contains_key(name));
        prop_assert_eq!(&named, &params, "{}", shown);
        // Nothing is taken for a member that the model does not have.
        let needed = needs_of(service.name, operation.name, &params, &read.region, read.account.as_ref());
        prop_assert_eq!(&read.actions, &needed.unwrap(), "{}", shown);
        prop_assert_eq!(read.unread, unread(&asked), "{}", shown);
    }
}
