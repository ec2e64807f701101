//! The whole log, verified with its public key alone.

use std::path::Path;

use super::AuditFault;
use super::journal::{self, Journal};
use super::read::{Snapshot, TILE, full_bundle, hashes, part};
use super::unfinished::{Pairs, Unfinished};
use crate::canon;
use crate::tlog::{
    Checkpoint, Frontier, FullTile, Hash, MAX_ENTRY, NoteKey, TileId, WIDTH, entries_path,
    put_entry, root_of, split_entries,
};

/// Most problems that are listed; all are counted.
const LISTED: usize = 100;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file below the log's folder, or `record N`.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

/// What a walk over a whole log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many records were read.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// How many of them the checkpoint beside them covers; `None` where there
    /// is no good one.
    pub checkpoint: Option<u64>,
    /// How many things do not hold. A log is whole where this is 0.
    pub problem_count: u64,
    /// The first of them.
    pub problems: Vec<Problem>,
    /// How many intents have no outcome.
    pub unfinished_count: u64,
    /// The newest of them.
    pub unfinished: Vec<Unfinished>,
    /// Bytes at the journal's end of a write that was never finished, which
    /// nobody was told of.
    pub torn: u64,
}

/// Verifies every tile, entry, record and signature of the log in `folder`,
/// which may be a copy, with its public key alone. `earlier` are checkpoints
/// of the same log, with where they come from, that it must have grown from.
///
/// # Errors
/// `AuditFault` where the log cannot be read; what does not hold is in the report.
pub fn verify(
    folder: &Path,
    key: &NoteKey,
    earlier: &[(String, Checkpoint)],
) -> Result<Report, AuditFault> {
    let snapshot = Snapshot::take(folder)?;
    let mut check = Check {
        snapshot: &snapshot,
        frontier: Frontier::new(),
        roots: Vec::new(),
        at_checkpoint: None,
        signed: None,
        pairs: Pairs::default(),
        problems: Vec::new(),
        count: 0,
    };
    check.checkpoint(key);
    let journal = check.journal();
    for (from, checkpoint) in earlier {
        check.must_have_been(from, checkpoint);
    }
    let (full, from, newest) = match &journal {
        Some(journal) => {
            let mut full = journal.base.size() / WIDTH;
            if !continues(key, journal) {
                // Somebody else's word for how much there is to read.
                full = full.min(check.said() / WIDTH + 2);
            }
            (full, "journal".to_owned(), joined(journal))
        }
        None => check.newest_without_journal(),
    };
    check.passed();
    for index in 0..full {
        check.full_bundle(index)?;
    }
    if let Some(journal) = &journal
        && check.frontier != journal.base
    {
        check.problem(
            "journal",
            "it continues another tree than the tiles before it make",
        );
    }
    match split_entries(&newest) {
        Ok(entries) => {
            for entry in &entries {
                check.record(entry);
                let full = check.push(Hash::of_leaf(entry));
                check.tiles(&full, 1)?;
            }
            check.partial(full * WIDTH, &entries);
        }
        Err(e) => check.problem(&from, &e.to_string()),
    }
    if let Some(journal) = &journal {
        check.signed_journal(key, journal);
    }
    let size = check.frontier.size();
    if let Some(journal) = &journal
        && journal.torn > 0
        && check.roots.iter().any(|root| root.size > size)
    {
        let what = format!("what follows its first {size} records was changed or cut short");
        check.problem("journal", &what);
    }
    let never: Vec<_> = check
        .roots
        .iter()
        .filter(|r| r.size > size)
        .cloned()
        .collect();
    for root in never {
        let what = format!(
            "it is of {} records, and the log has {size}: its end was cut off, or an older copy stands in its place",
            root.size
        );
        check.problem(&root.from, &what);
    }
    let (unfinished_count, unfinished) = check.pairs.unfinished();
    Ok(Report {
        size,
        root: check.frontier.root(),
        checkpoint: check.signed,
        problem_count: check.count,
        problems: check.problems,
        unfinished_count,
        unfinished,
        torn: journal.map_or(0, |journal| journal.torn),
    })
}

struct Check<'a> {
    snapshot: &'a Snapshot,
    frontier: Frontier,
    /// Roots that the tree must have on the way.
    roots: Vec<Root>,
    /// The tree when it had the checkpoint's size.
    at_checkpoint: Option<Frontier>,
    signed: Option<u64>,
    pairs: Pairs,
    problems: Vec<Problem>,
    count: u64,
}

#[derive(Clone)]
struct Root {
    from: String,
    size: u64,
    root: Hash,
}

impl<'a> Check<'a> {
    fn problem(&mut self, place: &str, problem: &str) {
        self.count = self.count.saturating_add(1);
        if self.problems.len() < LISTED {
            self.problems.push(Problem {
                place: place.to_owned(),
                problem: problem.to_owned(),
            });
        }
    }

    fn must_have_been(&mut self, from: &str, checkpoint: &Checkpoint) {
        self.roots.push(Root {
            from: from.to_owned(),
            size: checkpoint.size,
            root: checkpoint.root,
        });
    }

    fn checkpoint(&mut self, key: &NoteKey) {
        match self.snapshot.checkpoint.as_deref() {
            None => self.problem("checkpoint", "it is missing"),
            Some(note) => match Checkpoint::open(note, key) {
                Ok(checkpoint) => {
                    self.signed = Some(checkpoint.size);
                    self.must_have_been("checkpoint", &checkpoint);
                }
                Err(e) => self.problem("checkpoint", &e.to_string()),
            },
        }
    }

    fn journal(&mut self) -> Option<Journal<'a>> {
        match journal::parse(self.snapshot.journal.as_deref()?) {
            Ok(journal) => Some(journal),
            Err(why) => {
                self.problem("journal", why);
                None
            }
        }
    }

    /// The number of full bundles, and the entries after them from the partial
    /// bundle that the checkpoint needs, with that one's path.
    fn newest_without_journal(&mut self) -> (u64, String, Vec<u8>) {
        let size = self.signed.unwrap_or_default();
        let path = entries_path(size / WIDTH, size % WIDTH);
        let part = self.snapshot.partial.iter().find(|(at, _)| *at == path);
        let bytes = match part {
            Some((_, Ok(bytes))) => bytes.clone(),
            Some((_, Err(why))) => {
                self.problem(&path, why);
                Vec::new()
            }
            None => Vec::new(),
        };
        (size / WIDTH, path, bytes)
    }

    /// The largest size that a checkpoint tells of, this log's or an earlier one.
    fn said(&self) -> u64 {
        let sizes = self.roots.iter().map(|root| root.size);
        sizes.max().unwrap_or_default()
    }

    /// Holds the tree against the roots that it must have at its present size.
    fn passed(&mut self) {
        let size = self.frontier.size();
        if self.signed == Some(size) {
            self.at_checkpoint = Some(self.frontier.clone());
        }
        let due: Vec<Root> = self
            .roots
            .iter()
            .filter(|r| r.size == size)
            .cloned()
            .collect();
        for root in due {
            if root.root != self.frontier.root() {
                self.problem(
                    &root.from,
                    &format!("it signs another tree than the log's first {size} records make"),
                );
            }
        }
    }

    fn push(&mut self, leaf: Hash) -> Vec<FullTile> {
        let full = self.frontier.push(leaf);
        self.passed();
        full
    }

    fn record(&mut self, entry: &[u8]) {
        let seq = self.frontier.size();
        let why = match canon::parse(entry, MAX_ENTRY as u64) {
            Err(_) => Some("it is no JSON"),
            Ok(record) if canon::canonical(&record) != entry => Some("it is not canonical JSON"),
            Ok(record) if record["seq"].as_u64() != Some(seq) => Some("its number is another"),
            Ok(record) => self.pairs.take(seq, &record).err(),
        };
        if let Some(why) = why {
            self.problem(&format!("record {seq}"), why);
        }
    }

    /// One full bundle, the tile of its hashes, and the tiles above that it
    /// makes full.
    fn full_bundle(&mut self, index: u64) -> Result<(), AuditFault> {
        let (path, bytes) = full_bundle(&self.snapshot.place, index)?;
        let entries = match bytes.as_deref().map(split_entries) {
            Err(why) => Err(why.clone()),
            Ok(Err(e)) => Err(e.to_string()),
            Ok(Ok(entries)) if entries.len() as u64 != WIDTH => Err(format!(
                "it holds {} records, and 256 are due",
                entries.len()
            )),
            Ok(Ok(entries)) => Ok(entries),
        };
        let id = TileId {
            level: 0,
            index,
            width: WIDTH,
        };
        let tile = self.read_tile(id)?;
        let leaves: Option<Vec<Hash>> = entries
            .as_ref()
            .ok()
            .map(|entries| entries.iter().map(|entry| Hash::of_leaf(entry)).collect());
        if let Err(why) = &entries {
            self.problem(&path, why);
        }
        if let Err(why) = &tile {
            self.problem(&id.path(), why);
        }
        let tile = tile.ok();
        // Where the two differ, the hash one level up tells which was changed.
        let leaves = match (leaves, tile) {
            (Some(leaves), Some(tile)) if leaves != tile => {
                let above = self.above(index)?;
                if above == Some(root_of(&tile)) {
                    let at = leaves.iter().zip(&tile).position(|(a, b)| a != b);
                    let seq = index * WIDTH + at.unwrap_or_default() as u64;
                    self.problem(&path, &format!("record {seq} was changed"));
                    tile
                } else {
                    self.problem(&id.path(), "it does not hold the hashes of its records");
                    leaves
                }
            }
            (Some(leaves), _) => leaves,
            (None, Some(tile)) => tile,
            (None, None) => vec![root_of(&[]); WIDTH as usize],
        };
        let entries = entries.unwrap_or_default();
        for (at, leaf) in leaves.into_iter().enumerate() {
            if let Some(entry) = entries.get(at) {
                self.record(entry);
            }
            let full = self.push(leaf);
            self.tiles(&full, 1)?;
        }
        Ok(())
    }

    /// Compares full tiles of `lowest` and higher levels with their files.
    fn tiles(&mut self, full: &[FullTile], lowest: u8) -> Result<(), AuditFault> {
        for tile in full.iter().filter(|tile| tile.level >= lowest) {
            let id = TileId {
                level: tile.level,
                index: tile.index,
                width: WIDTH,
            };
            match self.read_tile(id)? {
                Ok(hashes) if hashes == tile.hashes => {}
                Ok(_) => self.problem(&id.path(), "it does not hold the hashes of the tiles below"),
                Err(why) => self.problem(&id.path(), &why),
            }
        }
        Ok(())
    }

    /// Compares the partial tiles and the partial bundle of the checkpoint with
    /// what the records make; `entries` begin with number `first`.
    fn partial(&mut self, first: u64, entries: &[&[u8]]) {
        let Some(frontier) = self.at_checkpoint.take() else {
            return;
        };
        let size = frontier.size();
        let from = size / WIDTH * WIDTH;
        for (path, bytes) in &self.snapshot.partial {
            let id = TileId::partial(size).find(|id| id.path() == *path);
            let due = match id {
                Some(id) => {
                    let hashes = &frontier.levels()[usize::from(id.level)];
                    hashes.iter().flat_map(|hash| *hash.bytes()).collect()
                }
                None if from < first => continue,
                None => {
                    let skipped = (from - first) as usize;
                    let mut due = Vec::new();
                    let due_entries = entries.iter().skip(skipped).take((size - from) as usize);
                    if due_entries
                        .into_iter()
                        .any(|e| put_entry(&mut due, e).is_err())
                    {
                        continue;
                    }
                    due
                }
            };
            let problem = match bytes {
                Err(why) => why.clone(),
                Ok(bytes) if bytes.len() != due.len() => {
                    format!("it has {} bytes, and {} are due", bytes.len(), due.len())
                }
                Ok(bytes) if *bytes != due => "it holds something else than is due".to_owned(),
                Ok(_) => continue,
            };
            self.problem(path, &problem);
        }
    }

    fn signed_journal(&mut self, key: &NoteKey, journal: &Journal<'_>) {
        let checkpoint = Checkpoint {
            origin: key.name().to_owned(),
            size: self.frontier.size(),
            root: self.frontier.root(),
        };
        let last = journal.frames.last();
        if !last.is_some_and(|last| key.verifies(&checkpoint.text(), last.signature)) {
            self.problem(
                "journal",
                "its last signature is not by that key over the log's records",
            );
        }
    }

    /// The hash of full tile `index` in the level above, as its file has it.
    fn above(&self, index: u64) -> Result<Option<Hash>, AuditFault> {
        let size = self.signed.unwrap_or_default();
        let Some(id) = TileId::holding(1, index, size) else {
            return Ok(None);
        };
        let at = (index % WIDTH) as usize;
        let hashes = self.read_tile(id)?.ok();
        Ok(hashes.and_then(|hashes| hashes.get(at).copied()))
    }

    fn read_tile(&self, id: TileId) -> Result<Result<Vec<Hash>, String>, AuditFault> {
        let path = id.path();
        let partial = self.snapshot.partial.iter().find(|(at, _)| *at == path);
        let bytes = match partial {
            Some((_, bytes)) => bytes.clone(),
            None => part(&self.snapshot.place.folder.join(&path), TILE)?,
        };
        Ok(bytes.and_then(|bytes| hashes(&bytes, id.width)))
    }
}

/// Whether the journal's last signature holds over what the journal itself
/// says that it follows on.
fn continues(key: &NoteKey, journal: &Journal<'_>) -> bool {
    let mut frontier = journal.base.clone();
    let newest = joined(journal);
    let Ok(entries) = split_entries(&newest) else {
        return false;
    };
    for entry in entries {
        frontier.push(Hash::of_leaf(entry));
    }
    let checkpoint = Checkpoint {
        origin: key.name().to_owned(),
        size: frontier.size(),
        root: frontier.root(),
    };
    let last = journal.frames.last();
    last.is_some_and(|last| key.verifies(&checkpoint.text(), last.signature))
}

/// The entries of all frames.
fn joined(journal: &Journal<'_>) -> Vec<u8> {
    let frames = journal.frames.iter();
    frames.flat_map(|frame| frame.entries).copied().collect()
}
