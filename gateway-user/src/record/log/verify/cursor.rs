//! One table while the log is read: its next row, and the tombstones of its removed ones.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
};

use super::super::{
    tombstone::{Pruned, Tombstone},
    writer::Entry,
};
use super::{Discrepancy, Found, Source, VerifyError};

/// Where in a table the log is.
#[derive(Debug)]
pub(super) struct Cursor {
    table: Cow<'static, str>,
    /// The next row: the outer `None` until it is read, the inner one at the table's end.
    next: Option<Option<Found>>,
    /// The last row that the log has named.
    last: Option<i64>,
    /// The tombstones that are not closed, by their numbers.
    graves: HashMap<i64, Grave>,
    /// What they stand for, ascending; the first is the one that rows now fall into, or the next.
    spans: VecDeque<Span>,
}

/// A tombstone, and the entries so far that it stands for.
#[derive(Debug)]
struct Grave {
    tombstone: Tombstone,
    pruned: Pruned,
}

/// Rows that a tombstone stands for.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: i64,
    last: i64,
    tombstone: i64,
}

impl Cursor {
    pub(super) fn new(table: Cow<'static, str>) -> Self {
        Self { table, next: None, last: None, graves: HashMap::new(), spans: VecDeque::new() }
    }

    pub(super) fn table(&self) -> &Cow<'static, str> {
        &self.table
    }

    /// The last row that the log has named.
    pub(super) fn last(&self) -> Option<i64> {
        self.last
    }

    pub(super) fn bury(&mut self, tombstone: Tombstone) -> Result<(), Discrepancy> {
        let number = tombstone.row;
        let senseless = Discrepancy::TombstoneSenseless { tombstone: number };
        let Some(spans) = tombstone.spans() else { return Err(senseless) };
        self.spans.extend(spans.into_iter().map(|(first, last)| Span { first, last, tombstone: number }));
        match self.graves.insert(number, Grave { tombstone, pruned: Pruned::default() }) {
            Some(_) => Err(senseless),
            None => Ok(()),
        }
    }

    /// All tombstones are there: puts what they stand for into order.
    pub(super) fn settle(&mut self) -> Result<(), Discrepancy> {
        self.spans.make_contiguous().sort_by_key(|span| span.first);
        let mut free_from = None;
        for span in &self.spans {
            if free_from.is_some_and(|from| span.first <= from) {
                return Err(Discrepancy::TombstoneSenseless { tombstone: span.tombstone });
            }
            free_from = Some(span.last);
        }
        Ok(())
    }

    /// The next row.
    pub(super) fn peek<S: Source>(&mut self, source: &mut S) -> Result<Option<Found>, VerifyError<S::Error>> {
        match self.next {
            Some(next) => Ok(next),
            None => {
                let next = source.row(&self.table).map_err(VerifyError::Source)?;
                self.next = Some(next);
                Ok(next)
            }
        }
    }

    /// The next row is done with.
    pub(super) fn take(&mut self) {
        self.next = None;
    }

    /// The row with this number, if it is there.
    pub(super) fn skip_to<S: Source>(
        &mut self,
        row: i64,
        source: &mut S,
    ) -> Result<Option<Found>, VerifyError<S::Error>> {
        loop {
            match self.peek(source)? {
                Some(found) if found.row < row => self.take(),
                found => return Ok(found.filter(|found| found.row == row)),
            }
        }
    }

    /// The tombstone that stands for this row. One that the log has come to is closed: it stands for nothing that
    /// is logged after it.
    pub(super) fn grave(&self, row: i64) -> Option<i64> {
        let span = self.spans.front()?;
        let stands = (span.first..=span.last).contains(&row) && self.graves.contains_key(&span.tombstone);
        stands.then_some(span.tombstone)
    }

    /// The log has named this row; a tombstone may stand for it.
    pub(super) fn logged(&mut self, entry: &Entry, grave: Option<i64>) {
        self.last = Some(entry.row);
        if let Some(grave) = grave.and_then(|grave| self.graves.get_mut(&grave)) {
            grave.pruned.add(entry);
        }
    }

    /// No entry will come for rows before this one.
    pub(super) fn close_before(&mut self, row: i64) -> Result<(), Discrepancy> {
        while let Some(span) = self.spans.front().copied().filter(|span| span.last < row) {
            self.spans.pop_front();
            let is_last = |grave: &Grave| grave.tombstone.last == span.last;
            if self.graves.get(&span.tombstone).is_some_and(is_last) {
                self.close(span.tombstone)?;
            }
        }
        Ok(())
    }

    /// The log has come to this tombstone: what it stands for is before it. It may be closed already, or another table's.
    pub(super) fn close(&mut self, tombstone: i64) -> Result<(), Discrepancy> {
        match self.graves.remove(&tombstone) {
            Some(grave) if !grave.tombstone.fits(&grave.pruned) => Err(altered(&grave.tombstone)),
            Some(_) | None => Ok(()),
        }
    }
}

fn altered(tombstone: &Tombstone) -> Discrepancy {
    Discrepancy::PrunedAltered {
        tombstone: tombstone.row,
        table: tombstone.table.clone().into(),
        first: tombstone.first,
        last: tombstone.last,
    }
}
