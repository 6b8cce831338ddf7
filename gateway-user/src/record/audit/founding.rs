//! How each log came to be: the first of its host by itself, a later one by a person's word.

use std::collections::HashMap;

use serde_json::Value;

use super::Conn;
use crate::record::{
    Config, StoreKind,
    store::{book::RESTARTED, pages::LogRow},
};

/// What a log's beginning says.
#[derive(Debug, Clone, Default)]
pub(super) struct Founding {
    /// Whether its host had a log before.
    pub(super) is_later: bool,
    /// Whether it begins as it must: a later one with a person's word, which names the one before.
    pub(super) fits: bool,
    /// Whether its host's key was another by the time of a later log.
    pub(super) is_key_gone: bool,
    /// What the one before was by then.
    pub(super) before: Option<Before>,
}

/// A log at its end.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) origin: String,
    /// Its entries.
    pub(super) size: u64,
    /// Its root in hex.
    pub(super) root: String,
}

/// How each log came to be, by its number.
pub(super) async fn foundings(
    conn: &mut Conn<'_>,
    config: &Config,
    logs: &[LogRow],
) -> Result<HashMap<i64, Founding>, sqlx::Error> {
    let mut foundings: HashMap<i64, Founding> = HashMap::new();
    let is_shared = config.store == StoreKind::Postgres;
    for (at, log) in logs.iter().enumerate() {
        let earlier = logs.iter().take(at).filter(|other| !is_shared || other.hostname == log.hostname);
        let earlier: Vec<&LogRow> = earlier.collect();
        let Some(before) = earlier.last() else {
            foundings.insert(log.id, Founding { fits: true, ..Founding::default() });
            continue;
        };
        let detail = match conn.first_event(log.id).await? {
            Some((kind, detail)) if kind == RESTARTED => serde_json::from_str(&detail).unwrap_or_default(),
            Some(_) | None => Value::Null,
        };
        let said = |name: &str| detail.get(name).unwrap_or(&Value::Null);
        let end = said("old_entries").as_u64().zip(said("old_root").as_str());
        let before = Founding {
            is_later: true,
            fits: *said("old_log") == before.origin.as_str(),
            is_key_gone: false,
            before: end.map(|(size, root)| Before {
                origin: before.origin.clone(),
                size,
                root: root.to_owned(),
            }),
        };
        foundings.insert(log.id, before);
        if *said("same_key") == false {
            for log in earlier {
                foundings.entry(log.id).or_default().is_key_gone = true;
            }
        }
    }
    Ok(foundings)
}
