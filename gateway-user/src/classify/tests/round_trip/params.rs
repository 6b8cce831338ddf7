//! Random parameters of an operation, as its shapes have them.

use proptest::prelude::*;

use crate::{
    catalog::{Location, Member, Operation, Protocol, Service, Shape, ShapeId, TimestampFormat},
    classify::{
        Param,
        tests::wire::{base64, members},
    },
};

/// Levels of collections; below, there are none.
const MAX_DEPTH: usize = 4;
/// Members of one structure.
const MAX_MEMBERS: usize = 4;

/// Headers that say how the request is sent or signed: they are the transport's, whoever has a member there.
const TRANSPORT: [&str; 7] = [
    "content-length",
    "content-encoding",
    "accept-encoding",
    "range",
    "x-amz-content-sha256",
    "x-amzn-trace-id",
    "expect",
];

/// Parameters of `operation` of which those that are a part of the host are `subject`.
pub(super) fn params(
    service: &'static Service,
    operation: &'static Operation,
    protocol: Protocol,
    subject: &'static str,
) -> BoxedStrategy<Param> {
    let place = Place { service, protocol, at: Location::Body, depth: 0 };
    let all = members(service, operation);
    let streams = all.iter().any(|member| member.streaming);
    let (always, others): (Vec<&Member>, Vec<&Member>) =
        all.iter().partition(|member| member.required || member.host_label);
    let is_sent = |member: &&Member| match member.at {
        // A stream is not read, and nothing beside it is in the body.
        Location::Body | Location::Payload | Location::Attribute => !streams,
        Location::Header => !TRANSPORT.contains(&member.wire.to_ascii_lowercase().as_str()),
        Location::Query => !operation.http.query.iter().any(|literal| literal.name == member.wire),
        Location::QueryMap | Location::Headers | Location::Path | Location::GreedyPath => true,
    };
    let (media, others): (Vec<&Member>, Vec<&Member>) =
        others.into_iter().filter(is_sent).partition(is_media_type);
    let media = media.first().filter(|_| has_any_type(service, all)).map(|member| {
        let types = prop::sample::select(vec!["application/octet-stream", "text/plain", "image/png"]);
        (member.name, types.prop_map(|text| Param::Text(text.to_owned())).boxed())
    });
    let always = always
        .into_iter()
        .map(move |member| match member.host_label {
            true => (member.name, Just(Param::Text(subject.to_owned())).boxed()),
            false => (member.name, place.at(member.at).value(member.shape)),
        })
        .chain(media);
    (record(always.collect()), place.some(others))
        .prop_map(|(mut one, other)| {
            one.extend(other);
            Param::Record(one.into_iter().collect())
        })
        .boxed()
}

fn is_media_type(member: &&Member) -> bool {
    member.at == Location::Header && member.wire.eq_ignore_ascii_case("content-type")
}

/// Whether the body is of the type that the caller says it is, and not of the protocol's.
fn has_any_type(service: &Service, members: &[Member]) -> bool {
    members.iter().all(|member| match member.at {
        Location::Body | Location::Attribute => false,
        Location::Payload => matches!(service.shape(member.shape), Shape::Blob | Shape::Text),
        _ => true,
    })
}

type Members = Vec<(String, Param)>;

fn record(members: Vec<(&'static str, BoxedStrategy<Param>)>) -> impl Strategy<Value = Members> {
    members
        .into_iter()
        .map(|(name, value)| value.prop_map(move |value| (name.to_owned(), value)))
        .collect::<Vec<_>>()
}

/// Where on the wire a value stands, which decides on what it can be.
#[derive(Debug, Clone, Copy)]
struct Place {
    service: &'static Service,
    protocol: Protocol,
    at: Location,
    depth: usize,
}

impl Place {
    fn at(self, at: Location) -> Self {
        Self { at, ..self }
    }

    fn below(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    /// Some of `members`.
    fn some(self, members: Vec<&'static Member>) -> BoxedStrategy<Members> {
        let count = members.len().min(MAX_MEMBERS);
        let value = move |member: &Member| {
            let at = match member.at {
                // What is said of the operation's members holds for what is in them.
                Location::Body | Location::Payload => Location::Body,
                at => at,
            };
            (member.name, self.at(at).value(member.shape))
        };
        prop::sample::subsequence(members, 0..=count)
            .prop_flat_map(move |some| record(some.into_iter().map(value).collect()))
            .boxed()
    }

    fn value(self, shape: ShapeId) -> BoxedStrategy<Param> {
        let in_body = self.at == Location::Body;
        let most = if self.depth < MAX_DEPTH { 3 } else { 0 };
        match self.service.shape(shape) {
            Shape::Structure(_) if most == 0 => Just(Param::Record(Default::default())).boxed(),
            Shape::Structure(members) => {
                let some = self.below().some(members.iter().collect());
                some.prop_map(|members| Param::Record(members.into_iter().collect())).boxed()
            }
            Shape::List { member, .. } => {
                prop::collection::vec(self.below().value(*member), 0..=most).prop_map(Param::List).boxed()
            }
            Shape::Map { value, .. } => {
                prop::collection::btree_map(self.key(), self.below().value(*value), 0..=most)
                    .prop_map(Param::Record)
                    .boxed()
            }
            Shape::Text => self.text().prop_map(Param::Text).boxed(),
            Shape::Integer => integer().prop_map(Param::Number).boxed(),
            Shape::Float => self.float().prop_map(Param::Text).boxed(),
            Shape::Boolean => any::<bool>().prop_map(Param::Bool).boxed(),
            Shape::Timestamp(format) => self.timestamp(*format).prop_map(Param::Text).boxed(),
            Shape::Blob => {
                prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Param::Text(base64(&bytes))).boxed()
            }
            // What is open has types only where the wire has.
            Shape::Open
                if in_body
                    && !matches!(self.protocol, Protocol::Query | Protocol::Ec2 | Protocol::RestXml) =>
            {
                self.open()
            }
            Shape::Open => self.text().prop_map(Param::Text).boxed(),
        }
    }

    fn open(self) -> BoxedStrategy<Param> {
        let leaf = prop_oneof![
            self.text().prop_map(Param::Text),
            integer().prop_map(Param::Number),
            any::<bool>().prop_map(Param::Bool),
        ];
        leaf.prop_recursive(3, 8, 3, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Param::List),
                prop::collection::btree_map(self.key(), inner, 0..3).prop_map(Param::Record),
            ]
        })
        .boxed()
    }

    fn text(self) -> BoxedStrategy<String> {
        let words = prop::sample::select(vec![
            "arn:aws:iam::123456789012:role/r",
            "arn:aws:sns:us-east-1:123456789012:t",
            "*",
            "null",
            "true",
            "-0",
            "1e5",
            "a+b &c=d;e",
        ]);
        let odd = match (self.at, self.protocol) {
            // A label is no dot segment, and has nothing that means something else when it is decoded twice.
            (Location::Path, _) => {
                let arn = Just("arn:aws:sns:us-east-1:123456789012:a/b".to_owned());
                return prop_oneof![6 => "[a-zA-Z0-9é😀 :@+*~&=;,!'()_-]{1,9}", 1 => arn].boxed();
            }
            (Location::GreedyPath, _) => {
                return "[a-zA-Z0-9é :@+*~&=_-]{1,4}(/[a-zA-Z0-9é +_-]{1,4}){0,3}".boxed();
            }
            // Spaces at the ends are no part of a header's value.
            (Location::Header | Location::Headers, _) => "([!-~]([ -~]{0,6}[!-~])?)?",
            // Attributes with references are refused.
            (Location::Attribute, _) => return "[ !#-%'-;=?-~é]{0,8}".boxed(),
            (_, Protocol::RestXml) if self.at == Location::Body => "[ -~é😀\n\r\t\u{85}\u{2028}]{0,8}",
            // Forms and query strings carry no NUL.
            (Location::Body, Protocol::Json | Protocol::Cbor | Protocol::RestJson) => {
                "[ -~é😀\u{0}-\u{1f}\u{7f}\u{feff}\u{2028}]{0,8}"
            }
            _ => "[ -~é😀\u{1}-\u{1f}\u{7f}\u{feff}\u{2028}]{0,8}",
        };
        prop_oneof![4 => odd, 1 => words.prop_map(str::to_owned)].boxed()
    }

    /// A key of a map.
    fn key(self) -> BoxedStrategy<String> {
        match self.at {
            Location::Headers => "[a-z0-9-]{1,8}".boxed(),
            // Not the name of a member by chance, and not the same in another case.
            Location::QueryMap => "[a-z0-9é :/&=%+-]{6,12}".boxed(),
            _ => self.text(),
        }
    }

    fn float(self) -> BoxedStrategy<String> {
        let numbers = prop_oneof![
            any::<f64>().prop_filter("a number", |number| number.is_finite()),
            (-1000_i32..1000).prop_map(|number| f64::from(number) / 8.0),
        ];
        let words = prop::sample::select(vec!["NaN", "Infinity", "-Infinity"]);
        prop_oneof![
            8 => numbers.prop_map(|number| number.to_string()),
            1 => words.prop_map(str::to_owned),
        ]
        .boxed()
    }

    fn timestamp(self, format: TimestampFormat) -> BoxedStrategy<String> {
        let epoch = || {
            prop_oneof![
                (-1_000_000_000_i64..5_000_000_000).prop_map(|seconds| seconds.to_string()),
                (0_i64..5_000_000_000).prop_map(|seconds| format!("{seconds}.25")),
            ]
            .boxed()
        };
        match format {
            // CBOR has one form.
            _ if self.protocol == Protocol::Cbor => epoch(),
            TimestampFormat::Epoch => epoch(),
            TimestampFormat::DateTime => {
                "20[0-9]{2}-0[1-9]-[12][0-9]T1[0-9]:[0-5][0-9]:00(\\.[0-9]{3})?Z".boxed()
            }
            TimestampFormat::HttpDate => "Sat, [12][0-9] Aug 2025 1[0-9]:36:00 GMT".boxed(),
        }
    }
}

fn integer() -> BoxedStrategy<i64> {
    prop_oneof![any::<i64>(), -3_i64..100, prop::sample::select(vec![i64::MIN, i64::MAX, 0])].boxed()
}
