//! Indexes: which image of one is meant, and what holds for those below it.

use std::collections::BTreeSet;

use super::gather::{Gathered, Reading};
use super::remote::{self, Named};
use super::together::{Under, together};
use super::verify::{Request, alone};
use super::{Exit, Failure};
use crate::digest::{Digest, Identity};
use crate::limits;
use crate::oci::{Descriptor, Document, Platform, media_type};
use crate::policy::{self, Below, OfIndex, Policy};
use crate::reference::{ArtifactRef, Select};
use crate::source::Progress;
use crate::source::layout::Layout;
use crate::verify::{ArtifactFact, ArtifactKind, Outcome, Reason, ReasonCode, SchemaName, Verdict};

/// Images below one index that are verified at the same time.
const AT_ONCE: usize = 8;

/// What is judged where a platform was asked for. Where that had to be read, it
/// is named by its digest: a tag is asked for once.
pub(super) enum Meant {
    /// What was named.
    Whole(Box<ArtifactRef>),
    /// An image below the index that was named.
    Image(Box<ArtifactRef>, Box<Descriptor>),
    /// Nothing: there is none for the platform below this.
    Missing(Box<ArtifactRef>, String),
}

/// Finds the image for the platform that was asked for, where nobody asks for
/// the index that lists it, or for all of its images.
pub(super) async fn meant(request: &Request<'_>) -> Result<Meant, Failure> {
    let artifact = request.reading.artifact;
    let whole = || Ok(Meant::Whole(Box::new(artifact.clone())));
    let Some(wanted) = request.platform else {
        return whole();
    };
    let others = request.policies.iter().any(|policy| {
        let (name, stage) = (&request.reading.called(), request.stage);
        policy.speaks(&[ArtifactKind::Image], name, stage)
            && !policy.is_for_key()
            && policy.of_index() != OfIndex::Platform
    });
    if others {
        return whole();
    }
    let (index, below) = entries(&request.reading).await?;
    let named = Box::new(below_it(artifact, index));
    let Some(below) = below else {
        return Ok(Meant::Whole(named));
    };
    let mut seen = BTreeSet::new();
    let fits = images(&below).filter(|entry| is_for(entry, wanted));
    let mut fits: Vec<&Descriptor> = fits.filter(|entry| seen.insert(entry.digest)).collect();
    match (fits.pop(), fits.is_empty()) {
        (Some(entry), true) => {
            let image = below_it(artifact, entry.digest);
            Ok(Meant::Image(Box::new(image), Box::new(entry.clone())))
        }
        (None, _) => {
            let detail = format!("the index {index} lists no image for {wanted}");
            Ok(Meant::Missing(named, detail))
        }
        (Some(_), false) => Err(Failure::new(
            Exit::Usage,
            format!("the index {index} lists more than one image for {wanted}"),
        )
        .hint("name the variant too: OS/ARCHITECTURE/VARIANT, or the image by its digest")),
    }
}

/// What was named, by digest, and every entry below it; `None` where it is no index.
async fn entries(reading: &Reading<'_>) -> Result<(Digest, Option<Vec<Descriptor>>), Failure> {
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
            let below = match &resolved.document {
                Document::Index(_) => Some(layout.entries(&resolved.document)?),
                Document::Manifest(_) => None,
            };
            Ok((resolved.descriptor.digest, below))
        }
        other => Err(Failure::new(
            Exit::Usage,
            format!("{other} is no image, so --platform selects nothing"),
        )
        .hint("leave --platform out")),
    }
}

/// Entries that a machine may choose, each as often as it is listed: neither
/// indexes, nor what BuildKit says about others. Whatever kind one is said to
/// be of, there are machines that run what its digest leads to.
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

/// For which machines the manifest of that digest says that it is.
async fn platform_of(reading: &Reading<'_>, digest: Digest) -> Result<Option<Platform>, Failure> {
    let select = &Select::Digest(digest);
    match reading.artifact {
        ArtifactRef::Registry {
            host, repository, ..
        } => {
            let named = Named {
                host,
                repository,
                select,
            };
            remote::platform(named, reading.registries).await
        }
        ArtifactRef::Layout { dir, .. } => {
            let layout = Layout::open(dir)?;
            Ok(layout.platform(&layout.resolve(select)?.document)?)
        }
        _ => Ok(None),
    }
}

/// The index says what it likes: an image is for the machines that its own
/// configuration names, which its digest covers.
pub(super) async fn check_platform(
    reading: &Reading<'_>,
    wanted: &Platform,
    verdict: &mut Verdict,
) -> Result<(), Failure> {
    let found = platform_of(reading, *verdict.artifact.identity.digest()).await?;
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
    let below = match (
        gathered.below(request.platform.is_some()).await,
        request.platform,
    ) {
        (Ok(Some(below)), _) => below,
        // It is an image itself.
        (Ok(None), Some(wanted)) => {
            check_platform(&request.reading, wanted, &mut verdict).await?;
            return Ok(verdict);
        }
        (Ok(None), None) => return Ok(verdict),
        (Err(failure), platform) if asking.is_empty() => {
            let detail = format!(
                "what is below the index was not looked at: {}",
                failure.what
            );
            let reason = Reason::new(code_of(&failure), detail);
            match platform {
                // What was not looked at may be there.
                Some(_) => doubt(&mut verdict, reason),
                None => verdict.notes.push(reason),
            }
            return Ok(verdict);
        }
        (Err(failure), _) => return Err(failure),
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
    let mut selected: BTreeSet<Digest> = match request.platform {
        Some(wanted) => images(&below)
            .filter(|entry| is_for(entry, wanted))
            .map(|entry| entry.digest)
            .collect(),
        None => BTreeSet::new(),
    };
    if let Some(wanted) = request.platform
        && selected.is_empty()
    {
        missing(
            &mut verdict,
            format!("the index lists no image for {wanted}"),
        );
    }
    let mut seen = BTreeSet::new();
    let each: Vec<&Descriptor> = images(&below)
        .filter(|entry| media_type::is_manifest(&entry.media_type))
        .filter(|entry| seen.insert(entry.digest))
        .collect();
    if each.len() > limits::CHILDREN {
        let detail = format!(
            "{} images are below the index, at most {} are verified each by itself",
            each.len(),
            limits::CHILDREN
        );
        let reason = Reason::new(ReasonCode::LimitExceeded, detail);
        match asking.is_empty() {
            true => verdict.notes.push(reason),
            false => doubt(&mut verdict, reason),
        }
        return Ok(verdict);
    }
    let all = each
        .iter()
        .map(|entry| -> Under<'_, Verdict> { Box::pin(by_itself(request, name, entry, progress)) });
    verdict.children = together(AT_ONCE, all).await;
    if let Some(wanted) = request.platform
        && !asking.is_empty()
    {
        // Nobody signed what the index says of platforms.
        prove(request, wanted, &mut selected, &mut verdict).await;
    }
    for policy in asking {
        let said: Vec<Below<'_>> = each
            .iter()
            .zip(&verdict.children)
            .map(|(entry, child)| below_as(policy, entry, child, selected.contains(&entry.digest)))
            .collect();
        let asked = said
            .iter()
            .filter(|one| one.selected || policy.of_index() == OfIndex::Every);
        verdict.would_deny |= asked.clone().any(|one| one.would_deny);
        let (outcome, reasons) = policy::of_index(policy, &said);
        verdict.outcome = verdict.outcome.and(outcome);
        verdict.reasons.extend(reasons);
        if policy.of_index() == OfIndex::Every {
            deny_unknown(policy, &below, &mut verdict);
        }
    }
    Ok(verdict)
}

/// Leaves those selected whose own configuration is for that platform; where
/// that is none, what was asked for is not there.
async fn prove(
    request: &Request<'_>,
    wanted: &Platform,
    selected: &mut BTreeSet<Digest>,
    verdict: &mut Verdict,
) {
    if selected.is_empty() {
        return;
    }
    let mut unknown = false;
    for digest in selected.clone() {
        match platform_of(&request.reading, digest).await {
            Ok(Some(found)) if found.is_for(wanted) => {}
            Ok(_) => {
                selected.remove(&digest);
            }
            Err(failure) => {
                unknown = true;
                let detail = format!("{digest}: {}", failure.what);
                doubt(verdict, Reason::new(code_of(&failure), detail));
            }
        }
    }
    if selected.is_empty() && !unknown {
        missing(
            verdict,
            format!("no image that the index lists for {wanted} is for it by its configuration"),
        );
    }
}

/// There are machines that choose by platform alone, and learn of what kind it
/// is when they have fetched it.
fn deny_unknown(policy: &Policy, below: &[Descriptor], verdict: &mut Verdict) {
    let unknown = images(below).filter(|entry| !media_type::is_manifest(&entry.media_type));
    for entry in unknown {
        let detail = format!(
            "{}: it is listed as {:?}, a kind that is not known, and some machines run it all the same",
            entry.digest, entry.media_type
        );
        let reason = Reason::new(ReasonCode::ChildDenied, detail);
        verdict.outcome = Outcome::Denied;
        verdict.reasons.push(Reason {
            policy: Some(policy.id.name.clone()),
            ..reason.hint("make an index of images alone, or name the image by its digest")
        });
    }
}

fn doubt(verdict: &mut Verdict, reason: Reason) {
    verdict.outcome = verdict.outcome.and(Outcome::Undetermined);
    verdict.reasons.push(reason);
}

fn below_as<'a>(
    policy: &Policy,
    entry: &Descriptor,
    child: &'a Verdict,
    selected: bool,
) -> Below<'a> {
    let name = &policy.id.name;
    let said = child.by_policy.iter().find(|said| &said.policy == name);
    let of_policy = |reason: &&Reason| reason.policy.as_ref().is_none_or(|by| by == name);
    Below {
        name: match &entry.platform {
            Some(platform) => format!("{platform} {}", entry.digest),
            None => entry.digest.to_string(),
        },
        // One that was not held against the policy did not meet it.
        outcome: said.map_or(child.outcome.and(Outcome::Undetermined), |said| {
            said.outcome
        }),
        reasons: child.reasons.iter().filter(of_policy).collect(),
        selected,
        would_deny: said.is_some_and(|said| said.would_deny),
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
        named: None,
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

fn code_of(failure: &Failure) -> ReasonCode {
    let known = ReasonCode::ALL
        .iter()
        .find(|code| Some(code.as_str()) == failure.code);
    known.copied().unwrap_or(ReasonCode::ArtifactUnreadable)
}

fn unread(
    request: &Request<'_>,
    name: &str,
    entry: &Descriptor,
    platform: Option<String>,
    failure: &Failure,
) -> Verdict {
    let detail = match &failure.cause {
        Some(cause) => format!("{}: {cause}", failure.what),
        None => failure.what.clone(),
    };
    let code = code_of(failure);
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
