//! OCI manifests and indexes: one reading, written and read again the same;
//! the files of a packed model never lead out of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::oci::{Document, artifact_files, platform};

fuzz_target!(|data: &[u8]| {
    let _known_or_not = platform(data);
    let Ok(document) = Document::parse(data, None) else {
        return;
    };
    let kind = document.media_type().to_owned();
    assert_eq!(Document::parse(data, Some(&kind)).as_ref(), Ok(&document));
    let json = match &document {
        Document::Manifest(manifest) => manifest.to_json(),
        Document::Index(index) => index.to_json(),
    };
    assert_eq!(Document::parse(&json, Some(&kind)).as_ref(), Ok(&document));
    if let Document::Manifest(manifest) = &document
        && let Ok(Some(files)) = artifact_files(manifest)
    {
        for file in files {
            assert!(
                !file.path.starts_with('/')
                    && file
                        .path
                        .split('/')
                        .all(|part| !matches!(part, "" | "." | ".."))
            );
        }
    }
});
