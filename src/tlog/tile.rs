use std::fmt::Write as _;

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH: u64 = 256;

/// Which tile: its level, its number in the level, and how many hashes it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileId {
    /// 0 holds leaf hashes; each further level holds the roots of full tiles below.
    pub level: u8,
    /// From 0, left to right.
    pub index: u64,
    /// 1 to [`WIDTH`]; below that the tile is partial.
    pub width: u64,
}

impl TileId {
    /// Its path below the log's folder: `tile/0/x001/x234/067.p/5`.
    pub fn path(&self) -> String {
        numbered(format!("tile/{}/", self.level), self.index, self.width)
    }

    /// The tile that holds subtree `number` of `level` in a tree of `size`
    /// leaves; `None` where the tree has no such complete subtree.
    pub fn holding(level: u8, number: u64, size: u64) -> Option<Self> {
        let there = subtrees(size, level);
        (number < there).then(|| Self {
            level,
            index: number / WIDTH,
            width: (there - number / WIDTH * WIDTH).min(WIDTH),
        })
    }

    /// The partial tiles at the right edge of a tree of `size` leaves.
    pub fn partial(size: u64) -> impl Iterator<Item = Self> {
        (0..=8u8).filter_map(move |level| {
            let there = subtrees(size, level);
            (!there.is_multiple_of(WIDTH)).then_some(Self {
                level,
                index: there / WIDTH,
                width: there % WIDTH,
            })
        })
    }
}

/// The path of bundle `index` with `width` entries, below the log's folder:
/// `tile/entries/067.p/5`.
pub fn entries_path(index: u64, width: u64) -> String {
    numbered("tile/entries/".to_owned(), index, width)
}

/// How many complete subtrees of 256^level leaves a tree of `size` leaves has.
fn subtrees(size: u64, level: u8) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

fn numbered(mut path: String, index: u64, width: u64) -> String {
    let digits = format!("{index:03}");
    // Groups of three from the right, the first one padded.
    let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
    for at in (0..digits.len()).step_by(3) {
        let more = at + 3 < digits.len();
        path.push_str(if more { "x" } else { "" });
        path.push_str(&digits[at..at + 3]);
        path.push_str(if more { "/" } else { "" });
    }
    if width < WIDTH {
        // Writing into a text cannot fail.
        let _infallible = write!(path, ".p/{width}");
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_specifications() {
        let path = |level, index, width| {
            TileId {
                level,
                index,
                width,
            }
            .path()
        };
        assert_eq!(path(0, 0, 256), "tile/0/000");
        assert_eq!(path(0, 5, 1), "tile/0/005.p/1");
        assert_eq!(path(1, 999, 256), "tile/1/999");
        assert_eq!(path(2, 1_000, 255), "tile/2/x001/000.p/255");
        assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(entries_path(1_234_067, 7), "tile/entries/x001/x234/067.p/7");
    }

    #[test]
    fn a_tree_of_70000_has_the_tiles_of_the_specifications_example() {
        let partial: Vec<_> = TileId::partial(70_000)
            .map(|t| (t.level, t.index, t.width))
            .collect();
        assert_eq!(partial, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        let of_256: Vec<_> = TileId::partial(256).map(|t| (t.level, t.width)).collect();
        assert_eq!(of_256, [(1, 1)]);
        assert_eq!(TileId::holding(0, 69_999, 70_000).unwrap().width, 112);
        assert_eq!(TileId::holding(1, 5, 70_000).unwrap().width, 256);
        assert_eq!(TileId::holding(0, 70_000, 70_000), None);
        assert_eq!(TileId::holding(3, 0, 70_000), None);
        assert_eq!(TileId::partial(0).count(), 0);
    }
}
