use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{BufReader, Read};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::limits;

use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, printable};
use super::scan::{Context, settle};

/// A length, a JSON header of that length, and the tensors without a gap
/// (safetensors, "Format").
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let Ok(start) = <[u8; 10]>::try_from(window.upto(0, 10)?) else {
        return Ok(());
    };
    let header = super::content::le(&start[..8]);
    // `{"` or `{}` or `{ `: with the eight bytes before, nothing else begins so.
    if start[8] != b'{' || !(start[9] == b'"' || start[9] == b'}' || start[9].is_ascii_whitespace())
    {
        return Ok(());
    }
    let mut format = Format::new(Kind::Safetensors);
    format.set("header_bytes", header);
    let result = read(window, header, &mut format);
    settle(result, &mut format)?;
    cx.found(format);
    Ok(())
}

fn read(window: &mut Window<'_>, header: u64, format: &mut Format) -> Result<(), Flaw> {
    if header > limits::SAFETENSORS_HEADER {
        return malformed(format!(
            "the header says it has {header} bytes, the limit is {}",
            limits::SAFETENSORS_HEADER
        ));
    }
    let data = match window.len().checked_sub(8 + header) {
        Some(data) => data,
        None => return malformed("the header is longer than the file"),
    };
    let mut stream = window.stream(8, header);
    let mut reader = BufReader::with_capacity(16 << 10, stream.by_ref());
    let parsed = serde_json::from_reader::<_, Header>(&mut reader);
    drop(reader);
    if let Some(flaw) = stream.failed {
        return Err(flaw);
    }
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return malformed(format!("header: {error}")),
    };
    parsed.describe(format);
    for flaw in &parsed.flaws {
        format.flaw(flaw);
    }
    check_layout(parsed.spans, data)
}

/// Every byte of the data belongs to exactly one tensor: a gap or an overlap could hide another file.
fn check_layout(mut spans: Vec<(u64, u64)>, data: u64) -> Result<(), Flaw> {
    spans.sort_unstable();
    let mut end = 0;
    for (from, to) in spans {
        if from != end {
            let what = if from > end { "a gap" } else { "an overlap" };
            return malformed(format!("{what} between tensors at data byte {end}"));
        }
        end = to;
    }
    if end > data {
        return malformed(format!("tensors need {end} bytes, the file has {data}"));
    }
    if end < data {
        return malformed(format!("{} bytes after the last tensor", data - end));
    }
    Ok(())
}

#[derive(Default)]
struct Header {
    metadata: Map<String, Value>,
    tensors: u64,
    parameters: u64,
    dtypes: BTreeMap<String, u64>,
    spans: Vec<(u64, u64)>,
    flaws: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Header {
    fn describe(&self, format: &mut Format) {
        format.set("tensors", self.tensors);
        format.set("parameters", self.parameters);
        let dtypes: Map<_, _> = self
            .dtypes
            .iter()
            .map(|(name, count)| (name.clone(), Value::from(*count)))
            .collect();
        format.set("dtypes", dtypes);
        if !self.metadata.is_empty() {
            format.set("metadata", self.metadata.clone());
        }
    }

    fn flaw(&mut self, why: String) {
        if self.flaws.len() < limits::FORMAT_MARKS {
            self.flaws.push(why);
        }
    }

    fn add(&mut self, name: &str, tensor: &Tensor) {
        self.tensors += 1;
        let (from, to) = tensor.data_offsets;
        let elements = tensor
            .shape
            .iter()
            .try_fold(1u64, |product, n| product.checked_mul(*n));
        let bits = bits(&tensor.dtype);
        if bits.is_some() {
            *self.dtypes.entry(tensor.dtype.clone()).or_default() += 1;
        } else {
            self.flaw(format!(
                "tensor {name:?}: dtype {:?} is not known",
                tensor.dtype
            ));
        }
        self.parameters = self.parameters.saturating_add(elements.unwrap_or_default());
        let Some(len) = to.checked_sub(from) else {
            self.flaw(format!("tensor {name:?}: ends before it begins"));
            return;
        };
        let wanted = elements.and_then(|n| n.checked_mul(bits.unwrap_or_default()));
        let given = len.checked_mul(8);
        if bits.is_some() && (wanted.is_none() || wanted != given) {
            self.flaw(format!(
                "tensor {name:?}: {len} bytes do not match its shape and dtype"
            ));
        }
        self.spans.push((from, to));
    }
}

const fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype.as_bytes() {
        b"F4" => 4,
        b"F6_E2M3" | b"F6_E3M2" => 6,
        b"BOOL" | b"U8" | b"I8" | b"F8_E5M2" | b"F8_E4M3" | b"F8_E8M0" | b"F8_E4M3FNUZ"
        | b"F8_E5M2FNUZ" => 8,
        b"U16" | b"I16" | b"F16" | b"BF16" => 16,
        b"U32" | b"I32" | b"F32" => 32,
        b"U64" | b"I64" | b"F64" | b"C64" => 64,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Header, A::Error> {
        let mut header = Header::default();
        let mut names = HashSet::new();
        while let Some(name) = access.next_key::<String>()? {
            // Two readers could each take another one of the two.
            if names.contains(&name) {
                return Err(serde::de::Error::custom(format_args!(
                    "{name:?} stands twice"
                )));
            }
            if name == "__metadata__" {
                let notes: BTreeMap<String, String> = access.next_value()?;
                for (key, text) in notes.into_iter().take(limits::FORMAT_MARKS) {
                    header
                        .metadata
                        .insert(printable(&key), printable(&text).into());
                }
            } else {
                let tensor: Tensor = access.next_value()?;
                header.add(&name, &tensor);
            }
            names.insert(name);
        }
        Ok(header)
    }
}
