//! YAML with one reading: no key twice, no anchors, no aliases, no merges.

use serde::de::DeserializeOwned;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{Error, Location, MergeKeyPolicy, Options, Spanned};

use crate::limits;
use crate::policy::error::{Place, PolicyError};
use crate::policy::suggest::nearest;

/// One document of a file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The document, after as many empty lines as stand before it in its file,
    /// so that places in it are places in the file.
    text: String,
    /// The line it begins on, from 1.
    pub(super) line: u64,
}

/// Cuts a file at its `---` lines. YAML 1.2 (9.1.2) lets no document hold a
/// line that begins so, not even inside a block of text.
pub(super) fn segments(text: &str) -> Vec<Segment> {
    let mut found: Vec<Segment> = Vec::new();
    let mut current = String::new();
    let mut start = 0;
    let mut filled = false;
    let mut finish = |start: usize, current: &mut String, filled: &mut bool| {
        if *filled {
            found.push(Segment {
                text: format!("{}{current}", "\n".repeat(start)),
                line: start as u64 + 1,
            });
        }
        current.clear();
        *filled = false;
    };
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        if bare == "---" || bare.starts_with("--- ") || bare.starts_with("---\t") {
            finish(start, &mut current, &mut filled);
            start = number;
            // What follows the marker on its line belongs to the document; the
            // marker itself becomes blanks so that columns stay.
            current.push_str("   ");
            current.push_str(&line[3..]);
            filled = !bare[3..].trim_start().is_empty() && !bare[3..].trim_start().starts_with('#');
            continue;
        }
        filled |= !bare.trim_start().is_empty() && !bare.trim_start().starts_with('#');
        current.push_str(line);
    }
    finish(start, &mut current, &mut filled);
    found
}

impl Segment {
    /// Reads the document as a `T`.
    pub(super) fn read<T: DeserializeOwned>(&self, file: &str) -> Result<T, PolicyError> {
        serde_saphyr::from_str_with_options(&self.text, options())
            .map_err(|error| self.explain(file, &error))
    }

    fn explain(&self, file: &str, error: &Error) -> PolicyError {
        let error = error.without_snippet();
        let at = error.location().map_or_else(Place::default, |l| Place {
            file: String::new(),
            line: l.line(),
            column: l.column(),
        });
        let at = Place {
            file: file.to_owned(),
            ..at
        };
        let detail = match error {
            Error::SerdeUnknownField {
                field, expected, ..
            } => unknown(field, expected),
            Error::SerdeMissingField { field, .. } => format!("{field:?} is missing here"),
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("key {key:?} stands twice")
            }
            Error::Budget { .. } => format!(
                "{}; a policy has at most {} levels and 100000 nodes, and no anchors or aliases",
                first_line(&error.to_string()),
                limits::DEPTH
            ),
            other => {
                let text = first_line(&other.to_string());
                match self.key_on(at.line) {
                    Some(key) if !text.contains(&key) => format!("{key}: {text}"),
                    _ => text,
                }
            }
        };
        PolicyError::Yaml { at, detail }
    }

    /// The key that a line gives a value to.
    fn key_on(&self, line: u64) -> Option<String> {
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let (key, _) = self.text.lines().nth(index)?.split_once(':')?;
        let key = key.trim_start_matches([' ', '-', '{']).trim();
        let word =
            !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric());
        word.then(|| key.to_owned())
    }
}

fn unknown(field: &str, expected: &[&'static str]) -> String {
    let hint = nearest(field, expected.iter().copied())
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default();
    let field: String = field.chars().take(64).collect();
    format!(
        "unknown key {field:?}{hint} (known here: {})",
        expected.join(", ")
    )
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(512)
        .collect()
}

/// The place of a value that was read with its place.
pub(super) fn place<T>(file: &str, value: &Spanned<T>) -> Place {
    location(file, value.referenced)
}

fn location(file: &str, location: Location) -> Place {
    Place {
        file: file.to_owned(),
        line: location.line(),
        column: location.column(),
    }
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits::DEPTH,
            max_nodes: 100_000,
            max_events: 400_000,
            max_documents: 1,
            // An anchor makes one text stand in two places, where a reader of
            // the file sees one of them; a policy can do without.
            max_anchors: 0,
            max_aliases: 0,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    }
}
