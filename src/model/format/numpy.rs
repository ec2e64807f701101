use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, Reason};
use super::pickle;
use super::scan::{Context, settle};

/// NPY, versions 1 to 3 (NumPy enhancement proposal 1).
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    if window.upto(0, 6)? != b"\x93NUMPY" {
        return Ok(());
    }
    let mut format = Format::new(Kind::Numpy);
    let result = read(window, &mut format);
    settle(result, &mut format)?;
    cx.found(format);
    Ok(())
}

/// Longest header that is read, in bytes; NumPy itself refuses more than 10 000.
const HEADER: u64 = 64 << 10;

fn read(window: &mut Window<'_>, format: &mut Format) -> Result<(), Flaw> {
    let major = window.u8(6)?;
    format.set("version", major);
    let (len, start) = match major {
        1 => (window.uint(8, 2)?, 10),
        2 | 3 => (window.uint(8, 4)?, 12),
        _ => return malformed(format!("version {major} is not 1 to 3")),
    };
    if len > HEADER {
        return malformed(format!("a header of {len} bytes, the limit is {HEADER}"));
    }
    let header = String::from_utf8_lossy(window.bytes(start, len as usize)?).into_owned();
    let types = descriptor(&header);
    let Some(types) = types else {
        return malformed("the header has no 'descr'");
    };
    format.set_text("descr", types.trim());
    if let Some(shape) = header.split("'shape':").nth(1)
        && let Some((shape, _)) = shape.split_once(')')
    {
        format.set_text("shape", &format!("{})", shape.trim()));
    }
    if has_objects(types) {
        format.carries(
            Reason::ObjectArray,
            "an array of objects is a pickle behind the header",
        );
        pickle::scan_at(window, start + len, format)?;
    }
    Ok(())
}

/// The text of the value of `'descr'`.
fn descriptor(header: &str) -> Option<&str> {
    let rest = ["'descr':", "\"descr\":"]
        .iter()
        .find_map(|key| header.split_once(key))?
        .1;
    // The other two keys end it, in whatever order they stand.
    let end = [
        "'fortran_order'",
        "'shape'",
        "\"fortran_order\"",
        "\"shape\"",
    ]
    .iter()
    .filter_map(|key| rest.find(key))
    .min()
    .unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Whether one of the quoted types is an object (`|O`, `O8`), or hides itself behind an escape.
fn has_objects(types: &str) -> bool {
    types.split(['\'', '"']).skip(1).step_by(2).any(|quoted| {
        let bare = quoted.trim_start_matches(['|', '<', '>', '=']);
        bare == "object"
            || quoted.contains('\\')
            || quoted.split(',').any(|part| {
                part.trim()
                    .trim_start_matches(|c: char| "|<>=()".contains(c) || c.is_ascii_digit())
                    .strip_prefix('O')
                    .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
            })
    })
}
