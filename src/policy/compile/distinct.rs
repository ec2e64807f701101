//! One key is one key, under whatever names and in whatever encodings.

use std::collections::BTreeMap;

use crate::trust::Authority;

/// Gives one id to all keys that are one: a threshold counts ids, and the same
/// key under two names or in two encodings must not count twice.
pub(super) fn unify(authorities: &mut [Authority]) {
    let keys = || authorities.iter().flat_map(|a| &a.keys);
    let mut id_of: BTreeMap<String, String> = keys()
        .map(|k| (k.key_id.clone(), k.key_id.clone()))
        .collect();
    let mut seen: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for key in keys() {
        let mine = id_of[&key.key_id].clone();
        let other = seen
            .entry(key.public_key.fingerprint())
            .or_insert_with(|| key.key_id.clone());
        let theirs = id_of[other.as_str()].clone();
        if mine != theirs {
            let (keep, replace) = if mine < theirs {
                (mine, theirs)
            } else {
                (theirs, mine)
            };
            for id in id_of.values_mut().filter(|id| **id == replace) {
                id.clone_from(&keep);
            }
        }
    }
    for key in authorities.iter_mut().flat_map(|a| &mut a.keys) {
        if let Some(id) = id_of.get(&key.key_id) {
            key.key_id.clone_from(id);
        }
    }
}
