use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::Checkpoint;
use super::note::{ED25519, NoteError, NoteKey};
use crate::crypto::{KeyKind, PrivateKey, PrivateKeyError, Scheme};
use crate::secret::Secret;

/// What stands before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410,
/// section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
const PREFIX: &str = "PRIVATE+KEY+";

/// Signs notes under a name.
#[derive(Debug)]
pub struct NoteSigner {
    private: PrivateKey,
    key: NoteKey,
}

impl NoteSigner {
    /// A new Ed25519 key under `name`.
    ///
    /// # Errors
    /// `SignerError`.
    pub fn generate(name: &str) -> Result<Self, SignerError> {
        Self::new(name, PrivateKey::generate(KeyKind::Ed25519)?)
    }

    fn new(name: &str, private: PrivateKey) -> Result<Self, SignerError> {
        let key = NoteKey::new(name, private.public_key().clone())?;
        Ok(Self { private, key })
    }

    /// From `PRIVATE+KEY+name+id+base64`, the form of Go's package note.
    ///
    /// # Errors
    /// `SignerError::Form`, which never quotes the text.
    pub fn parse(text: &str) -> Result<Self, SignerError> {
        let mut parts = text
            .strip_prefix(PREFIX)
            .ok_or(SignerError::Form)?
            .splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(SignerError::Form);
        };
        let bytes = Secret::new(STANDARD.decode(encoded).map_err(|_| SignerError::Form)?);
        let [ED25519, seed @ ..] = bytes.expose() else {
            return Err(SignerError::Form);
        };
        if seed.len() != 32 {
            return Err(SignerError::Form);
        }
        let der = Secret::new([&PKCS8[..], seed].concat());
        let private = PrivateKey::from_pkcs8_der(der.expose())?;
        let signer = Self::new(name, private)?;
        // Go hashes the public key into both ids.
        if id != format!("{:08x}", signer.key.id()) {
            return Err(SignerError::Form);
        }
        Ok(signer)
    }

    /// The key as [`NoteSigner::parse`] reads it.
    ///
    /// # Errors
    /// `SignerError::Key`.
    pub fn to_text(&self) -> Result<Secret, SignerError> {
        let der = self.private.to_pkcs8_der()?;
        let seed = der.expose().strip_prefix(&PKCS8).ok_or(SignerError::Form)?;
        let bytes = Secret::new([&[ED25519], seed].concat());
        let encoded = Secret::from(STANDARD.encode(bytes.expose()));
        let (name, id) = (self.key.name(), self.key.id());
        let head = format!("{PREFIX}{name}+{id:08x}+");
        Ok(Secret::new([head.as_bytes(), encoded.expose()].concat()))
    }

    /// The public half.
    pub const fn key(&self) -> &NoteKey {
        &self.key
    }

    /// Signs the text of a checkpoint, which becomes this log's.
    ///
    /// # Errors
    /// `SignerError::Key`.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<[u8; 64], SignerError> {
        let text = checkpoint.text();
        let signature = self.private.sign(Scheme::Ed25519, text.as_bytes())?;
        signature.try_into().map_err(|_| SignerError::Form)
    }

    /// The signed note of a checkpoint.
    pub fn note(&self, checkpoint: &Checkpoint, signature: &[u8]) -> String {
        let bytes = [&self.key.id().to_be_bytes(), signature].concat();
        let (name, encoded) = (self.key.name(), STANDARD.encode(bytes));
        format!("{}\n— {name} {encoded}\n", checkpoint.text())
    }
}

/// Why a text is no signer's key, or why it does not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// Not a key of that form.
    #[error("it is no PRIVATE+KEY+name+id+base64 with an Ed25519 key")]
    Form,
    /// The key itself.
    #[error(transparent)]
    Key(#[from] PrivateKeyError),
    /// Its name.
    #[error(transparent)]
    Name(#[from] NoteError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::root_of;

    /// The example of Go's package note.
    const PRIVATE: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn a_key_that_others_made() {
        let signer = NoteSigner::parse(PRIVATE).unwrap();
        assert_eq!(signer.key().to_string(), PUBLIC);
        assert_eq!(signer.to_text().unwrap().expose(), PRIVATE.as_bytes());
    }

    #[test]
    fn what_it_signs_opens_with_its_key_alone() {
        let signer = NoteSigner::generate("example.com/log").unwrap();
        let checkpoint = Checkpoint {
            origin: "example.com/log".into(),
            size: 0,
            root: root_of(&[]),
        };
        let note = signer.note(&checkpoint, &signer.sign(&checkpoint).unwrap());
        let opened = Checkpoint::open(note.as_bytes(), signer.key());
        assert_eq!(opened.as_ref(), Ok(&checkpoint));
        let other = NoteSigner::generate("example.com/log").unwrap();
        assert!(matches!(
            Checkpoint::open(note.as_bytes(), other.key()),
            Err(NoteError::NotSigned(_))
        ));
        let mut foreign = checkpoint;
        foreign.origin = "example.com/other".into();
        let note = signer.note(&foreign, &signer.sign(&foreign).unwrap());
        assert!(matches!(
            Checkpoint::open(note.as_bytes(), signer.key()),
            Err(NoteError::Origin { .. })
        ));
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_quoted() {
        let again = NoteSigner::parse(&PRIVATE.replace("c74f20a3", "c74f20a4"));
        for bad in [
            again,
            NoteSigner::parse(""),
            NoteSigner::parse(PUBLIC),
            NoteSigner::parse(&PRIVATE.replace("+AYEK", "+BYEK")),
            NoteSigner::parse(&PRIVATE[..PRIVATE.len() - 4]),
        ] {
            let error = bad.unwrap_err().to_string();
            assert!(!error.contains("AYEK"), "{error}");
        }
        assert!(NoteSigner::generate("a b").is_err());
    }
}
