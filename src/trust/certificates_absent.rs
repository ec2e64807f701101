//! A build without certificates trusts none, and says so.

use serde_json::Value;

const ABSENT: &str =
    "certificates take a build with feature notation, which this one was made without";

/// Files of certificates and patterns of subjects, before they are looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Who vouches for signers: each file's name and bytes.
    pub roots: Vec<(String, Vec<u8>)>,
    /// Who vouches for signers that vouch for their time of signing.
    pub signing_authority_roots: Vec<(String, Vec<u8>)>,
    /// Who vouches for timestamps.
    pub timestamp_roots: Vec<(String, Vec<u8>)>,
    /// Which signers are meant; any one of them.
    pub subjects: Vec<String>,
}

/// Whose certificates speak for an authority: nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateTrust {}

impl CertificateTrust {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn read(_: &Given) -> Result<Self, String> {
        Err(ABSENT.to_owned())
    }

    /// Of nobody.
    pub fn describe(&self) -> Value {
        match *self {}
    }
}

/// Refuses.
///
/// # Errors
/// Always.
pub fn pem_of(_: &[u8]) -> Result<Vec<String>, String> {
    Err(ABSENT.to_owned())
}
