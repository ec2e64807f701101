//! Entry bundles: entries one after the other, each behind its length in two
//! bytes, big-endian (`c2sp.org/tlog-tiles`, "Log entries").

/// Most bytes of one entry.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// Why bytes are no entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntriesError {
    /// An entry of more than 65,535 bytes.
    #[error("an entry of {0} bytes does not fit into a bundle")]
    TooLong(usize),
    /// The last entry is cut short.
    #[error("entry {0} is cut short")]
    Short(usize),
}

/// Adds `entry` to the bundle in `bytes`.
///
/// # Errors
/// `TooLong` over [`MAX_ENTRY`].
pub fn put_entry(bytes: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntriesError> {
    let len = u16::try_from(entry.len()).map_err(|_| EntriesError::TooLong(entry.len()))?;
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle.
///
/// # Errors
/// `Short` where the bytes do not end with an entry.
pub fn split_entries(bytes: &[u8]) -> Result<Vec<&[u8]>, EntriesError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let short = EntriesError::Short(entries.len());
        let (len, after) = rest.split_first_chunk::<2>().ok_or(short)?;
        let (entry, after) = after
            .split_at_checked(usize::from(u16::from_be_bytes(*len)))
            .ok_or(short)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let mut bytes = Vec::new();
        let long = vec![7; MAX_ENTRY];
        for entry in [&b"one"[..], b"", &long] {
            put_entry(&mut bytes, entry).unwrap();
        }
        assert_eq!(bytes[..5], *b"\0\x03one");
        assert_eq!(split_entries(&bytes).unwrap(), [&b"one"[..], b"", &long]);
        assert_eq!(split_entries(b"").unwrap(), Vec::<&[u8]>::new());
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        for (bytes, at) in [(&b"\0"[..], 0), (b"\0\x02a", 0), (b"\0\x01ab", 1)] {
            assert_eq!(split_entries(bytes), Err(EntriesError::Short(at)));
        }
        let mut bytes = Vec::new();
        assert_eq!(
            put_entry(&mut bytes, &vec![0; MAX_ENTRY + 1]),
            Err(EntriesError::TooLong(MAX_ENTRY + 1))
        );
        assert!(bytes.is_empty());
    }
}
