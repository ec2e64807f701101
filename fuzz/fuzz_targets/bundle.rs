//! Sigstore bundles: what is read is written and read again the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::bundle::Bundle;

fuzz_target!(|data: &[u8]| {
    if let Ok(bundle) = Bundle::parse(data) {
        assert_eq!(Bundle::parse(&bundle.to_json()).as_ref(), Ok(&bundle));
    }
});
