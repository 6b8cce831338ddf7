//! Elements: where they begin and end, and what the plan knows of them.

use super::{
    super::{
        MaskError,
        detect::names_key,
        hide::{Hider, Why, Wire},
        place::{Children, Label, What},
        plan::{NAME_MAX, Node, NodeId},
    },
    Chunk, Mode, TAG_MAX, Value, Xml, is_blank, malformed,
    tag::{self, Tag, local},
};

impl Xml {
    /// Bytes of the end of the innermost element, if that is what comes. Most are written alike.
    #[inline]
    pub(super) fn ends_here(&self, rest: &[u8]) -> Option<usize> {
        let name = self.place.own_name()?;
        let end = rest.strip_prefix(b"</")?.strip_prefix(name)?;
        (end.first() == Some(&b'>')).then_some(name.len() + 3)
    }

    /// A whole tag: from `start` to `end` in the chunk, or held until `end`.
    pub(super) fn tag(
        &mut self,
        chunk: &mut Chunk<'_, '_>,
        bytes: &[u8],
        start: Option<usize>,
        end: usize,
    ) -> Result<(), MaskError> {
        if bytes.len() > TAG_MAX {
            return Err(MaskError::TooLong);
        }
        let within = !bytes.starts_with(b"</") || self.place.top().is_some_and(|frame| frame.count > 0);
        let passed = self.value == Value::None || self.value == Value::Pass;
        self.value_ends(chunk, within)?;
        let tag = tag::read(bytes)?;
        let changed = match tag {
            Tag::End(name) => {
                self.element_ends(name)?;
                None
            }
            Tag::Start { name, attributes, empty } => {
                let word = match start {
                    Some(start) => chunk.hits.word_in(chunk.bytes, start..end),
                    None => true,
                };
                self.element_begins(chunk.hider, name, word)?;
                let changed = self.attributes(chunk.hider, attributes)?;
                if empty {
                    self.element_ends(name)?;
                }
                changed.map(|attributes| tag::written(name, &attributes, empty))
            }
        };
        match (&changed, start) {
            (None, Some(start)) if !passed => chunk.flow.resume(start),
            (None, Some(_)) => {}
            (None, None) => {
                chunk.flow.out.extend_from_slice(bytes);
                chunk.flow.resume(end);
            }
            (Some(changed), start) => {
                if let Some(start) = start.filter(|_| passed) {
                    chunk.flow.stop(start);
                }
                chunk.flow.out.extend_from_slice(changed);
                chunk.flow.resume(end);
            }
        }
        Ok(())
    }

    /// `word`: its name may be that of a secret access key.
    fn element_begins(&mut self, hider: &Hider, name: &[u8], word: bool) -> Result<(), MaskError> {
        if self.place.depth() == 0 && self.ended {
            return Err(malformed("more than one outermost element"));
        }
        if name.len() > NAME_MAX {
            return Err(MaskError::TooLong);
        }
        let Some(parent) = self.place.top().copied() else { return Err(malformed("an element")) };
        self.place.name_begins();
        self.place.name_goes_on(name);
        let mut flat = None;
        let (children, label) = match parent.children {
            Children::Wrapper(left @ 2..) => (Children::Wrapper(left - 1), Label::Name),
            Children::Wrapper(_) => self.element(hider, self.root, &mut flat),
            Children::Members(structure) => {
                let what = hider.member(structure, Some(local(name)));
                self.element(hider, what, &mut flat)
            }
            Children::Each(what) => self.element(hider, what, &mut flat),
            Children::Entries(map) => (Children::Entry(map), Label::Nothing),
            Children::Entry(map) => match hider.node(map) {
                Some(Node::Map { key, .. }) if **key == *local(name) => {
                    (Children::Each(What::Free), Label::Name)
                }
                Some(Node::Map { value, .. }) => self.element(hider, hider.what(*value), &mut flat),
                _ => (Children::Each(What::Hide(Why::Shape)), Label::Name),
            },
        };
        if let Some(frame) = self.place.top_mut() {
            frame.repeated = flat.map(|node| match frame.repeated {
                Some((before, which)) if before == node => (node, which + 1),
                _ => (node, 0),
            });
            frame.armed |= word && hider.detectors().is_some() && names_key(Some(local(name)));
        }
        self.place.enter(children, label)
    }

    /// What the children of an element are of which this is known.
    fn element(&self, hider: &Hider, mut what: What, flat: &mut Option<NodeId>) -> (Children, Label) {
        // What is written without an element of its own has its place in the plan all the same.
        loop {
            let What::Node(id) = what else { return (Children::Each(what), Label::Name) };
            match hider.node(id) {
                Some(Node::Structure(_)) => return (Children::Members(id), Label::Name),
                Some(Node::List { element, flat: false }) => {
                    return (Children::Each(hider.what(*element)), Label::Index);
                }
                Some(Node::List { element, flat: true }) => {
                    *flat = Some(id);
                    what = hider.what(*element);
                }
                Some(Node::Map { flat: false, .. }) => return (Children::Entries(id), Label::Index),
                Some(Node::Map { flat: true, .. }) => {
                    *flat = Some(id);
                    return (Children::Entry(id), Label::Nothing);
                }
                Some(Node::Secret(_)) | None => {
                    return (Children::Each(What::Hide(Why::Shape)), Label::Name);
                }
            }
        }
    }

    fn element_ends(&mut self, name: &[u8]) -> Result<(), MaskError> {
        if self.place.own_name() != Some(name) || self.place.leave().is_none() {
            return Err(malformed("an element ends that has not begun"));
        }
        self.ended |= self.place.depth() == 0;
        Ok(())
    }

    /// The attributes of the element that has begun, where one of them is hidden.
    fn attributes(&mut self, hider: &mut Hider, attributes: &[u8]) -> Result<Option<Vec<u8>>, MaskError> {
        if attributes.iter().all(is_blank) {
            return Ok(None);
        }
        let mode = self.mode(hider);
        let structure = match self.place.top().map(|frame| frame.children) {
            Some(Children::Members(structure)) => Some(structure),
            _ => None,
        };
        tag::attributes(attributes, |name, value| {
            let named = structure.map(|structure| hider.member(structure, Some(local(name))));
            let why = match (mode, named) {
                (Mode::Hide(why), _) | (_, Some(What::Hide(why))) => why,
                (_, Some(What::Node(_))) => Why::Shape,
                _ => return Ok(None),
            };
            hider.begin(why);
            hider.update(&tag::decoded(value)?)?;
            let path = || format!("{}@{}", self.place.path(), String::from_utf8_lossy(name));
            hider.end_at(path, Wire::Untyped).map(Some)
        })
    }
}
