//! `ResourceDescriptor` (in-toto attestation framework, v1).

use serde_json::Value;

use crate::shape::Shape::{Any, Checked, Digests, Map, Open, Text};
use crate::shape::{Field, Path, Shape, URI, Violations, nullable, text};

const FIELDS: &[Field] = &[
    nullable("name", &Text),
    nullable("uri", &URI),
    nullable("digest", &Digests),
    nullable("content", &BASE64),
    nullable("downloadLocation", &URI),
    nullable("mediaType", &Text),
    nullable("annotations", &Map(&Any)),
];

/// A descriptor, as far as one member at a time is concerned; [`identify`] asks for the rest.
pub(super) const DESCRIPTOR: Shape = Open(FIELDS);

const BASE64: Shape = Checked("Base64", |s| {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(s).is_ok()
});

/// Reports descriptors of the list `name` that say in no way what they describe:
/// one of `uri`, `digest` and `content` must be there.
pub(super) fn identify(object: &Value, name: &str, at: &Path<'_>, found: &mut Violations) {
    let at = at.key(name);
    let list = object.get(name).and_then(Value::as_array);
    for (index, item) in list.into_iter().flatten().enumerate() {
        let said = |member: &str| item.get(member).is_some_and(|v| !v.is_null());
        if item.is_object() && !said("uri") && !said("digest") && !said("content") {
            found.add(
                &at.index(index),
                &format!(
                    "must have uri, digest or content, found {}",
                    text::excerpt(item)
                ),
            );
        }
    }
}
