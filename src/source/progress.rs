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
