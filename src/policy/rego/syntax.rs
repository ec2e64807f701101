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
/// outside texts and comments, and does not import them as the older syntax can.
pub(super) fn uses_newer_keywords(source: &str) -> bool {
    let mut rest = source;
    let mut found = false;
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
                found |= name == "if" || name == "contains" && !after.starts_with('(');
                word
            }
            _ => c.len_utf8(),
        };
        rest = &rest[skip..];
    }
    let imports = source.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("import future.keywords") || line.starts_with("import rego.v1")
    });
    found && !imports
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
