//! Trees and proofs against the definition, and against published figures.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// MTH of RFC 6962 §2.1, word for word.
fn mth(leaves: &[LeafHash]) -> Hash {
    match leaves {
        [] => Hash::of(b""),
        [leaf] => leaf.subtree(),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            Hash::node(mth(left), mth(right))
        }
    }
}

/// PATH of §2.1.1.
fn path(m: usize, leaves: &[LeafHash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if m < left.len() {
        [path(m, left), vec![mth(right)]].concat()
    } else {
        [path(m - left.len(), right), vec![mth(left)]].concat()
    }
}

/// SUBPROOF of §2.1.2.
fn subproof(m: usize, leaves: &[LeafHash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if m <= left.len() {
        [subproof(m, left, whole), vec![mth(right)]].concat()
    } else {
        [subproof(m - left.len(), right, false), vec![mth(left)]].concat()
    }
}

/// The largest power of two below n.
fn split(n: usize) -> usize {
    (0..).map(|bit| 1 << bit).take_while(|power| *power < n).last().unwrap()
}

fn leaf(input: &[u8]) -> LeafHash {
    LeafHash::of(&[b"\0", input].concat())
}

fn leaves(count: usize) -> Vec<LeafHash> {
    (0..count).map(|at| leaf(&at.to_be_bytes())).collect()
}

fn stored(leaves: &[LeafHash]) -> impl Iterator<Item = Result<LeafHash, Infallible>> + '_ {
    leaves.iter().copied().map(Ok)
}

fn hash(text: &str) -> Hash {
    Hash::from_bytes(&hex::decode(text).unwrap()).unwrap()
}

/// The inputs and roots that the implementations of Certificate Transparency test themselves with.
#[test]
fn published_roots() {
    let inputs =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let leaves: Vec<LeafHash> = inputs.iter().map(|input| leaf(&hex::decode(input).unwrap())).collect();
    let mut tree = Tree::new();
    for (size, expected) in roots.into_iter().enumerate() {
        assert_eq!(tree.root(), hash(expected), "{size}");
        assert_eq!(root(size as u64, stored(&leaves)), Ok(hash(expected)), "{size}");
        if let Some(leaf) = leaves.get(size) {
            tree.append(*leaf);
        }
    }
    published_proofs(&leaves);
}

fn published_proofs(leaves: &[LeafHash]) {
    let check = |made: Result<Vec<Hash>, _>, expected: &[&str]| {
        assert_eq!(made, Ok::<_, ProofError<Infallible>>(expected.iter().map(|text| hash(text)).collect()));
    };
    let (one, two_three) = (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    );
    let four_to_seven = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    let four = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    let six_seven = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    let zero_to_three = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7";
    let four_five = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    let six = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f";
    check(inclusion(0, 1, stored(leaves)), &[]);
    check(inclusion(0, 8, stored(leaves)), &[one, two_three, four_to_seven]);
    check(inclusion(5, 8, stored(leaves)), &[four, six_seven, zero_to_three]);
    check(
        inclusion(2, 3, stored(leaves)),
        &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    );
    check(consistency(1, 1, stored(leaves)), &[]);
    check(consistency(1, 8, stored(leaves)), &[one, two_three, four_to_seven]);
    check(consistency(6, 8, stored(leaves)), &[four_five, six_seven, zero_to_three]);
    check(consistency(2, 5, stored(leaves)), &[two_three, four]);
    check(consistency(6, 7, stored(leaves)), &[four_five, six, zero_to_three]);
}

/// Every tree up to this size, every leaf and every part of it.
const ALL: usize = 40;

#[test]
fn as_defined() {
    let leaves = leaves(ALL);
    let mut tree = Tree::new();
    for size in 1..=ALL {
        tree.append(leaves[size - 1]);
        let whole = &leaves[..size];
        assert_eq!(tree.root(), mth(whole));
        assert_eq!(Tree::from_frontier(size as u64, tree.frontier().to_vec()), Some(tree.clone()));
        for part in 0..size {
            assert_eq!(inclusion(part as u64, size as u64, stored(&leaves)), Ok(path(part, whole)));
            let expected = if part == 0 { Vec::new() } else { subproof(part, whole, true) };
            assert_eq!(consistency(part as u64, size as u64, stored(&leaves)), Ok(expected));
        }
    }
}

/// A proof holds for what it was made for and nothing else.
#[test]
fn proofs_prove_one_thing() {
    let leaves = leaves(ALL);
    let roots: Vec<Hash> = (0..=ALL).map(|size| mth(&leaves[..size])).collect();
    for size in 1..=ALL {
        for part in 0..size {
            let proof = path(part, &leaves[..size]);
            let (at, of) = (part as u64, size as u64);
            assert!(includes(at, leaves[part], of, roots[size], &proof), "{part} in {size}");
            assert!(!includes(at, leaves[(part + 1) % ALL], of, roots[size], &proof));
            assert!(!includes(at, leaves[part], of, roots[size - 1], &proof));
            assert!(!includes(of, leaves[part], of, roots[size], &proof));
            // A tree of four times as many leaves is higher.
            assert!(!includes(at, leaves[part], of * 4, roots[size], &proof));
            for other in (0..size).filter(|other| *other != part) {
                assert!(
                    !includes(other as u64, leaves[part], of, roots[size], &proof),
                    "{other} for {part} in {size}"
                );
            }
            hostile(&proof, |proof| includes(at, leaves[part], of, roots[size], proof));
        }
        for old in 1..size {
            let proof = subproof(old, &leaves[..size], true);
            let (from, to) = (old as u64, size as u64);
            assert!(extends(from, roots[old], to, roots[size], &proof), "{old} to {size}");
            assert!(!extends(from, roots[old - 1], to, roots[size], &proof));
            assert!(!extends(from, roots[old], to, roots[size - 1], &proof));
            assert!(!extends(from, roots[old], to * 4, roots[size], &proof));
            assert!(!extends(to, roots[size], from, roots[old], &proof));
            hostile(&proof, |proof| extends(from, roots[old], to, roots[size], proof));
        }
    }
    assert!(extends(0, Hash::empty(), 5, roots[5], &[]));
    assert!(!extends(0, roots[1], 5, roots[5], &[]));
    assert!(!extends(0, Hash::empty(), 5, roots[5], &[roots[5]]));
    assert!(extends(5, roots[5], 5, roots[5], &[]));
    assert!(!extends(5, roots[5], 5, roots[4], &[]));
    assert!(!extends(5, roots[5], 5, roots[5], &[roots[5]]));
}

/// No proof that differs in length or in a bit is taken.
fn hostile(proof: &[Hash], holds: impl Fn(&[Hash]) -> bool) {
    let extra = Hash::of(b"extra");
    assert!(!holds(&[proof, &[extra]].concat()));
    assert!(!holds(&[&[extra], proof].concat()));
    for at in 0..proof.len() {
        let mut less = proof.to_vec();
        less.remove(at);
        assert!(!holds(&less));
        let mut bytes = *proof[at].as_bytes();
        bytes[at % 32] ^= 1 << (at % 8);
        let mut changed = proof.to_vec();
        changed[at] = Hash::from_bytes(&bytes).unwrap();
        assert!(!holds(&changed));
    }
}

#[test]
fn there_is_no_proof_of_what_is_not_there() {
    let leaves = leaves(4);
    assert_eq!(inclusion(4, 4, stored(&leaves)), Err(ProofError::Range { part: 4, size: 4 }));
    assert_eq!(consistency(5, 4, stored(&leaves)), Err(ProofError::Range { part: 5, size: 4 }));
    assert_eq!(inclusion(0, 5, stored(&leaves)), Err(ProofError::TooFew { found: 4, size: 5 }));
    assert_eq!(root(5, stored(&leaves)), Err(ProofError::TooFew { found: 4, size: 5 }));
    assert_eq!(Tree::from_frontier(3, vec![Hash::empty()]), None);
    let failing = leaves.iter().map(|leaf| Ok(*leaf)).chain([Err("broken")]);
    assert_eq!(root(5, failing), Err(ProofError::Leaves("broken")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn large_trees_are_as_defined(size in 1_usize..2000, part in any::<prop::sample::Index>()) {
        let leaves = leaves(size);
        let part = part.index(size);
        let tree: Tree = leaves.iter().copied().collect();
        prop_assert_eq!(tree.root(), mth(&leaves));
        let proof = inclusion(part as u64, size as u64, stored(&leaves)).unwrap();
        prop_assert!(includes(part as u64, leaves[part], size as u64, tree.root(), &proof));
        let proof = consistency(part as u64, size as u64, stored(&leaves)).unwrap();
        let old = root(part as u64, stored(&leaves)).unwrap();
        prop_assert!(extends(part as u64, old, size as u64, tree.root(), &proof));
    }
}
