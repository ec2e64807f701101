use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::limits;

use super::content::{Flaw, Window, malformed};
use super::facts::{Format, Kind, Reason, printable};
use super::keras;
use super::scan::{Context, settle};

/// JSON, one value or one behind the other.
pub(super) fn detect(window: &mut Window<'_>, cx: &mut Context) -> Result<(), Flaw> {
    if !begins(window.upto(0, 512)?) {
        return Ok(());
    }
    let mut format = Format::new(Kind::Json);
    let mut marks = Marks::default();
    let result = scan(window, &mut marks);
    let broken = result.is_err();
    settle(result, &mut format)?;
    for (key, text) in &marks.texts {
        format.set_text(key, text);
    }
    if marks.values > 1 {
        format.set("values", marks.values);
    }
    if marks.auto_map {
        format.carries(
            Reason::RemoteCode,
            "auto_map names code of the model that a loader may run",
        );
    }
    let keras = keras::is_configuration(&marks);
    let scanned_to_the_end = !broken;
    cx.found(format);
    if keras {
        let mut format = Format::new(Kind::KerasLambda);
        keras::judge(&marks, &mut format);
        if format.code_carrying() || !scanned_to_the_end {
            if !scanned_to_the_end {
                format.carries(Reason::NotScanned, "the configuration is malformed");
            }
            cx.found(format);
        }
    }
    Ok(())
}

// `{"`, `{}`, `[` and a value: templates and prose begin otherwise.
fn begins(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut rest = head.iter().filter(|b| !b.is_ascii_whitespace());
    match rest.next() {
        Some(b'{') => matches!(rest.next(), Some(b'"' | b'}')),
        Some(b'[') => matches!(
            rest.next(),
            Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
        ),
        _ => false,
    }
}

/// What a stream of JSON says that matters to models.
#[derive(Default)]
pub(super) struct Marks {
    pub(super) values: u64,
    /// Keys of the outermost object.
    pub(super) top: BTreeSet<String>,
    /// Texts of the outermost object that describe a model.
    pub(super) texts: BTreeMap<&'static str, String>,
    pub(super) auto_map: bool,
    /// `class_name` of code-carrying layers, with `name` where known.
    pub(super) lambdas: BTreeSet<String>,
    /// `module` and `class_name` of objects that name a module.
    pub(super) classes: BTreeSet<(String, String)>,
}

const TOP: &[&str] = &[
    "_name_or_path",
    "architectures",
    "class_name",
    "dtype",
    "keras_version",
    "license",
    "model_type",
    "torch_dtype",
    "transformers_version",
];

/// Reads all of a content as JSON, without building a tree.
pub(super) fn scan(window: &mut Window<'_>, marks: &mut Marks) -> Result<(), Flaw> {
    let skip = u64::from(window.upto(0, 3)? == b"\xef\xbb\xbf") * 3;
    let len = (window.len() - skip).min(limits::DOCUMENT);
    let cut = len < window.len() - skip;
    let mut stream = window.stream(skip, len);
    let mut reader =
        serde_json::Deserializer::from_reader(BufReader::with_capacity(16 << 10, stream.by_ref()));
    let mut result = Ok(());
    loop {
        let node = Node {
            marks: &mut *marks,
            depth: 0,
            keep: false,
        };
        match node.deserialize(&mut reader) {
            Ok(_) => marks.values += 1,
            Err(error) => {
                result = Err(error);
                break;
            }
        }
        // A step costs little, and a file of many small values has many.
        match reader.end() {
            Ok(()) => break,
            Err(error) if error.is_io() => {
                result = Err(error);
                break;
            }
            Err(_) => {}
        }
    }
    drop(reader);
    if let Some(flaw) = stream.failed {
        return Err(flaw);
    }
    if cut {
        return Err(Flaw::Limit("JSON length"));
    }
    result.or_else(|error| malformed(format!("JSON: {error}")))
}

struct Node<'m> {
    marks: &'m mut Marks,
    depth: usize,
    keep: bool,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.keep.then(|| printable(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut first = None;
        loop {
            let node = Node {
                marks: &mut *self.marks,
                depth: self.depth + 1,
                keep: self.keep && first.is_none(),
            };
            match seq.next_element_seed(node)? {
                Some(text) => first = first.or(text),
                None => return Ok(first),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (mut class, mut module, mut name) = (None, None, None);
        while let Some(key) = access.next_key::<String>()? {
            let top = (self.depth == 0)
                .then(|| TOP.iter().find(|known| **known == key))
                .flatten();
            let keep = top.is_some() || matches!(key.as_str(), "class_name" | "module" | "name");
            let node = Node {
                marks: &mut *self.marks,
                depth: self.depth + 1,
                keep,
            };
            let value = access.next_value_seed(node)?;
            if self.depth == 0 && self.marks.top.len() < limits::FORMAT_MARKS {
                self.marks.top.insert(printable(&key));
            }
            if let (Some(known), Some(text)) = (top, &value) {
                self.marks.texts.insert(known, text.clone());
            }
            match key.as_str() {
                "auto_map" => self.marks.auto_map = true,
                // Of a key that stands twice, each is judged: readers take one or the other.
                "class_name" => {
                    self.marks.class(&class, &module, &name);
                    class = value;
                }
                "module" => {
                    self.marks.class(&class, &module, &name);
                    module = value;
                }
                "name" => name = value,
                _ => {}
            }
        }
        self.marks.class(&class, &module, &name);
        Ok(None)
    }
}

impl Marks {
    fn class(&mut self, class: &Option<String>, module: &Option<String>, name: &Option<String>) {
        let Some(class) = class else {
            return;
        };
        if keras::is_lambda(class) && self.lambdas.len() < limits::FORMAT_MARKS {
            self.lambdas.insert(match name {
                Some(name) => format!("{class} {name}"),
                None => class.clone(),
            });
        }
        // Only foreign ones are kept, so that honest ones cannot crowd them out.
        if let Some(module) = module
            && !keras::is_own(module, class)
            && self.classes.len() < limits::FORMAT_MARKS
        {
            self.classes.insert((module.clone(), class.clone()));
        }
    }
}
