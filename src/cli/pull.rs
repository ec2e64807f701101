use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Context, Output, block_on};
use crate::ops::copy::Spot;
use crate::ops::pull::{self, Pulled};
use crate::ops::{Exit, Failure, SystemClock};

/// `obreia pull oci-layout:DIR:TAG FOLDER`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia pull oci-layout:production:fraud-v3 /srv/models/fraud\n  \
obreia pull oci-layout:staging@sha256:9f86… model/ --without-evidence\n  \
obreia pull registry.example/models/fraud:v3 model/\n\n\
Every byte is checked against the manifest before the folder gets its name. What is \
said about the files lands where `obreia verify` looks for it. Pulling verifies no \
signature: run `obreia verify` or `obreia guard` on the folder.")]
pub struct Arguments {
    /// Where from: oci-layout:DIR[:TAG|@DIGEST] or REGISTRY/REPOSITORY[:TAG|@DIGEST]
    source: String,
    /// The folder to make; it must not exist
    directory: PathBuf,
    /// Leave the bundles behind
    #[arg(long)]
    without_evidence: bool,
}

impl Arguments {
    /// Pulls and prints what was written.
    ///
    /// # Errors
    /// As [`pull::pull`].
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let source = Spot::parse(&self.source)?;
        let registries = context.registries(source.is_remote())?;
        let progress = output.bytes_bar("copying");
        let pulled = block_on(pull::pull(
            &source,
            &registries,
            &self.directory,
            !self.without_evidence,
            Arc::new(SystemClock),
            &progress,
        ))??;
        drop(progress);
        for left in &pulled.left {
            output.warn(&format!("left behind: {left}"));
        }
        if output.is_json() {
            output.json(&pulled)?;
        } else {
            print(&pulled, output)?;
        }
        Ok(Exit::Done)
    }
}

fn print(pulled: &Pulled, output: &mut Output) -> Result<(), Failure> {
    output.info(&format!("pulled {}", pulled.source))?;
    output.line(&format!(
        "  {} ({}, not verified)",
        pulled.directory.display(),
        super::count(pulled.files.len(), "file")
    ))?;
    for origin in &pulled.evidence {
        output.info(&format!("  evidence {origin}"))?;
    }
    Ok(())
}
