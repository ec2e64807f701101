use super::content::{Flaw, Window};
use super::facts::{Format, Kind, Reason};
use super::scan::Context;

/// Native and byte code, by its magic and one more field each: raw tensors
/// begin with any two bytes now and then.
pub(super) fn executable(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let head = window.upto(0, 64)?.to_vec();
    let Some(what) = program(window, &head)? else {
        return Ok(());
    };
    let mut format = Format::new(Kind::Executable);
    format.set("type", what);
    format.carries(Reason::Program, what);
    cx.found(format);
    Ok(())
}

fn program(window: &mut Window<'_>, head: &[u8]) -> Result<Option<&'static str>, Flaw> {
    Ok(match head {
        [0x7f, b'E', b'L', b'F', 1 | 2, 1 | 2, ..] => Some("ELF"),
        [b'M', b'Z', ..] if head.len() == 64 => {
            let at = super::content::le(&head[60..64]);
            (window.upto(at, 4)? == b"PE\0\0").then_some("PE")
        }
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => Some("Mach-O"),
        // A fat binary counts few architectures, a class file's version is 45 or more.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=44, ..] => Some("Mach-O"),
        [0xca, 0xfe, 0xba, 0xbe, _, _, 0, 45..=255, ..] => Some("Java class"),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Some("WebAssembly"),
        // CPython 3.7 and later: magic number, then flags of 0 to 3.
        [_, 0x0d..=0x0f, b'\r', b'\n', 0..=3, 0, 0, 0, ..] => Some("Python bytecode"),
        [
            b'd',
            b'e',
            b'x',
            b'\n',
            b'0',
            b'0'..=b'9',
            b'0'..=b'9',
            0,
            ..,
        ] => Some("Android DEX"),
        [b'B', b'C', 0xc0, 0xde, ..] => Some("LLVM bitcode"),
        _ => None,
    })
}

/// `#!` scripts, and text that begins as Python source does.
pub(super) fn script(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let head = window.upto(0, 8192)?;
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let language = if let Some(rest) = head.strip_prefix(b"#!") {
        let line: Vec<_> = rest.iter().take_while(|b| **b != b'\n').copied().collect();
        match String::from_utf8(line) {
            Ok(line) if line.trim_start().starts_with('/') => line.trim().to_owned(),
            _ => return Ok(()),
        }
    } else if python(head) {
        "Python source".to_owned()
    } else {
        return Ok(());
    };
    let mut format = Format::new(Kind::Script);
    format.set_text("interpreter", &language);
    format.carries(Reason::Program, &language);
    cx.found(format);
    Ok(())
}

/// Whether the first statement, after comments and a docstring, can only be Python.
fn python(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character cut at the end of what was read.
        Err(error) if head.len() - error.valid_up_to() < 4 => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('#') {
            match after.split_once('\n') {
                Some((_, next)) => rest = next.trim_start(),
                None => return false,
            }
        } else if let Some(quote) = ["\"\"\"", "'''"].into_iter().find(|q| rest.starts_with(q)) {
            match rest[3..].split_once(quote) {
                Some((_, next)) => rest = next.trim_start(),
                None => return false,
            }
        } else {
            return statement(rest.lines().next().unwrap_or_default().trim_end());
        }
    }
}

fn statement(line: &str) -> bool {
    let names = |text: &str| {
        let text = text.split('#').next().unwrap_or_default().trim();
        !text.is_empty()
            && text.split(',').all(|part| {
                let mut words = part.split_whitespace();
                words.next().is_some_and(dotted)
                    && match words.next() {
                        None => true,
                        Some("as") => words.next().is_some_and(dotted) && words.next().is_none(),
                        Some(_) => false,
                    }
            })
    };
    if let Some(rest) = line.strip_prefix("import ") {
        return names(rest);
    }
    if let Some((module, what)) = line
        .strip_prefix("from ")
        .and_then(|rest| rest.split_once(" import "))
    {
        let what = what.trim().trim_start_matches('(');
        return dotted(module.trim())
            && (what.is_empty()
                || what.starts_with('*')
                || names(what.trim_end_matches([',', ')', '\\', ' '])));
    }
    let definition = ["def ", "async def ", "class "]
        .iter()
        .find_map(|word| line.strip_prefix(word));
    definition.is_some_and(|rest| {
        let end = rest.find(['(', ':']).unwrap_or_default();
        dotted(&rest[..end]) && line.contains(['(', ':'])
    })
}

fn dotted(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || c == '_' || c == '.')
}

/// Whether the beginning and the end are UTF-8 without control characters.
pub(super) fn is_text(window: &mut Window<'_>) -> Result<bool, Flaw> {
    const PART: usize = 16 << 10;
    let head = plain(window.upto(0, PART)?);
    let tail = window.len().saturating_sub(PART as u64);
    Ok(head && plain(window.upto(tail, PART)?))
}

fn plain(bytes: &[u8]) -> bool {
    // A character may be cut at either end.
    let start = bytes
        .iter()
        .take(3)
        .take_while(|b| **b & 0xc0 == 0x80)
        .count();
    let bytes = &bytes[start..];
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty()
        && !valid
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}'))
}
