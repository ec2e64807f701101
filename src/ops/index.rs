//! Indexes: which image of one is meant, and what holds for those below it.

use super::gather::{Gathered, Reading};
use super::remote::{self, Named};
use super::together::{Under, together};
use super::verify::{Request, alone};
use super::{Exit, Failure};
use crate::digest::{Digest, Identity};
use crate::limits;
use crate::oci::{Descriptor, Platform, media_type};
use crate::policy::{self, Below, OfIndex, Policy};
use crate::reference::{ArtifactRef, Select};
use crate::source::Progress;
use crate::source::layout::Layout;
use crate::verify::{ArtifactFact, ArtifactKind, Outcome, Reason, ReasonCode, SchemaName, Verdict};

/// Images below one index that are verified at the same time.
const AT_ONCE: usize = 8;

/// What is judged where a platform was asked for.
pub(super) enum Meant {
    /// What was named.
    Whole,
    /// An image below the index that was named.
    Image(Box<ArtifactRef>, Box<Descriptor>),
    /// Nothing: there is none for the platform.
    Missing(String),
}

/// Finds the image for the platform that was asked for, where nobody asks for
/// the index that lists it, or for all of its images.
pub(super) async fn meant(request: &Request<'_>) -> Result<Meant, Failure> {
    let Some(wanted) = request.platform else {
        return Ok(Meant::Whole);
    };
    let others = request.policies.iter().any(|policy| {
        let (name, stage) = (&request.reading.called(), request.stage);
        policy.speaks(&[ArtifactKind::Image], name, stage)
            && !policy.is_for_key()
            && policy.of_index() != OfIndex::Platform
    });
    if others {
        return Ok(Meant::Whole);
    }
    let Some((index, below)) = entries(&request.reading).await? else {
        return Ok(Meant::Whole);
    };
    let fits = images(&below).filter(|entry| is_for(entry, wanted));
    let mut fits: Vec<&Descriptor> = fits.collect();
    match (fits.pop(), fits.is_empty()) {
        (Some(entry), true) => {
            let image = below_it(request.reading.artifact, entry.digest);
            Ok(Meant::Image(Box::new(image), Box::new(entry.clone())))
        }
        (None, _) => Ok(Meant::Missing(format!("the index {index} lists none"))),
        (Some(_), false) => Err(Failure::new(
            Exit::Usage,
            format!("the index {index} lists more than one image for {wanted}"),
        )
        .hint("name the variant too: OS/ARCHITECTURE/VARIANT, or the image by its digest")),
    }
}

/// What an index is and what is below it; `None` for what is no index.
async fn entries(reading: &Reading<'_>) -> Result<Option<(Digest, Vec<Descriptor>)>, Failure> {
    match reading.artifact {
        ArtifactRef::Registry {
            host,
            repository,
            select,
        } => {
            let named = Named {
                host,
                repository,
                select,
            };
            remote::index(named, reading.registries).await
        }
        ArtifactRef::Layout { dir, select } => {
            let layout = Layout::open(dir)?;
            let resolved = layout.resolve(select)?;
            if !media_type::is_index(resolved.document.media_type()) {
                return Ok(None);
            }
            let below = layout.children(&resolved.document)?;
            Ok(Some((resolved.descriptor.digest, below)))
        }
        other => Err(Failure::new(
            Exit::Usage,
            format!("{other} is no image, so --platform selects nothing"),
        )
        .hint("leave --platform out")),
    }
}

/// Images for machines: neither indexes in it, nor what BuildKit says about others.
fn images(below: &[Descriptor]) -> impl Iterator<Item = &Descriptor> {
    below
        .iter()
        .filter(|entry| !media_type::is_index(&entry.media_type))
        .filter(|entry| !entry.is_buildkits_attestation())
}

fn is_for(entry: &Descriptor, wanted: &Platform) -> bool {
    let platform = entry.platform.as_ref();
    platform.is_some_and(|platform| platform.is_for(wanted))
}

fn below_it(index: &ArtifactRef, digest: Digest) -> ArtifactRef {
    let mut image = index.clone();
    if let ArtifactRef::Registry { select, .. } | ArtifactRef::Layout { select, .. } = &mut image {
        *select = Select::Digest(digest);
    }
    image
}

/// The index says what it likes: an image is for the machines that its own
/// configuration names, which its digest covers.
pub(super) async fn check_platform(
    reading: &Reading<'_>,
    wanted: &Platform,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    let found = match reading.artifact {
        ArtifactRef::Registry {
            host, repository, ..
        } => {
            let select = Select::Digest(*verdict.artifact.identity.digest());
            let named = Named {
                host,
                repository,
                select: &select,
            };
            remote::platform(named, reading.registries).await?
        }
        ArtifactRef::Layout { dir, select } => {
            let layout = Layout::open(dir)?;
            layout.platform(&layout.resolve(select)?.document)?
        }
        _ => None,
    };
    verdict.artifact.platform = found.as_ref().map(ToString::to_string);
    match found {
        Some(found) if found.is_for(wanted) => {}
        Some(found) => missing(
            verdict,
            format!("the image is for {found}, not for {wanted}"),
        ),
        None => missing(
            verdict,
            format!("the image does not say what it is for, and {wanted} was asked for"),
        ),
    }
    Ok(())
}

/// Denies: what was asked for is not there.
pub(super) fn missing(verdict: &mut Verdict, detail: String) {
    verdict.outcome = Outcome::Denied;
    let reason = Reason::new(ReasonCode::PlatformMissing, detail);
    let reason = reason.hint("obreia tree shows which platforms there are");
    verdict.reasons.insert(0, reason);
}

/// Says what holds for each image below an index, where that is asked for, and
/// what policies make of it that ask for more than the index.
pub(super) async fn finish(
    request: &Request<'_>,
    gathered: &Gathered,
    mut verdict: Verdict,
    progress: &dyn Progress,
) -> Result<Verdict, Failure> {
    let name = &gathered.artifact.name;
    let selected = policy::select(request.policies, &gathered.kinds, name, request.stage)?;
    let asking: Vec<&Policy> = selected
        .into_iter()
        .filter(|policy| policy.of_index() != OfIndex::Index)
        .collect();
    if asking.is_empty() && !request.children && request.platform.is_none() {
        return Ok(verdict);
    }
    let below = match gathered.below().await {
        Ok(Some(below)) => below,
        Ok(None) => return Ok(verdict),
        Err(failure) if asking.is_empty() => {
            let detail = format!(
                "what is below the index was not looked at: {}",
                failure.what
            );
            let note = Reason::new(ReasonCode::EvidenceUnreadable, detail);
            verdict.notes.push(note);
            return Ok(verdict);
        }
        Err(failure) => return Err(failure),
    };
    if let Some(policy) = asking
        .iter()
        .find(|policy| policy.of_index() == OfIndex::Platform && request.platform.is_none())
    {
        let what = format!(
            "policy {:?} asks for the image of the selected platform, and {name} is an index",
            policy.id.name
        );
        return Err(Failure::new(Exit::Usage, what)
            .hint("select it with --platform OS/ARCHITECTURE, or name it by its digest"));
    }
    let each: Vec<&Descriptor> = images(&below).collect();
    if each.len() > limits::CHILDREN {
        let detail = format!(
            "{} images are below the index, at most {} are verified each by itself",
            each.len(),
            limits::CHILDREN
        );
        let reason = Reason::new(ReasonCode::LimitExceeded, detail);
        match asking.is_empty() {
            true => verdict.notes.push(reason),
            false => {
                verdict.outcome = verdict.outcome.and(Outcome::Undetermined);
                verdict.reasons.push(reason);
            }
        }
        return Ok(verdict);
    }
    let all = each
        .iter()
        .map(|entry| -> Under<'_, Verdict> { Box::pin(by_itself(request, name, entry, progress)) });
    verdict.children = together(AT_ONCE, all).await;
    if let Some(wanted) = request.platform
        && !each.iter().any(|entry| is_for(entry, wanted))
    {
        missing(
            &mut verdict,
            format!("the index lists no image for {wanted}"),
        );
    }
    for policy in asking {
        let said: Vec<Below<'_>> = each
            .iter()
            .zip(&verdict.children)
            .map(|(entry, child)| below_as(policy, entry, child, request.platform))
            .collect();
        let (outcome, reasons) = policy::of_index(policy, &said);
        verdict.outcome = verdict.outcome.and(outcome);
        verdict.reasons.extend(reasons);
    }
    verdict.would_deny |= verdict.children.iter().any(|child| child.would_deny);
    Ok(verdict)
}

fn below_as<'a>(
    policy: &Policy,
    entry: &Descriptor,
    child: &'a Verdict,
    platform: Option<&Platform>,
) -> Below<'a> {
    let name = &policy.id.name;
    let said = child.by_policy.iter().find(|(by, _)| by == name);
    let of_policy = |reason: &&Reason| reason.policy.as_ref().is_none_or(|by| by == name);
    Below {
        name: match &entry.platform {
            Some(platform) => format!("{platform} {}", entry.digest),
            None => entry.digest.to_string(),
        },
        // One that was not held against the policy did not meet it.
        outcome: said.map_or(child.outcome.and(Outcome::Undetermined), |(_, outcome)| {
            *outcome
        }),
        reasons: child.reasons.iter().filter(of_policy).collect(),
        selected: platform.is_some_and(|wanted| is_for(entry, wanted)),
    }
}

/// The verdict about one image below an index. What cannot be read there is
/// undetermined, and no reason to say nothing of the others.
async fn by_itself(
    request: &Request<'_>,
    name: &str,
    entry: &Descriptor,
    progress: &dyn Progress,
) -> Verdict {
    let artifact = below_it(request.reading.artifact, entry.digest);
    let image = Request {
        reading: Reading {
            artifact: &artifact,
            name: Some(name),
            ..request.reading.clone()
        },
        listed: Some(entry),
        children: false,
        platform: None,
        ..request.clone()
    };
    let platform = entry.platform.as_ref().map(ToString::to_string);
    match alone(&image, progress).await {
        Ok((_, mut verdict)) => {
            verdict.artifact.platform = verdict.artifact.platform.or(platform);
            verdict
        }
        Err(failure) => unread(request, name, entry, platform, &failure),
    }
}

fn unread(
    request: &Request<'_>,
    name: &str,
    entry: &Descriptor,
    platform: Option<String>,
    failure: &Failure,
) -> Verdict {
    let known = ReasonCode::ALL
        .iter()
        .find(|code| Some(code.as_str()) == failure.code);
    let detail = match &failure.cause {
        Some(cause) => format!("{}: {cause}", failure.what),
        None => failure.what.clone(),
    };
    let code = known.copied().unwrap_or(ReasonCode::ArtifactUnreadable);
    let identity = Identity::Content(entry.digest);
    Verdict {
        schema: SchemaName,
        outcome: Outcome::Undetermined,
        artifact: ArtifactFact {
            kind: ArtifactKind::Image,
            name: name.to_owned(),
            read_as: "index",
            identity,
            digests: vec![identity],
            content: None,
            size: Some(entry.size),
            platform,
            media_type: Some(entry.media_type.clone()),
        },
        stage: request.stage,
        policies: Vec::new(),
        reasons: vec![Reason::new(code, detail)],
        notes: Vec::new(),
        evidence: Vec::new(),
        nearest: Vec::new(),
        unsigned_files: Vec::new(),
        would_deny: false,
        children: Vec::new(),
        checked_at: request.now,
        by_policy: Vec::new(),
    }
}
