use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row};

use super::{APPLICATION, fault};
use crate::storage::{
    AliasRow, HeadRow, KeyRow, KeyringRow, SealRow, SlotRow, Snapshot, StorageFault, VersionRow,
};

/// Most rows of one table that are read: far above any honest keystore.
const ROWS: i64 = 1_000_000;

pub(super) async fn generation(connection: &mut SqliteConnection) -> Result<u64, StorageFault> {
    let row = sqlx::query("SELECT generation FROM head WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(fault)?
        .ok_or_else(|| StorageFault::Damaged("its head is missing".to_owned()))?;
    unsigned(&row, 0)
}

pub(super) async fn snapshot(connection: &mut SqliteConnection) -> Result<Snapshot, StorageFault> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(fault)?;
    if application != APPLICATION {
        return Err(StorageFault::Damaged("it is no keystore".to_owned()));
    }
    // One read transaction: all rows are of one moment.
    let mut read = connection.begin().await.map_err(fault)?;
    let head = sqlx::query(
        "SELECT format, keystore, generation, records, root, mac FROM head WHERE id = 1",
    )
    .fetch_optional(&mut *read)
    .await
    .map_err(fault)?
    .ok_or_else(|| StorageFault::Damaged("its head is missing".to_owned()))?;
    let head = HeadRow {
        format: get(&head, 0)?,
        keystore: get(&head, 1)?,
        generation: unsigned(&head, 2)?,
        records: unsigned(&head, 3)?,
        root: get(&head, 4)?,
        mac: get(&head, 5)?,
    };
    macro_rules! rows {
        ($sql:literal, $row:expr) => {
            sqlx::query($sql)
                .bind(ROWS)
                .fetch_all(&mut *read)
                .await
                .map_err(fault)?
                .iter()
                .map($row)
                .collect::<Result<Vec<_>, StorageFault>>()?
        };
    }
    let slots = rows!(
        "SELECT id, kind, params, sealed, check_digest FROM slots ORDER BY id LIMIT ?",
        |row| Ok(SlotRow {
            id: get(row, 0)?,
            kind: get(row, 1)?,
            params: get(row, 2)?,
            sealed: get(row, 3)?,
            check: get(row, 4)?,
        })
    );
    let keyrings = rows!(
        "SELECT version, sealed FROM keyrings ORDER BY version LIMIT ?",
        |row| Ok(KeyringRow {
            version: get(row, 0)?,
            sealed: get(row, 1)?,
        })
    );
    let keys = rows!(
        "SELECT id, path, purpose, state, policy, scheme, created FROM keys ORDER BY id LIMIT ?",
        |row| Ok(KeyRow {
            id: get(row, 0)?,
            path: get(row, 1)?,
            purpose: get(row, 2)?,
            state: get(row, 3)?,
            policy: get(row, 4)?,
            scheme: get(row, 5)?,
            created: get(row, 6)?,
        })
    );
    let versions = rows!(
        "SELECT key, version, state, grace_until, created, public_key, keyring, sealed
         FROM versions ORDER BY key, version LIMIT ?",
        |row| Ok(VersionRow {
            key: get(row, 0)?,
            version: get(row, 1)?,
            state: get(row, 2)?,
            grace_until: get(row, 3)?,
            created: get(row, 4)?,
            public_key: get(row, 5)?,
            keyring: get(row, 6)?,
            sealed: get(row, 7)?,
        })
    );
    let aliases = rows!(
        "SELECT alias, key FROM aliases ORDER BY alias LIMIT ?",
        |row| Ok(AliasRow {
            alias: get(row, 0)?,
            key: get(row, 1)?,
        })
    );
    let seals = rows!(
        "SELECT record, digest FROM seals ORDER BY record LIMIT ?",
        |row| Ok(SealRow {
            record: get(row, 0)?,
            digest: get(row, 1)?,
        })
    );
    read.rollback().await.map_err(fault)?;
    Ok(Snapshot {
        head,
        slots,
        keyrings,
        keys,
        versions,
        aliases,
        seals,
    })
}

fn get<'r, T>(row: &'r SqliteRow, index: usize) -> Result<T, StorageFault>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(index).map_err(fault)
}

fn unsigned(row: &SqliteRow, index: usize) -> Result<u64, StorageFault> {
    u64::try_from(get::<i64>(row, index)?)
        .map_err(|_| StorageFault::Damaged("a count is negative".to_owned()))
}
