//! Keys made, rotated, enabled and disabled.

use std::time::Duration;

use google_cloud_kms_v1::model::crypto_key::CryptoKeyPurpose;
use google_cloud_kms_v1::model::crypto_key_version::CryptoKeyVersionState as State;
use google_cloud_kms_v1::model::{
    CryptoKey, CryptoKeyVersion, CryptoKeyVersionTemplate, UpdateCryptoKeyVersionRequest,
};

use super::look_up::number;
use super::service::Service;
use super::uri::Name;
use super::{GcpKeys, PROVIDER, algorithm};
use crate::crypto::KeyKind;
use crate::custody::KeyState;
use crate::keys::naming::concerns_the_whole;
use crate::keys::said::one_line;
use crate::keys::{
    BoxFuture, Described, GenerateKey, KeyFault, Lifecycle, NewKey, RotateKey, Unlock, provenance,
};
use crate::reference::KeyRef;
use crate::time::Span;

/// How often a version that is being generated is looked at.
const PAUSE: Duration = Duration::from_millis(300);

impl GenerateKey for GcpKeys {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(&new.key)?;
            concerns_the_whole(&new.key, name.version)?;
            new.has_one_name(PROVIDER)?;
            let rsa = self.settings.rsa.map_or(algorithm::RSA, |rsa| rsa.0);
            let algorithm = algorithm::algorithm(kind, rsa, &name.whole().to_string())?;
            let key = CryptoKey::new()
                .set_purpose(CryptoKeyPurpose::AsymmetricSign)
                .set_version_template(CryptoKeyVersionTemplate::new().set_algorithm(algorithm));
            let service = self.service()?;
            service.create(&name, key).await?;
            provenance::acknowledged(true);
            self.made(&service, &name, 1).await
        })
    }
}

impl RotateKey for GcpKeys {
    // Older versions keep verifying as long as they are enabled; a grace would
    // make no difference.
    fn rotate<'a>(
        &'a self,
        key: &'a KeyRef,
        _: Span,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            concerns_the_whole(key, name.version)?;
            let service = self.service()?;
            let made = service.rotate(&name).await?;
            provenance::acknowledged(true);
            let version = number(&name, &made)?;
            self.made(&service, &name, version).await
        })
    }
}

impl Lifecycle for GcpKeys {
    fn set_state<'a>(
        &'a self,
        key: &'a KeyRef,
        state: KeyState,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let service = self.service()?;
            let look_up = self.look_up(&service);
            let listed = match name.version {
                Some(version) => vec![service.version(&name, version).await?],
                None => service.versions(&name, "").await?,
            };
            let (from, to) = match state {
                KeyState::Enabled => (State::Disabled, State::Enabled),
                KeyState::Disabled => (State::Enabled, State::Disabled),
            };
            // A key with a version that is enabled is enabled, and versions that
            // somebody disabled one by one stay so.
            let done = state == KeyState::Enabled && listed.iter().any(|v| v.state == to);
            let due = listed.iter().filter(|v| !done && v.state == from);
            let due: Vec<u32> = due
                .map(|version| number(&name, version))
                .collect::<Result<_, _>>()?;
            for (at, number) in due.iter().enumerate() {
                let change = change(&name, *number, to.clone());
                let updated = service.update(&name, *number, change).await;
                // However it ended, what was known before it may hold no more.
                look_up.doubt(&name, *number);
                updated.map_err(|fault| fault.partly(at, due.len()))?;
            }
            provenance::acknowledged(!due.is_empty());
            look_up.described(&name).await
        })
    }
}

impl GcpKeys {
    /// A version that Google said it makes, once it is there.
    async fn made(
        &self,
        service: &Service,
        name: &Name,
        version: u32,
    ) -> Result<Described, KeyFault> {
        let look_up = self.look_up(service);
        look_up.doubt(name, version);
        let ready = self.ready(service, name, version).await?;
        if ready.state == State::GenerationFailed {
            provenance::acknowledged(false);
            let why = one_line(&ready.generation_failure_reason, 512);
            return Err(KeyFault::Unavailable {
                doing: "make",
                what: name.one(version).to_string(),
                cause: format!("Google could not generate it ({why})"),
            });
        }
        look_up.described(name).await
    }

    /// Waits until a version that was just asked for is there, or never will be.
    async fn ready(
        &self,
        service: &Service,
        name: &Name,
        version: u32,
    ) -> Result<CryptoKeyVersion, KeyFault> {
        let begun = std::time::Instant::now();
        loop {
            let looked = service.version(name, version).await?;
            if looked.state != State::PendingGeneration {
                return Ok(looked);
            }
            if begun.elapsed() + PAUSE > self.context.deadline {
                return Err(KeyFault::Deadline {
                    provider: PROVIDER,
                    seconds: self.context.deadline.as_secs(),
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn change(name: &Name, version: u32, to: State) -> UpdateCryptoKeyVersionRequest {
    let mut request = UpdateCryptoKeyVersionRequest::new().set_crypto_key_version(
        CryptoKeyVersion::new()
            .set_name(name.resource(version))
            .set_state(to),
    );
    // The mask's own type is in a crate that need not be named.
    request.update_mask.get_or_insert_default().paths = vec!["state".to_owned()];
    request
}
