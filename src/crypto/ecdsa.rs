//! ECDSA signatures as hardware and web services give them: r and s, each as
//! long as the curve's order, one after the other (IEEE P1363, JWS).

use super::parts::two_numbers;

/// The same signature in ASN.1 DER (RFC 3279, section 2.2.3), as everything
/// here has it; `None` where `raw` is no two numbers above zero.
pub fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    if [r, s].iter().any(|half| half.iter().all(|b| *b == 0)) {
        return None;
    }
    two_numbers(r, s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_high_bits_are_as_der_has_them() {
        let mut raw = [0; 64];
        raw[31] = 0x80;
        raw[63] = 1;
        assert_eq!(ecdsa_der(&raw).unwrap(), [0x30, 7, 2, 2, 0, 0x80, 2, 1, 1]);
        // P-521: long enough for a length of two bytes.
        let long = ecdsa_der(&[0xff; 132]).unwrap();
        assert_eq!(long[..5], [0x30, 0x81, 138, 2, 67]);
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for raw in [&[][..], &[1], &[1, 2, 3], &[0; 64], &[0, 1], &[1, 0]] {
            assert_eq!(ecdsa_der(raw), None, "{raw:?}");
        }
    }
}
