//! The verdict tree, as people read it.

use super::Output;
use super::output::{Style, visible};
use crate::ops::Failure;
use crate::verify::{EvidenceReport, Outcome, Reason, Verdict};

/// Prints a verdict: what was judged, by what, why, and what every piece of
/// evidence came to.
///
/// # Errors
/// Where standard output cannot be written.
pub(super) fn print(verdict: &Verdict, explain: bool, output: &mut Output) -> Result<(), Failure> {
    let artifact = &verdict.artifact;
    let (style, word) = match verdict.outcome {
        Outcome::Allowed => (Style::Green, "ALLOWED"),
        Outcome::Denied => (Style::Red, "DENIED"),
        Outcome::Undetermined => (Style::Yellow, "UNDETERMINED"),
    };
    let heading = format!(
        "{} {} {} {}",
        output.paint(style, word),
        artifact.kind.as_str(),
        output.paint(Style::Bold, &visible(&artifact.name)),
        output.paint(Style::Dim, &format!("({})", artifact.read_as)),
    );
    output.line(&heading)?;
    let mut branches = vec![format!("identity {}", artifact.identity)];
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
    if verdict.evidence.is_empty() {
        return output.line("└─ evidence: none found");
    }
    output.line("└─ evidence")?;
    let last = verdict.evidence.len() - 1;
    for (index, report) in verdict.evidence.iter().enumerate() {
        let (tee, bar) = if index == last {
            ("   └─ ", "      ")
        } else {
            ("   ├─ ", "   │  ")
        };
        print_report(tee, bar, report, explain, output)?;
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
