//! How this host's log is gone on with at the start, or begun, and what the start does not believe.

use std::{path::Path, time::Instant};

use sd_notify::NotifyState;
use time::OffsetDateTime;

use super::{BEGUN, Book, RESTARTED, Unborn};
use crate::record::{
    Config, Event,
    log::{
        cadence::Cadence,
        checkpoint::{CheckpointError, SignedCheckpoint},
        file::{self, Mark},
        hash::{Hash, LEN},
        key::{LogKey, LogKeyError},
        note::{KeyName, Sign as _, VerifierKey},
        tree::Tree,
        verify::Stored,
        writer::{Log, ResumeError, Resuming},
    },
    stamp::stamp,
    store::{
        self,
        columns::LEAVES,
        pages::{Conn, LogRow, Whose},
        prune::Seen,
    },
};

/// Entries that are read at a time.
const READ: i64 = 10_000;
/// Rows of before the log that become leaves in one transaction.
const ADOPT: i64 = 10_000;
/// How much longer systemd is asked to wait for the start with every such transaction, in microseconds.
const EXTEND_USEC: u32 = 60_000_000;

/// Said wherever the log is not gone on with.
const WAY_OUT: &str = "Nothing is recorded until this is settled. If it has an innocent reason, such as a backup that was \
    put back, put the right copy in place, or, while the service is stopped, `chaperone log restart --reason TEXT` begins a new log, \
    which says why the old one ended";

/// Why the log is not gone on with.
#[derive(Debug, thiserror::Error)]
pub(in crate::record::store) enum BookError {
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    #[error("the log's key: {0}")]
    Key(#[from] LogKeyError),
    #[error(
        "the log's key {path} is missing, and the log {origin} was signed with it: put it back. {WAY_OUT}"
    )]
    KeyGone { path: String, origin: KeyName },
    #[error("{path}: {error}")]
    File { path: String, error: std::io::Error },
    #[error(
        "{which} is not believed: {error}. Compare it with copies elsewhere, and the key with its backup. {WAY_OUT}"
    )]
    Unbelieved { which: String, error: CheckpointError },
    #[error(
        "the checkpoint file {path} is of the log {found:?}, which is not the last log of this database: this is another \
         database, a new one in the place of one that is gone, or somebody began another log in it. {WAY_OUT}"
    )]
    Stranger { path: String, found: String },
    #[error(
        "the log {origin} is not this host's first, and nobody has signed it: somebody else began it in this database. {WAY_OUT}"
    )]
    Unsigned { origin: String },
    #[error("{0}. {WAY_OUT}")]
    Foreign(String),
    #[error("{error}. The newest checkpoint is {which}; compare it with copies elsewhere. {WAY_OUT}")]
    Resume { error: ResumeError, which: String },
    #[error("the name of the log {0:?} in the database is none")]
    Name(String),
    #[error("signing failed: {0}")]
    Sign(#[from] CheckpointError),
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl Book {
    /// Goes on with this host's log, or begins it. What a database had before it had a log becomes leaves of its first.
    pub(in crate::record::store) async fn open(
        conn: &mut Conn<'_>,
        config: &Config,
        now: OffsetDateTime,
    ) -> Result<Self, BookError> {
        let host = config.host_name();
        let is_shared = matches!(conn, Conn::Postgres(_));
        let logs = conn.logs().await?;
        let ours = logs.iter().rev().find(|log| log.is_ours(config));
        let path = config.checkpoint_file();
        let in_file = read_file(&path, ours)?;
        let (row, is_first) = match ours {
            Some(row) => (row.clone(), logs.first() == Some(row)),
            None => begin(conn, &host, now).await?,
        };
        let mut book = Self::resume(conn, config, &row, in_file, is_shared.then_some(host)).await?;
        // A later one is born signed.
        let is_later = logs.iter().any(|log| log.id < row.id && log.is_ours(config));
        if is_later && book.log.signed_size() == 0 {
            return Err(BookError::Unsigned { origin: row.origin });
        }
        believe_marks(&path, &book)?;
        book.seen.read(conn).await?;
        if book.log.signed_size() == 0 && !conn.has_begun(row.id).await? {
            book.adopt(conn, is_first).await?;
        }
        Ok(book)
    }

    /// Begins a new log although there is one, which it names with its last checkpoint.
    pub(in crate::record::store) async fn restart(
        conn: &mut Conn<'_>,
        config: &Config,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<Self, BookError> {
        let host = config.host_name();
        let is_shared = matches!(conn, Conn::Postgres(_));
        let logs = conn.logs().await?;
        let old = logs.iter().rev().find(|log| log.is_ours(config));
        let last = match old {
            Some(old) => conn.last_checkpoint(old.id).await?,
            None => None,
        };
        let seen = Seen::default();
        seen.read(conn).await?;
        let origin = new_name(&host)?;
        let key_path = config.log_key();
        create_parent(&key_path)?;
        let key = LogKey::load_or_create(&key_path, origin.clone())?;
        let path = config.checkpoint_file();
        let file_failed = |error| BookError::File { path: path.display().to_string(), error };
        let in_file = file::read(&path).map_err(file_failed)?;
        let signed =
            |note: Option<&[u8]>| old.zip(note).map(|(old, note)| signed_by(&key_path, &old.origin, note));
        let (stored_by_us, filed_by_us) =
            (signed(last.as_ref().map(|last| last.note.as_slice())), signed(in_file.as_deref()));
        // Where neither is there, nobody knows.
        let is_same_key = stored_by_us.into_iter().chain(filed_by_us).reduce(|one, other| one || other);
        let end = match old {
            Some(old) => stored_end(conn, old.id).await?,
            None => None,
        };
        let suffix = origin.as_str().rsplit('/').next().map(|name| format!("before-{name}"));
        let kept = file::keep(&path, &suffix.unwrap_or_default()).map_err(file_failed)?;
        let text = |note: &[u8]| {
            let text = String::from_utf8_lossy(note);
            // The text without its signatures: that says what was signed, and the file stays where it can be checked.
            text.split("\n\n").next().unwrap_or_default().to_owned()
        };
        let detail = serde_json::json!({
            "log": origin.as_str(),
            "verifier": key.verifier().to_string(),
            "old_log": old.map(|old| old.origin.clone()),
            "old_entries": end.as_ref().map(Tree::size),
            "old_root": end.as_ref().map(|tree| tree.root().to_string()),
            "old_checkpoint": last.map(|last| text(&last.note)),
            "old_checkpoint_believed": stored_by_us,
            "old_file": in_file.map(|note| text(&note)),
            "old_file_believed": filed_by_us,
            "old_file_is_now": kept.map(|path| path.display().to_string()),
            "same_key": is_same_key,
            "reason": reason,
        });
        Ok(Self {
            id: 0,
            log: Log::new(origin.clone()),
            key,
            cadence: cadence(config),
            host: is_shared.then(|| host.clone()),
            news: Some(Event { detail, ..Event::new(RESTARTED, "a person began a new log") }),
            unborn: Some(Unborn { origin, host, created: stamp(now) }),
            file: path,
            seen,
        })
    }

    async fn resume(
        conn: &mut Conn<'_>,
        config: &Config,
        row: &LogRow,
        in_file: Option<Vec<u8>>,
        host: Option<String>,
    ) -> Result<Self, BookError> {
        let origin: KeyName = row.origin.parse().map_err(|_| BookError::Name(row.origin.clone()))?;
        let path = config.log_key();
        let stored = conn.last_checkpoint(row.id).await?;
        let in_file = in_file.filter(|note| origin_of(note) == row.origin);
        create_parent(&path)?;
        let key = if stored.is_some() || in_file.is_some() {
            LogKey::load(&path, origin.clone()).map_err(|error| match error.is_missing() {
                true => BookError::KeyGone { path: path.display().to_string(), origin: origin.clone() },
                false => error.into(),
            })?
        } else {
            LogKey::load_or_create(&path, origin.clone())?
        };
        let keys = [key.verifier().clone()];
        let file_name = config.checkpoint_file().display().to_string();
        let in_database = "that of the database".to_owned();
        let in_file = in_file.map(|note| believe(&note, &keys, || file_name.clone())).transpose()?;
        let (tree, last, which) = match &stored {
            None => (Tree::new(), in_file, file_name),
            Some(stored) => {
                let signed =
                    believe(&stored.note, &keys, || "the newest checkpoint of the database".to_owned())?;
                let tree = frontier(stored).and_then(|frontier| Tree::from_frontier(stored.size, frontier));
                let failed = |error| BookError::Resume { error, which: in_database.clone() };
                let tree = tree.ok_or(ResumeError::Other { signed: stored.size }).map_err(failed)?;
                Resuming::new(origin.clone(), tree.clone(), Some(signed.checkpoint())).map_err(failed)?;
                match in_file {
                    Some(newer) if newer.checkpoint().size() > stored.size => (tree, Some(newer), file_name),
                    Some(_) | None => (tree, Some(signed), in_database),
                }
            }
        };
        let failed = |error| BookError::Resume { error, which: which.clone() };
        let last = last.as_ref().map(SignedCheckpoint::checkpoint);
        let mut resuming = Resuming::new(origin, tree, last).map_err(failed)?;
        loop {
            let entries = conn.entries(row.id, resuming.size().cast_signed(), READ).await?;
            for entry in &entries {
                if entry.index != resuming.size() {
                    return Err(failed(ResumeError::Other { signed: resuming.size() }));
                }
                resuming.leaf(entry.leaf).map_err(failed)?;
            }
            if entries.is_empty() {
                break;
            }
        }
        let log = resuming.finish(Instant::now()).map_err(failed)?;
        Ok(Self {
            id: row.id,
            log,
            key,
            cadence: cadence(config),
            host,
            news: None,
            unborn: None,
            file: config.checkpoint_file(),
            seen: Seen::default(),
        })
    }

    /// Rows of before the database's first log become its first leaves. What was changed before that cannot be seen. Every
    /// log has its event `log-begun`, after which nothing is adopted.
    async fn adopt(&mut self, conn: &mut Conn<'_>, is_first: bool) -> Result<(), BookError> {
        let mut said = self.log.size();
        for leaves in LEAVES.iter().filter(|_| is_first) {
            let mut from = i64::MIN;
            loop {
                conn.execute("BEGIN").await?;
                let forms = conn.rows(leaves, Whose::Nobody, from, ADOPT).await?;
                let draft = self.log.append(&forms);
                conn.add_entries(self.id, draft.entries()).await?;
                conn.execute("COMMIT").await?;
                let Some(last) = forms.last() else { break };
                from = last.row().saturating_add(1);
                self.commit(draft).map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
                let rows = self.log.size();
                if rows - said >= 100_000 {
                    said = rows;
                    tracing::info!(rows, table = leaves.table, "rows of before the log become leaves");
                }
                // Outside a unit nobody listens.
                let _ = sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(EXTEND_USEC)]);
            }
        }
        // Also those of an attempt that did not come to its end.
        let rows = self.log.size();
        let message = match rows {
            0 => "the log of what is recorded begins",
            _ => "rows of before the log became its leaves; what was changed before this cannot be seen",
        };
        tracing::info!(rows, log = self.key.verifier().name().as_str(), "{message}");
        let detail = serde_json::json!({
            "log": self.key.verifier().name().as_str(),
            "verifier": self.key.verifier().to_string(),
            "rows": rows,
        });
        self.news = Some(Event { detail, ..Event::new(BEGUN, message) });
        Ok(())
    }
}

/// A log as it is stored. `None` where it has a gap.
async fn stored_end(conn: &mut Conn<'_>, log: i64) -> Result<Option<Tree>, sqlx::Error> {
    let mut tree = Tree::new();
    loop {
        let entries = conn.entries(log, tree.size().cast_signed(), READ).await?;
        if entries.is_empty() {
            return Ok(Some(tree));
        }
        for entry in entries {
            if entry.index != tree.size() {
                return Ok(None);
            }
            tree.append(entry.leaf);
        }
    }
}

/// Notes a log of a new name. Also says whether it is the database's first.
async fn begin(conn: &mut Conn<'_>, host: &str, now: OffsetDateTime) -> Result<(LogRow, bool), BookError> {
    let origin = new_name(host)?.as_str().to_owned();
    conn.execute("BEGIN").await?;
    conn.lock_logs().await?;
    let is_first = conn.logs().await?.is_empty();
    let id = conn.begin_log(&origin, host, &stamp(now)).await?;
    conn.execute("COMMIT").await?;
    Ok((LogRow { id, origin, hostname: host.to_owned() }, is_first))
}

/// A name that no log has.
fn new_name(host: &str) -> Result<KeyName, BookError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| BookError::NoRandomness)?;
    // A key's name has no spaces and no plus.
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    let name: String = host.chars().map(plain).collect();
    let origin = format!("chaperone/{name}/{}", hex::encode(random));
    origin.parse().map_err(|_| BookError::Name(origin))
}

/// Whether the key in this file signed the checkpoint of another log.
fn signed_by(key: &Path, origin: &str, note: &[u8]) -> bool {
    let key = origin.parse().ok().and_then(|origin| LogKey::load(key, origin).ok());
    key.is_some_and(|key| SignedCheckpoint::open(note, &[key.verifier().clone()]).is_ok())
}

fn create_parent(path: &Path) -> Result<(), BookError> {
    store::create_parent(path).map_err(|error| BookError::File { path: path.display().to_string(), error })
}

fn cadence(config: &Config) -> Cadence {
    Cadence {
        rows: config.log.checkpoint_rows,
        interval: std::time::Duration::from_secs(config.log.checkpoint_secs),
    }
}

/// What a daemon left for this start.
fn believe_marks(path: &Path, book: &Book) -> Result<(), BookError> {
    let failed = |error| BookError::File { path: path.display().to_string(), error };
    if let Some(seen) = Mark::Foreign.read(path).map_err(failed)? {
        return Err(BookError::Foreign(String::from_utf8_lossy(&seen).into_owned()));
    }
    if let Some(note) = Mark::Closed.read(path).map_err(failed)? {
        let keys = [book.key.verifier().clone()];
        let is_ours = origin_of(&note) == book.key.verifier().name().as_str();
        if is_ours {
            let signed = believe(&note, &keys, || format!("{}.closed", path.display()))?;
            let (closed, found) = (signed.checkpoint().size(), book.log.size());
            if closed != found {
                let seen = format!(
                    "the daemon stopped in order with {closed} entries signed, and now the log has {found}"
                );
                return Err(BookError::Foreign(seen));
            }
        }
        Mark::Closed.take_away(path).map_err(failed)?;
    }
    Ok(())
}

/// The note of the checkpoint file, which must be of this log: with another one somebody could have begun a history in which
/// what was signed does not stand.
fn read_file(path: &Path, log: Option<&LogRow>) -> Result<Option<Vec<u8>>, BookError> {
    let name = || path.display().to_string();
    let note = file::read(path).map_err(|error| BookError::File { path: name(), error })?;
    let Some(note) = note else { return Ok(None) };
    let found = origin_of(&note);
    if log.is_some_and(|log| log.origin == found) {
        Ok(Some(note))
    } else {
        Err(BookError::Stranger { path: name(), found: found.chars().take(200).collect() })
    }
}

/// The log that a note says it is of: nobody's word.
fn origin_of(note: &[u8]) -> String {
    let line = note.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

fn believe(
    note: &[u8],
    keys: &[VerifierKey],
    which: impl Fn() -> String,
) -> Result<SignedCheckpoint, BookError> {
    SignedCheckpoint::open(note, keys).map_err(|error| BookError::Unbelieved { which: which(), error })
}

/// The hashes of the frontier. `None` if they are none.
fn frontier(stored: &Stored) -> Option<Vec<Hash>> {
    stored.frontier.chunks(LEN).map(Hash::from_bytes).collect()
}
