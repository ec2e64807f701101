//! The log on a disk: appended to, cut, flipped, taken away, put back.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::time::Timestamp;
use crate::tlog::{NoteKey, NoteSigner};

struct Log {
    dir: tempfile::TempDir,
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn event(operation: &str) -> Event {
    Event {
        time: Timestamp::from_secs(0),
        phase: Phase::Intent,
        request_id: "r".into(),
        front: "cli".into(),
        caller: "uid:1".into(),
        method: "local".into(),
        operation: operation.into(),
        key: None,
        provider: None,
        decision: "allow".into(),
        rule: "x".into(),
        payload: None,
        result: None,
        latency_us: None,
        provider_request: None,
        generation: None,
        changes_keystore: false,
    }
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path(), "example.com/log").unwrap();
        Self { dir }
    }

    fn with(records: usize) -> Self {
        let log = Self::new();
        log.fill(records);
        log
    }

    fn state(&self) -> &Path {
        self.dir.path()
    }

    fn folder(&self) -> PathBuf {
        folder(self.state())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn key(&self) -> NoteKey {
        public_key(self.state()).unwrap()
    }

    fn append(&self, operation: &str) -> Result<Receipt, AuditFault> {
        append_at(self.state(), operation)
    }

    /// Appends that many at once, as tasks of one process.
    fn fill(&self, records: usize) -> Vec<Receipt> {
        let sink = open(self.state());
        block_on(async {
            let event = event("sign");
            let mut all: Vec<_> = (0..records).map(|_| sink.append(&event)).collect();
            let mut receipts = vec![None; records];
            // Polled all before any is waited for, so that nearly all of them
            // wait; a write may be over before its append is first looked at.
            for (append, receipt) in all.iter_mut().zip(&mut receipts) {
                let polled =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(append.as_mut().poll(cx)));
                if let std::task::Poll::Ready(done) = polled.await {
                    *receipt = Some(done.unwrap());
                }
            }
            for (append, receipt) in all.into_iter().zip(&mut receipts) {
                if receipt.is_none() {
                    *receipt = Some(append.await.unwrap());
                }
            }
            receipts.into_iter().flatten().collect()
        })
    }

    fn report(&self) -> Report {
        verify(&self.folder(), &self.key(), &[]).unwrap()
    }

    #[track_caller]
    fn is_whole(&self, records: u64) {
        let report = self.report();
        assert_eq!(report.problems, []);
        assert_eq!((report.size, report.checkpoint), (records, Some(records)));
    }

    /// All files of the log's folder, sorted.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.folder(), &mut found);
        found.sort();
        found
    }

    /// A copy of the log's folder alone, as auditors get it.
    fn copy(&self, to: &Path) {
        for file in self.files() {
            let target = to.join(file.strip_prefix(self.folder()).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(file, target).unwrap();
        }
    }
}

fn append_at(state: &Path, operation: &str) -> Result<Receipt, AuditFault> {
    block_on(open(state).append(&event(operation)))
}

#[test]
fn records_are_numbered_and_whole_at_every_size_around_a_bundle() {
    let log = Log::new();
    log.is_whole(0);
    let mut size = 0;
    for more in [1, 2, 252, 1, 1, 255, 1, 256, 3] {
        for (receipt, seq) in log.fill(more).into_iter().zip(size..) {
            assert_eq!(receipt.seq, seq);
        }
        size += more as u64;
        log.is_whole(size);
        // What the sizes before needed is gone.
        for id in crate::tlog::TileId::partial(size) {
            let widths = log.file(&id.path());
            let widths = fs::read_dir(widths.parent().unwrap()).unwrap();
            assert_eq!(widths.count(), 1, "{id:?}");
        }
    }
}

#[test]
fn many_that_wait_share_one_durable_write() {
    let log = Log::with(250);
    let bytes = fs::read(log.file("journal")).unwrap();
    let journal = journal::parse(&bytes).unwrap();
    // One from making it, and each other one stands for one flush to the disk.
    let writes = journal.frames.len() - 1;
    assert!(writes <= 5, "250 records took {writes} writes");
    log.is_whole(250);
}

#[test]
fn what_lags_behind_the_journal_does_not_for_long() {
    let log = Log::new();
    let sink = open(log.state());
    block_on(async {
        for n in 0..300 {
            sink.append(&event("sign")).await.unwrap();
            // Whatever the checkpoint covers, all is there and nothing is wrong.
            if n % 60 == 59 {
                let report = log.report();
                assert_eq!((report.problems, report.size), (vec![], n + 1));
            }
        }
        // Nobody appends any more, and it is made all the same.
        let begun = std::time::Instant::now();
        while log.report().checkpoint != Some(300) {
            assert!(begun.elapsed().as_secs() < 60, "{:?}", log.report());
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        sink.append(&event("sign")).await.unwrap();
        sink.append(&event("sign")).await.unwrap();
    });
    drop(sink);
    log.is_whole(302);
}

#[test]
fn who_was_overtaken_while_it_lagged_reads_the_log_anew() {
    let log = Log::new();
    let other = log.state().join("x");
    fs::create_dir(&other).unwrap();
    let other = other.join("..");
    let sink = open(log.state());
    for n in 0..20 {
        block_on(async {
            sink.append(&event("one")).await.unwrap();
            sink.append(&event("two")).await.unwrap();
        });
        assert_eq!(append_at(&other, "three").unwrap().seq, 3 * n + 2);
    }
    block_on(sink.append(&event("four"))).unwrap();
    drop(sink);
    log.is_whole(61);
}

#[test]
fn what_two_processes_append_in_turn_is_one_log() {
    let log = Log::new();
    // By another path it is another writer, as in another process.
    let other = log.state().join("x");
    fs::create_dir(&other).unwrap();
    let other = other.join("..");
    for n in 0..150 {
        assert_eq!(log.append("one").unwrap().seq, 2 * n);
        assert_eq!(append_at(&other, "two").unwrap().seq, 2 * n + 1);
    }
    log.is_whole(300);
}

#[test]
fn threads_that_append_at_once_lose_nothing() {
    let log = Log::new();
    let other = log.state().join("x");
    fs::create_dir(&other).unwrap();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let state = [log.state().to_owned(), other.join("..")][n % 2].clone();
            scope.spawn(move || {
                for _ in 0..30 {
                    append_at(&state, "sign").unwrap();
                }
            });
        }
    });
    log.is_whole(120);
}

#[test]
fn a_write_cut_short_by_a_crash_is_cut_off_and_told() {
    let log = Log::with(3);
    let journal = fs::read(log.file("journal")).unwrap();
    for torn in [&b"\0"[..], b"\0\0\0\x50half", &[0; 200]] {
        fs::write(log.file("journal"), [&journal, torn].concat()).unwrap();
        let report = log.report();
        assert_eq!((report.problems, report.torn), (vec![], torn.len() as u64));
    }
    assert_eq!(log.append("sign").unwrap().seq, 3);
    log.is_whole(4);
    let read = AuditLog::open(&log.folder()).unwrap();
    let (_, last) = read.records().last().unwrap().unwrap();
    let last = String::from_utf8(last).unwrap();
    assert!(last.contains("\"cut_off\":200"), "{last}");
    log.append("sign").unwrap();
}

#[test]
fn a_crash_after_the_durable_write_is_made_up_for() {
    let log = Log::with(200);
    let older: Vec<(PathBuf, Vec<u8>)> = [log.file("checkpoint"), log.state().join("audit.head")]
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let back = || {
        for (path, bytes) in &older {
            fs::write(path, bytes).unwrap();
        }
    };
    log.fill(100);
    // As if killed before the checkpoint came into place, and the power cut
    // before what can be made anew was on the disk.
    back();
    for derived in ["tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"] {
        fs::write(log.file(derived), b"").unwrap();
    }
    assert_eq!(open(log.state()).generation(), Ok(Generation::default()));
    let fresh = log.state().join("x");
    fs::create_dir(&fresh).unwrap();
    assert_eq!(append_at(&fresh.join(".."), "sign").unwrap().seq, 300);
    log.is_whole(301);
    // A checkpoint that a power cut left empty says nothing, and is made anew.
    fs::write(log.file("checkpoint"), b"").unwrap();
    fs::write(log.state().join("audit.head"), b"").unwrap();
    assert_eq!(log.append("sign").unwrap().seq, 301);
    log.is_whole(302);
}

#[test]
fn tiles_of_a_future_that_never_came_are_replaced() {
    let log = Log::with(200);
    for path in ["tile/0/000", "tile/entries/000"] {
        fs::write(log.file(path), b"left by a write that was refused").unwrap();
    }
    log.is_whole(200);
    log.fill(100);
    log.is_whole(300);
}

#[test]
fn a_log_that_vanished_is_not_begun_anew() {
    for (part, says) in [
        ("audit", "audit-missing"),
        ("audit/journal", "audit-missing"),
        ("audit.key", "audit-missing"),
        ("audit/checkpoint", "audit-broken"),
    ] {
        let log = Log::with(3);
        let sink = open(log.state());
        block_on(sink.append(&event("sign"))).unwrap();
        let aside = log.state().join("aside");
        fs::rename(log.state().join(part), &aside).unwrap();
        // Noticed also by a writer that had it open.
        let fault = block_on(sink.append(&event("sign"))).unwrap_err();
        assert_eq!(fault.code(), says, "{part}: {fault}");
        assert!(fault.to_string().contains("audit"), "{fault}");
        assert!(!log.state().join(part).exists(), "{part}");
        fs::rename(&aside, log.state().join(part)).unwrap();
        assert_eq!(log.append("sign").unwrap().seq, 4);
    }
}

#[test]
fn what_is_no_log_is_refused() {
    let log = Log::with(3);
    let aside = log.state().join("aside");
    for part in ["audit", "audit/journal", "audit/checkpoint", "audit.key"] {
        let path = log.state().join(part);
        fs::rename(&path, &aside).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        let fault = log.append("sign").unwrap_err();
        assert!(
            matches!(fault, AuditFault::NotThat { .. }),
            "{part}: {fault}"
        );
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"somebody wrote here\n").unwrap();
        let fault = log.append("sign").unwrap_err();
        let code = fault.code();
        assert!(
            ["audit-broken", "audit-unavailable"].contains(&code),
            "{part}: {fault}"
        );
        fs::remove_file(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    log.is_whole(3);
}

#[test]
fn an_older_copy_is_noticed() {
    let log = Log::with(3);
    let older = log.state().join("older");
    log.copy(&older);
    log.fill(2);
    let newer = log.state().join("newer");
    fs::rename(log.folder(), &newer).unwrap();
    fs::rename(&older, log.folder()).unwrap();
    let fault = AuditFault::RolledBack {
        path: log.file("journal"),
        found: 3,
        seen: 5,
    };
    assert_eq!(log.append("sign"), Err(fault.clone()));
    assert_eq!(open(log.state()).generation(), Err(fault));
    fs::rename(log.folder(), &older).unwrap();
    fs::rename(&newer, log.folder()).unwrap();
    assert_eq!(log.append("sign").unwrap().seq, 5);
}

#[test]
fn an_end_that_was_cut_off_is_noticed() {
    let log = Log::with(3);
    let shorter = fs::metadata(log.file("journal")).unwrap().len();
    log.append("sign").unwrap();
    let whole = fs::read(log.file("journal")).unwrap();
    for (len, code) in [
        (shorter as usize, "audit-rolled-back"),
        (whole.len() - 1, "audit-broken"),
    ] {
        fs::write(log.file("journal"), &whole[..len]).unwrap();
        let fault = log.append("sign").unwrap_err();
        assert_eq!(fault.code(), code, "{len}: {fault}");
        assert!(log.report().problem_count > 0);
    }
    fs::write(log.file("journal"), whole).unwrap();
    log.append("sign").unwrap();
}

#[test]
fn a_flipped_bit_of_the_journal_refuses_records() {
    let log = Log::with(3);
    let whole = fs::read(log.file("journal")).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bad = whole.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(log.file("journal"), &bad).unwrap();
        let fault = log.append("sign").unwrap_err();
        assert_eq!(fault.code(), "audit-broken", "{at}: {fault}");
        assert!(log.report().problem_count > 0, "{at}");
    }
    // Also where the digests beside it were made to fit.
    let text = String::from_utf8_lossy(&whole).into_owned();
    assert!(text.contains("\"sign\""));
    let forged = {
        let journal = journal::parse(&whole).unwrap();
        let frames = journal.frames.iter().flat_map(|one| {
            let entries = one.entries.to_vec();
            let at = entries.windows(6).position(|w| w == b"\"sign\"");
            let mut entries = entries;
            if let Some(at) = at {
                entries[at + 1..at + 5].copy_from_slice(b"sigh");
            }
            journal::frame(&entries, one.signature.try_into().unwrap())
        });
        [journal::header(&journal.base), frames.collect()].concat()
    };
    fs::write(log.file("journal"), forged).unwrap();
    assert_eq!(log.append("sign").unwrap_err().code(), "audit-broken");
    fs::write(log.file("journal"), whole).unwrap();
    log.append("sign").unwrap();
}

#[test]
fn nothing_in_a_copy_can_be_changed_cut_or_taken_away() {
    let log = Log::with(600);
    let key = log.key();
    let copy = tempfile::tempdir().unwrap();
    log.copy(copy.path());
    // The journal is ours; others read checkpoint, tiles and entries alone.
    fs::remove_file(copy.path().join("journal")).unwrap();
    let report = || verify(copy.path(), &key, &[]).unwrap();
    assert_eq!(report().problems, []);
    assert_eq!(report().size, 600);
    let files = log.files();
    assert_eq!(files.len(), 9, "{files:?}");
    for file in files {
        let name = file.strip_prefix(log.folder()).unwrap().to_owned();
        if name == Path::new("journal") {
            continue;
        }
        let path = copy.path().join(&name);
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for bad in [
            Some(flipped),
            Some(good[..good.len() - 1].to_vec()),
            Some([&good[..], b"x"].concat()),
            None,
        ] {
            match &bad {
                Some(bad) => fs::write(&path, bad).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let found = match verify(copy.path(), &key, &[]) {
                Ok(report) => report.problems,
                Err(fault) => panic!("{name:?}: {fault}"),
            };
            let named = found.iter().any(|p| Path::new(&p.place) == name);
            assert!(named, "{name:?}: {found:?}");
        }
        fs::write(&path, good).unwrap();
    }
    assert_eq!(report().problems, []);
}

#[test]
fn a_copy_that_says_that_it_is_endless_is_not_read_without_end() {
    use crate::tlog::{Frontier, Hash};

    let log = Log::with(3);
    // 2^40 records before it: one hash, five levels up.
    let mut levels = vec![Vec::new(); 5];
    levels.push(vec![Hash::of_leaf(b"x")]);
    let base = Frontier::from_levels(1 << 40, levels).unwrap();
    let forged = [
        journal::header(&base),
        journal::frame(b"\0\x02{}", &[7; 64]),
    ]
    .concat();
    journal::parse(&forged).unwrap();
    fs::write(log.file("journal"), forged).unwrap();
    let report = log.report();
    assert!(report.size < 10_000, "{}", report.size);
    let places: Vec<_> = report.problems.iter().map(|p| p.place.as_str()).collect();
    assert!(places.contains(&"journal"), "{places:?}");
}

#[test]
fn another_key_verifies_nothing() {
    let log = Log::with(3);
    let other = NoteSigner::generate("example.com/log").unwrap();
    let report = verify(&log.folder(), other.key(), &[]).unwrap();
    let places: Vec<_> = report.problems.iter().map(|p| p.place.as_str()).collect();
    assert_eq!(places, ["checkpoint", "journal"]);
    assert_eq!(report.checkpoint, None);
}

#[test]
fn a_log_that_does_not_grow_from_an_earlier_checkpoint_is_told() {
    let log = Log::with(300);
    let key = log.key();
    let note = fs::read(log.file("checkpoint")).unwrap();
    let earlier = crate::tlog::Checkpoint::open(&note, &key).unwrap();
    log.fill(10);
    let against = |checkpoint| {
        let earlier = [("kept.txt".to_owned(), checkpoint)];
        verify(&log.folder(), &key, &earlier).unwrap().problems
    };
    assert_eq!(against(earlier.clone()), []);
    let mut other = earlier.clone();
    other.root = crate::tlog::root_of(&[]);
    assert_eq!(against(other)[0].place, "kept.txt");
    let mut later = earlier;
    later.size = 311;
    assert!(against(later)[0].problem.contains("cut off"));
}

#[test]
fn every_record_has_a_proof_that_stands_alone() {
    let log = Log::with(600);
    let read = AuditLog::open(&log.folder()).unwrap();
    let key = log.key();
    for record in read.records() {
        let (seq, entry) = record.unwrap();
        if !matches!(seq, 0 | 1 | 255..=257 | 511..=513 | 599) {
            continue;
        }
        let proof = read.prove(seq, &entry).unwrap().unwrap();
        assert_eq!(proof.verify(&entry, &key).unwrap().size, 600);
        let mut other = entry.clone();
        other[1] ^= 1;
        assert!(proof.verify(&other, &key).is_err());
        assert!(read.prove(seq, &other).is_err());
    }
    assert_eq!(read.prove(600, b"").unwrap(), None);
}

#[test]
fn intents_without_outcome_are_listed() {
    let log = Log::new();
    let sink = open(log.state());
    let append = |request: &str, phase, decision: &str| {
        let mut event = event("sign");
        event.request_id = request.into();
        event.phase = phase;
        event.decision = decision.into();
        block_on(sink.append(&event)).unwrap();
    };
    append("a", Phase::Intent, "allow");
    append("b", Phase::Intent, "allow");
    append("c", Phase::Outcome, "deny");
    append("a", Phase::Outcome, "allow");
    let report = log.report();
    assert_eq!(report.problems, []);
    assert_eq!(report.unfinished_count, 1);
    assert_eq!(report.unfinished[0].request_id, "b");
    // What was never begun cannot end.
    append("d", Phase::Outcome, "allow");
    assert_eq!(log.report().problems[0].place, "record 4");
}

#[test]
fn what_is_known_of_the_keystore_is_carried_forward() {
    let log = Log::new();
    let sink = open(log.state());
    assert_eq!(sink.generation(), Ok(Generation::default()));
    let known = |newest, limit| {
        Ok(Generation {
            newest: Some(newest),
            limit: Some(limit),
        })
    };
    for (generation, changes_keystore, newest, limit) in [
        (Some(4), false, 4, 4),
        (None, false, 4, 4),
        (None, true, 4, 5),
        (None, true, 4, 6),
        (Some(3), false, 4, 6),
        (Some(5), false, 5, 6),
        (Some(9), false, 9, 9),
    ] {
        let mut event = event("sign");
        (event.generation, event.changes_keystore) = (generation, changes_keystore);
        block_on(sink.append(&event)).unwrap();
        assert_eq!(sink.generation(), known(newest, limit));
    }
    for more in [248, 1, 1, 300] {
        log.fill(more);
        assert_eq!(sink.generation(), known(9, 9));
    }
}

#[test]
fn a_lock_held_elsewhere_is_waited_for_and_then_named() {
    let log = Log::with(1);
    let held = files::lock(&log.folder(), true).unwrap();
    assert_eq!(log.append("sign"), Err(AuditFault::Busy(log.folder())));
    drop(held);
    assert_eq!(log.append("sign").unwrap().seq, 1);
}

#[test]
fn a_log_is_made_once() {
    let log = Log::with(2);
    create(log.state(), "example.com/other").unwrap();
    assert_eq!(log.key().name(), "example.com/log");
    log.is_whole(2);
    // Not in the place of one that was there.
    fs::remove_dir_all(log.folder()).unwrap();
    let fault = create(log.state(), "example.com/log").unwrap_err();
    assert_eq!(fault.code(), "audit-missing");
    let old = tempfile::tempdir().unwrap();
    fs::write(old.path().join("audit.log"), b"{}\n").unwrap();
    for fault in [
        create(old.path(), "example.com/log").unwrap_err(),
        append_at(old.path(), "sign").unwrap_err(),
    ] {
        assert_eq!(fault.code(), "audit-old-form");
        assert!(fault.hint().contains("obreia init"));
    }
}

#[test]
fn nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let log = Log::with(300);
    let mut files = log.files();
    files.extend([
        log.state().join("audit.key"),
        log.state().join("audit.head"),
    ]);
    for file in files {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}
