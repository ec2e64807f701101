use super::hash::{Hash, root_of};
use super::tile::WIDTH;

/// The right edge of a tree: the hashes of every partial tile. Enough to add
/// leaves and to know the root; at most 255 hashes a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

/// A tile that became full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// 0 for leaf hashes.
    pub level: u8,
    /// Its number in the level, from 0.
    pub index: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Frontier {
    /// Of the empty tree.
    pub const fn new() -> Self {
        Self {
            size: 0,
            levels: Vec::new(),
        }
    }

    /// Of a tree of `size` leaves, from the hashes of its partial tiles, level
    /// 0 first, an empty list where a level has none; `None` where their
    /// numbers do not fit the size.
    pub fn from_levels(size: u64, mut levels: Vec<Vec<Hash>>) -> Option<Self> {
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        let mut rest = size;
        for level in &levels {
            if level.len() as u64 != rest % WIDTH {
                return None;
            }
            rest /= WIDTH;
        }
        (rest == 0).then_some(Self { size, levels })
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the partial tiles, level 0 first.
    pub fn levels(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// Adds a leaf; the answer is the tiles that it made full, lowest first.
    pub fn push(&mut self, leaf: Hash) -> Vec<FullTile> {
        let mut full = Vec::new();
        let mut hash = leaf;
        self.size = self.size.saturating_add(1);
        let mut complete = self.size;
        for level in 0..=u8::MAX {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::new());
            }
            self.levels[at].push(hash);
            if (self.levels[at].len() as u64) < WIDTH {
                break;
            }
            complete /= WIDTH;
            let hashes = std::mem::take(&mut self.levels[at]);
            hash = root_of(&hashes);
            full.push(FullTile {
                level,
                index: complete.saturating_sub(1),
                hashes,
            });
        }
        full
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        // What lies to the right of a level's complete subtrees is one
        // smaller subtree, the last in that level's list.
        let mut right: Option<Hash> = None;
        for level in &self.levels {
            let mut hashes = level.clone();
            hashes.extend(right);
            if !hashes.is_empty() {
                right = Some(root_of(&hashes));
            }
        }
        right.unwrap_or_else(|| root_of(&[]))
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(n: u64) -> Hash {
        Hash::of_leaf(&n.to_be_bytes())
    }

    #[test]
    fn its_root_is_the_trees_at_every_size() {
        let mut frontier = Frontier::new();
        let mut leaves = Vec::new();
        let mut tiles = 0;
        assert_eq!(frontier.root(), root_of(&[]));
        for n in 0..1_400 {
            let full = frontier.push(leaf(n));
            leaves.push(leaf(n));
            assert_eq!(frontier.root(), root_of(&leaves), "{}", n + 1);
            for tile in full {
                assert_eq!((tile.level, tile.index), (0, tiles));
                assert_eq!(tile.hashes, leaves[leaves.len() - 256..]);
                tiles += 1;
            }
            let again = Frontier::from_levels(n + 1, frontier.levels().to_vec()).unwrap();
            assert_eq!(again.root(), frontier.root());
        }
        assert_eq!(tiles, 5);
    }

    #[test]
    fn a_tile_of_tiles_becomes_full_too() {
        let mut frontier = Frontier::new();
        let mut last = Vec::new();
        for n in 0..65_536 {
            last = frontier.push(leaf(n));
        }
        let seen: Vec<_> = last.iter().map(|t| (t.level, t.index)).collect();
        assert_eq!(seen, [(0, 255), (1, 0)]);
        assert_eq!(frontier.root(), root_of(&last[1].hashes));
        assert_eq!(frontier.levels()[2], [frontier.root()]);
    }

    #[test]
    fn hashes_that_do_not_fit_the_size_are_refused() {
        let two = vec![leaf(0), leaf(1)];
        assert!(Frontier::from_levels(2, vec![two.clone()]).is_some());
        assert!(Frontier::from_levels(512, vec![vec![], two.clone(), vec![]]).is_some());
        assert!(Frontier::from_levels(3, vec![two.clone()]).is_none());
        assert!(Frontier::from_levels(2, vec![]).is_none());
        assert!(Frontier::from_levels(258, vec![two.clone()]).is_none());
        assert!(Frontier::from_levels(2, vec![two.clone(), two]).is_none());
    }
}
