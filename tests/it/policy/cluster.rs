//! sigstore's own documents: what they call invalid is refused, and what they
//! call valid loads, or is refused by the name of what is not supported.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use obreia::policy::{Document, PolicyError};

use crate::harness::shared_data;

fn parsed(folder: &Path) -> BTreeMap<String, Result<Vec<Document>, PolicyError>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let result = Document::parse(&name, &fs::read(&path).unwrap());
            (name, result)
        })
        .collect()
}

#[test]
fn invalid_documents_are_refused() {
    let Some(data) = shared_data("policy-controller") else {
        return;
    };
    let invalid = parsed(&data.join("invalid"));
    assert!(invalid.len() > 15);
    for (name, result) in invalid {
        let error = result.expect_err(&name).to_string();
        assert!(error.starts_with(&name), "{error}");
    }
}

#[test]
fn valid_documents_load_or_name_what_is_not_supported() {
    let Some(data) = shared_data("policy-controller") else {
        return;
    };
    let mut loaded = Vec::new();
    for (name, result) in parsed(&data.join("valid")) {
        match result {
            Ok(documents) => {
                assert_eq!(documents.len(), 1, "{name}");
                loaded.push(name);
            }
            Err(PolicyError::Unsupported { field, .. }) => {
                assert!(
                    field.ends_with(".keyless") || field == "spec.match",
                    "{name}: {field}"
                );
            }
            Err(error) => panic!("{error}"),
        }
    }
    // All others ask for certificates, or choose by a cluster's resources.
    assert_eq!(
        loaded,
        [
            "v1beta1-valid-keyref-awskms.yaml",
            "valid-keyref-awskms.yaml"
        ]
    );
}
