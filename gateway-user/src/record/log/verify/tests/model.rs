//! A database in memory, written through [`Log`].

use std::{borrow::Cow, collections::BTreeMap, convert::Infallible, time::Instant};

use crate::record::log::{
    checkpoint::SignedCheckpoint,
    hash::{Hash, LeafHash},
    key::LogKey,
    leaf::{Form, Value},
    note::{KeyName, Sign, VerifierKey},
    tombstone::{self, Pruned, Tombstone},
    verify::{Discrepancy, Found, Report, Source, Stored, Trust, VerifyError, verify},
    writer::{Entry, Log},
};

pub(super) const TABLES: [&str; 4] = ["sessions", "calls", "outcomes", tombstone::TABLE];

/// A row of any table but `tombstones`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) table: &'static str,
    pub(super) number: i64,
    pub(super) text: Vec<u8>,
    pub(super) count: Option<i64>,
}

impl Row {
    fn form(&self) -> Form {
        Form::new(self.table, self.number).column("text", Value::Text(&self.text)).column("count", self.count)
    }
}

/// What is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) rows: Vec<Row>,
    pub(super) tombstones: Vec<Tombstone>,
    pub(super) log: Vec<Entry>,
    pub(super) checkpoints: Vec<Stored>,
}

/// The daemon: the image, the log's state, the key.
pub(super) struct Daemon {
    pub(super) image: Image,
    pub(super) log: Log,
    pub(super) key: LogKey,
    /// What it handed out.
    pub(super) notes: Vec<String>,
    numbers: BTreeMap<&'static str, i64>,
    now: Instant,
}

pub(super) fn origin() -> KeyName {
    "host.example/log/1".parse().unwrap()
}

pub(super) fn key(name: &KeyName, seed: u8) -> LogKey {
    LogKey::from_seed(&[seed; 32], name.clone()).unwrap()
}

impl Daemon {
    pub(super) fn new() -> Self {
        let image =
            Image { rows: Vec::new(), tombstones: Vec::new(), log: Vec::new(), checkpoints: Vec::new() };
        let (log, key) = (Log::new(origin()), key(&origin(), 1));
        Self { image, log, key, notes: Vec::new(), numbers: BTreeMap::new(), now: Instant::now() }
    }

    /// One transaction with a row in each of these tables.
    pub(super) fn write(&mut self, tables: &[&'static str]) {
        let rows: Vec<Row> = tables
            .iter()
            .map(|table| {
                let number = self.number(table);
                let text = format!("{table}-{number}").into_bytes();
                Row { table, number, text, count: (number % 2 == 0).then_some(number * 10) }
            })
            .collect();
        let forms: Vec<Form> = rows.iter().map(Row::form).collect();
        self.commit(&forms);
        self.image.rows.extend(rows);
    }

    pub(super) fn checkpoint(&mut self) {
        let signed = self.log.checkpoint(&[&self.key]).unwrap();
        let frontier = self.log.frontier().iter().flat_map(Hash::as_bytes).copied().collect();
        let note = signed.note().as_bytes().to_vec();
        self.image.checkpoints.push(Stored { size: self.log.size(), frontier, note });
        self.log.signed(&signed, self.now);
        self.notes.push(signed.note().to_owned());
    }

    /// The next rows of this table have numbers that are greater by so many, as where other hosts write, too.
    pub(super) fn skip(&mut self, table: &'static str, numbers: i64) {
        *self.numbers.entry(table).or_default() += numbers;
    }

    /// Removes rows and leaves a tombstone, as retention does.
    pub(super) fn prune(&mut self, table: &str, first: i64, last: i64) {
        let tombstone = self.tombstone(table, first, last).sign(&origin(), &[&self.key]).unwrap();
        self.bury(tombstone);
        self.image.rows.retain(|row| row.table != table || !(first..=last).contains(&row.number));
    }

    pub(super) fn tombstone(&mut self, table: &str, first: i64, last: i64) -> Tombstone {
        let mut pruned = Pruned::default();
        let within = |entry: &&Entry| entry.table == table && (first..=last).contains(&entry.row);
        self.image.log.iter().filter(within).for_each(|entry| pruned.add(entry));
        Tombstone {
            row: self.number(tombstone::TABLE),
            time: "2026-03-01T02:15:00.000000Z".to_owned(),
            table: table.to_owned(),
            first,
            last,
            row_count: pruned.rows(),
            digest: pruned.digest().as_bytes().to_vec(),
            actor: "uid 0".to_owned(),
            reason: "older than 90 days".to_owned(),
            note: String::new(),
            spans: None,
        }
    }

    /// The same of rows that are not next to each other.
    pub(super) fn prune_spans(&mut self, table: &str, spans: &[(i64, i64)]) {
        let is_within = |row: i64| spans.iter().any(|(first, last)| (*first..=*last).contains(&row));
        let mut pruned = Pruned::default();
        let within = |entry: &&Entry| entry.table == table && is_within(entry.row);
        self.image.log.iter().filter(within).for_each(|entry| pruned.add(entry));
        let tombstone = Tombstone {
            row_count: pruned.rows(),
            digest: pruned.digest().as_bytes().to_vec(),
            spans: Some(serde_json::to_string(spans).unwrap()),
            ..self.tombstone(table, spans[0].0, spans[spans.len() - 1].1)
        };
        let tombstone = tombstone.sign(&origin(), &[&self.key]).unwrap();
        self.bury(tombstone);
        self.image.rows.retain(|row| row.table != table || !is_within(row.number));
    }

    pub(super) fn bury(&mut self, tombstone: Tombstone) {
        self.commit(&[tombstone.form()]);
        self.image.tombstones.push(tombstone);
    }

    fn commit(&mut self, forms: &[Form]) {
        let draft = self.log.append(forms);
        self.image.log.extend_from_slice(draft.entries());
        self.log.commit(draft, self.now).unwrap();
    }

    fn number(&mut self, table: &'static str) -> i64 {
        let number = self.numbers.entry(table).or_default();
        *number += 1;
        *number
    }
}

/// Some sessions, calls and outcomes, of which some were pruned, and five checkpoints.
///
/// ```text
/// 0 sessions 1       4 calls 3           9 sessions 3              13 sessions 4                16 calls 8
/// 1 calls 1          5 outcomes 2       10 tombstones 1            14 calls 7                   17 outcomes 4
/// 2 outcomes 1       6 sessions 2          (calls 1 to 2)          15 tombstones 2              18 outcomes 5
/// 3 calls 2          7 calls 4          11 calls 5                    (outcomes 1 to 2)         ── checkpoint 19
/// ── checkpoint 4    8 outcomes 3       12 calls 6                 ── checkpoint 16             19 sessions 5
///                    ── checkpoint 9    ── checkpoint 13                                        20 calls 9
/// ```
pub(super) fn example() -> Daemon {
    let mut daemon = Daemon::new();
    daemon.write(&["sessions", "calls", "outcomes", "calls"]);
    daemon.checkpoint();
    daemon.write(&["calls", "outcomes"]);
    daemon.write(&["sessions"]);
    daemon.write(&["calls", "outcomes"]);
    daemon.checkpoint();
    daemon.write(&["sessions"]);
    daemon.prune("calls", 1, 2);
    daemon.write(&["calls", "calls"]);
    daemon.checkpoint();
    daemon.write(&["sessions", "calls"]);
    daemon.prune("outcomes", 1, 2);
    daemon.checkpoint();
    daemon.write(&["calls", "outcomes", "outcomes"]);
    daemon.checkpoint();
    daemon.write(&["sessions", "calls"]);
    daemon
}

/// Reads an image in the orders that a database would.
pub(super) struct Reader {
    pub(super) image: Image,
    /// Entries that the tombstones are said to have, instead of those in the log.
    pub(super) said: Vec<Entry>,
    entries: std::vec::IntoIter<Entry>,
    rows: BTreeMap<&'static str, std::vec::IntoIter<Found>>,
    checkpoints: std::vec::IntoIter<Stored>,
}

impl Reader {
    pub(super) fn new(image: &Image) -> Self {
        let mut image = image.clone();
        image.log.sort_by_key(|entry| entry.index);
        image.checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        let rows = TABLES.map(|table| {
            let rows = image.rows.iter().filter(|row| row.table == table);
            let rows = rows.map(|row| Found { row: row.number, leaf: row.form().hash() });
            let tombstones = image.tombstones.iter().filter(|_| table == tombstone::TABLE);
            let tombstones = tombstones.map(|row| Found { row: row.row, leaf: row.form().hash() });
            let mut found: Vec<Found> = rows.chain(tombstones).collect();
            found.sort_by_key(|found| found.row);
            (table, found.into_iter())
        });
        let (entries, checkpoints) = (image.log.clone().into_iter(), image.checkpoints.clone().into_iter());
        Self { image, said: Vec::new(), entries, rows: rows.into_iter().collect(), checkpoints }
    }
}

impl Source for Reader {
    type Error = Infallible;

    fn tables(&self) -> Vec<Cow<'static, str>> {
        TABLES.map(Cow::from).to_vec()
    }

    fn tombstones(&mut self) -> Result<Vec<(Tombstone, Option<Entry>)>, Infallible> {
        let entry = |row: i64| {
            let names = |entry: &&Entry| entry.table == tombstone::TABLE && entry.row == row;
            self.said.iter().chain(&self.image.log).find(names).cloned()
        };
        Ok(self.image.tombstones.iter().map(|row| (row.clone(), entry(row.row))).collect())
    }

    fn entry(&mut self) -> Result<Option<Entry>, Infallible> {
        Ok(self.entries.next())
    }

    fn row(&mut self, table: &str) -> Result<Option<Found>, Infallible> {
        Ok(self.rows.get_mut(table).and_then(Iterator::next))
    }

    fn checkpoint(&mut self) -> Result<Option<Stored>, Infallible> {
        Ok(self.checkpoints.next())
    }
}

/// Verifies with the daemon's first key.
pub(super) fn check(image: &Image) -> Result<Report, Discrepancy> {
    check_against(image, &[])
}

pub(super) fn check_against(image: &Image, notes: &[&str]) -> Result<Report, Discrepancy> {
    let keys: [VerifierKey; 1] = [key(&origin(), 1).verifier().clone()];
    let trust = notes
        .iter()
        .fold(Trust::new(&origin(), &keys), |trust, note| trust.against(note.as_bytes()).unwrap());
    verify(&mut Reader::new(image), &trust).map_err(|error| match error {
        VerifyError::Discrepancy(discrepancy) => discrepancy,
        VerifyError::Source(never) => match never {},
    })
}

pub(super) fn leaf(bytes: [u8; 32]) -> LeafHash {
    LeafHash::from_bytes(&bytes).unwrap()
}

/// A checkpoint of this image as it is, by a key.
pub(super) fn sign(image: &Image, key: &LogKey) -> SignedCheckpoint {
    let leaves = image.log.iter().map(|entry| entry.leaf);
    let log = Log::restore(origin(), leaves, None, Instant::now()).unwrap();
    log.checkpoint(&[key]).unwrap()
}
