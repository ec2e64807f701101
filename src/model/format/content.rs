//! Bounded random access to untrusted bytes.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

/// Random access to the bytes of one file.
///
/// The length is fixed when the reader is made; a file that shrinks while it
/// is read is an error of [`super::detect`], never a shorter file.
pub trait Content {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Reads up to `buf.len()` bytes at `offset` and returns how many; 0 only at the end or for an empty `buf`.
    ///
    /// # Errors
    /// Whatever the reader underneath reports.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Content for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|at| self.get(at..))
            .unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// Why a file's format could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The reader failed.
    #[error("reading at byte {offset}: {source}")]
    Read {
        /// Where, in bytes from the start of the file or of the archive member.
        offset: u64,
        /// What the reader reported.
        source: io::Error,
    },
    /// Fewer bytes than the reader's length promised: the file changed while it was read.
    #[error("the file ended at byte {offset} of {len}: it changed while it was read")]
    Shrunk {
        /// Where it ended.
        offset: u64,
        /// How long it was said to be.
        len: u64,
    },
}

/// Why a detector stopped.
#[derive(Debug)]
pub(super) enum Flaw {
    /// The reader failed: detection as a whole stops.
    Failed(DetectError),
    /// The bytes contradict the format.
    Malformed(String),
    /// A bound of ours was hit.
    Limit(&'static str),
}

impl From<DetectError> for Flaw {
    fn from(error: DetectError) -> Self {
        Self::Failed(error)
    }
}

pub(super) fn malformed<T>(why: impl Into<String>) -> Result<T, Flaw> {
    Err(Flaw::Malformed(why.into()))
}

const WINDOW: usize = 64 << 10;

/// A buffered view of a [`Content`] that counts every access against one budget.
pub(super) struct Window<'c> {
    content: &'c mut dyn Content,
    steps: Rc<Cell<u64>>,
    buffer: Vec<u8>,
    start: u64,
    len: u64,
}

impl<'c> Window<'c> {
    pub(super) fn new(content: &'c mut dyn Content, steps: Rc<Cell<u64>>) -> Self {
        let len = content.len();
        Self {
            content,
            steps,
            buffer: Vec::new(),
            start: 0,
            len,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Exactly `n` bytes at `at`, `n` at most 64 KiB.
    pub(super) fn bytes(&mut self, at: u64, n: usize) -> Result<&[u8], Flaw> {
        let Some(left) = self.steps.get().checked_sub(1) else {
            return Err(Flaw::Limit("steps"));
        };
        self.steps.set(left);
        if n > WINDOW {
            return Err(Flaw::Limit("field length"));
        }
        match at.checked_add(n as u64) {
            Some(end) if end <= self.len => {}
            _ => return malformed(format!("ends before byte {}", at.saturating_add(n as u64))),
        }
        let held = self.start + self.buffer.len() as u64;
        if at < self.start || at + n as u64 > held {
            self.fill(at, n)?;
        }
        // Fits: `fill` has put `at` into the buffer.
        let from = (at - self.start) as usize;
        Ok(&self.buffer[from..from + n])
    }

    // Small jumps read a whole window, so that a walk reads each byte once;
    // the first read of a place reads little, so that a probe stays cheap.
    fn fill(&mut self, at: u64, n: usize) -> Result<(), Flaw> {
        let sequential = !self.buffer.is_empty()
            && at >= self.start
            && at - self.start <= (self.buffer.len() + 4096) as u64;
        let want = if sequential { WINDOW } else { 4096 }.max(n);
        let want = (self.len - at).min(want as u64) as usize;
        self.start = at;
        self.buffer.clear();
        self.buffer.resize(want, 0);
        if let Err(error) = read_exact(self.content, self.len, at, &mut self.buffer) {
            self.buffer.clear();
            return Err(error.into());
        }
        Ok(())
    }

    /// As many of `n` bytes at `at` as there are.
    pub(super) fn upto(&mut self, at: u64, n: usize) -> Result<&[u8], Flaw> {
        let there = self.len.saturating_sub(at).min(n as u64) as usize;
        if there == 0 {
            return Ok(&[]);
        }
        self.bytes(at, there)
    }

    /// Reads a part that may be longer than the window; the caller has bounded `n`.
    pub(super) fn copy(&mut self, at: u64, n: usize) -> Result<Vec<u8>, Flaw> {
        match at.checked_add(n as u64) {
            Some(end) if end <= self.len => {}
            _ => return malformed(format!("ends before byte {}", at.saturating_add(n as u64))),
        }
        let Some(left) = self.steps.get().checked_sub(1 + n as u64 / 256) else {
            return Err(Flaw::Limit("steps"));
        };
        self.steps.set(left);
        let mut out = vec![0; n];
        read_exact(self.content, self.len, at, &mut out)?;
        Ok(out)
    }

    pub(super) fn u8(&mut self, at: u64) -> Result<u8, Flaw> {
        Ok(self.bytes(at, 1)?[0])
    }

    /// A little-endian integer of 1 to 8 bytes.
    pub(super) fn uint(&mut self, at: u64, n: usize) -> Result<u64, Flaw> {
        Ok(le(self.bytes(at, n)?))
    }

    /// The bytes from `start`, `len` of them, as content of their own.
    pub(super) fn section(&mut self, start: u64, len: u64) -> Result<Section<'_>, Flaw> {
        match start.checked_add(len) {
            Some(end) if end <= self.len => Ok(Section {
                content: self.content,
                start,
                len,
            }),
            _ => malformed(format!("ends before byte {}", start.saturating_add(len))),
        }
    }

    /// A stream over a part, for parsers that want [`io::Read`].
    pub(super) fn stream(&mut self, start: u64, len: u64) -> Stream<'_, 'c> {
        Stream {
            window: self,
            at: start,
            end: start.saturating_add(len),
            failed: None,
        }
    }
}

/// Little-endian bytes, at most eight, as an integer.
pub(super) fn le(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .take(8)
        .rev()
        .fold(0, |n, b| n << 8 | u64::from(*b))
}

fn read_exact(
    content: &mut dyn Content,
    len: u64,
    offset: u64,
    out: &mut [u8],
) -> Result<(), DetectError> {
    let mut done = 0;
    while done < out.len() {
        let at = offset + done as u64;
        match content.read_at(at, &mut out[done..]) {
            Ok(0) => return Err(DetectError::Shrunk { offset: at, len }),
            Ok(n) => done += n.min(out.len() - done),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(DetectError::Read { offset: at, source }),
        }
    }
    Ok(())
}

/// A part of a [`Content`].
pub(super) struct Section<'c> {
    content: &'c mut dyn Content,
    start: u64,
    len: u64,
}

impl Content for Section<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.len.saturating_sub(offset);
        let n = (buf.len() as u64).min(rest) as usize;
        if n == 0 {
            return Ok(0);
        }
        self.content.read_at(self.start + offset, &mut buf[..n])
    }
}

/// [`io::Read`] over a part; keeps the reader's own error, which a parser would hide.
pub(super) struct Stream<'w, 'c> {
    window: &'w mut Window<'c>,
    at: u64,
    end: u64,
    pub(super) failed: Option<Flaw>,
}

impl io::Read for Stream<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (buf.len() as u64)
            .min(self.end.saturating_sub(self.at))
            .min(WINDOW as u64) as usize;
        if n == 0 {
            return Ok(0);
        }
        match self.window.bytes(self.at, n) {
            Ok(bytes) => buf[..n].copy_from_slice(bytes),
            Err(flaw) => {
                self.failed = Some(flaw);
                return Err(io::Error::other("the content could not be read"));
            }
        }
        self.at += n as u64;
        Ok(n)
    }
}
