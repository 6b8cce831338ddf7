//! The log in blocks: what must be kept of it to tell of an entry that is read again whether it is the one that the log has.
//!
//! Who can write to the database can change a row together with its entry for as long as somebody looks. The root of the tree does not say so before
//! all entries are read. A block is a perfect subtree ([RFC 6962 §2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1)): its root is kept, 32 bytes for
//! [`BLOCK`] entries, and one entry costs the reading of its block.

use super::{
    hash::{Hash, LeafHash},
    tree::Tree,
};

/// Leaves of one block.
pub const BLOCK: u64 = 128;

/// The blocks of a log. The default is of a log without leaves.
#[derive(Debug, Clone, Default)]
pub struct Blocks {
    tree: Tree,
    /// The roots of those that are complete.
    roots: Vec<Hash>,
    /// The leaves of the last one, which is not.
    rest: Vec<LeafHash>,
}

impl Blocks {
    /// Adds a leaf.
    pub fn append(&mut self, leaf: LeafHash) {
        self.tree.append(leaf);
        self.rest.push(leaf);
        if self.rest.len() as u64 == BLOCK {
            self.roots.push(self.rest.drain(..).collect::<Tree>().root());
        }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The hashes of the tree's perfect subtrees: those of the log, where these are its leaves.
    #[must_use]
    pub fn frontier(&self) -> &[Hash] {
        self.tree.frontier()
    }

    /// The hash over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// Whether these are the leaves of this block, all of them.
    #[must_use]
    pub fn has(&self, block: u64, leaves: &[LeafHash]) -> bool {
        let root = usize::try_from(block).ok().map(|block| (block, self.roots.get(block)));
        match root {
            Some((_, Some(root))) => {
                leaves.len() as u64 == BLOCK && leaves.iter().copied().collect::<Tree>().root() == *root
            }
            Some((block, None)) => block == self.roots.len() && leaves == self.rest,
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
