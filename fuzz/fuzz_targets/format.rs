//! What a model file is, by its content: every input has an answer, in bounded
//! time and memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::model::format::detect;

fuzz_target!(|data: &[u8]| {
    let mut content = data;
    let detected = detect(&mut content).expect("a slice never fails to read");
    assert!(detected.formats.len() <= obreia::limits::FORMAT_FACTS);
});
