//! From untrusted evidence to facts and a verdict: pure, synchronous, total.

mod check;
mod evidence;
mod facts;
mod keys;
mod model;
mod plan;
mod reason;
mod simple;
mod stage;
mod verdict;

pub use check::{Checked, check};
pub use evidence::{Evidence, EvidenceBody, Observed, SimpleSigned};
pub use facts::{
    ArtifactFact, ArtifactKind, AttestationFact, Facts, ModelFacts, ModelFile, SignatureFact,
    SignatureFormat, SignerKey, Verified,
};
pub use model::unsigned_files;
pub use plan::{Wants, plan};
pub use reason::{Reason, ReasonCode};
pub use stage::Stage;
pub use verdict::{EvidenceReport, Outcome, PolicyId, SchemaName, Verdict};
