//! CRC-32C (Castagnoli; RFC 3720, appendix B.4): what Cloud KMS checks requests
//! and answers with. Inputs are short, so bit by bit will do.

/// The checksum, as Google's JSON has it.
pub(super) fn crc32c(bytes: &[u8]) -> i64 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    i64::from(!crc)
}

#[test]
fn the_vectors_of_rfc_3720_hold() {
    let rising: Vec<u8> = (0..32).collect();
    let falling: Vec<u8> = (0..32).rev().collect();
    // The RFC writes the bytes as they go over the wire, the lowest first.
    for (bytes, expected) in [
        (&[0; 32][..], 0x8a91_36aa),
        (&[0xff; 32], 0x62a8_ab43),
        (&rising, 0x46dd_794e),
        (&falling, 0x113f_db5c),
        (b"123456789", 0xe306_9283),
    ] {
        assert_eq!(crc32c(bytes), expected);
    }
}
