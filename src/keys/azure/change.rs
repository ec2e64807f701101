//! Keys made, rotated, enabled and disabled.

use azure_security_keyvault_keys::models::{
    CreateKeyParameters, CurveName, KeyAttributes, KeyOperation, KeyType,
    UpdateKeyPropertiesParameters,
};

use super::uri::Name;
use super::{AzureKeys, PROVIDER};
use crate::crypto::KeyKind;
use crate::custody::KeyState;
use crate::keys::naming::concerns_the_whole;
use crate::keys::{
    BoxFuture, Described, GenerateKey, KeyFault, Lifecycle, NewKey, RotateKey, Unlock, provenance,
};
use crate::reference::KeyRef;
use crate::time::Span;

impl GenerateKey for AzureKeys {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(&new.key)?;
            concerns_the_whole(&new.key, name.version.as_ref())?;
            new.has_one_name(PROVIDER)?;
            let parameters = parameters(&name, kind)?;
            let vault = self.vault(&name.host)?;
            // Making a key that is there would give it a new version.
            match vault.get(&name, None).await {
                Err(KeyFault::NoSuchKey(_)) => {}
                Err(fault) => return Err(fault),
                Ok(_) => return Err(KeyFault::Exists(name.whole().to_string())),
            }
            vault.create(&name, parameters).await?;
            provenance::acknowledged(true);
            let seen = self.look_up(&vault).one(&name).await?;
            self.described(&name, &[seen])
        })
    }
}

impl RotateKey for AzureKeys {
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
            concerns_the_whole(key, name.version.as_ref())?;
            let vault = self.vault(&name.host)?;
            vault.rotate(&name).await?;
            provenance::acknowledged(true);
            let seen = self.look_up(&vault).all(&name).await?;
            self.described(&name, &seen)
        })
    }
}

impl Lifecycle for AzureKeys {
    fn set_state<'a>(
        &'a self,
        key: &'a KeyRef,
        state: KeyState,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let name = Name::parse(key)?;
            let vault = self.vault(&name.host)?;
            let look_up = self.look_up(&vault);
            // Without their public keys, which may be what is wrong. The newest
            // comes last: as long as it is enabled the rest can be done again.
            let listed = vault.states(&name).await?;
            let wanted = state == KeyState::Enabled;
            // A key with a version that is enabled is enabled, and versions that
            // somebody disabled one by one stay so.
            let done = wanted && listed.iter().any(|(_, enabled)| *enabled);
            let due: Vec<&str> = listed
                .iter()
                .filter(|(_, enabled)| !done && *enabled != wanted)
                .map(|(version, _)| version.as_str())
                .collect();
            let mut outcome = Ok(());
            for (at, version) in due.iter().enumerate() {
                let parameters = UpdateKeyPropertiesParameters {
                    key_attributes: Some(KeyAttributes {
                        enabled: Some(wanted),
                        ..KeyAttributes::default()
                    }),
                    ..UpdateKeyPropertiesParameters::default()
                };
                let updated = vault.update(&name, version, parameters).await;
                outcome = updated
                    .map(drop)
                    .map_err(|fault| fault.partly(at, due.len()));
                if outcome.is_err() {
                    break;
                }
            }
            // However it ended, what was known before it may hold no more.
            let own = listed.iter().map(|(version, _)| name.one(version));
            for note in own.chain([name.newest(), name.whole()]) {
                self.context.known.doubt(PROVIDER, &note, vault.endpoint());
            }
            outcome?;
            provenance::acknowledged(!due.is_empty());
            let seen = match &name.version {
                Some(_) => vec![look_up.one(&name).await?],
                None => look_up.all(&name).await?,
            };
            self.described(&name, &seen)
        })
    }
}

fn parameters(name: &Name, kind: KeyKind) -> Result<CreateKeyParameters, KeyFault> {
    let (elliptic, rsa) = if name.is_hsm() {
        (KeyType::EcHsm, KeyType::RsaHsm)
    } else {
        (KeyType::Ec, KeyType::Rsa)
    };
    let (kty, curve, key_size) = match kind {
        KeyKind::EcP256 => (elliptic, Some(CurveName::P256), None),
        KeyKind::EcP384 => (elliptic, Some(CurveName::P384), None),
        KeyKind::EcP521 => (elliptic, Some(CurveName::P521), None),
        KeyKind::Rsa { bits } => (rsa, None, i32::try_from(bits).ok()),
        KeyKind::Ed25519 => {
            return Err(KeyFault::Unsupported {
                provider: PROVIDER,
                what: "made for Ed25519",
            });
        }
    };
    Ok(CreateKeyParameters {
        kty: Some(kty),
        curve,
        key_size,
        key_ops: Some(vec![KeyOperation::Sign, KeyOperation::Verify]),
        ..CreateKeyParameters::default()
    })
}
