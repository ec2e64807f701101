//! A model as a CycloneDX 1.6 ML-BOM: its files, their digests and what they
//! really are.
//!
//! The document's own subject is the model (`metadata.component`); each file
//! is a component, and what CycloneDX has no field for is a property under
//! `obreia:`. The same input gives the same bytes.

use serde_json::{Map, Value, json};

use crate::canon;
use crate::crypto::sha256;
use crate::digest::{Algorithm, Digest, Identity};
use crate::time::Timestamp;

use super::format::{Detected, Format, Kind};

/// One file of a model.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// Path inside the model, parts separated by `/`; the file's name where the model is one file.
    pub path: String,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// What it was found to be.
    pub detected: Detected,
}

/// What an ML-BOM is made of.
#[derive(Clone, Debug)]
pub struct ModelDescription<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Its version, where it has one.
    pub version: Option<&'a str>,
    /// What the model is: the digest of its one file, or its directory's `dirHash`.
    pub identity: Identity,
    /// Its files, in the order in which they are to be listed.
    pub files: &'a [FileEntry],
    /// When the document is made; written in whole seconds.
    pub created: Timestamp,
    /// The document's serial number.
    pub serial: Serial,
}

/// Where a document's serial number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serial {
    /// From the document itself, as a UUID of version 8 (RFC 9562, section
    /// 5.8) out of SHA-256: the same model, name and time give the same number.
    Derived,
    /// Sixteen random bytes of the caller's, written as a UUID of version 4.
    Random([u8; 16]),
}

/// The ML-BOM of a model, as a tree; [`canon::canonical`] gives reproducible bytes.
pub fn build(model: &ModelDescription<'_>) -> Value {
    let components: Vec<_> = model.files.iter().map(file_component).collect();
    let subject = model_component(model);
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": model.created.whole_second(),
            "lifecycles": [{ "phase": "post-build" }],
            "tools": { "components": [{
                "type": "application",
                "name": "obreia",
                "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": subject,
        },
        "components": components,
        "dependencies": [{
            "ref": model_ref(model),
            "dependsOn": model.files.iter().map(file_ref).collect::<Vec<_>>(),
        }],
        "compositions": [{ "aggregate": "complete", "assemblies": [model_ref(model)] }],
    });
    document["serialNumber"] = serial(model.serial, &document).into();
    document
}

fn model_ref(model: &ModelDescription<'_>) -> String {
    format!("model:{}", model.identity)
}

fn file_ref(file: &FileEntry) -> String {
    format!("file:{}", file.path)
}

fn serial(serial: Serial, document: &Value) -> String {
    let (version, mut bytes) = match serial {
        Serial::Random(bytes) => (0x40, bytes),
        Serial::Derived => {
            let digest = sha256(&canon::canonical(document));
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&digest.bytes()[..16]);
            (0x80, bytes)
        }
    };
    bytes[6] = bytes[6] & 0x0f | version;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..]
    )
}

fn hash(digest: &Digest) -> Value {
    let algorithm = match digest.algorithm() {
        Algorithm::Sha256 => "SHA-256",
        Algorithm::Sha384 => "SHA-384",
        Algorithm::Sha512 => "SHA-512",
    };
    json!({ "alg": algorithm, "content": digest.hex() })
}

fn model_component(model: &ModelDescription<'_>) -> Value {
    let facts = Facts::of(model.files);
    let mut component = Map::new();
    component.insert("type".to_owned(), "machine-learning-model".into());
    component.insert("bom-ref".to_owned(), model_ref(model).into());
    component.insert("name".to_owned(), model.name.into());
    if let Some(version) = model.version {
        component.insert("version".to_owned(), version.into());
    }
    // A directory's hash is over names and digests, not over bytes that
    // `hashes` could mean; it stands in the properties.
    if let Identity::Content(digest) = &model.identity {
        component.insert("hashes".to_owned(), json!([hash(digest)]));
    }
    if let Some(licence) = &facts.licence {
        let licence = json!({ "license": { "name": licence, "acknowledgement": "declared" } });
        component.insert("licenses".to_owned(), json!([licence]));
    }
    if let Some(card) = facts.card() {
        component.insert("modelCard".to_owned(), card);
    }
    let mut properties = Properties::default();
    properties.add("identity", model.identity.to_string());
    let carrying = model.files.iter().any(|f| f.detected.code_carrying());
    properties.add("code-carrying", carrying.to_string());
    let mut formats: Vec<_> = model.files.iter().flat_map(|f| f.detected.ids()).collect();
    formats.sort_unstable();
    formats.dedup();
    for format in formats {
        properties.add("format", format);
    }
    let size = model
        .files
        .iter()
        .fold(0u64, |sum, file| sum.saturating_add(file.size));
    properties.add("size", size.to_string());
    component.insert("properties".to_owned(), properties.0.into());
    component.into()
}

fn file_component(file: &FileEntry) -> Value {
    let mut properties = Properties::default();
    properties.add("size", file.size.to_string());
    let carrying = file.detected.code_carrying();
    properties.add("code-carrying", carrying.to_string());
    for format in &file.detected.formats {
        properties.format(format);
    }
    json!({
        "type": "file",
        "bom-ref": file_ref(file),
        "name": file.path,
        "hashes": [hash(&file.sha256)],
        "properties": properties.0,
    })
}

/// Names under `obreia:`; one name may stand several times.
#[derive(Default)]
struct Properties(Vec<Value>);

impl Properties {
    fn add(&mut self, name: &str, value: impl Into<String>) {
        let value: String = value.into();
        self.0
            .push(json!({ "name": format!("obreia:{name}"), "value": value }));
    }

    fn format(&mut self, format: &Format) {
        let place = match &format.within {
            Some(within) => format!("{} in {within}", format.kind),
            None => format.kind.id().to_owned(),
        };
        self.add("format", &*place);
        for code in &format.code {
            let text = format!("{place}: {}: {}", code.reason.id(), code.detail);
            self.add("code", text);
        }
        for flaw in &format.malformed {
            self.add("malformed", format!("{place}: {flaw}"));
        }
        // What is said inside an archive would outnumber what the file is.
        if format.within.is_none() {
            for (key, value) in &format.metadata {
                self.value(&format!("{}:{key}", format.kind), value);
            }
        }
    }

    fn value(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.value(&format!("{name}:{key}"), value);
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.value(name, item);
                }
            }
            Value::String(text) => self.add(name, text),
            Value::Null => {}
            other => self.add(name, other.to_string()),
        }
    }
}

/// What the files' headers say about the model as a whole.
#[derive(Default)]
struct Facts {
    family: Option<String>,
    architecture: Option<String>,
    licence: Option<String>,
    quantization: Option<String>,
    parameters: u64,
}

impl Facts {
    fn of(files: &[FileEntry]) -> Self {
        let mut facts = Self::default();
        // A file nearer the top speaks before one in a folder below.
        let mut order: Vec<_> = files.iter().collect();
        order.sort_by_key(|file| (file.path.matches('/').count(), file.path.as_str()));
        for format in order.iter().flat_map(|file| &file.detected.formats) {
            if format.within.is_none() {
                facts.add(format);
            }
        }
        facts
    }

    fn add(&mut self, format: &Format) {
        let text = |key: &str| format.metadata.get(key)?.as_str().map(str::to_owned);
        let note = |key: &str| {
            Some(
                format
                    .metadata
                    .get("metadata")?
                    .get(key)?
                    .as_str()?
                    .to_owned(),
            )
        };
        let (family, architecture, licence) = match format.kind {
            Kind::Gguf => (
                text("general.architecture"),
                text("general.name"),
                text("general.license"),
            ),
            Kind::Json => (text("model_type"), text("architectures"), None),
            Kind::Safetensors => (note("model_type"), None, note("license")),
            Kind::KerasZip => (None, text("class"), None),
            Kind::Onnx => (None, text("graph"), None),
            _ => return,
        };
        self.family = self.family.take().or(family);
        self.architecture = self.architecture.take().or(architecture);
        self.licence = self.licence.take().or(licence);
        self.quantization = self.quantization.take().or(text("quantization"));
        let parameters = format.metadata.get("parameters").and_then(Value::as_u64);
        self.parameters = self
            .parameters
            .saturating_add(parameters.unwrap_or_default());
    }

    fn card(&self) -> Option<Value> {
        let mut parameters = Map::new();
        if let Some(family) = &self.family {
            parameters.insert("architectureFamily".to_owned(), family.clone().into());
        }
        if let Some(architecture) = &self.architecture {
            parameters.insert("modelArchitecture".to_owned(), architecture.clone().into());
        }
        let mut properties = Properties::default();
        if self.parameters > 0 {
            properties.add("parameters", self.parameters.to_string());
        }
        if let Some(quantization) = &self.quantization {
            properties.add("quantization", quantization);
        }
        if parameters.is_empty() && properties.0.is_empty() {
            return None;
        }
        let mut card = Map::new();
        if !parameters.is_empty() {
            card.insert("modelParameters".to_owned(), parameters.into());
        }
        if !properties.0.is_empty() {
            card.insert("properties".to_owned(), properties.0.into());
        }
        Some(card.into())
    }
}
