//! Where evidence lies: the port, and its adapters.
//!
//! Whatever is listed is untrusted: nothing here looks at a signature.

mod error;
mod label;
mod manifests;
#[cfg(feature = "sign")]
mod oci_referrers;
mod referrers;
mod sidecar;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::pin::Pin;

pub use error::StoreError;
pub use label::label_of;
pub use manifests::origin_of_layer;
#[cfg(feature = "sign")]
pub use oci_referrers::{OciReferrers, Seek};
pub use referrers::Referrers;
pub use sidecar::Sidecar;

use crate::oci::Descriptor;

/// A boxed future, so that stores can be used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What evidence is about, in the words of the place where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A file or a folder.
    Path(PathBuf),
    /// A manifest or index.
    Manifest(Box<Descriptor>),
}

/// A piece of evidence to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Deposit<'a> {
    /// A bundle's JSON.
    pub bundle: &'a [u8],
    /// A short name for it, where the place has names; by default what the
    /// bundle holds (see [`label_of`]). Letters, digits, `-` and `_`.
    pub label: Option<&'a str>,
    /// Replace another bundle that has the name already.
    pub force: bool,
}

impl<'a> Deposit<'a> {
    /// A bundle under its usual name, replacing nothing.
    pub const fn new(bundle: &'a [u8]) -> Self {
        Self {
            bundle,
            label: None,
            force: false,
        }
    }
}

/// Where a bundle was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The place, for people: a path, or `oci-layout:DIR@sha256:…`.
    pub origin: String,
    /// Whether it was there already.
    pub existed: bool,
    /// What keeps two who store at once from losing one of the two, where
    /// that depends on the place: `registry`, `exact` or `best-effort`.
    pub cas: Option<&'static str>,
}

/// A piece of evidence as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    /// The place, for people: a path, or `oci-layout:DIR@sha256:…`.
    pub origin: String,
    /// The bytes; empty where they could not be read or are not for this version.
    pub bytes: Vec<u8>,
    /// What the place says that the bytes are; nothing is proved by it.
    pub format: Format,
}

/// What a place says that a piece of evidence is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A Sigstore bundle.
    Bundle,
    /// cosign's signature before bundles: the bytes are the payload.
    SimpleSigning {
        /// Base64 of the signature over them.
        signature: String,
        /// Whether a certificate stands beside it.
        certificate: bool,
    },
    /// A DSSE envelope that is in no bundle.
    Envelope,
    /// Notation's signature.
    Notation {
        /// Whether the envelope is COSE; otherwise it is JWS.
        cose: bool,
    },
    /// An in-toto statement that nobody signed.
    Statement,
    /// Evidence of a kind that is listed and not verified yet, by name:
    /// `cosign-legacy SBOM attachment`, ….
    Foreign(String),
    /// It hangs on the subject, or says so, and is not what it says it is.
    Malformed(String),
    /// It is there and could not be read: a look-up that failed, of this piece
    /// alone.
    Unreadable(String),
}

impl Format {
    /// What it is, in words.
    pub fn in_words(&self) -> &str {
        match self {
            Self::Bundle => "bundle",
            Self::SimpleSigning { .. } => "cosign-legacy signature",
            Self::Envelope => "DSSE envelope outside of a bundle",
            Self::Notation { .. } => "Notation signature",
            Self::Statement => "in-toto statement that nobody signed",
            Self::Foreign(text) | Self::Malformed(text) | Self::Unreadable(text) => text,
        }
    }
}

/// A place that keeps evidence about artifacts.
///
/// Every adapter runs the contract in `attestations::tests`.
pub trait AttestationStore: Send + Sync {
    /// Stores a bundle about `subject`. Durable on return; storing the same
    /// bundle again changes nothing and says so; two at once lose nothing.
    ///
    /// # Errors
    /// `Bundle` where it is not one (nothing malformed is ever stored),
    /// `Exists` where another bundle has its name and `force` is not set,
    /// `NotHere` where the subject is not of this kind of place. After an
    /// error nothing is half written.
    fn put<'a>(
        &'a self,
        subject: &'a Subject,
        deposit: Deposit<'a>,
    ) -> BoxFuture<'a, Result<Stored, StoreError>>;

    /// Everything that is kept about `subject`, in a stable order, but for what
    /// [`AttestationStore::older`] lists. What is there and malformed is listed
    /// as such, never passed over.
    ///
    /// # Errors
    /// None being there is `Ok` and empty; not having been able to look is an
    /// error, and so is more than [`crate::limits::EVIDENCE`].
    fn list<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Result<Vec<Untrusted>, StoreError>>;

    /// What [`AttestationStore::list`] left out: what older tools keep about
    /// `subject` in places of their own that take a request each, and whatever
    /// else a place was asked to leave for later. Asked for where what is
    /// listed does not suffice, and everywhere looked at then. Empty where
    /// there is none such; one look-up may fail and others not.
    fn older<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> BoxFuture<'a, Vec<Result<Vec<Untrusted>, StoreError>>>;
}
