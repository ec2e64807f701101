//! The verdict tree, as people read it.

use super::Output;
use super::output::{Style, visible};
use crate::ops::Failure;
use crate::reference::ArtifactRef;
use crate::verify::{EvidenceReport, Outcome, Reason, Verdict};

/// Prints a verdict: what was judged, by what, why, and what every piece of
/// evidence came to.
///
/// # Errors
/// Where standard output cannot be written.
pub(super) fn print(verdict: &Verdict, explain: bool, output: &mut Output) -> Result<(), Failure> {
    let artifact = &verdict.artifact;
    let (style, word) = heading(verdict.outcome);
    let heading = format!(
        "{} {} {} {}",
        output.paint(style, word),
        artifact.kind.as_str(),
        output.paint(Style::Bold, &visible(&artifact.name)),
        output.paint(Style::Dim, &format!("({})", artifact.read_as)),
    );
    output.line(&heading)?;
    let mut branches = vec![format!("identity {}", artifact.identity)];
    branches.extend(
        artifact
            .platform
            .as_ref()
            .map(|platform| format!("platform {}", visible(platform))),
    );
    branches.push(format!("stage    {}", verdict.stage));
    for policy in &verdict.policies {
        branches.push(match &policy.digest {
            Some(digest) => format!("policy   {} ({digest})", visible(&policy.name)),
            None => format!("policy   {}", visible(&policy.name)),
        });
    }
    for branch in &branches {
        output.line(&format!("├─ {branch}"))?;
    }
    for reason in &verdict.reasons {
        print_reason("├─ ", "│  ", style, reason, output)?;
    }
    for note in &verdict.notes {
        print_reason("├─ ", "│  ", Style::Yellow, note, output)?;
    }
    if explain {
        // What a piece of evidence tells itself below is not told twice.
        let told = |near: &&String| verdict.evidence.iter().any(|e| e.near_miss.contains(near));
        for near in verdict.nearest.iter().filter(|near| !told(near)) {
            output.line(&format!("├─ nearest miss: {}", visible(near)))?;
        }
    }
    let (tee, bar) = match verdict.children.is_empty() {
        true => ("└─ ", "   "),
        false => ("├─ ", "│  "),
    };
    print_evidence(tee, bar, verdict, explain, output)?;
    if verdict.children.is_empty() {
        return Ok(());
    }
    output.line("└─ below it, each by itself")?;
    for (tee, bar, child) in branched(&verdict.children) {
        let (tee, bar) = (format!("   {tee}"), format!("   {bar}"));
        print_child(&tee, &bar, child, explain, output)?;
    }
    Ok(())
}

const fn heading(outcome: Outcome) -> (Style, &'static str) {
    match outcome {
        Outcome::Allowed => (Style::Green, "ALLOWED"),
        Outcome::Denied => (Style::Red, "DENIED"),
        Outcome::Undetermined => (Style::Yellow, "UNDETERMINED"),
    }
}

/// Each with what stands before its first line, and before the others.
fn branched<T>(all: &[T]) -> impl Iterator<Item = (&'static str, &'static str, &T)> {
    all.iter()
        .enumerate()
        .map(|(at, one)| match at + 1 == all.len() {
            true => ("└─ ", "   ", one),
            false => ("├─ ", "│  ", one),
        })
}

fn print_evidence(
    tee: &str,
    bar: &str,
    verdict: &Verdict,
    explain: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    if verdict.evidence.is_empty() {
        return output.line(&format!("{tee}evidence: none found"));
    }
    output.line(&format!("{tee}evidence"))?;
    for (inner, rest, report) in branched(&verdict.evidence) {
        let (tee, bar) = (format!("{bar}{inner}"), format!("{bar}{rest}"));
        print_report(&tee, &bar, report, explain, output)?;
    }
    Ok(())
}

/// What holds for an image below an index: its own verdict does not decide
/// unless a policy asks for it.
fn print_child(
    tee: &str,
    bar: &str,
    child: &Verdict,
    explain: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let (style, word) = match child.outcome {
        Outcome::Allowed => (Style::Green, "allowed"),
        Outcome::Denied => (Style::Red, "denied"),
        Outcome::Undetermined => (Style::Yellow, "undetermined"),
    };
    let platform = child.artifact.platform.as_deref().unwrap_or("any platform");
    output.line(&format!(
        "{tee}{} {} {}",
        output.paint(style, word),
        output.paint(Style::Bold, &visible(platform)),
        child.artifact.identity
    ))?;
    for reason in &child.reasons {
        print_reason(bar, bar, style, reason, output)?;
    }
    if explain {
        print_evidence(bar, &format!("{bar}   "), child, explain, output)?;
    }
    Ok(())
}

/// Prints that one of several artifacts could not be judged, what that counts
/// as, and why.
///
/// # Errors
/// Where standard output cannot be written.
pub(super) fn print_failure(
    target: &ArtifactRef,
    failure: &Failure,
    outcome: Outcome,
    output: &mut Output,
) -> Result<(), Failure> {
    let (style, word) = heading(outcome);
    let word = output.paint(style, word);
    let name = output.paint(Style::Bold, &visible(&target.to_string()));
    output.line(&format!("{word} {name}"))?;
    let code = failure.code.map(|code| format!("{code}: "));
    let what = visible(&failure.what);
    output.line(&format!("└─ {}{what}", code.unwrap_or_default()))?;
    if let Some(cause) = &failure.cause {
        output.line(&format!("   cause: {}", visible(cause)))?;
    }
    if let Some(hint) = &failure.hint {
        output.line(&format!("   hint: {}", visible(hint)))?;
    }
    Ok(())
}

fn print_report(
    tee: &str,
    bar: &str,
    report: &EvidenceReport,
    explain: bool,
    output: &mut Output,
) -> Result<(), Failure> {
    let mark = if report.verified {
        output.paint(Style::Green, "verified")
    } else {
        output.paint(Style::Red, "rejected")
    };
    let mut text = format!("{tee}{mark} {}", report.kind);
    if let Some(predicate) = &report.predicate_type {
        text.push_str(&format!(" {}", visible(predicate)));
    }
    if let Some(signer) = &report.signer {
        text.push_str(&format!(" by {}", visible(signer)));
    }
    output.line(&text)?;
    output.line(&format!(
        "{bar}{}",
        output.paint(Style::Dim, &format!("from {}", visible(&report.origin)))
    ))?;
    for reason in &report.reasons {
        print_reason(bar, bar, Style::Plain, reason, output)?;
    }
    if explain {
        for near in &report.near_miss {
            output.line(&format!("{bar}near miss: {}", visible(near)))?;
        }
    }
    Ok(())
}

fn print_reason(
    tee: &str,
    bar: &str,
    style: Style,
    reason: &Reason,
    output: &mut Output,
) -> Result<(), Failure> {
    let code = output.paint(style, reason.code.as_str());
    output.line(&format!("{tee}{code}: {}", visible(&reason.detail)))?;
    if reason.hint.is_empty() {
        return Ok(());
    }
    output.line(&format!("{bar}  hint: {}", visible(&reason.hint)))
}
