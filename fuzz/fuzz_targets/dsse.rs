//! DSSE envelopes, and their pre-authentication encoding: one encoding has one reading.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::canon;
use obreia::dsse::{Envelope, Wire};

fuzz_target!(|data: &[u8]| {
    let Ok(wire) = canon::parse_as::<Wire>(data, obreia::limits::BUNDLE) else {
        return;
    };
    let Ok(envelope) = Envelope::try_from(wire) else {
        return;
    };
    let json = serde_json::to_vec(&Wire::from(&envelope)).expect("texts serialise");
    let again = canon::parse_as::<Wire>(&json, u64::MAX).map(Envelope::try_from);
    assert_eq!(again, Ok(Ok(envelope.clone())));
    assert_eq!(
        read_pae(&envelope.pae()),
        (envelope.payload_type.as_bytes(), &envelope.payload[..])
    );
});

/// The specification's encoding read back, written independently of ours.
fn read_pae(pae: &[u8]) -> (&[u8], &[u8]) {
    let rest = pae.strip_prefix(b"DSSEv1 ").expect("the version");
    let (kind, rest) = read_field(rest);
    let (payload, rest) = read_field(rest.strip_prefix(b" ").expect("a space"));
    assert!(rest.is_empty());
    (kind, payload)
}

fn read_field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let space = bytes.iter().position(|b| *b == b' ').expect("a length");
    let length: usize = std::str::from_utf8(&bytes[..space])
        .expect("digits")
        .parse()
        .expect("a number");
    bytes[space + 1..].split_at(length)
}
