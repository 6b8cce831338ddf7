//! What the fuzz targets call (`fuzz/`), with what must hold whatever they send. Each returns whether the answer was
//! read: a target that reads nothing finds nothing.
#![expect(clippy::panic, reason = "a broken promise is what fuzzers look for")]

use std::sync::{Arc, OnceLock};

use super::{
    DIGEST_LEN, Detectors, Digest, Format, Job, Kind, MESSAGE_MAX, MaskError, Masker, Plan, Report, Revealed,
};

/// A JSON answer. The first byte tells how it comes in chunks, as for all of them.
///
/// # Panics
/// When a promise is broken.
pub fn json(data: &[u8]) -> bool {
    check(Format::Json, data)
}

/// An XML answer.
///
/// # Panics
/// When a promise is broken.
pub fn xml(data: &[u8]) -> bool {
    check(Format::Xml { wrappers: 1 }, data)
}

/// A CBOR answer.
///
/// # Panics
/// When a promise is broken.
pub fn cbor(data: &[u8]) -> bool {
    check(Format::Cbor, data)
}

/// An event stream. Checksums are put right, because no fuzzer guesses them: first come lengths of messages.
///
/// # Panics
/// When a promise is broken.
pub fn event_stream(data: &[u8]) -> bool {
    let Some((chunks, data)) = data.split_first() else { return false };
    let mut framed = vec![*chunks];
    let mut rest = data;
    while let Some((lengths, after)) = rest.split_first_chunk::<2>() {
        let [headers, payload] = lengths.map(usize::from);
        let (message, after) = after.split_at_checked(headers + payload).unwrap_or((after, &[]));
        rest = after;
        let headers = headers.min(message.len());
        let start = framed.len();
        for length in [message.len() + 16, headers] {
            framed.extend(u32::try_from(length).unwrap_or(0).to_be_bytes());
        }
        framed.extend(crc32fast::hash(framed.get(start..).unwrap_or_default()).to_be_bytes());
        framed.extend_from_slice(message);
        framed.extend(crc32fast::hash(framed.get(start..).unwrap_or_default()).to_be_bytes());
    }
    check(Format::EventStream { message_max: MESSAGE_MAX }, &framed)
}

/// A text.
///
/// # Panics
/// When a promise is broken.
pub fn text(data: &[u8]) -> bool {
    check(Format::Text, data)
}

fn check(format: Format, data: &[u8]) -> bool {
    let Some((size, body)) = data.split_first() else { return false };
    let size = usize::from(*size).max(1);
    let mut plain = None;
    for detectors in [None, Some(detectors())] {
        let whole = masked(format, detectors.clone(), [body]);
        for size in [1, size] {
            let parts = masked(format, detectors.clone(), body.chunks(size));
            assert!(parts == whole, "chunks of {size} bytes change the outcome");
        }
        plain.get_or_insert(whole);
    }
    let Some(Ok((out, report))) = plain else { return false };
    // What was hidden is hidden: nothing changes a second time, and it is at the same places.
    let Ok((again, reported)) = masked(format, None, [out.as_slice()]) else {
        panic!("what was masked cannot be read: {:?}", String::from_utf8_lossy(&out))
    };
    assert!(again == out, "{:?} is masked again", String::from_utf8_lossy(&out));
    assert_eq!(reported.count(), report.count());
    let places = |report: Report| {
        report.entries.into_iter().map(|entry| (entry.path, entry.cause)).collect::<Vec<_>>()
    };
    assert_eq!(places(reported), places(report));
    true
}

fn masked<'a>(
    format: Format,
    detectors: Option<Arc<Detectors>>,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, Report), MaskError> {
    let job = Job {
        plan: plan(),
        revealed: Revealed::default(),
        detectors,
        digest: Box::new(Sum::default()),
        replace: None,
    };
    let mut masker = Masker::new(format, job);
    let mut out = Vec::new();
    for chunk in chunks {
        masker.push(chunk, &mut out)?;
    }
    let report = masker.finish(&mut out)?;
    Ok((out, report))
}

fn detectors() -> Arc<Detectors> {
    static DETECTORS: OnceLock<Arc<Detectors>> = OnceLock::new();
    let built = || match Detectors::new(&[]) {
        Ok(detectors) => Arc::new(detectors),
        Err(error) => panic!("{error}"),
    };
    DETECTORS.get_or_init(built).clone()
}

/// A secret of every kind, at places of every kind. Names are short, so that they are soon guessed.
fn plan() -> Arc<Plan> {
    static PLAN: OnceLock<Arc<Plan>> = OnceLock::new();
    let build = || {
        let mut plan = Plan::builder();
        let root = plan.structure();
        for (name, kind) in [
            ("t", Kind::Text),
            ("b", Kind::Blob),
            ("n", Kind::Number),
            ("f", Kind::Boolean),
            ("d", Kind::Timestamp),
            ("a", Kind::Any),
        ] {
            let field = plan.field(name, kind);
            let secret = plan.secret(field);
            let list = plan.list(secret);
            let flat = plan.flat_list(secret);
            let map = plan.map(secret);
            let entries = plan.flat_map(secret, "k");
            plan.member(root, name, secret)
                .member(root, &format!("l{name}"), list)
                .member(root, &format!("m{name}"), map)
                .member(root, &format!("fl{name}"), flat)
                .member(root, &format!("fm{name}"), entries)
                .event(name, Some(secret), &[("s", field)]);
        }
        plan.member(root, "r", root).event("e", Some(root), &[]);
        match plan.build(root) {
            Ok(plan) => Arc::new(plan),
            Err(error) => panic!("{error}"),
        }
    };
    PLAN.get_or_init(build).clone()
}

/// Not a digest, but other texts have other sums.
#[derive(Default)]
struct Sum(u64);

impl Digest for Sum {
    fn start(&mut self) {
        self.0 = 0xcbf2_9ce4_8422_2325;
    }

    fn update(&mut self, part: &[u8]) {
        self.0 =
            part.iter().fold(self.0, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(&mut self) -> [u8; DIGEST_LEN] {
        u128::from(self.0).to_be_bytes()
    }
}
