use std::fmt;

/// The purposes that need no further word.
pub const KNOWN: [&str; 6] = [
    "artifact-sign",
    "attest-sign",
    "image-sign",
    "model-sign",
    "release-sign",
    "sbom-sign",
];

/// What a key is for: the first segment of its path, fixed when it is made.
///
/// A purpose ending in `-sign` signs. `pki-ca` keys exist, but only the
/// certificate authority will use them; no other purpose can be made, so that
/// a misspelt one is noticed and not obeyed.
// req: P1, P11
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Purpose(String);

impl Purpose {
    /// The purpose of a key to be made; one outside [`KNOWN`] needs
    /// `new_purpose` and must end in `-sign`.
    ///
    /// # Errors
    /// `PurposeError` naming the purpose and what would be accepted.
    pub fn for_new_key(name: &str, new_purpose: bool) -> Result<Self, PurposeError> {
        if KNOWN.contains(&name) || name == "pki-ca" {
            return Ok(Self(name.to_owned()));
        }
        if name == "envelope-data" {
            return Err(PurposeError::NotYet(name.to_owned()));
        }
        let signs = name.len() > "-sign".len() && name.ends_with("-sign");
        match (signs, new_purpose) {
            (true, true) => Ok(Self(name.to_owned())),
            (true, false) => Err(PurposeError::Unknown(name.to_owned())),
            (false, _) => Err(PurposeError::NoUse(name.to_owned())),
        }
    }

    /// The purpose of a key that exists.
    pub fn of_existing(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether keys of this purpose sign artifacts and statements.
    pub fn signs(&self) -> bool {
        self.0.ends_with("-sign")
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a key of that purpose cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurposeError {
    /// It would sign, but nobody has heard of it.
    #[error("purpose {0:?} is not one of {known}", known = KNOWN.join(", "))]
    Unknown(String),
    /// No operation goes with it.
    #[error(
        "purpose {0:?} permits no operation: use one of {known}, or a name that ends in -sign",
        known = KNOWN.join(", ")
    )]
    NoUse(String),
    /// Part of the design, but not there yet.
    #[error("keys for {0:?} are symmetric, which this version does not hold")]
    NotYet(String),
}
