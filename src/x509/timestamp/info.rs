//! What a timestamp says (RFC 3161, section 2.4.2).

use der::asn1::ObjectIdentifier;
use der::{Tag, TagNumber};

use super::super::der::{Element, Elements};
use super::{TimestampError, context, hash_of};
use crate::digest::Algorithm;
use crate::time::Timestamp;

/// The baseline policy of ETSI (RFC 3628, section 5.2), under which a token
/// without an accuracy has one of a second.
const BASELINE: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");
const EXTENSIONS: Tag = context(TagNumber::N1, true);
const SECOND: i64 = 1_000_000_000;

/// `TSTInfo`, as far as it matters.
#[derive(Debug)]
pub(super) struct Info {
    pub(super) imprint_hash: Algorithm,
    pub(super) imprint: Vec<u8>,
    pub(super) at: Timestamp,
    /// Nanoseconds, to either side.
    pub(super) accuracy: i64,
}

impl Info {
    pub(super) fn parse(der: &[u8]) -> Result<Self, TimestampError> {
        let mut outer = Elements::new(der);
        let mut fields = outer.expect_tag(Tag::Sequence)?.inside();
        outer.end()?;
        if number(fields.expect_tag(Tag::Integer)?)? != 1 {
            return Err(TimestampError::malformed("it is of another version than 1"));
        }
        // Policies under 2.25 have numbers larger than an identifier has here.
        let policy = fields.expect_tag(Tag::ObjectIdentifier)?.body;
        let mut imprint = fields.expect_tag(Tag::Sequence)?.inside();
        let imprint_hash = hash_of(imprint.expect_tag(Tag::Sequence)?.algorithm()?)?;
        let imprint = imprint.expect_tag(Tag::OctetString)?.body.to_vec();
        fields.expect_tag(Tag::Integer)?;
        let at = time(fields.expect_tag(Tag::GeneralizedTime)?)?;
        let accuracy = match fields.maybe(Tag::Sequence)? {
            Some(accuracy) => span(accuracy)?,
            None if policy == BASELINE.as_bytes() => SECOND,
            None => 0,
        };
        for more in fields {
            let more = more?;
            if more.tag == EXTENSIONS {
                none_critical(more)?;
            }
        }
        Ok(Self {
            imprint_hash,
            imprint,
            at,
            accuracy,
        })
    }
}

/// None of the extensions is understood, so none may be critical.
fn none_critical(extensions: Element<'_>) -> Result<(), TimestampError> {
    for extension in extensions.inside() {
        let mut fields = extension?.inside();
        fields.expect_tag(Tag::ObjectIdentifier)?;
        if fields.maybe(Tag::Boolean)?.is_some_and(|b| b.body != [0]) {
            return Err(TimestampError::malformed(
                "it has a critical extension that is not understood",
            ));
        }
    }
    Ok(())
}

/// `Accuracy`: seconds, and parts of one.
fn span(accuracy: Element<'_>) -> Result<i64, TimestampError> {
    let mut fields = accuracy.inside();
    let mut total: i64 = 0;
    for (tag, unit) in [
        (Tag::Integer, SECOND),
        (context(TagNumber::N0, false), SECOND / 1_000),
        (context(TagNumber::N1, false), SECOND / 1_000_000),
    ] {
        if let Some(field) = fields.maybe(tag)? {
            total = total.saturating_add(number(field)?.saturating_mul(unit));
        }
    }
    fields.end()?;
    Ok(total)
}

/// A small number that is not below zero.
fn number(element: Element<'_>) -> Result<i64, TimestampError> {
    let bad = || TimestampError::malformed("a number in it is too large, or below zero");
    if element.body.is_empty() || element.body.len() > 6 || element.body[0] >= 0x80 {
        return Err(bad());
    }
    Ok(element
        .body
        .iter()
        .fold(0, |sum, b| sum << 8 | i64::from(*b)))
}

/// `YYYYMMDDHHMMSS[.f…]Z`; unlike in certificates, parts of a second may be told.
fn time(element: Element<'_>) -> Result<Timestamp, TimestampError> {
    let bad = || TimestampError::malformed("its time is none");
    let text = std::str::from_utf8(element.body).map_err(|_| bad())?;
    let text = text.strip_suffix('Z').ok_or_else(bad)?;
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fraction_fits = fraction.is_none_or(|f| (1..=9).contains(&f.len()) && digits(f));
    if whole.len() != 14 || !digits(whole) || !fraction_fits {
        return Err(bad());
    }
    let part = |from: usize, to: usize| &whole[from..to];
    let fraction = fraction.map(|f| format!(".{f}")).unwrap_or_default();
    let (date, clock) = (
        [part(0, 4), part(4, 6), part(6, 8)].join("-"),
        [part(8, 10), part(10, 12), part(12, 14)].join(":"),
    );
    format!("{date}T{clock}{fraction}Z")
        .parse()
        .map_err(|_| bad())
}
