//! Which of the two syntaxes a module is in, where it does not say.

use regorus::Engine;

/// Whether the older parser reads it and the newer does not.
pub(super) fn parses_as_v0_only(source: &str) -> bool {
    let parses = |v0: bool| {
        let mut engine = Engine::new();
        engine.set_rego_v0(v0);
        engine
            .add_policy("rules".to_owned(), source.to_owned())
            .is_ok()
    };
    !parses(false) && parses(true)
}

/// Whether a module has `if` as a word, or `contains` as anything but a call,
/// outside texts and comments, and does not import just that word as the older
/// syntax can. Without the import the older parser reads `allow if …` as two
/// rules, and the first of them is always true.
pub(super) fn uses_newer_keywords(source: &str) -> bool {
    let mut rest = source;
    let (mut has_if, mut has_contains) = (false, false);
    let (mut imports_if, mut imports_contains) = (false, false);
    while let Some(c) = rest.chars().next() {
        let word: usize = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .map(char::len_utf8)
            .sum();
        let skip = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => text_end(rest),
            '`' => rest[1..].find('`').map_or(rest.len(), |end| end + 2),
            _ if word > 0 => {
                let (name, after) = rest.split_at(word);
                let imported = (name == "import").then(|| imported(after));
                match imported {
                    Some("future.keywords" | "rego.v1") => {
                        imports_if = true;
                        imports_contains = true;
                    }
                    Some("future.keywords.if") => imports_if = true,
                    Some("future.keywords.contains") => imports_contains = true,
                    _ => {}
                }
                has_if |= name == "if";
                has_contains |= name == "contains" && !after.starts_with('(');
                // What is imported is a name and no use of it.
                word + imported.map_or(0, |path| {
                    after.len() - after.trim_start_matches([' ', '\t']).len() + path.len()
                })
            }
            _ => c.len_utf8(),
        };
        rest = &rest[skip..];
    }
    (has_if && !imports_if) || (has_contains && !imports_contains)
}

/// The path behind the word `import`, on the same line.
fn imported(after: &str) -> &str {
    let path = after.trim_start_matches([' ', '\t']);
    let end = path.find(char::is_whitespace).unwrap_or(path.len());
    &path[..end]
}

/// Where a quoted text ends, from its opening quote.
fn text_end(text: &str) -> usize {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == '"' {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_import_of_the_word_itself_excuses_it() {
        let rule = "package obreia\nallow if { input.x }\n";
        assert!(uses_newer_keywords(rule));
        for import in ["in", "contains", "every"] {
            let text = format!("import future.keywords.{import}\n{rule}");
            assert!(uses_newer_keywords(&text), "{import}");
        }
        for import in ["future.keywords.if", "future.keywords", "rego.v1"] {
            assert!(
                !uses_newer_keywords(&format!("import {import}\n{rule}")),
                "{import}"
            );
        }
        let hidden = format!("x := `\nimport future.keywords.if\n`\n{rule}");
        assert!(uses_newer_keywords(&hidden));
        assert!(uses_newer_keywords(&format!("# import rego.v1\n{rule}")));
    }
}
