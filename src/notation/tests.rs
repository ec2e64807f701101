use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use coset::cbor::value::Value as Cbor;
use coset::{
    CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, Label,
    RegisteredLabelWithPrivate, TaggedCborSerializable, iana,
};
use serde_json::{Value, json};

use super::{Envelope, EnvelopeError, EnvelopeFormat, SigningScheme};
use crate::crypto::Scheme;
use crate::limits;

const SCHEME: &str = "io.cncf.notary.signingScheme";
const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
const EXPIRY: &str = "io.cncf.notary.expiry";

fn payload() -> Value {
    json!({"targetArtifact": {"mediaType": "application/x", "size": 7,
        "digest": format!("sha256:{}", "a".repeat(64)), "annotations": {"a": "b"}}})
}

fn headers() -> Value {
    json!({"alg": "ES256", "cty": super::PAYLOAD, "crit": [SCHEME],
        SCHEME: "notary.x509", SIGNING_TIME: "2023-06-27T13:30:33+08:00"})
}

/// An envelope of these headers and that payload; `change` may do anything to it.
fn jws(protected: &Value, payload: &Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut envelope = json!({
        "payload": encoded(payload), "protected": encoded(protected), "signature": "AAAA",
        "header": {"x5c": [STANDARD.encode(b"one"), STANDARD.encode(b"two")]},
    });
    change(&mut envelope);
    envelope.to_string().into_bytes()
}

fn read(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(bytes, EnvelopeFormat::Jws)
}

#[test]
fn what_an_envelope_says() {
    let stamped = |envelope: &mut Value| {
        envelope["header"]["io.cncf.notary.timestampSignature"] = "AQI=".into();
    };
    let bytes = jws(&headers(), &payload(), stamped);
    let envelope = read(&bytes).unwrap();
    assert_eq!(envelope.algorithm, Scheme::EcdsaP256Sha256);
    assert_eq!(envelope.scheme, SigningScheme::X509);
    assert_eq!(envelope.signed_at.to_string(), "2023-06-27T05:30:33Z");
    assert_eq!(envelope.expiry, None);
    assert_eq!(envelope.target.size, 7);
    assert_eq!(envelope.target.annotations["a"], "b");
    assert_eq!(envelope.certificates, [b"one", b"two"]);
    assert_eq!(envelope.timestamp, Some(vec![1, 2]));
    assert_eq!(envelope.signature, [0; 3]);
    let tree: Value = serde_json::from_slice(&bytes).unwrap();
    let part = |name: &str| tree[name].as_str().unwrap().to_owned();
    let message = format!("{}.{}", part("protected"), part("payload"));
    assert_eq!(envelope.message, message.into_bytes());
}

#[test]
fn a_jws_with_another_reading_is_refused() {
    type Change = fn(&mut Value);
    let rows: [(Change, &str); 13] = [
        (|e| e["signatures"] = json!([]), "has no place"),
        (|e| e["payload"] = Value::Null, "payload is missing"),
        (|e| e["payload"] = "a+/=".into(), "not base64url"),
        (|e| e["protected"] = "".into(), "protected"),
        (|e| e["signature"] = "".into(), "the signature is empty"),
        (|e| e["signature"] = "AA==".into(), "not base64url"),
        (|e| e["header"] = Value::Null, "header is missing"),
        (|e| e["header"]["x5c"] = json!([]), "0 certificates"),
        (|e| e["header"]["x5c"] = json!(vec!["AA=="; 9]), "x5c"),
        (|e| e["header"]["x5c"] = json!([1]), "x5c is not base64"),
        (|e| e["header"]["x5c"] = json!("AA=="), "x5c"),
        (|e| e["header"]["alg"] = "ES256".into(), "in both headers"),
        (
            |e| e["header"]["io.cncf.notary.timestampSignature"] = 1.into(),
            "timestampSignature is not base64",
        ),
    ];
    for (change, says) in rows {
        let error = read(&jws(&headers(), &payload(), change)).unwrap_err();
        assert!(matches!(error, EnvelopeError::Malformed(_)), "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    for bytes in [&b""[..], b"[]", b"{}", br#"{"payload":"","payload":""}"#] {
        assert!(read(bytes).is_err());
    }
    let long = vec![b' '; (1 << 20) + 1];
    assert!(
        read(&long)
            .unwrap_err()
            .to_string()
            .contains("the limit is")
    );
}

#[test]
fn headers_that_do_not_go_together_are_refused() {
    let authority = "notary.x509.signingAuthority";
    let authentic = "io.cncf.notary.authenticSigningTime";
    let time = "2026-01-01T00:00:00Z";
    let rows = [
        (json!({"alg": null}), "alg is no text"),
        (json!({"cty": 1}), "cty is no text"),
        (json!({"crit": SCHEME}), "crit is no list"),
        (json!({"crit": [1]}), "crit is no list"),
        (json!({"crit": []}), "must be marked as critical"),
        (json!({"crit": [SCHEME, SCHEME]}), "twice"),
        (json!({"crit": [SCHEME, EXPIRY]}), "is not there"),
        (json!({EXPIRY: time}), "expiry must be marked"),
        (json!({SCHEME: "notary.x510"}), "is not known"),
        (json!({SIGNING_TIME: "yesterday"}), "is no time"),
        (json!({SIGNING_TIME: 1}), "is no text"),
        (
            json!({SCHEME: authority}),
            "authenticSigningTime must be marked",
        ),
        (json!({authentic: time}), "does not go with"),
        (
            json!({SCHEME: authority, authentic: time, "crit": [SCHEME, authentic]}),
            "does not go with",
        ),
    ];
    for (changes, says) in rows {
        let mut headers = headers();
        for (name, value) in changes.as_object().unwrap() {
            headers[name] = value.clone();
        }
        let error = read(&jws(&headers, &payload(), |_| {})).unwrap_err();
        assert!(matches!(error, EnvelopeError::Malformed(_)), "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    for name in ["alg", "cty", "crit", SCHEME, SIGNING_TIME] {
        let mut headers = headers();
        headers.as_object_mut().unwrap().remove(name);
        assert!(read(&jws(&headers, &payload(), |_| {})).is_err(), "{name}");
    }
}

#[test]
fn a_payload_must_describe_one_manifest() {
    type Change = fn(&mut Value);
    let rows: [Change; 8] = [
        |p| *p = json!([]),
        |p| *p = json!({}),
        |p| p["targetArtifact"] = json!("x"),
        |p| p["targetArtifact"]["digest"] = "sha256:aa".into(),
        |p| p["targetArtifact"]["digest"] = Value::Null,
        |p| p["targetArtifact"]["size"] = (-1).into(),
        |p| p["targetArtifact"]["mediaType"] = 1.into(),
        |p| p["targetArtifact"]["annotations"] = json!({"a": 1}),
    ];
    for change in rows {
        let mut payload = payload();
        change(&mut payload);
        let error = read(&jws(&headers(), &payload, |_| {})).unwrap_err();
        assert!(error.to_string().contains("the payload"), "{error}");
    }
}

/// A COSE envelope that holds.
fn cose(change: impl FnOnce(HeaderBuilder) -> HeaderBuilder) -> CoseSign1 {
    let time = Cbor::Tag(1, Box::new(Cbor::Integer(1_687_843_833.into())));
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::PS256)
        .content_type(super::PAYLOAD.to_owned())
        .add_critical_label(RegisteredLabelWithPrivate::Text(SCHEME.to_owned()))
        .text_value(SCHEME.to_owned(), Cbor::Text("notary.x509".to_owned()));
    let protected = change(protected).text_value(SIGNING_TIME.to_owned(), time);
    let mut made = CoseSign1Builder::new()
        .protected(protected.build())
        .payload(payload().to_string().into_bytes())
        .signature(vec![1])
        .build();
    let chain = Cbor::Array(vec![Cbor::Bytes(b"one".to_vec())]);
    made.unprotected.rest.push((Label::Int(33), chain));
    made
}

fn read_cose(made: CoseSign1) -> Result<Envelope, EnvelopeError> {
    Envelope::parse(&made.to_tagged_vec().unwrap(), EnvelopeFormat::Cose)
}

#[test]
fn cose_says_the_same_in_its_own_words() {
    let made = cose(|header| header);
    let message = made.tbs_data(b"");
    let envelope = read_cose(made).unwrap();
    assert_eq!(envelope.algorithm.to_string(), "rsa-pss-sha256");
    assert_eq!(envelope.signed_at.to_string(), "2023-06-27T05:30:33Z");
    assert_eq!(envelope.certificates, [b"one"]);
    assert_eq!(envelope.message, message);
    // One certificate need be no list (RFC 9360).
    let mut single = cose(|header| header);
    single.unprotected.rest = vec![(Label::Int(33), Cbor::Bytes(b"one".to_vec()))];
    assert_eq!(read_cose(single).unwrap().certificates, [b"one"]);
}

#[test]
fn a_cose_with_another_reading_is_refused() {
    let text = |text: &str| Cbor::Text(text.to_owned());
    type Change = Box<dyn FnOnce(&mut CoseSign1)>;
    let rows: [(Change, &str); 7] = [
        (Box::new(|m| m.payload = None), "the payload is not in it"),
        (Box::new(|m| m.signature.clear()), "the signature is empty"),
        (
            Box::new(|m| m.unprotected.rest.clear()),
            "x5chain is missing",
        ),
        (
            Box::new(move |m| m.unprotected.rest[0].1 = Cbor::Array(vec![text("x")])),
            "something else than bytes",
        ),
        (
            Box::new(|m| {
                let many = vec![Cbor::Bytes(vec![1]); 9];
                m.unprotected.rest[0].1 = Cbor::Array(many);
            }),
            "x5chain",
        ),
        (
            Box::new(|m| m.unprotected.alg = m.protected.header.alg.clone()),
            "must be protected",
        ),
        (
            Box::new(|m| {
                let label = Label::Text(SCHEME.to_owned());
                m.unprotected.rest.push((label, Cbor::Text("x".to_owned())));
            }),
            "in both places",
        ),
    ];
    for (change, says) in rows {
        let mut made = cose(|header| header);
        change(&mut made);
        let error = read_cose(made).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    // Times are whole seconds with their tag.
    for time in [
        Cbor::Integer(1.into()),
        Cbor::Tag(0, Box::new(Cbor::Text("2026-01-01T00:00:00Z".to_owned()))),
        Cbor::Tag(1, Box::new(Cbor::Float(1.5))),
        Cbor::Tag(1, Box::new(Cbor::Integer(i64::MAX.into()))),
    ] {
        let mark = RegisteredLabelWithPrivate::Text(EXPIRY.to_owned());
        let made = cose(|h| {
            h.add_critical_label(mark)
                .text_value(EXPIRY.to_owned(), time)
        });
        let error = read_cose(made).unwrap_err();
        assert!(
            error.to_string().contains("no time since the epoch"),
            "{error}"
        );
    }
    // Without the tag, cut short, and with something behind it.
    let made = cose(|header| header);
    let whole = made.clone().to_tagged_vec().unwrap();
    let read = |bytes: &[u8]| Envelope::parse(bytes, EnvelopeFormat::Cose);
    assert!(read(&whole).is_ok());
    assert!(read(&made.to_vec().unwrap()).is_err());
    assert!(read(&whole[..whole.len() - 1]).is_err());
    assert!(read(&[&whole[..], &[0]].concat()).is_err());
}

#[test]
fn a_cose_with_many_or_nested_headers_is_refused() {
    let label = |at: usize| Label::Text(format!("x{at}"));
    let many = |count: usize| {
        cose(|header| (0..count).fold(header, |h, at| h.text_value(format!("x{at}"), true.into())))
    };
    // Five are there already.
    assert!(read_cose(many(limits::COSE_HEADERS - 5)).is_ok());
    let error = read_cose(many(limits::COSE_HEADERS - 4)).unwrap_err();
    assert!(error.to_string().contains("the limit is 64"), "{error}");
    let mut made = cose(|header| header);
    let more = (0..limits::COSE_HEADERS).map(|at| (label(at), true.into()));
    made.unprotected.rest.extend(more);
    let error = read_cose(made).unwrap_err();
    assert!(error.to_string().contains("the limit is 64"), "{error}");
    let countersigned = |signature| cose(|h| h.add_counter_signature(signature));
    let error = read_cose(countersigned(coset::CoseSignature::default())).unwrap_err();
    assert!(error.to_string().contains("countersignature"), "{error}");
    let mut made = cose(|header| header);
    let signature = coset::CoseSignature::default();
    made.unprotected.counter_signatures.push(signature);
    let error = read_cose(made).unwrap_err();
    assert!(error.to_string().contains("countersignature"), "{error}");
}

#[test]
fn an_algorithm_of_cose_is_a_number() {
    let mut made = cose(|header| header);
    let text = RegisteredLabelWithPrivate::Text("PS256".to_owned());
    made.protected.header.alg = Some(text);
    let error = read_cose(made).unwrap_err();
    assert!(matches!(error, EnvelopeError::Algorithm(_)), "{error}");
}

#[test]
fn a_critical_number_is_not_understood() {
    let label = RegisteredLabelWithPrivate::Assigned(iana::HeaderParameter::X5Chain);
    let error = read_cose(cose(|h| h.add_critical_label(label))).unwrap_err();
    assert_eq!(error, EnvelopeError::Critical("33".to_owned()));
}

#[test]
fn no_change_of_an_envelope_makes_it_panic() {
    let jws = jws(&headers(), &payload(), |_| {});
    let cose = cose(|header| header).to_tagged_vec().unwrap();
    for (bytes, format) in [(jws, EnvelopeFormat::Jws), (cose, EnvelopeFormat::Cose)] {
        assert!(Envelope::parse(&bytes, format).is_ok());
        for at in 0..bytes.len() {
            assert!(Envelope::parse(&bytes[..at], format).is_err(), "{at}");
            for change in [1, 0x20, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                let _read_or_refused = Envelope::parse(&changed, format);
            }
        }
    }
}
