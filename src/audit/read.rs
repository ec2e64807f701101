//! A log as its readers see it: a consistent look at the newest records, and
//! the older ones from files that never change.

use std::path::Path;

use super::AuditFault;
use super::edge::{CHECKPOINT, broken};
use super::files;
use super::journal;
use super::place::Place;
use crate::tlog::{
    Checkpoint, ConsistencyProof, Hash, Note, NoteError, RecordProof, TileId, TreeReader, WIDTH,
    entries_path, split_entries, verify_consistency, verify_inclusion,
};

/// Largest bundle that is read, in bytes.
const BUNDLE: u64 = WIDTH * (2 + 0xffff);
/// Largest tile, in bytes.
pub(super) const TILE: u64 = WIDTH * Hash::LEN as u64;

/// What changes with every write, read in one go while no write is under way.
pub(super) struct Snapshot {
    pub(super) place: Place,
    pub(super) checkpoint: Option<Vec<u8>>,
    pub(super) journal: Option<Vec<u8>>,
    /// The partial tiles and the partial bundle that the checkpoint needs,
    /// with their paths below the log's folder.
    pub(super) partial: Vec<(String, Part)>,
}

/// What stands in a file that the log needs: its bytes, or what is wrong with it.
pub(super) type Part = Result<Vec<u8>, String>;

/// Reads a file that the log needs; what is wrong with the file itself is an
/// answer, and a disk that does not answer is an error.
pub(super) fn part(path: &Path, limit: u64) -> Result<Part, AuditFault> {
    match files::read(path, limit) {
        Ok(Some(bytes)) => Ok(Ok(bytes)),
        Ok(None) => Ok(Err("it is missing".to_owned())),
        Err(AuditFault::Broken { why, .. }) => Ok(Err(why)),
        Err(AuditFault::NotThat { what, .. }) => Ok(Err(format!("it is not {what}"))),
        Err(fault) => Err(fault),
    }
}

impl Snapshot {
    pub(super) fn take(folder: &Path) -> Result<Self, AuditFault> {
        let place = Place::of_folder(folder);
        let _lock = files::lock(folder, false)?;
        let checkpoint = files::read(&place.checkpoint, CHECKPOINT)?;
        let journal = files::read(&place.journal, journal::LIMIT)?;
        if checkpoint.is_none() && journal.is_none() && !folder.join("tile").is_dir() {
            return Err(AuditFault::Missing(place.checkpoint));
        }
        let mut partial = Vec::new();
        if let Some(Ok(unverified)) = checkpoint.as_deref().map(unverified) {
            let size = unverified.size;
            let mut paths: Vec<String> = TileId::partial(size).map(|id| id.path()).collect();
            if size % WIDTH > 0 {
                paths.push(entries_path(size / WIDTH, size % WIDTH));
            }
            for path in paths {
                let bytes = part(&folder.join(&path), BUNDLE)?;
                partial.push((path, bytes));
            }
        }
        Ok(Self {
            place,
            checkpoint,
            journal,
            partial,
        })
    }
}

/// A log that is read, not verified: that is what [`super::verify`] is for.
pub struct AuditLog {
    place: Place,
    note: String,
    checkpoint: Checkpoint,
    partial: Vec<(String, Part)>,
    /// The number of the first record in `newest`, a multiple of [`WIDTH`].
    first: u64,
    newest: Vec<Vec<u8>>,
}

impl AuditLog {
    /// Opens the log in `folder`, which may be a copy.
    ///
    /// # Errors
    /// `AuditFault`; `Broken` where its checkpoint or journal cannot be read.
    pub fn open(folder: &Path) -> Result<Self, AuditFault> {
        let Snapshot {
            place,
            checkpoint,
            journal,
            partial,
        } = Snapshot::take(folder)?;
        let Some(note) = checkpoint else {
            return Err(broken(&place.checkpoint, "it is missing"));
        };
        let checkpoint =
            unverified(&note).map_err(|e| broken(&place.checkpoint, &e.to_string()))?;
        let (first, newest) = match &journal {
            Some(bytes) => {
                let journal = journal::parse(bytes).map_err(|e| broken(&place.journal, e))?;
                (journal.base.size(), newest(&place, &journal)?)
            }
            None => {
                let size = checkpoint.size;
                let path = entries_path(size / WIDTH, size % WIDTH);
                let bytes = partial.iter().find(|(at, _)| *at == path);
                let bytes = match bytes {
                    Some((_, Ok(bytes))) => bytes.as_slice(),
                    Some((_, Err(why))) => return Err(broken(&folder.join(&path), why)),
                    None => &[],
                };
                let entries = split_entries(bytes)
                    .map_err(|e| broken(&folder.join(&path), &e.to_string()))?;
                let newest = entries.into_iter().map(<[u8]>::to_vec).collect();
                (size / WIDTH * WIDTH, newest)
            }
        };
        Ok(Self {
            note: String::from_utf8_lossy(&note).into_owned(),
            place,
            checkpoint,
            partial,
            first,
            newest,
        })
    }

    /// The log's name, as its checkpoint says.
    pub fn origin(&self) -> &str {
        &self.checkpoint.origin
    }

    /// How many records can be read.
    pub fn size(&self) -> u64 {
        self.first.saturating_add(self.newest.len() as u64)
    }

    /// Records from number `index` times 256 on, at most 256 of them.
    ///
    /// # Errors
    /// `Broken` where the file is missing or cannot be read as entries.
    pub fn bundle(&self, index: u64) -> Result<Vec<Vec<u8>>, AuditFault> {
        let from = index.saturating_mul(WIDTH);
        if from >= self.first {
            let skipped = (from - self.first) as usize;
            let newest = self.newest.iter().skip(skipped).take(WIDTH as usize);
            return Ok(newest.cloned().collect());
        }
        let (path, bytes) = full_bundle(&self.place, index)?;
        let path = self.place.folder.join(path);
        let bytes = bytes.map_err(|why| broken(&path, &why))?;
        let entries = split_entries(&bytes).map_err(|e| broken(&path, &e.to_string()))?;
        if entries.len() as u64 != WIDTH {
            return Err(broken(&path, "it does not hold 256 records"));
        }
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }

    /// All records with their numbers, oldest first, read as they are asked for.
    pub fn records(&self) -> impl Iterator<Item = Result<(u64, Vec<u8>), AuditFault>> + '_ {
        self.records_from(0)
    }

    /// The records from number `first` on.
    pub fn records_from(
        &self,
        first: u64,
    ) -> impl Iterator<Item = Result<(u64, Vec<u8>), AuditFault>> + '_ {
        (first / WIDTH..self.size().div_ceil(WIDTH)).flat_map(move |index| {
            let (read, fault) = match self.bundle(index) {
                Ok(read) => (read, None),
                Err(fault) => (Vec::new(), Some(Err(fault))),
            };
            let numbered = (index * WIDTH..).zip(read);
            numbered
                .filter(move |(seq, _)| *seq >= first)
                .map(Ok)
                .chain(fault)
        })
    }

    /// The proof that record `seq`, which reads `entry`, stands in the log;
    /// `None` where the newest checkpoint does not cover it yet.
    ///
    /// # Errors
    /// `Broken` where the tiles do not lead to what the checkpoint says.
    pub fn prove(&self, seq: u64, entry: &[u8]) -> Result<Option<RecordProof>, AuditFault> {
        let size = self.checkpoint.size;
        if seq >= size {
            return Ok(None);
        }
        let mut tree = TreeReader::new(size, |id| self.tile(id));
        let path = tree.inclusion(seq)?;
        let leaf = Hash::of_leaf(entry);
        verify_inclusion(leaf, seq, size, &path, &self.checkpoint.root).map_err(|_| {
            broken(
                &self.place.folder,
                &format!("tiles and entries do not prove record {seq} under its checkpoint"),
            )
        })?;
        Ok(Some(RecordProof {
            index: seq,
            path,
            checkpoint: self.note.clone(),
        }))
    }

    /// The proof that the log begins with its first `old` records; `None` where
    /// the newest checkpoint covers fewer.
    ///
    /// # Errors
    /// `Broken` where the tiles do not lead to what the checkpoint says.
    pub fn prove_growth(&self, old: u64) -> Result<Option<ConsistencyProof>, AuditFault> {
        let (size, root) = (self.checkpoint.size, &self.checkpoint.root);
        if old > size {
            return Ok(None);
        }
        let mut tree = TreeReader::new(size, |id| self.tile(id));
        let (path, old_root) = (tree.consistency(old)?, tree.root(old)?);
        verify_consistency((old, &old_root), (size, root), &path).map_err(|_| {
            broken(
                &self.place.folder,
                &format!("tiles do not prove its first {old} records under its checkpoint"),
            )
        })?;
        Ok(Some(ConsistencyProof {
            old,
            path,
            checkpoint: self.note.clone(),
        }))
    }

    fn tile(&self, id: TileId) -> Result<Vec<Hash>, AuditFault> {
        let path = id.path();
        let partial = self.partial.iter().find(|(at, _)| *at == path);
        let bytes = match partial {
            Some((_, bytes)) => bytes.clone(),
            None => part(&self.place.folder.join(&path), TILE)?,
        };
        let at = self.place.folder.join(&path);
        let hashes = bytes.and_then(|bytes| hashes(&bytes, id.width));
        hashes.map_err(|why| broken(&at, &why))
    }
}

/// The entries of a journal.
fn newest(place: &Place, journal: &journal::Journal<'_>) -> Result<Vec<Vec<u8>>, AuditFault> {
    let mut newest = Vec::new();
    for frame in &journal.frames {
        let entries =
            split_entries(frame.entries).map_err(|e| broken(&place.journal, &e.to_string()))?;
        newest.extend(entries.into_iter().map(<[u8]>::to_vec));
    }
    Ok(newest)
}

/// A full bundle: its path below the log's folder, and its bytes.
pub(super) fn full_bundle(place: &Place, index: u64) -> Result<(String, Part), AuditFault> {
    let path = entries_path(index, WIDTH);
    let bytes = part(&place.folder.join(&path), BUNDLE)?;
    Ok((path, bytes))
}

/// A tile's hashes.
pub(super) fn hashes(bytes: &[u8], width: u64) -> Result<Vec<Hash>, String> {
    let due = width * Hash::LEN as u64;
    if bytes.len() as u64 != due {
        return Err(format!("it has {} bytes, and {due} are due", bytes.len()));
    }
    let hashes = bytes.chunks_exact(Hash::LEN).filter_map(Hash::from_bytes);
    Ok(hashes.collect())
}

/// What a checkpoint says, whoever signed it.
fn unverified(note: &[u8]) -> Result<Checkpoint, NoteError> {
    Checkpoint::parse(Note::parse(note)?.unverified())
}
