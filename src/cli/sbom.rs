use std::path::PathBuf;

use clap::Args;

use super::select::Reading;
use super::{Context, Output};
use crate::durable::{self, Existing};
use crate::ops::{Exit, Failure, sbom};
use crate::time::Timestamp;

/// `obreia sbom MODEL`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  obreia sbom model/ --output model.cdx.json\n  \
obreia sbom model.gguf --version-of-model 2.1 --at 2026-01-01T00:00:00Z\n\n\
What each file is, is read from its content, never from its name; what can carry code is marked."
)]
pub struct Arguments {
    /// The model: a folder or a file
    model: PathBuf,
    /// The model's name (default: the last part of its path)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The model's version
    #[arg(long = "version-of-model", value_name = "VERSION")]
    version_of_model: Option<String>,
    #[command(flatten)]
    reading: Reading,
    /// The time that stands in the document (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Write the document here instead of to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "output")]
    force: bool,
}

impl Arguments {
    /// Writes the document.
    ///
    /// # Errors
    /// Where the model cannot be read or the document not be written.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let progress = output.bytes_bar("hashing");
        let document = sbom::describe(
            &sbom::Request {
                path: &self.model,
                name: self.name.as_deref(),
                version: self.version_of_model.as_deref(),
                symlinks: self.reading.symlinks(),
                now: self.at.unwrap_or_else(|| context.now()),
            },
            &progress,
        )?;
        drop(progress);
        let mut text = serde_json::to_vec_pretty(&document)
            .map_err(|e| Failure::new(Exit::Bug, "cannot render the SBOM").cause(e))?;
        text.push(b'\n');
        let Some(path) = self.output else {
            output.bytes(&text)?;
            return Ok(Exit::Done);
        };
        let existing = if self.force {
            Existing::Replace
        } else {
            Existing::Refuse
        };
        durable::write(&path, &text, 0o644, existing)?;
        output.info(&format!(
            "SBOM of {} written to {}",
            self.model.display(),
            path.display()
        ))?;
        Ok(Exit::Done)
    }
}
