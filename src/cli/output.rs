use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::progress::Bytes;
use super::{Format, Global};
use crate::ops::{Exit, Failure};

/// Where results and errors go. The only place that writes to standard output
/// and standard error.
#[derive(Clone, Debug)]
pub struct Output {
    format: Format,
    quiet: bool,
    color: bool,
    progress: bool,
    verbose: u8,
    aside: bool,
}

/// How a piece of text is coloured on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    Plain,
    /// Good news.
    Green,
    /// Bad news.
    Red,
    /// Doubt.
    Yellow,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

/// `text` as one line that says what it says: evidence and file names are
/// chosen by others, and must neither start a line of their own nor colour one.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_bidi(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

impl Output {
    /// As the global options ask.
    pub fn new(global: &Global) -> Self {
        let color = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            format: global.rendering,
            quiet: global.quiet,
            color,
            progress: !global.no_progress && !global.quiet && io::stderr().is_terminal(),
            verbose: global.verbose,
            aside: false,
        }
    }

    /// Whether results are wanted as JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A progress bar of bytes; nothing is drawn where none is wanted.
    pub fn bytes_bar(&self, label: &str) -> Bytes {
        Bytes::new(label, self.progress)
    }

    /// Sends results to standard error from here on: standard output belongs
    /// to the command that is about to run.
    pub fn to_standard_error(&mut self) {
        self.aside = true;
        self.color &= io::stderr().is_terminal();
    }

    /// How often `-v` was given.
    pub const fn verbose(&self) -> u8 {
        self.verbose
    }

    /// `text` in a style, if standard output is a terminal that shows colours.
    pub fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            _ if !self.color => return text.to_owned(),
            Style::Plain => return text.to_owned(),
            Style::Green => "32",
            Style::Red => "31",
            Style::Yellow => "33",
            Style::Dim => "2",
            Style::Bold => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// One line of a result for people; nothing when results are wanted as JSON.
    ///
    /// # Errors
    /// `Undetermined` where standard output cannot be written: a result that
    /// nobody received is not a result.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        if self.is_json() {
            return Ok(());
        }
        self.bytes(harmless(text).as_bytes())?;
        self.bytes(b"\n")
    }

    /// One line that `--quiet` leaves out.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn info(&mut self, text: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.line(text) }
    }

    /// A whole result as JSON, followed by a newline.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn json<T: Serialize>(&mut self, value: &T) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(value)
            .map_err(|e| Failure::new(Exit::Bug, "cannot render the result").cause(e))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// Raw bytes of a result, whatever the format.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let (written, place) = if self.aside {
            (io::stderr().lock().write_all(bytes), "standard error")
        } else {
            // Flushed here: what is left in the buffer at exit is lost in silence.
            let mut stdout = io::stdout().lock();
            (
                stdout.write_all(bytes).and_then(|()| stdout.flush()),
                "standard output",
            )
        };
        written.map_err(|e| {
            Failure::new(Exit::Undetermined, format!("cannot write to {place}")).cause(e)
        })
    }

    /// One line on standard error, whatever the format.
    pub fn warn(&mut self, text: &str) {
        // Nothing is left to tell it to when standard error is gone.
        let _ = writeln!(io::stderr().lock(), "warning: {}", harmless(text));
    }

    /// A failure as `obreia.error/v1`.
    pub fn error(failure: &Failure) -> serde_json::Value {
        serde_json::json!({
            "schema": "obreia.error/v1",
            "code": failure.code,
            "error": failure.what,
            "cause": failure.cause,
            "hint": failure.hint,
            "exit": failure.exit.code(),
        })
    }

    /// A failure on standard error, and as `obreia.error/v1` on standard output when results are wanted as JSON.
    pub fn failure(&mut self, failure: &Failure) {
        let mut text = match failure.code {
            Some(code) => format!("error[{code}]: {}\n", failure.what),
            None => format!("error: {}\n", failure.what),
        };
        if let Some(cause) = &failure.cause {
            text.push_str(&format!("  cause: {cause}\n"));
        }
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        let _ = io::stderr().lock().write_all(harmless(&text).as_bytes());
        if self.is_json() {
            let _ = self.json(&Self::error(failure));
        }
    }
}

/// One line on standard error that somebody else's program wrote.
pub(super) fn remark(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(line));
}

/// Text with control characters made visible: names and documents of others
/// are printed, and must not repaint the terminal. Line ends, tabs and the
/// colours that [`Output::paint`] sets pass.
fn harmless(text: &str) -> Cow<'_, str> {
    const COLOURS: [&str; 6] = [
        "\u{1b}[0m",
        "\u{1b}[1m",
        "\u{1b}[2m",
        "\u{1b}[31m",
        "\u{1b}[32m",
        "\u{1b}[33m",
    ];
    let hidden = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_bidi(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(colour) = COLOURS.iter().find(|colour| rest.starts_with(**colour)) {
            shown.push_str(colour);
            rest = &rest[colour.len()..];
            continue;
        }
        if hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(shown)
}

/// Characters that change the direction of the text around them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_repaint_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2J\u{7}b"), "a\\u{1b}[2J\\u{7}b");
        assert_eq!(harmless("\u{202e}lmth"), "\\u{202e}lmth");
        assert_eq!(
            harmless("\u{1b}[32mok\u{1b}[0m\tü"),
            "\u{1b}[32mok\u{1b}[0m\tü"
        );
        assert_eq!(harmless("\r"), "\\r");
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        assert_eq!(
            visible("a\u{1b}[2m\nALLOWED\u{9b}\té"),
            "a\\u{1b}[2m\\nALLOWED\\u{9b}\\té"
        );
    }
}
