use serde_json::json;

use super::call::Call;
use super::name::Name;
use super::transit::Answer;
use super::{VaultKeys, Vaults};
use crate::canon;
use crate::crypto::KeyKind;
use crate::http::Method;
use crate::keys::naming::concerns_the_whole;
use crate::keys::{BoxFuture, Described, GenerateKey, KeyFault, NewKey, Unlock, provenance};
use crate::limits;

impl GenerateKey for VaultKeys {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(self.0.create(new, kind))
    }
}

impl Vaults {
    async fn create(&self, new: &NewKey, kind: KeyKind) -> Result<Described, KeyFault> {
        let name = new_name(new)?;
        self.absent(&name).await?;
        let call = Call {
            method: Method::Put,
            path: format!("keys/{}", name.name),
            body: Some(json!({
                "type": type_of(&name, kind)?,
                "exportable": false,
                "allow_plaintext_backup": false,
            })),
            // A key that is there is left as it is.
            repeatable: true,
            key: &name,
        };
        let body = self.call(&call).await?;
        let exists = || KeyFault::Exists(name.shown.clone());
        // OpenBao and Vault answer alike for a key that was made and for one
        // that was there; Vault adds a warning.
        let answer: Option<Answer> = canon::parse_as(&body, limits::KEY_SERVICE).ok();
        let warnings = answer
            .and_then(|answer| answer.warnings)
            .unwrap_or_default();
        if warnings.iter().any(|text| text.contains("already existed")) {
            return Err(exists());
        }
        provenance::acknowledged(true);
        let shown = self.look(&name).await?;
        if shown.versions.len() != 1 || shown.versions[0].public_key.kind() != kind {
            provenance::acknowledged(false);
            return Err(exists());
        }
        self.described(&name, &shown)
    }

    /// Refuses a name that is taken.
    pub(super) async fn absent(&self, name: &Name) -> Result<(), KeyFault> {
        match self.look(name).await {
            Err(KeyFault::NoSuchKey(_)) => Ok(()),
            Ok(_) | Err(KeyFault::WrongUsage { .. } | KeyFault::WrongAlgorithm { .. }) => {
                Err(KeyFault::Exists(name.shown.clone()))
            }
            Err(fault) => Err(fault),
        }
    }
}

/// The name of a key to be made.
pub(super) fn new_name(new: &NewKey) -> Result<Name, KeyFault> {
    let name = Name::parse(&new.key)?;
    concerns_the_whole(&name.shown, name.version)?;
    if let Some(alias) = new.aliases.first() {
        return Err(KeyFault::BadName {
            name: alias.to_string(),
            why: "keys in a transit engine have one name, and no alias".to_owned(),
        });
    }
    Ok(name)
}

/// The engine's name of a family and size.
pub(super) fn type_of(name: &Name, kind: KeyKind) -> Result<&'static str, KeyFault> {
    match kind {
        KeyKind::EcP256 => Ok("ecdsa-p256"),
        KeyKind::EcP384 => Ok("ecdsa-p384"),
        KeyKind::EcP521 => Ok("ecdsa-p521"),
        KeyKind::Ed25519 => Ok("ed25519"),
        KeyKind::Rsa { bits: 2048 } => Ok("rsa-2048"),
        KeyKind::Rsa { bits: 3072 } => Ok("rsa-3072"),
        KeyKind::Rsa { bits: 4096 } => Ok("rsa-4096"),
        KeyKind::Rsa { .. } => Err(KeyFault::WrongAlgorithm {
            key: name.shown.clone(),
            why: format!(
                "a transit engine holds no {kind} keys; RSA has 2048, 3072 or 4096 bits there"
            ),
        }),
    }
}
