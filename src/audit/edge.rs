//! The right edge of a log: its newest records and the tree that they end,
//! read from the journal alone and held against what was signed.

use std::path::Path;

use super::files;
use super::journal::{self, Journal};
use super::place::Place;
use super::{AuditFault, Generation};
use crate::canon;
use crate::tlog::{Checkpoint, Frontier, Hash, MAX_ENTRY, NoteKey, split_entries};

/// Largest checkpoint that is read, in bytes.
pub(super) const CHECKPOINT: u64 = 64 << 10;

/// What the journal of a log holds, verified.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    /// The tree before the journal's first entry.
    pub(super) base: Frontier,
    /// The tree after its last.
    pub(super) frontier: Frontier,
    /// Its entries, as in a bundle.
    pub(super) entries: Vec<u8>,
    /// The signature over the checkpoint after its last entry.
    pub(super) signature: Vec<u8>,
    /// What its records tell of the keystore.
    pub(super) generation: Generation,
    /// Bytes of the journal up to its last whole write.
    pub(super) whole: u64,
    /// Bytes of an unfinished write after that.
    pub(super) torn: u64,
}

/// What a checkpoint's file says, as far as it was there.
struct Told {
    size: u64,
    root: Hash,
}

impl Edge {
    /// Reads the journal and everything that tells how new it must be.
    ///
    /// # Errors
    /// `AuditFault`: parts that are not there, that were changed, or that are
    /// older than what was signed.
    pub(super) fn read(place: &Place, key: &NoteKey) -> Result<Self, AuditFault> {
        // The newest last: a write in between makes the journal newer, not older.
        let head = told(&place.head, key)?;
        let checkpoint = told(&place.checkpoint, key)?;
        let bytes = files::read(&place.journal, journal::LIMIT)?
            .ok_or_else(|| place.missing(&place.journal))?;
        let Some(checkpoint) = checkpoint else {
            return Err(broken(&place.checkpoint, "it is missing"));
        };
        // A head that is not there was taken away by whoever accepts an older log.
        let told: Vec<Told> = [head.flatten(), checkpoint].into_iter().flatten().collect();
        Self::of_journal(place, &bytes, key, &told)
    }

    fn of_journal(
        place: &Place,
        bytes: &[u8],
        key: &NoteKey,
        told: &[Told],
    ) -> Result<Self, AuditFault> {
        let broken = |why: &str| broken(&place.journal, why);
        let Journal {
            base,
            frames,
            whole,
            torn,
        } = journal::parse(bytes).map_err(&broken)?;
        let mut frontier = base.clone();
        let mut entries = Vec::new();
        let mut last = None;
        for frame in &frames {
            entries.extend_from_slice(frame.entries);
        }
        let roots_differ = |frontier: &Frontier| {
            told.iter()
                .any(|told| told.size == frontier.size() && told.root != frontier.root())
        };
        let mut differs = roots_differ(&frontier);
        for entry in split_entries(&entries).map_err(|e| broken(&e.to_string()))? {
            frontier.push(Hash::of_leaf(entry));
            // Roots are dear; only those that somebody signed are asked for.
            differs |= roots_differ(&frontier);
            last = Some(entry);
        }
        let generation = last.map(generation).transpose().map_err(broken)?;
        let newest = told.iter().map(|told| told.size).max().unwrap_or(0);
        let found = frontier.size();
        if newest > found && torn > 0 {
            return Err(broken(&format!(
                "what follows its first {found} records was changed or cut short, and {newest} were signed"
            )));
        }
        if newest > found {
            return Err(AuditFault::RolledBack {
                path: place.journal.clone(),
                found,
                seen: newest,
            });
        }
        let checkpoint = Checkpoint {
            origin: key.name().to_owned(),
            size: frontier.size(),
            root: frontier.root(),
        };
        let signature = frames
            .last()
            .map(|frame| frame.signature.to_vec())
            .unwrap_or_default();
        if differs || !key.verifies(&checkpoint.text(), &signature) {
            return Err(broken(
                "its records are not those that its checkpoints signed",
            ));
        }
        Ok(Self {
            base,
            frontier,
            entries,
            signature,
            generation: generation.unwrap_or_default(),
            whole,
            torn,
        })
    }
}

/// What a file with a checkpoint says: outer `None` where there is no file,
/// inner where it is empty, as a power cut may leave one that was just renamed.
fn told(path: &Path, key: &NoteKey) -> Result<Option<Option<Told>>, AuditFault> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let Some(bytes) = files::read(path, CHECKPOINT)? else {
        return Ok(None);
    };
    if bytes.is_empty() {
        return Ok(Some(None));
    }
    let checkpoint = Checkpoint::open(&bytes, key).map_err(|e| broken(path, &e.to_string()))?;
    Ok(Some(Some(Told {
        size: checkpoint.size,
        root: checkpoint.root,
    })))
}

/// What a record tells of the keystore.
fn generation(entry: &[u8]) -> Result<Generation, &'static str> {
    let record = canon::parse(entry, MAX_ENTRY as u64).map_err(|_| "its last record is no JSON")?;
    Ok(Generation {
        newest: record["newest_generation"].as_u64(),
        limit: record["generation_limit"].as_u64(),
    })
}

pub(super) fn broken(path: &Path, why: &str) -> AuditFault {
    AuditFault::Broken {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}
