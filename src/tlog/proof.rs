//! Inclusion and consistency (RFC 6962, section 2.1.1 and 2.1.2; the checks
//! as RFC 9162, section 2.1.3.2 and 2.1.4.2, writes them down).

use std::collections::HashMap;

use super::hash::{Hash, root_of, split};
use super::tile::{TileId, WIDTH};

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The record is not in a tree of that size.
    #[error("a tree of {size} records has no record {index}")]
    Index {
        /// The record.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The newer tree is the smaller one.
    #[error("a tree of {new} records is no later state of one of {old}")]
    Sizes {
        /// The older tree's size.
        old: u64,
        /// The newer tree's.
        new: u64,
    },
    /// More or fewer hashes than a proof of that shape has.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// Checks that the leaf with hash `leaf` is record `index` of the tree with
/// `size` records and root `root`.
///
/// # Errors
/// `ProofError`.
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Index { index, size });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for other in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            hash = Hash::of_node(other, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::of_node(&hash, other);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if hash == *root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// Checks that the tree with `new` records and root `new_root` begins with
/// the one with `old` records and root `old_root`.
///
/// # Errors
/// `ProofError`.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Sizes { old, new });
    }
    let equal = |a: &Hash, b: &Hash| (a == b).then_some(()).ok_or(ProofError::Root);
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(ProofError::Length);
        }
        return if old == 0 {
            equal(old_root, &root_of(&[]))
        } else {
            equal(old_root, new_root)
        };
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() {
        old_root
    } else {
        hashes.next().ok_or(ProofError::Length)?
    };
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut of_old, mut of_new) = (*first, *first);
    for other in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            of_old = Hash::of_node(other, &of_old);
            of_new = Hash::of_node(other, &of_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            of_new = Hash::of_node(&of_new, other);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    equal(&of_old, old_root)?;
    equal(&of_new, new_root)
}

/// Makes proofs about one tree from its tiles, each asked for once.
pub struct TreeReader<F> {
    size: u64,
    read: F,
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl<E, F: FnMut(TileId) -> Result<Vec<Hash>, E>> TreeReader<F> {
    /// Of a tree with `size` records; `read` gives a tile's hashes, exactly as
    /// many as its width says.
    pub fn new(size: u64, read: F) -> Self {
        Self {
            size,
            read,
            tiles: HashMap::new(),
        }
    }

    /// The root of the first `size` records.
    ///
    /// # Errors
    /// What `read` said.
    pub fn root(&mut self, size: u64) -> Result<Hash, E> {
        match size.min(self.size) {
            0 => Ok(root_of(&[])),
            size => self.range(0, size),
        }
    }

    /// The hashes that prove record `index`, the leaf's sibling first; none
    /// where there is no such record.
    ///
    /// # Errors
    /// What `read` said.
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, E> {
        let mut proof = Vec::new();
        if index >= self.size {
            return Ok(proof);
        }
        let (mut low, mut high) = (0, self.size);
        let mut ranges = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                ranges.push((middle, high));
                high = middle;
            } else {
                ranges.push((low, middle));
                low = middle;
            }
        }
        for (low, high) in ranges.into_iter().rev() {
            proof.push(self.range(low, high)?);
        }
        Ok(proof)
    }

    /// The hashes that prove that the tree begins with its first `old` records.
    ///
    /// # Errors
    /// What `read` said.
    pub fn consistency(&mut self, old: u64) -> Result<Vec<Hash>, E> {
        let mut proof = Vec::new();
        if old == 0 || old >= self.size {
            return Ok(proof);
        }
        // RFC 6962's SUBPROOF, from the root down; hashes come leaf end first.
        let (mut low, mut high) = (0, self.size);
        let mut ranges = Vec::new();
        while old != high {
            let middle = low + split(high - low);
            if old <= middle {
                ranges.push((middle, high));
                high = middle;
            } else {
                ranges.push((low, middle));
                low = middle;
            }
        }
        if low != 0 {
            ranges.push((low, high));
        }
        for (low, high) in ranges.into_iter().rev() {
            proof.push(self.range(low, high)?);
        }
        Ok(proof)
    }

    /// The root over the records from `low` to before `high`.
    fn range(&mut self, low: u64, high: u64) -> Result<Hash, E> {
        let count = high - low;
        if count.is_power_of_two() && low.is_multiple_of(count) {
            let height = count.trailing_zeros();
            let level = (height / 8) as u8;
            let first = low >> (8 * (height / 8));
            let span = 1usize << (height % 8);
            let hashes = self.tile(level, first)?;
            let at = (first % WIDTH) as usize;
            return Ok(root_of(&hashes[at..at + span]));
        }
        let middle = low + split(count);
        let (left, right) = (self.range(low, middle)?, self.range(middle, high)?);
        Ok(Hash::of_node(&left, &right))
    }

    fn tile(&mut self, level: u8, number: u64) -> Result<&[Hash], E> {
        let Some(id) = TileId::holding(level, number, self.size) else {
            unreachable!("a complete subtree inside the tree is in a tile");
        };
        let key = (level, id.index);
        if !self.tiles.contains_key(&key) {
            let hashes = (self.read)(id)?;
            self.tiles.insert(key, hashes);
        }
        Ok(&self.tiles[&key])
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::tlog::Frontier;

    struct Tree {
        leaves: Vec<Hash>,
        full: HashMap<(u8, u64), Vec<Hash>>,
        frontier: Frontier,
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree {
            leaves: Vec::new(),
            full: HashMap::new(),
            frontier: Frontier::new(),
        };
        for n in 0..size {
            let leaf = Hash::of_leaf(&n.to_be_bytes());
            tree.leaves.push(leaf);
            for tile in tree.frontier.push(leaf) {
                tree.full.insert((tile.level, tile.index), tile.hashes);
            }
        }
        tree
    }

    impl Tree {
        fn reader(&self) -> TreeReader<impl FnMut(TileId) -> Result<Vec<Hash>, Infallible>> {
            TreeReader::new(self.leaves.len() as u64, |id: TileId| {
                Ok(match self.full.get(&(id.level, id.index)) {
                    Some(full) => full.clone(),
                    None => self.frontier.levels()[usize::from(id.level)].clone(),
                })
            })
        }
    }

    /// Sizes around every corner of tiles and powers of two.
    const SIZES: [u64; 14] = [
        1, 2, 3, 7, 8, 9, 255, 256, 257, 300, 511, 512, 1_000, 66_000,
    ];

    #[test]
    fn every_record_is_proven_and_none_in_anothers_place() {
        for size in SIZES {
            let tree = tree(size);
            let root = tree.frontier.root();
            let mut reader = tree.reader();
            assert_eq!(reader.root(size), Ok(root));
            for index in (0..size).step_by((size / 40 + 1) as usize) {
                let proof = reader.inclusion(index).unwrap();
                let leaf = tree.leaves[index as usize];
                let check =
                    |leaf, index, proof: &[Hash]| verify_inclusion(leaf, index, size, proof, &root);
                assert_eq!(check(leaf, index, &proof), Ok(()), "{index} of {size}");
                if size == 1 {
                    continue;
                }
                assert!(check(leaf, (index + 1) % size, &proof).is_err());
                assert_eq!(
                    check(Hash::of_leaf(b"other"), index, &proof),
                    Err(ProofError::Root)
                );
                assert_eq!(check(leaf, index, &proof[1..]), Err(ProofError::Length));
                let longer = [&proof[..], &[root]].concat();
                assert_eq!(check(leaf, index, &longer), Err(ProofError::Length));
            }
            assert_eq!(
                verify_inclusion(root, size, size, &[], &root),
                Err(ProofError::Index { index: size, size })
            );
        }
    }

    #[test]
    fn a_tree_is_consistent_with_its_own_past_alone() {
        for size in SIZES {
            let tree = tree(size);
            let root = tree.frontier.root();
            let mut reader = tree.reader();
            for old in (0..=size).step_by((size / 17 + 1) as usize) {
                let old_root = root_of(&tree.leaves[..old as usize]);
                let proof = reader.consistency(old).unwrap();
                let check = |old_root: &Hash, proof: &[Hash]| {
                    verify_consistency((old, old_root), (size, &root), proof)
                };
                assert_eq!(check(&old_root, &proof), Ok(()), "{old} of {size}");
                let other = Hash::of_leaf(b"other");
                assert_eq!(check(&other, &proof), Err(ProofError::Root));
                let longer = [&proof[..], &[root]].concat();
                assert_eq!(check(&old_root, &longer), Err(ProofError::Length));
                if !proof.is_empty() {
                    assert_eq!(
                        check(&old_root, &proof[..proof.len() - 1]),
                        Err(ProofError::Length)
                    );
                }
            }
        }
        let one = Hash::of_leaf(b"");
        assert_eq!(
            verify_consistency((2, &one), (1, &one), &[]),
            Err(ProofError::Sizes { old: 2, new: 1 })
        );
    }

    #[test]
    fn any_flipped_bit_of_a_proof_breaks_it() {
        let tree = tree(300);
        let root = tree.frontier.root();
        let proof = tree.reader().inclusion(77).unwrap();
        for at in 0..proof.len() {
            for bit in [0, 255] {
                let mut bytes = *proof[at].bytes();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let mut bad = proof.clone();
                bad[at] = Hash::from_bytes(&bytes).unwrap();
                assert_eq!(
                    verify_inclusion(tree.leaves[77], 77, 300, &bad, &root),
                    Err(ProofError::Root)
                );
            }
        }
    }
}
