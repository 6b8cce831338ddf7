//! What it takes to understand a call does not grow with the catalogue, and what it takes to mask an answer does not
//! grow with the answer: counted, not timed.
#![expect(clippy::unwrap_used, reason = "this is a test: that is how it fails")]

use chaperone_tests::{
    allocation::{Allocated, Counting, counted, peak},
    corpus::read,
    masking::{DOCUMENTS, Everything},
    understand::{Call, Gateway, Gauge, Stage, calls},
};
use gateway_user::{
    catalog::catalog,
    mask::{DIGEST_LEN, Echo, KNOWN_MAX, Known},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Services in the catalogue, at least; else the bounds below say nothing.
const SERVICES: u64 = 400;
/// Bytes that understanding takes whatever the request is, and for each byte of it: twice what was seen.
const UNDERSTOOD: (u64, u64) = (4 << 10, 64);
/// Bytes of a whole turn: the decision takes some more for each rule that is about the call. A thirtieth of
/// the table's text, which has 3.1 MB.
const MOST_BYTES: u64 = 100_000;

/// Bytes that one masked stream may hold at once.
const STREAM: u64 = 1 << 20;
/// Bytes of the stream.
const LONG: u64 = 32 << 20;

/// What one turn allocates.
#[derive(Debug, Default)]
struct Turn {
    /// Parse, verify, classify.
    understood: Allocated,
    decided: Allocated,
}

impl Gauge for Turn {
    fn stage<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let (done, allocated) = counted(work);
        match stage {
            Stage::Parse | Stage::Verify | Stage::Classify => {
                self.understood = self.understood.then(allocated);
            }
            Stage::Decide => self.decided = allocated,
        }
        done
    }
}

/// The second turn: the first reads the service's part of the table.
fn warm_turn(gateway: &Gateway, call: &Call) -> Turn {
    gateway.turn(call, &mut Turn::default()).unwrap();
    let mut turn = Turn::default();
    gateway.turn(call, &mut turn).unwrap();
    turn
}

#[test]
fn allocations_are_counted() {
    let (text, allocated) = counted(|| "x".repeat(1000));
    assert_eq!((text.len(), allocated), (1000, Allocated { count: 1, bytes: 1000, largest: 1000 }));
    let (list, allocated) = counted(|| {
        let mut list = vec![0_u8; 100];
        list.reserve_exact(200);
        list
    });
    assert_eq!((list.len(), allocated), (100, Allocated { count: 2, bytes: 400, largest: 300 }));
    assert_eq!(counted(|| 1).1, Allocated::default());
}

#[test]
fn memory_in_use_is_counted() {
    let (_, most) = peak(|| {
        drop(vec![0_u8; 300]);
        drop(vec![0_u8; 500]);
        (vec![0_u8; 200], vec![0_u8; 400])
    });
    assert_eq!(most, 600);
    let before = vec![0_u8; 1000];
    assert_eq!(peak(|| drop(before)).1, 0);
}

#[test]
fn a_masked_stream_takes_no_more_memory_than_a_short_one() {
    let everything = Everything::new().unwrap();
    for document in &DOCUMENTS {
        let name = document.name();
        // Once before: plans and tables are made when they are first asked for, and shared by all streams.
        everything.masker(document).unwrap();
        let mask = |length| {
            let mut masked = 0_u64;
            let mut out = Vec::new();
            let mut masker = everything.masker(document).unwrap();
            document
                .stream(length, |chunk| {
                    masker.push(chunk, &mut out)?;
                    masked += out.len() as u64;
                    out.clear();
                    Ok(())
                })
                .unwrap();
            let report = masker.finish(&mut out).unwrap();
            assert_eq!(report.count(), 0, "{name}");
            masked + out.len() as u64
        };
        let ((short, at_short), (long, at_long)) = (peak(|| mask(LONG / 64)), peak(|| mask(LONG)));
        assert!(short >= LONG / 64 && long >= LONG, "{name}: {short} and {long} bytes passed");
        assert!(at_long <= STREAM, "{name}: {at_long} bytes at once");
        assert!(at_long <= at_short + 1024, "{name}: {at_short} and {at_long} bytes at once");
    }
}

/// Room is taken before the search for inserted values is made.
#[test]
fn looking_for_inserted_values_takes_no_more_than_was_said() {
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_u32(0x21 + (state >> 16) % 0x17f).unwrap_or('x')
    };
    for (count, length) in
        [(1, 8), (1, 30), (100, 8), (100, 30), (1, 1024), (1, 64 << 10), (4, 64 << 10), (100, 2600)]
    {
        let mut value = || {
            let mut value = String::new();
            // Of one byte in the end, so that it has as many as it should.
            while value.len() + 2 <= length {
                value.push(letter());
            }
            let rest = length - value.len();
            value + &"x".repeat(rest)
        };
        let values: Vec<String> = (0..count).map(|_| value()).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let all: usize = values.iter().map(|value| value.len()).sum();
        assert!(all <= KNOWN_MAX);
        let most = Known::most(values.iter().copied()).unwrap() as u64;
        let digested = values.iter().map(|value| (*value, [0; DIGEST_LEN]));
        let (known, making) = peak(|| Known::new(digested).unwrap().unwrap());
        let (size, known) = (known.size() as u64, std::sync::Arc::new(known));
        // The longest way to write the longest beginning of a piece, which turns out to be none.
        let number = |text: &str| text.chars().map(|c| format!("&#{:013};", c as u32)).collect::<String>();
        let begin: String = values[0].chars().take(1000.min(length / 2)).collect();
        let text = number(&number(&begin)).repeat(3);
        let mut out = Vec::with_capacity(2 * text.len());
        let ((), passing) = peak(|| {
            let mut echo = Echo::new(known);
            text.as_bytes().chunks(10_000).for_each(|chunk| echo.push(chunk, &mut out));
            echo.finish(&mut out);
        });
        let shown = format!(
            "{count} of {length} bytes: most {most}, making {making}, size {size}, passing {passing}"
        );
        println!("{shown}");
        assert_eq!(out.len(), text.len());
        assert!(making <= most && size <= most, "{shown}");
        assert!(passing <= size, "{shown}");
    }
}

#[test]
fn no_call_allocates_in_proportion_to_the_catalogue() {
    let services = catalog().services().len() as u64;
    assert!(services >= SERVICES, "{services}");
    let mut left_out = Vec::new();
    let calls = calls(&mut left_out, read).unwrap();
    assert_eq!(left_out, Vec::<String>::new());
    let gateway = Gateway::new().unwrap();
    for call in &calls {
        let Turn { understood, decided } = warm_turn(&gateway, call);
        let shown = format!("{}, {} bytes: {understood:?}, {decided:?}", call.name, call.size());
        // Not one for each service, and none that could hold a pointer to each.
        assert!(understood.count > 0 && understood.count < services, "{shown}");
        assert!(understood.largest < services * size_of::<usize>() as u64, "{shown}");
        let (constant, each) = UNDERSTOOD;
        assert!(understood.bytes <= constant + each * call.size(), "{shown}");
        assert!(understood.then(decided).bytes <= MOST_BYTES, "{shown}");
    }
}
