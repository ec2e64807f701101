use super::describe::versions_of;
use super::{EmbeddedKeys, path_of};
use crate::crypto::PrivateKey;
use crate::custody::KeyState;
use crate::keys::{
    BoxFuture, DescribeKey, Described, KeyFault, Lifecycle, RetireVersion, RotateKey, Unlock,
};
use crate::reference::{KeyPath, KeyRef};
use crate::storage::VersionRow;
use crate::time::Span;
use crate::trust::VersionState;

impl RotateKey for EmbeddedKeys {
    fn rotate<'a>(
        &'a self,
        key: &'a KeyRef,
        grace: Span,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move { self.rotate_key(path_of(key)?, grace, unlock).await })
    }
}

impl Lifecycle for EmbeddedKeys {
    fn set_state<'a>(
        &'a self,
        key: &'a KeyRef,
        state: KeyState,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move { self.set_key_state(path_of(key)?, state, unlock).await })
    }
}

impl RetireVersion for EmbeddedKeys {
    fn retire<'a>(
        &'a self,
        key: &'a KeyRef,
        version: u32,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move { self.retire_version(path_of(key)?, version, unlock).await })
    }
}

impl DescribeKey for EmbeddedKeys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let path = path_of(key)?;
            let snapshot = self.read().await?;
            self.described(&snapshot, self.resolve(&snapshot, path)?)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async move {
            let snapshot = self.read().await?;
            let mut keys = snapshot
                .keys
                .iter()
                .map(|row| self.described(&snapshot, row))
                .collect::<Result<Vec<_>, _>>()?;
            keys.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(keys)
        })
    }
}

impl EmbeddedKeys {
    async fn rotate_key(
        &self,
        path: &KeyPath,
        grace: Span,
        unlock: &dyn Unlock,
    ) -> Result<Described, KeyFault> {
        let before = self.read().await?;
        let row = self.resolve(&before, path)?;
        let kind = self.scheme(row)?;
        let active = versions_of(&before, row)
            .next()
            .map(|version| crate::crypto::PublicKey::from_spki_der(&version.public_key));
        // The new version is of the family and size of the first.
        let Some(Ok(public)) = active else {
            return Err(self.malformed(format!("the first version of kms://{}", row.path)));
        };
        if !kind.fits(public.kind()) {
            return Err(self.malformed(format!("the scheme of kms://{}", row.path)));
        }
        let private = PrivateKey::generate(public.kind()).map_err(|e| KeyFault::BadRequest {
            key: format!("kms://{}", row.path),
            why: e.to_string(),
        })?;
        let snapshot = self
            .change(unlock, |snapshot, vault, draft| {
                let row = self.resolve(snapshot, path)?;
                let now = self.clock.now().nanos();
                let mut newest = 0;
                for version in versions_of(snapshot, row) {
                    newest = newest.max(version.version);
                    if version.state != VersionState::Active.as_str() {
                        continue;
                    }
                    let old = vault.open(row, version).map_err(|e| self.damaged(e))?;
                    let mut version = version.clone();
                    if grace.nanos() > 0 {
                        version.state = VersionState::Grace.as_str().to_owned();
                        version.grace_until = Some(now.saturating_add(grace.nanos()));
                    } else {
                        version.state = VersionState::VerifyOnly.as_str().to_owned();
                        version.grace_until = None;
                    }
                    vault.seal(row, &mut version, &old)?;
                    draft.version(version);
                }
                let mut version = VersionRow {
                    key: row.id.clone(),
                    version: newest.saturating_add(1),
                    state: VersionState::Active.as_str().to_owned(),
                    grace_until: None,
                    created: now,
                    public_key: private.public_key().spki_der().to_vec(),
                    keyring: 0,
                    sealed: Vec::new(),
                };
                vault.seal(row, &mut version, &private)?;
                draft.version(version);
                Ok(())
            })
            .await?;
        self.described(&snapshot, self.resolve(&snapshot, path)?)
    }

    async fn set_key_state(
        &self,
        path: &KeyPath,
        state: KeyState,
        unlock: &dyn Unlock,
    ) -> Result<Described, KeyFault> {
        let snapshot = self
            .change(unlock, |snapshot, vault, draft| {
                let old = self.resolve(snapshot, path)?;
                let mut new = old.clone();
                new.state = state.as_str().to_owned();
                // The state is bound to each sealed key, so each is sealed anew.
                for version in versions_of(snapshot, old) {
                    let private = vault.open(old, version).map_err(|e| self.damaged(e))?;
                    let mut version = version.clone();
                    vault.seal(&new, &mut version, &private)?;
                    draft.version(version);
                }
                draft.key(new);
                Ok(())
            })
            .await?;
        self.described(&snapshot, self.resolve(&snapshot, path)?)
    }

    async fn retire_version(
        &self,
        path: &KeyPath,
        number: u32,
        unlock: &dyn Unlock,
    ) -> Result<Described, KeyFault> {
        let snapshot = self
            .change(unlock, |snapshot, vault, draft| {
                let row = self.resolve(snapshot, path)?;
                let shown = || format!("kms://{}", row.path);
                let mut version = versions_of(snapshot, row)
                    .find(|version| version.version == number)
                    .cloned()
                    .ok_or_else(|| KeyFault::NoSuchVersion {
                        key: shown(),
                        version: number,
                    })?;
                if version.state == VersionState::Active.as_str() {
                    return Err(KeyFault::BadRequest {
                        key: shown(),
                        why: format!(
                            "version {number} is the active one; rotate first, then retire it"
                        ),
                    });
                }
                let private = vault.open(row, &version).map_err(|e| self.damaged(e))?;
                version.state = VersionState::Retired.as_str().to_owned();
                version.grace_until = None;
                vault.seal(row, &mut version, &private)?;
                draft.version(version);
                Ok(())
            })
            .await?;
        self.described(&snapshot, self.resolve(&snapshot, path)?)
    }
}
