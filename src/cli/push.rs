use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::select::Reading;
use super::{Context, Output, block_on, size};
use crate::ops::copy::Spot;
use crate::ops::push::{self, Pushed};
use crate::ops::{Exit, Failure, SystemClock};

/// `obreia push PATH oci-layout:DIR:TAG`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia push model/ oci-layout:staging:fraud-v3\n  \
obreia push bom.cdx.json oci-layout:staging:fraud-v3-bom\n  \
obreia push model/ registry.example/models/fraud:v3\n  \
obreia push model/ oci-layout:staging:fraud-v3 --without-evidence\n\n\
A model becomes a CNCF ModelPack artifact: one layer per file, neither archived nor \
compressed, so that a layer's digest is the file's. Bundles that lie beside it \
(model.sig, NAME.*.sigstore.json) are attached to it.")]
pub struct Arguments {
    /// A model folder, an SBOM or another file
    path: PathBuf,
    /// Where to: oci-layout:DIR[:TAG] or REGISTRY/REPOSITORY[:TAG]
    destination: String,
    /// Attach no bundles
    #[arg(long)]
    without_evidence: bool,
    #[command(flatten)]
    reading: Reading,
}

impl Arguments {
    /// Pushes and prints what went where.
    ///
    /// # Errors
    /// As [`push::push`].
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let destination = Spot::parse(&self.destination)?;
        let registries = context.registries(destination.is_remote())?;
        let request = push::Request {
            path: &self.path,
            kind: self.reading.kind.map(Into::into),
            symlinks: self.reading.symlinks(),
            destination: &destination,
            registries: &registries,
            with_evidence: !self.without_evidence,
        };
        let progress = output.bytes_bar("copying");
        let pushed = block_on(push::push(&request, Arc::new(SystemClock), &progress))??;
        drop(progress);
        for left in &pushed.left {
            output.warn(&format!("not attached: {left}"));
        }
        if output.is_json() {
            output.json(&pushed)?;
        } else {
            print(&pushed, output)?;
        }
        Ok(Exit::Done)
    }
}

fn print(pushed: &Pushed, output: &mut Output) -> Result<(), Failure> {
    output.info(&format!(
        "pushed {} {} ({}, {})",
        pushed.kind,
        pushed.source,
        super::count(pushed.files.len(), "file"),
        size(pushed.bytes)
    ))?;
    output.line(&format!("  {}", pushed.destination))?;
    output.line(&format!("  {}", pushed.digest))?;
    for attached in &pushed.evidence {
        output.info(&format!("  attached {}", attached.from))?;
    }
    if pushed
        .evidence
        .iter()
        .any(|one| one.cas == Some("best-effort"))
    {
        output.info(super::attest::BEST_EFFORT)?;
    }
    for path in &pushed.left_out {
        output.info(&format!("  left out {path}"))?;
    }
    Ok(())
}
