//! What a removal rests on, held against the log.
//!
//! Which rows may go is looked up in SQL ([`super::goes`]). Who can write to the database can have SQL answer what they like: by a
//! view, by an index, by a row that is changed or added for as long as it takes. So it is decided again here, over rows
//! that are what was logged: those that go, those that say how old and whose they are, and every hold. Where the two differ, or
//! a row is not what was logged, nothing is removed. Nor is it where the entry that says what was logged is not the one that this daemon's log
//! has: [`Memory`] knows.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Cut, Kind, PruneError, goes, leaves};
use crate::record::{
    log::{
        blocks::{BLOCK, Blocks},
        hash::{Hash, LeafHash},
        leaf::Form,
    },
    store::{
        columns::Leaves,
        pages::{Conn, Place, Whose},
        recover,
    },
};

/// Rows that are read at a time.
const MANY: i64 = 2000;

/// Entries of the log that are read at a time.
const ENTRIES: i64 = 10_000;

/// The tables of holds.
const OF_HOLDS: [&str; 2] = ["holds", "hold_releases"];

/// What a daemon remembers of its log, as long as it runs.
#[derive(Debug, Default)]
pub(in crate::record) struct Memory {
    blocks: Blocks,
    /// Which log these are of.
    log: Option<i64>,
    /// The holds and releases that it has seen: they do not go away.
    holds: BTreeMap<(&'static str, i64), LeafHash>,
}

impl Memory {
    /// Reads what was added to the log, and which holds there are.
    pub(in crate::record) async fn read(&mut self, conn: &mut Conn<'_>, log: i64) -> Result<(), sqlx::Error> {
        for table in OF_HOLDS {
            for (row, Place { leaf, .. }) in conn.leaves(table, &[], None).await? {
                self.holds.entry((table, row)).or_insert(leaf);
            }
        }
        self.go_on(conn, log).await
    }

    async fn go_on(&mut self, conn: &mut Conn<'_>, log: i64) -> Result<(), sqlx::Error> {
        if self.log != Some(log) {
            (self.blocks, self.log) = (Blocks::default(), Some(log));
        }
        loop {
            let from = self.blocks.size();
            let entries = conn.entries(log, from.cast_signed(), ENTRIES).await?;
            if entries.is_empty() {
                return Ok(());
            }
            entries.into_iter().for_each(|entry| self.blocks.append(entry.leaf));
        }
    }

    /// Whether the entries at these places are those of the log whose frontier this is. Otherwise, which is not.
    async fn prove(
        &mut self,
        conn: &mut Conn<'_>,
        log: i64,
        frontier: &[Hash],
        places: &BTreeMap<u64, LeafHash>,
    ) -> Result<(), PruneError> {
        self.go_on(conn, log).await?;
        if self.blocks.frontier() != frontier {
            // What was read may be what is wrong: it is read again the next time.
            self.blocks = Blocks::default();
            return Err(PruneError::Log);
        }
        let mut last: Option<(u64, Vec<LeafHash>)> = None;
        for (index, leaf) in places {
            let (block, within) = (index / BLOCK, usize::try_from(index % BLOCK).unwrap_or_default());
            let leaves = match last.take().filter(|(known, _)| *known == block) {
                Some((_, leaves)) => leaves,
                None => {
                    let from = (block * BLOCK).cast_signed();
                    let entries = conn.entries(log, from, BLOCK.cast_signed()).await?;
                    let leaves: Vec<LeafHash> = entries.into_iter().map(|entry| entry.leaf).collect();
                    if !self.blocks.has(block, &leaves) {
                        return Err(PruneError::Log);
                    }
                    leaves
                }
            };
            if leaves.get(within) != Some(leaf) {
                return Err(PruneError::Log);
            }
            last = Some((block, leaves));
        }
        Ok(())
    }
}

/// Where what was read is logged, in this host's log.
#[derive(Debug, Default)]
struct Places(BTreeMap<u64, LeafHash>);

impl Places {
    fn add(&mut self, cut: &Cut, place: &Place) {
        if place.log == cut.log {
            self.0.insert(place.index, place.leaf);
        }
    }
}

/// Rows that were logged as they are, by what they are looked up by.
#[derive(Debug, Default)]
struct Grounds {
    calls: HashMap<String, Form>,
    outcomes: HashMap<String, Form>,
    sessions: HashMap<String, Form>,
    ends: HashMap<String, Form>,
    identities: Vec<Form>,
    holds: Vec<Hold>,
}

/// A hold that is in force.
#[derive(Debug)]
struct Hold {
    session: Option<String>,
    workload: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

/// Whether these rows may go, by what the log has. Says their ids, of those that have some: what else goes must belong to them.
/// `frontier`: that of the daemon's log, where there is a daemon.
pub(super) async fn check(
    conn: &mut Conn<'_>,
    cut: &Cut,
    kind: Kind,
    rows: &[i64],
    frontier: Option<&[Hash]>,
) -> Result<HashSet<String>, PruneError> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let mut places = Places::default();
    let going = vouched(conn, cut, known(kind.table())?, rows, &mut places).await?;
    let grounds = Grounds::read(conn, cut, kind, &going, &mut places).await?;
    if let Some((memory, frontier)) = cut.memory.as_ref().zip(frontier) {
        memory.lock().await.prove(conn, cut.log, frontier, &places.0).await?;
    }
    match going.iter().find(|form| !grounds.let_go(cut, kind, form)) {
        Some(form) => Err(PruneError::Otherwise { table: kind.table(), row: form.row() }),
        None => Ok(texts(&going, "id").into_iter().collect()),
    }
}

impl Grounds {
    async fn read(
        conn: &mut Conn<'_>,
        cut: &Cut,
        kind: Kind,
        going: &[Form],
        places: &mut Places,
    ) -> Result<Self, PruneError> {
        let mut grounds = Self { holds: in_force(conn, cut, places).await?, ..Self::default() };
        let sessions = match kind {
            Kind::Events => return Ok(grounds),
            Kind::Bodies => {
                let ids = texts(going, "call");
                grounds.calls = by(found(conn, cut, "calls", "id", &ids, places).await?, "id");
                grounds.outcomes = by(found(conn, cut, "outcomes", "call", &ids, places).await?, "call");
                texts(grounds.calls.values(), "session")
            }
            Kind::Calls => {
                let ids = texts(going, "id");
                grounds.outcomes = by(found(conn, cut, "outcomes", "call", &ids, places).await?, "call");
                texts(going, "session")
            }
            Kind::Identities => texts(going, "session"),
            Kind::Sessions => texts(going, "id"),
        };
        grounds.sessions = by(found(conn, cut, "sessions", "id", &sessions, places).await?, "id");
        grounds.ends = by(found(conn, cut, "session_ends", "session", &sessions, places).await?, "session");
        if kind != Kind::Bodies {
            grounds.identities = found(conn, cut, "identities", "session", &sessions, places).await?;
        }
        Ok(grounds)
    }

    /// The same as [`Kind::goes`], of what these rows say.
    fn let_go(&self, cut: &Cut, kind: Kind, form: &Form) -> bool {
        let Some(before) = kind.before(cut) else { return false };
        let is_old = |form: &Form, column| form.text(column).is_some_and(|time| time < before);
        let of = |column| form.text(column).and_then(|id| self.sessions.get(id));
        let has_ended = |call: &str| self.outcomes.contains_key(call);
        match kind {
            Kind::Bodies => {
                form.text("call").and_then(|id| self.calls.get_key_value(id)).is_some_and(|(id, call)| {
                    let session = call.text("session").and_then(|id| self.sessions.get(id));
                    is_old(call, "time")
                        && has_ended(id)
                        && session.is_some_and(|session| !self.holds(session))
                })
            }
            Kind::Calls => {
                is_old(form, "time")
                    && form.text("id").is_some_and(has_ended)
                    && of("session").is_some_and(|session| self.session_goes(cut, before, session))
            }
            Kind::Identities => of("session").is_some_and(|session| self.session_goes(cut, before, session)),
            Kind::Sessions => self.session_goes(cut, before, form),
            Kind::Events => {
                let is_kept = form.text("kind").is_none_or(|kind| goes::KEPT_EVENTS.contains(&kind));
                is_old(form, "time") && !is_kept && !self.holds_event(form)
            }
        }
    }

    /// Whether a session goes by its own rows.
    fn session_goes(&self, cut: &Cut, before: &str, session: &Form) -> bool {
        let Some(id) = session.text("id") else { return false };
        let Some(end) = self.ends.get(id) else { return false };
        let bars = end.text("reason") == Some(recover::KILLED.as_str())
            && session.text("boot_id") == Some(cut.boot.as_str());
        let lives = self.identities.iter().any(|identity| {
            identity.text("session") == Some(id)
                && identity.text("token_digest").is_some()
                && identity.text("expires").is_some_and(|expires| *expires > *cut.now)
        });
        let is_old = |form: &Form, column| form.text(column).is_some_and(|time| time < before);
        is_old(session, "started") && is_old(end, "ended") && !bars && !lives && !self.holds(session)
    }

    /// Whether a hold holds the session.
    fn holds(&self, session: &Form) -> bool {
        let (id, workload, started) = (session.text("id"), session.text("workload"), session.text("started"));
        let ended = id.and_then(|id| self.ends.get(id)).and_then(|end| end.text("ended"));
        self.holds.iter().any(|hold| hold.is_of(id, workload) || hold.holds_time(started, ended))
    }

    fn holds_event(&self, event: &Form) -> bool {
        let time = event.text("time");
        self.holds.iter().any(|hold| {
            hold.is_of(event.text("session"), event.text("workload")) || hold.holds_time(time, time)
        })
    }
}

impl Hold {
    fn new(form: &Form) -> Self {
        let text = |column| form.text(column).map(ToOwned::to_owned);
        Self {
            session: text("session"),
            workload: text("workload"),
            since: text("since"),
            until: text("until"),
        }
    }

    fn is_of(&self, session: Option<&str>, workload: Option<&str>) -> bool {
        let same = |held: &Option<String>, found| held.is_some() && held.as_deref() == found;
        same(&self.session, session) || same(&self.workload, workload)
    }

    /// Whether it holds what went on from `began` to `ended`. What is not known is held.
    fn holds_time(&self, began: Option<&str>, ended: Option<&str>) -> bool {
        let is_before = |time: Option<&str>, bound: &String| time.is_none_or(|time| time < bound.as_str());
        let is_from = |time: Option<&str>, bound: &String| time.is_none_or(|time| time >= bound.as_str());
        (self.since.is_some() || self.until.is_some())
            && self.until.as_ref().is_none_or(|until| is_before(began, until))
            && self.since.as_ref().is_none_or(|since| is_from(ended, since))
    }
}

/// The holds that are in force: every hold that was ever logged must be there, and a release counts only if it was logged.
async fn in_force(conn: &mut Conn<'_>, cut: &Cut, places: &mut Places) -> Result<Vec<Hold>, PruneError> {
    let read = async |conn: &mut Conn<'_>, places: &mut Places| {
        let released = whole(conn, cut, known("hold_releases")?, places).await?;
        let released: HashSet<String> = texts(&released, "hold").into_iter().collect();
        let holds = whole(conn, cut, known("holds")?, places).await?;
        let in_force = holds.iter().filter(|hold| hold.text("id").is_none_or(|id| !released.contains(id)));
        Ok(in_force.map(Hold::new).collect())
    };
    match read(conn, places).await {
        // Who only looks holds nobody back: between two questions somebody may have added one.
        Err(PruneError::Unlogged { .. } | PruneError::Gone { .. }) if cut.is_dry => read(conn, places).await,
        found => found,
    }
}

/// Every row of a table, whoever logged it; a row that is not there although it was logged is an error.
async fn whole(
    conn: &mut Conn<'_>,
    cut: &Cut,
    leaves: &'static Leaves,
    places: &mut Places,
) -> Result<Vec<Form>, PruneError> {
    let table = leaves.table;
    let mut logged = conn.leaves(table, &[], None).await?;
    logged.values().for_each(|place| places.add(cut, place));
    if let Some(memory) = &cut.memory {
        let seen = &mut memory.lock().await.holds;
        let of_table = seen.iter().filter(|((of, _), _)| *of == table);
        for ((_, row), leaf) in of_table {
            match logged.get(row) {
                Some(place) if place.leaf == *leaf => {}
                Some(_) => return Err(PruneError::Altered { table, row: *row }),
                None => return Err(PruneError::Gone { table, row: *row }),
            }
        }
        seen.extend(logged.iter().map(|(row, place)| ((table, *row), place.leaf)));
    }
    let (mut forms, mut from) = (Vec::new(), i64::MIN);
    loop {
        let more = conn.rows(leaves, Whose::Anybody, from, MANY).await?;
        let Some(last) = more.last() else { break };
        from = last.row().saturating_add(1);
        forms.extend(more);
    }
    for form in &forms {
        let row = form.row();
        match logged.remove(&row) {
            Some(place) if place.leaf == form.hash() => {}
            Some(_) => return Err(PruneError::Altered { table, row }),
            None => return Err(PruneError::Unlogged { table, row }),
        }
    }
    match logged.keys().next() {
        Some(row) => Err(PruneError::Gone { table, row: *row }),
        None => Ok(forms),
    }
}

/// The rows of a table whose `column` is one of these, each as this host logged it.
async fn found(
    conn: &mut Conn<'_>,
    cut: &Cut,
    table: &'static str,
    column: &str,
    texts: &[String],
    places: &mut Places,
) -> Result<Vec<Form>, PruneError> {
    let sql = format!("SELECT t.seq FROM {table} AS t WHERE t.{column} {{rows}} ORDER BY t.seq");
    let rows: Vec<(i64,)> = conn.among_texts(&sql, texts).await?;
    let rows: Vec<i64> = rows.into_iter().map(|(row,)| row).collect();
    vouched(conn, cut, known(table)?, &rows, places).await
}

/// These rows, each as this host logged it.
async fn vouched(
    conn: &mut Conn<'_>,
    cut: &Cut,
    leaves: &'static Leaves,
    rows: &[i64],
    places: &mut Places,
) -> Result<Vec<Form>, PruneError> {
    let forms = conn.forms(leaves, rows).await?;
    let logged = conn.leaves(leaves.table, &cut.own, Some(rows)).await?;
    for form in &forms {
        match logged.get(&form.row()).filter(|place| place.leaf == form.hash()) {
            Some(place) => places.add(cut, place),
            None => return Err(PruneError::Altered { table: leaves.table, row: form.row() }),
        }
    }
    Ok(forms)
}

/// These rows, each as one of these logs has it.
pub(in crate::record) async fn faithful(
    conn: &mut Conn<'_>,
    leaves: &'static Leaves,
    logs: &[i64],
    rows: &[i64],
) -> Result<Vec<Form>, PruneError> {
    let forms = conn.forms(leaves, rows).await?;
    let logged = conn.leaves(leaves.table, logs, Some(rows)).await?;
    let leaf = |form: &Form| logged.get(&form.row()).map(|place| place.leaf);
    match forms.iter().find(|form| leaf(form) != Some(form.hash())) {
        Some(form) => Err(PruneError::Altered { table: leaves.table, row: form.row() }),
        None => Ok(forms),
    }
}

fn known(table: &'static str) -> Result<&'static Leaves, PruneError> {
    leaves(table).ok_or(PruneError::NoTable(table))
}

/// The different texts in a column.
fn texts<'f>(forms: impl IntoIterator<Item = &'f Form>, column: &str) -> Vec<String> {
    let texts: HashSet<&str> = forms.into_iter().filter_map(|form| form.text(column)).collect();
    texts.into_iter().map(ToOwned::to_owned).collect()
}

fn by(forms: Vec<Form>, column: &str) -> HashMap<String, Form> {
    let key = |form: Form| Some((form.text(column)?.to_owned(), form));
    forms.into_iter().filter_map(key).collect()
}
