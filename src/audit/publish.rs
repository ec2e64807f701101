//! What others read, made from the journal's records: tiles, bundles of
//! entries, and the checkpoint.
//!
//! Everything lies there before the record that needs it is durable, so that
//! a disk that is full or read-only refuses the record and not its evidence;
//! the checkpoint that makes it count is put in place afterwards. Full tiles
//! and bundles are durable before the journal lets go of their entries.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::AuditFault;
use super::files::{self, failed, write_derived, write_durable};
use super::place::Place;
use crate::tlog::{Frontier, FullTile, Hash, TileId, WIDTH, entries_path};

/// A state of the log that is about to be signed into being.
pub(super) struct Next<'a> {
    /// The tree before.
    pub(super) before: &'a Frontier,
    /// The tree after.
    pub(super) after: &'a Frontier,
    /// The tiles that became full on the way.
    pub(super) full: &'a [FullTile],
    /// Entries from the number in `first` to the end.
    pub(super) entries: &'a [&'a [u8]],
    /// A multiple of [`WIDTH`].
    pub(super) first: u64,
    /// The signed checkpoint.
    pub(super) note: &'a str,
    /// Whether what lies there now may be incomplete, as after a crash.
    pub(super) anew: bool,
}

impl Next<'_> {
    /// Writes tiles, bundles, and the checkpoint under a name of its own.
    pub(super) fn prepare(&self, place: &Place) -> Result<(), AuditFault> {
        let at = |path: &str| place.folder.join(path);
        for tile in self.full {
            let id = TileId {
                level: tile.level,
                index: tile.index,
                width: WIDTH,
            };
            write_durable(&place.folder, &at(&id.path()), &concat(&tile.hashes))?;
            if tile.level == 0 {
                let bundle = self.bundle(tile.index, WIDTH);
                let path = at(&entries_path(tile.index, WIDTH));
                write_durable(&place.folder, &path, &bundle)?;
            }
        }
        let size = self.after.size();
        for id in TileId::partial(size) {
            if id.level == 0 || !self.full.is_empty() || self.anew {
                let hashes = &self.after.levels()[usize::from(id.level)];
                write_derived(&at(&id.path()), &concat(hashes))?;
            }
        }
        if !size.is_multiple_of(WIDTH) {
            let bundle = self.bundle(size / WIDTH, size % WIDTH);
            write_derived(&at(&entries_path(size / WIDTH, size % WIDTH)), &bundle)?;
        }
        write_derived(&new_checkpoint(place), self.note.as_bytes())
    }

    /// Puts the checkpoint in place and clears away what it supersedes. The
    /// records are durable by now, and the next write makes up for what fails.
    pub(super) fn reveal(&self, place: &Place) -> Result<(), AuditFault> {
        fs::rename(new_checkpoint(place), &place.checkpoint)
            .map_err(failed(&place.checkpoint, "written"))?;
        write_head(&place.head, self.note.as_bytes())?;
        if self.before.size() == self.after.size() {
            return Ok(());
        }
        for old in TileId::partial(self.before.size()) {
            let now = TileId::partial(self.after.size()).find(|now| now.level == old.level);
            if now == Some(old) {
                continue;
            }
            let full = now.is_none_or(|now| now.index > old.index);
            clear(&place.folder.join(old.path()), full)?;
            if old.level == 0 {
                clear(&place.folder.join(entries_path(old.index, old.width)), full)?;
            }
        }
        Ok(())
    }

    fn bundle(&self, index: u64, width: u64) -> Vec<u8> {
        let from = index.saturating_mul(WIDTH).saturating_sub(self.first) as usize;
        let mut bytes = Vec::new();
        for entry in self.entries.iter().skip(from).take(width as usize) {
            // Longer ones were refused when they came.
            bytes.extend_from_slice(&(entry.len() as u16).to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        bytes
    }
}

fn new_checkpoint(place: &Place) -> PathBuf {
    place.folder.join(".checkpoint.new")
}

/// Written over in place, not renamed into it: it has its block on the disk
/// already, so that a disk that is full cannot make it lag behind.
pub(super) fn write_head(path: &Path, note: &[u8]) -> Result<(), AuditFault> {
    let Some(file) = files::open(path, true)? else {
        return write_derived(path, note);
    };
    file.write_all_at(note, 0)
        .and_then(|()| file.set_len(note.len() as u64))
        .and_then(|()| (&file).flush())
        .map_err(failed(path, "written"))
}

/// Removes a partial tile or bundle, or all of its widths once it is full.
fn clear(path: &Path, full: bool) -> Result<(), AuditFault> {
    let removed = match path.parent() {
        Some(widths) if full => fs::remove_dir_all(widths),
        _ => fs::remove_file(path),
    };
    match removed {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(path, "written")(e)),
        _ => Ok(()),
    }
}

fn concat(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.bytes()).collect()
}
