use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::crypto::PrivateKey;
use crate::keys::{KeyFault, Locked, Unlock, UnlockError, file};
use crate::secret::Secret;
use crate::trust::TrustedKey;

/// What cosign puts into a secret.
pub(super) struct Parts {
    key: Option<Secret>,
    password: Option<Secret>,
    public: Option<Secret>,
}

/// Kubernetes API v1, `Secret`; the rest of it is not looked at. Borrowed, so
/// that no copy of a secret is left behind.
#[derive(Deserialize)]
struct Wire<'a> {
    kind: &'a str,
    #[serde(borrow, default)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default, rename = "cosign.key")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "cosign.password")]
    password: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "cosign.pub")]
    public: Option<Cow<'a, str>>,
}

impl Parts {
    /// From the API server's answer.
    pub(super) fn read(name: &str, body: &Secret) -> Result<Self, KeyFault> {
        let wire: Wire<'_> = serde_json::from_slice(body.expose())
            // serde's own text could quote what stands there.
            .map_err(|e| {
                let (line, column) = (e.line(), e.column());
                bad(
                    name,
                    &format!("the API server's answer is no secret (line {line}, column {column})"),
                )
            })?;
        if wire.kind != "Secret" {
            return Err(bad(name, "the API server's answer is no secret"));
        }
        let Some(data) = wire.data else {
            return Err(bad(name, "the secret is empty"));
        };
        let part = |field: &str, text: Option<Cow<'_, str>>| match text {
            None => Ok(None),
            Some(text) => STANDARD
                .decode(text.as_ref())
                .map(|bytes| Some(Secret::new(bytes)))
                .map_err(|_| bad(name, &format!("its {field} is not base64"))),
        };
        Ok(Self {
            key: part("cosign.key", data.key)?,
            password: part("cosign.password", data.password)?,
            public: part("cosign.pub", data.public)?,
        })
    }

    /// The public key; opens no encrypted private key.
    pub(super) fn public(&self, name: &str) -> Result<TrustedKey, KeyFault> {
        match (&self.public, &self.key) {
            (Some(pem), _) => file::public_of(name, pem),
            (None, Some(pem)) => file::public_of(name, pem).map_err(|fault| match fault {
                KeyFault::OnlyEncrypted(_) => bad(
                    name,
                    "it has no cosign.pub, and verifying opens no encrypted cosign.key",
                ),
                fault => fault,
            }),
            (None, None) => Err(no_part(name)),
        }
    }

    /// The private key, opened with the secret's own password where it has one.
    pub(super) fn private(&self, name: &str, unlock: &dyn Unlock) -> Result<PrivateKey, KeyFault> {
        let Some(pem) = &self.key else {
            return Err(match &self.public {
                Some(_) => KeyFault::OnlyPublic(name.to_owned()),
                None => no_part(name),
            });
        };
        let beside = Beside {
            password: self.password.as_ref(),
            otherwise: unlock,
        };
        let private = file::private_of(name, pem, &beside)?;
        if let Some(pem) = &self.public
            && file::public_of(name, pem)?.public_key != *private.public_key()
        {
            return Err(bad(
                name,
                "its cosign.pub is not the public half of its cosign.key",
            ));
        }
        Ok(private)
    }
}

/// The password that lies beside the key, and where there is none another.
struct Beside<'a> {
    password: Option<&'a Secret>,
    otherwise: &'a dyn Unlock,
}

impl Unlock for Beside<'_> {
    fn passphrase(&self, what: &Locked) -> Result<Secret, UnlockError> {
        match self.password {
            Some(password) => Ok(Secret::new(password.expose().to_vec())),
            None => self.otherwise.passphrase(what),
        }
    }
}

fn no_part(name: &str) -> KeyFault {
    bad(
        name,
        "the secret has neither cosign.key nor cosign.pub; cosign makes one with: cosign generate-key-pair k8s://NAMESPACE/NAME",
    )
}

fn bad(name: &str, why: &str) -> KeyFault {
    KeyFault::BadFile {
        path: name.to_owned(),
        why: why.to_owned(),
    }
}
