//! Storage: rows that are durable, in transactions. What they mean, and
//! whether they are genuine, is for those who ask.

mod fault;
mod rows;
mod sqlite;

use std::pin::Pin;

pub use fault::StorageFault;
pub use rows::{
    AliasRow, Change, HeadRow, KeyRow, KeyringRow, SealRow, SlotRow, Snapshot, VersionRow,
};
pub use sqlite::{Exclusive, SqliteKeystore};

/// A future that a port's method returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The tables of a keystore.
pub trait KeystoreTables: Send + Sync {
    /// All rows, as of one moment.
    ///
    /// # Errors
    /// `Missing` when there is no keystore, `Damaged` when there is something
    /// else in its place; only `Busy` and `Io` may be tried again.
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StorageFault>>;

    /// The generation alone: cheap, for asking whether anything changed.
    ///
    /// # Errors
    /// As [`KeystoreTables::load`].
    fn generation(&self) -> BoxFuture<'_, Result<u64, StorageFault>>;

    /// Writes `change` in one transaction if the keystore is still at
    /// generation `base`; durable on return. Of two that start from one
    /// generation, one wins.
    ///
    /// # Errors
    /// `Conflict` when somebody else was first; then nothing was written.
    fn commit<'a>(
        &'a self,
        base: u64,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<(), StorageFault>>;
}
