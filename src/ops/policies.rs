//! Policies, read from files together with the keys and rules that they name.

use std::path::{Path, PathBuf};

use super::{Exit, Failure};
use crate::durable;
use crate::keys::Keyring;
use crate::limits;
use crate::policy::{Document, Gathered, Policy, PolicyError, Want};
use crate::reference::KeyRef;

/// Loads policies: every document of every file, compiled.
///
/// # Errors
/// Exit 3 where a file is not a policy, or a key or rule that it names cannot be had.
pub async fn load(files: &[PathBuf], keyring: &Keyring) -> Result<Vec<Policy>, Failure> {
    let mut policies: Vec<Policy> = Vec::new();
    for file in files {
        let bytes = durable::read(file, limits::POLICY).map_err(|e| invalid(file, e))?;
        let documents = Document::parse(&file.display().to_string(), &bytes)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        for document in documents {
            let gathered = gather(&document, folder, keyring).await?;
            let policy = Policy::compile(document, &gathered)?;
            if policies.iter().any(|p| p.id.name == policy.id.name) {
                return Err(PolicyError::SameName(policy.id.name).into());
            }
            policies.push(policy);
        }
    }
    Ok(policies)
}

async fn gather(
    document: &Document,
    folder: &Path,
    keyring: &Keyring,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    for want in document.wants() {
        match want {
            Want::Key(text) => {
                let key = match KeyRef::parse(&text)? {
                    KeyRef::File(path) => KeyRef::File(folder.join(path).display().to_string()),
                    other => other,
                };
                let keys = keyring.trusted(&key).await?;
                gathered.keys.insert(text, keys);
            }
            Want::Rules(text) => {
                let path = folder.join(&text);
                let bytes = durable::read(&path, limits::POLICY).map_err(|e| invalid(&path, e))?;
                gathered.rules.insert(text, bytes);
            }
        }
    }
    Ok(gathered)
}

fn invalid(file: &Path, error: durable::FileError) -> Failure {
    Failure::new(
        Exit::Config,
        format!("cannot read the policy {}", file.display()),
    )
    .cause(error)
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::new(Exit::Config, "the policy cannot be used")
            .cause(error)
            .hint("obreia policy check FILE tells all that is wrong with it; docs/policy.md lists every field")
    }
}
