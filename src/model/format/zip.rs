//! The directory of a zip archive (PKWARE APPNOTE 6.3.10), found by its end
//! record wherever the archive begins.

use super::content::{Flaw, Window, le, malformed};
use super::facts::printable_bytes;

/// One file of an archive, as the central directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    /// Where its local header lies.
    pub(super) header: u64,
    pub(super) method: u16,
    pub(super) encrypted: bool,
    pub(super) symlink: bool,
    pub(super) packed: u64,
    pub(super) size: u64,
}

/// A directory: where it lies, where the archive begins, how many members it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) base: u64,
    pub(super) entries: u64,
    /// Where its end record lies.
    pub(super) end: u64,
    /// Bytes behind the archive's comment.
    pub(super) trailing: u64,
}

const END: &[u8] = b"PK\x05\x06";
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
const END_LEN: u64 = 22;
const COMMENT: u64 = 0xffff;
/// End records that are tried: two readers may each take another one.
const CANDIDATES: usize = 8;
/// Longest member name that is read.
const NAME: usize = 4096;

/// Whether the file begins as a zip does.
pub(super) fn begins(window: &mut Window<'_>) -> Result<bool, Flaw> {
    Ok(window.upto(0, 4)? == LOCAL)
}

/// Every directory that an end record in the tail leads to, the last one first.
pub(super) fn directories(window: &mut Window<'_>) -> Result<Vec<Directory>, Flaw> {
    let len = window.len();
    let tail = len.min(END_LEN + COMMENT);
    let bytes = window.copy(len - tail, tail as usize)?;
    let mut found = Vec::new();
    let mut tried = 0;
    for at in (0..bytes.len().saturating_sub(END_LEN as usize - 1)).rev() {
        if !bytes[at..].starts_with(END) {
            continue;
        }
        tried += 1;
        if tried > CANDIDATES {
            return Err(Flaw::Limit("zip end records"));
        }
        let record = &bytes[at..at + END_LEN as usize];
        for directory in candidates(window, len - tail + at as u64, record)? {
            if !found.contains(&directory) {
                found.push(directory);
            }
        }
    }
    Ok(found)
}

// An offset may count from the file's start or from the archive's: readers differ, so both are tried.
fn candidates(window: &mut Window<'_>, end: u64, record: &[u8]) -> Result<Vec<Directory>, Flaw> {
    let comment = le(&record[20..22]);
    let trailing = window.len().saturating_sub(end + END_LEN + comment);
    let (mut entries, mut size, mut offset) = (
        le(&record[10..12]),
        le(&record[12..16]),
        le(&record[16..20]),
    );
    let mut last = end;
    if let Some(wide) = wide(window, end)? {
        (entries, size, offset) = (wide.entries, wide.size, wide.offset);
        last = wide.at;
    }
    let mut starts = Vec::new();
    if let Some(start) = last.checked_sub(size)
        && let Some(base) = start.checked_sub(offset)
    {
        starts.push((start, base));
    }
    if !starts.contains(&(offset, 0)) {
        starts.push((offset, 0));
    }
    let mut out = Vec::new();
    for (start, base) in starts {
        let empty = entries == 0 && size == 0 && start == last;
        if empty || window.upto(start, 4)? == CENTRAL {
            out.push(Directory {
                start,
                size,
                base,
                entries,
                end,
                trailing,
            });
        }
    }
    Ok(out)
}

struct Wide {
    at: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

// The Zip64 record, where a locator stands right before the end record.
fn wide(window: &mut Window<'_>, end: u64) -> Result<Option<Wide>, Flaw> {
    let Some(locator) = end.checked_sub(20) else {
        return Ok(None);
    };
    if window.bytes(locator, 4)? != b"PK\x06\x07" {
        return Ok(None);
    }
    let told = window.uint(locator + 8, 8)?;
    // Usually right before the locator; the offset is off by whatever stands before the archive.
    for at in [locator.checked_sub(56), Some(told)].into_iter().flatten() {
        if window.upto(at, 4)? == b"PK\x06\x06" && window.len() - at >= 56 {
            return Ok(Some(Wide {
                at,
                entries: window.uint(at + 32, 8)?,
                size: window.uint(at + 40, 8)?,
                offset: window.uint(at + 48, 8)?,
            }));
        }
    }
    malformed("zip64 locator leads nowhere")
}

/// The entry at `at` and where the next one begins; `None` at the directory's end.
pub(super) fn member(
    window: &mut Window<'_>,
    directory: &Directory,
    at: u64,
) -> Result<Option<(Member, u64)>, Flaw> {
    if window.upto(at, 4)? != CENTRAL {
        return Ok(None);
    }
    let head = window.bytes(at, 46)?;
    let system = head[5];
    let flags = le(&head[8..10]);
    let method = le(&head[10..12]) as u16;
    let (mut packed, mut size) = (le(&head[20..24]), le(&head[24..28]));
    let name_len = le(&head[28..30]);
    let extra_len = le(&head[30..32]);
    let comment_len = le(&head[32..34]);
    let mode = le(&head[38..42]) >> 16;
    let mut header = le(&head[42..46]);
    let name = printable_name(window.bytes(at + 46, name_len as usize)?);
    let extra = window
        .bytes(at + 46 + name_len, extra_len as usize)?
        .to_vec();
    widen(&extra, [&mut size, &mut packed, &mut header]);
    let member = Member {
        name,
        header: header.saturating_add(directory.base),
        method,
        encrypted: flags & 1 != 0,
        symlink: system == 3 && mode & 0o170_000 == 0o120_000,
        packed,
        size,
    };
    Ok(Some((member, at + 46 + name_len + extra_len + comment_len)))
}

// Names are compared, so they are not cut as texts for people are.
fn printable_name(bytes: &[u8]) -> String {
    if bytes.len() > NAME {
        return printable_bytes(bytes);
    }
    String::from_utf8_lossy(bytes).into_owned()
}

// Zip64 extended information: the fields that are all ones, in order.
fn widen(extra: &[u8], fields: [&mut u64; 3]) {
    let mut rest = extra;
    while rest.len() >= 4 {
        let (id, len) = (le(&rest[..2]), le(&rest[2..4]) as usize);
        let Some(body) = rest.get(4..4 + len) else {
            return;
        };
        if id == 1 {
            let mut values = body.chunks_exact(8).map(le);
            for field in fields {
                if *field == 0xffff_ffff
                    && let Some(value) = values.next()
                {
                    *field = value;
                }
            }
            return;
        }
        rest = &rest[4 + len..];
    }
}

/// Where a member's bytes begin; the local header must agree with the directory.
pub(super) fn data(window: &mut Window<'_>, member: &Member) -> Result<u64, Flaw> {
    let head = window.bytes(member.header, 30)?;
    if !head.starts_with(LOCAL) {
        return malformed(format!("member {:?} has no local header", member.name));
    }
    let method = le(&head[8..10]) as u16;
    let (name_len, extra_len) = (le(&head[26..28]), le(&head[28..30]));
    let name = printable_name(window.bytes(member.header + 30, name_len as usize)?);
    // A reader that goes by local headers would see another archive.
    if name != member.name || method != member.method {
        return malformed(format!(
            "member {:?} is {name:?} in its local header",
            member.name
        ));
    }
    let start = member.header + 30 + name_len + extra_len;
    if start
        .checked_add(member.packed)
        .is_none_or(|end| end > window.len())
    {
        return malformed(format!("member {:?} is cut off", member.name));
    }
    Ok(start)
}
