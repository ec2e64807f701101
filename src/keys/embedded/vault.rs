use std::collections::BTreeMap;

use aws_lc_rs::hmac;

use super::encode::{self, Fields};
use super::seal::{self, Unopened};
use super::slot::{self, Shut};
use super::{FORMAT, verify};
use crate::crypto::PrivateKey;
use crate::keys::{Damage, KeyFault, Locked, Stored, Unlock};
use crate::secret::Secret;
use crate::storage::{HeadRow, KeyRow, KeyringRow, SlotRow, Snapshot, VersionRow};

/// An unlocked keystore: what opens its records and vouches for its rows.
pub(super) struct Vault {
    root: Secret,
    keyrings: BTreeMap<i64, Secret>,
    head: hmac::Key,
    /// The slot that was opened.
    slot: i64,
}

impl Vault {
    /// Opens the first slot that the passphrase fits.
    pub(super) fn unlock(
        path: &str,
        snapshot: &Snapshot,
        unlock: &dyn Unlock,
    ) -> Result<Self, KeyFault> {
        let damaged = |damage| KeyFault::Damaged {
            path: path.to_owned(),
            damage,
        };
        if snapshot.head.format != FORMAT {
            return Err(damaged(Damage::Format(snapshot.head.format)));
        }
        let what = Locked::Keystore(path.to_owned());
        let passphrase = unlock
            .passphrase(&what)
            .map_err(|why| KeyFault::NoPassphrase {
                what: path.to_owned(),
                why: why.to_string(),
            })?;
        let mut first_damage = None;
        for row in snapshot.slots.iter().filter(|s| s.kind == slot::PASSPHRASE) {
            match slot::open(row, &passphrase) {
                Ok(root) => return Self::of_root(root, row.id, snapshot).map_err(damaged),
                Err(Shut::Wrong) => {}
                Err(Shut::Damaged(damage)) => first_damage = first_damage.or(Some(damage)),
            }
        }
        // A damaged slot may have been the right one.
        Err(match first_damage {
            Some(damage) => damaged(damage),
            None if snapshot.slots.is_empty() => {
                damaged(Damage::Malformed("no seal slot is left".to_owned()))
            }
            None => KeyFault::WrongPassphrase(path.to_owned()),
        })
    }

    /// A new root key with a new keyring, and the rows that hold them.
    pub(super) fn create(passphrase: &Secret) -> Result<(Self, SlotRow, KeyringRow), KeyFault> {
        let root = random()?;
        let keyring = random()?;
        let row = KeyringRow {
            version: 1,
            sealed: seal::seal(
                subkey(&root, "keyring")?.expose(),
                &keyring_identity(1),
                &[],
                keyring.expose(),
            )?,
        };
        let slot = slot::new(1, passphrase, &root)?;
        let vault = Self {
            head: head_key(&root)?,
            keyrings: BTreeMap::from([(1, keyring)]),
            root,
            slot: 1,
        };
        Ok((vault, slot, row))
    }

    /// The same root key under another passphrase, in the slot that was opened.
    pub(super) fn new_slot(&self, passphrase: &Secret) -> Result<SlotRow, KeyFault> {
        slot::new(self.slot, passphrase, &self.root)
    }

    /// Whether every row is as it was last written.
    pub(super) fn verify(&self, snapshot: &Snapshot) -> Result<(), Damage> {
        let mac = &snapshot.head.mac;
        hmac::verify(&self.head, &encode::head(&snapshot.head), mac).map_err(|_| Damage::Head)?;
        verify::consistent(snapshot).map_err(|found| found.with_key(snapshot, self))
    }

    /// The private key of a version.
    pub(super) fn open(&self, key: &KeyRow, version: &VersionRow) -> Result<PrivateKey, Damage> {
        let stored = || Stored {
            path: key.path.clone(),
            version: Some(version.version),
        };
        let keyring = self
            .keyrings
            .get(&version.keyring)
            .ok_or_else(|| Damage::Altered(stored()))?;
        let der = seal::open(
            keyring.expose(),
            &encode::identity(version),
            &encode::context(FORMAT, key, version),
            &version.sealed,
        )
        .map_err(|why| match why {
            Unopened::Commitment => Damage::Swapped(stored()),
            Unopened::Malformed | Unopened::Altered => Damage::Altered(stored()),
        })?;
        let private = PrivateKey::from_pkcs8_der(der.expose())
            .map_err(|e| Damage::Malformed(format!("the private key of {}: {e}", stored())))?;
        if private.public_key().spki_der() == version.public_key {
            Ok(private)
        } else {
            Err(Damage::Mismatch(stored()))
        }
    }

    /// Seals `private` into `version`, bound to all its other fields.
    pub(super) fn seal(
        &self,
        key: &KeyRow,
        version: &mut VersionRow,
        private: &PrivateKey,
    ) -> Result<(), KeyFault> {
        let (newest, keyring) = self
            .keyrings
            .last_key_value()
            .ok_or_else(|| failed("the keyring is empty"))?;
        version.keyring = *newest;
        let der = private.to_pkcs8_der().map_err(|e| failed(&e.to_string()))?;
        version.sealed = seal::seal(
            keyring.expose(),
            &encode::identity(version),
            &encode::context(FORMAT, key, version),
            der.expose(),
        )?;
        Ok(())
    }

    /// Completes a head.
    pub(super) fn sign_head(&self, head: &mut HeadRow) {
        head.mac = hmac::sign(&self.head, &encode::head(head))
            .as_ref()
            .to_vec();
    }

    fn of_root(root: Secret, slot: i64, snapshot: &Snapshot) -> Result<Self, Damage> {
        let broken = |_| Damage::Malformed("the root key has the wrong length".to_owned());
        let wrapping = subkey(&root, "keyring").map_err(broken)?;
        let mut keyrings = BTreeMap::new();
        for row in &snapshot.keyrings {
            let identity = keyring_identity(row.version);
            let key = seal::open(wrapping.expose(), &identity, &[], &row.sealed)
                .map_err(|_| Damage::Index("the keyring"))?;
            keyrings.insert(row.version, key);
        }
        Ok(Self {
            head: head_key(&root).map_err(broken)?,
            root,
            keyrings,
            slot,
        })
    }
}

fn random() -> Result<Secret, KeyFault> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    crate::keys::id::fill(bytes.as_mut_slice())?;
    Ok(Secret::new(bytes.to_vec()))
}

fn subkey(root: &Secret, label: &str) -> Result<Secret, KeyFault> {
    seal::subkey(root, label).map_err(|_| failed("deriving a key failed"))
}

fn head_key(root: &Secret) -> Result<hmac::Key, KeyFault> {
    Ok(hmac::Key::new(
        hmac::HMAC_SHA256,
        subkey(root, "head")?.expose(),
    ))
}

fn keyring_identity(version: i64) -> Vec<u8> {
    Fields::new("keyring").number(version).finish()
}

fn failed(cause: &str) -> KeyFault {
    KeyFault::Provider {
        provider: "the keystore",
        cause: cause.to_owned(),
    }
}
