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

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyRow {
        KeyRow {
            id: "id".into(),
            path: "model-sign/dev".into(),
            purpose: "model-sign".into(),
            state: "enabled".into(),
            policy: "built-in/1".into(),
            scheme: "ed25519".into(),
            created: 1,
        }
    }

    fn version() -> VersionRow {
        VersionRow {
            key: "id".into(),
            version: 1,
            state: "active".into(),
            grace_until: None,
            created: 1,
            public_key: vec![1],
            keyring: 1,
            sealed: vec![1],
        }
    }

    fn head_row() -> HeadRow {
        HeadRow {
            format: 1,
            keystore: "k".into(),
            generation: 1,
            records: 1,
            root: vec![1],
            mac: vec![1],
        }
    }

    /// The number of different encodings of `row` as it is and after each of `changes`.
    fn told_apart<T: Clone>(
        row: &T,
        changes: &[fn(&mut T)],
        encode: impl Fn(&T) -> Vec<u8>,
    ) -> usize {
        let mut all = vec![encode(row)];
        for change in changes {
            let mut other = row.clone();
            change(&mut other);
            all.push(encode(&other));
        }
        all.sort();
        all.dedup();
        all.len() - 1
    }

    // Some are bound in two ways, so that no test from outside would miss one of them.
    #[test]
    fn a_sealed_key_is_bound_to_every_field_beside_it() {
        let of_key: &[fn(&mut KeyRow)] = &[
            |k| k.id = "other".into(),
            |k| k.path = "model-sign/prod".into(),
            |k| k.purpose = "pki-ca".into(),
            |k| k.state = "disabled".into(),
            |k| k.policy = "none".into(),
            |k| k.scheme = "ecdsa-p256-sha256".into(),
            |k| k.created = 2,
        ];
        let bound = told_apart(&key(), of_key, |k| context(1, k, &version()));
        assert_eq!(bound, of_key.len());
        let of_version: &[fn(&mut VersionRow)] = &[
            |v| v.version = 2,
            |v| v.state = "retired".into(),
            |v| v.grace_until = Some(0),
            |v| v.created = 2,
            |v| v.public_key = vec![2],
        ];
        let bound = told_apart(&version(), of_version, |v| context(1, &key(), v));
        assert_eq!(bound, of_version.len());
        assert_ne!(
            context(1, &key(), &version()),
            context(2, &key(), &version())
        );
        let of_name: &[fn(&mut VersionRow)] = &[|v| v.version = 2, |v| v.key = "other".into()];
        assert_eq!(told_apart(&version(), of_name, identity), of_name.len());
    }

    #[test]
    fn the_keyed_hash_covers_every_field_of_the_head_but_itself() {
        let changes: &[fn(&mut HeadRow)] = &[
            |h| h.format = 2,
            |h| h.keystore = "other".into(),
            |h| h.generation = 2,
            |h| h.records = 2,
            |h| h.root = vec![2],
        ];
        assert_eq!(told_apart(&head_row(), changes, head), changes.len());
        assert_eq!(told_apart(&head_row(), &[|h| h.mac = vec![2]], head), 0);
    }

    #[test]
    fn every_field_of_every_row_is_in_its_seal() {
        let of_key: &[fn(&mut KeyRow)] = &[
            |k| k.id = "other".into(),
            |k| k.path = "x".into(),
            |k| k.purpose = "x".into(),
            |k| k.state = "x".into(),
            |k| k.policy = "x".into(),
            |k| k.scheme = "x".into(),
            |k| k.created = 2,
        ];
        assert_eq!(told_apart(&key(), of_key, Record::digest), of_key.len());
        let of_version: &[fn(&mut VersionRow)] = &[
            |v| v.key = "other".into(),
            |v| v.version = 2,
            |v| v.state = "x".into(),
            |v| v.grace_until = Some(0),
            |v| v.created = 2,
            |v| v.public_key = vec![2],
            |v| v.keyring = 2,
            |v| v.sealed = vec![2],
        ];
        assert_eq!(
            told_apart(&version(), of_version, Record::digest),
            of_version.len()
        );
        let slot = SlotRow {
            id: 1,
            kind: "passphrase".into(),
            params: "{}".into(),
            sealed: vec![1],
            check: vec![1],
        };
        let of_slot: &[fn(&mut SlotRow)] = &[
            |s| s.id = 2,
            |s| s.kind = "x".into(),
            |s| s.params = "x".into(),
            |s| s.sealed = vec![2],
            |s| s.check = vec![2],
        ];
        assert_eq!(told_apart(&slot, of_slot, Record::digest), of_slot.len());
        // Its plain hash leaves out itself alone.
        assert_eq!(told_apart(&slot, of_slot, slot_check), of_slot.len() - 1);
        let alias = AliasRow {
            alias: "a".into(),
            key: "id".into(),
        };
        let of_alias: &[fn(&mut AliasRow)] = &[|a| a.alias = "b".into(), |a| a.key = "x".into()];
        assert_eq!(told_apart(&alias, of_alias, Record::digest), of_alias.len());
        let keyring = KeyringRow {
            version: 1,
            sealed: vec![1],
        };
        let of_keyring: &[fn(&mut KeyringRow)] = &[|k| k.version = 2, |k| k.sealed = vec![2]];
        assert_eq!(
            told_apart(&keyring, of_keyring, Record::digest),
            of_keyring.len()
        );
    }
}
