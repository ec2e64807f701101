use super::super::content::{Flaw, Window, malformed};
use super::machine::{NAME, lossy};

/// A text opcode's argument.
pub(super) struct Line {
    /// Without quotes; `None` where it is too long to be a name.
    pub(super) text: Option<String>,
    /// The number it is, or `u64::MAX`.
    pub(super) number: u64,
    /// Where the next opcode or line begins.
    pub(super) next: u64,
}

/// Longest line, in bytes.
const LONGEST: u64 = 64 << 20;
/// Longest module or attribute name, in bytes: a path cannot be longer.
const LONGEST_NAME: u64 = 4096;
const CHUNK: usize = 16 << 10;

/// The line at `at`, as opcode `byte` takes it.
///
/// What the unpickler refuses is refused at its first byte: raw numbers begin
/// as a text opcode often enough, and must not be read to their end for that.
pub(super) fn read_line(window: &mut Window<'_>, at: u64, byte: u8) -> Result<Line, Flaw> {
    let mut from = at;
    loop {
        let chunk = window.upto(from, CHUNK)?;
        if chunk.is_empty() {
            return malformed(format!("the line at {at} has no end"));
        }
        let len = chunk.len() as u64;
        let end = memchr::memchr(b'\n', chunk);
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if !fits(byte, part, from == at) {
            return malformed(format!("the line at {at} is not what its opcode takes"));
        }
        if let Some(n) = end {
            let bytes = (from == at && n <= NAME).then_some(part);
            return finish(byte, bytes, from + n as u64 + 1, at);
        }
        from += len;
        if matches!(byte, b'c' | b'i') && from - at > LONGEST_NAME {
            return malformed(format!("the name at {at} is too long"));
        }
        if from - at > LONGEST {
            return Err(Flaw::Limit("line length"));
        }
    }
}

fn fits(byte: u8, part: &[u8], first: bool) -> bool {
    match byte {
        b'I' | b'L' | b'g' | b'p' => part
            .iter()
            .all(|b| b.is_ascii_hexdigit() || b" \t\r_+-xXoOlL".contains(b)),
        b'F' => part
            .iter()
            .all(|b| b.is_ascii_digit() || b" \t\r_+-.".contains(b) || b.is_ascii_alphabetic()),
        b'S' => !first || matches!(part.first(), Some(b'\'' | b'"')),
        // A module's name with a NUL cannot be imported.
        b'c' | b'i' => !part.contains(&0),
        _ => true,
    }
}

fn finish(byte: u8, bytes: Option<&[u8]>, next: u64, at: u64) -> Result<Line, Flaw> {
    let mut line = Line {
        text: None,
        number: u64::MAX,
        next,
    };
    let Some(mut bytes) = bytes else {
        return Ok(line);
    };
    if byte == b'S' {
        bytes = match bytes {
            [first, inner @ .., last] if first == last => inner,
            _ => return malformed(format!("the text at {at} has no closing quote")),
        };
    }
    let empty = bytes.trim_ascii().is_empty();
    if empty && matches!(byte, b'I' | b'L' | b'F' | b'g' | b'p' | b'c' | b'i') {
        return malformed(format!("the line at {at} is empty"));
    }
    line.text = lossy(bytes);
    line.number = line
        .text
        .as_deref()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(u64::MAX);
    Ok(line)
}
