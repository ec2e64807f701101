use super::fault::Asked;
use super::name::SCHEME;
use super::sign::AwsSigner;
use super::{AwsKeys, PROVIDER};
use crate::custody::{KeyInfo, KeyState};
use crate::keys::{
    BoxFuture, Capabilities, KeyFault, KeyProvider, KeyReader, Signer, Unlock, Warning,
};
use crate::reference::KeyRef;
use crate::trust::{TrustedKey, VersionState};

impl KeyReader for AwsKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        matches!(key, KeyRef::Provider { scheme, .. } if scheme == SCHEME)
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move { self.known(key).await?.trusted(PROVIDER, key) })
    }
}

impl KeyProvider for AwsKeys {
    fn schemes(&self) -> &'static [&'static str] {
        &[SCHEME]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(async move {
            let name = self.online(key)?;
            let known = self.known(key).await?.trusted(PROVIDER, key)?;
            let Some(active) = known.into_iter().next() else {
                return Err(KeyFault::NoSuchKey(name.shown));
            };
            Ok(Box::new(AwsSigner {
                place: self.places.of(&name).await?,
                info: KeyInfo {
                    id: active.key_id,
                    path: name.shown.clone(),
                    version: None,
                    purpose: None,
                    // As of the last look; AWS itself refuses one that is not.
                    state: KeyState::Enabled,
                    version_state: VersionState::Active,
                    provider: PROVIDER,
                },
                public_key: active.public_key,
                scheme: active.scheme,
                name,
            }) as Box<dyn Signer>)
        })
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async move {
            if self.context.offline {
                return Err(KeyFault::Offline { provider: PROVIDER });
            }
            let place = self.places.usual().await?;
            let asked = Asked {
                place: &place,
                key: "keys",
                action: "kms:ListKeys",
            };
            match place.client.list_keys().limit(1).send().await {
                Ok(_) => Ok(Vec::new()),
                Err(error) => match asked.failed(&error) {
                    // Who may not list may still sign, and it answers.
                    KeyFault::Refused { .. } => Ok(Vec::new()),
                    fault => Err(fault),
                },
            }
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            lifecycle: Some(self),
            ..Capabilities::default()
        }
    }
}
