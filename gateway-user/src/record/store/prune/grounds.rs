//! What a removal rests on, held against the log.
//!
//! Which rows may go is looked up in SQL ([`super::goes`]). Who can write to the database can have SQL answer what they like: by a
//! view, by an index, by a row that is changed or added for as long as it takes. So it is decided again here, over rows
//! that are what was logged: those that go, those that say how old and whose they are, and every hold. Where the two differ, or
//! a row is not what was logged, nothing is removed. Nor is it where the entry that says what was logged is not the one that this daemon's log
//! has, or a log that this one goes on from: [`Memory`] knows. A log that is merely in the database vouches for nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::{Cut, Kind, PruneError, Seen, goes, leaves};
use crate::record::{
    log::{
        blocks::{BLOCK, Blocks},
        checkpoint::Checkpoint,
        hash::{Hash, LeafHash},
        leaf::Form,
    },
    store::{
        book::RESTARTED,
        columns::Leaves,
        pages::{Conn, LogRow, Place, Whose},
        recover,
    },
};

/// Rows that are read at a time.
const MANY: i64 = 2000;

/// Entries of the log that are read at a time.
const ENTRIES: i64 = 10_000;

/// All entries of a log.
pub(in crate::record) const ALL: u64 = i64::MAX.cast_unsigned();

/// What a daemon remembers of its log, as long as it runs.
#[derive(Debug, Default)]
pub(in crate::record) struct Memory {
    blocks: Blocks,
    /// Which log these are of.
    log: Option<i64>,
    /// Its first entry.
    first: Option<LeafHash>,
    /// The logs that it goes on from, each as far as it was signed; `None` until they are read.
    former: Option<BTreeMap<i64, Blocks>>,
    seen: Seen,
}

impl Memory {
    pub(in crate::record) fn new(seen: Seen) -> Self {
        Self { seen, ..Self::default() }
    }

    /// Reads what was added to the log, which logs of this host it goes on from, and which holds there are. Says which logs vouch for
    /// rows, and with how many of their entries.
    pub(in crate::record) async fn read(
        &mut self,
        conn: &mut Conn<'_>,
        log: i64,
        of_host: &[LogRow],
    ) -> Result<BTreeMap<i64, u64>, sqlx::Error> {
        self.seen.read(conn).await?;
        self.go_on(conn, log).await?;
        let former = match self.former.take() {
            Some(former) => former,
            None => former(conn, log, self.first, of_host).await?,
        };
        let own = former.iter().map(|(log, blocks)| (*log, blocks.size())).chain([(log, ALL)]).collect();
        self.former = Some(former);
        Ok(own)
    }

    async fn go_on(&mut self, conn: &mut Conn<'_>, log: i64) -> Result<(), sqlx::Error> {
        if self.log != Some(log) {
            self.forget();
            self.log = Some(log);
        }
        loop {
            let from = self.blocks.size();
            let entries = conn.entries(log, from.cast_signed(), ENTRIES).await?;
            if entries.is_empty() {
                return Ok(());
            }
            for entry in entries {
                self.first.get_or_insert(entry.leaf);
                self.blocks.append(entry.leaf);
            }
        }
    }

    /// What was read may be what is wrong: it is read again the next time.
    fn forget(&mut self) {
        *self = Self::new(self.seen.clone());
    }

    /// Whether the entries at these places are those of the log whose frontier this is, or of one that it goes on from.
    async fn prove(
        &mut self,
        conn: &mut Conn<'_>,
        log: i64,
        frontier: &[Hash],
        places: &[Place],
    ) -> Result<(), PruneError> {
        self.go_on(conn, log).await?;
        if self.blocks.frontier() != frontier {
            self.forget();
            return Err(PruneError::Log);
        }
        let mut last: Option<((i64, u64), Vec<LeafHash>)> = None;
        for Place { log: of, index, leaf } in places {
            let (block, within) = (index / BLOCK, usize::try_from(index % BLOCK).unwrap_or_default());
            let leaves = match last.take().filter(|(known, _)| *known == (*of, block)) {
                Some((_, leaves)) => leaves,
                None => {
                    let former = self.former.as_ref().and_then(|former| former.get(of));
                    let blocks = if *of == log { Some(&self.blocks) } else { former };
                    let blocks = blocks.ok_or(PruneError::Log)?;
                    let from = block * BLOCK;
                    // Who vouches for a former log vouches for no entry behind those.
                    let many = BLOCK.min(blocks.size().saturating_sub(from));
                    let entries = conn.entries(*of, from.cast_signed(), many.cast_signed()).await?;
                    let leaves: Vec<LeafHash> = entries.into_iter().map(|entry| entry.leaf).collect();
                    if !blocks.has(block, &leaves) {
                        return Err(PruneError::Log);
                    }
                    leaves
                }
            };
            if leaves.get(within) != Some(leaf) {
                return Err(PruneError::Log);
            }
            last = Some(((*of, block), leaves));
        }
        Ok(())
    }
}

/// The logs that a log with this first entry goes on from: each begins with what the one before it was, as far as that was signed.
async fn former(
    conn: &mut Conn<'_>,
    log: i64,
    first: Option<LeafHash>,
    of_host: &[LogRow],
) -> Result<BTreeMap<i64, Blocks>, sqlx::Error> {
    let mut former = BTreeMap::new();
    let (mut of, mut first) = (log, first);
    while let Some(leaf) = first {
        let Some(end) = ended(conn, of, leaf).await? else { break };
        let is_it =
            |row: &&LogRow| row.origin == end.origin() && row.id != log && !former.contains_key(&row.id);
        let Some(row) = of_host.iter().find(is_it) else { break };
        let (mut blocks, mut its_first) = (Blocks::default(), None);
        while blocks.size() < end.size() {
            let left = end.size() - blocks.size();
            let many = ENTRIES.min(left.cast_signed());
            let entries = conn.entries(row.id, blocks.size().cast_signed(), many).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                its_first.get_or_insert(entry.leaf);
                blocks.append(entry.leaf);
            }
        }
        if blocks.size() != end.size() || blocks.root() != end.root() {
            break;
        }
        former.insert(row.id, blocks);
        (of, first) = (row.id, its_first);
    }
    Ok(former)
}

/// How far the log was signed that this one took the place of, by this one's first entry. Whoever began this one held the signature
/// against the key.
async fn ended(conn: &mut Conn<'_>, log: i64, first: LeafHash) -> Result<Option<Checkpoint>, sqlx::Error> {
    let entry = conn.entries(log, 0, 1).await?.into_iter().next();
    let entry = entry.filter(|entry| entry.leaf == first && entry.table == "events");
    let Some((entry, events)) = entry.zip(leaves("events")) else { return Ok(None) };
    let forms = conn.forms(events, &[entry.row]).await?;
    let event = forms.first().filter(|form| form.hash() == first && form.text("kind") == Some(RESTARTED));
    let Some(detail) = event.and_then(|event| event.text("detail")) else { return Ok(None) };
    let detail: Value = serde_json::from_str(detail).unwrap_or_default();
    let text = |name: &str| detail.get(name).and_then(Value::as_str);
    let believed = |name: &str| {
        let is_believed = detail.get(format!("{name}_believed")).and_then(Value::as_bool) == Some(true);
        let signed = Checkpoint::parse(&format!("{}\n", text(name).filter(|_| is_believed)?)).ok()?;
        (Some(signed.origin()) == text("old_log")).then_some(signed)
    };
    Ok(["old_checkpoint", "old_file"].into_iter().filter_map(believed).max_by_key(Checkpoint::size))
}

/// Where what was read is logged.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Place>);

impl Places {
    pub(super) fn add(&mut self, place: Place) {
        self.0.push(place);
    }

    /// Whether the log's tree has all of them. `frontier`: that of the daemon's log.
    pub(super) async fn prove(
        mut self,
        conn: &mut Conn<'_>,
        cut: &Cut,
        frontier: &[Hash],
    ) -> Result<(), PruneError> {
        let Some(memory) = &cut.memory else { return Ok(()) };
        self.0.sort_unstable_by_key(|place| (place.log, place.index));
        memory.lock().await.prove(conn, cut.log, frontier, &self.0).await
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

/// Whether these rows may go, by what the log has. Says their ids, of those that have some: what else goes must belong to them. All rests on
/// places in the log, which are to be proven.
pub(super) async fn check(
    conn: &mut Conn<'_>,
    cut: &Cut,
    kind: Kind,
    rows: &[i64],
) -> Result<(HashSet<String>, Places), PruneError> {
    let mut places = Places::default();
    if rows.is_empty() {
        return Ok((HashSet::new(), places));
    }
    let going = vouched(conn, cut, known(kind.table())?, rows, &mut places).await?;
    let grounds = Grounds::read(conn, cut, kind, &going, &mut places).await?;
    match going.iter().find(|form| !grounds.let_go(cut, kind, form)) {
        Some(form) => Err(PruneError::Otherwise { table: kind.table(), row: form.row() }),
        None => Ok((texts(&going, "id").into_iter().collect(), places)),
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
        let is_old = |form, column| is_before(form, column, before);
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
        let is_old = is_before(session, "started", before) && is_before(end, "ended", before);
        is_old && !bars && !lives && !self.holds(session)
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

/// The holds that are in force: every hold that was ever logged must be there, whoever logged it, and a release counts only if it is in a log
/// that vouches, or another host's.
async fn in_force(conn: &mut Conn<'_>, cut: &Cut, places: &mut Places) -> Result<Vec<Hold>, PruneError> {
    let read = async |conn: &mut Conn<'_>, places: &mut Places| {
        let released = whole(conn, cut, known("hold_releases")?, places).await?;
        let released =
            released.iter().filter(|(_, place)| cut.vouches(place) || cut.others.contains(&place.log));
        let released: HashSet<String> = texts(released.map(|(form, _)| form), "hold").into_iter().collect();
        let holds = whole(conn, cut, known("holds")?, places).await?;
        let holds = holds.iter().map(|(form, _)| form);
        let in_force = holds.filter(|hold| hold.text("id").is_none_or(|id| !released.contains(id)));
        Ok(in_force.map(Hold::new).collect())
    };
    match read(conn, places).await {
        // Who only looks holds nobody back: between two questions somebody may have added one.
        Err(PruneError::Unlogged { .. } | PruneError::Gone { .. }) if cut.is_dry => read(conn, places).await,
        found => found,
    }
}

/// Every row of a table, whoever logged it, and where; a row that is not there although it was logged is an error.
async fn whole(
    conn: &mut Conn<'_>,
    cut: &Cut,
    leaves: &'static Leaves,
    places: &mut Places,
) -> Result<Vec<(Form, Place)>, PruneError> {
    let table = leaves.table;
    let mut logged = conn.leaves(table, &[], None).await?;
    logged.values().filter(|place| cut.vouches(place)).for_each(|place| places.add(*place));
    if let Some(memory) = &cut.memory {
        let seen = memory.lock().await.seen.clone();
        for (row, leaf) in seen.of(table) {
            match logged.get(&row) {
                Some(place) if place.leaf == leaf => {}
                Some(_) => return Err(PruneError::Altered { table, row }),
                None => return Err(PruneError::Gone { table, row }),
            }
        }
        logged.iter().for_each(|(row, place)| seen.add(table, *row, place.leaf));
    }
    let (mut forms, mut from) = (Vec::new(), i64::MIN);
    loop {
        let more = conn.rows(leaves, Whose::Anybody, from, MANY).await?;
        let Some(last) = more.last() else { break };
        from = last.row().saturating_add(1);
        forms.extend(more);
    }
    let mut found = Vec::new();
    for form in forms {
        let row = form.row();
        match logged.remove(&row) {
            Some(place) if place.leaf == form.hash() => found.push((form, place)),
            Some(_) => return Err(PruneError::Altered { table, row }),
            None => return Err(PruneError::Unlogged { table, row }),
        }
    }
    match logged.keys().next() {
        Some(row) => Err(PruneError::Gone { table, row: *row }),
        None => Ok(found),
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

/// These rows, each as a log has it that vouches.
async fn vouched(
    conn: &mut Conn<'_>,
    cut: &Cut,
    leaves: &'static Leaves,
    rows: &[i64],
    places: &mut Places,
) -> Result<Vec<Form>, PruneError> {
    let logs: Vec<i64> = cut.own.keys().copied().collect();
    as_logged(conn, leaves, &logs, rows, |place| {
        places.add(*place);
        cut.vouches(place)
    })
    .await
}

/// These rows, each as one of these logs has it.
pub(in crate::record) async fn faithful(
    conn: &mut Conn<'_>,
    leaves: &'static Leaves,
    logs: &[i64],
    rows: &[i64],
) -> Result<Vec<Form>, PruneError> {
    as_logged(conn, leaves, logs, rows, |_| true).await
}

/// These rows, each as one of these logs has it, at a place that `counts`.
async fn as_logged(
    conn: &mut Conn<'_>,
    leaves: &'static Leaves,
    logs: &[i64],
    rows: &[i64],
    mut counts: impl FnMut(&Place) -> bool,
) -> Result<Vec<Form>, PruneError> {
    let forms = conn.forms(leaves, rows).await?;
    let logged = conn.leaves(leaves.table, logs, Some(rows)).await?;
    for form in &forms {
        let place = logged.get(&form.row()).filter(|place| place.leaf == form.hash());
        if !place.is_some_and(&mut counts) {
            return Err(PruneError::Altered { table: leaves.table, row: form.row() });
        }
    }
    Ok(forms)
}

fn known(table: &'static str) -> Result<&'static Leaves, PruneError> {
    leaves(table).ok_or(PruneError::NoTable(table))
}

/// Whether the time in a column is one before this.
fn is_before(form: &Form, column: &str, time: &str) -> bool {
    form.text(column).is_some_and(|found| found < time)
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
