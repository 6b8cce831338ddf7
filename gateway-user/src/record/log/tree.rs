//! The tree that only grows: what must be kept of it to add leaves and to know the root.
//!
//! A tree of n leaves is a row of perfect subtrees, largest first, one for each bit that is set in n
//! ([RFC 6962 §2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1)). Their hashes, 64 at most, are its frontier.

use super::hash::{Hash, LeafHash};

/// The state of a tree: its size and its frontier. The default is the tree without leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    frontier: Vec<Hash>,
}

impl Tree {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From what was stored. `None` if a tree of this size has another number of perfect subtrees.
    #[must_use]
    pub fn from_frontier(size: u64, frontier: Vec<Hash>) -> Option<Self> {
        let expected = usize::try_from(size.count_ones()).ok()?;
        (frontier.len() == expected).then_some(Self { size, frontier })
    }

    /// Adds a leaf.
    pub fn append(&mut self, leaf: LeafHash) {
        let mut node = leaf.subtree();
        // Two subtrees of the same size are one of twice the size, and so on, as a carry does.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.frontier.pop() {
                node = Hash::node(left, node);
            }
        }
        self.frontier.push(node);
        self.size += 1;
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the perfect subtrees, largest first.
    #[must_use]
    pub fn frontier(&self) -> &[Hash] {
        &self.frontier
    }

    /// The hash over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut subtrees = self.frontier.iter().rev();
        match subtrees.next() {
            Some(last) => subtrees.fold(*last, |right, left| Hash::node(*left, right)),
            None => Hash::empty(),
        }
    }
}

impl Extend<LeafHash> for Tree {
    fn extend<I: IntoIterator<Item = LeafHash>>(&mut self, leaves: I) {
        leaves.into_iter().for_each(|leaf| self.append(leaf));
    }
}

impl FromIterator<LeafHash> for Tree {
    fn from_iter<I: IntoIterator<Item = LeafHash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        tree.extend(leaves);
        tree
    }
}
