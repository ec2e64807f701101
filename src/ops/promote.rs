//! `obreia promote`: into production, only what its policies allow.
//!
//! 1. The source's tag becomes a digest, once.
//! 2. The artifact is verified at the source, at stage promotion.
//! 3. Everything that belongs to it is copied by digest and compared.
//! 4. It is verified again where it is now, with what is there about it.
//! 5. The tag moves.
//!
//! Interrupted anywhere, the destination's tag stands where it stood, and the
//! next run goes on.

use serde::Serialize;

use super::copy::{self, Copied, Place};
use super::{Failure, gather, verify};
use crate::digest::Digest;
use crate::policy::Policy;
use crate::reference::{ArtifactRef, Select};
use crate::source::Progress;
use crate::source::layout::Layout;
use crate::source::registry::Registries;
use crate::source::tree::Symlinks;
use crate::time::Timestamp;
use crate::verify::{Outcome, Stage, Verdict};

/// What is to be promoted, and by whose word.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Where from.
    pub source: &'a Place,
    /// Where to.
    pub destination: &'a Place,
    /// What policies call it: by default the destination, as given.
    pub name: &'a str,
    /// The policies; those that match must all pass.
    pub policies: &'a [Policy],
    /// The time to decide for.
    pub now: Timestamp,
}

/// What came of it: `obreia.promotion/v1`.
#[derive(Debug, Serialize)]
pub struct Promotion {
    schema: &'static str,
    /// Whether the destination has it under its tag now.
    pub promoted: bool,
    /// Where from, by digest.
    pub source: String,
    /// The artifact.
    pub digest: Digest,
    /// What was copied; nothing where the source was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied: Option<Copied>,
    /// The verdict at the source.
    pub at_source: Verdict,
    /// The verdict at the destination, before its tag was moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_destination: Option<Verdict>,
}

impl Promotion {
    /// The verdict that counts: the last that was reached.
    pub fn verdict(&self) -> &Verdict {
        self.at_destination.as_ref().unwrap_or(&self.at_source)
    }
}

/// Verifies, copies, verifies, and moves the tag.
///
/// # Errors
/// Where something cannot be read or written, or the question cannot be put.
/// A refusal is no error: it is in the answer.
pub async fn promote(request: &Request<'_>, progress: &dyn Progress) -> Result<Promotion, Failure> {
    let found = copy::find(request.source)?;
    let digest = found.resolved.descriptor.digest;
    let tag = copy::tag_at(request.destination, request.source, &found)?;
    let at_source = verdict(request, request.source, digest, true, progress).await?;
    let mut promotion = Promotion {
        schema: "obreia.promotion/v1",
        promoted: false,
        source: found.layout.origin(&digest),
        digest,
        copied: None,
        at_source,
        at_destination: None,
    };
    if promotion.at_source.outcome != Outcome::Allowed {
        return Ok(promotion);
    }
    let layout = Layout::create(&request.destination.dir)?;
    let moved = layout.take(&found.layout, &found.closure, progress)?;
    let there = verdict(request, request.destination, digest, false, progress).await?;
    let allowed = there.outcome == Outcome::Allowed;
    promotion.at_destination = Some(there);
    if allowed && let Some(tag) = &tag {
        layout.tag(tag, &found.resolved.descriptor)?;
    }
    promotion.promoted = allowed;
    promotion.copied = Some(copy::report(
        &found,
        request.destination,
        tag.filter(|_| allowed),
        moved,
        false,
    ));
    Ok(promotion)
}

async fn verdict(
    request: &Request<'_>,
    place: &Place,
    digest: Digest,
    source_of_promotion: bool,
    progress: &dyn Progress,
) -> Result<Verdict, Failure> {
    let artifact = ArtifactRef::Layout {
        dir: place.dir.display().to_string(),
        select: Select::Digest(digest),
    };
    let registries = Registries::default();
    let request = verify::Request {
        reading: gather::Reading {
            artifact: &artifact,
            name: Some(request.name),
            kind: None,
            symlinks: Symlinks::Refuse,
            bundles: &[],
            signature: None,
            into: None,
            // Between layouts alone.
            registries: &registries,
        },
        policies: request.policies,
        stage: Stage::Promotion,
        now: request.now,
        source_of_promotion,
        everywhere: false,
    };
    verify::verify(&request, progress).await
}
