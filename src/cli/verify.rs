use std::path::PathBuf;

use clap::Args;

use super::select::{self, Selection, Target};
use super::{Context, Output, block_on, verdict};
use crate::ops::{Exit, Failure, gather, verify};
use crate::verify::Stage;

/// `obreia verify ARTIFACT`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia verify model/ --key signer.pub\n  \
obreia verify app.bin --policy production.yaml --explain\n  \
obreia verify oci-layout:store:v1 --key kms://model-sign/prod/acme/fraud -o json\n  \
obreia verify registry.example/web:v1 --key signer.pub\n  \
obreia verify registry.example/web:v1 --certificate-roots ca.pem --certificate-subject \"C=US, ST=WA, O=acme\"\n  \
obreia verify sha256:2c26… --bundle app.bin.sigstore.json --key signer.pub\n\n\
Exit codes: 0 allowed, 1 denied, 4 undetermined. Reasons: docs/reasons.md")]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    selection: Selection,
    /// The stage that the policy is asked for
    #[arg(long, default_value = "manual", value_name = "STAGE")]
    stage: Stage,
    /// A bare signature over the artifact's bytes, as OpenSSL makes it
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Show how near each rejected piece of evidence came
    #[arg(long)]
    explain: bool,
    /// Decide as of this time instead of now (RFC 3339)
    #[arg(long, value_name = "TIME")]
    at: Option<crate::time::Timestamp>,
}

impl Arguments {
    /// Verifies and prints the verdict.
    ///
    /// # Errors
    /// Where the question itself is wrong: arguments, policy, key.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let policies = self.selection.policies(&self.target.reading, context)?;
        let artifact = select::artifact(&self.target.artifact)?;
        let registries = context.registries_of(&artifact)?;
        let reading = &self.target.reading;
        let request = verify::Request {
            reading: gather::Reading {
                artifact: &artifact,
                name: self.target.name.as_deref(),
                kind: reading.kind.map(Into::into),
                symlinks: reading.symlinks(),
                bundles: &self.selection.bundles,
                signature: self.signature.as_ref(),
                into: None,
                registries: &registries,
            },
            policies: &policies,
            stage: self.stage,
            now: self.at.unwrap_or_else(|| context.now()),
            source_of_promotion: false,
            everywhere: false,
        };
        let progress = output.bytes_bar("hashing");
        let verdict = block_on(verify::verify(&request, &progress))??;
        drop(progress);
        if output.is_json() {
            output.json(&verdict)?;
        } else {
            verdict::print(&verdict, self.explain, output)?;
        }
        Ok(verdict.outcome.into())
    }
}
