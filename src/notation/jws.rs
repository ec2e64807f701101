//! JSON Web Signatures, flattened (Notary Project, "JWS Signature Envelope").

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::headers::{AUTHENTIC_TIME, EXPIRY, Headers, SCHEME, SIGNING_TIME, TIMESTAMP};
use super::{EnvelopeError, Parts, short};
use crate::canon;
use crate::limits;
use crate::time::Timestamp;

/// What RFC 7515 itself gives a meaning: never in `crit`.
const REGISTERED: [&str; 11] = [
    "alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit",
];

pub(super) fn parse(bytes: &[u8]) -> Result<Parts, EnvelopeError> {
    let envelope = object(bytes, "the envelope")?;
    let known = ["payload", "protected", "header", "signature"];
    if let Some(name) = envelope.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(EnvelopeError::malformed(format!(
            "the field {:?} has no place in it",
            short(name)
        )));
    }
    let part = |name: &str| {
        let found = envelope.get(name).and_then(Value::as_str);
        found.ok_or_else(|| EnvelopeError::malformed(format!("{name} is missing, or no text")))
    };
    let decoded = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part(name)?);
        bytes.map_err(|_| EnvelopeError::malformed(format!("{name} is not base64url")))
    };
    let protected = object(&decoded("protected")?, "protected")?;
    let unprotected = match envelope.get("header") {
        Some(Value::Object(map)) => map,
        _ => return Err(EnvelopeError::malformed("header is missing, or no object")),
    };
    if let Some(name) = unprotected
        .keys()
        .find(|name| protected.contains_key(*name))
    {
        return Err(EnvelopeError::malformed(format!(
            "{:?} stands in both headers",
            short(name)
        )));
    }
    let certificates = match unprotected.get("x5c") {
        Some(Value::Array(list)) if list.len() <= limits::CHAIN => list
            .iter()
            .map(|one| base64(Some(one), "x5c"))
            .collect::<Result<_, _>>()?,
        _ => {
            return Err(EnvelopeError::malformed(format!(
                "x5c is missing, or no list of at most {}",
                limits::CHAIN
            )));
        }
    };
    let timestamp = match unprotected.get(TIMESTAMP) {
        None | Some(Value::Null) => None,
        some => Some(base64(some, TIMESTAMP)?),
    };
    Ok(Parts {
        headers: headers(&protected)?,
        payload: decoded("payload")?,
        certificates,
        timestamp,
        message: format!("{}.{}", part("protected")?, part("payload")?).into_bytes(),
        signature: decoded("signature")?,
    })
}

fn headers(protected: &Map<String, Value>) -> Result<Headers, EnvelopeError> {
    let wrong = |name: &str, what: &str| {
        EnvelopeError::malformed(format!("the header {name} is no {what}"))
    };
    let text = |name: &str| match protected.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(name, "text")),
    };
    let time = |name: &str| match text(name)? {
        None => Ok(None),
        Some(text) => match text.parse::<Timestamp>() {
            Ok(time) => Ok(Some(time)),
            Err(_) => Err(wrong(name, "time")),
        },
    };
    let critical = match protected.get("crit") {
        None => Vec::new(),
        Some(Value::Array(list)) => {
            let names = list.iter().map(|name| name.as_str().map(ToOwned::to_owned));
            names
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| wrong("crit", "list of names"))?
        }
        Some(_) => return Err(wrong("crit", "list of names")),
    };
    Ok(Headers {
        algorithm: text("alg")?,
        content_type: text("cty")?,
        critical,
        scheme: text(SCHEME)?,
        signing_time: time(SIGNING_TIME)?,
        authentic_time: time(AUTHENTIC_TIME)?,
        expiry: time(EXPIRY)?,
        names: protected
            .keys()
            .filter(|name| !REGISTERED.contains(&name.as_str()))
            .cloned()
            .collect(),
    })
}

fn object(bytes: &[u8], what: &str) -> Result<Map<String, Value>, EnvelopeError> {
    match canon::parse(bytes, limits::NOTATION) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(EnvelopeError::malformed(format!(
            "{what} is no JSON object"
        ))),
        Err(error) => Err(EnvelopeError::malformed(format!("{what}: {error}"))),
    }
}

fn base64(value: Option<&Value>, what: &str) -> Result<Vec<u8>, EnvelopeError> {
    let text = value.and_then(Value::as_str);
    let bytes = text.and_then(|text| STANDARD.decode(text).ok());
    bytes.ok_or_else(|| EnvelopeError::malformed(format!("{what} is not base64")))
}
