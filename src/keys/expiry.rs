//! When credentials end that say so themselves. Nothing is verified here: what
//! a credential says of itself is enough for a warning.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use der::asn1::{GeneralizedTime, UtcTime};
use der::{AnyRef, Decode, Reader, SliceReader, Tag, Tagged};
use serde::Deserialize;

use super::Warning;
use crate::canon;
use crate::limits;
use crate::time::Timestamp;

/// A credential that ends within so many seconds is worth a word: a week.
pub(super) const SOON: i64 = 7 * DAY;
/// A key or certificate that does, which takes longer to replace.
pub(super) const MONTH: i64 = 30 * DAY;
const DAY: i64 = 24 * 3_600;

/// A warning where `end` is past, or no more than `within` seconds away;
/// `what` is the subject of a sentence.
pub(super) fn warning(
    code: &'static str,
    what: &str,
    end: Option<Timestamp>,
    now: Timestamp,
    within: i64,
) -> Option<Warning> {
    let end = end?;
    let left = end.secs().saturating_sub(now.secs());
    let text = match left {
        ..=0 => format!("{what} ended at {end}"),
        left if left <= within => format!("{what} ends at {end}"),
        _ => return None,
    };
    Some(Warning { code, text })
}

/// When a JSON Web Token ends (RFC 7519, section 4.1.4); `None` for another
/// kind of token, and for one that has no end.
pub(super) fn of_jwt(token: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Claims {
        exp: Option<f64>,
    }
    let text = std::str::from_utf8(token).ok()?;
    let mut parts = text.trim().split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = crate::secret::Secret::new(URL_SAFE_NO_PAD.decode(claims).ok()?);
    let claims: Claims = canon::parse_as(claims.expose(), limits::KEY_FILE).ok()?;
    let end = claims.exp.filter(|end| (0.0..1e11).contains(end))?;
    Some(Timestamp::from_secs(end as i64))
}

/// When the first certificate of a PEM file ends; `None` where there is none.
pub(super) fn of_pem(pem: &[u8]) -> Option<Timestamp> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let start = memchr::memmem::find(pem, BEGIN)?;
    let rest = &pem[start..];
    let end = memchr::memmem::find(rest, END)? + END.len();
    let (_, der) = pem_rfc7468::decode_vec(&rest[..end]).ok()?;
    of_certificate(&der)
}

/// `notAfter` of a certificate (RFC 5280, section 4.1.2.5).
pub(super) fn of_certificate(der: &[u8]) -> Option<Timestamp> {
    let whole = AnyRef::from_der(der).ok()?;
    let mut certificate = SliceReader::new(sequence(whole)?).ok()?;
    let signed: AnyRef<'_> = certificate.decode().ok()?;
    let mut fields = SliceReader::new(sequence(signed)?).ok()?;
    let mut before = 3; // serial number, signature, issuer
    if fields.peek_tag().ok()?.is_context_specific() {
        before += 1; // version
    }
    for _ in 0..before {
        fields.tlv_bytes().ok()?;
    }
    let validity: AnyRef<'_> = fields.decode().ok()?;
    let mut times = SliceReader::new(sequence(validity)?).ok()?;
    times.tlv_bytes().ok()?;
    let end = match times.peek_tag().ok()? {
        Tag::UtcTime => times.decode::<UtcTime>().ok()?.to_unix_duration(),
        _ => times.decode::<GeneralizedTime>().ok()?.to_unix_duration(),
    };
    i64::try_from(end.as_secs()).ok().map(Timestamp::from_secs)
}

fn sequence(any: AnyRef<'_>) -> Option<&[u8]> {
    (any.tag() == Tag::Sequence).then(|| any.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> Vec<u8> {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)).into_bytes()
    }

    #[test]
    fn a_token_says_when_it_ends() {
        let end = of_jwt(&jwt(r#"{"exp":1795000000,"sub":"a"}"#));
        assert_eq!(end, Some(Timestamp::from_secs(1_795_000_000)));
        let end = of_jwt(&[&jwt(r#"{"exp":1795000000.5}"#)[..], b"\n"].concat());
        assert_eq!(end, Some(Timestamp::from_secs(1_795_000_000)));
        for none in [
            &b"hvs.CAESI"[..],
            b"",
            b"a.b",
            b"a.!.c",
            &jwt("{}"),
            &jwt("[]"),
            &jwt(r#"{"exp":"soon"}"#),
            &jwt(r#"{"exp":-1}"#),
            &jwt(r#"{"exp":1e300}"#),
        ] {
            assert_eq!(of_jwt(none), None);
        }
    }

    #[test]
    fn what_ends_soon_is_told_and_what_ends_late_is_not() {
        let now = Timestamp::from_secs(1_000_000);
        let told = |secs| {
            let end = Some(Timestamp::from_secs(1_000_000 + secs));
            warning("token-expires", "the token", end, now, SOON).map(|w| w.text)
        };
        assert!(told(0).is_some_and(|text| text.contains("ended at")));
        assert!(told(-1).is_some_and(|text| text.contains("ended at")));
        assert!(told(1).is_some_and(|text| text.contains("ends at")));
        assert!(told(SOON).is_some());
        assert_eq!(told(SOON + 1), None);
        assert_eq!(warning("token-expires", "it", None, now, SOON), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for none in [
            &b""[..],
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            b"-----END CERTIFICATE----------BEGIN CERTIFICATE-----",
            b"\x30\x03\x30\x01\x00",
        ] {
            assert_eq!(of_pem(none), None);
            assert_eq!(of_certificate(none), None);
        }
    }
}
