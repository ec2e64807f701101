//! From untrusted evidence to facts and a verdict: pure, synchronous, total.

mod check;
mod evidence;
mod facts;
mod keys;
mod model;
#[cfg(feature = "notation")]
mod notation;
#[cfg(not(feature = "notation"))]
#[path = "notation_absent.rs"]
mod notation;
mod plan;
mod reason;
mod signers;
mod simple;
mod stage;
mod verdict;

pub use check::{Checked, check};
pub use evidence::{Described, Evidence, EvidenceBody, NotationSigned, Observed, SimpleSigned};
pub use facts::{
    ArtifactFact, ArtifactKind, AttestationFact, CertificateFact, Facts, ModelFacts, ModelFile,
    SignatureFact, SignatureFormat, SignerKey, Verified,
};
pub use model::unsigned_files;
pub use plan::{Wants, plan};
pub use reason::{Reason, ReasonCode};
pub use stage::Stage;
pub use verdict::{ByPolicy, EvidenceReport, Outcome, PolicyId, SchemaName, Verdict};
