use std::collections::BTreeMap;

use super::encode::{self, Record};
use super::vault::Vault;
use crate::storage::{
    AliasRow, Change, HeadRow, KeyRow, KeyringRow, SealRow, SlotRow, Snapshot, VersionRow,
};

/// Rows to be written, and the seals and head that go with them.
pub(super) struct Draft {
    change: Change,
    seals: BTreeMap<String, Vec<u8>>,
}

impl Draft {
    /// A change of what is there.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let seals = snapshot.seals.iter();
        Self::new(
            snapshot.head.clone(),
            seals
                .map(|seal| (seal.record.clone(), seal.digest.clone()))
                .collect(),
        )
    }

    /// The first rows of a keystore.
    pub(super) fn first(keystore: String) -> Self {
        let head = HeadRow {
            format: super::FORMAT,
            keystore,
            generation: 0,
            records: 0,
            root: Vec::new(),
            mac: Vec::new(),
        };
        Self::new(head, BTreeMap::new())
    }

    fn new(head: HeadRow, seals: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            change: Change {
                head,
                slots: Vec::new(),
                keyrings: Vec::new(),
                keys: Vec::new(),
                versions: Vec::new(),
                aliases: Vec::new(),
                seals: Vec::new(),
            },
            seals,
        }
    }

    pub(super) fn slot(&mut self, row: SlotRow) {
        self.seal(&row);
        self.change.slots.push(row);
    }

    pub(super) fn keyring(&mut self, row: KeyringRow) {
        self.seal(&row);
        self.change.keyrings.push(row);
    }

    pub(super) fn key(&mut self, row: KeyRow) {
        self.seal(&row);
        self.change.keys.push(row);
    }

    pub(super) fn version(&mut self, row: VersionRow) {
        self.seal(&row);
        self.change.versions.push(row);
    }

    pub(super) fn alias(&mut self, row: AliasRow) {
        self.seal(&row);
        self.change.aliases.push(row);
    }

    fn seal(&mut self, row: &dyn Record) {
        let seal = SealRow {
            record: row.record(),
            digest: row.digest(),
        };
        self.seals.insert(seal.record.clone(), seal.digest.clone());
        self.change.seals.push(seal);
    }

    /// The change with the head that seals it, at the next generation but not
    /// below `floor`.
    pub(super) fn finish(mut self, vault: &Vault, floor: u64) -> Change {
        let head = &mut self.change.head;
        head.generation = head.generation.saturating_add(1).max(floor);
        head.records = self.seals.len() as u64;
        head.root = encode::root(self.seals.iter().map(|(r, d)| (r.as_str(), d.as_slice())));
        vault.sign_head(head);
        self.change
    }
}
