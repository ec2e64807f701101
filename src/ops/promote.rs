//! `obreia promote`: into production, only what its policies allow.
//!
//! 1. The source's tag becomes a digest, once.
//! 2. The artifact is verified at the source, at stage promotion.
//! 3. Everything that belongs to it is copied by digest and compared.
//! 4. It is verified again where it is now, with what is there about it.
//! 5. The tag moves, from where it led at the beginning.
//!
//! Interrupted anywhere, the destination's tag stands where it stood, and the
//! next run goes on. What could not be looked up moves no tag.

use serde::Serialize;

use super::copy::{Copied, Spot};
use super::transfer::{self, Store};
use super::{Exit, Failure, gather, verify};
use crate::digest::Digest;
use crate::policy::Policy;
use crate::source::Progress;
use crate::source::layout::Flip;
use crate::source::registry::Registries;
use crate::source::tree::Symlinks;
use crate::time::Timestamp;
use crate::verify::{Outcome, Stage, Verdict};

/// What the destination's tag is expected to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// What it leads to when the promotion begins.
    AsFound,
    /// This, or nothing at all.
    Exactly(Option<Digest>),
}

/// What is to be promoted, and by whose word.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Where from.
    pub source: &'a Spot,
    /// Where to.
    pub destination: &'a Spot,
    /// What policies call it: by default the destination.
    pub name: Option<&'a str>,
    /// The policies; those that match must all pass.
    pub policies: &'a [Policy],
    /// What the tag must lead to for being moved.
    pub expected: Expected,
    /// How registries are reached.
    pub registries: &'a Registries,
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
    /// What the destination's tag led to before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// What kept others from moving the tag in between: `exact`, or
    /// `best-effort` where the registry compares nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cas: Option<&'static str>,
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
/// Where something cannot be read or written, the question cannot be put, or
/// the tag leads elsewhere than expected (`tag-moved`). A refusal by policies
/// is no error: it is in the answer.
pub async fn promote(request: &Request<'_>, progress: &dyn Progress) -> Result<Promotion, Failure> {
    request.destination.tag()?;
    let found = transfer::find(request.source, request.registries).await;
    let found = found.map_err(verify::unasked)?;
    let digest = found.resolved.descriptor.digest;
    let tag = found.tag_at(request.destination)?;
    let previous = previous(request, tag.as_deref(), digest).await?;
    let at_source = verdict(request, request.source, digest, true, progress).await?;
    let mut promotion = Promotion {
        schema: "obreia.promotion/v1",
        promoted: false,
        source: found.from.origin(&digest),
        digest,
        previous,
        cas: None,
        copied: None,
        at_source,
        at_destination: None,
    };
    if promotion.at_source.outcome != Outcome::Allowed {
        return Ok(promotion);
    }
    let to = Store::create(request.destination, request.registries)?;
    let moved = found.carry(&to, progress).await?;
    let there = verdict(request, request.destination, digest, false, progress).await?;
    let allowed = there.outcome == Outcome::Allowed;
    promotion.at_destination = Some(there);
    let tag = tag.filter(|_| allowed);
    if let Some(tag) = &tag {
        let (flip, cas) = to.flip(tag, &found.resolved, previous.as_ref()).await?;
        if let Flip::Other(now) = flip {
            return Err(elsewhere(&to.tagged(tag), now, previous));
        }
        promotion.cas = Some(cas.as_str());
    }
    promotion.promoted = allowed;
    let shown = match &tag {
        Some(tag) => to.tagged(tag),
        None => to.origin(&digest),
    };
    promotion.copied = Some(found.report(shown, tag, moved, false));
    Ok(promotion)
}

/// What the tag leads to now, which it must go on to lead to until it is
/// moved. A look-up that fails is no absence.
async fn previous(
    request: &Request<'_>,
    tag: Option<&str>,
    digest: Digest,
) -> Result<Option<Digest>, Failure> {
    let Some(tag) = tag else {
        return match request.expected {
            Expected::AsFound => Ok(None),
            Expected::Exactly(_) => Err(Failure::new(
                Exit::Usage,
                "there is no tag of which anything could be expected",
            )
            .hint("name the destination with a tag")),
        };
    };
    let is_there = match request.destination {
        // One that is not there yet is made when something is copied to it.
        Spot::Layout(place) => place.dir.join("oci-layout").symlink_metadata().is_ok(),
        Spot::Registry { .. } => true,
    };
    let (found, shown) = if is_there {
        let to = Store::open(request.destination, request.registries)?;
        let found = to.tag_now(tag).await.map_err(verify::unasked)?;
        (found, to.tagged(tag))
    } else {
        (None, request.destination.to_string())
    };
    match request.expected {
        // What is there already was promoted by an earlier run.
        Expected::Exactly(expected) if found != expected && found != Some(digest) => Err(Failure {
            exit: Exit::Denied,
            ..elsewhere(&shown, found, expected)
        }),
        _ => Ok(found),
    }
}

fn elsewhere(tag: &str, found: Option<Digest>, expected: Option<Digest>) -> Failure {
    let named = |digest: Option<Digest>| match digest {
        Some(digest) => digest.to_string(),
        None => "nothing".to_owned(),
    };
    Failure::new(
        Exit::Undetermined,
        format!("{tag} leads elsewhere than expected, and was not moved"),
    )
    .code("tag-moved")
    .cause(format!(
        "it leads to {}, and not to {}",
        named(found),
        named(expected)
    ))
    .hint("see who moved it and to what; then promote again")
}

async fn verdict(
    request: &Request<'_>,
    place: &Spot,
    digest: Digest,
    source_of_promotion: bool,
    progress: &dyn Progress,
) -> Result<Verdict, Failure> {
    let artifact = place.at(digest);
    let name = match request.name {
        Some(name) => name.to_owned(),
        None => request.destination.to_string(),
    };
    let request = verify::Request {
        reading: gather::Reading {
            artifact: &artifact,
            name: Some(&name),
            kind: None,
            symlinks: Symlinks::Refuse,
            bundles: &[],
            signature: None,
            into: None,
            registries: request.registries,
        },
        policies: request.policies,
        stage: Stage::Promotion,
        now: request.now,
        source_of_promotion,
        everywhere: false,
        platform: None,
        children: false,
        listed: None,
        named: None,
    };
    verify::verify(&request, progress).await
}
