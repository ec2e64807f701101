//! OpenSSF model manifests: whatever is accepted names files inside the model,
//! and is accepted again as we would sign it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::model::manifest::ModelManifest;
use obreia::model::name;
use obreia::statement::Statement;

fuzz_target!(|data: &[u8]| {
    let Ok(statement) = Statement::parse(data) else {
        return;
    };
    let Ok(manifest) = ModelManifest::from_statement(&statement) else {
        return;
    };
    for resource in manifest.resources() {
        assert!(resource.path == name::SINGLE || name::check(&resource.path).is_ok());
    }
    let again =
        ModelManifest::from_statement(&manifest.to_statement()).expect("what we sign we read");
    assert_eq!(again.resources().len(), manifest.resources().len());
    assert_eq!(again.root_digest(), manifest.root_digest());
});
