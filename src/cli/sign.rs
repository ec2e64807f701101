use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::select::{self, Reading};
use super::signing::SigningKey;
use super::{Context, Output, block_on};
use crate::ops::older::Formats;
use crate::ops::{Exit, Failure, sign};

/// `obreia sign ARTIFACT`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia sign model/ --key kms://model-sign/prod/acme/fraud\n  \
obreia sign app.bin --key cosign.key\n  \
obreia sign oci-layout:store:v1 --key kms://image-sign/prod/web --recursive\n  \
obreia sign registry.example/web@sha256:2c26… --key kms://image-sign/prod/web\n  \
obreia sign registry.example/web:v1 --key signer.pem --format bundle,cosign-legacy\n  \
obreia sign model/ --key signer.pem -a stage=prod -a repository=acme/fraud\n\n\
The bundle goes to FILE.sigstore.json, DIR/model.sig, or hangs on the image.")]
pub struct Arguments {
    /// A file or folder, oci-layout:DIR[:tag|@digest], or REGISTRY/REPOSITORY[:tag|@digest]
    artifact: String,
    #[command(flatten)]
    key: SigningKey,
    #[command(flatten)]
    reading: Reading,
    /// A signed note, such as stage=prod; repeatable
    #[arg(long = "annotation", short = 'a', value_name = "K=V", value_parser = key_value)]
    annotations: Vec<(String, String)>,
    /// Write the bundle here instead
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a bundle that is there
    #[arg(long)]
    force: bool,
    /// Sign the children of an index too
    #[arg(long, conflicts_with = "output")]
    recursive: bool,
    /// Sign a model's files in shards of that many bytes
    #[arg(long, value_name = "BYTES")]
    shard_size: Option<NonZeroU64>,
    /// What to write: bundle, or bundle,cosign-legacy for an image in a registry
    #[arg(
        long,
        value_name = "FORMATS",
        value_delimiter = ',',
        default_value = "bundle"
    )]
    format: Vec<String>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as name=value".to_owned()),
    }
}

impl Arguments {
    /// Signs and says where the bundle is.
    ///
    /// # Errors
    /// Where nothing was signed.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let artifact = select::artifact(&self.artifact)?;
        let formats = Formats::parse(&self.format, &artifact, self.output.as_deref())?;
        let registries = context.registries_of(&artifact)?;
        let mut annotations = Map::new();
        for (key, value) in self.annotations {
            if annotations
                .insert(key.clone(), Value::String(value))
                .is_some()
            {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("annotation {key:?} was given twice"),
                ));
            }
        }
        let request = sign::Request {
            artifact: &artifact,
            kind: self.reading.kind.map(Into::into),
            annotations,
            ignore_paths: &self.reading.ignore_paths,
            symlinks: self.reading.symlinks(),
            shard_size: self.shard_size,
            recursive: self.recursive,
            output: self.output.as_deref(),
            force: self.force,
            registries: &registries,
            formats,
        };
        let progress = output.bytes_bar("hashing");
        let signed = block_on(async {
            let key = self.key.open(context).await?;
            sign::sign(&request, &key, &SigningKey::caller(), &progress).await
        })??;
        drop(progress);
        let older = |one: &sign::SignedArtifact| one.cosign_legacy.as_ref().map(|older| older.cas);
        let best = Some("best-effort");
        if signed
            .iter()
            .any(|one| one.cas == best || older(one) == best)
        {
            output.info(super::attest::BEST_EFFORT)?;
        }
        for warning in signed.iter().flat_map(|s| &s.warnings) {
            output.warn(warning);
        }
        if output.is_json() {
            output.json(&json!({"schema": "obreia.signed/v1", "signed": signed}))?;
        }
        for one in &signed {
            let verb = if one.existed {
                "was signed already"
            } else {
                "signed"
            };
            output.info(&format!(
                "{verb} {} {} by {} ({})\n  bundle {}",
                one.kind.as_str(),
                one.identity,
                one.key,
                one.scheme,
                one.bundle
            ))?;
            if let Some(older) = &one.cosign_legacy {
                output.info(&format!("  cosign-legacy {}", older.tag))?;
            }
        }
        Ok(Exit::Done)
    }
}
