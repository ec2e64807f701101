//! Takes out of a text what differs from run to run, for snapshots.

use super::{Output, Scratch};

/// Replaces the scratch folder always, digests and times when asked.
pub(crate) struct Normaliser {
    replace: Vec<(String, String)>,
    digests: bool,
    times: bool,
}

impl Normaliser {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        let mut replace = Vec::new();
        for (path, name) in [(scratch.path(), "[DIR]"), (scratch.home(), "[HOME]")] {
            // Where the temporary folder is itself behind a symlink, programs show either.
            let real = path.canonicalize().expect("the scratch folder");
            replace.push((real.display().to_string(), name.to_owned()));
            replace.push((path.display().to_string(), name.to_owned()));
        }
        Self {
            replace,
            digests: false,
            times: false,
        }
    }

    /// Also replaces runs of 64, 96 or 128 lower-case hex digits: `[HEX64]`, ….
    pub(crate) fn digests(mut self) -> Self {
        self.digests = true;
        self
    }

    /// Also replaces RFC 3339 times with a `T` and a zone: `[TIME]`.
    pub(crate) fn times(mut self) -> Self {
        self.times = true;
        self
    }

    /// Also replaces this text, which differs from run to run, by `name`.
    pub(crate) fn replace(mut self, text: impl Into<String>, name: impl Into<String>) -> Self {
        self.replace.push((text.into(), name.into()));
        self
    }

    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.replace {
            text = text.replace(from, to);
        }
        if self.times {
            text = replace_spans(&text, time_at, |_| "[TIME]".to_owned());
        }
        if self.digests {
            text = replace_spans(&text, hex_at, |hex| format!("[HEX{}]", hex.len()));
        }
        text
    }

    /// Code and both streams, as one text for a snapshot.
    pub(crate) fn output(&self, output: &Output) -> String {
        self.text(&output.to_string())
    }
}

/// Replaces every span that `length_at` finds, where it is not the middle of a
/// longer word.
fn replace_spans(
    text: &str,
    length_at: impl Fn(&[u8]) -> Option<usize>,
    name: impl Fn(&str) -> String,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut in_word = false;
    while at < text.len() {
        let rest = &text[at..];
        let found = if in_word {
            None
        } else {
            length_at(rest.as_bytes())
        };
        if let Some(length) = found {
            out.push_str(&name(&rest[..length]));
            at += length;
            in_word = true;
        } else if let Some(c) = rest.chars().next() {
            out.push(c);
            at += c.len_utf8();
            in_word = c.is_ascii_alphanumeric();
        }
    }
    out
}

fn hex_at(bytes: &[u8]) -> Option<usize> {
    let run = bytes
        .iter()
        .take_while(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
        .count();
    let ends = bytes.get(run).is_none_or(|b| !b.is_ascii_alphanumeric());
    (ends && matches!(run, 64 | 96 | 128)).then_some(run)
}

fn time_at(bytes: &[u8]) -> Option<usize> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let head = bytes.get(..SHAPE.len())?;
    let fits = head.iter().zip(SHAPE).all(|(b, shape)| {
        if *shape == b'0' {
            b.is_ascii_digit()
        } else {
            b == shape
        }
    });
    if !fits {
        return None;
    }
    let mut length = SHAPE.len();
    if bytes.get(length) == Some(&b'.') {
        length += 1;
        length += bytes[length..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
    }
    match bytes.get(length)? {
        b'Z' => Some(length + 1),
        b'+' | b'-' => bytes.get(length + 5).map(|_| length + 6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scratch_folder_is_replaced() {
        let scratch = Scratch::new();
        let text = format!(
            "{} {}",
            scratch.join("a").display(),
            scratch.home().display()
        );
        assert_eq!(Normaliser::new(&scratch).text(&text), "[DIR]/a [HOME]");
    }

    #[test]
    fn digests_and_times_are_replaced_only_when_asked() {
        let scratch = Scratch::new();
        let text = format!("sha256:{} at 2026-11-21T10:00:00.5Z é", "0a".repeat(32));
        assert_eq!(Normaliser::new(&scratch).text(&text), text);
        let all = Normaliser::new(&scratch).digests().times();
        assert_eq!(all.text(&text), "sha256:[HEX64] at [TIME] é");
    }

    #[test]
    fn hex_of_another_length_and_words_stay() {
        let all = Normaliser::new(&Scratch::new()).digests().times();
        for text in [
            "a".repeat(63),
            "a".repeat(65),
            format!("x{}", "a".repeat(64)),
            "2026-11-21".into(),
        ] {
            assert_eq!(all.text(&text), text);
        }
    }
}
