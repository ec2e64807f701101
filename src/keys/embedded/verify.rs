use std::collections::BTreeMap;

use super::FORMAT;
use super::encode::{self, Record};
use super::vault::Vault;
use crate::keys::{Damage, Stored};
use crate::storage::{KeyRow, Snapshot, VersionRow};

/// The first row that is not what its seal says, or what is wrong with all of them.
#[derive(Debug)]
pub(super) enum Found {
    Whole(Damage),
    Slot(i64),
    Key(usize),
    Version(usize),
    Index(&'static str),
}

/// Whether rows, seals and head agree with each other. Needs no key, and so
/// finds damage, not an adversary: that takes [`Vault::verify`].
pub(super) fn consistent(snapshot: &Snapshot) -> Result<(), Found> {
    let head = &snapshot.head;
    if head.format != FORMAT {
        return Err(Found::Whole(Damage::Format(head.format)));
    }
    let seals: BTreeMap<&str, &[u8]> = snapshot
        .seals
        .iter()
        .map(|seal| (seal.record.as_str(), seal.digest.as_slice()))
        .collect();
    if encode::root(seals.iter().map(|(r, d)| (*r, *d))) != head.root {
        return Err(Found::Index("the list of seals"));
    }
    let sealed = |record: &dyn Record| {
        seals.get(record.record().as_str()) == Some(&record.digest().as_slice())
    };
    let found = rows(snapshot);
    if found != head.records || seals.len() as u64 != head.records {
        return Err(Found::Whole(Damage::Count {
            found,
            sealed: head.records,
        }));
    }
    if let Some(slot) = snapshot.slots.iter().find(|row| !sealed(*row)) {
        return Err(Found::Slot(slot.id));
    }
    if !snapshot.keyrings.iter().all(|row| sealed(row)) {
        return Err(Found::Index("the keyring"));
    }
    if let Some(at) = snapshot.keys.iter().position(|row| !sealed(row)) {
        return Err(Found::Key(at));
    }
    if let Some(at) = snapshot.versions.iter().position(|row| !sealed(row)) {
        return Err(Found::Version(at));
    }
    if !snapshot.aliases.iter().all(|row| sealed(row)) {
        return Err(Found::Index("the list of aliases"));
    }
    for version in &snapshot.versions {
        if key_of(snapshot, version).is_none() {
            return Err(Found::Whole(Damage::Malformed(
                "a version belongs to no key".to_owned(),
            )));
        }
    }
    Ok(())
}

/// The key that a version belongs to.
pub(super) fn key_of<'a>(snapshot: &'a Snapshot, version: &VersionRow) -> Option<&'a KeyRow> {
    snapshot.keys.iter().find(|key| key.id == version.key)
}

fn rows(snapshot: &Snapshot) -> u64 {
    let rows = snapshot.slots.len()
        + snapshot.keyrings.len()
        + snapshot.keys.len()
        + snapshot.versions.len()
        + snapshot.aliases.len();
    rows as u64
}

impl Found {
    /// As well as can be told without the key.
    pub(super) fn without_key(self, snapshot: &Snapshot) -> Damage {
        match self {
            Self::Whole(damage) => damage,
            Self::Slot(id) => Damage::Slot(id),
            Self::Index(what) => Damage::Index(what),
            Self::Key(at) => Damage::Changed(stored(&snapshot.keys[at], None)),
            Self::Version(at) => match key_of(snapshot, &snapshot.versions[at]) {
                Some(key) => Damage::Changed(stored(key, Some(snapshot.versions[at].version))),
                None => Damage::Malformed("a version belongs to no key".to_owned()),
            },
        }
    }

    /// With the key: altered, swapped or an older copy.
    pub(super) fn with_key(self, snapshot: &Snapshot, vault: &Vault) -> Damage {
        let (key, versions) = match self {
            Self::Key(at) => {
                let key = &snapshot.keys[at];
                let own = snapshot.versions.iter().filter(|v| v.key == key.id);
                (key, own.collect::<Vec<_>>())
            }
            Self::Version(at) => {
                let version = &snapshot.versions[at];
                match key_of(snapshot, version) {
                    Some(key) => (key, vec![version]),
                    None => return self.without_key(snapshot),
                }
            }
            Self::Whole(_) | Self::Slot(_) | Self::Index(_) => return self.without_key(snapshot),
        };
        // A row of the key itself has no sealed part; its versions are bound to it.
        let name = |version: &VersionRow| match self {
            Self::Key(_) => None,
            _ => Some(version.version),
        };
        for version in &versions {
            match vault.open(key, version) {
                Ok(_) => {}
                Err(Damage::Swapped(_)) => return Damage::Swapped(stored(key, name(version))),
                Err(_) => return Damage::Altered(stored(key, name(version))),
            }
        }
        // Each opens: genuine once, but not what was last written.
        let version = versions.first().and_then(|version| name(version));
        Damage::RolledBack(stored(key, version))
    }
}

fn stored(key: &KeyRow, version: Option<u32>) -> Stored {
    Stored {
        path: key.path.clone(),
        version,
    }
}
