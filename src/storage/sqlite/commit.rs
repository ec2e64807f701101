use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Executor};

use super::{Open, SCHEMA, SqliteKeystore, fault, load};
use crate::storage::{Change, StorageFault};

pub(super) async fn commit(
    keystore: &SqliteKeystore,
    open: &mut Open,
    base: u64,
    change: &Change,
) -> Result<(), StorageFault> {
    // IMMEDIATE takes the write lock now: what is read below still holds at commit.
    let file = open.file;
    let mut write = open
        .connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(fault)?;
    let generation = load::generation(&mut write).await?;
    if generation != base {
        return Err(StorageFault::Conflict);
    }
    upsert(&mut write, change).await?;
    // Asked while holding the lock: a restore that put another file in this
    // one's place held it before.
    if !keystore.is_current(file) {
        return Err(StorageFault::Conflict);
    }
    write.commit().await.map_err(fault)
}

/// The tables and first rows of a new keystore.
pub(super) async fn initialise(
    connection: &mut SqliteConnection,
    change: &Change,
) -> Result<(), StorageFault> {
    let mut write = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(fault)?;
    write.execute(sqlx::raw_sql(SCHEMA)).await.map_err(fault)?;
    upsert(&mut write, change).await?;
    write.commit().await.map_err(fault)
}

async fn upsert(connection: &mut SqliteConnection, change: &Change) -> Result<(), StorageFault> {
    for slot in &change.slots {
        sqlx::query(
            "INSERT INTO slots (id, kind, params, sealed, check_digest) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, params = excluded.params,
             sealed = excluded.sealed, check_digest = excluded.check_digest",
        )
        .bind(slot.id)
        .bind(&slot.kind)
        .bind(&slot.params)
        .bind(&slot.sealed)
        .bind(&slot.check)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    }
    for keyring in &change.keyrings {
        sqlx::query("INSERT INTO keyrings (version, sealed) VALUES (?, ?)")
            .bind(keyring.version)
            .bind(&keyring.sealed)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    for key in &change.keys {
        sqlx::query(
            "INSERT INTO keys (id, path, purpose, state, policy, scheme, created)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET state = excluded.state, policy = excluded.policy",
        )
        .bind(&key.id)
        .bind(&key.path)
        .bind(&key.purpose)
        .bind(&key.state)
        .bind(&key.policy)
        .bind(&key.scheme)
        .bind(key.created)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    }
    for version in &change.versions {
        sqlx::query(
            "INSERT INTO versions
             (key, version, state, grace_until, created, public_key, keyring, sealed)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (key, version) DO UPDATE SET state = excluded.state,
             grace_until = excluded.grace_until, keyring = excluded.keyring,
             sealed = excluded.sealed",
        )
        .bind(&version.key)
        .bind(version.version)
        .bind(&version.state)
        .bind(version.grace_until)
        .bind(version.created)
        .bind(&version.public_key)
        .bind(version.keyring)
        .bind(&version.sealed)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    }
    for alias in &change.aliases {
        sqlx::query("INSERT INTO aliases (alias, key) VALUES (?, ?)")
            .bind(&alias.alias)
            .bind(&alias.key)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    for seal in &change.seals {
        sqlx::query(
            "INSERT INTO seals (record, digest) VALUES (?, ?)
             ON CONFLICT (record) DO UPDATE SET digest = excluded.digest",
        )
        .bind(&seal.record)
        .bind(&seal.digest)
        .execute(&mut *connection)
        .await
        .map_err(fault)?;
    }
    let head = &change.head;
    sqlx::query(
        "INSERT INTO head (id, format, keystore, generation, records, root, mac)
         VALUES (1, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET generation = excluded.generation,
         records = excluded.records, root = excluded.root, mac = excluded.mac",
    )
    .bind(head.format)
    .bind(&head.keystore)
    .bind(signed(head.generation)?)
    .bind(signed(head.records)?)
    .bind(&head.root)
    .bind(&head.mac)
    .execute(connection)
    .await
    .map_err(fault)?;
    Ok(())
}

fn signed(count: u64) -> Result<i64, StorageFault> {
    i64::try_from(count).map_err(|_| StorageFault::Damaged("a count is out of range".to_owned()))
}
