//! The bodies of one call, unpacked and checked.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Json, QueryError, Reader, read};

/// Bytes of a content that is unpacked: the most that `record.body_max_bytes` may be.
const MOST: usize = 16 << 20;

/// What is recorded of the bodies of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bodies {
    /// What was asked for.
    #[serde(skip)]
    pub params: Params,
    /// What was uploaded, where the call had a body that was not looked at.
    pub payload: Option<Answer>,
    /// What the agent was answered by AWS.
    pub answer: Option<Answer>,
}

/// A call's parameters without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// All of them; or what `v_calls.params` has, where not all are kept.
    pub params: Json,
    /// Whether these are all.
    pub complete: bool,
}

/// A body, as far as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its `Content-Type`.
    pub media_type: Option<String>,
    /// SHA-256 of all of it, in hexadecimal; `None` where it would be that of a secret.
    pub digest: Option<String>,
    /// Bytes of all of it.
    pub length: u64,
    /// Its beginning, or all of it.
    pub content: Option<Vec<u8>>,
    /// Why something is missing, in the words of docs/queries.md; empty where all is there.
    pub missing: Vec<String>,
}

impl Answer {
    /// The content as people read it: CBOR as the JSON that says the same, other text as it is. `None` where it is no text.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let content = self.content.as_deref()?;
        let media_type = self.media_type.as_deref().unwrap_or_default();
        if media_type.starts_with("application/cbor") || media_type.ends_with("+cbor") {
            let value: ciborium::Value = ciborium::from_reader(content).ok()?;
            return Some(json(value).to_string());
        }
        let text = std::str::from_utf8(content).or_else(|error| {
            // What is cut off may end within a character.
            std::str::from_utf8(content.get(..error.valid_up_to()).unwrap_or_default())
                .map_err(|_| error)
                .and_then(|text| if error.error_len().is_none() { Ok(text) } else { Err(error) })
        });
        text.ok().map(str::to_owned)
    }
}

/// The same in JSON: bytes in base64, keys as text.
fn json(value: ciborium::Value) -> Value {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use ciborium::Value as Cbor;
    match value {
        Cbor::Integer(number) => {
            let number = i128::from(number);
            i64::try_from(number).map(Value::from).unwrap_or_else(|_| number.to_string().into())
        }
        Cbor::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Cbor::Float(number) => number.into(),
        Cbor::Text(text) => text.into(),
        Cbor::Bool(bool) => bool.into(),
        Cbor::Tag(_, value) => json(*value),
        Cbor::Array(values) => values.into_iter().map(json).collect(),
        Cbor::Map(entries) => {
            let name = |key| match json(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            entries.into_iter().map(|(key, value)| (name(key), json(value))).collect()
        }
        _ => Value::Null,
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut answer = to.serialize_struct("Answer", 5)?;
        answer.serialize_field("media_type", &self.media_type)?;
        answer.serialize_field("digest", &self.digest)?;
        answer.serialize_field("length", &self.length)?;
        answer.serialize_field("content", &self.text())?;
        answer.serialize_field("missing", &self.missing)?;
        answer.end()
    }
}

/// A row of `call_bodies`.
#[derive(sqlx::FromRow)]
struct Row {
    side: String,
    media_type: Option<String>,
    digest: Option<String>,
    length: i64,
    kept: Option<String>,
    #[sqlx(try_from = "String")]
    truncated: Json,
}

/// A copy of a content.
#[derive(sqlx::FromRow)]
struct Copy {
    length: i64,
    content: Vec<u8>,
}

impl Reader {
    /// The bodies of one call, by its whole id.
    ///
    /// # Errors
    /// [`QueryError::Unknown`], [`QueryError::Altered`] and reading.
    pub async fn bodies(&self, call: &str) -> Result<Bodies, QueryError> {
        let mut query = self.pool.statement("SELECT params, truncated FROM calls WHERE id = ");
        query.bind(call);
        let found: Option<(String, String)> = self.pool.optional(query).await.map_err(read)?;
        let (params, truncated) =
            found.ok_or_else(|| QueryError::Unknown { kind: "call", id: call.chars().take(80).collect() })?;
        let json =
            |text: &str| serde_json::from_str(text).map_err(|error| QueryError::Store(error.to_string()));
        let truncated: Value = json(&truncated)?;
        let complete = truncated.as_array().is_some_and(|cut| !cut.contains(&"params".into()));
        let mut bodies =
            Bodies { params: Params { params: Json(json(&params)?), complete }, payload: None, answer: None };

        let mut query = self.pool.statement(
            "SELECT side, media_type, digest, length, kept, truncated FROM call_bodies WHERE call = ",
        );
        query.bind(call).push(" ORDER BY seq");
        let rows: Vec<Row> = self.pool.all(query).await.map_err(read)?;
        for row in rows {
            let side = row.side.clone();
            let body = self.body(row).await?.map_err(|detail| QueryError::Altered {
                call: call.to_owned(),
                side: side.clone(),
                detail,
            })?;
            match side.as_str() {
                "request" => bodies.params.fill(&body),
                "payload" => bodies.payload = Some(body),
                _ => bodies.answer = Some(body),
            }
        }
        Ok(bodies)
    }

    /// The body of a row, or what does not fit.
    async fn body(&self, row: Row) -> Result<Result<Answer, &'static str>, QueryError> {
        let content = match &row.kept {
            None => None,
            Some(kept) => {
                let mut query = self.pool.statement("SELECT length, content FROM bodies WHERE digest = ");
                query.bind(kept.as_str());
                // Each host has a copy of its own.
                let copies: Vec<Copy> = self.pool.all(query).await.map_err(read)?;
                let unpacked = copies.iter().map(|copy| unpacked(&copy.content, copy.length, kept));
                match unpacked.reduce(Result::or).unwrap_or(Err("its content is gone")) {
                    Ok(content) => Some(content),
                    Err(detail) => return Ok(Err(detail)),
                }
            }
        };
        Ok(Ok(Answer {
            media_type: row.media_type,
            digest: row.digest,
            length: row.length.max(0).cast_unsigned(),
            content,
            missing: row.truncated.texts(),
        }))
    }
}

/// The content in one frame of zstd that should have this length, whose SHA-256 is its name.
pub(in crate::record) fn unpacked(frame: &[u8], length: i64, name: &str) -> Result<Vec<u8>, &'static str> {
    // What a frame says of its own length is not believed: it may be all that somebody changed.
    let length = usize::try_from(length).ok().filter(|length| *length <= MOST);
    let length = length.ok_or("its content is longer than any that is kept")?;
    let content = zstd::bulk::decompress(frame, length);
    let content = content.map_err(|_| "its content cannot be unpacked to the length that it should have")?;
    if content.len() != length {
        return Err("its content has another length");
    }
    let found = hex::encode(digest(&SHA256, &content));
    if found == name { Ok(content) } else { Err("its content has another digest") }
}

impl Params {
    /// What did not fit into the call's row.
    fn fill(&mut self, body: &Answer) {
        let whole = body.missing.is_empty();
        let all = body.content.as_deref().and_then(|content| serde_json::from_slice(content).ok());
        if let (Some(all), true) = (all, whole) {
            *self = Self { params: Json(all), complete: true };
        }
    }
}
