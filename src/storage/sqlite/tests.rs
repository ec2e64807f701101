use super::*;
use crate::storage::HeadRow;

fn change(generation: u64) -> Change {
    Change {
        head: HeadRow {
            format: 1,
            keystore: "k".into(),
            generation,
            records: 0,
            root: vec![1],
            mac: vec![1],
        },
        slots: Vec::new(),
        keyrings: Vec::new(),
        keys: Vec::new(),
        versions: Vec::new(),
        aliases: Vec::new(),
        seals: Vec::new(),
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn keystore(dir: &Path, name: &str) -> SqliteKeystore {
    let path = dir.join(name);
    run(SqliteKeystore::create(&path, &change(1))).unwrap();
    SqliteKeystore::new(path)
}

#[test]
fn of_two_changes_of_one_state_one_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let tables = keystore(dir.path(), "a.db");
    run(tables.commit(1, &change(2))).unwrap();
    assert_eq!(
        run(tables.commit(1, &change(3))),
        Err(StorageFault::Conflict)
    );
    assert_eq!(run(tables.generation()), Ok(2));
}

// A restore between opening and committing, which only chance meets from outside.
#[test]
fn a_change_of_a_file_that_was_replaced_meanwhile_is_written_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let (tables, other) = (keystore(dir.path(), "a.db"), keystore(dir.path(), "b.db"));
    let written = run(async {
        let mut open = tables.open().await.unwrap();
        std::fs::rename(other.path(), tables.path()).unwrap();
        let written = commit::commit(&tables, &mut open, 1, &change(2)).await;
        close(open).await;
        written
    });
    assert_eq!(written, Err(StorageFault::Conflict));
    for beside in ["a.db-wal", "a.db-shm"] {
        let _absent = std::fs::remove_file(dir.path().join(beside));
    }
    assert_eq!(run(tables.generation()), Ok(1));
}

#[test]
fn a_change_that_fails_in_the_middle_is_not_there_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let tables = keystore(dir.path(), "a.db");
    let mut broken = change(2);
    let keyring = crate::storage::KeyringRow {
        version: 1,
        sealed: vec![1],
    };
    // The same row twice, which the table refuses after it took the first.
    broken.keyrings = vec![keyring.clone(), keyring];
    run(tables.commit(1, &broken)).unwrap_err();
    let there = run(tables.load()).unwrap();
    assert_eq!((there.head.generation, there.keyrings.len()), (1, 0));
}

// What a power cut would show; 2 is FULL (sqlite.org/pragma.html#pragma_synchronous).
#[test]
fn a_commit_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let tables = keystore(dir.path(), "a.db");
    let level: i64 = run(async {
        let mut open = tables.open().await.unwrap();
        let level = sqlx::query_scalar("PRAGMA synchronous")
            .fetch_one(&mut open.connection)
            .await
            .unwrap();
        close(open).await;
        level
    });
    assert_eq!(level, 2);
}

#[test]
fn another_programs_database_is_no_keystore() {
    let dir = tempfile::tempdir().unwrap();
    let tables = keystore(dir.path(), "a.db");
    run(async {
        let mut open = tables.open().await.unwrap();
        sqlx::query("PRAGMA application_id = 7")
            .execute(&mut open.connection)
            .await
            .unwrap();
        close(open).await;
    });
    assert_eq!(
        run(tables.load()),
        Err(StorageFault::Damaged("it is no keystore".into()))
    );
}

#[test]
fn neither_a_new_keystore_nor_a_copy_takes_the_place_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let tables = keystore(dir.path(), "a.db");
    std::fs::write(dir.path().join("mine"), "mine").unwrap();
    let mine = dir.path().join("mine");
    assert_eq!(run(tables.copy_to(&mine, false)), Err(StorageFault::Exists));
    assert_eq!(
        run(SqliteKeystore::create(&mine, &change(1))),
        Err(StorageFault::Exists)
    );
    // Also where it came there after it was looked for.
    let (folder, target) = place::partial(&mine).unwrap();
    std::fs::write(&target, "new").unwrap();
    assert_eq!(
        place::put(&folder, &target, &mine, false),
        Err(StorageFault::Exists)
    );
    assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
}
