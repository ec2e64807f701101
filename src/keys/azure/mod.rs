//! Keys in Azure Key Vault and Managed HSM: `azurekms://…`.
//!
//! One request per signature, none per verification once a key is known, and
//! digests alone leave the machine.

mod change;
mod describe;
mod fault;
mod jwk;
mod login;
mod look_up;
mod signer;
mod transport;
mod uri;
mod vault;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use look_up::LookUp;
use signer::AzureSigner;
use uri::Name;
use vault::Vault;

use super::context::Context;
use super::settings::Azure;
use super::{
    BoxFuture, Capabilities, KeyFault, KeyProvider, KeyReader, Signer, Unlock, Warning, expiry,
};
use crate::crypto::{KeyKind, PublicKey, Scheme};
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};

const PROVIDER: &str = "azure";

/// All vaults; each is connected to when its first key is asked for.
pub(super) struct AzureKeys {
    settings: Azure,
    context: Context,
    vaults: Mutex<BTreeMap<String, Arc<Vault>>>,
}

impl AzureKeys {
    pub(super) fn new(settings: &Azure, context: &Context) -> Self {
        Self {
            settings: settings.clone(),
            context: context.clone(),
            vaults: Mutex::default(),
        }
    }

    /// # Errors
    /// `Offline` before anything of the SDK is touched, else `NotConfigured`.
    fn vault(&self, host: &str) -> Result<Arc<Vault>, KeyFault> {
        if self.context.offline {
            return Err(KeyFault::Offline { provider: PROVIDER });
        }
        let mut vaults = self.vaults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vault) = vaults.get(host) {
            return Ok(Arc::clone(vault));
        }
        let vault = Arc::new(Vault::new(host, &self.settings, &self.context)?);
        vaults.insert(host.to_owned(), Arc::clone(&vault));
        Ok(vault)
    }

    fn look_up<'a>(&'a self, vault: &'a Vault) -> LookUp<'a> {
        LookUp {
            vault,
            known: &self.context.known,
            now: self.context.clock.now(),
        }
    }

    /// What `public_key` signs under: an RSA key has more than one way, and
    /// which is meant is said, not guessed.
    fn scheme(&self, name: &Name, public_key: &PublicKey) -> Result<Scheme, KeyFault> {
        let wrong = |why: String| KeyFault::WrongAlgorithm {
            key: name.asked().to_string(),
            why,
        };
        let set = self.settings.rsa.map(|scheme| scheme.0);
        let scheme = match (name.scheme, public_key.kind()) {
            (Some(scheme), _) => scheme,
            (None, KeyKind::Rsa { .. }) => set.ok_or_else(|| {
                wrong("an RSA key signs under PSS and under PKCS #1 v1.5: say which, with ?scheme=rsa-pss-sha256 after the key or rsa in [keys.azure]".to_owned())
            })?,
            (None, _) => public_key.default_scheme(),
        };
        if scheme.fits(public_key.kind()) {
            Ok(scheme)
        } else {
            Err(wrong(format!(
                "a {} key does not sign under {scheme}",
                public_key.kind()
            )))
        }
    }

    /// The version to sign with and its public key: remembered, or asked for.
    async fn version(&self, name: &Name, vault: &Vault) -> Result<(String, PublicKey), KeyFault> {
        if let Some(found) = self.remembered(name)? {
            return Ok(found);
        }
        let seen = self.look_up(vault).one(name).await?;
        seen.signs(&name.one(&seen.version).to_string())?;
        Ok((seen.version, seen.public_key))
    }

    fn remembered(&self, name: &Name) -> Result<Option<(String, PublicKey)>, KeyFault> {
        let known = &self.context.known;
        let notes = match &name.version {
            Some(version) => vec![name.one(version)],
            None => vec![name.whole(), name.newest()],
        };
        let place = self.place(&name.host)?;
        let mut found = None;
        for note in &notes {
            found = known.fresh(note, &place)?;
            if found.is_some() {
                break;
            }
        }
        Ok(found.and_then(|known| {
            let newest = known.versions.into_iter().next()?;
            if newest.state != VersionState::Active.as_str() {
                return None;
            }
            let public_key = PublicKey::from_pem(newest.public_key.as_bytes()).ok()?;
            Some((newest.name?, public_key))
        }))
    }

    /// Where the keys of a vault are asked for, and noted under.
    fn place(&self, host: &str) -> Result<String, KeyFault> {
        vault::endpoint(host, &self.settings)
    }
}

impl KeyReader for AzureKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if scheme == "azurekms")
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let asked = name.asked();
            let known = &self.context.known;
            let place = self.place(&name.host)?;
            let found = match self.context.offline {
                true => known.any(&asked, &place)?,
                false => known.fresh(&asked, &place)?,
            };
            let found = match found {
                Some(found) => found,
                None => {
                    let vault = self.vault(&name.host)?;
                    let look_up = self.look_up(&vault);
                    let seen = match &name.version {
                        Some(_) => vec![look_up.one(&name).await?],
                        None => look_up.all(&name).await?,
                    };
                    if seen.iter().all(look_up::Seen::is_disabled) {
                        return Err(KeyFault::Disabled(asked.to_string()));
                    }
                    // What was seen now, and no older note.
                    look_up.known(&name, look_up::verifying(&seen))
                }
            };
            if found.versions.is_empty() {
                return Err(KeyFault::WrongUsage {
                    key: asked.to_string(),
                    usage: "other operations, or not valid yet".to_owned(),
                });
            }
            let mut trusted = found.trusted(PROVIDER, &asked)?;
            for key in &mut trusted {
                key.scheme = self.scheme(&name, &key.public_key)?;
            }
            Ok(trusted)
        })
    }
}

impl KeyProvider for AzureKeys {
    fn schemes(&self) -> &'static [&'static str] {
        &["azurekms"]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let vault = self.vault(&name.host)?;
            let (version, public_key) = self.version(&name, &vault).await?;
            let scheme = self.scheme(&name, &public_key)?;
            let known = self.context.known.clone();
            let signer = AzureSigner::new(name, version, public_key, scheme, vault, known);
            Ok(Box::new(signer) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        false
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        // There is no one vault to ask; what is set up is checked.
        Box::pin(async {
            if self.context.offline {
                return Err(KeyFault::Offline { provider: PROVIDER });
            }
            login::authority(&self.settings, &self.context.environment)?;
            let way = login::way(&self.settings, &self.context.environment)?;
            let now = self.context.clock.now();
            Ok(login::outlook(
                way,
                &self.settings,
                &self.context.environment,
                now,
            ))
        })
    }

    fn outlook<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let vault = self.vault(&name.host)?;
            let seen = self.look_up(&vault).one(&name).await?;
            let shown = name.one(&seen.version).to_string();
            seen.signs(&shown)?;
            let now = self.context.clock.now();
            let mut told = Vec::new();
            told.extend(expiry::warning(
                "key-expires",
                &shown,
                seen.expires,
                now,
                expiry::MONTH,
            ));
            if seen.exportable {
                told.push(Warning {
                    code: "key-extractable",
                    text: format!("{shown} may be exported"),
                });
            }
            Ok(told)
        })
    }

    fn noted_as(&self, key: &KeyRef) -> Result<Vec<KeyRef>, KeyFault> {
        let name = Name::parse(key)?;
        let own = [name.whole(), name.newest()];
        let place = self.place(&name.host)?;
        let listed = self.context.known.versions(&own, &place);
        let named = listed.into_iter().filter_map(|version| version.name);
        let versions = named.chain(name.version.clone());
        let mut notes: Vec<KeyRef> = versions.map(|v| name.one(&v)).collect();
        notes.extend(own);
        Ok(notes)
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            import: None,
            rotate: Some(self),
            lifecycle: Some(self),
            retire: None,
        }
    }
}
