use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::output::Style;
use super::{Context, Output, block_on};
use crate::ops::policy::{self, Checked, Lock, Replace, TestReport};
use crate::ops::{Exit, Failure};
use crate::policy::Severity;

/// `obreia policy`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is wrong with policies; looks up no key
    #[command(after_help = "Examples:\n  obreia policy check production.yaml\n  \
obreia policy check policies/*.yaml policies/*.rego -o json\n\n\
Exit codes: 0 nothing wrong, 3 errors. Every field: docs/policy.md")]
    Check {
        /// Policies, or Rego files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Hold the cases beside a policy against it
    #[command(after_help = "Examples:\n  \
obreia policy test production.yaml        # reads production.cases.yaml\n  \
obreia policy test key-usage.rego         # reads key-usage.cases.yaml\n\n\
Exit codes: 0 all cases passed, 1 some did not. How cases are written: docs/policy.md")]
    Test {
        /// A policy, a Rego file, or a file of cases
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Put public keys and rules into a policy, so that it can be used without a KMS
    #[command(after_help = "Examples:\n  \
obreia policy lock production.yaml        # writes production.locked.yaml\n  \
obreia policy lock production.yaml --output guard/policy.yaml --force\n  \
obreia policy lock production.yaml --output -\n\n\
The locked policy has the same digest: verdicts by either name the same policy.")]
    Lock {
        /// The policy
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Write it here (default: FILE with .locked.yaml); - for standard output
        #[arg(long, value_name = "OUT")]
        output: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
}

impl Arguments {
    /// Checks, tests or locks.
    ///
    /// # Errors
    /// Where a file cannot be read or written, or a key not be looked up.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        match self.command {
            Command::Check { files } => show_checked(&policy::check(&files), output),
            Command::Test { files } => show_tested(&policy::test(&files)?, output),
            Command::Lock {
                file,
                output: out,
                force,
            } => {
                let out = out.unwrap_or_else(|| file.with_extension("locked.yaml"));
                let replace = if force { Replace::Yes } else { Replace::No };
                let place = (out != Path::new("-")).then_some((out.as_path(), replace));
                let keyring = context.keyring()?;
                let lock = block_on(policy::lock(&file, place, &keyring))??;
                show_lock(&lock, output)
            }
        }
    }
}

fn show_checked(checked: &Checked, output: &mut Output) -> Result<Exit, Failure> {
    let exit = if checked.ok { Exit::Done } else { Exit::Config };
    if output.is_json() {
        output.json(checked)?;
        return Ok(exit);
    }
    for file in &checked.files {
        let name = file.file.display();
        if let Some(error) = &file.error {
            output.line(&format!("{} {name}", output.paint(Style::Red, "error")))?;
            output.line(&format!("  {error}"))?;
            continue;
        }
        if file.policies.is_empty() {
            output.info(&format!("{}    {name}", output.paint(Style::Green, "ok")))?;
        }
        for policy in &file.policies {
            let bad = policy
                .findings
                .iter()
                .any(|f| f.severity == Severity::Error);
            let mark = if bad {
                output.paint(Style::Red, "error")
            } else {
                output.paint(Style::Green, "ok   ")
            };
            let locked = if policy.locked { ", locked" } else { "" };
            let line = format!("{mark} {name}: {} {:?}{locked}", policy.kind, policy.name);
            if bad {
                output.line(&line)?;
            } else {
                output.info(&line)?;
            }
            for finding in &policy.findings {
                let (style, word) = match finding.severity {
                    Severity::Error => (Style::Red, "error"),
                    Severity::Warning => (Style::Yellow, "warning"),
                    Severity::Info => (Style::Dim, "note"),
                };
                let word = output.paint(style, word);
                let line = if finding.detail.contains(&finding.field) {
                    format!("  {word}: {}", finding.detail)
                } else {
                    format!("  {word}: {}: {}", finding.field, finding.detail)
                };
                if finding.severity == Severity::Error {
                    output.line(&line)?;
                } else {
                    output.info(&line)?;
                }
            }
        }
    }
    Ok(exit)
}

fn show_tested(report: &TestReport, output: &mut Output) -> Result<Exit, Failure> {
    let exit = if report.ok { Exit::Done } else { Exit::Denied };
    if output.is_json() {
        output.json(report)?;
        return Ok(exit);
    }
    for file in &report.files {
        for case in &file.cases {
            if case.passed {
                let mark = output.paint(Style::Green, "ok  ");
                output.info(&format!("{mark} {}", case.name))?;
                continue;
            }
            let mark = output.paint(Style::Red, "FAIL");
            output.line(&format!("{mark} {}", case.name))?;
            for difference in &case.differs {
                output.line(&format!("     {difference}"))?;
            }
            for reason in &case.reasons {
                output.line(&format!("     {}: {}", reason.code, reason.detail))?;
            }
        }
        output.line(&format!(
            "{}: {} passed, {} failed",
            file.policy.display(),
            file.passed,
            file.failed
        ))?;
    }
    Ok(exit)
}

fn show_lock(lock: &Lock, output: &mut Output) -> Result<Exit, Failure> {
    let Some(path) = &lock.written else {
        output.bytes(lock.text.as_bytes())?;
        return Ok(Exit::Done);
    };
    if output.is_json() {
        output.json(lock)?;
        return Ok(Exit::Done);
    }
    for policy in &lock.policies {
        let digest = policy.digest.map(|d| d.to_string()).unwrap_or_default();
        output.info(&format!(
            "{:?}  {} keys  {digest}",
            policy.name, policy.keys
        ))?;
    }
    output.line(&format!("wrote {}", path.display()))?;
    Ok(Exit::Done)
}
