use serde_json::{Value, json};

use super::call::Call;
use super::name::Name;
use super::{PROVIDER, VaultKeys, Vaults};
use crate::custody::KeyState;
use crate::http::Method;
use crate::keys::naming::concerns_the_whole;
use crate::keys::{
    BoxFuture, Described, KeyFault, Lifecycle, RetireVersion, RotateKey, Unlock, provenance,
};
use crate::reference::KeyRef;
use crate::time::Span;

impl RotateKey for VaultKeys {
    // The engine knows no grace: what was replaced verifies until it is retired.
    fn rotate<'a>(
        &'a self,
        key: &'a KeyRef,
        _: Span,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            concerns_the_whole(&name.shown, name.version)?;
            self.0
                .change(&name, Method::Put, "/rotate", json!({}))
                .await?;
            self.0.changed(&name).await
        })
    }
}

impl Lifecycle for VaultKeys {
    fn set_state<'a>(
        &'a self,
        key: &'a KeyRef,
        state: KeyState,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(self.0.set_state(key, state))
    }
}

impl RetireVersion for VaultKeys {
    fn retire<'a>(
        &'a self,
        key: &'a KeyRef,
        version: u32,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(self.0.retire(key, version))
    }
}

impl Vaults {
    /// OpenBao's soft deletion: the key does nothing until it is restored.
    async fn set_state(&self, key: &KeyRef, state: KeyState) -> Result<Described, KeyFault> {
        let name = Name::parse(key)?;
        concerns_the_whole(&name.shown, name.version)?;
        // Also tells a key that is not there, which the engine would not.
        self.look(&name).await?;
        let (method, path, what) = match state {
            KeyState::Disabled => (Method::Delete, "/soft-delete", "disabled"),
            KeyState::Enabled => (Method::Put, "/soft-delete-restore", "enabled"),
        };
        let changed = self.change(&name, method, path, Value::Null).await;
        match changed {
            // The engine was there a moment ago: it is this path that it lacks.
            Err(KeyFault::NotConfigured { .. } | KeyFault::Unsupported { .. }) => {
                return Err(KeyFault::Unsupported {
                    provider: PROVIDER,
                    what,
                });
            }
            other => other?,
        }
        if state == KeyState::Disabled {
            // It may not be shown then.
            self.doubt(&name, &KeyFault::Disabled(name.shown.clone()));
        }
        self.changed(&name).await
    }

    /// The key after a change that was acknowledged.
    async fn changed(&self, name: &Name) -> Result<Described, KeyFault> {
        let shown = self.look(name).await?;
        self.described(name, &shown)
    }

    /// Versions are retired by raising the least one that verifies.
    async fn retire(&self, key: &KeyRef, version: u32) -> Result<Described, KeyFault> {
        let name = Name::parse(key)?;
        concerns_the_whole(&name.shown, name.version)?;
        let found = self.read(&name).await?;
        let refused = |why: String| KeyFault::BadRequest {
            key: name.shown.clone(),
            why,
        };
        let oldest = found.min_decryption_version.max(1);
        if version > found.latest_version {
            return Err(KeyFault::NoSuchVersion {
                key: name.shown,
                version,
            });
        }
        if version == found.latest_version {
            return Err(refused(format!(
                "version {version} is the active one; rotate first, then retire it"
            )));
        }
        if version > oldest {
            return Err(refused(format!(
                "a transit engine retires versions from the oldest on; version {oldest} comes first"
            )));
        }
        if version == oldest {
            let next = version + 1;
            let mut body = json!({ "min_decryption_version": next });
            // What may still sign may not be less than what verifies; 0 is the newest.
            if (1..next).contains(&found.min_encryption_version) {
                body["min_encryption_version"] = json!(next);
            }
            self.change(&name, Method::Put, "/config", body).await?;
        }
        self.changed(&name).await
    }

    async fn change(
        &self,
        name: &Name,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<(), KeyFault> {
        let call = Call {
            method,
            path: format!("keys/{}{path}", name.name),
            body: (!body.is_null()).then_some(body),
            // To rotate twice is not to rotate once.
            repeatable: path != "/rotate",
            key: name,
        };
        self.call(&call).await?;
        provenance::acknowledged(true);
        Ok(())
    }
}
