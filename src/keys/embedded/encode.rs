//! One encoding of rows for hashing and as associated data: a label, then
//! each field with its length before it, so that no two rows encode alike.

use crate::crypto::sha256;
use crate::storage::{AliasRow, HeadRow, KeyRow, KeyringRow, SlotRow, VersionRow};

pub(super) struct Fields(Vec<u8>);

impl Fields {
    pub(super) fn new(label: &str) -> Self {
        Self(Vec::with_capacity(256)).bytes(label.as_bytes())
    }

    pub(super) fn bytes(mut self, field: &[u8]) -> Self {
        self.0
            .extend_from_slice(&(field.len() as u64).to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub(super) fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    pub(super) fn number(self, field: i64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(super) fn optional(self, field: Option<i64>) -> Self {
        match field {
            Some(field) => self.number(field),
            None => self.bytes(&[]),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn digest(self) -> Vec<u8> {
        sha256(&self.0).bytes().to_vec()
    }
}

/// A row that has a seal.
pub(super) trait Record {
    /// Its name among all rows.
    fn record(&self) -> String;
    /// Its hash, over every field.
    fn digest(&self) -> Vec<u8>;
}

impl Record for SlotRow {
    fn record(&self) -> String {
        format!("slot/{}", self.id)
    }

    fn digest(&self) -> Vec<u8> {
        Fields::new("slot")
            .number(self.id)
            .text(&self.kind)
            .text(&self.params)
            .bytes(&self.sealed)
            .bytes(&self.check)
            .digest()
    }
}

impl Record for KeyringRow {
    fn record(&self) -> String {
        format!("keyring/{}", self.version)
    }

    fn digest(&self) -> Vec<u8> {
        Fields::new("keyring")
            .number(self.version)
            .bytes(&self.sealed)
            .digest()
    }
}

impl Record for KeyRow {
    fn record(&self) -> String {
        format!("key/{}", self.id)
    }

    fn digest(&self) -> Vec<u8> {
        Fields::new("key")
            .text(&self.id)
            .text(&self.path)
            .text(&self.purpose)
            .text(&self.state)
            .text(&self.policy)
            .text(&self.scheme)
            .number(self.created)
            .digest()
    }
}

impl Record for VersionRow {
    fn record(&self) -> String {
        format!("version/{}/{}", self.key, self.version)
    }

    fn digest(&self) -> Vec<u8> {
        Fields::new("version")
            .text(&self.key)
            .number(self.version.into())
            .text(&self.state)
            .optional(self.grace_until)
            .number(self.created)
            .bytes(&self.public_key)
            .number(self.keyring)
            .bytes(&self.sealed)
            .digest()
    }
}

impl Record for AliasRow {
    fn record(&self) -> String {
        format!("alias/{}", self.alias)
    }

    fn digest(&self) -> Vec<u8> {
        Fields::new("alias")
            .text(&self.alias)
            .text(&self.key)
            .digest()
    }
}

/// What a slot's plain hash covers.
pub(super) fn slot_check(slot: &SlotRow) -> Vec<u8> {
    Fields::new("slot check")
        .number(slot.id)
        .text(&slot.kind)
        .text(&slot.params)
        .bytes(&slot.sealed)
        .digest()
}

/// Which record a private key is sealed for.
pub(super) fn identity(version: &VersionRow) -> Vec<u8> {
    Fields::new("key version")
        .text(&version.key)
        .number(version.version.into())
        .finish()
}

/// What a sealed private key is bound to: all that stands beside it in clear.
pub(super) fn context(format: i64, key: &KeyRow, version: &VersionRow) -> Vec<u8> {
    Fields::new("key version context")
        .number(format)
        .text(&key.id)
        .number(version.version.into())
        .text(&key.path)
        .text(&key.purpose)
        .text(&key.state)
        .text(&key.policy)
        .text(&key.scheme)
        .number(key.created)
        .text(&version.state)
        .optional(version.grace_until)
        .number(version.created)
        .bytes(&version.public_key)
        .finish()
}

/// The hash over all seals, which are in the order of their records.
pub(super) fn root<'a>(seals: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut fields = Fields::new("seals");
    for (record, digest) in seals {
        fields = fields.text(record).bytes(digest);
    }
    fields.digest()
}

/// What the head's keyed hash covers.
pub(super) fn head(head: &HeadRow) -> Vec<u8> {
    Fields::new("head")
        .number(head.format)
        .text(&head.keystore)
        .bytes(&head.generation.to_be_bytes())
        .bytes(&head.records.to_be_bytes())
        .bytes(&head.root)
        .finish()
}
