use std::path::PathBuf;

use clap::Args;

use super::select::{self, Reading};
use super::signing::SigningKey;
use super::{Context, Output, block_on};
use crate::ops::older::Formats;
use crate::ops::{Exit, Failure, attest};

/// What is said where the registry cannot keep two who attach apart.
pub(super) const BEST_EFFORT: &str = "clients keep this list, and not the registry: another who attaches at the same moment may be lost (cas: best-effort)";

/// `obreia attest ARTIFACT`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia attest model/ --type cyclonedx --predicate model.cdx.json --key kms://model-sign/prod/acme/fraud\n  \
obreia attest app.bin --type slsaprovenance1 --predicate provenance.json --key cosign.key\n  \
obreia attest oci-layout:store:v1 --type https://example.com/eval/v1 --predicate eval.json --key k.pem\n\n\
Types: custom, cyclonedx, link, modelcard, openvex, scai, slsaprovenance, slsaprovenance1, spdx,\n\
spdxjson, test-result, vsa, vuln, or any URI. A known type is validated.")]
pub struct Arguments {
    /// A file or folder, oci-layout:DIR[:tag|@digest], REGISTRY/REPOSITORY[:tag|@digest], or sha256:HEX with --output
    artifact: String,
    /// What kind of predicate: a name or a URI
    #[arg(long = "type", value_name = "TYPE")]
    predicate_type: String,
    /// The file that holds the predicate
    #[arg(long, value_name = "FILE")]
    predicate: PathBuf,
    #[command(flatten)]
    key: SigningKey,
    #[command(flatten)]
    reading: Reading,
    /// Write the bundle here instead
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a bundle that is there
    #[arg(long)]
    force: bool,
    /// What to write: bundle, or bundle,cosign-legacy for an image in a registry
    #[arg(
        long,
        value_name = "FORMATS",
        value_delimiter = ',',
        default_value = "bundle"
    )]
    format: Vec<String>,
}

impl Arguments {
    /// Attests and says where the bundle is.
    ///
    /// # Errors
    /// Where nothing was attested.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let artifact = select::artifact(&self.artifact)?;
        let formats = Formats::parse(&self.format, &artifact, self.output.as_deref())?;
        let registries = context.registries_of(&artifact)?;
        let request = attest::Request {
            artifact: &artifact,
            predicate_type: &self.predicate_type,
            predicate: &self.predicate,
            symlinks: self.reading.symlinks(),
            output: self.output.as_deref(),
            force: self.force,
            registries: &registries,
            formats,
        };
        let progress = output.bytes_bar("hashing");
        let attested = block_on(async {
            let key = self.key.open(context).await?;
            attest::attest(&request, &key, &SigningKey::caller(), &progress).await
        })??;
        drop(progress);
        if output.is_json() {
            output.json(&attested)?;
        }
        output.info(&format!(
            "attested {} of {} by {}\n  bundle {}",
            attested.predicate_type, attested.identity, attested.key, attested.bundle
        ))?;
        if let Some(older) = &attested.cosign_legacy {
            output.info(&format!("  cosign-legacy {}", older.tag))?;
        }
        if attested.cas == Some("best-effort") {
            output.info(BEST_EFFORT)?;
        }
        Ok(Exit::Done)
    }
}
