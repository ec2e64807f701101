//! A model's digests: several files at once, the largest first.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::error::SourceError;
use super::file::{self, RegularFile};
use super::progress::Progress;
use super::tree::{Entry, Tree};
use crate::crypto::Hasher;
use crate::digest::{Algorithm, Digest};
use crate::limits;
use crate::model::files::{HashRequest, HashedFile, Shards, Standing};
use crate::model::name;

/// Below this many bytes in all, a second thread costs more than it brings.
const ALONE: u64 = 1 << 20;
/// How much of a file one thread takes at a time where only shards are wanted.
const PORTION: u64 = 64 << 20;

impl Tree {
    /// The digests that `request` asks for, of every listed file in order;
    /// files that it does not ask for come without.
    ///
    /// # Errors
    /// `Changed` where a file is not, or does not stay, what was listed;
    /// `TooManyShards`; `NotRegular`; `Io`.
    pub fn hash(
        &self,
        request: &HashRequest,
        progress: &dyn Progress,
    ) -> Result<Vec<HashedFile>, SourceError> {
        let portions = self.portions(request)?;
        let sizes: Vec<u64> = portions.iter().map(|p| p.end - p.start).collect();
        let done = in_parallel(&sizes, |index, buffer| {
            let portion = &portions[index];
            let file = self.open_entry(portion.entry)?;
            let mut digests = Digests::new(request);
            file.each(portion.start, portion.end, buffer, progress, |bytes| {
                digests.update(bytes);
                Ok(())
            })?;
            file.recheck()?;
            Ok(digests.finish())
        })?;
        let mut hashed = self.unhashed();
        for (portion, (whole, shards)) in portions.iter().zip(done) {
            let file = &mut hashed[portion.index];
            file.sha256 = whole;
            match file.shards.first_mut() {
                // A further portion of a file, of the one size.
                Some(all) => all
                    .digests
                    .extend(shards.into_iter().flat_map(|more| more.digests)),
                None => file.shards = shards,
            }
        }
        Ok(hashed)
    }

    /// The listed files without any digest.
    pub(super) fn unhashed(&self) -> Vec<HashedFile> {
        self.entries()
            .iter()
            .map(|entry| HashedFile {
                path: entry.path.clone(),
                size: entry.size,
                standing: entry.standing,
                sha256: None,
                shards: Vec::new(),
            })
            .collect()
    }

    /// What is to be read, in the order of the files and of their bytes.
    fn portions(&self, request: &HashRequest) -> Result<Vec<Portion<'_>>, SourceError> {
        for size in &request.shard_sizes {
            self.check_shards(*size)?;
        }
        let step = match (request.whole, request.shard_sizes.len()) {
            (false, 0) => return Ok(Vec::new()),
            (false, 1) => request.shard_sizes.first().map(|size| {
                let whole_shards = (PORTION / size.get()).max(1);
                size.get().saturating_mul(whole_shards)
            }),
            // A digest of the whole is made from one end to the other, and two
            // sizes have no portion in common.
            _ => None,
        };
        let mut portions = Vec::with_capacity(self.entries().len());
        for (index, entry) in self.entries().iter().enumerate() {
            if !entry.regular || !request.wants(&entry.path, entry.standing) {
                continue;
            }
            let step = step.unwrap_or(u64::MAX);
            let mut start = 0;
            loop {
                let end = entry.size.min(start + step.min(entry.size - start));
                portions.push(Portion {
                    index,
                    entry,
                    start,
                    end,
                });
                if end == entry.size {
                    break;
                }
                start = end;
            }
        }
        Ok(portions)
    }

    pub(super) fn check_shards(&self, size: NonZeroU64) -> Result<(), SourceError> {
        let sizes = self.entries().iter().map(|entry| entry.size);
        check_shards(self.path(), sizes, size)
    }
}

impl RegularFile {
    /// The digests of a model that is this one file, read through the
    /// descriptor that is open already.
    ///
    /// # Errors
    /// As [`Tree::hash`].
    pub fn hash_as_model(
        &self,
        request: &HashRequest,
        progress: &dyn Progress,
    ) -> Result<HashedFile, SourceError> {
        for size in &request.shard_sizes {
            check_shards(self.path(), [self.size()], *size)?;
        }
        let mut buffer = file::buffer(self.size());
        let (sha256, shards) = hash_and(self, Some(request), &mut buffer, progress, |_| Ok(()))?;
        Ok(HashedFile {
            path: name::SINGLE.to_owned(),
            size: self.size(),
            standing: Standing::Content,
            sha256,
            shards,
        })
    }
}

fn check_shards(
    path: &Path,
    files: impl IntoIterator<Item = u64>,
    size: NonZeroU64,
) -> Result<(), SourceError> {
    let count = files.into_iter().fold(0_u64, |sum, file| {
        sum.saturating_add(file.div_ceil(size.get()))
    });
    if count > limits::MODEL_FILES as u64 {
        return Err(SourceError::TooManyShards(path.to_owned()));
    }
    Ok(())
}

struct Portion<'a> {
    index: usize,
    entry: &'a Entry,
    start: u64,
    end: u64,
}

/// A file's digest as a whole, and its shards of each size.
type Hashes = (Option<Digest>, Vec<Shards>);

/// The digests of one file in the making.
pub(super) struct Digests {
    whole: Option<Hasher>,
    shards: Vec<Cut>,
}

/// The shards of one size in the making.
struct Cut {
    done: Shards,
    hasher: Hasher,
    filled: u64,
}

fn sha256() -> Hasher {
    Hasher::new(Algorithm::Sha256)
}

impl Digests {
    pub(super) fn new(request: &HashRequest) -> Self {
        let cut = |size: &NonZeroU64| Cut {
            done: Shards {
                size: *size,
                digests: Vec::new(),
            },
            hasher: sha256(),
            filled: 0,
        };
        Self {
            whole: request.whole.then(sha256),
            shards: request.shard_sizes.iter().map(cut).collect(),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(whole) = &mut self.whole {
            whole.update(bytes);
        }
        for cut in &mut self.shards {
            cut.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Hashes {
        let shards = self.shards.into_iter().map(Cut::finish).collect();
        (self.whole.map(Hasher::finish), shards)
    }
}

impl Cut {
    fn update(&mut self, mut bytes: &[u8]) {
        let size = self.done.size.get();
        while !bytes.is_empty() {
            let room = size - self.filled;
            let take = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
            let (now, rest) = bytes.split_at(take);
            self.hasher.update(now);
            self.filled += take as u64;
            if self.filled == size {
                let full = std::mem::replace(&mut self.hasher, sha256());
                self.done.digests.push(full.finish());
                self.filled = 0;
            }
            bytes = rest;
        }
    }

    fn finish(mut self) -> Shards {
        if self.filled > 0 {
            self.done.digests.push(self.hasher.finish());
        }
        self.done
    }
}

/// Does `work` for each index of `sizes`, on all processors, largest first,
/// and returns the results in the order of `sizes`. After the first error no
/// further work is begun.
pub(super) fn in_parallel<T: Send>(
    sizes: &[u64],
    work: impl Fn(usize, &mut [u8]) -> Result<T, SourceError> + Sync,
) -> Result<Vec<T>, SourceError> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(sizes[*index]));
    let largest = order.first().map_or(0, |index| sizes[*index]);
    let total = sizes
        .iter()
        .fold(0_u64, |sum, size| sum.saturating_add(*size));
    let threads = if total < ALONE {
        1
    } else {
        std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(sizes.len())
    };
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let worker = || {
        let mut buffer = file::buffer(largest);
        let mut done = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let Some(index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            match work(*index, &mut buffer) {
                Ok(result) => done.push((*index, result)),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let mut done = if threads <= 1 {
        worker()?
    } else {
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            let mut all = Ok(Vec::with_capacity(sizes.len()));
            for handle in handles {
                let one = match handle.join() {
                    Ok(one) => one,
                    Err(panic) => std::panic::resume_unwind(panic),
                };
                match (&mut all, one) {
                    (Ok(done), Ok(more)) => done.extend(more),
                    (Ok(_), Err(error)) => all = Err(error),
                    (Err(_), _) => {}
                }
            }
            all
        })?
    };
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// The file's whole and sharded digests while its bytes go to `take` too.
pub(super) fn hash_and(
    file: &RegularFile,
    request: Option<&HashRequest>,
    buffer: &mut [u8],
    progress: &dyn Progress,
    mut take: impl FnMut(&[u8]) -> Result<(), SourceError>,
) -> Result<Hashes, SourceError> {
    let mut digests = request.map(Digests::new);
    file.each(0, file.size(), buffer, progress, |bytes| {
        if let Some(digests) = &mut digests {
            digests.update(bytes);
        }
        take(bytes)
    })?;
    file.recheck()?;
    Ok(digests.map_or((None, Vec::new()), Digests::finish))
}
