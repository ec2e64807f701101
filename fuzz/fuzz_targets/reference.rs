//! Names of artifacts and keys: a name that is shown is read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::reference::{ArtifactRef, KeyRef};

fuzz_target!(|data: &str| {
    for exists in [false, true] {
        if let Ok(artifact @ ArtifactRef::Registry { .. }) = ArtifactRef::parse(data, |_| exists) {
            let shown = format!("oci:{artifact}");
            assert_eq!(ArtifactRef::parse(&shown, |_| exists).ok(), Some(artifact));
        }
    }
    if let Ok(key @ KeyRef::Kms { .. }) = KeyRef::parse(data) {
        assert_eq!(KeyRef::parse(&key.to_string()).ok(), Some(key));
    }
});
