//! Keys as the stand-in holds them.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What the stand-in can be asked to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    P256,
    P384,
    P521,
    Ed25519,
    Rsa2048,
    Rsa3072,
    /// RSA that encrypts.
    RsaEncrypts,
    Symmetric,
    Hmac,
    /// A kind that obreia does not have.
    Secp256k1,
}

impl Kind {
    pub(crate) const fn spec(self) -> &'static str {
        match self {
            Self::P256 => "ECC_NIST_P256",
            Self::P384 => "ECC_NIST_P384",
            Self::P521 => "ECC_NIST_P521",
            Self::Ed25519 => "ECC_NIST_EDWARDS25519",
            Self::Rsa2048 | Self::RsaEncrypts => "RSA_2048",
            Self::Rsa3072 => "RSA_3072",
            Self::Symmetric => "SYMMETRIC_DEFAULT",
            Self::Hmac => "HMAC_256",
            Self::Secp256k1 => "ECC_SECG_P256K1",
        }
    }

    pub(super) fn of_spec(spec: &str) -> Option<Self> {
        [
            Self::P256,
            Self::P384,
            Self::P521,
            Self::Ed25519,
            Self::Rsa2048,
            Self::Rsa3072,
        ]
        .into_iter()
        .find(|kind| kind.spec() == spec)
    }

    pub(super) const fn usage(self) -> &'static str {
        match self {
            Self::RsaEncrypts | Self::Symmetric => "ENCRYPT_DECRYPT",
            Self::Hmac => "GENERATE_VERIFY_MAC",
            _ => "SIGN_VERIFY",
        }
    }

    pub(super) const fn algorithms(self) -> &'static [&'static str] {
        match self {
            Self::P256 | Self::Secp256k1 => &["ECDSA_SHA_256"],
            Self::P384 => &["ECDSA_SHA_384"],
            Self::P521 => &["ECDSA_SHA_512"],
            Self::Ed25519 => &["ED25519_PH_SHA_512", "ED25519_SHA_512"],
            Self::Rsa2048 | Self::Rsa3072 => &[
                "RSASSA_PKCS1_V1_5_SHA_256",
                "RSASSA_PKCS1_V1_5_SHA_384",
                "RSASSA_PKCS1_V1_5_SHA_512",
                "RSASSA_PSS_SHA_256",
                "RSASSA_PSS_SHA_384",
                "RSASSA_PSS_SHA_512",
            ],
            Self::RsaEncrypts | Self::Symmetric | Self::Hmac => &[],
        }
    }
}

enum Pair {
    Ec(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    None,
}

pub(super) struct Held {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) state: &'static str,
    pair: Pair,
}

impl Held {
    /// With material that nothing else has; `number` makes the id.
    pub(super) fn new(kind: Kind, number: usize) -> Self {
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| {
            Pair::Ec(EcdsaKeyPair::generate(algorithm).unwrap())
        };
        Self {
            id: format!("1234abcd-12ab-34cd-56ef-{:012x}", number & 0xffff_ffff_ffff),
            kind,
            state: "Enabled",
            pair: match kind {
                Kind::P256 => ec(&signature::ECDSA_P256_SHA256_ASN1_SIGNING),
                Kind::P384 => ec(&signature::ECDSA_P384_SHA384_ASN1_SIGNING),
                Kind::P521 => ec(&signature::ECDSA_P521_SHA512_ASN1_SIGNING),
                Kind::Secp256k1 => ec(&signature::ECDSA_P256K1_SHA256_ASN1_SIGNING),
                Kind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate().unwrap()),
                Kind::Rsa2048 | Kind::RsaEncrypts => {
                    Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
                }
                Kind::Rsa3072 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa3072).unwrap()),
                Kind::Symmetric | Kind::Hmac => Pair::None,
            },
        }
    }

    pub(super) fn replace(&mut self) {
        self.pair = Self::new(self.kind, 0).pair;
    }

    pub(super) fn metadata(&self, arn: &str) -> Value {
        let mut metadata = json!({
            "AWSAccountId": "111122223333", "KeyId": self.id, "Arn": arn,
            "CreationDate": 1_790_000_000.25, "Enabled": self.state == "Enabled",
            "Description": "", "KeyUsage": self.kind.usage(), "KeyState": self.state,
            "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "MultiRegion": false,
            "KeySpec": self.kind.spec(), "CustomerMasterKeySpec": self.kind.spec(),
        });
        if !self.kind.algorithms().is_empty() {
            metadata["SigningAlgorithms"] = json!(self.kind.algorithms());
        }
        metadata
    }

    pub(super) fn public_key(&self, arn: &str) -> Option<Value> {
        let der = match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_der().unwrap(),
            Pair::Ed25519(pair) => pair.public_key().as_der().unwrap(),
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Pair::None => return None,
        };
        let mut shown = json!({
            "KeyId": arn, "PublicKey": STANDARD.encode(der.as_ref()),
            "KeySpec": self.kind.spec(), "CustomerMasterKeySpec": self.kind.spec(),
            "KeyUsage": self.kind.usage(),
        });
        match self.kind.algorithms() {
            [] => shown["EncryptionAlgorithms"] = json!(["RSAES_OAEP_SHA_256"]),
            algorithms => shown["SigningAlgorithms"] = json!(algorithms),
        }
        Some(shown)
    }

    /// Signs a digest of the algorithm's own length, or a short message for Ed25519.
    pub(super) fn sign(&self, algorithm: &str, message: &str) -> Result<String, String> {
        let bytes = STANDARD.decode(message).map_err(|e| e.to_string())?;
        let hash = match algorithm.rsplit('_').next() {
            Some("256") => &digest::SHA256,
            Some("384") => &digest::SHA384,
            _ => &digest::SHA512,
        };
        if let Pair::Ed25519(pair) = &self.pair {
            if !(1..=4096).contains(&bytes.len()) {
                return Err(format!("a message of {} bytes", bytes.len()));
            }
            return Ok(STANDARD.encode(pair.sign(&bytes)));
        }
        let digest = Digest::import_less_safe(&bytes, hash)
            .map_err(|_| format!("Digest is invalid length for algorithm {algorithm}."))?;
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign_digest(&digest).unwrap().as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let padding: &dyn RsaEncoding = match algorithm {
                    "RSASSA_PKCS1_V1_5_SHA_256" => &signature::RSA_PKCS1_SHA256,
                    "RSASSA_PKCS1_V1_5_SHA_384" => &signature::RSA_PKCS1_SHA384,
                    "RSASSA_PKCS1_V1_5_SHA_512" => &signature::RSA_PKCS1_SHA512,
                    "RSASSA_PSS_SHA_256" => &signature::RSA_PSS_SHA256,
                    "RSASSA_PSS_SHA_384" => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(padding, &digest, &mut signature).unwrap();
                signature
            }
            Pair::Ed25519(_) | Pair::None => return Err("no such key".to_owned()),
        };
        Ok(STANDARD.encode(signature))
    }
}
