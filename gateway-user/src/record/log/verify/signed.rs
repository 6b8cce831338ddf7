//! The checkpoints, each held against the log where it has come to the checkpoint's size.

use std::collections::VecDeque;

use super::super::{
    checkpoint::{Checkpoint, SignedCheckpoint},
    hash::Hash,
    note::VerifierKey,
    tree::Tree,
};
use super::{Discrepancy, Source, Stored, VerifyError, Which};

/// What was signed.
#[derive(Debug)]
pub(super) struct Signatures<'t> {
    keys: &'t [VerifierKey],
    /// Those that were kept elsewhere, by size.
    given: VecDeque<&'t SignedCheckpoint>,
    /// The next stored one: the outer `None` until it is read, the inner one after the last.
    next: Option<Option<Stored>>,
    count: u64,
    size: u64,
}

impl<'t> Signatures<'t> {
    pub(super) fn new(keys: &'t [VerifierKey], against: &'t [SignedCheckpoint]) -> Self {
        let mut given: VecDeque<_> = against.iter().collect();
        given.make_contiguous().sort_by_key(|signed| signed.checkpoint().size());
        Self { keys, given, next: None, count: 0, size: 0 }
    }

    /// How many fit.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The size of the greatest that fits.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Holds those of the tree's size against it.
    pub(super) fn check<S: Source>(
        &mut self,
        tree: &Tree,
        source: &mut S,
    ) -> Result<(), VerifyError<S::Error>> {
        while let Some(signed) = self.given.front().filter(|s| s.checkpoint().size() <= tree.size()) {
            self.compare(tree, signed.checkpoint(), Which::Given)?;
            self.given.pop_front();
        }
        loop {
            let next = match self.next.take() {
                Some(next) => next,
                None => source.checkpoint().map_err(VerifyError::Source)?,
            };
            match next {
                Some(stored) if stored.size <= tree.size() => {
                    let checkpoint = self.believe(&stored)?;
                    self.compare(tree, checkpoint.checkpoint(), Which::Stored)?;
                    if stored.frontier
                        != tree.frontier().iter().flat_map(Hash::as_bytes).copied().collect::<Vec<u8>>()
                    {
                        return Err(
                            Discrepancy::CheckpointAltered { size: stored.size, part: "frontier" }.into()
                        );
                    }
                }
                other => {
                    self.next = Some(other);
                    return Ok(());
                }
            }
        }
    }

    /// The log has ended: no checkpoint covers more.
    pub(super) fn end(&mut self, tree: &Tree) -> Result<(), Discrepancy> {
        let found = tree.size();
        if let Some(Some(stored)) = self.next.take() {
            let size = self.believe(&stored)?.checkpoint().size();
            return Err(Discrepancy::LogShorter { which: Which::Stored, size, found });
        }
        if let Some(signed) = self.given.front() {
            let size = signed.checkpoint().size();
            return Err(Discrepancy::LogShorter { which: Which::Given, size, found });
        }
        Ok(())
    }

    /// The stored checkpoint, if the log's key signed it for this size.
    fn believe(&self, stored: &Stored) -> Result<SignedCheckpoint, Discrepancy> {
        let size = stored.size;
        let signed = SignedCheckpoint::open(&stored.note, self.keys)
            .map_err(|why| Discrepancy::CheckpointUnbelieved { size, why })?;
        if signed.checkpoint().size() == size {
            Ok(signed)
        } else {
            Err(Discrepancy::CheckpointAltered { size, part: "size" })
        }
    }

    fn compare(&mut self, tree: &Tree, checkpoint: &Checkpoint, which: Which) -> Result<(), Discrepancy> {
        let size = checkpoint.size();
        if checkpoint.root() != tree.root() {
            return Err(Discrepancy::RootDiffers { which, size, since: self.size });
        }
        self.count += 1;
        self.size = size;
        Ok(())
    }
}
