//! `openbao://`, `hashivault://`, `vault://`: keys in the transit engine of
//! OpenBao or Vault. The public key is asked for once and remembered; a
//! signature takes one request, and names the version that was opened.

mod call;
mod create;
mod describe;
mod import;
mod lifecycle;
mod login;
mod name;
mod refusal;
mod server;
mod session;
mod sign;
mod transit;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use super::context::Context;
use super::known::{Known, KnownVersion};
use super::{
    BoxFuture, Capabilities, KeyFault, KeyProvider, KeyReader, Keys, Signer, Unlock, Vault, Warning,
};
use crate::crypto::{PublicKey, Scheme};
use crate::custody::{KeyInfo, KeyState};
use crate::http::Method;
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};
use call::Call;
use name::{Name, SCHEMES};
use refusal::Refusal;
use server::Server;
use sign::VaultSigner;
use transit::Shown;

const PROVIDER: &str = "vault";

/// Keys in one server.
pub(super) struct VaultKeys(Arc<Vaults>);

/// What an adapter and the signers that it opened share.
struct Vaults {
    settings: Vault,
    context: Context,
    server: OnceLock<Server>,
}

impl VaultKeys {
    pub(super) fn new(keys: &Keys, context: &Context) -> Self {
        Self(Arc::new(Vaults {
            settings: keys.vault.clone(),
            context: context.clone(),
            server: OnceLock::new(),
        }))
    }
}

impl Vaults {
    fn server(&self) -> Result<&Server, KeyFault> {
        if let Some(server) = self.server.get() {
            return Ok(server);
        }
        let server = Server::new(&self.settings, &self.context)?;
        Ok(self.server.get_or_init(|| server))
    }

    /// The key as the server shows it now.
    async fn look(&self, name: &Name) -> Result<Shown, KeyFault> {
        self.read(name).await?.shown(name, self.rsa(name))
    }

    async fn read(&self, name: &Name) -> Result<transit::Key, KeyFault> {
        let call = Call {
            method: Method::Get,
            path: format!("keys/{}", name.name),
            body: None,
            repeatable: true,
            key: name,
        };
        let answer: transit::Answer = self.ask(&call).await?;
        Ok(answer.data)
    }

    /// Takes note of what the server showed.
    fn remember(&self, name: &Name, shown: &Shown) -> Result<Known, KeyFault> {
        let notes = &self.context.known;
        let id = self.server()?.id(name);
        let known = shown.known(id.clone(), notes.now());
        notes.learn(PROVIDER, &name.key, &id, known.clone())?;
        Ok(known)
    }

    /// What is known of the key: from the notes while they are fresh, or of
    /// whatever age offline, otherwise from the server.
    async fn known(&self, name: &Name) -> Result<Known, KeyFault> {
        if let Some(known) = self.noted(name)? {
            return Ok(known);
        }
        let shown = self.look(name).await?;
        let known = self.remember(name, &shown)?;
        match shown.state {
            KeyState::Enabled => Ok(known),
            KeyState::Disabled => Err(KeyFault::Disabled(name.shown.clone())),
        }
    }

    fn noted(&self, name: &Name) -> Result<Option<Known>, KeyFault> {
        let offline = self.context.offline;
        let notes = &self.context.known;
        let known = match (self.server(), offline) {
            (Ok(server), false) => notes.fresh(&name.key, &server.id(name))?,
            (Ok(server), true) => notes.any(&name.key, &server.id(name))?,
            // Offline there may be no address to look under.
            (Err(_), true) => notes.anywhere(&name.key)?,
            (Err(fault), false) => return Err(fault),
        };
        let Some(known) = known else { return Ok(None) };
        // RSA keys may be stated to have another scheme by now.
        let rsa = self.rsa(name);
        let as_stated = verifying(&known).all(|version| {
            PublicKey::from_pem(version.public_key.as_bytes())
                .is_ok_and(|public| transit::scheme(&public, rsa).to_string() == version.scheme)
        });
        // A version newer than the noted ones may be there by now.
        let newest = known.versions.first().and_then(|version| version.version);
        let reached = offline || name.version <= newest;
        Ok((as_stated && reached).then_some(known))
    }

    fn rsa(&self, name: &Name) -> Option<Scheme> {
        name.rsa.or(self.settings.rsa.map(|rsa| rsa.0))
    }

    /// Lets the key be asked for anew where the server shows that what is noted
    /// no longer holds.
    fn doubt(&self, name: &Name, fault: &KeyFault) {
        let Ok(server) = self.server() else { return };
        let (notes, at) = (&self.context.known, server.id(name));
        match fault {
            KeyFault::Disabled(_) => notes.ended(PROVIDER, &name.key, &at),
            KeyFault::NoSuchKey(_)
            | KeyFault::NoSuchVersion { .. }
            | KeyFault::WrongUsage { .. }
            | KeyFault::Refused { .. } => notes.doubt(PROVIDER, &name.key, &at),
            _ => {}
        }
    }

    /// The version that cosign's users hold verifying to, as `vault:v3:`.
    fn held_to(&self) -> Result<Option<u32>, KeyFault> {
        const NAME: &str = "VAULT_KEY_PREFIX";
        let Some(prefix) = self.context.environment.get(NAME) else {
            return Ok(None);
        };
        let version = prefix
            .strip_prefix("vault:v")
            .and_then(|rest| rest.strip_suffix(':'))
            .and_then(|version| version.parse().ok())
            .filter(|version| *version > 0);
        match version {
            Some(version) => Ok(Some(version)),
            None => Err(server::missing(&format!(
                "{NAME} is not written as vault:v3:; without it all versions verify"
            ))),
        }
    }

    /// The versions that `key` asks for.
    fn versions(known: &Known, key: &KeyRef, name: &Name) -> Result<Vec<TrustedKey>, KeyFault> {
        let oldest = verifying(known).filter_map(|version| version.version);
        match (name.version, oldest.min()) {
            // Versions are retired from the oldest on, and are shown no more.
            (Some(version), Some(oldest)) if version < oldest => Err(KeyFault::Retired {
                key: name.shown.clone(),
                version,
            }),
            _ => known.trusted(PROVIDER, key),
        }
    }

    /// Whether the server serves, and for how long the token is good.
    async fn probe(&self) -> Result<Vec<Warning>, KeyFault> {
        let server = self.server()?;
        match server.exchange(Method::Get, "sys/health", None, None).await {
            Ok(reply) if reply.status == 200 => {}
            Ok(reply) => return Err(server.unhealthy(reply.status)),
            // What a standby answers here looks like too many requests.
            Err(KeyFault::Throttled { .. }) => return Err(server.unhealthy(429)),
            Err(fault) => return Err(fault),
        }
        let mut told = server.session.outlook(server).await?;
        told.extend(server.certificates()?);
        Ok(told)
    }

    /// What the server shows of the key now, which is noted too.
    async fn outlook(&self, key: &KeyRef) -> Result<Vec<Warning>, KeyFault> {
        let name = Name::parse(key)?;
        let read = self.read(&name).await?;
        let shown = read.shown(&name, self.rsa(&name))?;
        self.remember(&name, &shown)?;
        if shown.state == KeyState::Disabled {
            return Err(KeyFault::Disabled(name.shown));
        }
        Ok(read.outlook())
    }

    async fn open(self: &Arc<Self>, key: &KeyRef) -> Result<Box<dyn Signer>, KeyFault> {
        let mut name = Name::parse(key)?;
        if self.context.offline {
            return Err(KeyFault::Offline { provider: PROVIDER });
        }
        let known = self.known(&name).await?;
        let opened = Self::versions(&known, key, &name)?.swap_remove(0);
        let version = opened
            .version
            .ok_or_else(|| Refusal::garbled("a version without a number"))?;
        name.version = Some(version);
        Ok(Box::new(VaultSigner {
            info: KeyInfo {
                id: opened.key_id,
                path: opened.path,
                version: Some(version),
                purpose: None,
                state: KeyState::Enabled,
                // Which versions sign when they are named is the server's to say.
                version_state: VersionState::Active,
                provider: PROVIDER,
            },
            vaults: Arc::clone(self),
            name,
            version,
            public_key: opened.public_key,
            scheme: opened.scheme,
        }))
    }
}

/// The versions that are not noted merely to notice that they change.
fn verifying(known: &Known) -> impl Iterator<Item = &KnownVersion> {
    let retired = VersionState::Retired.as_str();
    known.versions.iter().filter(move |v| v.state != retired)
}

impl KeyReader for VaultKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if SCHEMES.contains(&scheme.as_str()))
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let known = self.0.known(&name).await?;
            let mut versions = Vaults::versions(&known, key, &name)?;
            if let (None, Some(held)) = (name.version, self.0.held_to()?) {
                versions.retain(|version| version.version == Some(held));
                if versions.is_empty() {
                    return Err(KeyFault::NoSuchVersion {
                        key: name.shown,
                        version: held,
                    });
                }
            }
            Ok(versions)
        })
    }
}

impl KeyProvider for VaultKeys {
    fn schemes(&self) -> &'static [&'static str] {
        SCHEMES
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(self.0.open(key))
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(self.0.probe())
    }

    fn outlook<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Warning>, KeyFault>> {
        Box::pin(self.0.outlook(key))
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            import: Some(self),
            rotate: Some(self),
            lifecycle: Some(self),
            retire: Some(self),
        }
    }
}
