//! `COSE_Sign1_Tagged` (Notary Project, "COSE Sign1 Signature Envelope").

use coset::cbor::value::Value;
use coset::iana::{Algorithm, EnumI64, HeaderParameter};
use coset::{
    AsCborValue, ContentType, CoseSign1, Label, RegisteredLabelWithPrivate, TaggedCborSerializable,
};

use super::headers::{AUTHENTIC_TIME, EXPIRY, Headers, SCHEME, SIGNING_TIME, TIMESTAMP};
use super::{EnvelopeError, Parts};
use crate::limits;
use crate::time::Timestamp;

/// A time as seconds since the epoch (RFC 8949, section 3.4.2).
const EPOCH: u64 = 1;
const COUNTERSIGNATURE: i64 = HeaderParameter::CounterSignature as i64;
/// A certificate and those behind it (RFC 9360).
const X5CHAIN: Label = Label::Int(HeaderParameter::X5Chain as i64);

pub(super) fn parse(bytes: &[u8]) -> Result<Parts, EnvelopeError> {
    let envelope = CoseSign1::from_cbor_value(bounded(bytes)?)
        .map_err(|error| EnvelopeError::malformed(error.to_string()))?;
    let protected = &envelope.protected.header;
    let (signed, unsigned) = (&protected.rest, &envelope.unprotected.rest);
    let both = unsigned
        .iter()
        .find(|(label, _)| signed.iter().any(|(l, _)| l == label));
    if both.is_some()
        || envelope.unprotected.alg.is_some()
        || envelope.unprotected.content_type.is_some()
        || !envelope.unprotected.crit.is_empty()
    {
        return Err(EnvelopeError::malformed(
            "a header stands unprotected that must be protected, or in both places",
        ));
    }
    // The chain may stand in either place; it proves itself.
    let certificates = match find(unsigned, &X5CHAIN).or_else(|| find(signed, &X5CHAIN)) {
        Some(Value::Bytes(one)) => vec![one.clone()],
        Some(Value::Array(list)) if list.len() <= limits::CHAIN => list
            .iter()
            .map(|one| one.as_bytes().cloned())
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| EnvelopeError::malformed("x5chain holds something else than bytes"))?,
        _ => {
            return Err(EnvelopeError::malformed(format!(
                "x5chain is missing, or no list of at most {}",
                limits::CHAIN
            )));
        }
    };
    let timestamp = match find(unsigned, &Label::Text(TIMESTAMP.to_owned())) {
        None => None,
        Some(Value::Bytes(token)) => Some(token.clone()),
        Some(_) => return Err(EnvelopeError::malformed(format!("{TIMESTAMP} is no bytes"))),
    };
    let headers = headers(protected)?;
    let message = envelope.tbs_data(b"");
    let payload = envelope.payload;
    Ok(Parts {
        headers,
        payload: payload.ok_or_else(|| EnvelopeError::malformed("the payload is not in it"))?,
        certificates,
        timestamp,
        message,
        signature: envelope.signature,
    })
}

/// What is inside the tag, with headers that are few and plain.
///
/// Headers are compared with each other, which takes a time that grows with the
/// square of their number; and a countersignature has headers of its own, with
/// countersignatures in them, which are read as deep as they go.
fn bounded(bytes: &[u8]) -> Result<Value, EnvelopeError> {
    let Value::Tag(CoseSign1::TAG, inner) = value(bytes)? else {
        return Err(EnvelopeError::malformed("it is no COSE_Sign1 with its tag"));
    };
    if let Value::Array(parts) = &*inner {
        if let Some(Value::Bytes(protected)) = parts.first()
            && !protected.is_empty()
        {
            few_and_plain(&value(protected)?)?;
        }
        if let Some(unprotected) = parts.get(1) {
            few_and_plain(unprotected)?;
        }
    }
    Ok(*inner)
}

fn value(mut bytes: &[u8]) -> Result<Value, EnvelopeError> {
    let value = coset::cbor::de::from_reader(&mut bytes)
        .map_err(|error| EnvelopeError::malformed(error.to_string()))?;
    match bytes.is_empty() {
        true => Ok(value),
        false => Err(EnvelopeError::malformed("something stands behind it")),
    }
}

fn few_and_plain(headers: &Value) -> Result<(), EnvelopeError> {
    let Value::Map(headers) = headers else {
        return Err(EnvelopeError::malformed("its headers are no map"));
    };
    if headers.len() > limits::COSE_HEADERS {
        return Err(EnvelopeError::malformed(format!(
            "{} headers, the limit is {}",
            headers.len(),
            limits::COSE_HEADERS
        )));
    }
    match headers
        .iter()
        .any(|(label, _)| *label == COUNTERSIGNATURE.into())
    {
        true => Err(EnvelopeError::malformed(
            "it has a countersignature, which Notation has not",
        )),
        false => Ok(()),
    }
}

fn find<'a>(headers: &'a [(Label, Value)], wanted: &Label) -> Option<&'a Value> {
    let found = headers.iter().find(|(label, _)| label == wanted);
    found.map(|(_, value)| value)
}

fn headers(protected: &coset::Header) -> Result<Headers, EnvelopeError> {
    let named = |name: &str| find(&protected.rest, &Label::Text(name.to_owned()));
    let time = |name: &str| match named(name) {
        None => Ok(None),
        Some(value) => seconds(value).map(Some).ok_or_else(|| {
            EnvelopeError::malformed(format!("the header {name} is no time since the epoch"))
        }),
    };
    let scheme = match named(SCHEME) {
        None => None,
        Some(Value::Text(text)) => Some(text.clone()),
        Some(_) => return Err(EnvelopeError::malformed(format!("{SCHEME} is no text"))),
    };
    let content_type = match &protected.content_type {
        None => None,
        Some(ContentType::Text(text)) => Some(text.clone()),
        Some(ContentType::Assigned(number)) => Some(format!("{number:?}")),
    };
    let critical = protected.crit.iter().map(|label| match label {
        RegisteredLabelWithPrivate::Text(name) => name.clone(),
        RegisteredLabelWithPrivate::Assigned(known) => known.to_i64().to_string(),
        RegisteredLabelWithPrivate::PrivateUse(number) => number.to_string(),
    });
    let names = protected.rest.iter().filter_map(|(label, _)| match label {
        Label::Text(name) => Some(name.clone()),
        Label::Int(_) => None,
    });
    Ok(Headers {
        algorithm: protected.alg.as_ref().map(algorithm),
        content_type,
        critical: critical.collect(),
        scheme,
        signing_time: time(SIGNING_TIME)?,
        authentic_time: time(AUTHENTIC_TIME)?,
        expiry: time(EXPIRY)?,
        names: names.collect(),
    })
}

/// Its name in JOSE, where it is one of the six.
fn algorithm(label: &coset::Algorithm) -> String {
    let name = match label {
        RegisteredLabelWithPrivate::Assigned(Algorithm::PS256) => "PS256",
        RegisteredLabelWithPrivate::Assigned(Algorithm::PS384) => "PS384",
        RegisteredLabelWithPrivate::Assigned(Algorithm::PS512) => "PS512",
        RegisteredLabelWithPrivate::Assigned(Algorithm::ES256) => "ES256",
        RegisteredLabelWithPrivate::Assigned(Algorithm::ES384) => "ES384",
        RegisteredLabelWithPrivate::Assigned(Algorithm::ES512) => "ES512",
        RegisteredLabelWithPrivate::Assigned(other) => return other.to_i64().to_string(),
        RegisteredLabelWithPrivate::PrivateUse(number) => return number.to_string(),
        // No name that JOSE has: Notation's are numbers.
        RegisteredLabelWithPrivate::Text(text) => return format!("{text:?}"),
    };
    name.to_owned()
}

fn seconds(value: &Value) -> Option<Timestamp> {
    let Value::Tag(EPOCH, inner) = value else {
        return None;
    };
    let seconds = i64::try_from(inner.as_integer()?).ok()?;
    // The years that a time has here.
    let time = Timestamp::from_secs(seconds);
    (time.secs() == seconds).then_some(time)
}
