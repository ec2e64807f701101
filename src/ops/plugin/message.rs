use std::io::Read;

use super::refused;
use crate::crypto::{Hasher, Scheme};
use crate::digest::{Algorithm, Digest};
use crate::keys::SignInput;
use crate::keys::plugin_protocol::{MessageOptions, hash_of};
use crate::limits;
use crate::ops::{Exit, Failure};

/// What a request is about: its digest where the scheme has a hash.
pub(super) enum Message {
    /// In the scheme's hash.
    Digest(Digest),
    /// For Ed25519, which signs the message itself.
    Whole(Vec<u8>),
}

impl Message {
    pub(super) fn as_input(&self) -> SignInput<'_> {
        match self {
            Self::Digest(digest) => SignInput::Digest(*digest),
            Self::Whole(message) => SignInput::Message(message),
        }
    }
}

/// What is to be signed: the digest that the caller computed, else the message
/// on `input`. `stated` is the number of the hash that the caller counts on.
///
/// # Errors
/// Where the caller would get another signature than he asked for: a digest of
/// another hash, or one that is not that of the message beside it.
pub(super) fn to_sign(
    key: &str,
    scheme: Scheme,
    options: &MessageOptions,
    stated: u32,
    input: &mut dyn Read,
) -> Result<Message, Failure> {
    let message = to_verify(key, scheme, options, input)?;
    let digest_given = options.digest.as_ref().is_some_and(|d| !d.0.is_empty());
    if let (Some(hash), false) = (scheme.hash(), digest_given)
        && stated != 0
        && hash_of(stated) != Some(hash)
    {
        let wanted = hash_of(stated).map_or("another hash", Algorithm::name);
        return Err(refused(format!(
            "{key} signs with {}, and {wanted} is asked for",
            hash.name()
        )));
    }
    Ok(message)
}

/// What was signed; a message is hashed as the key's scheme has it.
///
/// # Errors
/// As [`to_sign`].
pub(super) fn to_verify(
    key: &str,
    scheme: Scheme,
    options: &MessageOptions,
    input: &mut dyn Read,
) -> Result<Message, Failure> {
    let given = options
        .digest
        .as_ref()
        .filter(|digest| !digest.0.is_empty());
    match (scheme.hash(), given) {
        (None, None) => whole(input).map(Message::Whole),
        (None, Some(_)) => Err(refused(format!(
            "{key} is an Ed25519 key, which signs the message itself; a digest (Ed25519ph) is not enough"
        ))),
        (Some(hash), None) => Ok(Message::Digest(hashed(hash, input)?.0)),
        (Some(hash), Some(given)) => {
            let other = options
                .hash_func
                .filter(|number| *number != 0 && hash_of(*number) != Some(hash));
            let digest = Digest::new(hash, &given.0).ok().filter(|_| other.is_none());
            let Some(digest) = digest else {
                return Err(refused(format!(
                    "{key} signs with {}, and a digest of {} bytes, or of another hash, was given",
                    hash.name(),
                    given.0.len()
                )));
            };
            // Read to its end in any case: the caller may be writing still.
            let (found, length) = hashed(hash, input)?;
            if length > 0 && found != digest {
                return Err(refused(
                    "the digest that was given is not that of the message on standard input"
                        .to_owned(),
                ));
            }
            Ok(Message::Digest(digest))
        }
    }
}

fn hashed(hash: Algorithm, input: &mut dyn Read) -> Result<(Digest, u64), Failure> {
    let mut hasher = Hasher::new(hash);
    let mut chunk = vec![0; 128 << 10];
    let mut length = 0;
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok((hasher.finish(), length)),
            Ok(read) => {
                hasher.update(&chunk[..read]);
                length += read as u64;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(&e)),
        }
    }
}

fn whole(input: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    let mut message = Vec::new();
    input
        .take(limits::ED25519_MESSAGE + 1)
        .read_to_end(&mut message)
        .map_err(|e| unreadable(&e))?;
    if message.len() as u64 > limits::ED25519_MESSAGE {
        return Err(refused(format!(
            "an Ed25519 key signs at most {} bytes",
            limits::ED25519_MESSAGE
        )));
    }
    Ok(message)
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Undetermined,
        "cannot read the message from standard input",
    )
    .cause(error)
}
