//! Verification, whole: gather, then decide.

use std::borrow::Cow;

use super::gather::{self, Gathered, Reading};
use super::index::{self, Meant};
use super::together::{Under, together};
use super::{Exit, Failure};
use crate::oci::{Descriptor, Platform};
use crate::policy::{self, Lookups, OfIndex, Policy};
use crate::reference::{ArtifactRef, Select};
use crate::source::Progress;
use crate::time::Timestamp;
use crate::verify::{
    self, ArtifactKind, ByPolicy, EvidenceReport, Facts, Observed, Outcome, Reason, ReasonCode,
    SchemaName, Stage, Verdict,
};

/// Artifacts that are judged at the same time.
const AT_ONCE: usize = 16;

/// A question.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What to read, and how.
    pub reading: Reading<'a>,
    /// The policies; those that match must all pass.
    pub policies: &'a [Policy],
    /// Where the decision is asked for.
    pub stage: Stage,
    /// The time to decide for.
    pub now: Timestamp,
    /// Whether the artifact is read at the source of a promotion, where its
    /// binding to the destination does not exist yet.
    pub source_of_promotion: bool,
    /// Whether to look everywhere, although what was found suffices.
    pub everywhere: bool,
    /// The platform whose image is meant, where an index is named.
    pub platform: Option<&'a Platform>,
    /// Whether to say what holds for each image below an index.
    pub children: bool,
    /// How an index lists it, where it is judged as one of its images.
    pub listed: Option<&'a Descriptor>,
    /// What the operator named, where that led to `reading.artifact`.
    pub named: Option<&'a ArtifactRef>,
}

impl Request<'_> {
    /// Whether the name by which it was found in a registry can lead to
    /// something else.
    fn moves(&self) -> bool {
        match self.named {
            Some(ArtifactRef::Registry { select, .. }) => !matches!(select, Select::Digest(_)),
            _ => false,
        }
    }
}

/// Reads the artifact and its evidence, and decides.
///
/// # Errors
/// Where the question cannot be put: an artifact that cannot be read, a policy
/// that only warns at a stage where that stops nothing.
pub async fn verify(request: &Request<'_>, progress: &dyn Progress) -> Result<Verdict, Failure> {
    let (_, verdict) = judge(request, progress).await.map_err(unasked)?;
    Ok(verdict)
}

/// Judges several artifacts, some of them at the same time; the answers are in
/// the order of the questions, and none depends on another's.
pub async fn verify_all(
    requests: &[Request<'_>],
    progress: &dyn Progress,
) -> Vec<Result<Verdict, Failure>> {
    let all = requests
        .iter()
        .map(|request| -> Under<'_, _> { Box::pin(verify(request, progress)) });
    together(AT_ONCE, all).await
}

/// The verdict over several artifacts: what could not be read was not decided.
pub fn outcome_of(answers: &[Result<Verdict, Failure>]) -> Outcome {
    let each = answers.iter().map(|answer| match answer {
        Ok(verdict) => verdict.outcome,
        Err(failure) if failure.exit == Exit::Denied => Outcome::Denied,
        Err(_) => Outcome::Undetermined,
    });
    each.fold(Outcome::Allowed, Outcome::and)
}

/// The same, with what was read. Of an index that is what is meant of it, and
/// what policies ask for.
///
/// # Errors
/// As [`verify`]; `Usage` where a policy asks for the image of a platform and
/// none was selected.
pub async fn judge(
    request: &Request<'_>,
    progress: &dyn Progress,
) -> Result<(Gathered, Verdict), Failure> {
    let platform = request.platform;
    let called = request.reading.called();
    let meant = index::meant(request).await?;
    let (Meant::Whole(artifact) | Meant::Image(artifact, _) | Meant::Missing(artifact, _)) = &meant;
    let one = Request {
        reading: Reading {
            artifact,
            name: Some(&called),
            ..request.reading.clone()
        },
        named: Some(request.reading.artifact),
        listed: match &meant {
            Meant::Image(_, entry) => Some(&**entry),
            _ => request.listed,
        },
        ..request.clone()
    };
    let (gathered, mut verdict) = alone(&one, progress).await?;
    match &meant {
        Meant::Whole(_) => {
            let verdict = index::finish(&one, &gathered, verdict, progress).await?;
            return Ok((gathered, verdict));
        }
        Meant::Image(..) => {
            if let Some(wanted) = platform {
                index::check_platform(&one.reading, wanted, &mut verdict).await?;
            }
        }
        Meant::Missing(_, detail) => index::missing(&mut verdict, detail.clone()),
    }
    Ok((gathered, verdict))
}

/// Judges what was named, and nothing below it. No more is looked at than it takes: the
/// evidence first, where the artifact's digest can decide; then where else
/// evidence may lie, and the artifact itself. No further evidence can undo
/// what suffices, but where rules can test absence; and what does not suffice
/// is decided when everything was looked at.
///
/// # Errors
/// As [`verify`].
pub(super) async fn alone(
    request: &Request<'_>,
    progress: &dyn Progress,
) -> Result<(Gathered, Verdict), Failure> {
    let (reading, policies) = (&request.reading, request.policies);
    let first = match request.everywhere {
        true => None,
        false => gather::glance(reading, policies, request.stage, request.listed).await?,
    };
    let mut gathered = match first {
        None => gather::gather(reading, policies, progress).await?,
        Some(mut glanced) => {
            let verdict = decide(&glanced, request)?;
            if suffices(&verdict) {
                return Ok((glanced, verdict));
            }
            // One that does not answer is not asked for three things more.
            if glanced.failed.is_empty() && glanced.further.is_some() {
                glanced.look_further().await;
                let verdict = decide(&glanced, request)?;
                if suffices(&verdict) {
                    return Ok((glanced, verdict));
                }
            }
            glanced.complete(policies, progress).await?
        }
    };
    if gathered.further.is_some() {
        if !request.everywhere && !policies.iter().any(Policy::has_rules) {
            let verdict = decide(&gathered, request)?;
            if suffices(&verdict) {
                return Ok((gathered, verdict));
            }
        }
        gathered.look_further().await;
    }
    let verdict = decide(&gathered, request)?;
    Ok((gathered, verdict))
}

/// Whether more evidence would change nothing.
fn suffices(verdict: &Verdict) -> bool {
    verdict.outcome == Outcome::Allowed && !verdict.would_deny
}

/// What a registry does not let us look at is not decided.
pub(super) fn unasked(failure: Failure) -> Failure {
    if failure.exit == Exit::NotPermitted {
        return Failure {
            exit: Exit::Undetermined,
            ..failure
        };
    }
    failure
}

/// Decides on what was gathered. Reads nothing.
///
/// # Errors
/// As [`verify`], for the policies.
fn decide(gathered: &Gathered, request: &Request<'_>) -> Result<Verdict, Failure> {
    let selected = policy::select(
        request.policies,
        &gathered.kinds,
        &gathered.artifact.name,
        request.stage,
    )?;
    let mut verdict = Verdict {
        schema: SchemaName,
        outcome: Outcome::Allowed,
        artifact: gathered.artifact.clone(),
        stage: request.stage,
        policies: selected.iter().map(|p| p.id.clone()).collect(),
        reasons: Vec::new(),
        notes: Vec::new(),
        evidence: Vec::new(),
        nearest: Vec::new(),
        unsigned_files: Vec::new(),
        would_deny: false,
        children: Vec::new(),
        checked_at: request.now,
        by_policy: Vec::new(),
    };
    if selected.is_empty() {
        verdict.outcome = Outcome::Denied;
        verdict.reasons.push(no_policy(gathered, request));
        return Ok(verdict);
    }
    for policy in selected {
        let observed = seen_by(policy, gathered, request.stage);
        let checked = verify::check(
            &gathered.evidence,
            &observed,
            policy.authorities(),
            request.now,
        );
        let facts = facts(gathered, request, &checked, policy);
        if let Some(model) = &facts.model {
            // Under several policies a file is unsigned if it is under any.
            verdict
                .unsigned_files
                .extend_from_slice(&model.unsigned_files);
        }
        let decision = policy::evaluate(
            policy,
            &facts,
            &Lookups {
                failed: &gathered.failed,
                evidence: &checked.reports,
                source_of_promotion: request.source_of_promotion,
            },
        );
        merge(&mut verdict.evidence, checked.reports);
        // Of an index, the images below it are what some policies ask for.
        let itself = request.listed.is_some() || policy.of_index() == OfIndex::Index;
        if !itself && gathered.children.is_some() {
            continue;
        }
        let name = policy.id.name.clone();
        verdict.by_policy.push(ByPolicy {
            policy: name,
            outcome: decision.outcome,
            would_deny: decision.would_deny,
        });
        verdict.outcome = verdict.outcome.and(decision.outcome);
        verdict.would_deny |= decision.would_deny;
        verdict.reasons.extend(decision.reasons);
        verdict.notes.extend(decision.notes);
        verdict.nearest.extend(decision.nearest);
    }
    deny_malformed(gathered, &mut verdict);
    if request.stage == Stage::Startup && gathered.image.is_some() {
        image_at_startup(request, &mut verdict);
    }
    verdict.unsigned_files.sort_unstable();
    verdict.unsigned_files.dedup();
    verdict.reasons.dedup();
    verdict.notes.dedup();
    Ok(verdict)
}

/// What a policy's evidence may be about. To a policy about images a manifest
/// is what its digest says, and what was signed of a file packed in it proves
/// nothing about the manifest around it.
fn seen_by<'a>(
    policy: &Policy,
    gathered: &'a Gathered,
    stage: Stage,
) -> Cow<'a, Observed<'static>> {
    let name = &gathered.artifact.name;
    let as_image = gathered.image.is_some()
        && !policy.is_for_key()
        && policy.speaks(&[ArtifactKind::Image], name, stage);
    if !as_image {
        return Cow::Borrowed(&gathered.observed);
    }
    Cow::Owned(Observed {
        identities: vec![gathered.artifact.identity],
        manifest: gathered.observed.manifest,
        described: gathered.observed.described.clone(),
        size: gathered.artifact.size,
        ..Observed::default()
    })
}

fn facts(
    gathered: &Gathered,
    request: &Request<'_>,
    checked: &verify::Checked,
    policy: &Policy,
) -> Facts {
    let model = gathered.model.clone().map(|mut model| {
        model.unsigned_files =
            verify::unsigned_files(&gathered.observed.files, &checked.signatures, |s| {
                policy.may_count(s)
            });
        model
    });
    Facts {
        artifact: gathered.artifact.clone(),
        stage: request.stage,
        signatures: checked.signatures.clone(),
        attestations: checked.attestations.clone(),
        model,
        mutable: gathered.mutable || request.moves(),
        image: gathered.image.clone(),
        now_ns: request.now.nanos(),
    }
}

fn no_policy(gathered: &Gathered, request: &Request<'_>) -> Reason {
    let kinds: Vec<_> = gathered.kinds.iter().map(|k| k.as_str()).collect();
    let detail = format!(
        "none of {} policies matches {} {:?} at stage {}",
        request.policies.len(),
        kinds.join(" or "),
        gathered.artifact.name,
        request.stage
    );
    Reason::new(ReasonCode::NoPolicy, detail)
        .hint("state the name that the policy matches with --name, or see its match and stages")
}

/// Under several policies a piece of evidence is shown as the first of them
/// that it holds under sees it.
fn merge(shown: &mut Vec<EvidenceReport>, reports: Vec<EvidenceReport>) {
    if shown.is_empty() {
        *shown = reports;
        return;
    }
    for (known, new) in shown.iter_mut().zip(reports) {
        if new.verified && !known.verified {
            *known = new;
        }
    }
}

/// What the user named must be readable; what hangs on the artifact by
/// somebody else's doing is only reported.
fn deny_malformed(gathered: &Gathered, verdict: &mut Verdict) {
    for (piece, report) in gathered.evidence.iter().zip(&verdict.evidence) {
        let malformed = report
            .reasons
            .iter()
            .find(|r| r.code == ReasonCode::BundleMalformed);
        let Some(reason) = malformed else { continue };
        let mut reason = reason.clone();
        reason.detail = format!("{}: {}", piece.origin, reason.detail);
        if piece.asked {
            verdict.outcome = Outcome::Denied;
            if !verdict.reasons.iter().any(|r| r.code == reason.code) {
                verdict.reasons.insert(0, reason);
            }
        } else if verdict.outcome == Outcome::Allowed {
            reason.code = ReasonCode::EvidenceIgnored;
            verdict.notes.push(reason);
        }
    }
}

fn image_at_startup(request: &Request<'_>, verdict: &mut Verdict) {
    verdict.notes.push(Reason::new(
        ReasonCode::ImageNotProven,
        "this verdict is about the image that was read; which image the node runs is not proved by it",
    ));
    if let ArtifactRef::Layout { select, .. } | ArtifactRef::Registry { select, .. } =
        request.named.unwrap_or(request.reading.artifact)
        && !matches!(select, Select::Digest(_))
    {
        verdict.outcome = Outcome::Denied;
        verdict.reasons.push(
            Reason::new(
                ReasonCode::ImageNotPinned,
                "an image at startup must be named by digest; a tag can move",
            )
            .hint(format!("name it @{}", verdict.artifact.identity)),
        );
    }
}

/// The exit code that a verdict ends with.
impl From<&Verdict> for Exit {
    fn from(verdict: &Verdict) -> Self {
        verdict.outcome.into()
    }
}
