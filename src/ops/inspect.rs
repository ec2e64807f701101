//! `obreia inspect`: what is in a bundle, without believing any of it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::remote::{self, Named};
use super::{Exit, Failure};
use crate::bundle::{Bundle, Content, Material, is_bundle_media_type};
use crate::crypto::PublicKey;
use crate::durable::{self, Existing};
use crate::limits;
use crate::oci::{Descriptor, Document};
use crate::reference::{ArtifactRef, Select};
use crate::source::layout::{Layout, Resolved};
use crate::source::registry::Registries;
use crate::statement::Statement;
use crate::trust::TrustedKey;

/// What a bundle holds: `obreia.bundle/v1`. Nothing in it is verified.
#[derive(Debug, Serialize)]
pub struct Contents {
    schema: &'static str,
    /// Media type as given.
    pub media_type: String,
    /// `message-signature` or `dsse-envelope`.
    pub content: &'static str,
    /// The hint at the signer's key, if it is signed by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How many certificates it carries.
    pub certificates: usize,
    /// The digest that a message signature states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_digest: Option<String>,
    /// The envelope's payload type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_type: Option<String>,
    /// The envelope's statement, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<Value>,
    /// Length of the signature in bytes.
    pub signature_bytes: usize,
    /// Transparency log entries.
    pub tlog_entries: usize,
    /// RFC 3161 timestamps.
    pub timestamps: usize,
    /// What `--extract` wrote, in the order written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extracted: Vec<PathBuf>,
    /// How to check the extracted files with OpenSSL alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_with: Option<String>,
}

/// Reads a bundle: a file, or the one in a manifest of a layout or registry.
///
/// # Errors
/// Where it cannot be read or is not a bundle.
pub async fn inspect(path: &Path, registries: &Registries) -> Result<(Bundle, Contents), Failure> {
    let json = match named(path) {
        None => durable::read(path, limits::BUNDLE)?,
        Some(ArtifactRef::Registry {
            host,
            repository,
            select,
        }) => {
            let named = Named {
                host: &host,
                repository: &repository,
                select: &select,
            };
            remote::bundle(named, registries).await?
        }
        Some(ArtifactRef::Layout { dir, select }) => {
            let layout = Layout::open(dir)?;
            let resolved = layout.resolve(&select)?;
            layout.read_blob(bundle_in(&resolved)?, limits::BUNDLE)?
        }
        Some(other) => {
            return Err(Failure::new(Exit::Usage, format!("{other} is no bundle")));
        }
    };
    let bundle = Bundle::parse(&json).map_err(|e| {
        Failure::new(
            Exit::Usage,
            format!("cannot read {} as a bundle", path.display()),
        )
        .cause(e)
    })?;
    let (hint, certificates) = match &bundle.material {
        Material::PublicKey { hint } => (Some(hint.clone()), 0),
        Material::Certificates(certificates) => (None, certificates.len()),
    };
    let mut contents = Contents {
        schema: "obreia.bundle/v1",
        media_type: bundle.media_type.clone(),
        content: "message-signature",
        hint,
        certificates,
        message_digest: None,
        payload_type: None,
        statement: None,
        signature_bytes: bundle.signature().len(),
        tlog_entries: bundle.tlog_entries.len(),
        timestamps: bundle.timestamps.len(),
        extracted: Vec::new(),
        check_with: None,
    };
    match &bundle.content {
        Content::Message { digest, .. } => {
            contents.message_digest = digest.map(|d| d.to_string());
        }
        Content::Envelope(envelope) => {
            contents.content = "dsse-envelope";
            contents.payload_type = Some(envelope.payload_type.clone());
            contents.statement = Statement::parse(&envelope.payload)
                .ok()
                .and_then(|s| serde_json::to_value(s).ok());
        }
    }
    Ok((bundle, contents))
}

/// The manifest that a name which is no file's means.
pub fn named(path: &Path) -> Option<ArtifactRef> {
    if path.symlink_metadata().is_ok() {
        return None;
    }
    let found = ArtifactRef::parse(path.to_str()?, |_| false).ok()?;
    // A file's name that was mistyped can look like a registry's: nobody is
    // asked for what was not named by digest.
    let manifest = match &found {
        ArtifactRef::Registry { select, .. } => matches!(select, Select::Digest(_)),
        ArtifactRef::Layout { .. } => true,
        _ => false,
    };
    manifest.then_some(found)
}

/// The only bundle that a manifest holds.
pub(super) fn bundle_in(resolved: &Resolved) -> Result<&Descriptor, Failure> {
    let layers = match &resolved.document {
        Document::Manifest(manifest) => manifest.layers.as_slice(),
        Document::Index(_) => &[],
    };
    let is_bundle = |layer: &&Descriptor| is_bundle_media_type(&layer.media_type);
    let mut bundles = layers.iter().filter(is_bundle);
    match (bundles.next(), bundles.next()) {
        (Some(only), None) => Ok(only),
        (found, _) => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} holds {}",
                resolved.descriptor.digest,
                match found {
                    Some(_) => "several bundles",
                    None => "no bundle",
                }
            ),
        )
        .hint("obreia tree shows the digests of what hangs on an artifact; obreia download writes it into files")),
    }
}

/// The key among `keys` that the bundle's hint names, or the first.
pub fn signer<'a>(bundle: &Bundle, keys: &'a [TrustedKey]) -> Option<&'a PublicKey> {
    let named = match &bundle.material {
        Material::PublicKey { hint } => keys.iter().find(|k| k.public_key.is_hinted_by(hint)),
        Material::Certificates(_) => None,
    };
    named.or(keys.first()).map(|k| &k.public_key)
}

/// Writes a bundle's parts into `dir`, so that other tools can check them:
/// `signature.der`, `payload` and `pae` of an envelope, `message-digest` of a
/// message signature, `certificate-N.der`, and `key.pem` where `key` is given.
///
/// # Errors
/// Where the folder or a file cannot be written; files that exist are replaced.
pub fn extract(
    bundle: &Bundle,
    contents: &mut Contents,
    dir: &Path,
    key: Option<&PublicKey>,
) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|e| {
        Failure::new(Exit::Usage, format!("cannot create {}", dir.display())).cause(e)
    })?;
    let mut parts: Vec<(String, Vec<u8>)> =
        vec![("signature.der".to_owned(), bundle.signature().to_vec())];
    let signed = match &bundle.content {
        Content::Message { digest, .. } => {
            if let Some(digest) = digest {
                parts.push(("message-digest".to_owned(), digest.bytes().to_vec()));
            }
            "ARTIFACT".to_owned()
        }
        Content::Envelope(envelope) => {
            parts.push(("payload".to_owned(), envelope.payload.clone()));
            parts.push(("pae".to_owned(), envelope.pae()));
            dir.join("pae").display().to_string()
        }
    };
    if let Material::Certificates(certificates) = &bundle.material {
        for (index, der) in certificates.iter().enumerate() {
            parts.push((format!("certificate-{index}.pem"), certificate_pem(der)));
        }
    }
    if let Some(key) = key {
        parts.push(("key.pem".to_owned(), key.to_pem().into_bytes()));
        contents.check_with = Some(openssl_command(key, dir, &signed));
    }
    for (name, bytes) in parts {
        let path = dir.join(name);
        durable::write(&path, &bytes, 0o644, Existing::Replace)?;
        contents.extracted.push(path);
    }
    Ok(())
}

fn certificate_pem(der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        lines.join("\n")
    )
    .into_bytes()
}

fn openssl_command(key: &PublicKey, dir: &Path, signed: &str) -> String {
    let key_file = dir.join("key.pem").display().to_string();
    let signature = dir.join("signature.der").display().to_string();
    match key.default_scheme().hash() {
        Some(hash) => format!(
            "openssl dgst -{} -verify {key_file} -signature {signature} {signed}",
            hash.name()
        ),
        None => format!(
            "openssl pkeyutl -verify -pubin -inkey {key_file} -rawin -in {signed} -sigfile {signature}"
        ),
    }
}
