//! Where in an answer a masker is, and what the plan knows of that place.

use super::{
    MaskError,
    hide::{Hider, Why},
    plan::{NAME_MAX, Node, NodeId},
};

/// Structures, lists and maps inside each other.
pub const DEPTH_MAX: usize = 128;
/// Bytes of a path in a report.
const PATH_MAX: usize = 256;

/// What is to be done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// No rule covers it: detectors look at its texts.
    Free,
    /// It is a field that the caller may see: nothing looks at it.
    Pass,
    /// A structure, list or map with something secret in it.
    Node(NodeId),
    /// It is hidden.
    Hide(Why),
}

/// What the children of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Children {
    /// Members of this structure.
    Members(NodeId),
    /// All the same.
    Each(What),
    /// In XML, entries of this map.
    Entries(NodeId),
    /// In XML, key and value of this map.
    Entry(NodeId),
    /// In XML, what encloses the answer proper, so many times.
    Wrapper(u8),
}

/// How the children of a value are called in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Nothing,
    Name,
    Index,
}

/// A value with children that has not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) children: Children,
    pub(super) label: Label,
    /// What is to be done with the present child.
    pub(super) child: What,
    /// Where the name of the present child begins; there are no more than 65,535 bytes of names.
    name: u16,
    /// The name of the present child had more bytes than are kept.
    cut: bool,
    /// Which child the present one is; counts from 1.
    pub(super) count: u32,
    /// In XML, which member is repeated, and which one of it the present child is.
    pub(super) repeated: Option<(NodeId, u32)>,
    /// What the last child said makes the next one look like a secret access key.
    pub(super) armed: bool,
}

/// The way from the outermost value to the present one.
///
/// Holds at most [`DEPTH_MAX`] frames of 60 bytes and as many names of [`NAME_MAX`] bytes.
#[derive(Debug)]
pub(super) struct Place {
    frames: Vec<Frame>,
    names: Vec<u8>,
    /// Every value is one with children: an element.
    elements: bool,
}

impl Place {
    /// Before the outermost value, of which this is known.
    pub(super) fn new(children: Children, root: What) -> Self {
        let names = Vec::with_capacity(256);
        let mut place = Self { frames: Vec::with_capacity(16), names, elements: false };
        place.frames.push(Frame::new(children, Label::Nothing, root, 0));
        place
    }

    /// The same in XML, where the innermost element is the present value.
    pub(super) fn of_elements(children: Children, root: What) -> Self {
        Self { elements: true, ..Self::new(children, root) }
    }

    /// How many values enclose the present one.
    pub(super) fn depth(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// The innermost value that has not ended.
    pub(super) fn top(&self) -> Option<&Frame> {
        self.frames.last()
    }

    pub(super) fn top_mut(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// The value that the innermost one is in.
    pub(super) fn parent(&self) -> Option<&Frame> {
        self.frames.len().checked_sub(2).and_then(|at| self.frames.get(at))
    }

    pub(super) fn parent_mut(&mut self) -> Option<&mut Frame> {
        self.frames.len().checked_sub(2).and_then(|at| self.frames.get_mut(at))
    }

    /// What is to be done with the value that comes next, or is being read.
    pub(super) fn child(&self) -> What {
        self.frames.last().map_or(What::Hide(Why::Shape), |frame| frame.child)
    }

    /// The present child has children itself.
    pub(super) fn enter(&mut self, children: Children, label: Label) -> Result<(), MaskError> {
        if self.frames.len() > DEPTH_MAX {
            return Err(MaskError::TooDeep);
        }
        let child = match children {
            Children::Each(what) => what,
            // Until a name says more.
            _ => What::Hide(Why::Shape),
        };
        if self.frames.len() == self.frames.capacity() {
            self.frames.reserve_exact(16);
        }
        self.frames.push(Frame::new(children, label, child, self.names.len()));
        Ok(())
    }

    /// The innermost value has ended. `None` where it was the outermost.
    pub(super) fn leave(&mut self) -> Option<Frame> {
        if self.frames.len() < 2 {
            return None;
        }
        let left = self.frames.pop()?;
        self.names.truncate(left.name());
        Some(left)
    }

    /// A child without a name begins.
    #[inline]
    pub(super) fn count(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.count = frame.count.saturating_add(1);
        }
    }

    /// The name of a child begins.
    #[inline]
    pub(super) fn name_begins(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.count = frame.count.saturating_add(1);
            frame.cut = false;
            self.names.truncate(frame.name());
        }
    }

    /// A part of that name, decoded.
    #[inline]
    pub(super) fn name_goes_on(&mut self, part: &[u8]) {
        let Some(frame) = self.frames.last_mut() else { return };
        let room = NAME_MAX.saturating_sub(self.names.len().saturating_sub(frame.name()));
        if self.names.capacity() - self.names.len() < NAME_MAX {
            self.names.reserve_exact(4 * NAME_MAX);
        }
        match part.get(..room) {
            Some(fits) if part.len() > room => {
                self.names.extend_from_slice(fits);
                frame.cut = true;
            }
            _ => self.names.extend_from_slice(part),
        }
    }

    /// The name of the present child. `None` where it is longer than any that matters.
    pub(super) fn name(&self) -> Option<&[u8]> {
        let frame = self.frames.last()?;
        self.names.get(frame.name()..).filter(|_| !frame.cut)
    }

    /// Whether it is in a value of such a name, however deep.
    pub(super) fn is_within(&self, is: impl Fn(&[u8]) -> bool) -> bool {
        let pairs = self.frames.iter().zip(self.frames.iter().skip(1));
        pairs
            .filter(|(frame, _)| frame.label == Label::Name && !frame.cut)
            .any(|(frame, next)| self.names.get(frame.name()..next.name()).is_some_and(&is))
    }

    /// The name of the value whose children are being read.
    pub(super) fn own_name(&self) -> Option<&[u8]> {
        let [.., parent, top] = self.frames.as_slice() else { return None };
        self.names.get(parent.name()..top.name()).filter(|_| !parent.cut)
    }

    /// Looks the name up that has ended.
    #[inline]
    pub(super) fn name_ended(&mut self, hider: &Hider) {
        let Some(frame) = self.frames.last_mut() else { return };
        if let Children::Members(structure) = frame.children {
            let name = self.names.get(frame.name()..).filter(|_| !frame.cut);
            frame.child = hider.member(structure, name);
        }
    }

    /// Where the present value is, as people write it.
    pub(super) fn path(&self) -> String {
        let mut path = String::new();
        let within = self.frames.len().saturating_sub(usize::from(self.elements));
        for (at, frame) in self.frames.iter().enumerate().take(within) {
            let until = self.frames.get(at + 1).map_or(self.names.len(), |next| next.name());
            match frame.label {
                Label::Nothing => {}
                Label::Name if matches!(frame.children, Children::Wrapper(_)) => {}
                Label::Index => path.push_str(&format!("[{}]", frame.count.saturating_sub(1))),
                Label::Name => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    let name = self.names.get(frame.name()..until).unwrap_or_default();
                    let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
                    path.extend(String::from_utf8_lossy(name).chars().map(shown));
                    if frame.cut {
                        path.push('…');
                    }
                    if let Some((_, which)) = frame.repeated {
                        path.push_str(&format!("[{which}]"));
                    }
                }
            }
            if path.len() > PATH_MAX {
                let mut end = PATH_MAX - '…'.len_utf8();
                while !path.is_char_boundary(end) {
                    end -= 1;
                }
                path.truncate(end);
                path.push('…');
                break;
            }
        }
        path
    }
}

impl Frame {
    fn name(&self) -> usize {
        usize::from(self.name)
    }

    fn new(children: Children, label: Label, child: What, name: usize) -> Self {
        let name = u16::try_from(name).unwrap_or(u16::MAX);
        Self { children, label, child, name, cut: false, count: 0, repeated: None, armed: false }
    }
}

/// What the children of a value are that has the shape it should have, and of any other.
///
/// `record`: it has names; otherwise it is a list.
pub(super) fn children(hider: &Hider, what: What, record: bool) -> Children {
    let What::Node(id) = what else { return Children::Each(what) };
    match (hider.node(id), record) {
        (Some(Node::Structure(_)), true) => Children::Members(id),
        (Some(Node::Map { value: each, .. }), true) | (Some(Node::List { element: each, .. }), false) => {
            Children::Each(hider.what(*each))
        }
        _ => Children::Each(What::Hide(Why::Shape)),
    }
}
