//! Services and their operations.

use std::sync::OnceLock;

use super::{
    load::{CatalogError, bad},
    need::Need,
    shape::{Member, Shape, ShapeId, Shapes},
};

/// How requests and answers are written.
///
/// <https://smithy.io/2.0/aws/protocols/index.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// AWS JSON 1.0 or 1.1: `X-Amz-Target`.
    Json,
    /// Smithy RPC v2 CBOR: `/service/S/operation/O`.
    #[serde(rename = "smithy-rpc-v2-cbor")]
    Cbor,
    /// AWS query: `Action` and `Version` in a form.
    Query,
    /// EC2 query: the same with other lists.
    Ec2,
    /// REST with JSON bodies.
    RestJson,
    /// REST with XML bodies.
    RestXml,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Its place among [`super::Catalog::services`].
    pub index: usize,
    /// Its name in botocore: `lambda`, `cloudwatch`, `ecr-public`.
    pub name: &'static str,
    /// The prefix of its IAM actions: `lambda`, `cloudwatch`, `elasticloadbalancing`. Empty where IAM
    /// has none.
    pub prefix: &'static str,
    /// Its name in signature scopes.
    pub signing_name: &'static str,
    /// Its name in most of its hosts.
    pub endpoint_prefix: &'static str,
    /// Every protocol it speaks.
    pub protocols: Vec<Protocol>,
    /// What stands before the operation in `X-Amz-Target` and, by its last part, in the paths of CBOR.
    pub target_prefix: Option<&'static str>,
    /// The version of its API, e.g. `2015-03-31`.
    pub version: &'static str,
    /// Its lines of the table: read when they are first asked for, because few services are ever called.
    pub(super) lines: &'static str,
    pub(super) body: OnceLock<Body>,
}

/// What a service can do.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// By name.
    pub(super) operations: Vec<Operation>,
    pub(super) shapes: Shapes,
}

impl Service {
    /// Whether it speaks `protocol`.
    #[must_use]
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }

    /// Its operations, by name.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.body().operations
    }

    /// The operation of exactly this name.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        let operations = self.operations();
        let at = operations.binary_search_by(|operation| operation.name.cmp(name)).ok()?;
        operations.get(at)
    }

    /// The names of its operations with each action they need, by full name: `s3:GetObject`. This does not
    /// keep the operations in memory.
    pub fn needed_actions(&self) -> impl Iterator<Item = (&'static str, String)> {
        super::load::needs(self.prefix, self.lines)
    }

    /// The names of its operations whose answers carry credentials. This does not keep the operations in
    /// memory.
    pub fn minting(&self) -> impl Iterator<Item = &'static str> {
        super::load::minting(self.lines)
    }

    /// A test reads every body. One that cannot be read has no operations, so its calls are denied.
    fn body(&self) -> &Body {
        self.body.get_or_init(|| super::load::body(self.prefix, self.lines).unwrap_or_default())
    }

    /// The members of an operation's input; none if it has no input.
    #[must_use]
    pub fn members(&self, operation: &Operation) -> &[Member] {
        match operation.input.map(|id| self.shape(id)) {
            Some(Shape::Structure(members)) => members,
            Some(_) | None => &[],
        }
    }

    /// What is behind an id of this service.
    #[must_use]
    pub fn shape(&self, id: ShapeId) -> &Shape {
        self.body().shapes.get(id)
    }
}

/// An operation of a service.
#[derive(Debug)]
pub struct Operation {
    /// Its name: `GetFunction`.
    pub name: &'static str,
    /// How it is asked for by HTTP; for the RPC protocols `POST /`.
    pub http: Http,
    /// The structure of its parameters; `None` where it has none.
    pub input: Option<ShapeId>,
    /// What stands before the service's host: `data-`, `{AccountId}.`; mostly empty.
    pub host_prefix: &'static str,
    /// Whether clients leave its body out of the signature: `UNSIGNED-PAYLOAD`.
    ///
    /// <https://smithy.io/2.0/aws/aws-auth.html#aws-auth-unsignedpayload-trait>
    pub unsigned_body: bool,
    /// Whether its answer carries credentials.
    pub mints: bool,
    /// What IAM wants to be allowed; empty: that is not known.
    pub needs: Vec<Need<'static>>,
}

/// The HTTP form of an operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Http {
    /// `GET`, `POST`…
    pub method: &'static str,
    /// The path's segments; `/` is one empty literal.
    pub segments: Vec<Segment>,
    /// What must be in the query string.
    pub query: Vec<QueryLiteral>,
}

/// Part of a path between two slashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text; empty for a slash at the end.
    Literal(&'static str),
    /// Anything but nothing, by its member's name.
    Label(&'static str),
    /// One or more segments, by their member's name.
    Greedy(&'static str),
}

/// A query parameter that an operation always has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLiteral {
    /// Its name.
    pub name: &'static str,
    /// Its value; empty also for a name without `=`.
    pub value: &'static str,
}

impl Http {
    /// `METHOD /path/{Label}/{Rest+}?name=value&name`, as `http.requestUri` of the models.
    pub(super) fn read(text: &'static str) -> Result<Self, CatalogError> {
        let wrong = || bad(text);
        let (method, target) = text.split_once(' ').ok_or_else(wrong)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix('/').ok_or_else(wrong)?;
        let segment = |text: &'static str| {
            let label = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
            match label {
                Some(label) => label.strip_suffix('+').map_or(Segment::Label(label), Segment::Greedy),
                None => Segment::Literal(text),
            }
        };
        let literal = |pair: &'static str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            QueryLiteral { name, value }
        };
        Ok(Self {
            method,
            segments: path.split('/').map(segment).collect(),
            query: query.split('&').filter(|pair| !pair.is_empty()).map(literal).collect(),
        })
    }
}
