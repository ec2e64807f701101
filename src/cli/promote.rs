use clap::Args;

use super::select::{Certificates, Reading, Selection};
use super::{Context, Output, block_on, size, verdict};
use crate::digest::Digest;
use crate::ops::copy::Spot;
use crate::ops::promote::{self, Expected};
use crate::ops::{Exit, Failure};

/// `obreia promote SRC DST`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia promote oci-layout:staging:fraud-v3 oci-layout:production:fraud --policy promotion.yaml\n  \
obreia promote oci-layout:staging:fraud-v3 oci-layout:production --key release.pub\n  \
obreia promote staging.example/web:v3 registry.example/prod/web:live --policy promotion.yaml\n\n\
Verifies at the source, copies everything that belongs to the artifact by digest, \
verifies again at the destination, and moves the tag last, and only from where it led at \
the beginning. Interrupted anywhere, it can be run again. Policies match the \
destination's name, or --name.\n\n\
Exit codes: 0 promoted, 1 denied, or the tag is not what --expect-previous says, 4 \
undetermined, or the tag moved meanwhile, 5 the registry does not permit it")]
pub struct Arguments {
    /// Where from: oci-layout:DIR[:TAG|@DIGEST] or REGISTRY/REPOSITORY[:TAG|@DIGEST]
    source: String,
    /// Where to: oci-layout:DIR[:TAG] or REGISTRY/REPOSITORY[:TAG]; the tag is the source's where none is given
    destination: String,
    /// What a policy calls it (default: the destination)
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What the destination's tag must lead to: a digest, or none (default: what it leads to at the beginning)
    #[arg(long, value_name = "DIGEST")]
    expect_previous: Option<String>,
    #[command(flatten)]
    policies: Word,
    /// Show how near each rejected piece of evidence came
    #[arg(long)]
    explain: bool,
}

/// What a registry that compares nothing means for tags.
const BEST_EFFORT: &str = "  the tag was looked at before and after; this registry cannot keep \
another who moves it at the same moment apart (cas: best-effort)";

#[derive(Debug, Args)]
struct Word {
    /// A verification policy; repeatable, all that match must pass
    #[arg(long = "policy", value_name = "FILE", conflicts_with_all = ["key", "certificates"])]
    policies: Vec<std::path::PathBuf>,
    /// The key whose signature is enough: PEM file, kms:// or another provider's URI
    #[arg(long, value_name = "KEY", conflicts_with = "certificates")]
    key: Option<String>,
    #[command(flatten)]
    certificates: Certificates,
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
        let source = Spot::parse(&self.source)?;
        let destination = Spot::parse(&self.destination)?;
        let expected = self.expected()?;
        let registries = context.registries(source.is_remote() || destination.is_remote())?;
        let selection = Selection {
            policies: self.policies.policies,
            key: self.policies.key,
            certificates: self.policies.certificates,
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
            name: self.name.as_deref(),
            policies: &policies,
            expected,
            registries: &registries,
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
                    if promotion.cas == Some("best-effort") {
                        output.info(BEST_EFFORT)?;
                    }
                }
                (Some(_), false) => {
                    output.line("not promoted: the copy is there and no tag was moved")?;
                }
                (None, _) => output.line("not promoted: nothing was copied")?,
            }
        }
        Ok(promotion.verdict().outcome.into())
    }

    fn expected(&self) -> Result<Expected, Failure> {
        Ok(match self.expect_previous.as_deref() {
            None => Expected::AsFound,
            Some("none") => Expected::Exactly(None),
            Some(text) => Expected::Exactly(Some(text.parse::<Digest>().map_err(|error| {
                Failure::new(Exit::Usage, "cannot read --expect-previous")
                    .cause(error)
                    .hint("write sha256:… as obreia tree shows it, or none")
            })?)),
        })
    }
}
