use crate::keys::Notices;
use crate::limits;

/// The longest line that is shown whole, in bytes.
const LINE: usize = 1 << 10;

/// A plugin's standard error, cut into lines and passed on under its name.
pub(super) struct Words {
    name: String,
    notices: Notices,
    line: Vec<u8>,
    shown: usize,
    silenced: bool,
}

impl Words {
    pub(super) fn new(name: &str, notices: &Notices) -> Self {
        Self {
            name: name.to_owned(),
            notices: notices.clone(),
            line: Vec::new(),
            shown: 0,
            silenced: false,
        }
    }

    /// Takes what was read; returns the last line that ended in it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<String> {
        let mut last = None;
        for byte in bytes {
            if *byte == b'\n' || self.line.len() >= LINE {
                last = self.show().or(last);
            }
            if *byte != b'\n' {
                self.line.push(*byte);
            }
        }
        last
    }

    /// Shows what stood after the last line end.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.show()
    }

    fn show(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let text = plain(String::from_utf8_lossy(&line).trim_end(), LINE);
        if text.is_empty() {
            return None;
        }
        self.shown += line.len();
        if self.shown <= limits::PLUGIN_WORDS {
            self.notices.say(&format!("{}: {text}", self.name));
        } else if !self.silenced {
            self.silenced = true;
            self.notices
                .say(&format!("{}: … (more is not shown)", self.name));
        }
        Some(text)
    }
}

/// A text of somebody else's as one line: control characters are spelled out,
/// and it ends after `longest` characters.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(longest) {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn heard(chunks: &[&[u8]]) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let notices = Notices::to(move |line| sink.lock().unwrap().push(line.to_owned()));
        let mut words = Words::new("p", &notices);
        for chunk in chunks {
            words.take(chunk);
        }
        words.finish();
        let lines = lines.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn lines_bear_the_name_and_nothing_that_paints() {
        assert_eq!(
            heard(&[b"touch the ", b"token\n\x1b[2Jdone\r\n\n", b"tail"]),
            ["p: touch the token", "p: \\u{1b}[2Jdone", "p: tail"]
        );
    }

    #[test]
    fn endless_words_are_cut() {
        let lines = heard(&[&vec![b'x'; 1 << 20]]);
        let shown: usize = lines.iter().map(String::len).sum();
        assert!(shown < 80 << 10, "{shown}");
        assert_eq!(lines.last().unwrap(), "p: … (more is not shown)");
    }
}
