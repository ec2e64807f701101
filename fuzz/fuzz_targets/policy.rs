//! Policy documents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::policy::Document;

fuzz_target!(|data: &[u8]| {
    for document in Document::parse("policy.yaml", data).unwrap_or_default() {
        assert!(!document.name().is_empty());
        let _wanted = document.wants();
    }
});
