//! The promises of the fuzz targets, held by mutations of their seeds: what libFuzzer does for hours,
//! for a moment in every test run. `PROPTEST_CASES` makes the moment longer.

use std::{fs, path::Path};

use proptest::{prelude::*, sample::Index};

use crate::{catalog::Protocol, classify::fuzzing};

/// What a target calls.
pub(crate) type Read = fn(&[u8]) -> bool;

/// Targets with seeds.
const TARGETS: [(&str, Read); 10] = [
    ("members_json", |data| fuzzing::body(Protocol::Json, data)),
    ("members_cbor", |data| fuzzing::body(Protocol::Cbor, data)),
    ("members_query", |data| fuzzing::body(Protocol::Query, data)),
    ("members_ec2", |data| fuzzing::body(Protocol::Ec2, data)),
    ("members_rest_json", |data| fuzzing::body(Protocol::RestJson, data)),
    ("members_xml", |data| fuzzing::body(Protocol::RestXml, data)),
    ("members_head", fuzzing::rest_head),
    ("operation", fuzzing::operation),
    ("s3", fuzzing::s3),
    ("signature", crate::parse::fuzzing::head),
];

/// Pieces that mean something to one of the readers.
const WORDS: [&[u8]; 31] = [
    b"\n",
    b"{\"",
    b"\":",
    b"},",
    b"null",
    b"[",
    b"]",
    b"1e5",
    b"-0",
    b"\\u0041",
    b"&",
    b"=",
    b".1",
    b".member.1",
    b".entry.1.key",
    b"%2F",
    b"%2e%2E",
    b"+",
    b"<!--",
    b"-->",
    b"<![CDATA[",
    b"&#x41;",
    b"/>",
    b"xmlns=\"",
    b"\xff",
    b"\xbf\x7f",
    b"\xc1\xf9\x7e\x00",
    b"x-id=",
    b"&X-Amz-",
    b"&x-amz-meta-a=",
    b"X-Amz-Security-Token=",
];

#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    Byte(Index, u8),
    Insert(Index, &'static [u8]),
    Remove(Index, usize),
    /// Some bytes once more, elsewhere.
    Copy(Index, usize, Index),
}

impl Mutation {
    pub(crate) fn apply(&self, data: &mut Vec<u8>) {
        let place = |index: &Index, data: &[u8]| index.index(data.len() + 1);
        match self {
            Self::Byte(index, byte) if !data.is_empty() => {
                let at = index.index(data.len());
                data[at] = *byte;
            }
            Self::Byte(_, byte) => data.push(*byte),
            Self::Insert(index, word) => {
                let at = place(index, data);
                data.splice(at..at, word.iter().copied());
            }
            Self::Remove(index, length) => {
                let at = place(index, data);
                data.drain(at..(at + length).min(data.len()));
            }
            Self::Copy(index, length, to) => {
                let at = place(index, data);
                let piece = data[at..(at + length).min(data.len())].to_vec();
                let to = place(to, data);
                data.splice(to..to, piece);
            }
        }
    }
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        (index(), prop::sample::select(WORDS.to_vec())).prop_map(|(at, word)| Mutation::Insert(at, word)),
        (index(), 1_usize..20).prop_map(|(at, length)| Mutation::Remove(at, length)),
        (index(), 1_usize..60, index()).prop_map(|(at, length, to)| Mutation::Copy(at, length, to)),
    ]
}

pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort_unstable();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn every_target_has_seeds_that_it_reads() {
    for (target, run) in TARGETS {
        has_seeds_that_it_reads(target, run);
    }
}

pub(crate) fn has_seeds_that_it_reads(target: &str, run: Read) {
    let seeds = seeds(target);
    assert!(seeds.len() >= 10, "{target}");
    for seed in seeds {
        assert!(run(&seed), "{target} does not read {:?}", String::from_utf8_lossy(&seed));
    }
}

proptest! {
    #[test]
    fn mutated_seeds_break_no_promise(
        target in any::<Index>(),
        seed in any::<Index>(),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        use std::{cell::RefCell, collections::HashMap};
        thread_local!(static SEEDS: RefCell<HashMap<&'static str, Vec<Vec<u8>>>> = RefCell::default());
        let (name, run) = *target.get(&TARGETS);
        let mut data = SEEDS.with_borrow_mut(|all| {
            seed.get(all.entry(name).or_insert_with(|| seeds(name))).clone()
        });
        mutations.iter().for_each(|mutation| mutation.apply(&mut data));
        run(&data);
    }
}
