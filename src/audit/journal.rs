//! The journal: the newest records, from the last full bundle on, with what
//! they follow on and a signature per write. It is what makes records
//! durable; tiles, bundles and the checkpoint beside it are made from it.
//!
//! `header frame…`, where the header is the magic line, the tree's size in
//! eight bytes, the hashes of its partial tiles, and a SHA-256 over these; a
//! frame is the length of its body in four bytes, the body (64 bytes of
//! Ed25519 over the checkpoint that these entries make, then the entries as
//! in a bundle), and a SHA-256 over both. Numbers are big-endian. The
//! SHA-256 tells a write that was cut short; tampering is for the signature
//! to tell.

use crate::crypto::sha256;
use crate::tlog::{Frontier, Hash, WIDTH};

/// Largest journal that is read, in bytes: two bundles' worth of the longest
/// entries, and frames.
pub(super) const LIMIT: u64 = 2 * WIDTH * (64 << 10) + (1 << 20);

const MAGIC: &[u8] = b"obreia audit journal 1\n";
const SIGNATURE: usize = 64;
const DIGEST: usize = 32;
/// Levels of a tree of 2^64 leaves.
const LEVELS: usize = 8;

/// A journal, taken apart; nothing of it is verified.
pub(super) struct Journal<'a> {
    /// The tree before its first entry.
    pub(super) base: Frontier,
    /// One per write, at least one.
    pub(super) frames: Vec<Frame<'a>>,
    /// Bytes up to the end of the last whole frame.
    pub(super) whole: u64,
    /// Bytes of an unfinished frame after that.
    pub(super) torn: u64,
}

/// What one write added.
pub(super) struct Frame<'a> {
    /// As in a bundle.
    pub(super) entries: &'a [u8],
    /// Over the checkpoint after them.
    pub(super) signature: &'a [u8],
}

/// The bytes before the first frame.
pub(super) fn header(base: &Frontier) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&base.size().to_be_bytes());
    bytes.push(base.levels().len() as u8);
    for level in base.levels() {
        bytes.push(level.len() as u8);
        for hash in level {
            bytes.extend_from_slice(hash.bytes());
        }
    }
    let digest = sha256(&bytes);
    bytes.extend_from_slice(digest.bytes());
    bytes
}

/// The bytes of one write; `entries` as in a bundle.
pub(super) fn frame(entries: &[u8], signature: &[u8; SIGNATURE]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + SIGNATURE + entries.len() + DIGEST);
    // Bounded by the writer far below 4 GiB.
    bytes.extend_from_slice(&((SIGNATURE + entries.len()) as u32).to_be_bytes());
    bytes.extend_from_slice(signature);
    bytes.extend_from_slice(entries);
    let digest = sha256(&bytes);
    bytes.extend_from_slice(digest.bytes());
    bytes
}

/// Takes a journal apart. An unfinished frame at its end is counted, not
/// refused: nobody was told that it is durable, unless a checkpoint says so.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Journal<'_>, &'static str> {
    let (base, mut at) = parse_header(bytes).ok_or("its beginning was changed or cut off")?;
    let mut frames = Vec::new();
    while let Some((frame, end)) = parse_frame(bytes, at) {
        frames.push(frame);
        at = end;
    }
    if frames.is_empty() {
        return Err("its first write was changed or cut off");
    }
    Ok(Journal {
        base,
        frames,
        whole: at as u64,
        torn: (bytes.len() - at) as u64,
    })
}

fn parse_header(bytes: &[u8]) -> Option<(Frontier, usize)> {
    let mut at = MAGIC.len();
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let mut take = |count: usize| {
        let taken = bytes.get(at..at.checked_add(count)?)?;
        at += count;
        Some(taken)
    };
    let size = u64::from_be_bytes(*take(8)?.first_chunk()?);
    let mut levels = Vec::new();
    let count = usize::from(*take(1)?.first()?);
    if count > LEVELS {
        return None;
    }
    for _ in 0..count {
        let hashes = usize::from(*take(1)?.first()?);
        let hashes = take(hashes * Hash::LEN)?;
        levels.push(
            hashes
                .chunks_exact(Hash::LEN)
                .filter_map(Hash::from_bytes)
                .collect(),
        );
    }
    let (covered, digest) = bytes.split_at(at);
    if digest.get(..DIGEST)? != sha256(covered).bytes() || size % WIDTH != 0 {
        return None;
    }
    Some((Frontier::from_levels(size, levels)?, at + DIGEST))
}

/// The frame at `at` and where it ends; `None` where there is no whole one.
fn parse_frame(bytes: &[u8], at: usize) -> Option<(Frame<'_>, usize)> {
    let rest = &bytes[at..];
    let body = u32::from_be_bytes(*rest.first_chunk::<4>()?) as usize;
    let covered = rest.get(..body.checked_add(4)?)?;
    let digest = rest.get(body + 4..body + 4 + DIGEST)?;
    if body < SIGNATURE || digest != sha256(covered).bytes() {
        return None;
    }
    let (signature, entries) = covered[4..].split_at(SIGNATURE);
    Some((Frame { entries, signature }, at + 4 + body + DIGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut base = Frontier::new();
        for n in 0u64..512 {
            base.push(Hash::of_leaf(&n.to_be_bytes()));
        }
        [
            header(&base),
            frame(b"\0\x01a", &[1; 64]),
            frame(b"\0\x01b\0\x01c", &[2; 64]),
        ]
        .concat()
    }

    #[test]
    fn there_and_back() {
        let bytes = sample();
        let journal = parse(&bytes).unwrap();
        assert_eq!(journal.base.size(), 512);
        assert_eq!(journal.base.levels()[1].len(), 2);
        assert_eq!(journal.frames[1].entries, b"\0\x01b\0\x01c");
        assert_eq!(journal.frames[1].signature, [2; 64]);
        assert_eq!((journal.whole, journal.torn), (bytes.len() as u64, 0));
    }

    #[test]
    fn whatever_is_cut_off_the_whole_frames_before_it_stay() {
        let bytes = sample();
        let second = bytes.len() - frame(b"\0\x01b\0\x01c", &[2; 64]).len();
        for len in 0..bytes.len() {
            match parse(&bytes[..len]) {
                Ok(journal) => {
                    assert!(len >= second);
                    assert_eq!(journal.frames.len(), 1);
                    assert_eq!(journal.whole as usize, second);
                    assert_eq!(journal.torn as usize, len - second);
                }
                Err(_) => assert!(len < second, "{len}"),
            }
        }
    }

    #[test]
    fn a_flipped_bit_ends_what_is_whole() {
        let bytes = sample();
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            assert!(parse(&bad).map_or(true, |j| j.frames.len() < 2), "{at}");
        }
    }
}
