//! The views' rows. The fields are the columns; as JSON they are what `--json` prints.

use serde::Serialize;
use serde_json::Value;

/// A column that holds JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Json(pub Value);

impl TryFrom<String> for Json {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, serde_json::Error> {
        serde_json::from_str(&text).map(Self)
    }
}

impl Json {
    /// The texts of a list; other values as JSON.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match &self.0 {
            Value::Array(items) => items.iter().map(text).collect(),
            other => vec![text(other)],
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A row of `v_sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct SessionView {
    /// Order of writing.
    pub seq: i64,
    /// `s-…`
    pub id: String,
    /// When it was enrolled.
    pub started: String,
    /// When it ended, if it has.
    pub ended: Option<String>,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// The workload it runs.
    pub workload: String,
    /// Who it is to policy.
    pub subject: String,
    /// Who vouches.
    pub issuer: String,
    /// Its groups, as last known.
    #[sqlx(try_from = "String")]
    pub groups: Json,
    /// Further claims of its token, as last known.
    #[sqlx(try_from = "String")]
    pub claims: Json,
    /// When its token ends, if it has one.
    pub token_expires: Option<String>,
    /// SHA-256 of its token, if it has one.
    pub token_digest: Option<String>,
    /// The machine.
    pub hostname: String,
    /// The machine's boot.
    pub boot_id: String,
    /// The session's cgroup below the cgroup v2 mount.
    pub cgroup_path: String,
    /// The kernel's number of it.
    pub cgroup_id: i64,
    /// The command line, as a list.
    #[sqlx(try_from = "String")]
    pub command: Json,
    /// Who launched it.
    pub uid: Option<i64>,
    /// How many calls it made.
    pub calls: i64,
    /// How many of them were not allowed.
    pub denied: i64,
    /// Columns that were cut.
    #[sqlx(try_from = "String")]
    pub truncated: Json,
}

/// A row of `v_calls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct CallView {
    /// Order of writing.
    pub seq: i64,
    /// `c-…`
    pub id: String,
    /// When it was decided.
    pub time: String,
    /// Its session.
    pub session: String,
    /// The session's workload.
    pub workload: String,
    /// Who the session is to policy.
    pub subject: String,
    /// Who vouches for the session.
    pub issuer: String,
    /// The session's groups when the call was made.
    #[sqlx(try_from = "String")]
    pub groups: Json,
    /// The machine it came from.
    pub hostname: String,
    /// The connecting process.
    pub pid: i64,
    /// The connecting user.
    pub uid: i64,
    /// AWS account.
    pub account: Option<String>,
    /// AWS region.
    pub region: Option<String>,
    /// The AWS endpoint's name.
    pub host: Option<String>,
    /// IAM service prefix.
    pub service: Option<String>,
    /// API operation.
    pub operation: Option<String>,
    /// HTTP method.
    pub method: Option<String>,
    /// IAM actions.
    #[sqlx(try_from = "String")]
    pub actions: Json,
    /// ARNs or `*`, in the order of `actions`.
    #[sqlx(try_from = "String")]
    pub resources: Json,
    /// Request parameters without secrets.
    #[sqlx(try_from = "String")]
    pub params: Json,
    /// `allow`, `deny`, `ask`, `observed` or `refused`.
    pub decision: String,
    /// The rules that decided.
    #[sqlx(try_from = "String")]
    pub rules: Json,
    /// Why, for a person.
    pub reason: Option<String>,
    /// Digest of the policies that decided.
    pub policy_digest: Option<String>,
    /// What the agent signed with.
    pub access_key_id: Option<String>,
    /// SHA-256 of the canonical request.
    pub request_digest: Option<String>,
    /// `open`, `forwarded`, `denied`, `failed`, `aborted` or `unknown`.
    pub outcome: String,
    /// Order of writing of the outcomes.
    pub outcome_seq: Option<i64>,
    /// When it ended.
    pub ended: Option<String>,
    /// HTTP status that the agent got.
    pub status: Option<i64>,
    /// AWS's id of the request.
    pub aws_request_id: Option<String>,
    /// AWS's or the gateway's error code.
    pub error_code: Option<String>,
    /// Microseconds that AWS took.
    pub upstream_us: Option<i64>,
    /// Microseconds that the gateway took.
    pub gateway_us: Option<i64>,
    /// Body bytes from the agent.
    pub bytes_in: Option<i64>,
    /// Body bytes to the agent.
    pub bytes_out: Option<i64>,
    /// Columns of the call that were cut.
    #[sqlx(try_from = "String")]
    pub truncated: Json,
    /// Columns of the outcome that were cut.
    #[sqlx(try_from = "String")]
    pub outcome_truncated: Json,
}

/// A row of `events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct EventView {
    /// Order of writing.
    pub seq: i64,
    /// When it happened.
    pub time: String,
    /// What happened.
    pub kind: String,
    /// The session it concerns.
    pub session: Option<String>,
    /// The workload it concerns.
    pub workload: Option<String>,
    /// The process it concerns.
    pub pid: Option<i64>,
    /// The user it concerns.
    pub uid: Option<i64>,
    /// For a person.
    pub message: String,
    /// For a query.
    #[sqlx(try_from = "String")]
    pub detail: Json,
    /// Columns that were cut.
    #[sqlx(try_from = "String")]
    pub truncated: Json,
    /// The machine whose daemon wrote it. SQLite has no such column: the file is one host's.
    #[sqlx(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// A value that was hidden in an answer: part of a row of `v_masked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct MaskedView {
    /// Where it stood.
    pub path: String,
    /// Why it was hidden.
    pub cause: String,
    /// The same for the same value.
    pub digest: Option<String>,
    /// How many values the row stands for.
    pub count: i64,
}
