use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, Reason, printable_bytes};
use super::scan::{Context, settle};

/// A TensorFlow Lite model: a flatbuffer with the identifier `TFL3`.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    if window.upto(4, 4)? != b"TFL3" {
        return Ok(());
    }
    let mut format = Format::new(Kind::Tflite);
    let result = read(window, &mut format);
    settle(result, &mut format)?;
    cx.found(format);
    Ok(())
}

/// Most operator kinds; TensorFlow Lite itself has about 210.
const OPERATORS: u64 = 4096;

fn read(window: &mut Window<'_>, format: &mut Format) -> Result<(), Flaw> {
    let root = window.uint(0, 4)?;
    if let Some(at) = field(window, root, 0)? {
        format.set("version", window.uint(at, 4)?);
    }
    if let Some(at) = field(window, root, 3)? {
        let text = string(window, at)?;
        format.set_text("description", &text);
    }
    let Some(at) = field(window, root, 1)? else {
        return malformed("no operator codes");
    };
    let vector = follow(window, at)?;
    let count = window.uint(vector, 4)?;
    format.set("operators", count);
    if count > OPERATORS {
        return malformed(format!("{count} operator codes, the limit is {OPERATORS}"));
    }
    for i in 0..count {
        let table = follow(window, vector + 4 + 4 * i)?;
        if let Some(at) = field(window, table, 1)? {
            let name = string(window, at)?;
            // `Flex…` are TensorFlow's own operators, linked into the runtime.
            let own = name.starts_with("Flex") && !name.contains("PyFunc")
                || name == "TFLite_Detection_PostProcess";
            if !own && !name.is_empty() {
                format.carries(Reason::Operator, name);
            }
        }
    }
    Ok(())
}

/// Where a table's field lies, by its vtable; `None` where it is absent.
fn field(window: &mut Window<'_>, table: u64, slot: u64) -> Result<Option<u64>, Flaw> {
    let back = i64::from(window.uint(table, 4)? as u32 as i32);
    let Some(vtable) = table.checked_add_signed(-back) else {
        return malformed("a table's vtable lies before the file");
    };
    let size = window.uint(vtable, 2)?;
    let entry = 4 + 2 * slot;
    if entry + 2 > size {
        return Ok(None);
    }
    let offset = window.uint(vtable + entry, 2)?;
    Ok((offset != 0).then_some(table + offset))
}

fn follow(window: &mut Window<'_>, at: u64) -> Result<u64, Flaw> {
    Ok(at + window.uint(at, 4)?)
}

fn string(window: &mut Window<'_>, at: u64) -> Result<String, Flaw> {
    let start = follow(window, at)?;
    let len = window.uint(start, 4)?.min(1024) as usize;
    Ok(printable_bytes(window.upto(start + 4, len)?))
}
