//! SBOMs: recognised and validated.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _valid_or_not = obreia::sbom::validate(data);
});
