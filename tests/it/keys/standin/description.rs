//! What a vendor published of its API, reduced to what is used here, and
//! whether a request is as it says.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

use super::Call;

pub(crate) struct Description(Value);

/// The operation that a request is, and what its path says.
pub(crate) struct Matched {
    pub(crate) operation: String,
    pub(crate) path: BTreeMap<String, String>,
    /// The body; null where there is none.
    pub(crate) body: Value,
}

impl Description {
    /// A file in `testdata/api/`.
    pub(crate) fn load(name: &str) -> Self {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/api");
        let bytes = std::fs::read(folder.join(name)).expect("the description");
        Self(serde_json::from_slice(&bytes).expect("JSON"))
    }

    /// What the request asks for, or what is wrong with it.
    pub(crate) fn check(&self, call: &Call) -> Result<Matched, String> {
        let operations = self.0["operations"].as_array().expect("operations");
        let (operation, path) = operations
            .iter()
            .filter(|operation| operation["method"] == call.method.as_str())
            .find_map(|operation| {
                let template = operation["path"].as_str()?;
                Some((operation, matched(template, &call.path)?))
            })
            .ok_or("no such operation")?;
        self.check_query(operation, call)?;
        let body = match operation["body"].as_str() {
            None if call.body.is_empty() => Value::Null,
            None => return Err("it has a body".to_owned()),
            Some(schema) => {
                let kind = call.header("content-type");
                if kind != "application/json" {
                    return Err(format!("its content type is {kind:?}"));
                }
                let body = serde_json::from_slice(&call.body).map_err(|e| e.to_string())?;
                self.check_object(schema, &body)?;
                body
            }
        };
        Ok(Matched {
            operation: operation["id"].as_str().expect("id").to_owned(),
            path,
            body,
        })
    }

    fn check_query(&self, operation: &Value, call: &Call) -> Result<(), String> {
        let described = operation["query"].as_object();
        let common = self.0["query"].as_object();
        for (name, value) in &call.query {
            let known = described
                .and_then(|d| d.get(name))
                .or_else(|| common.and_then(|c| c.get(name)))
                .ok_or(format!("there is no parameter {name}"))?;
            check_value(
                &format!("parameter {name}"),
                known,
                &text_or_number(known, value),
            )?;
        }
        let all = described.into_iter().chain(common).flatten();
        for (name, known) in all {
            if known["required"] == true && !call.query.contains_key(name) {
                return Err(format!("parameter {name} is missing"));
            }
        }
        Ok(())
    }

    fn check_object(&self, schema: &str, body: &Value) -> Result<(), String> {
        let described = &self.0["schemas"][schema];
        let object = body.as_object().ok_or(format!("{schema} is no object"))?;
        for (name, value) in object {
            let property = &described["properties"][name];
            if property.is_null() {
                return Err(format!("{schema} has no {name}"));
            }
            if property["readOnly"] == true {
                return Err(format!("{schema}.{name} is the service's to say"));
            }
            let at = format!("{schema}.{name}");
            match property["ref"].as_str() {
                Some(inner) => self.check_object(inner, value)?,
                None => check_value(&at, property, value)?,
            }
        }
        for name in described["required"].as_array().into_iter().flatten() {
            let name = name.as_str().expect("a name");
            if !object.contains_key(name) {
                return Err(format!("{schema}.{name} is missing"));
            }
        }
        Ok(())
    }
}

fn text_or_number(known: &Value, text: &str) -> Value {
    match known["type"].as_str() {
        Some("integer") => text.parse::<i64>().map_or(Value::Null, Value::from),
        _ => Value::from(text),
    }
}

fn check_value(at: &str, known: &Value, value: &Value) -> Result<(), String> {
    let text = value.as_str();
    let good = match (known["type"].as_str(), known["format"].as_str()) {
        (Some("string"), Some("byte")) => text.is_some_and(|t| STANDARD.decode(t).is_ok()),
        (Some("string"), Some("base64url")) => {
            text.is_some_and(|t| URL_SAFE_NO_PAD.decode(t).is_ok())
        }
        // Google's JSON has 64-bit numbers as text.
        (Some("string"), Some("int64")) => text.is_some_and(|t| t.parse::<i64>().is_ok()),
        (Some("string"), _) => text.is_some() || known["numbers"] == true && value.is_i64(),
        (Some("integer"), _) => value.is_i64(),
        (Some("boolean"), _) => value.is_boolean(),
        (Some("array"), _) => {
            let items = value.as_array().ok_or(format!("{at} is no list"))?;
            return items
                .iter()
                .try_for_each(|item| check_value(at, &known["items"], item));
        }
        (Some("object"), _) => value.is_object(),
        _ => false,
    };
    if !good {
        return Err(format!("{at} is {value}"));
    }
    match (known["enum"].as_array(), text) {
        (Some(values), Some(text)) if !values.iter().any(|v| v == text) => {
            Err(format!("{at} is {text:?}, which it cannot be"))
        }
        _ => Ok(()),
    }
}

/// `/keys/{name}/sign` against a path; a name takes no slash, `{+name}` any.
fn matched(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let (mut template, mut path) = (template, path);
    while let Some((fixed, rest)) = template.split_once('{') {
        path = path.strip_prefix(fixed)?;
        let (name, after) = rest.split_once('}')?;
        let until = after.split('{').next().unwrap_or_default();
        let end = match (name.strip_prefix('+'), until) {
            (None, _) => path.find(['/', ':']).unwrap_or(path.len()),
            (Some(_), "") => path.len(),
            (Some(_), until) => path.rfind(until)?,
        };
        let value = &path[..end];
        found.insert(name.trim_start_matches('+').to_owned(), value.to_owned());
        (template, path) = (after, &path[end..]);
    }
    (path == template).then_some(found)
}

#[test]
fn requests_that_are_not_as_described_are_told() {
    let description = Description(serde_json::json!({
        "query": {"v": {"type": "string", "required": true, "enum": ["1"]}},
        "operations": [{
            "id": "sign", "method": "POST", "path": "/keys/{name}/sign", "body": "Sign",
            "query": {"n": {"type": "integer"}},
        }],
        "schemas": {"Sign": {
            "properties": {
                "value": {"type": "string", "format": "base64url"},
                "made": {"type": "integer", "readOnly": true},
            },
            "required": ["value"],
        }},
    }));
    let call = |path: &str, query: &str, body: &str| {
        let call = Call {
            method: "POST".to_owned(),
            path: path.to_owned(),
            query: query
                .split('&')
                .filter_map(|p| p.split_once('='))
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
            headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
            body: body.as_bytes().to_vec(),
        };
        description.check(&call).map(|m| m.path["name"].clone())
    };
    let good = r#"{"value": "_-8"}"#;
    assert_eq!(call("/keys/k/sign", "v=1&n=3", good), Ok("k".to_owned()));
    for (path, query, body) in [
        ("/keys/k/l/sign", "v=1", good),
        ("/keys/k/verify", "v=1", good),
        ("/keys/k/sign", "", good),
        ("/keys/k/sign", "v=2", good),
        ("/keys/k/sign", "v=1&n=x", good),
        ("/keys/k/sign", "v=1&m=1", good),
        ("/keys/k/sign", "v=1", "{}"),
        ("/keys/k/sign", "v=1", r#"{"value": "/+8="}"#),
        ("/keys/k/sign", "v=1", r#"{"value": "_-8", "other": 1}"#),
        ("/keys/k/sign", "v=1", r#"{"value": "_-8", "made": 1}"#),
        ("/keys/k/sign", "v=1", "not json"),
    ] {
        assert!(call(path, query, body).is_err(), "{path} {query} {body}");
    }
}
