use super::path_of;
use crate::custody::Purpose;
use crate::keys::{KeyFault, NewKey};
use crate::reference::KeyPath;
use crate::storage::Snapshot;

/// Names of one segment that are not ours to give: AWS keeps `alias/aws/` for
/// itself, and clients of its API would take these for that.
const RESERVED: [&str; 2] = ["aws", "alias"];

/// The purpose of a key with these names, if they may be had and are free.
pub(super) fn check(new: &NewKey, snapshot: &Snapshot) -> Result<Purpose, KeyFault> {
    let path = path_of(&new.key)?;
    if path.is_alias() {
        return Err(bad(
            path,
            "a key's path has a purpose and an environment at least, as in kms://model-sign/dev; one segment is an alias",
        ));
    }
    let purpose = Purpose::for_new_key(path.purpose(), new.new_purpose)
        .map_err(|e| bad(path, &e.to_string()))?;
    for (at, alias) in new.aliases.iter().enumerate() {
        if !alias.is_alias() {
            return Err(bad(alias, "an alias is one segment"));
        }
        if RESERVED.contains(&alias.as_str()) {
            return Err(bad(alias, "this alias is reserved"));
        }
        if new.aliases[..at].contains(alias) {
            return Err(bad(alias, "it is given twice"));
        }
    }
    for name in std::iter::once(path).chain(&new.aliases) {
        free(name, snapshot)?;
    }
    Ok(purpose)
}

/// No two keys may have one name, nor one name in the form that clients of
/// Vault's API use, which has no slashes.
fn free(name: &KeyPath, snapshot: &Snapshot) -> Result<(), KeyFault> {
    let slug = slug(name.as_str());
    if let Some(key) = snapshot
        .keys
        .iter()
        .find(|key| self::slug(&key.path) == slug)
    {
        return Err(KeyFault::Exists(format!("a key kms://{}", key.path)));
    }
    if let Some(row) = snapshot.aliases.iter().find(|row| row.alias == slug) {
        return Err(KeyFault::Exists(format!("an alias kms://{}", row.alias)));
    }
    Ok(())
}

/// `model-sign--prod--acme--fraud`.
fn slug(path: &str) -> String {
    path.replace('/', "--")
}

fn bad(name: &KeyPath, why: &str) -> KeyFault {
    KeyFault::BadName {
        name: format!("kms://{name}"),
        why: why.to_owned(),
    }
}
