//! YAML out of a tree: block style, every text quoted or a literal block, so
//! that it has one reading only.

use serde_json::Value;

/// The tree as one YAML document, with a final newline.
pub fn to_yaml(tree: &Value) -> String {
    let mut out = String::new();
    match tree {
        Value::Object(map) if !map.is_empty() => block(tree, 0, &mut out),
        Value::Array(items) if !items.is_empty() => block(tree, 0, &mut out),
        _ => {
            out.push_str(&tree.to_string());
            out.push('\n');
        }
    }
    out
}

/// A mapping or a sequence that is not empty, each entry on lines of its own.
fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pad(indent, out);
                out.push_str(&plain_or_quoted(key));
                out.push(':');
                entry(value, indent, indent + 2, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(indent, out);
                out.push('-');
                match item {
                    // The first line of what is inside goes behind the dash.
                    Value::Object(map) if !map.is_empty() => {
                        let mut inner = String::new();
                        block(item, indent + 2, &mut inner);
                        out.push(' ');
                        out.push_str(&inner[indent + 2..]);
                    }
                    _ => entry(item, indent, indent + 2, out),
                }
            }
        }
        _ => {}
    }
}

/// What follows a key's colon or a dash.
fn entry(value: &Value, parent: usize, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::Array(items) if items.is_empty() => out.push_str(" []\n"),
        Value::Object(_) | Value::Array(_) => {
            out.push('\n');
            block(value, indent, out);
        }
        Value::String(text) if is_literal(text) => {
            out.push_str(if text.ends_with('\n') {
                " |\n"
            } else {
                " |-\n"
            });
            for line in text.lines() {
                if !line.is_empty() {
                    pad(parent + 2, out);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        scalar => {
            out.push(' ');
            out.push_str(&quoted(scalar));
            out.push('\n');
        }
    }
}

/// A scalar as JSON writes it, which YAML reads alike but for a few characters.
fn quoted(scalar: &Value) -> String {
    let mut text = String::new();
    for c in scalar.to_string().chars() {
        if ('\u{7f}'..='\u{a0}').contains(&c) || "\u{feff}\u{2028}\u{2029}".contains(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// Whether a text can stand as a literal block and be read back byte for byte.
fn is_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n', '\t'])
        && !text.ends_with("\n\n")
        && !text
            .lines()
            .any(|line| line.trim().is_empty() && !line.is_empty())
        && text.chars().all(|c| {
            c == '\n'
                || c == '\t'
                || (' '..='~').contains(&c)
                || c > '\u{a0}' && !"\u{feff}\u{2028}\u{2029}".contains(c)
        })
}

fn plain_or_quoted(key: &str) -> String {
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let other = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if word && !other.contains(&key.to_ascii_lowercase().as_str()) {
        key.to_owned()
    } else {
        quoted(&Value::String(key.to_owned()))
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::read_one;
    use super::*;

    fn back(tree: &Value) -> Value {
        let yaml = to_yaml(tree);
        match read_one("t.yaml", yaml.as_bytes()) {
            Ok(value) => value,
            Err(error) => panic!("{error}\n{yaml}"),
        }
    }

    #[test]
    fn reads_as_people_write() {
        let tree = json!({ "spec": { "a": [{ "k": "x", "l": [1, true] }], "rego": "a\n  b\n\nc\n" }, "e": {} });
        assert_eq!(
            to_yaml(&tree),
            "e: {}\nspec:\n  a:\n    - k: \"x\"\n      l:\n        - 1\n        - true\n  rego: |\n    a\n      b\n\n    c\n"
        );
        assert_eq!(back(&tree), tree);
    }

    #[test]
    fn awkward_texts() {
        for text in [
            "",
            " ",
            "\n",
            "a\n",
            "a\nb",
            " a\nb",
            "a\n\n",
            "a\n \nb\n",
            "a\r\nb",
            "# x\ny",
            "---\na",
            "a\n---\nb",
            "yes",
            "1",
            "\u{85}\n",
            "é\nü\n",
            "a\tb\n\tc\n",
            "{{\n}}",
            "\u{7f}\nx",
            "a: b\nc: d",
        ] {
            let tree = json!({ "k": [text, { "k": text }], "null": text });
            assert_eq!(back(&tree), tree, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "[ a-c\n#:'\"\\\\{}\\[\\]|>&*!%@`\t-]{0,24}") {
            let tree = json!({ "a": text, "b": [text, [text]] });
            prop_assert_eq!(back(&tree), tree);
        }
    }
}
