//! Proofs: that a leaf is in a tree, and that a tree is the beginning of a larger one.
//!
//! They are made in one pass over the stored leaf hashes, with the memory of one proof, and verified without
//! them ([RFC 6962 §2.1.1, §2.1.2](https://www.rfc-editor.org/rfc/rfc6962#section-2.1.1);
//! [RFC 9162 §2.1.3.2, §2.1.4.2](https://www.rfc-editor.org/rfc/rfc9162#section-2.1.3.2)).

use std::ops::Range;

use super::{
    hash::{Hash, LeafHash},
    tree::Tree,
};

/// Why a root or a proof cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError<E> {
    /// There is no such proof.
    #[error("there is no proof for {part} in a tree of {size} leaves")]
    Range {
        /// The leaf's index, or the smaller tree's size.
        part: u64,
        /// The tree's size.
        size: u64,
    },
    /// The leaves ended before the tree did.
    #[error("there are only {found} of {size} leaves")]
    TooFew {
        /// How many there were.
        found: u64,
        /// How many are needed.
        size: u64,
    },
    /// The leaves cannot be read.
    #[error(transparent)]
    Leaves(E),
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// [`ProofError`].
pub fn root<E>(
    size: u64,
    leaves: impl IntoIterator<Item = Result<LeafHash, E>>,
) -> Result<Hash, ProofError<E>> {
    let mut leaves = leaves.into_iter();
    subtree(&(0..size), &mut leaves, &mut 0)
}

/// The proof that the leaf with this index is in the tree of the first `size` leaves: hashes from the leaf
/// upwards.
///
/// # Errors
/// [`ProofError`].
pub fn inclusion<E>(
    index: u64,
    size: u64,
    leaves: impl IntoIterator<Item = Result<LeafHash, E>>,
) -> Result<Vec<Hash>, ProofError<E>> {
    if index >= size {
        return Err(ProofError::Range { part: index, size });
    }
    let (mut whole, mut spans) = (0..size, Vec::new());
    while whole.end - whole.start > 1 {
        let middle = middle(&whole);
        if index < middle {
            spans.push(middle..whole.end);
            whole.end = middle;
        } else {
            spans.push(whole.start..middle);
            whole.start = middle;
        }
    }
    spans.reverse();
    subtrees(&spans, leaves)
}

/// The proof that the tree of the first `old` leaves is the beginning of that of the first `new` ones. It is
/// empty where they are the same, or the old one is empty.
///
/// # Errors
/// [`ProofError`].
pub fn consistency<E>(
    old: u64,
    new: u64,
    leaves: impl IntoIterator<Item = Result<LeafHash, E>>,
) -> Result<Vec<Hash>, ProofError<E>> {
    if old > new {
        return Err(ProofError::Range { part: old, size: new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut whole, mut spans) = (0..new, Vec::new());
    while old != whole.end {
        let middle = middle(&whole);
        if old <= middle {
            spans.push(middle..whole.end);
            whole.end = middle;
        } else {
            spans.push(whole.start..middle);
            whole.start = middle;
        }
    }
    // The old tree itself is known to who verifies; the last subtree of it is not.
    if whole.start > 0 {
        spans.push(whole);
    }
    spans.reverse();
    subtrees(&spans, leaves)
}

/// Whether `proof` shows that `leaf` has this index in the tree of `size` leaves with this root.
#[must_use]
pub fn includes(index: u64, leaf: LeafHash, size: u64, root: Hash, proof: &[Hash]) -> bool {
    if index >= size {
        return false;
    }
    let mut path = Path { node: index, last: size - 1 };
    let mut hash = leaf.subtree();
    for sibling in proof {
        hash = match path.up() {
            Some(Side::Left) => Hash::node(*sibling, hash),
            Some(Side::Right) => Hash::node(hash, *sibling),
            None => return false,
        };
    }
    path.last == 0 && hash == root
}

/// Whether `proof` shows that the tree of `old` leaves with the root `old_root` is the beginning of the
/// tree of `new` leaves with the root `new_root`.
#[must_use]
pub fn extends(old: u64, old_root: Hash, new: u64, new_root: Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && old_root == Hash::empty();
    }
    // A tree of a power of two leaves is one perfect subtree: its hash is the old root.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        match proof.split_first() {
            Some((first, rest)) => (*first, rest),
            None => return false,
        }
    };
    let mut path = Path { node: old - 1, last: new - 1 };
    path.skip_right_children();
    let (mut old_hash, mut new_hash) = (first, first);
    for sibling in rest {
        match path.up() {
            Some(Side::Left) => {
                old_hash = Hash::node(*sibling, old_hash);
                new_hash = Hash::node(*sibling, new_hash);
            }
            Some(Side::Right) => new_hash = Hash::node(new_hash, *sibling),
            None => return false,
        }
    }
    path.last == 0 && old_hash == old_root && new_hash == new_root
}

/// The way from a node up to the root: `fn` and `sn` of RFC 9162, the node's and the last node's number in
/// their level.
struct Path {
    node: u64,
    last: u64,
}

/// Where a sibling stands.
enum Side {
    Left,
    Right,
}

impl Path {
    /// Goes up one node, and says on which side the sibling below it stands. `None` at the root.
    fn up(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of an incomplete level goes up as it is until it has a sibling.
            while self.node & 1 == 0 && self.node != 0 {
                self.shift();
            }
            Side::Left
        } else {
            Side::Right
        };
        self.shift();
        Some(side)
    }

    fn skip_right_children(&mut self) {
        while self.node & 1 == 1 {
            self.shift();
        }
    }

    fn shift(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }
}

/// Where a tree over more than one leaf is split: after the largest power of two leaves that is not all.
fn middle(whole: &Range<u64>) -> u64 {
    whole.start + (1 << (whole.end - whole.start - 1).ilog2())
}

/// The hashes of the trees over these spans, none of which overlap, in their order.
fn subtrees<E>(
    spans: &[Range<u64>],
    leaves: impl IntoIterator<Item = Result<LeafHash, E>>,
) -> Result<Vec<Hash>, ProofError<E>> {
    let mut by_start: Vec<(usize, &Range<u64>)> = spans.iter().enumerate().collect();
    by_start.sort_by_key(|(_, span)| span.start);
    let (mut leaves, mut read) = (leaves.into_iter(), 0);
    let mut hashes = Vec::with_capacity(spans.len());
    for (place, span) in by_start {
        hashes.push((place, subtree(span, &mut leaves, &mut read)?));
    }
    hashes.sort_by_key(|(place, _)| *place);
    Ok(hashes.into_iter().map(|(_, hash)| hash).collect())
}

/// The hash of the tree over this span; `read` counts the leaves that were taken.
fn subtree<E>(
    span: &Range<u64>,
    leaves: &mut impl Iterator<Item = Result<LeafHash, E>>,
    read: &mut u64,
) -> Result<Hash, ProofError<E>> {
    let mut tree = Tree::new();
    while *read < span.end {
        let leaf = leaves.next().ok_or(ProofError::TooFew { found: *read, size: span.end })?;
        let leaf = leaf.map_err(ProofError::Leaves)?;
        if *read >= span.start {
            tree.append(leaf);
        }
        *read += 1;
    }
    Ok(tree.root())
}

#[cfg(test)]
mod tests;
