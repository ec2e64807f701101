//! Public keys, DER and PEM: one key has one encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::crypto::PublicKey;

fuzz_target!(|data: &[u8]| {
    for key in [PublicKey::from_spki_der(data), PublicKey::from_pem(data)]
        .into_iter()
        .flatten()
    {
        let again = PublicKey::from_pem(key.to_pem().as_bytes()).expect("what we write we read");
        assert_eq!(again.spki_der(), key.spki_der());
        assert_eq!(again.id(), key.id());
    }
});
