use std::path::PathBuf;

use clap::Args;

use super::output::visible;
use super::{Context, Output, block_on, select};
use crate::ops::{Exit, Failure, inspect};
use crate::reference::ArtifactRef;

/// `obreia inspect BUNDLE`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  obreia inspect model.sig\n  \
obreia inspect app.bin.sigstore.json --extract parts --key signer.pub\n  \
obreia inspect registry.example/web@sha256:… -o json\n\n\
In a registry or layout a bundle is named by the digest of its manifest, which `obreia \
tree` shows.")]
pub struct Arguments {
    /// The bundle's file, or its manifest: REGISTRY/REPOSITORY@DIGEST, oci-layout:DIR@DIGEST
    bundle: PathBuf,
    /// Write payload, PAE, signature and key into this folder, for OpenSSL
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
    /// The signer's public key, to be written beside them
    #[arg(long, value_name = "KEY", requires = "extract")]
    key: Option<String>,
}

impl Arguments {
    /// Shows the bundle.
    ///
    /// # Errors
    /// Where the bundle cannot be read or its parts not be written.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let named = inspect::named(&self.bundle);
        let remote = matches!(named, Some(ArtifactRef::Registry { .. }));
        let registries = context.registries(remote)?;
        let (bundle, mut contents) = block_on(inspect::inspect(&self.bundle, &registries))??;
        if let Some(dir) = &self.extract {
            let keys = match &self.key {
                Some(key) => select::trusted(key, context)?,
                None => Vec::new(),
            };
            let signer = inspect::signer(&bundle, &keys);
            inspect::extract(&bundle, &mut contents, dir, signer)?;
        }
        if output.is_json() {
            output.json(&contents)?;
            return Ok(Exit::Done);
        }
        output.line(&format!(
            "bundle     {} (nothing in it is verified here)",
            visible(&contents.media_type)
        ))?;
        match &contents.hint {
            Some(hint) => output.line(&format!("signed by  a key with hint {hint:?}"))?,
            None => output.line(&format!(
                "signed by  {} certificate(s)",
                contents.certificates
            ))?,
        }
        output.line(&format!(
            "content    {}, {} byte signature",
            contents.content, contents.signature_bytes
        ))?;
        if let Some(digest) = &contents.message_digest {
            output.line(&format!("states     {digest}"))?;
        }
        if let Some(payload_type) = &contents.payload_type {
            output.line(&format!("payload    {}", visible(payload_type)))?;
        }
        output.line(&format!(
            "time       {} log entries, {} timestamps",
            contents.tlog_entries, contents.timestamps
        ))?;
        if let Some(statement) = &contents.statement {
            let text = serde_json::to_string_pretty(statement).unwrap_or_default();
            output.line(&format!("statement  {text}"))?;
        }
        for path in &contents.extracted {
            output.line(&format!("wrote      {}", path.display()))?;
        }
        if let Some(command) = &contents.check_with {
            output.line(&format!("check with {command}"))?;
        }
        Ok(Exit::Done)
    }
}
