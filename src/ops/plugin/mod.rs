//! obreia as a plugin of Sigstore's protocol `v1`: one request, answered with
//! the keys of a keyring, through the same pipeline as every other use.

mod install;
mod message;

pub use crate::keys::plugin_protocol::{Reply, Request};
pub use install::{Installed, PROGRAM, install, uninstall};

use std::io::Read;
use std::time::Duration;

use super::keyring::{Administer, Keyring, NewKey, Settings, Unlock};
use super::{Exit, Failure};
use crate::canon;
use crate::crypto::{KeyKind, PublicKey};
use crate::custody::Caller;
use crate::keys::plugin_protocol::{
    Bytes, DefaultAlgorithm, Nothing, PublicKeyPem, RpcOptions, Signature, SupportedAlgorithms,
    VERSION,
};
use crate::limits;
use crate::reference::KeyRef;
use crate::trust::VersionState;
use message::Message;

/// What `createKey` makes, by the names that Vault has for them too; the first
/// is the default.
const KINDS: [KeyKind; 5] = [
    KeyKind::EcP256,
    KeyKind::EcP384,
    KeyKind::Ed25519,
    KeyKind::Rsa { bits: 3072 },
    KeyKind::Rsa { bits: 4096 },
];

/// Reads a request: the protocol's version and the JSON beside it.
///
/// # Errors
/// Usage, where it is none of version 1.
pub fn read(version: &str, text: &str) -> Result<Request, Failure> {
    if version != VERSION {
        return Err(refused(format!(
            "this speaks version {VERSION} of the plugin protocol, not {version:?}"
        )));
    }
    canon::parse_as(text.as_bytes(), limits::PLUGIN_REQUEST).map_err(|e| {
        refused(format!(
            "the request is not one of the plugin protocol: {e}"
        ))
    })
}

/// Does what is asked. `input` is the message where there is one; it is read
/// only once the key is open.
///
/// # Errors
/// Where it was not done.
pub async fn answer(
    request: &Request,
    keyring: &Keyring,
    unlock: &dyn Unlock,
    caller: &Caller,
    input: &mut dyn Read,
) -> Result<Reply, Failure> {
    let mut reply = Reply::default();
    match request.method_name.as_str() {
        "defaultAlgorithm" => {
            reply.default_algorithm = Some(DefaultAlgorithm {
                default_algorithm: KINDS[0].to_string(),
            });
        }
        "supportedAlgorithms" => {
            reply.supported_algorithms = Some(SupportedAlgorithms {
                supported_algorithms: KINDS.iter().map(ToString::to_string).collect(),
            });
        }
        "publicKey" => {
            let options = request.public_key.as_ref();
            let options = options.and_then(|o| o.public_key_options.as_ref());
            let rpc = options.map(|options| &options.rpc_options);
            let keyring = within(keyring, request, rpc)?;
            let mut trusted = keyring.trusted(&key(request, rpc)?).await?;
            reply.public_key = Some(pem(&trusted.swap_remove(0).public_key));
        }
        "signMessage" => {
            let options = request.sign_message.clone().unwrap_or_default();
            let options = options.sign_options.unwrap_or_default();
            let rpc = Some(&options.rpc_options);
            let keyring = within(keyring, request, rpc)?;
            let opened = keyring.open_key(&key(request, rpc)?, unlock).await?;
            let stated = options.message_options.hash_func;
            let stated = stated.unwrap_or(request.init_options.hash_func);
            let message = message::to_sign(
                &opened.info().path,
                opened.scheme(),
                &options.message_options,
                stated,
                input,
            )?;
            let signed = opened.sign(message.as_input(), caller).await?;
            reply.sign_message = Some(Signature {
                signature: Bytes(signed.signature),
            });
        }
        "verifySignature" => {
            reply.verify_signature = Some(verify(request, keyring, input).await?);
        }
        "createKey" => reply.create_key = Some(create(request, keyring, unlock, caller).await?),
        other => {
            let other: String = other.chars().take(64).collect();
            return Err(refused(format!(
                "{other:?} is no method of the plugin protocol {VERSION}"
            )));
        }
    }
    Ok(reply)
}

/// A failure as the protocol tells of it: in one line, code, cause and hint.
pub fn refusal(failure: &Failure) -> Reply {
    let mut text = failure.what.clone();
    if let Some(code) = failure.code {
        text.push_str(&format!(" [{code}]"));
    }
    if let Some(cause) = &failure.cause {
        text.push_str(&format!(": {cause}"));
    }
    let hint = match failure.code {
        // Nobody can be asked: standard input is the message.
        Some("no-passphrase") => Some(
            "set OBREIA_PASSPHRASE, or [keystore] passphrase in obreia.toml; a plugin asks nobody",
        ),
        _ => failure.hint.as_deref(),
    };
    if let Some(hint) = hint {
        text.push_str(&format!(" (hint: {hint})"));
    }
    Reply {
        error_message: Some(text),
        ..Reply::default()
    }
}

/// Verifies with every version that still verifies, or the one that is named:
/// a bare signature does not say which one made it.
async fn verify(
    request: &Request,
    keyring: &Keyring,
    input: &mut dyn Read,
) -> Result<Nothing, Failure> {
    let arguments = request
        .verify_signature
        .as_ref()
        .ok_or_else(|| refused("the request has no verifySignature".to_owned()))?;
    let options = arguments.verify_options.clone().unwrap_or_default();
    let rpc = Some(&options.rpc_options);
    let keyring = within(keyring, request, rpc)?;
    let name = key(request, rpc)?;
    let trusted = keyring.trusted(&name).await?;
    // All versions of a key sign under one scheme.
    let Some(scheme) = trusted.first().map(|key| key.scheme) else {
        return Err(refused(format!("{name} has no version that verifies")));
    };
    let shown = name.to_string();
    let message = message::to_verify(&shown, scheme, &options.message_options, input)?;
    let made = trusted.iter().any(|key| {
        let (public, signature) = (&key.public_key, &arguments.signature.0);
        match &message {
            Message::Digest(digest) => key.scheme.verify_digest(public, digest, signature),
            Message::Whole(message) => key.scheme.verify(public, message, signature),
        }
        .is_ok()
    });
    if made {
        return Ok(Nothing {});
    }
    Err(Failure::new(
        Exit::Denied,
        format!("the signature is not one of this message by {shown}"),
    )
    .code("signature-invalid"))
}

async fn create(
    request: &Request,
    keyring: &Keyring,
    unlock: &dyn Unlock,
    caller: &Caller,
) -> Result<PublicKeyPem, Failure> {
    let asked = request.create_key.as_ref().map(|create| &create.algorithm);
    let asked = asked.map_or("", String::as_str);
    let kind = KINDS
        .into_iter()
        .find(|kind| kind.to_string() == asked)
        .ok_or_else(|| {
            let asked: String = asked.chars().take(64).collect();
            let known: Vec<_> = KINDS.iter().map(ToString::to_string).collect();
            refused(format!("{asked:?} is none of {}", known.join(", ")))
        })?;
    let new = NewKey {
        key: key(request, None)?,
        aliases: Vec::new(),
        new_purpose: false,
    };
    let keyring = within(keyring, request, None)?;
    let change = Administer::Create { new: &new, kind };
    let described = keyring.administer(change, caller, unlock).await?;
    let active = described
        .versions
        .iter()
        .find(|version| version.state == VersionState::Active);
    match active {
        Some(version) => Ok(pem(&version.public_key)),
        None => Err(refused(format!("{} has no active version", described.path))),
    }
}

/// The key that a request is about. The caller took `kms://` away.
fn key(request: &Request, rpc: Option<&RpcOptions>) -> Result<KeyRef, Failure> {
    let id = &request.init_options.key_resource_id;
    let id = id.strip_prefix("kms://").unwrap_or(id);
    let of = |rpc: &RpcOptions| {
        rpc.key_version
            .clone()
            .filter(|version| !version.is_empty())
    };
    let version = rpc
        .and_then(of)
        .or_else(|| request.init_options.rpc_options.as_ref().and_then(of));
    let text = match version {
        Some(version) if !id.contains("?version=") => format!("kms://{id}?version={version}"),
        _ => format!("kms://{id}"),
    };
    Ok(KeyRef::parse(&text)?)
}

/// The same keys, within the deadline that the request states.
fn within(
    keyring: &Keyring,
    request: &Request,
    rpc: Option<&RpcOptions>,
) -> Result<Keyring, Failure> {
    let create = request.create_key.as_ref();
    let until = [
        request.init_options.ctx_deadline,
        rpc.and_then(|rpc| rpc.ctx_deadline),
        create.and_then(|create| create.ctx_deadline),
    ];
    let mut settings = keyring.settings().clone();
    if let Some(until) = until.into_iter().flatten().min() {
        let left = until.nanos().saturating_sub(keyring.clock().now().nanos());
        let left = u64::try_from(left).ok().filter(|left| *left > 0);
        let left = left.ok_or_else(|| {
            Failure::new(Exit::Undetermined, "the deadline that was given is over").code("deadline")
        })?;
        settings = Settings {
            deadline: settings.deadline.min(Duration::from_nanos(left)),
            ..settings
        };
    }
    Ok(Keyring::new(
        settings,
        std::sync::Arc::clone(keyring.clock()),
    ))
}

fn pem(public: &PublicKey) -> PublicKeyPem {
    PublicKeyPem {
        public_key_pem: Bytes(public.to_pem().into_bytes()),
    }
}

fn refused(what: String) -> Failure {
    Failure::new(Exit::Usage, what).code("bad-request")
}
