//! Strict JSON: it never reads what a lenient parser reads otherwise, and its
//! canonical form is a fixed point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::canon;

fuzz_target!(|data: &[u8]| {
    let Ok(value) = canon::parse(data, 1 << 20) else {
        return;
    };
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(data)
            .ok()
            .as_ref(),
        Some(&value)
    );
    let canonical = canon::canonical(&value);
    let again = canon::parse(&canonical, u64::MAX).expect("the canonical form is JSON");
    assert_eq!(again, value);
    assert_eq!(canon::canonical(&again), canonical);
});
