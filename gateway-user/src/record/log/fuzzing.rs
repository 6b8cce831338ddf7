//! What the fuzz targets call (`fuzz/`), with what must hold whatever is answered.
#![expect(clippy::panic, reason = "a broken promise is what fuzzers look for")]

use super::{
    checkpoint::{Checkpoint, SignedCheckpoint},
    hash::Hash,
    key::LogKey,
    note::{Note, Sign, VerifierKey},
};

/// A note. Returns whether it was read.
///
/// # Panics
/// When other bytes would be read as the same note, or when it is believed.
pub fn note(data: &[u8]) -> bool {
    let Ok(note) = Note::parse(data) else { return false };
    assert_eq!(note.to_string().as_bytes(), data);
    if let Some(key) = key() {
        assert!(note.open(&[key.verifier().clone()]).is_err(), "nobody signed {note}");
    }
    true
}

/// The text of a checkpoint. Returns whether it was read.
///
/// # Panics
/// When another text would be read as the same checkpoint, or as a tombstone's.
pub fn checkpoint(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let Ok(checkpoint) = Checkpoint::parse(text) else { return false };
    assert_eq!(checkpoint.to_string(), text);
    assert_ne!(text.lines().nth(1), Some("tombstone"));
    true
}

/// A verifier key. Returns whether it was read.
///
/// # Panics
/// When another text would be read as the same key.
pub fn verifier_key(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let Ok(key) = text.parse::<VerifierKey>() else { return false };
    assert_eq!(key.to_string(), text);
    true
}

/// Two bytes that say where in a signed checkpoint something is replaced, one that says how many bytes go, then
/// what comes in their place. Returns whether the outcome is believed.
///
/// # Panics
/// When a checkpoint is believed that was not signed.
pub fn tampered(data: &[u8]) -> bool {
    let (Some(key), Some(([high, low, length], new))) = (key(), data.split_first_chunk::<3>()) else {
        return false;
    };
    let genuine = Checkpoint::new(key.verifier().name(), 20, Hash::empty());
    let Ok(signed) = genuine.clone().sign(&[&key]) else { panic!("a checkpoint is signed") };
    let note = signed.note().as_bytes();
    let at = usize::from(u16::from_be_bytes([*high, *low])).min(note.len());
    let (before, rest) = note.split_at(at);
    let after = rest.get(usize::from(*length)..).unwrap_or_default();
    let tampered = [before, new, after].concat();
    match SignedCheckpoint::open(&tampered, &[key.verifier().clone()]) {
        Ok(believed) => {
            assert_eq!(believed.checkpoint(), &genuine);
            true
        }
        Err(_) => false,
    }
}

/// A fixed one: a finding must be found again.
fn key() -> Option<LogKey> {
    LogKey::from_seed(&[7; 32], "fuzz.example/log".parse().ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const CHECKPOINT: &str = "a/log\n12\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    const NOTE: &str = "a\n\n\u{2014} a/log AAAAAAA=\n";

    #[test]
    fn seeds_are_read() {
        assert!(note(NOTE.as_bytes()));
        assert!(checkpoint(CHECKPOINT.as_bytes()));
        assert!(verifier_key(KEY.as_bytes()));
        assert!(tampered(&[0, 0, 0]));
        // Signatures of others may be added.
        let line = "\u{2014} b/witness AAAAAAA=\n";
        assert!(tampered(&[&[255, 255, 0], line.as_bytes()].concat()));
        assert!(!tampered(&[0, 0, 1, b'x']));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn promises_hold(
            seed in prop::sample::select(vec![KEY, CHECKPOINT, NOTE]),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
        ) {
            let mut data = seed.as_bytes().to_vec();
            for (at, byte, how) in edits {
                let at = at.index(data.len() + 1);
                match how {
                    0 => data.insert(at, byte),
                    1 => data.truncate(at.max(1)),
                    _ => data.iter_mut().skip(at).take(1).for_each(|old| *old ^= byte),
                }
            }
            note(&data);
            checkpoint(&data);
            verifier_key(&data);
        }

        #[test]
        fn nothing_is_believed_that_was_not_signed(
            at in 0..260_u16, length in 0..4_u8, new in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            tampered(&[at.to_be_bytes().as_slice(), &[length], &new].concat());
        }
    }
}
