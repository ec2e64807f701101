//! One file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Mutex;

use obreia::crypto::sha256;
use obreia::digest::Algorithm;
use obreia::source::file::RegularFile;
use obreia::source::{Progress, SourceError};

use super::pipe;
use crate::harness::Scratch;

#[test]
fn several_digests_in_one_pass() {
    let scratch = Scratch::new();
    let bytes: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = scratch.write("big.bin", &bytes);
    let told = Told::default();
    let file = RegularFile::open(&path).unwrap();
    let digests = file
        .hash(&[Algorithm::Sha512, Algorithm::Sha256], &told)
        .unwrap();
    assert_eq!(digests[0].algorithm(), Algorithm::Sha512);
    assert_eq!(digests[1], sha256(&bytes));
    assert_eq!(*told.0.lock().unwrap(), bytes.len() as u64);
}

#[test]
fn an_empty_file_has_a_digest() {
    let scratch = Scratch::new();
    let file = RegularFile::open(&scratch.write("empty", "")).unwrap();
    assert_eq!(file.hash(&[Algorithm::Sha256], &()).unwrap(), [sha256(b"")]);
}

#[test]
fn what_is_not_a_regular_file_is_refused_unopened() {
    let scratch = Scratch::new();
    let fifo = scratch.join("fifo");
    pipe(&fifo);
    let _socket = UnixListener::bind(scratch.join("socket")).unwrap();
    symlink("fifo", scratch.join("to-fifo")).unwrap();
    for (path, what) in [
        (fifo, "named pipe"),
        (scratch.join("to-fifo"), "named pipe"),
        (scratch.join("socket"), "socket"),
        (scratch.path(), "folder"),
        ("/dev/zero".into(), "character device"),
    ] {
        let error = RegularFile::open(&path).unwrap_err();
        assert!(
            matches!(error, SourceError::NotRegular { kind, .. } if kind == what),
            "{error}"
        );
        assert!(error.to_string().starts_with(path.to_str().unwrap()));
    }
}

#[test]
fn a_missing_file_is_named_with_its_cause() {
    let error = RegularFile::open(Path::new("/nowhere/model.bin")).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        "cannot open /nowhere/model.bin: No such file or directory (os error 2)"
    );
}

// Root may read whatever the mode says, so here is a file whose reading fails
// for everybody: this process's memory at address 0.
#[test]
fn a_read_error_is_named_with_its_cause() {
    let file = RegularFile::open(Path::new("/proc/self/mem")).unwrap();
    let error = file.hash(&[Algorithm::Sha256], &()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read /proc/self/mem: Input/output error (os error 5)"
    );
}

#[test]
fn a_file_without_permission_is_named_with_its_cause() {
    if rustix::process::geteuid().is_root() {
        return crate::harness::not_run("file modes do not hold for root");
    }
    let scratch = Scratch::new();
    let path = scratch.write("locked", "x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let error = RegularFile::open(&path).unwrap_err();
    assert!(
        error.to_string().contains("locked: Permission denied"),
        "{error}"
    );
}

// Such files state no size; what they hold is not what they held a moment ago.
#[test]
fn a_file_that_is_longer_than_it_says_is_refused() {
    let file = RegularFile::open(Path::new("/proc/self/status")).unwrap();
    let error = file.hash(&[Algorithm::Sha256], &()).unwrap_err();
    assert!(matches!(error, SourceError::Changed(_)), "{error}");
}

// Nor does every file hold as much as it says: the kernel's own state a size
// of one page whatever is in them.
#[test]
fn a_file_that_is_shorter_than_it_says_is_refused() {
    let path = Path::new("/sys/devices/system/cpu/online");
    let Ok(meta) = fs::metadata(path) else {
        return crate::harness::not_run("there is no /sys here");
    };
    assert!(meta.len() > fs::read(path).unwrap().len() as u64);
    let mut file = RegularFile::open(path).unwrap();
    let error = file.hash(&[Algorithm::Sha256], &()).unwrap_err();
    assert!(matches!(error, SourceError::Changed(_)), "{error}");
    let error = file.read_all(1 << 20).unwrap_err();
    assert!(matches!(error, SourceError::Changed(_)), "{error}");
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_refused() {
    for change in [append, overwrite, truncate] {
        let scratch = Scratch::new();
        let path = scratch.write("model.bin", vec![7; 1 << 20]);
        let meddler = Meddler::new(&path, change);
        let file = RegularFile::open(&path).unwrap();
        let error = file.hash(&[Algorithm::Sha256], &meddler).unwrap_err();
        assert!(matches!(error, SourceError::Changed(_)), "{error}");
    }
}

#[test]
fn reading_whole_has_a_limit() {
    let scratch = Scratch::new();
    let path = scratch.write("x", "12345");
    let read = |limit| RegularFile::open(&path).unwrap().read_all(limit);
    assert_eq!(read(5).unwrap(), b"12345");
    assert!(matches!(
        read(4),
        Err(SourceError::TooLarge {
            size: 5,
            limit: 4,
            ..
        })
    ));
}

#[derive(Default)]
struct Told(Mutex<u64>);

impl Progress for Told {
    fn add(&self, bytes: u64) {
        *self.0.lock().unwrap() += bytes;
    }
}

/// Changes a file once, while it is being read.
pub(super) struct Meddler<'a> {
    path: &'a Path,
    change: Mutex<Option<fn(&Path)>>,
}

impl<'a> Meddler<'a> {
    pub(super) fn new(path: &'a Path, change: fn(&Path)) -> Self {
        Self {
            path,
            change: Mutex::new(Some(change)),
        }
    }
}

impl Progress for Meddler<'_> {
    fn add(&self, _bytes: u64) {
        if let Some(change) = self.change.lock().unwrap().take() {
            // The clock that stamps files may tick as rarely as every 10 ms.
            std::thread::sleep(std::time::Duration::from_millis(25));
            change(self.path);
        }
    }
}

pub(super) fn append(path: &Path) {
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"more").unwrap();
}

pub(super) fn overwrite(path: &Path) {
    let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(b"other").unwrap();
}

fn truncate(path: &Path) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(10).unwrap();
}
