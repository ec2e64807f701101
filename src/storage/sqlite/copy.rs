use std::path::Path;

use super::place::partial;
use super::{SqliteKeystore, close, fault};
use crate::storage::StorageFault;

impl SqliteKeystore {
    /// Writes a whole, compact copy of one moment to `to`, while others may
    /// go on writing here; durable on return, and there whole or not at all.
    ///
    /// # Errors
    /// `Exists` when there is a file at `to` and `replace` is not given.
    pub async fn copy_to(&self, to: &Path, replace: bool) -> Result<(), StorageFault> {
        if !replace && to.symlink_metadata().is_ok() {
            return Err(StorageFault::Exists);
        }
        let (folder, target) = partial(to)?;
        let text = target
            .to_str()
            .ok_or_else(|| StorageFault::Io("the path is not UTF-8".to_owned()))?;
        let mut open = self.open().await?;
        let copied = sqlx::query("VACUUM INTO ?")
            .bind(text)
            .execute(&mut open.connection)
            .await
            .map(drop)
            .map_err(fault);
        close(open).await;
        copied?;
        super::place::put(&folder, &target, to, replace)
    }

    /// Checks every page and index of the database.
    ///
    /// # Errors
    /// `Damaged` naming the first thing that is wrong.
    pub async fn check_pages(&self) -> Result<(), StorageFault> {
        let mut open = self.open().await?;
        let found: Result<String, _> = sqlx::query_scalar("PRAGMA integrity_check(1)")
            .fetch_one(&mut open.connection)
            .await
            .map_err(fault);
        close(open).await;
        match found?.as_str() {
            "ok" => Ok(()),
            wrong => Err(StorageFault::Damaged(wrong.to_owned())),
        }
    }
}
