//! As much of Rust's grammar as the rules need: what is code, and which paths
//! it names.

/// The text with comments and the insides of literals blanked; lines stay.
pub(super) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at);
        if end > at {
            out.extend(
                chars[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        } else if is_word(chars[at]) {
            // Whole words, so that the r of `for"` is not taken for a raw string's.
            let length = chars[at..].iter().take_while(|c| is_word(**c)).count();
            out.extend(&chars[at..at + length]);
            at += length;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// The end of the comment or literal that begins here, or `at` if none does.
fn literal_end(chars: &[char], at: usize) -> usize {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or('\0');
    match chars[at] {
        '/' if next(1) == '/' => find(chars, at, |rest| rest[0] == '\n'),
        '/' if next(1) == '*' => comment_end(chars, at),
        '"' => string_end(chars, at + 1),
        '\'' if next(1) == '\\' => 1 + find(chars, at + 3, |rest| rest[0] == '\''),
        '\'' if next(2) == '\'' => at + 3,
        'r' | 'b' | 'c' => prefixed_end(chars, at),
        _ => at,
    }
    .min(chars.len())
}

fn comment_end(chars: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0_u32, from);
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// `r"…"`, `r#"…"#`, `b"…"`, `b'…'`, `br"…"`, `c"…"`.
fn prefixed_end(chars: &[char], at: usize) -> usize {
    let prefix = chars[at..]
        .iter()
        .take_while(|c| matches!(c, 'r' | 'b' | 'c'))
        .count();
    let hashes = chars[at + prefix..]
        .iter()
        .take_while(|c| **c == '#')
        .count();
    let open = at + prefix + hashes;
    let raw = chars[at..at + prefix].contains(&'r');
    match chars.get(open) {
        Some('"') if raw => {
            let close = find(chars, open + 1, |rest| {
                rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#')
            });
            close + 1 + hashes
        }
        Some('"') if hashes == 0 => string_end(chars, open + 1),
        Some('\'') if prefix == 1 && hashes == 0 => literal_end(chars, open).max(open + 1),
        _ => at,
    }
}

fn find(chars: &[char], from: usize, is: impl Fn(&[char]) -> bool) -> usize {
    (from..chars.len())
        .find(|at| is(&chars[*at..]))
        .unwrap_or(chars.len())
}

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Code (as [`code`] gives it) with every item under `#[cfg(test)]` blanked.
pub(super) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        let (before, item) = rest.split_at(at);
        out.push_str(before);
        let end = item_end(item);
        out.extend(
            item[..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

fn item_end(item: &str) -> usize {
    let mut depth = 0_u32;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Every path of two segments or more, and every `use` of one, with its line.
/// Groups are spelled out: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
pub(super) fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let tokens = tokens(code);
    let text = |at: usize| tokens.get(at).map_or("", |(_, t)| t.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = at == 0 || text(at - 1) != "::" || at == 1 || !ends_segment(text(at - 2));
        let goes_on = text(at + 1) == "::" || (at > 0 && text(at - 1) == "use");
        if begins && goes_on && text(at).starts_with(is_word) {
            at = spell(&tokens, at, Vec::new(), &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn ends_segment(token: &str) -> bool {
    token == ">" || token.starts_with(is_word)
}

/// Follows one path from `at`; returns where it ends.
fn spell(
    tokens: &[(usize, String)],
    mut at: usize,
    mut path: Vec<String>,
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |(_, t)| t.as_str());
    let mut line = tokens.get(at).map_or(0, |(line, _)| *line);
    loop {
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                at = spell(tokens, at, path.clone(), found);
                // Past ` as name`, to the next of the group.
                while at < tokens.len() && !matches!(text(at), "," | "}") {
                    at += 1;
                }
                at += usize::from(text(at) == ",");
            }
            return at + 1;
        }
        if !(text(at).starts_with(is_word) || text(at) == "*") {
            break;
        }
        line = tokens[at].0;
        path.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
    }
    found.push((line, path));
    at
}

/// Words, `::` and single other characters, each with its line.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((number + 1, rest[..length].to_owned()));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(code: &str) -> Vec<String> {
        paths(code)
            .iter()
            .map(|(line, path)| format!("{line} {}", path.join("::")))
            .collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a // b\n/* c /* d */ e */ f \"g \\\" h\" r#\"i \" j\"# b'k' '\\'' 'l' x";
        let words: Vec<String> = code(text)
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(words, ["a", "f", "x"]);
    }

    #[test]
    fn lifetimes_and_raw_names_are_code() {
        for text in ["fn f<'a>(x: &'a str) {}", "for r#type in xs {}", "bcr(x)"] {
            assert_eq!(code(text), text);
        }
    }

    #[test]
    fn lines_stay_where_they_were() {
        assert_eq!(code("\"a\nb\"\nc").lines().nth(2), Some("c"));
    }

    #[test]
    fn tests_are_cut_out_and_nothing_after_them() {
        let text =
            "a;\n#[cfg(test)]\nmod tests {\n fn f() { b(); }\n}\nc;\n#[cfg(test)]\nmod tests;\nd;";
        let words: Vec<String> = without_tests(text)
            .split_whitespace()
            .map(ToOwned::to_owned)
            .collect();
        assert_eq!(words, ["a;", "c;", "d;"]);
    }

    #[test]
    fn groups_are_spelled_out() {
        assert_eq!(
            spelled("use std::{fs as f, io::{self, Read},\n env};"),
            [
                "1 std::fs",
                "1 std::io::self",
                "1 std::io::Read",
                "2 std::env"
            ]
        );
    }

    #[test]
    fn paths_in_expressions_are_found() {
        assert_eq!(
            spelled("let x = ::std::fs::read::<u8>(y); use tokio; a.b(); c(d)"),
            ["1 std::fs::read", "1 tokio"]
        );
    }
}
