//! Appending: one writer per log and process gathers what several operations
//! have to record into one durable write.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::edge::Edge;
use super::event::Position;
use super::files::{self, Identity, failed, write_durable};
use super::journal::{frame, header};
use super::place::Place;
use super::publish::{Next, write_head};
use super::{AuditFault, AuditSink, Event, Generation, Receipt};
use crate::tlog::{
    Checkpoint, Frontier, Hash, MAX_ENTRY, NoteSigner, WIDTH, put_entry, split_entries,
};

/// Most events of one write: no more than one bundle becomes full twice.
const BATCH: usize = WIDTH as usize;

/// How long tiles, entries and the checkpoint may lag behind the journal,
/// which is what makes records durable.
const LAG: Duration = Duration::from_millis(50);

/// The log of a state folder, which must exist: one that vanished is not
/// begun anew. All that have it open in this process share their writes.
pub fn open(state: &Path) -> Box<dyn AuditSink> {
    static WRITERS: OnceLock<Mutex<HashMap<PathBuf, Weak<Writer>>>> = OnceLock::new();
    let path = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    let mut writers = WRITERS
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let writer = writers.get(&path).and_then(Weak::upgrade);
    let writer = writer.unwrap_or_else(|| {
        writers.retain(|_, writer| writer.strong_count() > 0);
        let writer = Arc::new(Writer {
            place: Place::in_state(&path),
            waiting: Mutex::default(),
            turn: Arc::default(),
            lags: AtomicBool::new(false),
        });
        writers.insert(path, Arc::downgrade(&writer));
        writer
    });
    Box::new(Sink(writer))
}

struct Sink(Arc<Writer>);

struct Writer {
    place: Place,
    waiting: Mutex<VecDeque<Waiting>>,
    turn: Arc<tokio::sync::Mutex<Option<Open>>>,
    /// Somebody is to look in a moment whether something lags behind.
    lags: AtomicBool,
}

type Answer = Result<Receipt, AuditFault>;

struct Waiting {
    event: Event,
    answer: oneshot::Sender<Answer>,
}

impl AuditSink for Sink {
    fn append<'a>(&'a self, event: &'a Event) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            let (answer, mut mine) = oneshot::channel();
            self.0.waiting().push_back(Waiting {
                event: event.clone(),
                answer,
            });
            loop {
                // Whoever has the turn writes for all who wait, so most find
                // their answer when the turn comes to them.
                let mut turn = Arc::clone(&self.0.turn).lock_owned().await;
                if let Ok(answer) = mine.try_recv() {
                    return answer;
                }
                let writer = Arc::clone(&self.0);
                // The turn goes along: should nobody wait for it any more, the
                // write still ends before the next one begins.
                let written = tokio::task::spawn_blocking(move || {
                    writer.write_waiting(&mut turn);
                    turn.as_ref().is_some_and(Open::lags)
                })
                .await;
                if matches!(written, Ok(true)) {
                    catch_up_later(&self.0);
                }
                match mine.try_recv() {
                    Ok(answer) => return answer,
                    Err(oneshot::error::TryRecvError::Empty) if written.is_ok() => {}
                    Err(_) => {
                        return Err(failed(&self.0.place.journal, "written")(io::Error::other(
                            "the write was given up",
                        )));
                    }
                }
            }
        })
    }

    fn generation(&self) -> Result<Generation, AuditFault> {
        let place = &self.0.place;
        let signer = place.signer()?;
        Ok(Edge::read(place, signer.key())?.generation)
    }
}

/// Sees to it that what lags behind now does not for long.
fn catch_up_later(writer: &Arc<Writer>) {
    if writer.lags.swap(true, Ordering::Relaxed) {
        return;
    }
    // Should the runtime end first, dropping the writer does it.
    let writer = Arc::downgrade(writer);
    tokio::spawn(async move {
        tokio::time::sleep(LAG).await;
        let Some(writer) = writer.upgrade() else {
            return;
        };
        let mut turn = Arc::clone(&writer.turn).lock_owned().await;
        writer.lags.store(false, Ordering::Relaxed);
        let _made_anew_by_the_next_write =
            tokio::task::spawn_blocking(move || writer.catch_up(&mut turn)).await;
    });
}

impl Drop for Writer {
    fn drop(&mut self) {
        let turn = Arc::clone(&self.turn);
        if let Ok(mut turn) = turn.try_lock() {
            self.catch_up(&mut turn);
        }
    }
}

impl Writer {
    /// Makes what lags behind the journal. Where that fails, the next write
    /// makes it anew, and is refused if it cannot.
    fn catch_up(&self, turn: &mut Option<Open>) {
        if !turn.as_ref().is_some_and(Open::lags) {
            return;
        }
        let Some(mut open) = turn.take() else { return };
        let Ok(_lock) = files::lock(&self.place.folder, true) else {
            return;
        };
        if open.is_current(&self.place) && open.catch_up(&self.place).is_ok() {
            *turn = Some(open);
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_waiting(&self, turn: &mut Option<Open>) {
        let batch: Vec<Waiting> = {
            let mut waiting = self.waiting();
            // Who gave up waiting was told nothing, and needs no record.
            waiting.retain(|one| !one.answer.is_closed());
            let count = waiting.len().min(BATCH);
            waiting.drain(..count).collect()
        };
        if batch.is_empty() {
            return;
        }
        let events: Vec<&Event> = batch.iter().map(|one| &one.event).collect();
        let answers: Vec<Answer> = match self.write(turn, &events) {
            Ok(receipts) => receipts.into_iter().map(Ok).collect(),
            Err(fault) => events.iter().map(|_| Err(fault.clone())).collect(),
        };
        for (one, answer) in batch.into_iter().zip(answers) {
            // Whoever is gone meanwhile has its record all the same.
            let _gone = one.answer.send(answer);
        }
    }

    fn write(
        &self,
        turn: &mut Option<Open>,
        events: &[&Event],
    ) -> Result<Vec<Receipt>, AuditFault> {
        let _lock = files::lock(&self.place.folder, true).map_err(|fault| match fault {
            AuditFault::Missing(path) => self.place.missing(&path),
            fault => fault,
        })?;
        let mut open = match turn.take() {
            Some(open) if open.is_current(&self.place) => open,
            _ => Open::of(&self.place)?,
        };
        let receipts = open.append(&self.place, events)?;
        *turn = Some(open);
        Ok(receipts)
    }
}

/// A log that is open for writing, under the lock.
struct Open {
    signer: NoteSigner,
    edge: Edge,
    file: File,
    identity: Identity,
    /// The tree that tiles, entries and the checkpoint were last made for;
    /// `None` where that is not known, as after a crash.
    made: Option<Frontier>,
    /// When that was.
    since: Instant,
}

impl Open {
    fn of(place: &Place) -> Result<Self, AuditFault> {
        let signer = place.signer()?;
        let edge = Edge::read(place, signer.key())?;
        let file =
            files::open(&place.journal, true)?.ok_or_else(|| place.missing(&place.journal))?;
        let identity = Identity::of_file(&place.journal, &file)?;
        Ok(Self {
            signer,
            edge,
            file,
            identity,
            made: None,
            since: Instant::now(),
        })
    }

    /// Whether all is as we left it; somebody else's write, or a log that was
    /// moved, cut or replaced, is read and judged anew.
    fn is_current(&self, place: &Place) -> bool {
        Identity::at(&place.journal) == Some(self.identity)
            && Identity::at(&place.checkpoint).is_some()
            && Identity::at(&place.key).is_some()
    }

    /// Whether anything that is made from the journal is older than it.
    fn lags(&self) -> bool {
        (self.made.as_ref()).is_some_and(|made| made.size() < self.edge.frontier.size())
    }

    /// Makes it for what the journal holds now.
    fn catch_up(&mut self, place: &Place) -> Result<(), AuditFault> {
        let Some(made) = self.made.take() else {
            return Ok(());
        };
        let note = self.note(place, &self.edge.frontier)?.1;
        let entries = split_entries(&self.edge.entries)
            .map_err(|e| super::edge::broken(&place.journal, &e.to_string()))?;
        let next = Next {
            before: &made,
            after: &self.edge.frontier,
            full: &[],
            entries: &entries,
            first: self.edge.base.size(),
            note: &note,
            anew: false,
        };
        next.prepare(place)?;
        next.reveal(place)?;
        self.made = Some(self.edge.frontier.clone());
        self.since = Instant::now();
        Ok(())
    }

    /// The signature over a tree, and the checkpoint with it.
    fn note(&self, place: &Place, tree: &Frontier) -> Result<([u8; 64], String), AuditFault> {
        let checkpoint = Checkpoint {
            origin: self.signer.key().name().to_owned(),
            size: tree.size(),
            root: tree.root(),
        };
        let signature = self.signer.sign(&checkpoint).map_err(|e| AuditFault::Key {
            path: place.key.clone(),
            why: e.to_string(),
        })?;
        let note = self.signer.note(&checkpoint, &signature);
        Ok((signature, note))
    }

    fn append(&mut self, place: &Place, events: &[&Event]) -> Result<Vec<Receipt>, AuditFault> {
        let before = &self.edge.frontier;
        let size = before.size().saturating_add(events.len() as u64);
        // The journal keeps the bundle that its last record is in.
        let first = size.saturating_sub(1) / WIDTH * WIDTH;
        let mut base = (first == before.size()).then(|| before.clone());
        let mut after = before.clone();
        let mut at = Position {
            seq: before.size(),
            generation: self.edge.generation,
            cut_off: self.edge.torn,
        };
        let (mut added, mut full, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
        for event in events {
            let record = event.record(&at);
            put_entry(&mut added, &record).map_err(|e| AuditFault::Io {
                path: place.journal.clone(),
                doing: "written",
                kind: io::ErrorKind::InvalidInput,
                cause: e.to_string(),
            })?;
            let leaf = Hash::of_leaf(&record);
            full.extend(after.push(leaf));
            receipts.push(Receipt {
                seq: at.seq,
                digest: leaf.digest(),
            });
            at = Position {
                seq: after.size(),
                generation: event.generation_after(at.generation),
                cut_off: 0,
            };
            if after.size() == first {
                base = Some(after.clone());
            }
        }
        let (signature, note) = self.note(place, &after)?;
        let turns = first > self.edge.base.size();
        let made = self.made.take();
        let mut entries = std::mem::take(&mut self.edge.entries);
        entries.extend_from_slice(&added);
        let lately = self.since.elapsed() < LAG;
        self.made = match made {
            // Full tiles and bundles are made before the journal lets go of them.
            Some(made) if lately && full.is_empty() && !turns => {
                self.add(place, &frame(&added, &signature))?;
                self.edge.whole += frame_len(added.len());
                let headed = write_head(&place.head, note.as_bytes());
                headed.is_ok().then_some(made)
            }
            made => {
                let split = split_entries(&entries)
                    .map_err(|e| super::edge::broken(&place.journal, &e.to_string()))?;
                let next = Next {
                    before: made.as_ref().unwrap_or(before),
                    after: &after,
                    full: &full,
                    entries: &split,
                    first: self.edge.base.size(),
                    note: &note,
                    anew: made.is_none(),
                };
                next.prepare(place)?;
                // From here on the records are durable, or were never there.
                let turned = match base {
                    Some(base) if turns => {
                        let kept = (first - self.edge.base.size()) as usize;
                        let kept: usize = split.iter().take(kept).map(|e| e.len() + 2).sum();
                        let journal = [header(&base), frame(&entries[kept..], &signature)].concat();
                        write_durable(&place.folder, &place.journal, &journal)?;
                        Some((base, kept, journal.len() as u64))
                    }
                    _ => {
                        self.add(place, &frame(&added, &signature))?;
                        None
                    }
                };
                let revealed = next.reveal(place);
                match turned {
                    Some((base, kept, len)) => {
                        self.edge.base = base;
                        entries.drain(..kept);
                        self.edge.whole = len;
                        self.file = files::open(&place.journal, true)?
                            .ok_or_else(|| place.missing(&place.journal))?;
                    }
                    None => self.edge.whole += frame_len(added.len()),
                }
                self.since = Instant::now();
                // The records are durable whatever became of the rest: the next
                // write makes it anew, and is refused if it cannot.
                revealed.is_ok().then(|| after.clone())
            }
        };
        self.edge.signature = signature.to_vec();
        self.edge.generation = at.generation;
        self.edge.frontier = after;
        self.edge.torn = 0;
        self.edge.entries = entries;
        self.identity = Identity::of_file(&place.journal, &self.file)?;
        Ok(receipts)
    }

    /// One frame at the end of the journal, durable on return.
    fn add(&self, place: &Place, frame: &[u8]) -> Result<(), AuditFault> {
        let end = self.edge.whole;
        let written = if self.edge.torn > 0 {
            self.file.set_len(end)
        } else {
            Ok(())
        };
        let written = written
            .and_then(|()| self.file.write_all_at(frame, end))
            .and_then(|()| self.file.sync_data());
        written.map_err(|e| {
            // So that the next writer finds whole frames; if even this fails,
            // it finds an unfinished one and cuts it off.
            let _best_effort = self.file.set_len(end);
            failed(&place.journal, "written")(e)
        })
    }
}

const fn frame_len(entries: usize) -> u64 {
    (4 + 64 + entries + 32) as u64
}

const _: () = assert!(MAX_ENTRY < 1 << 16);
