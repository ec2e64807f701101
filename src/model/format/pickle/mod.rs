//! Pickles: programs for Python's unpickler. Read as a list of what they
//! import and call; nothing is ever built or run.

mod line;
mod machine;
mod ops;

use serde_json::{Map, Value};

use crate::limits;

use super::content::{Flaw, Window};
use super::facts::{Format, Kind, Reason};
use super::plain;
use super::scan::Context;
use machine::Machine;

/// What one walk says.
pub(super) struct Pickle {
    machine: Machine,
    stopped: Option<Flaw>,
}

/// The number with which PyTorch's format before 1.6 begins, as a pickle.
const TORCH_MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// Most pickles one behind the other.
const STREAMS: usize = 64;

pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let Some(first) = walk(window, 0)? else {
        return Ok(());
    };
    let mut end = first.machine.end;
    let mut all = vec![first];
    // `pickle.dump` twice into one file, and PyTorch's old format: one behind the other.
    while let Some(at) = end.filter(|at| *at < window.len()) {
        if all.len() >= STREAMS {
            break;
        }
        let Some(next) = walk(window, at)? else {
            break;
        };
        end = next.machine.end;
        all.push(next);
    }
    let torch = window.upto(0, TORCH_MAGIC.len())? == TORCH_MAGIC;
    let (joblib, format) = describe(&all, end, window.len());
    cx.found(format);
    if torch {
        let mut format = Format::new(Kind::TorchLegacy);
        format.carries(Reason::Format, "pickles with raw storages behind them");
        cx.found(format);
    }
    if joblib {
        let mut format = Format::new(Kind::Joblib);
        format.carries(
            Reason::Format,
            "a pickle with raw arrays between its opcodes",
        );
        cx.found(format);
    }
    Ok(())
}

/// The pickle that follows a header, as NumPy's object arrays have it.
pub(super) fn scan_at(window: &mut Window<'_>, at: u64, format: &mut Format) -> Result<(), Flaw> {
    if let Some(pickle) = walk(window, at)? {
        let end = pickle.machine.end;
        let (_, inner) = describe(&[pickle], end, window.len());
        format.code.extend(inner.code);
        for flaw in inner.malformed {
            format.flaw(flaw);
        }
    }
    Ok(())
}

/// Walks at `at`; `None` where no unpickler would get anywhere that matters.
fn walk(window: &mut Window<'_>, at: u64) -> Result<Option<Pickle>, Flaw> {
    let start = window.upto(at, 2)?;
    let marked = matches!(start, [0x80, 2..=5]);
    let mut machine = Machine::default();
    let stopped = match machine.run(window, at) {
        Ok(()) => None,
        Err(Flaw::Failed(error)) => return Err(Flaw::Failed(error)),
        Err(flaw) => Some(flaw),
    };
    let whole = machine.end.is_some();
    let imported = !machine.imports.is_empty();
    let limited = matches!(stopped, Some(Flaw::Limit(_)));
    let is_pickle = if marked {
        // An unpickler stops where the walk stopped: below this it has done nothing.
        whole || imported || limited || machine.framed || machine.opcodes >= 4
    } else {
        // A pickle need not begin with PROTO. Without it, text and raw numbers
        // must not pass for one: it imports and calls, or fills the file. A
        // list of words may read as an import that then fails; other bytes
        // that do are a pickle.
        (imported && (whole || !machine.calls.is_empty()))
            // CPython's C unpickler loses bytes at a frame's end: what it reads behind one, the walk cannot tell.
            || machine.framed
            || (machine.named && !plain::is_text(window)?)
            || limited
            || machine
                .end
                .is_some_and(|end| end == window.len() && at == 0)
    };
    Ok(is_pickle.then_some(Pickle { machine, stopped }))
}

fn describe(all: &[Pickle], end: Option<u64>, len: u64) -> (bool, Format) {
    let mut format = Format::new(Kind::Pickle);
    let mut calls = Map::new();
    let (mut opcodes, mut persistent, mut joblib) = (0, 0, false);
    for Pickle { machine, .. } in all {
        opcodes += machine.opcodes;
        persistent += machine.persistent;
        joblib |= machine.imports.iter().any(|name| {
            name.starts_with("joblib.numpy_pickle.")
                || name.contains("externals.joblib.numpy_pickle.")
        });
        for (name, count) in &machine.calls {
            let before = calls.get(*name).and_then(Value::as_u64).unwrap_or_default();
            calls.insert((*name).to_owned(), (before + count).into());
        }
        for name in &machine.imports {
            format.carries(Reason::Import, name);
        }
        if machine.imports.len() > limits::FORMAT_MARKS {
            format.set("imports_cut", true);
        }
    }
    if format.code.is_empty() {
        format.carries(
            Reason::Format,
            "a pickle is a program for the unpickler; this one imports nothing",
        );
    }
    if all.iter().any(|pickle| pickle.machine.crossed) {
        format.flaw("an opcode reaches over the end of its frame: unpicklers differ on it");
        mark_last(
            &mut format,
            Reason::NotScanned,
            "what follows the end of that frame",
        );
    }
    let protocol = all.iter().filter_map(|p| p.machine.protocol).max();
    format.set("protocol", protocol.unwrap_or_default());
    format.set("opcodes", opcodes);
    if all.len() > 1 {
        format.set("pickles", all.len());
    }
    if !calls.is_empty() {
        format.set("calls", calls);
    }
    if persistent > 0 {
        format.set("persistent_ids", persistent);
    }
    match all.last().and_then(|p| p.stopped.as_ref()) {
        // Raw array bytes stand where the next opcode is expected: what follows was not looked at.
        Some(_) if joblib => truncated(&mut format, "raw arrays stand between the opcodes"),
        Some(Flaw::Limit(what)) => {
            truncated(&mut format, &format!("the bound on {what} was reached"));
        }
        Some(Flaw::Malformed(why)) => format.flaw(why),
        _ => {}
    }
    if let Some(end) = end
        && end < len
    {
        format.set("trailing_bytes", len - end);
    }
    (joblib, format)
}

fn truncated(format: &mut Format, why: &str) {
    mark_last(format, Reason::ScanTruncated, why);
}

// A long list of imports must not crowd it out.
fn mark_last(format: &mut Format, reason: Reason, why: &str) {
    format.code.truncate(limits::FORMAT_MARKS - 2);
    format.carries(reason, why);
}
