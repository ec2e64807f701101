use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::encode::{self, Fields};
use super::seal::{self, Unopened};
use crate::canon;
use crate::keys::id::fill;
use crate::keys::{Damage, KeyFault};
use crate::secret::Secret;
use crate::storage::SlotRow;

/// The only kind so far; others will hold the same root key beside it.
pub(super) const PASSPHRASE: &str = "passphrase";

/// Memory in KiB, passes and lanes of new slots.
#[cfg(not(test))]
const COST: (u32, u32, u32) = (64 << 10, 3, 1);
/// The least that is accepted: a unit test opens hundreds of keystores.
#[cfg(test)]
const COST: (u32, u32, u32) = (19 << 10, 1, 1);
/// The bounds of what is read: a slot must neither be weak nor eat the machine.
const MEMORY: std::ops::RangeInclusive<u32> = 19 << 10..=1 << 20;
const PASSES: std::ops::RangeInclusive<u32> = 1..=16;
const LANES: std::ops::RangeInclusive<u32> = 1..=16;
/// Longest slot description, in bytes.
const DESCRIPTION: u64 = 4 << 10;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

/// Why a slot gave no root key.
#[derive(Debug)]
pub(super) enum Shut {
    /// Another passphrase.
    Wrong,
    /// The slot is not as it was written.
    Damaged(Damage),
}

/// A slot that the passphrase opens.
pub(super) fn new(id: i64, passphrase: &Secret, root: &Secret) -> Result<SlotRow, KeyFault> {
    let mut salt = [0; 16];
    fill(&mut salt)?;
    let (memory_kib, passes, lanes) = COST;
    let description = Description {
        kdf: "argon2id".to_owned(),
        memory_kib,
        passes,
        lanes,
        salt: hex::encode(salt),
    };
    let failed = || KeyFault::Provider {
        provider: "argon2id",
        cause: "deriving a key from the passphrase failed".to_owned(),
    };
    let params = serde_json::to_value(&description)
        .map(|value| String::from_utf8_lossy(&canon::canonical(&value)).into_owned())
        .map_err(|_| failed())?;
    let key = derive(passphrase, &description, &salt).ok_or_else(failed)?;
    let mut slot = SlotRow {
        id,
        kind: PASSPHRASE.to_owned(),
        sealed: seal::seal(
            key.as_slice(),
            &identity(id),
            params.as_bytes(),
            root.expose(),
        )?,
        params,
        check: Vec::new(),
    };
    slot.check = encode::slot_check(&slot);
    Ok(slot)
}

/// The root key, if the passphrase is this slot's.
pub(super) fn open(slot: &SlotRow, passphrase: &Secret) -> Result<Secret, Shut> {
    let damaged = || Shut::Damaged(Damage::Slot(slot.id));
    if encode::slot_check(slot) != slot.check {
        return Err(damaged());
    }
    let description: Description =
        canon::parse_as(slot.params.as_bytes(), DESCRIPTION).map_err(|_| damaged())?;
    let salt = hex::decode(&description.salt).map_err(|_| damaged())?;
    let sane = description.kdf == "argon2id"
        && MEMORY.contains(&description.memory_kib)
        && PASSES.contains(&description.passes)
        && LANES.contains(&description.lanes)
        && (16..=64).contains(&salt.len());
    if !sane {
        return Err(Shut::Damaged(Damage::Malformed(format!(
            "seal slot {} asks for key derivation outside what is accepted",
            slot.id
        ))));
    }
    let key = derive(passphrase, &description, &salt).ok_or_else(damaged)?;
    seal::open(
        key.as_slice(),
        &identity(slot.id),
        slot.params.as_bytes(),
        &slot.sealed,
    )
    .map_err(|why| match why {
        Unopened::Commitment => Shut::Wrong,
        Unopened::Malformed | Unopened::Altered => damaged(),
    })
}

fn identity(id: i64) -> Vec<u8> {
    Fields::new("slot").number(id).finish()
}

fn derive(
    passphrase: &Secret,
    description: &Description,
    salt: &[u8],
) -> Option<Zeroizing<[u8; 32]>> {
    let params = Params::new(
        description.memory_kib,
        description.passes,
        description.lanes,
        Some(32),
    )
    .ok()?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose(), salt, key.as_mut_slice())
        .ok()?;
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::from(text.to_owned())
    }

    #[test]
    fn only_its_passphrase_opens_it() {
        let slot = new(1, &secret("right"), &secret("the root")).unwrap();
        let root = open(&slot, &secret("right")).unwrap();
        assert_eq!(root.expose(), b"the root");
        assert!(matches!(open(&slot, &secret("wrong")), Err(Shut::Wrong)));
        assert!(matches!(open(&slot, &secret("")), Err(Shut::Wrong)));
    }

    #[test]
    fn damage_is_not_taken_for_a_wrong_passphrase() {
        let slot = new(1, &secret("right"), &secret("the root")).unwrap();
        let mut flipped = slot.clone();
        flipped.sealed[40] ^= 1;
        let mut params = slot.clone();
        params.params = params.params.replace("\"passes\":1", "\"passes\":2");
        assert_ne!(params.params, slot.params);
        for slot in [flipped, params] {
            assert!(matches!(
                open(&slot, &secret("right")),
                Err(Shut::Damaged(Damage::Slot(1)))
            ));
        }
    }

    #[test]
    fn derivation_is_bounded_even_where_the_plain_hash_fits() {
        let slot = new(1, &secret("right"), &secret("the root")).unwrap();
        for (from, to) in [
            ("\"memory_kib\":19456", "\"memory_kib\":4294967295"),
            ("\"memory_kib\":19456", "\"memory_kib\":8"),
            ("\"passes\":1", "\"passes\":4000000"),
            ("\"lanes\":1", "\"lanes\":0"),
        ] {
            let mut bad = slot.clone();
            bad.params = bad.params.replace(from, to);
            assert_ne!(bad.params, slot.params);
            bad.check = encode::slot_check(&bad);
            assert!(
                matches!(
                    open(&bad, &secret("right")),
                    Err(Shut::Damaged(Damage::Malformed(_)))
                ),
                "{to}"
            );
        }
    }
}
