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
    BoxFuture, Described, GenerateKey, KeyFault, Lifecycle, NewKey, RotateKey, Unlock,
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
            let name = whole(&new.key)?;
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
            let seen = self.look_up(&vault).one(&name).await;
            let told = seen.and_then(|seen| self.described(&name, &[seen]));
            told.map_err(|fault| fault.after(&name.whole().to_string()))
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
            let name = whole(key)?;
            let vault = self.vault(&name.host)?;
            vault.rotate(&name).await?;
            let seen = self.look_up(&vault).all(&name).await;
            let told = seen.and_then(|seen| self.described(&name, &seen));
            told.map_err(|fault| fault.after(&name.whole().to_string()))
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
            let seen = match &name.version {
                Some(_) => vec![look_up.one(&name).await?],
                None => look_up.all(&name).await?,
            };
            let wanted = state == KeyState::Enabled;
            // A key with a version that is enabled is enabled, and versions that
            // somebody disabled one by one stay so.
            let done = wanted && seen.iter().any(|version| !version.is_disabled());
            for version in &seen {
                if !done && version.is_disabled() == wanted {
                    let parameters = UpdateKeyPropertiesParameters {
                        key_attributes: Some(KeyAttributes {
                            enabled: Some(wanted),
                            ..KeyAttributes::default()
                        }),
                        ..UpdateKeyPropertiesParameters::default()
                    };
                    vault.update(&name, &version.version, parameters).await?;
                }
                let note = name.one(&version.version);
                self.context.known.doubt(PROVIDER, &note, vault.endpoint());
            }
            for note in [name.newest(), name.whole()] {
                self.context.known.doubt(PROVIDER, &note, vault.endpoint());
            }
            let seen = match &name.version {
                Some(_) => look_up.one(&name).await.map(|seen| vec![seen]),
                None => look_up.all(&name).await,
            };
            let told = seen.and_then(|seen| self.described(&name, &seen));
            told.map_err(|fault| fault.after(&name.asked().to_string()))
        })
    }
}

fn whole(key: &KeyRef) -> Result<Name, KeyFault> {
    let name = Name::parse(key)?;
    match name.version {
        None => Ok(name),
        Some(_) => Err(concerns_the_whole(key.to_string())),
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
