use memchr::memmem;

use super::content::{Flaw, Window};
use super::facts::{Format, Kind, Reason, printable_bytes};
use super::keras;
use super::scan::{Context, settle};

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// HDF5: its signature at 0, 512, 1024, … (File Format Specification, section II.A).
///
/// Keras keeps its configuration as one JSON text in an attribute, which HDF5
/// stores in one piece and never compresses; it is searched for, not parsed.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let mut at = 0;
    while window.upto(at, SIGNATURE.len())? != SIGNATURE {
        at = if at == 0 { 512 } else { at * 2 };
        if at >= window.len() || at > 1 << 30 {
            return Ok(());
        }
    }
    let mut format = Format::new(Kind::Hdf5);
    let mut keras = Format::new(Kind::Hdf5KerasLambda);
    if at > 0 {
        format.set("offset", at);
    }
    format.set("superblock", window.upto(at + 8, 1)?.first().copied());
    let result = search(window, cx, at, &mut format, &mut keras);
    settle(result, &mut format)?;
    cx.found(format);
    if keras.code_carrying() {
        cx.found(keras);
    }
    Ok(())
}

const CHUNK: usize = 60 << 10;
/// How far a value may stand behind its key, white space included.
const OVERLAP: usize = 512;

fn search(
    window: &mut Window<'_>,
    cx: &mut Context,
    from: u64,
    format: &mut Format,
    keras: &mut Format,
) -> Result<(), Flaw> {
    let lambda = memmem::Finder::new(b"\"Lambda\"");
    let function = memmem::Finder::new(b"\"__lambda__\"");
    let module = memmem::Finder::new(b"\"module\"");
    let escape = memmem::Finder::new(b"\\u00");
    let marks = [
        ("keras", memmem::Finder::new(b"keras_version")),
        ("model_config", memmem::Finder::new(b"model_config")),
    ];
    let mut at = from;
    while at < window.len() {
        if cx.search == 0 {
            return Err(Flaw::Limit("HDF5 bytes"));
        }
        let chunk = window.upto(at, CHUNK)?;
        for (key, finder) in &marks {
            if finder.find(chunk).is_some() {
                format.set(key, true);
            }
        }
        if lambda.find(chunk).is_some() || function.find(chunk).is_some() {
            keras.carries(Reason::Layer, "Lambda");
        }
        for found in module.find_iter(chunk) {
            let rest = &chunk[found + b"\"module\"".len()..];
            if let Some(module) = text_value(rest)
                && !keras::is_own(&module, "function")
            {
                keras.carries(Reason::Module, module);
            }
        }
        // A writer has no reason to escape ASCII letters, but to hide them.
        if escape
            .find_iter(chunk)
            .any(|n| matches!(chunk.get(n + 4), Some(b'2'..=b'7')))
        {
            keras.carries(
                Reason::NotScanned,
                "the configuration hides letters by \\u escapes",
            );
        }
        let read = chunk.len();
        cx.search = cx.search.saturating_sub(read as u64);
        let end = at + read as u64;
        at = if end == window.len() {
            end
        } else {
            end - OVERLAP as u64
        };
    }
    Ok(())
}

/// The text after `:`, as a configuration has it; `None` where none stands there.
fn text_value(rest: &[u8]) -> Option<String> {
    let rest = rest.trim_ascii_start().strip_prefix(b":")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = rest.iter().take(OVERLAP).position(|b| *b == b'"')?;
    Some(printable_bytes(&rest[..end]))
}
