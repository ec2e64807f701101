//! Arguments that several commands share: what is meant, and by whose word.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Context, block_on};
use crate::config::Config;
use crate::durable;
use crate::limits;
use crate::ops::{Exit, Failure, certificates, policies};
use crate::policy::Policy;
use crate::reference::{ArtifactRef, KeyRef};
use crate::source::tree::Symlinks;
use crate::trust::TrustedKey;
use crate::verify::ArtifactKind;

/// How an artifact is read.
#[derive(Clone, Debug, Args)]
pub(super) struct Reading {
    /// What kind of artifact it is, where its content does not tell
    #[arg(long, value_enum, value_name = "KIND")]
    pub(super) kind: Option<Kind>,
    /// Follow symlinks that stay inside the model
    #[arg(long)]
    pub(super) allow_symlinks: bool,
    /// Follow symlinks that stay inside this folder, as a model hub's cache needs
    #[arg(long, value_name = "DIR")]
    pub(super) symlinks_within: Option<PathBuf>,
    /// A path in the model that needs no signature; repeatable
    #[arg(long = "ignore-path", value_name = "PATH")]
    pub(super) ignore_paths: Vec<String>,
}

/// `--kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Model,
    Sbom,
    Blob,
}

impl From<Kind> for ArtifactKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Model => Self::Model,
            Kind::Sbom => Self::Sbom,
            Kind::Blob => Self::Blob,
        }
    }
}

impl Reading {
    pub(super) fn symlinks(&self) -> Symlinks {
        match &self.symlinks_within {
            Some(root) => Symlinks::Within(root.clone()),
            None if self.allow_symlinks => Symlinks::Inside,
            None => Symlinks::Refuse,
        }
    }
}

/// Reads an artifact's name, asking the file system which paths exist.
pub(super) fn artifact(text: &str) -> Result<ArtifactRef, Failure> {
    Ok(ArtifactRef::parse(text, |path| {
        // A dangling symlink exists too: it is an artifact that cannot be read, not another name.
        Path::new(path).symlink_metadata().is_ok()
    })?)
}

/// The names in a file, one on each line; lines that are empty or begin with
/// `#` are none.
pub(super) fn lines(file: &Path) -> Result<Vec<String>, Failure> {
    let bytes = match file.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            let most = limits::TARGETS_FILE + 1;
            let read = std::io::stdin().take(most).read_to_end(&mut bytes);
            read.map_err(|e| {
                Failure::new(Exit::Undetermined, "cannot read standard input").cause(e)
            })?;
            bytes
        }
        _ => durable::read(file, limits::TARGETS_FILE)?,
    };
    let wrong = |what: String| {
        let what = format!("{} {what}", file.display());
        Err(Failure::new(Exit::Usage, what).hint("name one artifact on each line"))
    };
    if bytes.len() as u64 > limits::TARGETS_FILE {
        return wrong(format!("has more than {} bytes", limits::TARGETS_FILE));
    }
    let Ok(text) = String::from_utf8(bytes) else {
        return wrong("is no text".to_owned());
    };
    let named = text.lines().map(str::trim);
    let named: Vec<String> = named
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if named.len() > limits::TARGETS {
        return wrong(format!(
            "names {} artifacts, at most {} are verified at once",
            named.len(),
            limits::TARGETS
        ));
    }
    Ok(named)
}

/// The public keys that a key reference names. Unlocks nothing.
pub(super) fn trusted(key: &str, context: &Context) -> Result<Vec<TrustedKey>, Failure> {
    let key = KeyRef::parse(key)?;
    // A key file needs no configuration, so a broken one is not in its way.
    let config = match key {
        KeyRef::File(_) => Config::default(),
        _ => context.config()?,
    };
    Ok(block_on(context.keyring_of(&config).trusted(&key))??)
}

/// Whose certificates are enough, for signatures of Notation's.
#[derive(Clone, Debug, Default, Args)]
#[group(id = "certificates", multiple = true)]
pub(super) struct Certificates {
    /// Certificates that vouch for signers: a file in PEM or DER, or a folder of such; repeatable
    #[arg(long = "certificate-roots", value_name = "PATH")]
    roots: Vec<PathBuf>,
    /// A signer that is meant: "C=US, ST=WA, O=acme", further parts, or "*" for any; repeatable
    #[arg(long = "certificate-subject", value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// Certificates that vouch for signers whose word on their time of signing counts; repeatable
    #[arg(long = "signing-authority-roots", value_name = "PATH")]
    signing_authority_roots: Vec<PathBuf>,
    /// Certificates that vouch for timestamps; repeatable
    #[arg(long = "timestamp-roots", value_name = "PATH")]
    timestamp_roots: Vec<PathBuf>,
}

impl Certificates {
    /// Whether anything of it was given.
    pub(super) fn are_named(&self) -> bool {
        !self.subjects.is_empty()
            || [
                &self.roots,
                &self.signing_authority_roots,
                &self.timestamp_roots,
            ]
            .iter()
            .any(|paths| !paths.is_empty())
    }
}

/// Whose word counts, and where it stands.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// A verification policy; repeatable, all that match must pass
    #[arg(long = "policy", value_name = "FILE", conflicts_with_all = ["key", "certificates"])]
    pub(super) policies: Vec<PathBuf>,
    /// The key whose signature is enough: PEM file, kms:// or another provider's URI
    #[arg(long, value_name = "KEY", conflicts_with = "certificates")]
    pub(super) key: Option<String>,
    #[command(flatten)]
    pub(super) certificates: Certificates,
    /// A bundle to look at instead of where `sign` puts it; repeatable
    #[arg(long = "bundle", value_name = "FILE")]
    pub(super) bundles: Vec<PathBuf>,
}

impl Selection {
    /// The policies: those named, else what `--key` or the certificates stand
    /// for, else the configuration's.
    pub(super) fn policies(
        &self,
        reading: &Reading,
        context: &Context,
    ) -> Result<Vec<Policy>, Failure> {
        if let Some(key) = &self.key {
            let policy = Policy::for_key(trusted(key, context)?, &reading.ignore_paths)
                .map_err(|why| Failure::new(Exit::Usage, "cannot use --ignore-path").cause(why))?;
            return Ok(vec![policy]);
        }
        if self.certificates.are_named() {
            let trust = certificates::trust(&certificates::Places {
                roots: &self.certificates.roots,
                signing_authority_roots: &self.certificates.signing_authority_roots,
                timestamp_roots: &self.certificates.timestamp_roots,
                subjects: &self.certificates.subjects,
            })?;
            let policy = Policy::for_certificates(trust, &reading.ignore_paths)
                .map_err(|why| Failure::new(Exit::Usage, "cannot use --ignore-path").cause(why))?;
            return Ok(vec![policy]);
        }
        let files = if self.policies.is_empty() {
            context.config()?.policy.files
        } else {
            self.policies.clone()
        };
        if files.is_empty() {
            return Err(Failure::new(Exit::Usage, "nothing says whose word counts").hint(
                "name a policy with --policy FILE, a key with --key KEY or certificates with --certificate-roots PATH, or configure [policy] files",
            ));
        }
        let keyring = context.keyring()?;
        block_on(policies::load(&files, &keyring))?
    }
}
