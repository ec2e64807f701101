//! Properties over generated evidence.

use proptest::prelude::*;

use super::*;

fn any_signature() -> impl Strategy<Value = SignatureFact> {
    (
        prop_oneof![Just("sec"), Just("ci")],
        0..4u8,
        prop_oneof![
            Just(SignatureFormat::Oms),
            Just(SignatureFormat::Bundle),
            Just(SignatureFormat::Raw)
        ],
        prop::bool::ANY,
    )
        .prop_map(|(authority, id, format, covered)| {
            let mut s = signature(authority, &format!("k{id}"));
            s.format = format;
            if !covered {
                s.uncovered = vec!["stray".into()];
            }
            s
        })
}

fn any_attestation() -> impl Strategy<Value = AttestationFact> {
    (
        prop_oneof![Just("sec"), Just("ci")],
        prop_oneof![Just(SLSA), Just("https://cyclonedx.org/bom")],
    )
        .prop_map(|(authority, kind)| attestation(authority, kind, json!({})))
}

proptest! {
    // More evidence never takes an answer back, less never gives one, and
    // a failed look-up never denies what was only absent.
    #[test]
    fn evidence_is_monotone(
        signatures in prop::collection::vec(any_signature(), 0..6),
        attestations in prop::collection::vec(any_attestation(), 0..4),
        more in prop::collection::vec(any_signature(), 0..3),
        reports in 0..3usize,
        threshold in 1..3usize,
    ) {
        let p = policy(&format!(
            "  signatures: {{ threshold: {threshold} }}\n  attestations: [{{ type: slsaprovenance1, from: [ci] }}]\n"
        ));
        let mut scene = Scene { signatures, attestations, ..Scene::default() };
        let before = scene.under(&p).outcome;
        scene.failed = failed();
        let unsure = scene.under(&p).outcome;
        prop_assert_eq!(unsure == Outcome::Allowed, before == Outcome::Allowed);
        prop_assert_ne!(unsure, Outcome::Denied);
        scene.failed.clear();
        scene.signatures.extend(more);
        for _ in 0..reports {
            scene.evidence.push(report("signature", None, ReasonCode::SignatureInvalid));
        }
        let after = scene.under(&p).outcome;
        prop_assert!(before != Outcome::Allowed || after == Outcome::Allowed);
        while scene.signatures.pop().is_some() {
            let less = scene.under(&p).outcome;
            prop_assert!(after == Outcome::Allowed || less != Outcome::Allowed);
        }
        prop_assert_eq!(scene.under(&p).outcome, Outcome::Denied);
    }
}
