//! chaperone lets AI coding agents use AWS without ever holding AWS credentials.
//!
//! The module list below is the story of one request and, at the same time, the dependency
//! graph: *a module may use only modules listed above it* (`cargo xtask tidy` checks it).
//! Modules marked *pure* do no input or output and never read the clock.
//!
//! (The blank lines keep rustfmt from sorting it.)

// ── vocabulary ──────────────────────────────────────────────────────────────────────────────

/// The words of the product as types: names, ids, addresses. *pure*
pub mod prim;

/// The DNS suffixes of AWS, in every partition. *pure*
pub mod suffix;

/// What AWS's services, operations and IAM actions are called, and where they are. *pure*
pub mod catalog;

/// A call as the command of the AWS CLI that would make it, for people. *pure*
pub mod awscli;

/// Which of the known names a mistyped one was meant to be. *pure*
mod meant;

/// Values that must not be shown: redacted, zeroized, read only through `expose`. *pure*
pub mod secret;

/// Keys of the host's own, each in a file that only the daemon reads.
pub mod key_file;

/// The one place that reads the wall clock.
pub mod clock;

/// Logging.
pub mod telemetry;

/// The cgroup v2 hierarchy: where it is mounted, where in it this process is.
pub mod cgroup2;

/// Who vouches for those that the gateway talks to: never its own CA.
pub mod roots;

/// How much of a bounded thing is in use, in all and by each session. *pure*
pub mod share;

/// HTTP bodies: streams with constant memory, and the bounded exception. *pure*
pub mod body;

// ── the life of a call, in order ────────────────────────────────────────────────────────────

/// kernel → origin: loads and pins the eBPF programs, tells where a connection wanted to go.
pub mod redirect;

/// listener → `Accepted`: an agent's connection together with its origin.
pub mod accept;

/// token → `Claims`: OIDC issuers, their keys, and which of their tokens are believed.
pub mod issuer;

/// origin → `Caller`: which workload and session the connection belongs to.
pub mod identify;

/// first bytes → `Route`: AWS, metadata endpoint, pass-through, or refused.
pub mod route;

/// AWS connection → TLS with a leaf minted for the name the agent asked for.
pub mod terminate;

/// request head → `AwsRequest` → `VerifiedRequest`: endpoint, signature, payload mode. *pure*
pub mod parse;

/// What tokens stand for: values that an agent moves without seeing them. In memory only, and of one session.
pub mod tokens;

/// `VerifiedRequest` → `Operation`: IAM actions, resources, parameters. *pure*
pub mod classify;

/// policy × caller × operation → `Verdict`; an Allow carries the `Permit`. *pure*
pub mod decide;

/// The session database: the intent is durable before anything leaves the host.
pub mod record;

/// `Permit` → short-lived keys that only the gateway holds.
pub mod credentials;

/// `Permit` + request → its body with values in the place of tokens. *pure*
pub mod insert;

/// `Permit` + request + keys → `SignedRequest`; consumes the permit. *pure*
pub mod sign;

/// `SignedRequest` → `Reply`: own resolver, own roots, pooled connections.
pub mod forward;

/// AWS's answer with keys → the same answer with a placeholder: real keys stay here. *pure*
pub mod mint;

/// AWS's answer with secrets → the same answer without: what is secret, and where. *pure*
pub mod mask;

// ── assembly ────────────────────────────────────────────────────────────────────────────────

/// Any refusal → an error in the protocol's own shape. *pure*
pub mod respond;

/// The whole story in two functions: one connection, one call.
pub mod serve;

/// Signed checkpoints of the record leave the host, for a bucket.
pub mod archive;

/// The daemon's unix socket: status, and the launcher's requests.
pub mod api;

/// `chaperone run`: starts a command inside its session's cgroup.
pub mod launch;

/// The configuration file: composed from each module's own section.
pub mod config;

/// Builds every stage, binds everything, then serves until told to stop.
pub mod app;

/// The command line.
pub mod cli;
