//! Proof that a log has grown from an earlier checkpoint, for whoever kept one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Place, checkpoint, proof_file};
use crate::ops::{Exit, Failure};
use crate::tlog::{ConsistencyProof, NoteKey};

/// The schema of [`Consistency`].
pub(super) const CONSISTENCY: &str = "obreia.audit-consistency/v1";

/// `obreia.audit-consistency/v1`: proof that a log begins with what an earlier
/// checkpoint covers; stands alone but for that checkpoint and the log's
/// public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// `obreia.audit-consistency/v1`
    pub schema: String,
    /// The log's name.
    pub log: String,
    /// The earlier checkpoint's size, in records.
    pub from: u64,
    /// What `c2sp.org/tlog-witness` has logs send to witnesses.
    pub proof: String,
}

/// Proves that the log has grown from its first `from` records.
///
/// # Errors
/// Where it has no checkpoint that covers as many, or does not prove it.
pub fn prove_growth(place: &Place, from: u64) -> Result<Consistency, Failure> {
    let log = place.open()?;
    let proof = log.prove_growth(from)?.ok_or_else(|| {
        Failure::new(
            Exit::Usage,
            format!("the log's signed checkpoint covers fewer than {from} records"),
        )
        .hint("give the size of an earlier checkpoint: its second line")
    })?;
    Ok(Consistency {
        schema: CONSISTENCY.to_owned(),
        log: log.origin().to_owned(),
        from,
        proof: proof.text(),
    })
}

/// `obreia.audit-consistency-check/v1`: what a proof of growth came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedGrowth {
    /// `obreia.audit-consistency-check/v1`
    pub schema: &'static str,
    /// `proven` or `not-proven`.
    pub verdict: &'static str,
    /// The log's name, as its key says.
    pub log: String,
    /// How many records the earlier checkpoint covers.
    pub from: u64,
    /// How many the newer one covers, where it is proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Checks a proof of growth from the checkpoint that was kept.
///
/// # Errors
/// Where the proof or the checkpoint cannot be read, and where it is not one
/// earlier checkpoint; a proof that proves nothing is an answer.
pub(super) fn check(
    file: &Path,
    bytes: &[u8],
    key: &NoteKey,
    earlier: &[PathBuf],
) -> Result<CheckedGrowth, Failure> {
    let proof: Consistency = proof_file(file, bytes)?;
    let [earlier] = earlier else {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{} proves growth from one earlier checkpoint, and {} are given",
                file.display(),
                earlier.len()
            ),
        )
        .hint("give the checkpoint that was kept with: --extends FILE"));
    };
    let earlier = checkpoint(earlier, key)?;
    let checked = ConsistencyProof::parse(&proof.proof).and_then(|p| p.verify(&earlier, key));
    let (size, problem) = match checked {
        Ok(newer) => (Some(newer.size), None),
        Err(e) => (None, Some(e.to_string())),
    };
    Ok(CheckedGrowth {
        schema: "obreia.audit-consistency-check/v1",
        verdict: if problem.is_none() {
            "proven"
        } else {
            "not-proven"
        },
        log: key.name().to_owned(),
        from: earlier.size,
        size,
        problem,
    })
}
