use std::path::PathBuf;

use clap::Args;

use super::output::Style;
use super::select::{self, Certificates, Reading, Selection};
use super::{Context, Output, block_on, size};
use crate::ops::tree::{self, Branch};
use crate::ops::{Exit, Failure, gather, verify};
use crate::reference::ArtifactRef;
use crate::source::registry::Registries;
use crate::verify::{Stage, Verdict};

/// `obreia tree ARTIFACT`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia tree oci-layout:staging:fraud-v3\n  \
obreia tree oci-layout:staging:fraud-v3 --key signer.pub\n  \
obreia tree registry.example/web:v1\n  \
obreia tree model/ -o json\n\n\
Shows what an artifact is made of and what is said about it. Nothing is verified unless \
a key or a policy is given; `obreia verify` decides.")]
pub struct Arguments {
    /// A path, oci-layout:DIR[:TAG|@DIGEST], or REGISTRY/REPOSITORY[:TAG|@DIGEST]
    artifact: String,
    /// List every file and layer
    #[arg(long)]
    files: bool,
    /// Mark what holds under this policy; repeatable
    #[arg(long = "policy", value_name = "FILE", conflicts_with_all = ["key", "certificates"])]
    policies: Vec<PathBuf>,
    /// Mark what was signed by this key
    #[arg(long, value_name = "KEY", conflicts_with = "certificates")]
    key: Option<String>,
    #[command(flatten)]
    certificates: Certificates,
}

impl Arguments {
    /// Prints the tree.
    ///
    /// # Errors
    /// As [`tree::tree`].
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let artifact = select::artifact(&self.artifact)?;
        let registries = context.registries_of(&artifact)?;
        let verdict = self.verdict(&artifact, &registries, context, output)?;
        let tree = block_on(tree::tree(&artifact, &registries, verdict.as_ref()))??;
        if output.is_json() {
            output.json(&tree)?;
        } else {
            output.line(&tree.artifact)?;
            self.print(&tree.root, "", "", output)?;
        }
        Ok(Exit::Done)
    }

    fn verdict(
        &self,
        artifact: &ArtifactRef,
        registries: &Registries,
        context: &Context,
        output: &Output,
    ) -> Result<Option<Verdict>, Failure> {
        if self.key.is_none() && self.policies.is_empty() && !self.certificates.are_named() {
            return Ok(None);
        }
        let selection = Selection {
            policies: self.policies.clone(),
            key: self.key.clone(),
            certificates: self.certificates.clone(),
            bundles: Vec::new(),
        };
        let reading = Reading {
            kind: None,
            allow_symlinks: false,
            symlinks_within: None,
            ignore_paths: Vec::new(),
        };
        let policies = selection.policies(&reading, context)?;
        let request = verify::Request {
            reading: gather::Reading {
                artifact,
                name: None,
                kind: None,
                symlinks: reading.symlinks(),
                bundles: &[],
                signature: None,
                into: None,
                registries,
            },
            policies: &policies,
            stage: Stage::Manual,
            now: context.now(),
            source_of_promotion: false,
            everywhere: true,
            platform: None,
            children: false,
            listed: None,
            named: None,
        };
        let progress = output.bytes_bar("hashing");
        Ok(Some(block_on(verify::verify(&request, &progress))??))
    }

    fn print(
        &self,
        branch: &Branch,
        lead: &str,
        below: &str,
        output: &mut Output,
    ) -> Result<(), Failure> {
        let mut line = vec![output.paint(Style::Bold, &branch.what)];
        if !branch.name.is_empty() {
            line.push(branch.name.clone());
        }
        if let Some(digest) = &branch.digest {
            line.push(output.paint(Style::Dim, &digest.to_string()));
        }
        if let Some(why) = &branch.unreadable {
            line.push(output.paint(Style::Red, &format!("unreadable: {why}")));
        }
        output.line(&format!("{lead}{}", line.join("  ")))?;
        for text in details(branch) {
            output.line(&format!("{below}  {text}"))?;
        }
        if self.files {
            for part in &branch.parts {
                let about = format!("{} {} {}", part.name, part.digest, size(part.size));
                output.line(&format!("{below}  - {about}"))?;
            }
        }
        let named = branch
            .children
            .iter()
            .map(|child| ("holds", child))
            .chain(branch.referrers.iter().map(|about| ("about it", about)));
        let last = branch.children.len() + branch.referrers.len();
        for (at, (how, branch)) in named.enumerate() {
            let (corner, rest) = if at + 1 == last {
                ("└─", "   ")
            } else {
                ("├─", "│  ")
            };
            let how = output.paint(Style::Dim, how);
            let lead = format!("{below}{corner} {how}: ");
            self.print(branch, &lead, &format!("{below}{rest}"), output)?;
        }
        Ok(())
    }
}

fn details(branch: &Branch) -> Vec<String> {
    let mut lines = Vec::new();
    for held in &branch.holds {
        let mut words = Vec::new();
        words.extend(
            held.format
                .filter(|format| *format == "unsigned")
                .map(str::to_owned),
        );
        words.extend(held.reference.clone());
        words.extend(held.predicate_type.clone());
        words.extend(held.hint.as_ref().map(|hint| format!("key hint {hint}")));
        words.extend(held.keyid.as_ref().map(|keyid| format!("key id {keyid}")));
        words.extend(
            held.verified
                .map(|verified| match (verified, &held.signer) {
                    (true, Some(signer)) => format!("verified: {signer}"),
                    (true, None) => "verified".to_owned(),
                    (false, _) => "not verified".to_owned(),
                }),
        );
        if !words.is_empty() {
            lines.push(words.join("  "));
        }
    }
    if branch.holds.is_empty() && !branch.parts.is_empty() {
        let bytes = branch
            .parts
            .iter()
            .fold(0_u64, |sum, part| sum.saturating_add(part.size));
        lines.push(format!(
            "{}, {}",
            super::count(branch.parts.len(), "part"),
            size(bytes)
        ));
    }
    lines
}
