//! Reason codes: the closed, stable list of why a verdict is what it is.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// Why something was denied, could not be decided, or is worth knowing.
        ///
        /// The text form is stable: scripts match on it. Every code has a
        /// section in `docs/reasons.md` and a case in the tests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ReasonCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as text, kebab-case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

reasons! {
    /// The signature was not made over these bytes by this key.
    SignatureInvalid = "signature-invalid",
    /// Nothing that counts as a signature was found, and every place was looked at.
    NoSignature = "no-signature",
    /// The signature is about other bytes.
    DigestMismatch = "digest-mismatch",
    /// The bundle states a digest that is not the one it signed.
    MessageDigestMismatch = "message-digest-mismatch",
    /// The signer is not an authority of the policy.
    KeyNotTrusted = "key-not-trusted",
    /// The signer's key was revoked.
    KeyRevoked = "key-revoked",
    /// The signer's certificates lead to none that is trusted.
    CertificateNotTrusted = "certificate-not-trusted",
    /// The signer's certificates were not valid at the time that matters.
    CertificateExpired = "certificate-expired",
    /// The signer's certificates are no chain that holds.
    CertificateInvalid = "certificate-invalid",
    /// The signer's certificate is not for signing code.
    CertificatePurpose = "certificate-purpose",
    /// Whether the signer's certificates were revoked was not looked up.
    RevocationNotChecked = "revocation-not-checked",
    /// The signer does not stand by the signature any more.
    SignatureExpired = "signature-expired",
    /// The signer demands that something is understood which is not.
    CriticalHeader = "critical-header",
    /// The timestamp is about something else than the signature beside it.
    TimestampMismatch = "timestamp-mismatch",
    /// The timestamp is by somebody who is not trusted with it.
    TimestampNotTrusted = "timestamp-not-trusted",
    /// The timestamp is none, or does not hold.
    TimestampInvalid = "timestamp-invalid",
    /// The key cannot have made a signature of that scheme.
    SchemeMismatch = "scheme-mismatch",
    /// Fewer distinct signers than the policy asks for.
    ThresholdNotMet = "threshold-not-met",
    /// The bundle is not readable as one.
    BundleMalformed = "bundle-malformed",
    /// The bundle is of a kind that this policy or this version does not accept.
    FormatNotAllowed = "format-not-allowed",
    /// The envelope's payload is not an in-toto statement.
    PayloadType = "payload-type",
    /// The signed statement is not readable as one.
    StatementMalformed = "statement-malformed",
    /// A signed predicate breaks its own specification.
    PredicateInvalid = "predicate-invalid",
    /// A file that the signature covers differs.
    ModelFileChanged = "model-file-changed",
    /// A file that the signature covers is not there.
    ModelFileMissing = "model-file-missing",
    /// A file stands in the model that the signature does not cover.
    UnsignedFiles = "unsigned-files",
    /// An attestation that the policy demands was not found.
    NoAttestation = "no-attestation",
    /// A signature or an attestation is older than the policy allows.
    TooOld = "too-old",
    /// The policy needs to know when, and no trusted source says so.
    TimeUntrusted = "time-untrusted",
    /// No signed claim binds the artifact to this stage or repository.
    BindingMissing = "binding-missing",
    /// No policy matches the artifact at this stage.
    NoPolicy = "no-policy",
    /// A policy's rules said no.
    PolicyDenied = "policy-denied",
    /// A policy's rules could not be evaluated to a yes.
    RulesFailed = "rules-failed",
    /// What was verified can change before it is used.
    Mutable = "mutable",
    /// An image at startup must be named by digest.
    ImageNotPinned = "image-not-pinned",
    /// What the verdict does not prove: which image the node runs.
    ImageNotProven = "image-not-proven",
    /// A piece of evidence that is somebody else's could not be read; it changes nothing.
    EvidenceIgnored = "evidence-ignored",
    /// Evidence could not be looked up, so its absence proves nothing.
    EvidenceUnreadable = "evidence-unreadable",
    /// The registry could not be asked.
    RegistryUnreachable = "registry-unreachable",
    /// The registry does not permit what was asked.
    RegistryDenied = "registry-denied",
    /// The registry's answer is not what it should be.
    RegistryMalformed = "registry-malformed",
    /// The artifact could not be read.
    ArtifactUnreadable = "artifact-unreadable",
    /// The artifact changed while it was read.
    ArtifactChanged = "artifact-changed",
    /// Something is larger, deeper or more numerous than what is read.
    LimitExceeded = "limit-exceeded",
    /// The message is too large for the scheme that signed it.
    MessageTooLarge = "message-too-large",
    /// An image below the index does not meet a policy that asks for every one.
    ChildDenied = "child-denied",
    /// There is no image for the platform that was asked for.
    PlatformMissing = "platform-missing",
    /// The policy only warns; it would have denied.
    WouldDeny = "would-deny",
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One reason, told so that a person knows what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What kind of reason.
    pub code: ReasonCode,
    /// What exactly was found, naming the input.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// The policy that says so, where it is one's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl Reason {
    /// A reason without a hint.
    pub fn new(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: String::new(),
            policy: None,
        }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}
