mod cbor;
mod detect;
mod event_stream;
mod fuzzing;
mod json;
mod plans;
mod random;
mod reports;
mod rules;
mod xml;

use aws_lc_rs::digest::{Context, SHA256};
use proptest::prelude::*;

use super::*;

/// A digest with a fixed key: a finding must be found again.
pub(super) struct Keyed(Context);

impl Default for Keyed {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digest for Keyed {
    fn start(&mut self) {
        self.0 = Context::new(&SHA256);
        self.0.update(b"a key of tests");
    }

    fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    fn finish(&mut self) -> [u8; DIGEST_LEN] {
        let whole = std::mem::take(self).0.finish();
        std::array::from_fn(|at| whole.as_ref()[at])
    }
}

pub(super) fn digest(value: &[u8]) -> [u8; DIGEST_LEN] {
    let mut keyed = Keyed::default();
    keyed.start();
    keyed.update(value);
    keyed.finish()
}

/// A job without detectors.
pub(super) fn job(plan: &Plan) -> Job {
    Job {
        plan: Arc::new(plan.clone()),
        revealed: Revealed::default(),
        detectors: None,
        digest: Box::new(Keyed::default()),
        replace: None,
    }
}

/// A job with those built in.
pub(super) fn watched(plan: &Plan) -> Job {
    Job { detectors: Some(builtin()), ..job(plan) }
}

pub(super) fn builtin() -> Arc<Detectors> {
    static BUILTIN: std::sync::OnceLock<Arc<Detectors>> = std::sync::OnceLock::new();
    BUILTIN.get_or_init(|| Arc::new(Detectors::new(&[]).unwrap())).clone()
}

type Outcome = Result<(Vec<u8>, Report), MaskError>;

/// An answer in these chunks.
pub(super) fn masked<'a>(
    format: Format,
    job: Job,
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, Report), MaskError> {
    let mut masker = Masker::new(format, job);
    let mut out = Vec::new();
    for chunk in chunks {
        masker.push(chunk, &mut out)?;
    }
    let report = masker.finish(&mut out)?;
    Ok((out, report))
}

/// In one piece, in every two, byte by byte, and in `sizes`: always the same.
pub(super) fn in_all_chunks(format: Format, job: &dyn Fn() -> Job, body: &[u8], sizes: &[usize]) -> Outcome {
    let whole = masked(format, job(), [body]);
    let shown = |chunks: &str, found: &Outcome| {
        let text = |outcome: &Outcome| match outcome {
            Ok((out, report)) => format!("{}\n{report:?}", String::from_utf8_lossy(out)),
            Err(error) => error.to_string(),
        };
        format!("{chunks}: {}\nnot: {}\nof: {}", text(found), text(&whole), String::from_utf8_lossy(body))
    };
    let step = (body.len() / 40).max(257);
    // Of a long one, what is around the beginning, the end and some places between.
    let places = (0..=body.len()).filter(|at| body.len() < 600 || at % step < 2 || body.len() - at < 20);
    for at in places {
        let (first, second) = body.split_at(at);
        let halves = masked(format, job(), [first, second]);
        assert!(halves == whole, "{}", shown(&format!("in two at {at}"), &halves));
    }
    let bytes = masked(format, job(), body.chunks(1));
    assert!(bytes == whole, "{}", shown("byte by byte", &bytes));
    let mut rest = body;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle().take(body.len() * usize::from(!sizes.is_empty())) {
        let (chunk, others) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = others;
    }
    chunks.push(rest);
    let random = masked(format, job(), chunks);
    assert!(random == whole, "{}", shown("in chunks", &random));
    whole
}

/// The answer and its report, in whatever chunks.
pub(super) fn check(format: Format, plan: &Plan, body: &[u8]) -> Outcome {
    let watched_outcome = in_all_chunks(format, &|| watched(plan), body, &[3, 1, 7]);
    let outcome = in_all_chunks(format, &|| job(plan), body, &[3, 1, 7]);
    if let (Ok((out, _)), Ok((watched, _))) = (&outcome, &watched_outcome) {
        assert_eq!(String::from_utf8_lossy(out), String::from_utf8_lossy(watched));
    }
    outcome
}

/// The answer as text.
pub(super) fn passed(format: Format, plan: &Plan, body: &str) -> String {
    let (out, _) =
        check(format, plan, body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body:.200}"));
    String::from_utf8(out).unwrap()
}

pub(super) fn refused(format: Format, plan: &Plan, body: &[u8], expected: MaskError) {
    let outcome = check(format, plan, body);
    assert_eq!(outcome.map(|(out, _)| out), Err(expected), "{}", String::from_utf8_lossy(body));
}
