//! Changes of a signed request, by the part that they change: none of them may be verified.

use bytes::Bytes;
use gateway_user::{
    parse::{AwsRequest, BodyPlan, PayloadMode},
    prim::HostName,
};
use http::{HeaderName, HeaderValue, Method, request::Parts};
use time::{Duration, OffsetDateTime};

use super::NOW;

/// A request as it arrives, whole.
#[derive(Debug, Clone)]
pub struct Arriving {
    /// Its head.
    pub head: Parts,
    /// The name that its connection is for.
    pub server_name: HostName,
    /// Its body.
    pub body: Bytes,
    /// When it arrives.
    pub now: OffsetDateTime,
}

/// What was changed, and what has come of it.
pub type Tampered = (&'static str, Arriving);

impl Arriving {
    /// Every way to change it that this module has.
    #[must_use]
    pub fn tampered(&self) -> Vec<Tampered> {
        let mut all = Vec::new();
        self.of_target(&mut all);
        self.of_headers(&mut all);
        self.of_signature(&mut all);
        let add = |all: &mut Vec<Tampered>, part, changed: Option<Self>| {
            all.extend(changed.map(|changed| (part, changed)));
        };
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::HEAD, Method::PATCH] {
            if method != self.head.method {
                add(&mut all, "method", Some(self.changed(|new| new.head.method = method)));
            }
        }
        for body in [[self.body.as_ref(), b" "].concat(), self.body.iter().skip(1).copied().collect()] {
            if body != self.body && self.has_covered_body() {
                add(&mut all, "body", Some(self.changed(|new| new.body = body.into())));
            }
        }
        add(&mut all, "clock", Some(self.changed(|new| new.now = NOW + Duration::DAY * 8)));
        add(&mut all, "clock", Some(self.changed(|new| new.now = NOW - Duration::minutes(6))));
        all.retain(|(_, new)| !new.is_like(self));
        all
    }

    /// Some changes change nothing: another region may be the request's own.
    fn is_like(&self, other: &Self) -> bool {
        let of = |this: &Self| {
            let head = &this.head;
            (head.method.clone(), head.uri.clone(), head.headers.clone(), this.server_name.clone(), this.now)
        };
        of(self) == of(other) && self.body == other.body
    }

    fn changed(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// Whether the signature covers the body, and it is the gateway that reads it; of a body that streams, AWS
    /// compares the hash.
    fn has_covered_body(&self) -> bool {
        let request = AwsRequest::read(self.head.clone(), &self.server_name);
        request.is_ok_and(|request| {
            let covered = matches!(request.payload(), PayloadMode::Hash(_) | PayloadMode::Absent);
            covered && request.body_plan() == BodyPlan::Inspect
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    fn target(&self) -> String {
        self.head.uri.to_string()
    }

    fn with_target(&self, target: &str) -> Option<Self> {
        let uri = target.parse().ok()?;
        Some(self.changed(|new| new.head.uri = uri))
    }

    fn with_header(&self, name: &str, value: &str) -> Option<Self> {
        let (name, value) =
            (HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
        Some(self.changed(|new| drop(new.head.headers.insert(name, value))))
    }

    /// Path and parameters of the query string but for those that sign.
    fn of_target(&self, all: &mut Vec<Tampered>) {
        let mut add = |part, target: String| all.extend(self.with_target(&target).map(|new| (part, new)));
        let target = self.target();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let and = |pair: &str| if query.is_empty() { pair.to_owned() } else { format!("{query}&{pair}") };
        add("path", format!("{path}x?{query}"));
        add("path", format!("{path}%41?{query}"));
        add("path", format!("/x{path}?{query}"));
        for (name, with) in
            [("added", and("zz=1")), ("added", and("acl")), ("added", and("Action=DeleteUser"))]
        {
            add(if name == "added" { "query added" } else { name }, format!("{path}?{with}"));
        }
        let pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        for (at, pair) in pairs.iter().enumerate().filter(|(_, pair)| !pair.starts_with("X-Amz-")) {
            let with = |new: Option<&str>| {
                let before = pairs.iter().take(at).copied();
                let parts: Vec<&str> = before.chain(new).chain(pairs.iter().skip(at + 1).copied()).collect();
                format!("{path}?{}", parts.join("&"))
            };
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            add("query value", with(Some(&format!("{name}={value}x"))));
            add("query name", with(Some(&format!("{name}x={value}"))));
            add("query removed", with(None));
            add("query doubled", format!("{path}?{query}&{pair}"));
        }
    }

    /// Each signed header, the host, the token and the hash of the body.
    fn of_headers(&self, all: &mut Vec<Tampered>) {
        let mut add = |part, new: Option<Self>| all.extend(new.map(|new| (part, new)));
        for name in self.signed_headers() {
            let part = match name.as_str() {
                "host" => "host",
                "x-amz-date" => "date",
                "x-amz-security-token" => "token",
                "x-amz-content-sha256" => "payload hash",
                _ => "header value",
            };
            if part == "host" {
                let other = format!("x{}", self.server_name);
                add("host", self.with_header("host", &other));
                add("host", self.with_header("host", &format!("{}:443", self.server_name)));
                add("host", self.at_host("other-bucket.s3.eu-west-1.amazonaws.com"));
                add("host", self.at_host("iam.amazonaws.com"));
                continue;
            }
            let value = self.header(&name).unwrap_or_default();
            match part {
                "date" => {
                    add(part, self.with_header(&name, "20250830T123601Z"));
                    add(part, self.with_header(&name, "20250829T123600Z"));
                }
                "payload hash" => {
                    add(part, self.with_header(&name, &"0".repeat(64)));
                    let other = if value == "UNSIGNED-PAYLOAD" { EMPTY } else { "UNSIGNED-PAYLOAD" };
                    add(part, self.with_header(&name, other));
                }
                _ => add(part, self.with_header(&name, &format!("{value}x"))),
            }
            let removed = self.changed(|new| drop(new.head.headers.remove(name.as_str())));
            add(if part == "token" { part } else { "header removed" }, Some(removed));
            let doubled = self.changed(|new| {
                let value = new.head.headers.get(name.as_str()).cloned();
                if let (Some(value), Ok(name)) = (value, HeaderName::from_bytes(name.as_bytes())) {
                    new.head.headers.append(name, value);
                }
            });
            add("header doubled", Some(doubled));
        }
        for name in ["x-amz-acl", "x-amz-meta-added", "x-amz-target", "x-amz-copy-source"] {
            if !self.head.headers.contains_key(name) {
                add("header added", self.with_header(name, "added"));
            }
        }
    }

    /// The parts of the signature itself, in whichever place.
    fn of_signature(&self, all: &mut Vec<Tampered>) {
        let mut replace = |part, from: &str, to: &str| {
            let new = match self.header("authorization") {
                Some(text) if text.contains(from) => {
                    self.with_header("authorization", &text.replacen(from, to, 1))
                }
                Some(_) => None,
                None => {
                    let (target, from, to) =
                        (self.target(), from.replace('/', "%2F"), to.replace('/', "%2F"));
                    target
                        .contains(&from)
                        .then(|| self.with_target(&target.replacen(&from, &to, 1)))
                        .flatten()
                }
            };
            all.extend(new.map(|new| (part, new)));
        };
        replace("scope date", "/20250830/", "/20250829/");
        let scope = self.scope();
        if let [_, _, region, service, _] = scope.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            replace("scope region", &format!("/{region}/"), "/ap-east-1/");
            replace("scope region", &format!("/{region}/"), "/us-west-2/");
            for other in ["iam", "sts", "s3"].into_iter().filter(|other| other != service) {
                replace("scope service", &format!("/{service}/aws4"), &format!("/{other}/aws4"));
            }
        }
        replace("access key", "ASIAPLACEHOLDER00001", "ASIAPLACEHOLDER00002");
        replace("access key", "ASIAPLACEHOLDER00001", "AKIAIOSFODNN7EXAMPLE");
        replace("token", "X-Amz-Security-Token=placeholder-token", "X-Amz-Security-Token=other");
        replace("token", "&X-Amz-Security-Token=placeholder-token", "");
        replace("date", "X-Amz-Date=20250830T123600Z", "X-Amz-Date=20250830T123559Z");
        for longer in ["3601", "604800", "604801", "0", ""] {
            replace("expires", "X-Amz-Expires=3600", &format!("X-Amz-Expires={longer}"));
        }
        let signature = self.signature();
        for at in [0, 1, 31, 32, 62, 63] {
            let flipped: String = signature
                .chars()
                .enumerate()
                .map(|(here, digit)| {
                    let bits = digit.to_digit(16).unwrap_or_default() ^ u32::from(here == at);
                    char::from_digit(bits, 16).unwrap_or(digit)
                })
                .collect();
            replace("signature bits", &signature, &flipped);
        }
        replace("signature bits", &signature, "");
        replace("signature bits", &signature, &"0".repeat(64));
        replace("signed headers", "SignedHeaders=", "SignedHeaders=accept;");
        replace("signed headers", "host", "hosts");
    }

    fn at_host(&self, host: &str) -> Option<Self> {
        let mut new = self.with_header("host", host)?;
        new.server_name = host.parse().ok()?;
        Some(new)
    }

    /// What follows `name=` in the header or the query string that signs.
    fn field(&self, name: &str) -> String {
        let place = self.header("authorization").map_or_else(|| self.target(), str::to_owned);
        let found = place.split_once(name).map(|(_, rest)| rest.split([',', '&']).next().unwrap_or_default());
        found.unwrap_or_default().replace("%2F", "/").replace("%3B", ";")
    }

    fn signature(&self) -> String {
        self.field("Signature=")
    }

    fn scope(&self) -> Vec<String> {
        self.field("Credential=").split('/').map(str::to_owned).collect()
    }

    fn signed_headers(&self) -> Vec<String> {
        self.field("SignedHeaders=").split(';').map(str::to_owned).collect()
    }
}

/// The SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
