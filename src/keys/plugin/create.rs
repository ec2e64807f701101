use super::protocol::{CreateKey, Nothing};
use super::{PluginKeys, described, read_key, silent};
use crate::crypto::KeyKind;
use crate::digest::Algorithm;
use crate::keys::{BoxFuture, Described, GenerateKey, KeyFault, NewKey, Unlock, provenance};

/// What plugins call a kind of key, as far as any convention goes: Vault's
/// names, AWS', Google's, and plain ones.
fn names(kind: KeyKind) -> Vec<String> {
    let known: &[&str] = match kind {
        KeyKind::EcP256 => &[
            "ecdsa-p256-sha256",
            "ecc_nist_p256",
            "ec_sign_p256_sha256",
            "p-256",
            "p256",
        ],
        KeyKind::EcP384 => &[
            "ecdsa-p384-sha384",
            "ecc_nist_p384",
            "ec_sign_p384_sha384",
            "p-384",
            "p384",
        ],
        KeyKind::EcP521 => &["ecdsa-p521-sha512", "ecc_nist_p521", "p-521", "p521"],
        KeyKind::Ed25519 => &["ec_sign_ed25519"],
        KeyKind::Rsa { .. } => &[],
    };
    let mut names = vec![kind.to_string()];
    names.extend(known.iter().map(|name| (*name).to_owned()));
    if let KeyKind::Rsa { bits } = kind {
        names.push(format!("rsa_{bits}"));
        names.push(format!("rsa_sign_pkcs1_{bits}_sha256"));
        names.push(format!("rsa-pkcs1v15-{bits}-sha256"));
    }
    names
}

/// Their name for `kind`, out of all that they offer.
fn choose(kind: KeyKind, offered: &[String]) -> Option<&String> {
    names(kind).iter().find_map(|name| {
        offered
            .iter()
            .find(|offer| offer.eq_ignore_ascii_case(name))
    })
}

impl GenerateKey for PluginKeys {
    fn generate<'a>(
        &'a self,
        new: &'a NewKey,
        kind: KeyKind,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move {
            let bad = |why: String| KeyFault::BadRequest {
                key: new.key.to_string(),
                why,
            };
            if new.key.version().is_some() || !new.aliases.is_empty() {
                return Err(bad(
                    "plugins give new keys neither versions nor aliases".to_owned()
                ));
            }
            let target = self.target(&new.key)?;
            self.may_run()?;
            let mut request = self.request(&target, "supportedAlgorithms", Algorithm::Sha256);
            request.supported_algorithms = Some(Nothing {});
            let (program, reply) = self.ask(&target, &request, Vec::new()).await?;
            let offered = reply
                .supported_algorithms
                .ok_or_else(|| silent(&program, "supportedAlgorithms"))?
                .supported_algorithms;
            let algorithm = choose(kind, &offered).ok_or_else(|| {
                let list: String = offered.join(", ").chars().take(256).collect();
                bad(format!(
                    "{} makes no {kind} keys, only: {list}",
                    program.name
                ))
            })?;
            let mut request = self.request(&target, "createKey", Algorithm::Sha256);
            request.create_key = Some(CreateKey {
                ctx_deadline: request.init_options.ctx_deadline,
                algorithm: algorithm.clone(),
            });
            let (program, reply) = self.ask(&target, &request, Vec::new()).await?;
            let answer = reply
                .create_key
                .ok_or_else(|| silent(&program, "createKey"))?;
            provenance::acknowledged(true);
            let public = read_key(&program, &answer)?;
            if public.kind() != kind {
                // Not what was to be made.
                provenance::acknowledged(false);
                return Err(program.failed(format!(
                    "made a {} key where {kind} was asked for",
                    public.kind()
                )));
            }
            let trusted = target.trusted(public);
            self.learn(&new.key, &trusted)?;
            Ok(described(trusted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_they_are_written() {
        let offered = ["RSA_3072", "ECC_NIST_P384", "ed25519"].map(ToOwned::to_owned);
        let chosen = |kind| choose(kind, &offered).map(String::as_str);
        assert_eq!(chosen(KeyKind::EcP384), Some("ECC_NIST_P384"));
        assert_eq!(chosen(KeyKind::Rsa { bits: 3072 }), Some("RSA_3072"));
        assert_eq!(chosen(KeyKind::Ed25519), Some("ed25519"));
        assert_eq!(chosen(KeyKind::EcP256), None);
        assert_eq!(chosen(KeyKind::Rsa { bits: 4096 }), None);
    }
}
