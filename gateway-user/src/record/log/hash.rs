//! SHA-256 as [RFC 6962 §2.1](https://www.rfc-editor.org/rfc/rfc6962#section-2.1) uses it: leaves and nodes
//! begin with different bytes, so that neither can be passed off as the other.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// Bytes of a hash.
pub const LEN: usize = 32;

/// What no leaf or node begins with before it is hashed.
const NO_HASH: u8 = 0xff;

/// First byte of what a leaf's hash is made from.
pub(super) const LEAF: u8 = 0;
/// First byte of what a node's hash is made from.
const NODE: u8 = 1;

/// The hash of a subtree: a node or a root.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; LEN]);

/// The hash of a leaf, which is a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct LeafHash(Hash);

impl Hash {
    /// A hash that was stored or received. `None` unless it has [`LEN`] bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The root of a tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(&[])
    }

    /// The hash of the node over two subtrees.
    #[must_use]
    pub fn node(left: Self, right: Self) -> Self {
        let mut bytes = [NODE; 1 + 2 * LEN];
        let (head, last) = bytes.split_at_mut(1 + LEN);
        head.iter_mut().skip(1).zip(left.0).for_each(|(to, from)| *to = from);
        last.copy_from_slice(&right.0);
        Self::of(&bytes)
    }

    /// Its bytes, to store or send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// Plain SHA-256.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; LEN];
        hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(hash)
    }
}

impl LeafHash {
    /// A hash that was stored. `None` unless it has [`LEN`] bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Hash::from_bytes(bytes).map(Self)
    }

    /// Its bytes, to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; LEN] {
        self.0.as_bytes()
    }

    /// The subtree of this leaf alone.
    #[must_use]
    pub fn subtree(self) -> Hash {
        self.0
    }

    /// `bytes` begin with [`LEAF`].
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Hash::of(bytes))
    }

    /// What an entry has for its row's hash. Of bytes that are none it is a hash that no row has, so that the entry is named that has
    /// them.
    pub(in crate::record) fn stored(bytes: &[u8]) -> Self {
        Self::from_bytes(bytes).unwrap_or_else(|| Self::of(&[&[NO_HASH], bytes].concat()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LeafHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for LeafHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
