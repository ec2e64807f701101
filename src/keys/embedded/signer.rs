use std::sync::atomic::{AtomicU64, Ordering};

use super::describe::versions_of;
use super::vault::Vault;
use super::{EmbeddedKeys, PROVIDER};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::{KeyInfo, KeyState, Purpose};
use crate::digest::Digest;
use crate::keys::software::SoftwareSigner;
use crate::keys::{BoxFuture, Damage, KeyFault, PrehashSigner, Signer, Unlock};
use crate::reference::KeyRef;
use crate::storage::{KeyRow, KeystoreTables, Snapshot, SqliteKeystore, VersionRow};
use crate::trust::VersionState;

/// An opened version; asks at each use whether it may still be used.
struct EmbeddedSigner {
    inner: SoftwareSigner,
    vault: Vault,
    tables: SqliteKeystore,
    generation: AtomicU64,
}

impl EmbeddedKeys {
    pub(super) async fn open_signer(
        &self,
        key: &KeyRef,
        unlock: &dyn Unlock,
    ) -> Result<Box<dyn Signer>, KeyFault> {
        let KeyRef::Kms { path, version } = key else {
            return Err(KeyFault::NoProvider(key.to_string()));
        };
        let (snapshot, vault) = self.unlock(Some(path), unlock).await?;
        let row = self.resolve(&snapshot, path)?;
        let found = self.wanted(&snapshot, row, *version)?;
        let private = vault.open(row, found).map_err(|e| self.damaged(e))?;
        let info = KeyInfo {
            id: row.id.clone(),
            path: format!("kms://{}", row.path),
            version: Some(found.version),
            purpose: Some(Purpose::of_existing(&row.purpose)),
            state: self.key_state(row)?,
            version_state: self.state_now(found)?,
            provider: PROVIDER,
        };
        Ok(Box::new(EmbeddedSigner {
            inner: SoftwareSigner::new(info, self.scheme(row)?, private),
            vault,
            tables: self.tables.clone(),
            generation: AtomicU64::new(snapshot.head.generation),
        }))
    }

    fn wanted<'a>(
        &self,
        snapshot: &'a Snapshot,
        row: &'a KeyRow,
        version: Option<u32>,
    ) -> Result<&'a VersionRow, KeyFault> {
        let mut versions = versions_of(snapshot, row);
        match version {
            Some(version) => versions
                .find(|found| found.version == version)
                .ok_or_else(|| KeyFault::NoSuchVersion {
                    key: format!("kms://{}", row.path),
                    version,
                }),
            None => versions
                .find(|found| found.state == VersionState::Active.as_str())
                .ok_or_else(|| {
                    self.damaged(Damage::Malformed(format!(
                        "kms://{} has no active version",
                        row.path
                    )))
                }),
        }
    }
}

impl EmbeddedSigner {
    /// Whether the key is still enabled and its version still active.
    async fn still_permitted(&self) -> Result<(), KeyFault> {
        let path = self.tables.path().display().to_string();
        let storage = |e| super::storage_fault(&path, e);
        let seen = self.generation.load(Ordering::Acquire);
        if self.tables.generation().await.map_err(storage)? == seen {
            return Ok(());
        }
        let snapshot = self.tables.load().await.map_err(storage)?;
        let damaged = |damage| KeyFault::Damaged {
            path: path.clone(),
            damage,
        };
        self.vault.verify(&snapshot).map_err(damaged)?;
        let found = snapshot.head.generation;
        if found < seen {
            return Err(damaged(Damage::Older { found, seen }));
        }
        let info = self.inner.key();
        let row = snapshot
            .keys
            .iter()
            .find(|row| row.id == info.id && row.state == KeyState::Enabled.as_str())
            .ok_or_else(|| KeyFault::Disabled(info.path.clone()))?;
        let active = versions_of(&snapshot, row).any(|version| {
            Some(version.version) == info.version && version.state == VersionState::Active.as_str()
        });
        if !active {
            return Err(KeyFault::NotPermitted {
                rule: "version-not-active",
                why: format!("{info} was replaced, and only the active version signs"),
            });
        }
        self.generation.store(found, Ordering::Release);
        Ok(())
    }
}

impl Signer for EmbeddedSigner {
    fn key(&self) -> &KeyInfo {
        self.inner.key()
    }

    fn public_key(&self) -> &PublicKey {
        self.inner.public_key()
    }

    fn scheme(&self) -> Scheme {
        self.inner.scheme()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            self.still_permitted().await?;
            self.inner.sign(message).await
        })
    }

    fn prehashed(&self) -> Option<&dyn PrehashSigner> {
        self.inner.prehashed().map(|_| self as &dyn PrehashSigner)
    }
}

impl PrehashSigner for EmbeddedSigner {
    fn sign_digest<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Vec<u8>, KeyFault>> {
        Box::pin(async move {
            self.still_permitted().await?;
            self.inner.sign_digest(digest).await
        })
    }
}
