use miniz_oxide::inflate::stream::{InflateState, inflate as step};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, Reason};
use super::scan::{Context, settle};

/// Compressed streams. gzip and zlib are looked into; the others are named
/// and count as carrying code, because nobody has looked.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let head = window.upto(0, 16)?.to_vec();
    if let Some(kind) = opaque(&head) {
        let mut format = Format::new(kind);
        format.carries(
            Reason::NotScanned,
            format!("{kind} streams are not looked into"),
        );
        cx.found(format);
        return Ok(());
    }
    let (kind, zlib) = if head.starts_with(&[0x1f, 0x8b, 8]) {
        (Kind::Gzip, false)
    } else if zlib_header(&head) {
        (Kind::Zlib, true)
    } else {
        return Ok(());
    };
    let mut format = Format::new(kind);
    let mark = cx.mark();
    let start = if zlib { Ok(0) } else { gzip_header(window) };
    let unpacked = start.and_then(|at| inflate(window, at, window.len() - at, zlib, cx));
    let (bytes, rest) = match unpacked {
        Ok(unpacked) => unpacked,
        Err(flaw) => {
            settle(Err(flaw), &mut format)?;
            format.carries(Reason::NotScanned, "the stream cannot be unpacked");
            cx.found(format);
            return Ok(());
        }
    };
    rest.mark(&mut format, "the stream");
    if !cx.inside(kind.id(), &mut bytes.as_slice())? {
        format.carries(Reason::NotScanned, "nested too deeply");
    }
    // Two bytes are no proof of zlib: a text may begin with them. But a loader
    // that unpacks while it reads has run what stands before the damage.
    if zlib && rest == Rest::Damaged && cx.since(mark).is_empty() {
        return Ok(());
    }
    let carrying: Vec<_> = cx
        .since(mark)
        .iter()
        .filter(|f| f.carries_itself())
        .map(|f| f.kind)
        .collect();
    for inner in carrying {
        format.carries(Reason::Member, inner.id());
    }
    cx.found_before(mark, format);
    Ok(())
}

fn opaque(head: &[u8]) -> Option<Kind> {
    Some(match head {
        [
            b'B',
            b'Z',
            b'h',
            b'1'..=b'9',
            0x31,
            0x41,
            0x59,
            0x26,
            0x53,
            0x59,
            ..,
        ] => Kind::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Kind::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Zstd,
        [0x04, 0x22, 0x4d, 0x18, ..] => Kind::Lz4,
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Kind::SevenZip,
        [b'R', b'a', b'r', b'!', 0x1a, 0x07, ..] => Kind::Rar,
        // Properties, a dictionary of whole 64 KiB, a size that is unknown or below 1 TiB.
        [0x5d, 0, 0, _, _, rest @ ..] if rest.len() >= 8 => {
            let size = &rest[..8];
            if size == [0xff; 8] || size[5..] == [0; 3] {
                Kind::Lzma
            } else {
                return None;
            }
        }
        _ => return None,
    })
}

// CM 8, a window of at most 32 KiB, the check bits, no dictionary (RFC 1950, section 2.2).
fn zlib_header(head: &[u8]) -> bool {
    let [cmf, flags, ..] = *head else {
        return false;
    };
    cmf & 0x0f == 8
        && cmf >> 4 <= 7
        && flags & 0x20 == 0
        && (u16::from(cmf) << 8 | u16::from(flags)).is_multiple_of(31)
}

/// Where a gzip member's compressed bytes begin (RFC 1952, section 2.3).
fn gzip_header(window: &mut Window<'_>) -> Result<u64, Flaw> {
    let flags = window.u8(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + window.uint(at, 2)?;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let text = window.upto(at, 4096)?;
            match text.iter().position(|b| *b == 0) {
                Some(n) => at += n as u64 + 1,
                None => return malformed("a name in the gzip header has no end"),
            }
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    if at > window.len() {
        return malformed("the gzip header is cut off");
    }
    Ok(at)
}

/// What an unpacked stream did not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing is missing.
    Whole,
    /// The bound was reached, or bytes follow the stream.
    More,
    /// The stream is cut off or damaged.
    Damaged,
}

impl Rest {
    pub(super) fn mark(self, format: &mut Format, what: &str) {
        match self {
            Self::Whole => {}
            Self::More => {
                format.carries(
                    Reason::ScanTruncated,
                    format!("not all of {what} was unpacked"),
                );
            }
            Self::Damaged => {
                format.flaw(format!("{what} is cut off or damaged"));
                format.carries(Reason::NotScanned, format!("{what} behind the damage"));
            }
        }
    }
}

/// Unpacks deflate (or zlib) from `at`, `packed` bytes of it, as far as the budget reaches.
pub(super) fn inflate(
    window: &mut Window<'_>,
    at: u64,
    packed: u64,
    zlib: bool,
    cx: &mut Context,
) -> Result<(Vec<u8>, Rest), Flaw> {
    const CHUNK: usize = 32 << 10;
    // A gzip member ends with its CRC and length.
    const TRAILER: u64 = 8;
    let mut state = InflateState::new_boxed(if zlib {
        DataFormat::Zlib
    } else {
        DataFormat::Raw
    });
    let mut out = Vec::new();
    let mut buffer = vec![0; CHUNK];
    let end = at.saturating_add(packed).min(window.len());
    let mut from = at;
    loop {
        let n = (end - from).min(CHUNK as u64) as usize;
        let input = window.upto(from, n)?;
        let result = step(&mut state, input, &mut buffer, MZFlush::None);
        from += result.bytes_consumed as u64;
        let made = result.bytes_written;
        if made as u64 > cx.inflate {
            out.extend_from_slice(&buffer[..cx.inflate as usize]);
            cx.inflate = 0;
            return Ok((out, Rest::More));
        }
        cx.inflate -= made as u64;
        out.extend_from_slice(&buffer[..made]);
        let moved = result.bytes_consumed > 0 || made > 0;
        match result.status {
            Ok(MZStatus::StreamEnd) if end - from <= TRAILER => return Ok((out, Rest::Whole)),
            Ok(MZStatus::StreamEnd) => return Ok((out, Rest::More)),
            Ok(_) | Err(MZError::Buf) if moved => {}
            _ => return Ok((out, Rest::Damaged)),
        }
    }
}
