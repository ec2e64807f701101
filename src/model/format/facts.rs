use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::limits;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $id:literal,)*) => {
        /// A format. Its id is stable: policies refuse formats by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every format that is told apart.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable kebab-case id.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }
        }
    };
}

kinds! {
    /// safetensors weights.
    Safetensors = "safetensors",
    /// GGUF weights (llama.cpp and relatives).
    Gguf = "gguf",
    /// An ONNX `ModelProto`.
    Onnx = "onnx",
    /// A Python pickle, protocol 0 to 5.
    Pickle = "pickle",
    /// A zip with a pickle in one of its members.
    PickleInZip = "pickle-in-zip",
    /// PyTorch's zip (`data.pkl` beside raw storages).
    TorchZip = "torch-zip",
    /// PyTorch's format before 1.6: several pickles, then raw storages.
    TorchLegacy = "torch-legacy",
    /// PyTorch's first format: a tar of pickles and storages.
    TorchTar = "torch-tar",
    /// A TorchScript archive: program code beside the weights.
    Torchscript = "torchscript",
    /// Keras 3's `.keras` zip.
    KerasZip = "keras-zip",
    /// A Keras configuration with code in it: a Lambda layer, or a class of a foreign module.
    KerasLambda = "keras-lambda",
    /// HDF5.
    Hdf5 = "hdf5",
    /// HDF5 with a Keras configuration that carries code.
    Hdf5KerasLambda = "hdf5-keras-lambda",
    /// A NumPy array (`.npy`).
    Numpy = "numpy",
    /// A zip of NumPy arrays (`.npz`).
    NumpyZip = "numpy-zip",
    /// A joblib pickle with raw arrays between its opcodes.
    Joblib = "joblib",
    /// A TensorFlow `SavedModel` graph.
    SavedModel = "tensorflow-savedmodel",
    /// A TensorFlow `GraphDef` by itself (a frozen graph).
    TensorflowGraph = "tensorflow-graphdef",
    /// Keras' notes beside a `SavedModel` (`keras_metadata.pb`).
    KerasMetadata = "tensorflow-keras-metadata",
    /// A TensorFlow Lite flatbuffer.
    Tflite = "tflite",
    /// A SentencePiece tokenizer.
    Sentencepiece = "sentencepiece",
    /// Native or byte code: ELF, PE, Mach-O, WebAssembly, Java, Python.
    Executable = "executable",
    /// A script: `#!`, or text that begins as Python source does.
    Script = "script",
    /// A zip archive.
    Zip = "zip",
    /// A tar archive.
    Tar = "tar",
    /// gzip.
    Gzip = "gzip",
    /// zlib.
    Zlib = "zlib",
    /// bzip2.
    Bzip2 = "bzip2",
    /// xz.
    Xz = "xz",
    /// LZMA without a container.
    Lzma = "lzma",
    /// LZ4 frame.
    Lz4 = "lz4",
    /// Zstandard.
    Zstd = "zstd",
    /// 7-Zip.
    SevenZip = "seven-zip",
    /// RAR.
    Rar = "rar",
    /// JSON.
    Json = "json",
    /// UTF-8 text that is nothing else.
    Text = "text",
    /// No bytes at all.
    Empty = "empty",
    /// None of these.
    Unknown = "unknown",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $id:literal,)*) => {
        /// Why a format counts as carrying code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable kebab-case id.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }
        }
    };
}

reasons! {
    /// Reading the format at all means running a program (a pickle).
    Format = "format",
    /// A name that reading imports and may call, as `module.name`.
    Import = "import",
    /// A layer made of code (Keras Lambda).
    Layer = "layer",
    /// A class of a module that is not the framework's own.
    Module = "module",
    /// An operator that runs code from outside the model.
    Operator = "operator",
    /// Program source or native code.
    Program = "program",
    /// Configuration that tells the loader to run code of the model's author.
    RemoteCode = "remote-code",
    /// An array of pickled objects.
    ObjectArray = "object-array",
    /// Something inside carries code.
    Member = "member",
    /// Compressed, encrypted, nested too deeply or malformed, and so not looked into.
    NotScanned = "not-scanned",
    /// Longer than the scan's bound, so its rest was not looked at.
    ScanTruncated = "scan-truncated",
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// One reason that a format carries code, with its detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The kind of reason.
    pub reason: Reason,
    /// Which import, layer, operator, member or bound; from untrusted bytes, printable, at most 256 characters.
    pub detail: String,
}

/// One format found.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    /// Which.
    pub kind: Kind,
    /// The archive member (or `gzip`, `zlib`) it lies in, from the outside in, joined by `!/`; `None` for the file itself.
    pub within: Option<String>,
    /// Why it carries code; empty where nothing says so.
    pub code: Vec<Code>,
    /// What contradicts the format's specification; empty for a well-formed file.
    pub malformed: Vec<String>,
    /// What its header says, bounded: counts, types, names, producer.
    pub metadata: BTreeMap<String, Value>,
}

impl Format {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            within: None,
            code: Vec::new(),
            malformed: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Whether anything says that it carries code.
    pub fn code_carrying(&self) -> bool {
        !self.code.is_empty()
    }

    /// Whether the code is in this format itself, not only in something inside it.
    pub(super) fn carries_itself(&self) -> bool {
        self.code.iter().any(|code| code.reason != Reason::Member)
    }

    pub(super) fn carries(&mut self, reason: Reason, detail: impl AsRef<str>) {
        let code = Code {
            reason,
            detail: printable(detail.as_ref()),
        };
        if self.code.len() < limits::FORMAT_MARKS && !self.code.contains(&code) {
            self.code.push(code);
        }
    }

    pub(super) fn flaw(&mut self, why: impl AsRef<str>) {
        let why = printable(why.as_ref());
        if self.malformed.len() < limits::FORMAT_MARKS && !self.malformed.contains(&why) {
            self.malformed.push(why);
        }
    }

    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.metadata.insert(key.to_owned(), value.into());
    }

    /// Sets a text from untrusted bytes, unless it is empty.
    pub(super) fn set_text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.set(key, printable(text));
        }
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fact<'a> {
            format: Kind,
            #[serde(skip_serializing_if = "Option::is_none")]
            within: &'a Option<String>,
            code_carrying: bool,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            code: &'a [Code],
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            malformed: &'a [String],
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            metadata: &'a BTreeMap<String, Value>,
        }
        Fact {
            format: self.kind,
            within: &self.within,
            code_carrying: self.code_carrying(),
            code: &self.code,
            malformed: &self.malformed,
            metadata: &self.metadata,
        }
        .serialize(serializer)
    }
}

/// All that one file was found to be: never empty, the outermost format first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Detected {
    /// The formats.
    pub formats: Vec<Format>,
}

impl Detected {
    /// Whether any of the formats carries code.
    pub fn code_carrying(&self) -> bool {
        self.formats.iter().any(Format::code_carrying)
    }

    /// Whether any of the formats is malformed.
    pub fn malformed(&self) -> bool {
        self.formats.iter().any(|f| !f.malformed.is_empty())
    }

    /// The ids, each once, sorted.
    pub fn ids(&self) -> Vec<&'static str> {
        let mut ids: Vec<_> = self.formats.iter().map(|f| f.kind.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The first format of that kind, inside or outside.
    pub fn find(&self, kind: Kind) -> Option<&Format> {
        self.formats.iter().find(|f| f.kind == kind)
    }
}

/// Untrusted text for people: control characters escaped, and cut at [`limits::FORMAT_TEXT`] characters.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count >= limits::FORMAT_TEXT {
            out.push('…');
            break;
        }
        if c.is_control() || invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

// Characters that reorder or hide their neighbours in a terminal.
fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// As [`printable`], of bytes that should be UTF-8.
pub(super) fn printable_bytes(bytes: &[u8]) -> String {
    // Four bytes a character at most: what is cut here would be cut there.
    let bytes = &bytes[..bytes.len().min(4 * (limits::FORMAT_TEXT + 1))];
    printable(&String::from_utf8_lossy(bytes))
}
