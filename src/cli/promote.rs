use clap::Args;

use super::select::{Reading, Selection};
use super::{Context, Output, block_on, size, verdict};
use crate::ops::copy::Place;
use crate::ops::promote;
use crate::ops::{Exit, Failure};

/// `obreia promote SRC DST`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia promote oci-layout:staging:fraud-v3 oci-layout:production:fraud --policy promotion.yaml\n  \
obreia promote oci-layout:staging:fraud-v3 oci-layout:production --key release.pub\n\n\
Verifies at the source, copies everything that belongs to the artifact by digest, \
verifies again at the destination, and moves the tag last. Interrupted anywhere, it can \
be run again. Policies match the destination's name, or --name.\n\n\
Exit codes: 0 promoted, 1 denied, 4 undetermined")]
pub struct Arguments {
    /// Where from: oci-layout:DIR[:TAG|@DIGEST]
    source: String,
    /// Where to: oci-layout:DIR[:TAG]; the tag is the source's where none is given
    destination: String,
    /// What a policy calls it (default: the destination, as given)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    policies: Word,
    /// Show how near each rejected piece of evidence came
    #[arg(long)]
    explain: bool,
}

#[derive(Debug, Args)]
struct Word {
    /// A verification policy; repeatable, all that match must pass
    #[arg(long = "policy", value_name = "FILE", conflicts_with = "key")]
    policies: Vec<std::path::PathBuf>,
    /// The key whose signature is enough: PEM file, kms:// or another provider's URI
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// With --key: a path in the model that needs no signature; repeatable
    #[arg(long = "ignore-path", value_name = "PATH")]
    ignore_paths: Vec<String>,
}

impl Arguments {
    /// Promotes and prints the verdict.
    ///
    /// # Errors
    /// As [`promote::promote`].
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let source = Place::parse(&self.source)?;
        let destination = Place::parse(&self.destination)?;
        let selection = Selection {
            policies: self.policies.policies,
            key: self.policies.key,
            bundles: Vec::new(),
        };
        let reading = Reading {
            kind: None,
            allow_symlinks: false,
            symlinks_within: None,
            ignore_paths: self.policies.ignore_paths,
        };
        let policies = selection.policies(&reading, context)?;
        let request = promote::Request {
            source: &source,
            destination: &destination,
            name: self.name.as_deref().unwrap_or(&self.destination),
            policies: &policies,
            now: context.now(),
        };
        let progress = output.bytes_bar("promoting");
        let promotion = block_on(promote::promote(&request, &progress))??;
        drop(progress);
        let skipped = promotion.copied.iter().flat_map(|c| &c.skipped);
        for skipped in skipped {
            output.warn(&format!("not copied: {}: {}", skipped.digest, skipped.why));
        }
        if output.is_json() {
            output.json(&promotion)?;
        } else {
            verdict::print(promotion.verdict(), self.explain, output)?;
            match (&promotion.copied, promotion.promoted) {
                (Some(copied), true) => {
                    output.line(&format!("promoted to {}", copied.destination))?;
                    output.info(&format!(
                        "  {} of {} new ({})",
                        copied.blobs.iter().filter(|b| !b.present).count(),
                        super::count(copied.blobs.len(), "blob"),
                        size(copied.bytes)
                    ))?;
                }
                (Some(_), false) => {
                    output.line("not promoted: the copy is there and no tag was moved")?;
                }
                (None, _) => output.line("not promoted: nothing was copied")?,
            }
        }
        Ok(promotion.verdict().outcome.into())
    }
}
