use aws_lc_rs::rand;

use super::KeyFault;

/// A new random UUID (RFC 9562, version 4), as text.
pub(super) fn new_id() -> Result<String, KeyFault> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string())
}

/// Fills `bytes` from the system's random generator.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), KeyFault> {
    rand::fill(bytes).map_err(|_| KeyFault::Provider {
        provider: "the random generator",
        cause: "no random bytes were to be had".to_owned(),
    })
}
