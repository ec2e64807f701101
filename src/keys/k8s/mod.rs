//! `k8s://NAMESPACE/NAME`: a key in a Kubernetes secret, as cosign makes it:
//! `cosign.key`, its password `cosign.password`, and `cosign.pub`.

mod access;
mod fetch;
mod kubeconfig;
mod secret;

#[cfg(test)]
mod tests;

use super::context::Context;
use super::known::{Known, KnownVersion};
use super::settings::K8s;
use super::software::SoftwareSigner;
use super::{
    BoxFuture, Capabilities, DescribeKey, Described, DescribedVersion, KeyFault, KeyProvider,
    KeyReader, Signer, Unlock, Warning,
};
use crate::custody::KeyState;
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};
use fetch::Place;
use secret::Parts;

const PROVIDER: &str = "k8s";

/// Keys in secrets of one cluster.
pub(super) struct K8sKeys {
    context: Context,
    settings: K8s,
}

impl K8sKeys {
    pub(super) fn new(context: &Context, settings: &K8s) -> Self {
        Self {
            context: context.clone(),
            settings: settings.clone(),
        }
    }

    /// The cluster that is asked now: its address and its authority.
    fn cluster(&self) -> Result<String, KeyFault> {
        let access = access::find(&self.settings, &self.context.environment)?;
        Ok(access.cluster())
    }

    async fn public(&self, key: &KeyRef) -> Result<TrustedKey, KeyFault> {
        let place = Place::of(key)?;
        let notes = &self.context.known;
        let known = match (self.cluster(), self.context.offline) {
            (Ok(cluster), false) => notes.fresh(key, &cluster)?,
            (Ok(cluster), true) => notes.any(key, &cluster)?,
            // Offline there may be no kubeconfig that says which cluster is meant.
            (Err(_), true) => notes.anywhere(key)?,
            (Err(fault), false) => return Err(fault),
        };
        if let Some(known) = known {
            return Ok(known.trusted(PROVIDER, key)?.swap_remove(0));
        }
        let body = self.fetch(&place).await?;
        let trusted = Parts::read(&place.shown, &body)?.public(&place.shown)?;
        self.learn(key, &trusted)?;
        Ok(trusted)
    }

    fn learn(&self, key: &KeyRef, trusted: &TrustedKey) -> Result<(), KeyFault> {
        let known = Known {
            at: self.context.known.now(),
            id: trusted.key_id.clone(),
            versions: vec![KnownVersion {
                version: None,
                name: None,
                public_key: trusted.public_key.to_pem(),
                scheme: trusted.scheme.to_string(),
                state: VersionState::Active.as_str().to_owned(),
            }],
        };
        self.context
            .known
            .learn(PROVIDER, key, &self.cluster()?, known)
    }
}

impl KeyReader for K8sKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if scheme == PROVIDER)
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move { Ok(vec![self.public(key).await?]) })
    }
}

impl KeyProvider for K8sKeys {
    fn schemes(&self) -> &'static [&'static str] {
        &[PROVIDER]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        unlock: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(async move {
            let place = Place::of(key)?;
            let body = self.fetch(&place).await?;
            let parts = Parts::read(&place.shown, &body)?;
            let private = parts.private(&place.shown, unlock)?;
            let signer = SoftwareSigner::bare(PROVIDER, &place.shown, private);
            let trusted = TrustedKey::bare(signer.public_key().clone(), place.shown);
            self.learn(key, &trusted)?;
            Ok(Box::new(signer) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(self.ask_version())
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            ..Capabilities::default()
        }
    }
}

impl DescribeKey for K8sKeys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let trusted = self.public(key).await?;
            Ok(Described {
                id: trusted.key_id,
                path: trusted.path,
                provider: PROVIDER,
                purpose: None,
                state: KeyState::Enabled,
                scheme: trusted.scheme,
                aliases: Vec::new(),
                created: None,
                versions: vec![DescribedVersion {
                    version: None,
                    state: trusted.state,
                    grace_until: None,
                    created: None,
                    public_key: trusted.public_key,
                }],
                generation: None,
            })
        })
    }

    /// Listing would read every secret of the cluster.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async {
            Err(KeyFault::Unsupported {
                provider: PROVIDER,
                what: "listed",
            })
        })
    }
}
