//! One signer is one, under whatever certificates.

use std::collections::BTreeMap;

use super::facts::{SignatureFact, Verified};

/// What the ids begin with of signers whose key no policy names.
pub(super) const UNNAMED: &str = "x509:";

/// Gives one id to all signatures of one signer, which policies and their rules
/// count. The certificates beside a signature of Notation's are not signed by
/// it: whoever carries it may put another one for the same key there.
pub(super) fn unify(signatures: &mut [Verified<SignatureFact>]) {
    let mut id_of: BTreeMap<String, String> = signatures
        .iter()
        .map(|s| (s.key.id.clone(), s.key.id.clone()))
        .collect();
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for key in signatures.iter().map(|s| &s.key) {
        for mark in &key.marks {
            let other = *seen.entry(mark).or_insert(&key.id);
            let (mine, theirs) = (id_of[&key.id].clone(), id_of[other].clone());
            if mine != theirs {
                let rank = |id: &String| (id.starts_with(UNNAMED), id.clone());
                let (keep, replace) = match rank(&mine) < rank(&theirs) {
                    true => (mine, theirs),
                    false => (theirs, mine),
                };
                for id in id_of.values_mut().filter(|id| **id == replace) {
                    id.clone_from(&keep);
                }
            }
        }
    }
    for signature in signatures {
        let key = &mut signature.value_mut().key;
        if let Some(id) = id_of.get(&key.id) {
            key.id.clone_from(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::facts::{SignatureFormat, SignerKey};
    use super::*;

    fn ids(signers: &[(&str, &[&str])]) -> Vec<String> {
        let mut signatures: Vec<_> = signers
            .iter()
            .map(|(id, marks)| {
                Verified::new(SignatureFact {
                    authority: "acme".into(),
                    key: SignerKey {
                        id: (*id).into(),
                        path: (*id).into(),
                        version: None,
                        state: "active",
                        marks: marks.iter().map(|m| (*m).to_owned()).collect(),
                    },
                    format: SignatureFormat::Notation,
                    signed_at: None,
                    time_source: None,
                    certificate: None,
                    claims: Map::new(),
                    uncovered: Vec::new(),
                    origin: (*id).into(),
                })
            })
            .collect();
        unify(&mut signatures);
        signatures.iter().map(|s| s.key.id.clone()).collect()
    }

    #[test]
    fn signers_with_a_mark_in_common_are_one() {
        // By key; by name; and by one who has the key of one and the name of the other.
        assert_eq!(
            ids(&[("x509:a", &["k1", "n1"]), ("x509:b", &["k1", "n2"])]),
            ["x509:a", "x509:a"]
        );
        assert_eq!(
            ids(&[
                ("x509:c", &["k1", "n1"]),
                ("x509:b", &["k2", "n2"]),
                ("x509:a", &["k1", "n2"]),
            ]),
            ["x509:a", "x509:a", "x509:a"]
        );
        // The id that the policy knows stays.
        assert_eq!(
            ids(&[("x509:a", &["k1", "n1"]), ("z", &["k2", "n1"]), ("z", &[])]),
            ["z", "z", "z"]
        );
        assert_eq!(
            ids(&[
                ("x509:a", &["k1", "n1"]),
                ("x509:b", &["k2", "n2"]),
                ("c", &[])
            ]),
            ["x509:a", "x509:b", "c"]
        );
    }
}
