//! Contents of bodies: no leaves themselves, because the rows that keep them name them by what they are.

use super::{super::query::unpacked, Conn};
use crate::record::store::pages::Text;

/// Contents that are read at a time: each may have 16 MiB.
const CHUNK: i64 = 16;

/// What was found of all contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Those that are what their name says.
    pub fit: u64,
    /// The first that is not, or is missing, or belongs to no call.
    pub wrong: Option<Wrong>,
}

/// A content that is not what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is another than its digest says.
    #[error("the content {digest}, kept of the {side} of the call {call}: {detail}")]
    Altered {
        /// Its name.
        digest: String,
        /// A call that it belongs to.
        call: String,
        /// Which of its bodies.
        side: String,
        /// What does not fit.
        detail: &'static str,
    },
    /// A call's body names it, and it is not there.
    #[error("the content {digest}, kept of the {side} of the call {call}: it is missing")]
    Missing {
        /// Its name.
        digest: String,
        /// The call.
        call: String,
        /// Which of its bodies.
        side: String,
    },
    /// Nobody recorded it.
    #[error("the content {0} was added: it belongs to no call")]
    Added(String),
}

/// One copy of a content; PostgreSQL has one for each host.
#[derive(sqlx::FromRow)]
struct Copy {
    #[sqlx(try_from = "Text")]
    digest: String,
    #[sqlx(try_from = "Text")]
    hostname: String,
    length: i64,
    content: Vec<u8>,
}

/// A body that keeps a content.
#[derive(sqlx::FromRow)]
struct Keeper {
    #[sqlx(try_from = "Text")]
    call: String,
    #[sqlx(try_from = "Text")]
    side: String,
}

/// Reads all contents, in the transaction that is open.
pub(super) async fn contents(conn: &mut Conn<'_>) -> Result<Contents, sqlx::Error> {
    let mut found = Contents::default();
    if let Some((Text(call), Text(side), Text(digest))) = conn.missing_content().await? {
        found.wrong = Some(Wrong::Missing { digest, call, side });
        return Ok(found);
    }
    let (mut digest, mut hostname) = (String::new(), String::new());
    loop {
        let copies: Vec<Copy> = conn.contents_after(&digest, &hostname, CHUNK).await?;
        let Some(last) = copies.last() else { return Ok(found) };
        (digest, hostname) = (last.digest.clone(), last.hostname.clone());
        for copy in copies {
            let keeper: Option<Keeper> = conn.keeper_of(&copy.digest).await?;
            found.wrong = match (keeper, unpacked(&copy.content, copy.length, &copy.digest)) {
                (Some(_), Ok(_)) => None,
                (None, _) => Some(Wrong::Added(copy.digest)),
                (Some(Keeper { call, side }), Err(detail)) => {
                    Some(Wrong::Altered { digest: copy.digest, call, side, detail })
                }
            };
            if found.wrong.is_some() {
                return Ok(found);
            }
            found.fit += 1;
        }
    }
}
