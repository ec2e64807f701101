use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::{KeyKind, PublicKey, PublicParts, Scheme, sha256};

/// Largest signed note that is read, in bytes.
const NOTE: usize = 64 << 10;
/// Most signatures of a note that are looked at.
const SIGNATURES: usize = 64;
/// Longest key name, in bytes.
const NAME: usize = 256;
/// The type of Ed25519 signatures in key ids and encoded keys.
pub(super) const ED25519: u8 = 1;

/// The public key of a note's signer: a name and an Ed25519 key, written
/// `name+id+base64` as Go's `golang.org/x/mod/sumdb/note` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: String,
    id: u32,
    key: PublicKey,
}

impl NoteKey {
    /// Of a name and an Ed25519 key.
    ///
    /// # Errors
    /// `Name` or `Key`.
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        check_name(name)?;
        if key.kind() != KeyKind::Ed25519 {
            return Err(NoteError::Key("it is no Ed25519 key".to_owned()));
        }
        let id = key_id(name, raw(&key));
        Ok(Self {
            name: name.to_owned(),
            id,
            key,
        })
    }

    /// The signer's name; a log's is the origin of its checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that signatures name.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Verifies a signature over a note's text.
    pub fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        Scheme::Ed25519
            .verify(&self.key, text.as_bytes(), signature)
            .is_ok()
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], raw(&self.key)].concat();
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl FromStr for NoteKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: &str| NoteError::Key(why.to_owned());
        // The base64 part may hold plus signs, the name may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(bad("it is not name+id+base64"));
        };
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| bad("its last part is not base64"))?;
        let [ED25519, point @ ..] = bytes.as_slice() else {
            return Err(bad("it is of another type than Ed25519"));
        };
        let der = PublicParts::Ed25519(point).spki_der();
        let der = der.ok_or_else(|| bad("an Ed25519 key has 32 bytes"))?;
        let key = PublicKey::from_spki_der(&der).map_err(|e| NoteError::Key(e.to_string()))?;
        let key = Self::new(name, key)?;
        if id != format!("{:08x}", key.id) {
            return Err(bad("its id is not that of its name and key"));
        }
        Ok(key)
    }
}

/// A signed note, taken apart; nothing of it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    signatures: Vec<Signature<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature<'a> {
    name: &'a str,
    id: u32,
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Takes a note apart: text, blank line, signature lines.
    ///
    /// # Errors
    /// `Form`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE {
            return Err(NoteError::Form("it is larger than a note may be"));
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Form("it is not UTF-8"))?;
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Form("it holds control characters"));
        }
        let blank = note
            .rfind("\n\n")
            .ok_or(NoteError::Form("it has no blank line before signatures"))?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::Form("its last line is cut short"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == SIGNATURES {
                return Err(NoteError::Form("it has too many signatures"));
            }
            signatures
                .push(signature(line).ok_or(NoteError::Form("a signature line has another form"))?);
        }
        Ok(Self { text, signatures })
    }

    /// The text, once a signature by `key` over it was verified. Signatures
    /// of other keys are passed over; one of this key that fails is a refusal.
    ///
    /// # Errors
    /// `NotSigned` or `Signature`.
    pub fn verified_by(&self, key: &NoteKey) -> Result<&'a str, NoteError> {
        let mut verified = false;
        for signature in &self.signatures {
            if signature.name == key.name && signature.id == key.id {
                if !key.verifies(self.text, &signature.bytes) {
                    return Err(NoteError::Signature(key.name.clone()));
                }
                verified = true;
            }
        }
        if verified {
            Ok(self.text)
        } else {
            Err(NoteError::NotSigned(key.to_string()))
        }
    }

    /// The text, which nobody vouches for.
    pub const fn unverified(&self) -> &'a str {
        self.text
    }
}

/// Why bytes are no note of a known signer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note.
    #[error("it is no signed note: {0}")]
    Form(&'static str),
    /// A text that is no key.
    #[error("it is no public key of a log: {0}")]
    Key(String),
    /// A name that no signer can have.
    #[error("{0:?} cannot be a signer's name")]
    Name(String),
    /// None of the signatures is by that key.
    #[error("it is not signed by {0}")]
    NotSigned(String),
    /// The signature is wrong.
    #[error("the signature by {0} is wrong")]
    Signature(String),
    /// The text is no checkpoint.
    #[error("it is no checkpoint: {0}")]
    Checkpoint(&'static str),
    /// A checkpoint of another log.
    #[error("it is a checkpoint of {found}, not of {expected}")]
    Origin {
        /// The log in the checkpoint.
        found: String,
        /// The log that the key is of.
        expected: String,
    },
}

fn signature(line: &str) -> Option<Signature<'_>> {
    let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
    check_name(name).ok()?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    (!bytes.is_empty()).then(|| Signature {
        name,
        id: u32::from_be_bytes(*id),
        bytes: bytes.to_vec(),
    })
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.len() > NAME || name.contains(bad) {
        return Err(NoteError::Name(name.chars().take(64).collect()));
    }
    Ok(())
}

/// The first four bytes of `SHA-256(name || newline || type || key)`.
fn key_id(name: &str, key: &[u8]) -> u32 {
    let digest = sha256(&[name.as_bytes(), b"\n", &[ED25519], key].concat());
    digest
        .bytes()
        .first_chunk::<4>()
        .map_or(0, |id| u32::from_be_bytes(*id))
}

/// The 32 bytes of an Ed25519 key.
fn raw(key: &PublicKey) -> &[u8] {
    key.edwards_point().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Go's package note, which the specification tells of.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn key() -> NoteKey {
        KEY.parse().unwrap()
    }

    fn check(note: &str) -> Result<String, NoteError> {
        let note = Note::parse(note.as_bytes())?;
        note.verified_by(&key()).map(str::to_owned)
    }

    #[test]
    fn a_note_that_others_signed() {
        assert_eq!(key().to_string(), KEY);
        assert!(check(NOTE).unwrap().ends_with("problem is.\n"));
    }

    #[test]
    fn what_was_changed_does_not_verify() {
        let wrong = NoteError::Signature("PeterNeumann".to_owned());
        assert_eq!(check(&NOTE.replace("answer", "Answer")), Err(wrong.clone()));
        assert_eq!(check(&NOTE.replace("ZJkuBS", "ZJkuBT")), Err(wrong.clone()));
        // One good signature does not make up for a bad one of the same key.
        let line = NOTE.lines().last().unwrap();
        let bad = line.replace("ZJkuBS", "ZJkuBT");
        assert_eq!(check(&format!("{NOTE}{bad}\n")), Err(wrong));
        let other = line.replace("PeterNeumann", "Somebody");
        assert!(check(&format!("{NOTE}{other}\n")).is_ok());
        assert!(matches!(
            check(&NOTE.replace("PeterNeumann", "Somebody")),
            Err(NoteError::NotSigned(_))
        ));
    }

    #[test]
    fn what_is_no_note() {
        for bad in [
            "",
            "text\n",
            "text\n\n",
            "text\n\n— a AAAAAAAA",
            "text\n\n- a AAAAAAAA\n",
            "text\n\n— a AAAA\n",
            "text\n\n— a b+ AAAAAAAA\n",
            "te\txt\n\n— a AAAAAAAA\n",
            "text\n\n— a AAAAAAAA\n\nmore\n",
        ] {
            assert!(
                matches!(check(bad), Err(NoteError::Form(_))),
                "{bad:?}: {:?}",
                check(bad)
            );
        }
        let many = "— a AAAAAAAA\n".repeat(SIGNATURES + 1);
        assert!(check(&format!("text\n\n{many}")).is_err());
    }

    #[test]
    fn what_is_no_key() {
        for bad in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            &KEY.replace("c74f20a3", "c74f20a4"),
            &KEY.replace("PeterNeumann", "Peter Neumann"),
            &KEY.replace("+ARpc", "+BRpc"),
            &KEY[..KEY.len() - 4],
        ] {
            assert!(bad.parse::<NoteKey>().is_err(), "{bad}");
        }
    }
}
