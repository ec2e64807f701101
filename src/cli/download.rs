use std::path::PathBuf;

use clap::Args;

use super::output::visible;
use super::{Context, Output, block_on};
use crate::ops::copy::Spot;
use crate::ops::download::{self, Request};
use crate::ops::{Exit, Failure};

/// `obreia download ARTIFACT DIR`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia download registry.example/web:v1 evidence\n  \
obreia download oci-layout:staging:fraud-v3 evidence -o json\n  \
obreia download registry.example/web:v1 evidence --recursive --force\n\n\
Writes signatures, attestations, SBOMs and whatever else hangs on an artifact, each into \
a file that is named by the digest of its bytes; bundles end in .sigstore.json and go \
into `obreia verify --bundle`. Nothing is verified here. A look-up that fails ends in 4 \
or 5 and writes nothing.")]
pub struct Arguments {
    /// oci-layout:DIR[:TAG|@DIGEST] or REGISTRY/REPOSITORY[:TAG|@DIGEST]
    artifact: String,
    /// The folder; made where it is not there
    directory: PathBuf,
    /// For an index: what is about its children too
    #[arg(long)]
    recursive: bool,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

impl Arguments {
    /// Downloads, and lists the files.
    ///
    /// # Errors
    /// As [`download::download`].
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let source = Spot::parse(&self.artifact)?;
        let registries = context.registries(source.is_remote())?;
        let request = Request {
            source: &source,
            directory: &self.directory,
            recursive: self.recursive,
            force: self.force,
        };
        let done = block_on(download::download(&request, &registries))??;
        for skipped in &done.skipped {
            output.warn(&format!("left out: {}: {}", skipped.digest, skipped.why));
        }
        if output.is_json() {
            output.json(&done)?;
            return Ok(Exit::Done);
        }
        for file in &done.files {
            let path = done.directory.join(&file.file);
            output.line(&path.display().to_string())?;
            let about = format!("  {} about {}", visible(&file.media_type), file.subject);
            output.info(&about)?;
        }
        if done.files.is_empty() {
            output.info(&format!("nothing is said about {}", done.source))?;
        }
        Ok(Exit::Done)
    }
}
