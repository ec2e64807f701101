use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use crate::limits;

use super::archive::leads_out;
use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, Reason};
use super::proto::{Span, Value};
use super::scan::{Context, settle};

/// Domains whose operators the usual runtimes bring.
const OWN: &[&str] = &[
    "",
    "ai.onnx",
    "ai.onnx.ml",
    "ai.onnx.preview.training",
    "ai.onnx.training",
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
];
/// Operators that run Python, whatever their domain.
const PYTHON: &[&str] = &["PyFunc", "PyOp", "PyCustomOp", "PythonOp", "PythonOpGrad"];
/// Deepest nesting of graphs in attributes (`If`, `Loop`, `Scan`).
const DEPTH: usize = 16;

/// An ONNX `ModelProto` (`onnx.proto3`). It has no magic number: it is one
/// when all of it reads as such and holds a graph and a version.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let Some(top) = top_level(window)? else {
        return Ok(());
    };
    let mut format = Format::new(Kind::Onnx);
    let mut onnx = Onnx::default();
    let result = onnx.read(window, &top, &mut format);
    onnx.describe(&mut format);
    settle(result, &mut format)?;
    cx.found(format);
    Ok(())
}

struct Top {
    ir_version: Option<u64>,
    graph: Span,
    fields: Vec<(u64, Span)>,
}

fn top_level(window: &mut Window<'_>) -> Result<Option<Top>, Flaw> {
    let mut span = Span::of(window);
    let (mut ir_version, mut graph, mut opset) = (None, None, false);
    let mut fields = Vec::new();
    loop {
        match span.next(window) {
            Ok(None) => break,
            Ok(Some((1, Value::Varint(n)))) if n <= 1000 => ir_version = Some(n),
            Ok(Some((5, Value::Varint(_)))) => {}
            Ok(Some((7, Value::Bytes(inner)))) => graph = Some(inner),
            Ok(Some((number @ (2..=4 | 6 | 8 | 14 | 20 | 25 | 26), Value::Bytes(inner)))) => {
                opset |= number == 8;
                if fields.len() < 4096 {
                    fields.push((number, inner));
                }
            }
            // Fields of later versions; those of this one have the types above.
            Ok(Some((27.., _))) => {}
            Ok(Some(_)) | Err(Flaw::Malformed(_)) => return Ok(None),
            Err(flaw) => return Err(flaw),
        }
    }
    let Some(graph) = graph.filter(|_| ir_version.is_some() || opset) else {
        return Ok(None);
    };
    Ok(graph.holds(window, 64)?.then_some(Top {
        ir_version,
        graph,
        fields,
    }))
}

#[derive(Default)]
struct Onnx {
    nodes: u64,
    parameters: u64,
    operators: BTreeMap<(String, String), u64>,
    functions: BTreeSet<(String, String)>,
    external: BTreeSet<String>,
    more: bool,
}

impl Onnx {
    fn read(
        &mut self,
        window: &mut Window<'_>,
        top: &Top,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        if let Some(version) = top.ir_version {
            format.set("ir_version", version);
        }
        let mut opsets = Map::new();
        for (number, span) in &top.fields {
            match number {
                2 => format.set_text("producer_name", &span.text(window)?),
                3 => format.set_text("producer_version", &span.text(window)?),
                4 => format.set_text("domain", &span.text(window)?),
                8 if opsets.len() < limits::FORMAT_MARKS => {
                    let (domain, version) = opset(window, *span)?;
                    let domain = if domain.is_empty() {
                        "ai.onnx".to_owned()
                    } else {
                        domain
                    };
                    opsets.insert(domain, version.into());
                }
                25 => self.function(window, *span)?,
                _ => {}
            }
        }
        format.set("opset", opsets);
        self.graph(window, top.graph, 0, format)
    }

    // FunctionProto: operators that the model itself defines.
    fn function(&mut self, window: &mut Window<'_>, mut span: Span) -> Result<(), Flaw> {
        let (mut name, mut domain) = (String::new(), String::new());
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (1, Value::Bytes(inner)) => name = inner.text(window)?,
                (10, Value::Bytes(inner)) => domain = inner.text(window)?,
                (7, Value::Bytes(inner)) => {
                    self.node(window, inner, 0, &mut Format::new(Kind::Onnx))?
                }
                _ => {}
            }
        }
        self.functions.insert((domain, name));
        Ok(())
    }

    fn graph(
        &mut self,
        window: &mut Window<'_>,
        mut span: Span,
        depth: usize,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        if depth > DEPTH {
            return Err(Flaw::Limit("nesting of graphs"));
        }
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (1, Value::Bytes(inner)) => self.node(window, inner, depth, format)?,
                (2, Value::Bytes(inner)) if depth == 0 => {
                    format.set_text("graph", &inner.text(window)?);
                }
                (5, Value::Bytes(inner)) => self.tensor(window, inner, format)?,
                (15, Value::Bytes(inner)) => self.sparse(window, inner, format)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn node(
        &mut self,
        window: &mut Window<'_>,
        mut span: Span,
        depth: usize,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        let (mut operator, mut domain) = (String::new(), String::new());
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (4, Value::Bytes(inner)) => operator = inner.text(window)?,
                (7, Value::Bytes(inner)) => domain = inner.text(window)?,
                (5, Value::Bytes(inner)) => self.attribute(window, inner, depth, format)?,
                _ => {}
            }
        }
        self.nodes += 1;
        let key = (domain, operator);
        if self.operators.len() < 4096 || self.operators.contains_key(&key) {
            *self.operators.entry(key).or_default() += 1;
        } else {
            self.more = true;
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        window: &mut Window<'_>,
        mut span: Span,
        depth: usize,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (5 | 10, Value::Bytes(inner)) => self.tensor(window, inner, format)?,
                (6 | 11, Value::Bytes(inner)) => self.graph(window, inner, depth + 1, format)?,
                (22 | 23, Value::Bytes(inner)) => self.sparse(window, inner, format)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn sparse(
        &mut self,
        window: &mut Window<'_>,
        mut span: Span,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        while let Some((number, value)) = span.next(window)? {
            if let (1 | 2, Value::Bytes(inner)) = (number, value) {
                self.tensor(window, inner, format)?;
            }
        }
        Ok(())
    }

    fn tensor(
        &mut self,
        window: &mut Window<'_>,
        mut span: Span,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        let mut elements = Some(1u64);
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (1, Value::Varint(n)) => elements = elements.and_then(|e| e.checked_mul(n)),
                (1, Value::Bytes(mut packed)) => {
                    while !packed.is_empty() {
                        let n = packed.varint(window)?;
                        elements = elements.and_then(|e| e.checked_mul(n));
                    }
                }
                (13, Value::Bytes(inner)) => self.external(window, inner, format)?,
                _ => {}
            }
        }
        match elements {
            Some(n) => self.parameters = self.parameters.saturating_add(n),
            None => return malformed("a tensor's shape overflows"),
        }
        Ok(())
    }

    // StringStringEntryProto; the runtime reads the file that `location` names.
    fn external(
        &mut self,
        window: &mut Window<'_>,
        mut span: Span,
        format: &mut Format,
    ) -> Result<(), Flaw> {
        let (mut key, mut text) = (String::new(), String::new());
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (1, Value::Bytes(inner)) => key = inner.text(window)?,
                (2, Value::Bytes(inner)) => text = inner.text(window)?,
                _ => {}
            }
        }
        if key == "location" {
            if leads_out(&text) {
                format.flaw(format!("external data {text:?} leads out of the model"));
            }
            if self.external.len() < limits::FORMAT_MARKS {
                self.external.insert(text);
            }
        }
        Ok(())
    }

    fn describe(&self, format: &mut Format) {
        format.set("nodes", self.nodes);
        format.set("parameters", self.parameters);
        let domains: BTreeSet<_> = self
            .operators
            .keys()
            .filter(|key| !self.functions.contains(*key))
            .map(|(domain, _)| domain.as_str())
            .filter(|domain| !OWN.contains(domain))
            .take(limits::FORMAT_MARKS)
            .collect();
        if !domains.is_empty() {
            let domains: Vec<_> = domains.into_iter().map(Json::from).collect();
            format.set("custom_domains", domains);
        }
        for key in self.operators.keys() {
            let (domain, operator) = key;
            let defined = self.functions.contains(key);
            if PYTHON.contains(&operator.as_str()) || !(defined || OWN.contains(&domain.as_str())) {
                format.carries(Reason::Operator, format!("{domain}.{operator}"));
            }
        }
        if self.more {
            format.carries(Reason::ScanTruncated, "more operators than are listed");
        }
        if !self.external.is_empty() {
            let files: Vec<_> = self.external.iter().cloned().map(Json::from).collect();
            format.set("external_data", files);
        }
    }
}

fn opset(window: &mut Window<'_>, mut span: Span) -> Result<(String, u64), Flaw> {
    let (mut domain, mut version) = (String::new(), 0);
    while let Some((number, value)) = span.next(window)? {
        match (number, value) {
            (1, Value::Bytes(inner)) => domain = inner.text(window)?,
            (2, Value::Varint(n)) => version = n,
            _ => {}
        }
    }
    Ok((domain, version))
}
