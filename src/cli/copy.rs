use clap::Args;

use super::{Context, Output, block_on, size};
use crate::ops::copy::{self, Copied, Spot};
use crate::ops::{Exit, Failure};

/// `obreia copy SRC DST`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia copy oci-layout:staging:v3 oci-layout:mirror:v3\n  \
obreia copy oci-layout:staging:v3 oci-layout:mirror --dry-run\n  \
obreia copy registry.example/web:v3 oci-layout:mirror:v3\n\n\
Copies the image or artifact with its children, layers, and everything that is about \
any of them, by digest; then compares; then sets the tag. Verifies no signature: \
`obreia promote` does.")]
pub struct Arguments {
    /// Where from: oci-layout:DIR[:TAG|@DIGEST] or REGISTRY/REPOSITORY[:TAG|@DIGEST]
    source: String,
    /// Where to: oci-layout:DIR[:TAG] or REGISTRY/REPOSITORY[:TAG]; the tag is the source's where none is given
    destination: String,
    /// Write nothing, list what would be copied
    #[arg(long)]
    dry_run: bool,
}

impl Arguments {
    /// Copies and prints what went where.
    ///
    /// # Errors
    /// As [`copy::copy`].
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let source = Spot::parse(&self.source)?;
        let destination = Spot::parse(&self.destination)?;
        let registries = context.registries(source.is_remote() || destination.is_remote())?;
        let progress = output.bytes_bar("copying");
        let copying = copy::copy(&source, &destination, &registries, self.dry_run, &progress);
        let copied = block_on(copying)??;
        drop(progress);
        for skipped in &copied.skipped {
            output.warn(&format!("not copied: {}: {}", skipped.digest, skipped.why));
        }
        if output.is_json() {
            output.json(&copied)?;
        } else {
            print(&copied, output)?;
        }
        Ok(Exit::Done)
    }
}

fn print(copied: &Copied, output: &mut Output) -> Result<(), Failure> {
    let all = copied.blobs.len();
    let new = copied.blobs.iter().filter(|b| !b.present).count();
    let verb = if copied.dry_run {
        "would copy"
    } else {
        "copied"
    };
    output.info(&format!(
        "{verb} {new} of {} ({}), {} there already",
        super::count(all, "blob"),
        size(copied.bytes),
        all - new
    ))?;
    if copied.dry_run || output.verbose() > 0 {
        for blob in &copied.blobs {
            let state = if blob.present { "present" } else { "new" };
            output.line(&format!(
                "  {state:<8} {:<8} {} {}",
                blob.role,
                blob.digest,
                size(blob.size)
            ))?;
        }
    }
    output.line(&format!("  {}", copied.destination))?;
    output.line(&format!("  {}", copied.digest))
}
