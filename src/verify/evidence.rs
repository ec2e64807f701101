//! What is handed to verification: bytes that were gathered, none of them believed.

use std::borrow::Cow;

use crate::digest::{Algorithm, Digest, Identity};
use crate::model::files::{HashedFile, Standing};

/// One untrusted piece of evidence.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Where it came from, for people.
    pub origin: String,
    /// What it is.
    pub body: EvidenceBody,
    /// Whether the user named it (`--bundle`): then a malformed one is denied
    /// rather than passed over with a note.
    pub asked: bool,
}

/// The bytes of a piece of evidence.
#[derive(Clone, Debug)]
pub enum EvidenceBody {
    /// A Sigstore bundle's JSON.
    Bundle(Vec<u8>),
    /// A bare signature over the artifact's bytes.
    Signature(Vec<u8>),
    /// cosign's signature before bundles.
    SimpleSigning(SimpleSigned),
    /// The JSON of a DSSE envelope that is in no bundle.
    Envelope(Vec<u8>),
    /// Notation's signature.
    Notation(NotationSigned),
    /// An in-toto statement that nobody signed: told, and never believed.
    Statement(Vec<u8>),
    /// Something that hangs on the artifact and is of a kind that this
    /// version lists but does not verify; the text names it.
    Foreign(String),
    /// Something that hangs on the artifact and is not what it says it is.
    Malformed(String),
}

/// A simple-signing payload and what stands beside it.
#[derive(Clone, Debug)]
pub struct SimpleSigned {
    /// The bytes that are signed.
    pub payload: Vec<u8>,
    /// Base64 of the signature.
    pub signature: String,
    /// Whether a certificate stands beside it.
    pub certificate: bool,
}

/// An envelope of Notation's.
#[derive(Clone, Debug)]
pub struct NotationSigned {
    /// The envelope.
    pub envelope: Vec<u8>,
    /// Whether it is COSE; otherwise it is JWS.
    pub cose: bool,
}

/// What a manifest says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The artifact as it was read and hashed.
#[derive(Clone, Debug, Default)]
pub struct Observed<'a> {
    /// Every digest known of it; a model directory's `dirHash` is one.
    pub identities: Vec<Identity>,
    /// The digest of its manifest, where it has one: the only thing that
    /// cosign's older signatures, and Notation's, are about.
    pub manifest: Option<Digest>,
    /// That manifest's media type and size, which Notation signs along.
    pub described: Option<Described>,
    /// The bytes, where a scheme that cannot work on digests needs them.
    pub content: Option<Cow<'a, [u8]>>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Whether the bytes begin as the signed form of an envelope does. Such a
    /// file shares its signature with that envelope, so a signature over its
    /// bytes says nothing about it.
    pub envelope_like: bool,
    /// A model's files; empty for any other artifact.
    pub files: Vec<HashedFile>,
}

impl Observed<'_> {
    /// The digests of that algorithm: of its bytes, and of a packed file's own
    /// and its manifest's.
    pub fn digests(&self, algorithm: Algorithm) -> impl Iterator<Item = &Digest> {
        self.identities
            .iter()
            .filter_map(move |identity| match identity {
                Identity::Content(digest) if digest.algorithm() == algorithm => Some(digest),
                _ => None,
            })
    }

    /// Files of a model that its identity leaves out (`.git/` and the other
    /// default ignores): no statement about the identity covers them.
    pub(super) fn never_covered(&self) -> Vec<String> {
        self.files
            .iter()
            .filter(|file| file.standing == Standing::Ignored)
            .map(|file| file.path.clone())
            .collect()
    }
}
