//! Verification, whole: gather, then decide.

use std::borrow::Cow;

use super::gather::{self, Gathered, Reading};
use super::{Exit, Failure};
use crate::policy::{self, Lookups, Policy};
use crate::source::Progress;
use crate::time::Timestamp;
use crate::verify::{
    self, ArtifactKind, EvidenceReport, Facts, Observed, Outcome, Reason, ReasonCode, SchemaName,
    Stage, Verdict,
};

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

/// The same, with what was read. No more is looked at than it takes: the
/// evidence first, where the artifact's digest can decide; then where else
/// evidence may lie, and the artifact itself. No further evidence can undo
/// what suffices, but where rules can test absence; and what does not suffice
/// is decided when everything was looked at.
///
/// # Errors
/// As [`verify`].
pub async fn judge(
    request: &Request<'_>,
    progress: &dyn Progress,
) -> Result<(Gathered, Verdict), Failure> {
    let (reading, policies) = (&request.reading, request.policies);
    let first = match request.everywhere {
        true => None,
        false => gather::glance(reading, policies, request.stage, None).await?,
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
        checked_at: request.now,
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
        verdict.outcome = verdict.outcome.and(decision.outcome);
        verdict.would_deny |= decision.would_deny;
        verdict.reasons.extend(decision.reasons);
        verdict.notes.extend(decision.notes);
        verdict.nearest.extend(decision.nearest);
        merge(&mut verdict.evidence, checked.reports);
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
        mutable: gathered.mutable,
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
    use crate::reference::{ArtifactRef, Select};

    verdict.notes.push(Reason::new(
        ReasonCode::ImageNotProven,
        "this verdict is about the image that was read; which image the node runs is not proved by it",
    ));
    if let ArtifactRef::Layout { select, .. } | ArtifactRef::Registry { select, .. } =
        request.reading.artifact
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
