use std::collections::BTreeSet;

use crate::limits;

use super::content::{Flaw, Window};
use super::facts::{Format, Kind, Reason};
use super::json::{Marks, scan};
use super::keras;
use super::proto::{Span, Value};
use super::scan::{Context, settle};

/// TensorFlow operators that run Python, or read and write files by name.
const UNSAFE: &[&str] = &[
    "EagerPyFunc",
    "MatchingFiles",
    "PyFunc",
    "PyFuncStateless",
    "ReadFile",
    "WriteFile",
];

/// TensorFlow's graphs, Keras' notes beside them, and SentencePiece: protocol
/// buffers without a magic number, told apart by their fields.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let mut span = Span::of(window);
    let first = match span.next(window) {
        Ok(first) => first,
        Err(Flaw::Malformed(_)) => return Ok(()),
        Err(flaw) => return Err(flaw),
    };
    let kind = match first {
        Some((1, Value::Varint(1..=9)) | (2, Value::Bytes(_))) if is_saved_model(window)? => {
            Kind::SavedModel
        }
        Some((1..=5, Value::Bytes(_))) if is_graph(window)? => Kind::TensorflowGraph,
        Some((1, Value::Bytes(inner))) => match node_kind(window, inner)? {
            Some(kind) if Span::of(window).holds(window, 1000)? => kind,
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let mut format = Format::new(kind);
    let mut graph = Graph::default();
    let result = match kind {
        Kind::SavedModel => graph.saved_model(window, &mut format),
        Kind::TensorflowGraph => graph.graph(window, Span::of(window)),
        Kind::KerasMetadata => return keras_metadata(window, cx),
        _ => Ok(()),
    };
    if kind != Kind::Sentencepiece {
        format.set("nodes", graph.nodes);
        for operator in &graph.unsafe_operators {
            format.carries(Reason::Operator, operator);
        }
    }
    settle(result, &mut format)?;
    cx.found(format);
    Ok(())
}

// A flaw here means: not this format.
fn soft(result: Result<bool, Flaw>) -> Result<bool, Flaw> {
    match result {
        Err(Flaw::Malformed(_)) => Ok(false),
        other => other,
    }
}

fn is_saved_model(window: &mut Window<'_>) -> Result<bool, Flaw> {
    let mut span = Span::of(window);
    let mut graphs = 0;
    soft((|| {
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (1, Value::Varint(_)) => {}
                (2, Value::Bytes(meta)) => {
                    if meta_graph(window, meta)?.is_none() {
                        return Ok(false);
                    }
                    graphs += 1;
                }
                _ => return Ok(false),
            }
        }
        Ok(graphs > 0)
    })())
}

// MetaGraphDef: `meta_info_def` or `graph_def`, and nothing unheard of.
fn meta_graph(window: &mut Window<'_>, mut meta: Span) -> Result<Option<Option<Span>>, Flaw> {
    let (mut seen, mut graph) = (false, None);
    while let Some((number, value)) = meta.next(window)? {
        match (number, value) {
            (1, Value::Bytes(inner)) => seen |= inner.holds(window, 64)?,
            (2, Value::Bytes(inner)) => {
                seen = true;
                graph = Some(inner);
            }
            (3..=64, Value::Bytes(_)) => {}
            _ => return Ok(None),
        }
    }
    Ok(seen.then_some(graph))
}

// GraphDef: nodes with a name and an operator, perhaps a library and versions.
fn is_graph(window: &mut Window<'_>) -> Result<bool, Flaw> {
    let mut span = Span::of(window);
    let mut nodes = 0;
    soft((|| {
        while let Some((number, value)) = span.next(window)? {
            match (number, value) {
                (1, Value::Bytes(node)) => {
                    // Later nodes are judged when the graph is read.
                    if nodes < 4 && operator(window, node)?.is_none() {
                        return Ok(false);
                    }
                    nodes += 1;
                }
                (2 | 4 | 5, Value::Bytes(_)) | (3, Value::Varint(_)) => {}
                _ => return Ok(false),
            }
        }
        Ok(nodes > 0)
    })())
}

// NodeDef: name 1, op 2, input 3, device 4, attr 5.
fn operator(window: &mut Window<'_>, mut node: Span) -> Result<Option<String>, Flaw> {
    let (mut named, mut found) = (false, None);
    while let Some((number, value)) = node.next(window)? {
        match (number, value) {
            (1, Value::Bytes(_)) => named = true,
            (2, Value::Bytes(text)) => found = Some(text.text(window)?),
            (3..=16, Value::Bytes(_)) => {}
            _ => return Ok(None),
        }
    }
    Ok(found.filter(|name| {
        named
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_>./".contains(c))
    }))
}

#[derive(Default)]
struct Graph {
    nodes: u64,
    unsafe_operators: BTreeSet<String>,
}

impl Graph {
    fn saved_model(&mut self, window: &mut Window<'_>, format: &mut Format) -> Result<(), Flaw> {
        let mut span = Span::of(window);
        while let Some((number, value)) = span.next(window)? {
            let (2, Value::Bytes(mut meta)) = (number, value) else {
                continue;
            };
            while let Some((number, value)) = meta.next(window)? {
                match (number, value) {
                    (1, Value::Bytes(info)) => describe(window, info, format)?,
                    (2, Value::Bytes(graph)) => self.graph(window, graph)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn graph(&mut self, window: &mut Window<'_>, mut graph: Span) -> Result<(), Flaw> {
        while let Some((number, value)) = graph.next(window)? {
            match (number, value) {
                (1, Value::Bytes(node)) => self.node(window, node)?,
                (2, Value::Bytes(library)) => self.library(window, library)?,
                _ => {}
            }
        }
        Ok(())
    }

    // FunctionDefLibrary: function 1; FunctionDef: node_def 3.
    fn library(&mut self, window: &mut Window<'_>, mut library: Span) -> Result<(), Flaw> {
        while let Some((number, value)) = library.next(window)? {
            let (1, Value::Bytes(mut function)) = (number, value) else {
                continue;
            };
            while let Some((number, value)) = function.next(window)? {
                if let (3, Value::Bytes(node)) = (number, value) {
                    self.node(window, node)?;
                }
            }
        }
        Ok(())
    }

    fn node(&mut self, window: &mut Window<'_>, mut node: Span) -> Result<(), Flaw> {
        self.nodes += 1;
        while let Some((number, value)) = node.next(window)? {
            if let (2, Value::Bytes(text)) = (number, value) {
                let name = text.text(window)?;
                if UNSAFE.contains(&name.as_str())
                    && self.unsafe_operators.len() < limits::FORMAT_MARKS
                {
                    self.unsafe_operators.insert(name);
                }
            }
        }
        Ok(())
    }
}

// MetaInfoDef: tags 4, tensorflow_version 5.
fn describe(window: &mut Window<'_>, mut info: Span, format: &mut Format) -> Result<(), Flaw> {
    while let Some((number, value)) = info.next(window)? {
        match (number, value) {
            (4, Value::Bytes(text)) => format.set_text("tag", &text.text(window)?),
            (5, Value::Bytes(text)) => format.set_text("tensorflow_version", &text.text(window)?),
            _ => {}
        }
    }
    Ok(())
}

// The first node tells SentencePiece (a piece and its score) from Keras' notes
// (SavedObject: node_id 2, node_path 3, identifier 4, metadata 5).
fn node_kind(window: &mut Window<'_>, mut node: Span) -> Result<Option<Kind>, Flaw> {
    let (mut piece, mut score) = (false, false);
    loop {
        match node.next(window) {
            Ok(None) => break,
            Ok(Some((1, Value::Bytes(_)))) => piece = true,
            Ok(Some((2, Value::Fixed))) => score = true,
            Ok(Some((4, Value::Bytes(text)))) => {
                let keras = text.text(window)?.starts_with("_tf_keras_");
                return Ok(keras.then_some(Kind::KerasMetadata));
            }
            Ok(Some(_)) => {}
            Err(Flaw::Malformed(_)) => return Ok(None),
            Err(flaw) => return Err(flaw),
        }
    }
    Ok((piece && score).then_some(Kind::Sentencepiece))
}

fn keras_metadata(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    let mut format = Format::new(Kind::KerasMetadata);
    let mut lambda = Format::new(Kind::KerasLambda);
    let mut span = Span::of(window);
    while let Some((number, value)) = span.next(window)? {
        let (1, Value::Bytes(mut object)) = (number, value) else {
            continue;
        };
        while let Some((number, value)) = object.next(window)? {
            let (5, Value::Bytes(text)) = (number, value) else {
                continue;
            };
            let mut section = window.section(text.at, text.end - text.at)?;
            let mut inner = Window::new(&mut section, std::rc::Rc::clone(&cx.steps));
            let mut marks = Marks::default();
            let result = scan(&mut inner, &mut marks);
            if result.is_err() {
                format.carries(Reason::NotScanned, "a layer's notes are not JSON");
            }
            settle(result, &mut format)?;
            keras::judge(&marks, &mut lambda);
        }
    }
    cx.found(format);
    if lambda.code_carrying() {
        cx.found(lambda);
    }
    Ok(())
}
