use super::fault::Asked;
use super::name::SCHEME;
use super::show::usable;
use super::sign::AwsSigner;
use super::{AwsKeys, PROVIDER};
use crate::custody::{KeyInfo, KeyState};
use crate::keys::{
    BoxFuture, Capabilities, KeyFault, KeyProvider, KeyReader, Signer, Unlock, Warning, expiry,
};
use crate::limits;
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::{TrustedKey, VersionState};

impl AwsKeys {
    /// What says itself when it ends of what is logged in with. The SDK has
    /// credentials that it was given for a time anew before they end.
    fn credentials_end(&self) -> Vec<Warning> {
        let environment = &self.context.environment;
        let now = self.context.clock.now();
        let mut told = Vec::new();
        // Beside credentials that somebody exported for a time.
        let end = environment
            .get("AWS_CREDENTIAL_EXPIRATION")
            .and_then(|text| text.parse().ok());
        let what = "the credentials in the environment (AWS_CREDENTIAL_EXPIRATION)";
        let soon = expiry::SOON;
        told.extend(expiry::warning("token-expires", what, end, now, soon));
        if let Some(file) = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let token = crate::durable::read(file.as_ref(), limits::KEY_FILE);
            let token = token.map(crate::secret::Secret::new);
            let end = token.ok().and_then(|token| expiry::of_jwt(token.expose()));
            let what = format!("the web identity {file}");
            told.extend(expiry::warning("token-expires", &what, end, now, soon));
        }
        told
    }
}

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
            let at = self.places.name(&name);
            Ok(Box::new(AwsSigner {
                notes: (self.context.known.clone(), key.clone(), at),
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

    fn is_asked(&self) -> bool {
        true
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async move {
            if self.context.offline {
                return Err(KeyFault::Offline { provider: PROVIDER });
            }
            let ends = self.credentials_end();
            let place = self.places.usual().await?;
            let asked = Asked {
                place: &place,
                key: "keys",
                action: "kms:ListKeys",
            };
            match place.client.list_keys().limit(1).send().await {
                Ok(_) => Ok(ends),
                Err(error) => match asked.failed(&error) {
                    // Who may not list may still sign, and it answers.
                    KeyFault::Refused { .. } => Ok(ends),
                    fault => Err(fault),
                },
            }
        })
    }

    fn outlook<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async move {
            let name = self.online(key)?;
            let place = self.places.of(&name).await?;
            let metadata = self.metadata(&place, &name).await?;
            usable(&name, &metadata)?;
            // Material that its owner brought, with an end of its own.
            let end = metadata
                .valid_to()
                .map(|end| Timestamp::from_secs(end.secs()));
            let now = self.context.clock.now();
            let what = "its key material, which was imported,";
            let told = expiry::warning("key-expires", what, end, now, expiry::MONTH);
            Ok(told.into_iter().collect())
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
