use super::{EmbeddedKeys, names, path_of};
use crate::crypto::{KeyKind, PrivateKey, PrivateKeyError};
use crate::custody::KeyState;
use crate::keys::id::new_id;
use crate::keys::{BoxFuture, Described, GenerateKey, ImportKey, KeyFault, NewKey, Unlock};
use crate::storage::{AliasRow, KeyRow, Snapshot, VersionRow};
use crate::trust::VersionState;

/// The key-usage policy of keys that name none: custody's built-in rules.
const BUILT_IN: &str = "built-in/1";

impl GenerateKey for EmbeddedKeys {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            // Asked before the work, and again when it is written.
            names::check(new, &self.read().await?)?;
            let private = PrivateKey::generate(kind).map_err(|e| fault(new, &e))?;
            self.add(new, &private, unlock).await
        })
    }
}

impl ImportKey for EmbeddedKeys {
    fn import<'a>(
        &'a self,
        new: &'a NewKey,
        private: &'a PrivateKey,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            names::check(new, &self.read().await?)?;
            self.add(new, private, unlock).await
        })
    }
}

impl EmbeddedKeys {
    async fn add(
        &self,
        new: &NewKey,
        private: &PrivateKey,
        unlock: &dyn Unlock,
    ) -> Result<Described, KeyFault> {
        let id = new_id()?;
        let path = path_of(&new.key)?;
        let snapshot = self
            .change(unlock, |snapshot, vault, draft| {
                let purpose = names::check(new, snapshot)?;
                // Under two names it would count as two signers.
                not_there(snapshot, private)?;
                let now = self.clock.now().nanos();
                let key = KeyRow {
                    id: id.clone(),
                    path: path.as_str().to_owned(),
                    purpose: purpose.as_str().to_owned(),
                    state: KeyState::Enabled.as_str().to_owned(),
                    policy: BUILT_IN.to_owned(),
                    scheme: private.public_key().default_scheme().to_string(),
                    created: now,
                };
                let mut version = VersionRow {
                    key: id.clone(),
                    version: 1,
                    state: VersionState::Active.as_str().to_owned(),
                    grace_until: None,
                    created: now,
                    public_key: private.public_key().spki_der().to_vec(),
                    keyring: 0,
                    sealed: Vec::new(),
                };
                vault.seal(&key, &mut version, private)?;
                draft.key(key);
                draft.version(version);
                for alias in &new.aliases {
                    draft.alias(AliasRow {
                        alias: alias.as_str().to_owned(),
                        key: id.clone(),
                    });
                }
                Ok(())
            })
            .await?;
        self.described(&snapshot, self.resolve(&snapshot, path)?)
    }
}

fn not_there(snapshot: &Snapshot, private: &PrivateKey) -> Result<(), KeyFault> {
    let public = private.public_key().spki_der();
    let Some(version) = snapshot.versions.iter().find(|v| v.public_key == public) else {
        return Ok(());
    };
    let path = snapshot
        .keys
        .iter()
        .find(|key| key.id == version.key)
        .map_or("", |key| &key.path);
    Err(KeyFault::Exists(format!(
        "this very key: it is kms://{path}?version={}",
        version.version
    )))
}

fn fault(new: &NewKey, error: &PrivateKeyError) -> KeyFault {
    KeyFault::BadRequest {
        key: new.key.to_string(),
        why: error.to_string(),
    }
}
