//! Policies, read from files together with the keys and rules that they name.

use std::path::{Path, PathBuf};

use super::{Exit, Failure, certificates};
use crate::durable;
use crate::keys::{KeyFault, Keyring};
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
        for document in read(file)? {
            let gathered = gather(&document, folder_of(file), keyring).await?;
            let policy = Policy::compile(document, &gathered)?;
            if policies.iter().any(|p| p.id.name == policy.id.name) {
                return Err(PolicyError::SameName(policy.id.name).into());
            }
            policies.push(policy);
        }
    }
    Ok(policies)
}

/// The documents of a file; nothing is looked up.
pub(super) fn read(file: &Path) -> Result<Vec<Document>, Failure> {
    let bytes = durable::read(file, limits::POLICY).map_err(|e| invalid(file, e))?;
    Ok(Document::parse(&file.display().to_string(), &bytes)?)
}

/// Where the files lie that a policy names.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The text of a file of rules that a policy in `folder` names.
pub(super) fn rules(folder: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let path = folder.join(name);
    durable::read(&path, limits::POLICY).map_err(|e| invalid(&path, e))
}

pub(super) async fn gather(
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
                let keys = keyring
                    .trusted(&key)
                    .await
                    .map_err(|fault| unresolved(document.name(), &text, fault))?;
                gathered.keys.insert(text, keys);
            }
            Want::Rules(text) => {
                let bytes = rules(folder, &text)?;
                gathered.rules.insert(text, bytes);
            }
            Want::Certificates(text) => {
                let files = certificates::read(&folder.join(&text))?;
                gathered.certificates.insert(text, files);
            }
        }
    }
    Ok(gathered)
}

/// A key that a policy names and that cannot be had: the policy cannot be
/// used, unless trying again may help.
fn unresolved(policy: &str, key: &str, fault: KeyFault) -> Failure {
    let nowhere = matches!(
        fault.root(),
        KeyFault::NoKeystore(_) | KeyFault::NoProvider(_)
    );
    let failure = Failure::from(fault);
    let exit = match failure.exit {
        Exit::Undetermined => Exit::Undetermined,
        _ => Exit::Config,
    };
    let failure = Failure {
        exit,
        what: format!("policy {policy:?} names {key}, which cannot be looked up"),
        ..failure
    };
    if nowhere {
        failure.hint("lock the policy where the key can be reached: obreia policy lock FILE")
    } else {
        failure
    }
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
