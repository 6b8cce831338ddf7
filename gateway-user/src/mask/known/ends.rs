//! Where the messages of an event stream end (<https://smithy.io/2.0/aws/amazon-eventstream.html>), by their lengths alone. Where
//! secrets are hidden, their checksums have been looked at before.

/// Bytes of the shortest message: two lengths and two checksums.
const SHORTEST: u32 = 16;

/// Counts the bytes of messages. What cannot be a message never ends.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// The bytes of the next message's length, and how many of them are known.
    length: [u8; 4],
    known: usize,
    /// Bytes of the message that are to come, once its length is known; `u64::MAX` where there are no messages.
    left: u64,
}

impl Ends {
    /// How many of these bytes there are until the first message ends that ends among them; `None` where none does, and all of
    /// them were counted.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while self.known < self.length.len() {
            *self.length.get_mut(self.known)? = *bytes.get(at)?;
            self.known += 1;
            at += 1;
            if self.known == self.length.len() {
                let length = u32::from_be_bytes(self.length);
                self.left = if length < SHORTEST { u64::MAX } else { u64::from(length) - 4 };
            }
        }
        let rest = bytes.len().saturating_sub(at) as u64;
        if self.left > rest {
            // Of what never ends nothing is counted.
            self.left = if self.left == u64::MAX { u64::MAX } else { self.left - rest };
            return None;
        }
        let end = at + usize::try_from(self.left).ok()?;
        *self = Self::default();
        Some(end)
    }
}
