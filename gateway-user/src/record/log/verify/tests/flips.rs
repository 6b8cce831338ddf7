//! A bit is flipped in every byte of a small database; each flip is found, and what was hit is named.

use std::borrow::Cow;

use super::model::{Image, TABLES, check, example, leaf};
use crate::record::log::{
    tombstone::TABLE,
    verify::{Discrepancy, Which},
};

/// What a byte belongs to. Numbers are before and after the flip: the flip may have hit them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Row { table: String, numbers: [i64; 2] },
    Entry { indexes: [u64; 2], table: String, row: i64 },
    Checkpoint { sizes: [u64; 2] },
}

/// Goes through the bytes of an image, and flips one bit of one of them.
struct Flip {
    /// Bytes to go.
    left: usize,
    bit: u32,
    done: bool,
}

impl Flip {
    fn bytes(&mut self, bytes: &mut [u8]) -> bool {
        if self.done || self.left >= bytes.len() {
            self.left = self.left.saturating_sub(bytes.len());
            return false;
        }
        bytes[self.left] ^= 1 << self.bit;
        self.done = true;
        true
    }

    fn text(&mut self, text: &mut String) -> bool {
        let mut bytes = text.clone().into_bytes();
        let hit = self.bytes(&mut bytes);
        if hit {
            // A database driver refuses what is not UTF-8, or replaces it.
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        hit
    }

    fn number(&mut self, number: &mut i64) -> bool {
        let mut bytes = number.to_be_bytes();
        let hit = self.bytes(&mut bytes);
        *number = i64::from_be_bytes(bytes);
        hit
    }

    fn size(&mut self, number: &mut u64) -> bool {
        let mut signed = number.cast_signed();
        let hit = self.number(&mut signed);
        *number = signed.cast_unsigned();
        hit
    }
}

/// Flips the bit, and says whose it was; `None` after the last byte.
fn flip(image: &mut Image, byte: usize, bit: u32) -> Option<Place> {
    let mut flip = Flip { left: byte, bit, done: false };
    for row in &mut image.rows {
        let before = row.number;
        let mut count = row.count.unwrap_or_default();
        let hit = flip.number(&mut row.number) | flip.bytes(&mut row.text) | flip.number(&mut count);
        // A bit of a NULL makes it a number.
        row.count = if row.count.is_none() && count == 0 { None } else { Some(count) };
        if hit {
            return Some(Place::Row { table: row.table.to_owned(), numbers: [before, row.number] });
        }
    }
    for row in &mut image.tombstones {
        let before = row.row;
        let hit = flip.number(&mut row.row)
            | flip.text(&mut row.time)
            | flip.text(&mut row.table)
            | flip.number(&mut row.first)
            | flip.number(&mut row.last)
            | flip.number(&mut row.row_count)
            | flip.bytes(&mut row.digest)
            | flip.text(&mut row.actor)
            | flip.text(&mut row.reason)
            | flip.text(&mut row.note)
            | row.spans.as_mut().is_some_and(|spans| flip.text(spans));
        if hit {
            return Some(Place::Row { table: TABLE.to_owned(), numbers: [before, row.row] });
        }
    }
    for entry in &mut image.log {
        let before = entry.clone();
        let (mut table, mut hash) = (entry.table.to_string(), *entry.leaf.as_bytes());
        let hit = flip.size(&mut entry.index)
            | flip.text(&mut table)
            | flip.number(&mut entry.row)
            | flip.bytes(&mut hash);
        (entry.table, entry.leaf) = (Cow::from(table), leaf(hash));
        if hit {
            let indexes = [before.index, entry.index];
            return Some(Place::Entry { indexes, table: before.table.into_owned(), row: before.row });
        }
    }
    for stored in &mut image.checkpoints {
        let before = stored.size;
        let hit =
            flip.size(&mut stored.size) | flip.bytes(&mut stored.frontier) | flip.bytes(&mut stored.note);
        if hit {
            return Some(Place::Checkpoint { sizes: [before, stored.size] });
        }
    }
    None
}

/// Whether the discrepancy names what was hit.
fn names(discrepancy: &Discrepancy, place: &Place) -> bool {
    use Discrepancy as D;
    let row = match discrepancy {
        D::RowAltered { table, row, .. }
        | D::RowMissing { table, row, .. }
        | D::RowAdded { table, row }
        | D::RowKept { table, row, .. }
        | D::EntryAltered { table, row, .. } => Some((table.as_ref(), *row..=*row)),
        D::TombstoneUnbelieved { tombstone, .. } | D::TombstoneSenseless { tombstone } => {
            Some((TABLE, *tombstone..=*tombstone))
        }
        D::PrunedAltered { table, first, last, .. } => Some((table.as_ref(), *first..=*last)),
        _ => None,
    };
    let index = match discrepancy {
        D::RowAltered { index, .. }
        | D::RowMissing { index, .. }
        | D::EntryMissing { index }
        | D::EntryRepeated { index }
        | D::EntryAltered { index, .. }
        | D::EntryUnordered { index, .. }
        | D::EntryStray { index, .. } => Some(*index..=*index),
        D::RootDiffers { which: Which::Stored, size, since } => Some(*since..=size.saturating_sub(1)),
        _ => None,
    };
    match place {
        Place::Row { table, numbers } => row.is_some_and(|(named, rows)| {
            named == table && numbers.iter().any(|number| rows.contains(number))
        }),
        Place::Entry { indexes, table, row: number } => {
            row.is_some_and(|(named, rows)| named == table && rows.contains(number))
                || index.is_some_and(|named| indexes.iter().any(|index| named.contains(index)))
        }
        Place::Checkpoint { sizes } => match discrepancy {
            D::CheckpointUnbelieved { size, .. } | D::CheckpointAltered { size, .. } => sizes.contains(size),
            _ => false,
        },
    }
}

#[test]
fn every_flip_is_found_and_named() {
    let image = example().image;
    assert!(check(&image).is_ok());
    assert!(TABLES.iter().all(|table| image.log.iter().any(|entry| entry.table == *table)));
    let mut byte = 0;
    loop {
        let mut flipped = image.clone();
        // The bits take turns: a prime step, so that each field sees all of them.
        let bit = u32::try_from(byte * 5 % 8).unwrap();
        let Some(place) = flip(&mut flipped, byte, bit) else { break };
        match check(&flipped) {
            Ok(_) => panic!("bit {bit} of byte {byte}, {place:?}, is not found"),
            Err(found) => assert!(names(&found, &place), "bit {bit} of byte {byte}, {place:?}: {found}"),
        }
        byte += 1;
    }
    assert!(byte > 3000, "{byte} bytes only");
}
