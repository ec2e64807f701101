use std::io::{self, Read};

/// Is told how hashing and copying advance. Called from several threads, a few
/// thousand times per gigabyte; it must not block.
pub trait Progress: Sync {
    /// That many more bytes were read.
    fn add(&self, bytes: u64);
}

/// Nobody is told.
impl Progress for () {
    fn add(&self, _bytes: u64) {}
}

/// A reader whose bytes are told as they are read.
pub struct Counted<'a, R> {
    inner: R,
    progress: &'a dyn Progress,
}

impl<'a, R> Counted<'a, R> {
    /// Tells `progress` what is read of `inner`.
    pub const fn new(inner: R, progress: &'a dyn Progress) -> Self {
        Self { inner, progress }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.add(count as u64);
        Ok(count)
    }
}
