//! One table while the log is read: its next row, and the tombstones of its removed ones.

use std::{borrow::Cow, collections::VecDeque};

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
    /// By the rows they stand for; the first is the one that rows now fall into, or the next.
    graves: VecDeque<Tombstone>,
    /// The entries of the first grave so far.
    pruned: Pruned,
}

impl Cursor {
    pub(super) fn new(table: Cow<'static, str>) -> Self {
        Self { table, next: None, last: None, graves: VecDeque::new(), pruned: Pruned::default() }
    }

    pub(super) fn table(&self) -> &Cow<'static, str> {
        &self.table
    }

    /// The last row that the log has named.
    pub(super) fn last(&self) -> Option<i64> {
        self.last
    }

    pub(super) fn bury(&mut self, tombstone: Tombstone) {
        self.graves.push_back(tombstone);
    }

    /// All tombstones are there: puts them into order.
    pub(super) fn settle(&mut self) -> Result<(), Discrepancy> {
        self.graves.make_contiguous().sort_by_key(|tombstone| tombstone.first);
        let mut free_from = None;
        for tombstone in &self.graves {
            let overlaps = free_from.is_some_and(|from| tombstone.first <= from);
            if overlaps || tombstone.first > tombstone.last || tombstone.row_count < 1 {
                return Err(Discrepancy::TombstoneSenseless { tombstone: tombstone.row });
            }
            free_from = Some(tombstone.last);
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
        let tombstone = self.graves.front()?;
        (tombstone.first..=tombstone.last).contains(&row).then_some(tombstone.row)
    }

    /// The log has named this row.
    pub(super) fn logged(&mut self, entry: &Entry, buried: bool) {
        self.last = Some(entry.row);
        if buried {
            self.pruned.add(entry);
        }
    }

    /// No entry will come for rows before this one.
    pub(super) fn close_before(&mut self, row: i64) -> Result<(), Discrepancy> {
        while self.graves.front().is_some_and(|tombstone| tombstone.last < row) {
            self.close_front()?;
        }
        Ok(())
    }

    /// The log has come to this tombstone: what it stands for is before it.
    pub(super) fn close(&mut self, tombstone: i64) -> Result<(), Discrepancy> {
        match self.graves.iter().position(|grave| grave.row == tombstone) {
            // Already, or another table's.
            None => Ok(()),
            Some(0) => self.close_front(),
            // Nothing was logged of what it stands for.
            Some(at) => self.graves.get(at).map_or(Ok(()), |grave| Err(altered(grave))),
        }
    }

    fn close_front(&mut self) -> Result<(), Discrepancy> {
        let pruned = std::mem::take(&mut self.pruned);
        match self.graves.pop_front() {
            Some(tombstone) if !tombstone.fits(&pruned) => Err(altered(&tombstone)),
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
