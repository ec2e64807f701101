use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::select::{self, Reading, Selection};
use super::{Context, Output, block_on, verdict};
use crate::oci::Platform;
use crate::ops::guard::{self, Done};
use crate::ops::{Exit, Failure};
use crate::reference::ArtifactRef;
use crate::verify::Outcome;

/// `obreia guard TARGET… [-- CMD …]`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia guard --policy startup.yaml --into /run/models /models/fraud -- serve /run/models/fraud\n  \
obreia guard --key signer.pub /models/fraud          (init container: no command)\n  \
obreia guard --policy startup.yaml --report /run/verdict.json ./server -- ./server --port 8080\n\n\
Exit codes with a command: its own; 126 where the guard denied, 125 for anything else.\n\
Without a command: 0 allowed, 1 denied, 4 undetermined.")]
pub struct Arguments {
    /// What must be verified: files, folders, oci-layout:DIR@digest, REGISTRY/REPOSITORY@digest
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// What a policy calls the target (default: as given)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    reading: Reading,
    /// Of an index, the image for this platform: OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<Platform>,
    /// Copy each target into this folder, from the very bytes that are verified
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Write the verdicts here as JSON, whatever they are
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Show how near each rejected piece of evidence came
    #[arg(long)]
    explain: bool,
    /// The command to become
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

impl Arguments {
    /// Whether a command is to be run, so that the exit codes are the guard's own.
    pub(super) fn has_command(&self) -> bool {
        !self.command.is_empty()
    }

    /// Verifies, and becomes the command where everything is allowed.
    ///
    /// # Errors
    /// Where something could not be verified at all.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let done = self.decide(context, output);
        let outcome = done.as_ref().map_or(Outcome::Undetermined, Done::outcome);
        let mut report = json!({
            "schema": "obreia.guard/v1",
            "verdict": outcome,
            "verdicts": done.as_ref().map_or(&[][..], |d| &d.verdicts),
        });
        if let Err(failure) = &done {
            report["error"] = Output::error(failure);
        }
        // Also after a failure: an older report that says "allowed" must not stand.
        if let Some(path) = &self.report {
            let text = serde_json::to_vec_pretty(&report)
                .map_err(|e| Failure::new(Exit::Bug, "cannot render the report").cause(e))?;
            guard::write_report(path, &text)?;
        }
        let done = done?;
        if self.has_command() {
            output.to_standard_error();
        }
        if output.is_json() {
            output.json(&report)?;
        }
        for verdict in &done.verdicts {
            verdict::print(verdict, self.explain, output)?;
        }
        if outcome == Outcome::Allowed && self.has_command() {
            let search = std::env::var_os("PATH");
            match guard::exec(&self.command, &done.guarded, search.as_deref())? {}
        }
        Ok(outcome.into())
    }

    fn decide(&self, context: &Context, output: &Output) -> Result<Done, Failure> {
        let policies = self.selection.policies(&self.reading, context)?;
        let targets = self
            .targets
            .iter()
            .map(|text| select::artifact(text))
            .collect::<Result<Vec<_>, _>>()?;
        let in_registry = |target: &&ArtifactRef| matches!(target, ArtifactRef::Registry { .. });
        let registries = context.registries(targets.iter().any(|t| in_registry(&t)))?;
        let progress = output.bytes_bar("verifying");
        let done = block_on(guard::guard(
            &guard::Guard {
                targets: &targets,
                name: self.name.as_deref(),
                kind: self.reading.kind.map(Into::into),
                symlinks: self.reading.symlinks(),
                platform: self.platform.as_ref(),
                policies: &policies,
                bundles: &self.selection.bundles,
                into: self.into.as_deref(),
                now: context.now(),
                registries: &registries,
            },
            &progress,
        ))??;
        drop(progress);
        Ok(done)
    }
}
