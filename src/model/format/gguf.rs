use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::limits;

use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, printable_bytes};
use super::scan::{Context, settle};

/// GGUF (ggml's `docs/gguf.md`), versions 1 to 3, little-endian.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    if window.upto(0, 4)? != b"GGUF" {
        return Ok(());
    }
    let mut format = Format::new(Kind::Gguf);
    let result = Reader {
        window,
        at: 4,
        wide: true,
    }
    .read(&mut format);
    settle(result, &mut format)?;
    cx.found(format);
    Ok(())
}

/// Sanity bounds on counts, so that a lying header is named at once and not after a long walk.
const PAIRS: u64 = 1 << 16;
const TENSORS: u64 = 1 << 20;
const ELEMENTS: u64 = 1 << 24;
const NAME: u64 = 1 << 16;

/// Keys that say what the model is; `general.*` beyond these and tokenizers are not kept.
const INTERESTING: &[&str] = &[
    "general.architecture",
    "general.author",
    "general.basename",
    "general.description",
    "general.file_type",
    "general.license",
    "general.name",
    "general.organization",
    "general.quantization_version",
    "general.quantized_by",
    "general.size_label",
    "general.source.url",
    "general.type",
    "general.url",
    "general.version",
    "split.count",
    "split.no",
    "tokenizer.ggml.model",
];

struct Reader<'w, 'c> {
    window: &'w mut Window<'c>,
    at: u64,
    // Version 1 had 32-bit counts and lengths.
    wide: bool,
}

impl Reader<'_, '_> {
    fn uint(&mut self, n: usize) -> Result<u64, Flaw> {
        let value = self.window.uint(self.at, n)?;
        self.at += n as u64;
        Ok(value)
    }

    fn count(&mut self) -> Result<u64, Flaw> {
        self.uint(if self.wide { 8 } else { 4 })
    }

    fn skip(&mut self, n: u64) -> Result<(), Flaw> {
        match self.at.checked_add(n) {
            Some(end) if end <= self.window.len() => {
                self.at = end;
                Ok(())
            }
            _ => malformed("a value is longer than the file"),
        }
    }

    /// A string's printable beginning; its rest is skipped.
    fn text(&mut self) -> Result<String, Flaw> {
        let len = self.count()?;
        let from = self.at;
        self.skip(len)?;
        let kept = len.min(4 * limits::FORMAT_TEXT as u64 + 4) as usize;
        Ok(printable_bytes(self.window.bytes(from, kept)?))
    }

    fn key(&mut self) -> Result<String, Flaw> {
        let len = self.count()?;
        if len > NAME {
            return malformed(format!("a name of {len} bytes"));
        }
        let from = self.at;
        self.skip(len)?;
        Ok(String::from_utf8_lossy(self.window.bytes(from, len as usize)?).into_owned())
    }

    fn read(mut self, format: &mut Format) -> Result<(), Flaw> {
        let version = self.uint(4)?;
        if !(1..=3).contains(&version) {
            let hint = if (1..=3).contains(&(version.swap_bytes() >> 32)) {
                " (big-endian is not read)"
            } else {
                ""
            };
            return malformed(format!("version {version} is not 1 to 3{hint}"));
        }
        self.wide = version > 1;
        format.set("version", version);
        let tensors = self.count()?;
        let pairs = self.count()?;
        format.set("tensors", tensors);
        if tensors > TENSORS {
            return malformed(format!("{tensors} tensors, the limit is {TENSORS}"));
        }
        if pairs > PAIRS {
            return malformed(format!("{pairs} key-value pairs, the limit is {PAIRS}"));
        }
        let mut alignment = 32;
        for _ in 0..pairs {
            let key = self.key()?;
            let kind = self.uint(4)?;
            if key == "tokenizer.chat_template" || key.starts_with("tokenizer.chat_template.") {
                // A Jinja program that the loader runs, in a sandbox where the loader is careful.
                format.set("chat_template", true);
            }
            let value = self.value(kind, 0)?;
            if key == "general.alignment"
                && let Some(n) = value.as_u64()
            {
                if n == 0 || n > 1 << 20 || !n.is_multiple_of(8) {
                    return malformed(format!("alignment {n}"));
                }
                alignment = n;
            }
            if INTERESTING.contains(&key.as_str()) && !value.is_null() {
                if format.metadata.contains_key(&key) {
                    format.flaw(format!("key {key:?} stands twice"));
                }
                if key == "general.file_type"
                    && let Some(name) = value.as_u64().and_then(file_type)
                {
                    format.set("quantization", name);
                }
                format.set(&key, value);
            }
        }
        self.tensors(tensors, alignment, format)
    }

    fn value(&mut self, kind: u64, depth: usize) -> Result<Value, Flaw> {
        Ok(match kind {
            0 | 2 | 4 | 10 => self.uint(width(kind))?.into(),
            1 => (self.uint(1)? as u8 as i8).into(),
            3 => (self.uint(2)? as u16 as i16).into(),
            5 => (self.uint(4)? as u32 as i32).into(),
            11 => (self.uint(8)? as i64).into(),
            6 => f64::from(f32::from_bits(self.uint(4)? as u32)).into(),
            12 => f64::from_bits(self.uint(8)?).into(),
            7 => match self.uint(1)? {
                0 => false.into(),
                1 => true.into(),
                other => return malformed(format!("a boolean of {other}")),
            },
            8 => self.text()?.into(),
            9 => {
                self.array(depth)?;
                Value::Null
            }
            other => return malformed(format!("value type {other}")),
        })
    }

    fn array(&mut self, depth: usize) -> Result<(), Flaw> {
        let kind = self.uint(4)?;
        let count = self.count()?;
        if count > ELEMENTS {
            return malformed(format!(
                "an array of {count} elements, the limit is {ELEMENTS}"
            ));
        }
        match kind {
            8 => {
                for _ in 0..count {
                    let len = self.count()?;
                    self.skip(len)?;
                }
            }
            9 if depth >= 4 => return malformed("arrays nested too deeply"),
            9 => {
                for _ in 0..count {
                    self.array(depth + 1)?;
                }
            }
            0..=12 => self.skip(count * width(kind) as u64)?,
            other => return malformed(format!("value type {other}")),
        }
        Ok(())
    }

    fn tensors(mut self, count: u64, alignment: u64, format: &mut Format) -> Result<(), Flaw> {
        let mut parameters = 0u64;
        let mut types = BTreeMap::<u64, u64>::new();
        let mut furthest = 0;
        for _ in 0..count {
            let name = self.key()?;
            let dimensions = self.uint(4)?;
            if dimensions > 8 {
                return malformed(format!("tensor {name:?} has {dimensions} dimensions"));
            }
            let mut elements = 1u64;
            for _ in 0..dimensions {
                let n = self.count()?;
                elements = match elements.checked_mul(n) {
                    Some(product) => product,
                    None => return malformed(format!("tensor {name:?}: its shape overflows")),
                };
            }
            parameters = parameters.saturating_add(elements);
            *types.entry(self.uint(4)?).or_default() += 1;
            let offset = self.uint(8)?;
            if !offset.is_multiple_of(alignment) {
                format.flaw(format!("tensor {name:?} is not aligned"));
            }
            furthest = furthest.max(offset);
        }
        format.set("parameters", parameters);
        let mut dtypes = Map::new();
        for (kind, n) in types.into_iter().take(limits::FORMAT_MARKS) {
            let name = tensor_type(kind).map_or_else(|| format!("type-{kind}"), str::to_owned);
            dtypes.insert(name, n.into());
        }
        format.set("dtypes", dtypes);
        let last = self
            .at
            .checked_next_multiple_of(alignment)
            .and_then(|data| data.checked_add(furthest));
        if count > 0 && last.is_none_or(|at| at > self.window.len()) {
            return malformed("a tensor lies beyond the end of the file");
        }
        Ok(())
    }
}

const fn width(kind: u64) -> usize {
    match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        _ => 8,
    }
}

fn tensor_type(kind: u64) -> Option<&'static str> {
    const NAMES: &[&str] = &[
        "F32", "F16", "Q4_0", "Q4_1", "", "", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K",
        "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S",
        "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M", "BF16", "", "", "", "TQ1_0",
        "TQ2_0", "", "", "", "MXFP4",
    ];
    let name = NAMES.get(usize::try_from(kind).ok()?)?;
    (!name.is_empty()).then_some(*name)
}

fn file_type(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        36 => "TQ1_0",
        37 => "TQ2_0",
        38 => "MXFP4_MOE",
        _ => return None,
    })
}
