//! What `sigstore-kms-NAME` programs are asked and answer: Sigstore's protocol
//! `v1` (sigstore/sigstore, `pkg/signature/kms/cliplugin/common`). Fields that
//! are not known are passed over, as its other readers do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Algorithm;
use crate::time::Timestamp;

/// The protocol's version: the program's first argument.
pub const VERSION: &str = "v1";

/// What all programs are named: this and the scheme.
pub const PREFIX: &str = "sigstore-kms-";

/// The program's second argument.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// With which key, until when.
    pub init_options: Init,
    /// What is to be done; the field of that name holds its arguments.
    pub method_name: String,
    /// Arguments of `createKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_key: Option<CreateKey>,
    /// Arguments of `publicKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKeyArguments>,
    /// Arguments of `signMessage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_message: Option<SignMessage>,
    /// Arguments of `verifySignature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_signature: Option<VerifySignature>,
    /// Arguments of `defaultAlgorithm`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_algorithm: Option<Nothing>,
    /// Arguments of `supportedAlgorithms`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_algorithms: Option<Nothing>,
}

/// What every method is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Init {
    /// When nobody waits any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx_deadline: Option<Timestamp>,
    /// [`VERSION`]
    pub protocol_version: String,
    /// What follows `scheme://`.
    #[serde(rename = "keyResourceID")]
    pub key_resource_id: String,
    /// Go's number of a hash ([`hash_number`]); 0 is none.
    #[serde(default)]
    pub hash_func: u32,
    /// More of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc_options: Option<RpcOptions>,
}

/// How a call is to be made.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcOptions {
    /// When nobody waits any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx_deadline: Option<Timestamp>,
    /// The key's version; empty for the newest.
    #[serde(default)]
    pub key_version: Option<String>,
    /// Whether the key service itself is to verify.
    #[serde(default)]
    pub remote_verification: Option<bool>,
}

/// No arguments, or no answer beyond that it was done.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Nothing {}

/// Arguments of `createKey`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateKey {
    /// When nobody waits any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx_deadline: Option<Timestamp>,
    /// One of the plugin's supported algorithms.
    pub algorithm: String,
}

/// Arguments of `publicKey`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicKeyArguments {
    /// How.
    #[serde(default)]
    pub public_key_options: Option<CallOptions>,
}

/// The options of a call without a message.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallOptions {
    /// How.
    #[serde(default)]
    pub rpc_options: RpcOptions,
}

/// Arguments of `signMessage`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SignMessage {
    /// How, and what.
    #[serde(default)]
    pub sign_options: Option<MessageCall>,
}

/// Arguments of `verifySignature`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifySignature {
    /// The signature.
    pub signature: Bytes,
    /// How, and of what.
    #[serde(default)]
    pub verify_options: Option<MessageCall>,
}

/// The options of a call with a message.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageCall {
    /// How.
    #[serde(default)]
    pub rpc_options: RpcOptions,
    /// About which message.
    #[serde(default)]
    pub message_options: MessageOptions,
}

/// The message, beside what is on standard input.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageOptions {
    /// Its digest; without one the message is on standard input.
    #[serde(default)]
    pub digest: Option<Bytes>,
    /// Go's number of the digest's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_func: Option<u32>,
}

/// What a program prints: exactly one of these.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// Why it was not done; empty where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Answer of `defaultAlgorithm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_algorithm: Option<DefaultAlgorithm>,
    /// Answer of `supportedAlgorithms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_algorithms: Option<SupportedAlgorithms>,
    /// Answer of `createKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_key: Option<PublicKeyPem>,
    /// Answer of `publicKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKeyPem>,
    /// Answer of `signMessage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_message: Option<Signature>,
    /// Answer of `verifySignature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify_signature: Option<Nothing>,
}

/// Answer of `defaultAlgorithm`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DefaultAlgorithm {
    /// What `createKey` takes where the user does not say.
    pub default_algorithm: String,
}

/// Answer of `supportedAlgorithms`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedAlgorithms {
    /// What `createKey` takes.
    pub supported_algorithms: Vec<String>,
}

/// A public key.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PublicKeyPem {
    /// PEM, `SubjectPublicKeyInfo`.
    #[serde(rename = "publicKeyPEM")]
    pub public_key_pem: Bytes,
}

/// A signature.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Signature {
    /// ASN.1 DER for ECDSA, raw for the others.
    pub signature: Bytes,
}

/// Bytes that are written in base64, as Go writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("not base64"))
    }
}

/// Go's number of a hash (`crypto.Hash`).
pub const fn hash_number(hash: Algorithm) -> u32 {
    match hash {
        Algorithm::Sha256 => 5,
        Algorithm::Sha384 => 6,
        Algorithm::Sha512 => 7,
    }
}

/// The hash with that number, of those that are used here.
pub fn hash_of(number: u32) -> Option<Algorithm> {
    [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
        .into_iter()
        .find(|hash| hash_number(*hash) == number)
}

impl Request {
    /// A request without any method's arguments.
    pub fn new(init_options: Init, method_name: &str) -> Self {
        Self {
            init_options,
            method_name: method_name.to_owned(),
            create_key: None,
            public_key: None,
            sign_message: None,
            verify_signature: None,
            default_algorithm: None,
            supported_algorithms: None,
        }
    }
}
