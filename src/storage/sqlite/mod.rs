//! The keystore's tables in one SQLite file: write-ahead log, and a commit is
//! on the disk when it returns.

mod commit;
mod copy;
mod load;
mod place;
#[cfg(test)]
mod tests;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

pub use place::Exclusive;

use super::{BoxFuture, Change, KeystoreTables, Snapshot, StorageFault};

const SCHEMA: &str = include_str!("schema.sql");
/// `PRAGMA application_id` of the schema: "obre" in ASCII.
const APPLICATION: i64 = 1_868_722_789;
/// How long to wait for another process's transaction.
const PATIENCE: Duration = Duration::from_secs(20);

/// A keystore in a file. Connections are opened for each operation: what is
/// in the file counts, not what was there when a process began.
#[derive(Clone, Debug)]
pub struct SqliteKeystore {
    path: PathBuf,
}

struct Open {
    connection: SqliteConnection,
    /// Device and inode that were opened.
    file: (u64, u64),
}

impl SqliteKeystore {
    /// The keystore at `path`; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn open(&self) -> Result<Open, StorageFault> {
        let meta = match std::fs::metadata(&self.path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(StorageFault::Missing);
            }
            Err(e) => return Err(StorageFault::Io(e.to_string())),
        };
        if !meta.is_file() {
            return Err(StorageFault::Damaged("not a regular file".to_owned()));
        }
        let connection = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging()
            .connect()
            .await
            .map_err(fault)?;
        Ok(Open {
            connection,
            file: (meta.dev(), meta.ino()),
        })
    }

    /// Whether the name still leads to what was opened.
    fn is_current(&self, file: (u64, u64)) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == file)
    }
}

impl KeystoreTables for SqliteKeystore {
    fn load(&self) -> BoxFuture<'_, Result<Snapshot, StorageFault>> {
        Box::pin(async {
            let mut open = self.open().await?;
            let snapshot = load::snapshot(&mut open.connection).await;
            close(open).await;
            snapshot
        })
    }

    fn generation(&self) -> BoxFuture<'_, Result<u64, StorageFault>> {
        Box::pin(async {
            let mut open = self.open().await?;
            let generation = load::generation(&mut open.connection).await;
            close(open).await;
            generation
        })
    }

    fn commit<'a>(
        &'a self,
        base: u64,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<(), StorageFault>> {
        Box::pin(async move {
            let mut open = self.open().await?;
            let done = commit::commit(self, &mut open, base, change).await;
            close(open).await;
            done
        })
    }
}

/// Closes in order, so that the write-ahead log is folded in and removed. A
/// failure here loses nothing: the log is read at the next opening.
async fn close(open: Open) {
    let _folded_in_later = open.connection.close().await;
}

/// What SQLite's result codes mean here (sqlite.org/rescode.html).
fn fault(error: sqlx::Error) -> StorageFault {
    let sqlx::Error::Database(database) = &error else {
        return match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                StorageFault::Damaged("a field has the wrong type".to_owned())
            }
            error => StorageFault::Io(error.to_string()),
        };
    };
    let message = database.message().to_owned();
    let code: i32 = database
        .code()
        .and_then(|code| code.parse().ok())
        .unwrap_or_default();
    match (code, code & 0xff) {
        (_, 5 | 6) => StorageFault::Busy,
        // SQLITE_ERROR (no such table or column), CORRUPT, NOTADB; a read past the end.
        (_, 1 | 11 | 26) | (522, _) => StorageFault::Damaged(message),
        _ => StorageFault::Io(message),
    }
}
