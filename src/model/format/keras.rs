//! What a Keras configuration would make a loader run.

use super::content::{DetectError, Window};
use super::facts::{Format, Kind, Reason};
use super::json::{Marks, scan};
use super::scan::settle;

/// Modules whose classes the framework itself brings.
const OWN: &[&str] = &[
    "keras",
    "keras_cv",
    "keras_hub",
    "keras_nlp",
    "tensorflow",
    "tf_keras",
];

/// Layers and functions that are marshalled Python code.
pub(super) fn is_lambda(class: &str) -> bool {
    matches!(class, "Lambda" | "__lambda__")
}

/// Whether a class is the framework's own.
pub(super) fn is_own(module: &str, class: &str) -> bool {
    // Keras writes a plain function as module `builtins`, class `function`; it
    // is then looked up among the caller's own objects.
    (module == "builtins" && class == "function")
        || OWN.iter().any(|own| {
            module
                .strip_prefix(own)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
}

/// Whether a JSON text is the configuration of a Keras model.
pub(super) fn is_configuration(marks: &Marks) -> bool {
    marks.top.contains("class_name") && marks.top.contains("config")
}

pub(super) fn judge(marks: &Marks, format: &mut Format) {
    for layer in &marks.lambdas {
        format.carries(Reason::Layer, layer);
    }
    for (module, class) in &marks.classes {
        format.carries(Reason::Module, format!("{module}.{class}"));
    }
}

/// Judges `config.json` of a `.keras` archive; `kind` is what the answer is called.
pub(super) fn configuration(
    window: &mut Window<'_>,
    kind: Kind,
) -> Result<Option<Format>, DetectError> {
    let mut format = Format::new(kind);
    let mut marks = Marks::default();
    let result = scan(window, &mut marks);
    let readable = result.is_ok();
    settle(result, &mut format)?;
    if !readable {
        format.carries(Reason::NotScanned, "the configuration is not one JSON text");
    }
    judge(&marks, &mut format);
    if let Some(class) = marks.texts.get("class_name") {
        format.set_text("class", class);
    }
    if !is_configuration(&marks) && !format.code_carrying() {
        return Ok(None);
    }
    Ok(Some(format))
}
