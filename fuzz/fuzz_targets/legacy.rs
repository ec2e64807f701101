//! What cosign kept before bundles: payloads of signatures, and lists of them,
//! of which none is lost when two become one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use obreia::oci::{Document, Legacy, LegacyPiece, LegacyStanding, SimpleSigning, append_legacy};

fuzz_target!(|data: &[u8]| {
    if let Ok(payload) = SimpleSigning::parse(data) {
        assert_eq!(
            SimpleSigning::parse(&payload.to_json()).as_ref(),
            Ok(&payload)
        );
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(signature) = LegacyPiece::signature_of(text)
    {
        assert!(!signature.is_empty());
    }
    // Two manifests and a configuration, a line each.
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (Ok(there), Ok(new)) = (Document::parse(next(), None), Document::parse(next(), None))
    else {
        return;
    };
    let config = next();
    for kind in Legacy::ALL {
        let LegacyStanding::Lacks(lacking) = LegacyStanding::of(kind, &there, &new) else {
            continue;
        };
        let Document::Manifest(manifest) = &there else {
            panic!("an index lacks no layers");
        };
        let Ok(both) = append_legacy(Some((manifest, config)), &lacking) else {
            continue;
        };
        let both = Document::parse(&both.manifest, None).expect("what was written is read");
        for one in [&there, &new] {
            assert_eq!(LegacyStanding::of(kind, &both, one), LegacyStanding::Holds);
        }
    }
});
