//! A block has its own leaves and no others.

use super::*;

fn leaf(number: u64) -> LeafHash {
    LeafHash::of(&number.to_be_bytes())
}

#[test]
fn a_block_has_its_leaves_and_no_others() {
    let count = BLOCK * 3 + 5;
    let mut blocks = Blocks::default();
    (0..count).for_each(|number| blocks.append(leaf(number)));
    let tree: Tree = (0..count).map(leaf).collect();
    assert_eq!((blocks.size(), blocks.frontier(), blocks.root()), (count, tree.frontier(), tree.root()));
    let of = |block: u64| (block * BLOCK..count.min((block + 1) * BLOCK)).map(leaf).collect::<Vec<_>>();
    for block in 0..=3 {
        assert!(blocks.has(block, &of(block)));
        assert!(!blocks.has(block + 1, &of(block)), "it is another's");
        let mut changed = of(block);
        changed[2] = leaf(count);
        assert!(!blocks.has(block, &changed));
        let mut fewer = of(block);
        fewer.pop();
        assert!(!blocks.has(block, &fewer));
        let mut more = of(block);
        more.push(leaf(count));
        assert!(!blocks.has(block, &more));
    }
    assert!(!blocks.has(4, &[]));
    assert!(!blocks.has(u64::MAX, &[]));
}
