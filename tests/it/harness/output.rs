//! What a command said, with assertions that print all of it when they fail.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The end of one run.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The exit code; `None` when a signal ended the command.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Standard output as it came, for commands that write bytes.
    pub(crate) stdout_bytes: Vec<u8>,
    shown: String,
}

impl Output {
    pub(super) fn new(shown: String, status: ExitStatus, stdout: Vec<u8>, stderr: &[u8]) -> Self {
        Self {
            code: status.code(),
            signal: status.signal(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(stderr).into_owned(),
            stdout_bytes: stdout,
            shown,
        }
    }

    #[track_caller]
    pub(crate) fn expect_code(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{self}");
        self
    }

    /// Exit code 0.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Self {
        self.expect_code(0)
    }

    #[track_caller]
    pub(crate) fn stdout_has(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text),
            "expected {text:?} on standard output\n{self}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn stdout_lacks(&self, text: &str) -> &Self {
        assert!(
            !self.stdout.contains(text),
            "expected no {text:?} on standard output\n{self}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn stderr_has(&self, text: &str) -> &Self {
        assert!(
            self.stderr.contains(text),
            "expected {text:?} on standard error\n{self}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn stderr_lacks(&self, text: &str) -> &Self {
        assert!(
            !self.stderr.contains(text),
            "expected no {text:?} on standard error\n{self}"
        );
        self
    }

    /// Somewhere on either stream.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "expected {text:?} on either stream\n{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout_bytes)
            .unwrap_or_else(|e| panic!("standard output is no JSON: {e}\n{self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}", self.shown)?;
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "exit code: {code}")?,
            (None, Some(signal)) => writeln!(f, "ended by signal {signal}")?,
            (None, None) => writeln!(f, "ended without code or signal")?,
        }
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        writeln!(f, "--- stderr\n{}", self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        Output::new(
            "obreia x".into(),
            ExitStatus::from_raw(3 << 8),
            b"out".into(),
            b"err",
        )
    }

    #[test]
    #[should_panic(expected = "$ obreia x\nexit code: 3\n--- stdout\nout\n--- stderr\nerr")]
    fn a_wrong_code_prints_everything() {
        output().expect_code(0);
    }

    #[test]
    #[should_panic(expected = "expected \"absent\" on standard output")]
    fn a_missing_text_fails() {
        output().stdout_has("absent");
    }

    #[test]
    #[should_panic(expected = "expected no \"err\" on standard error")]
    fn an_unwanted_text_fails() {
        output().stderr_lacks("err");
    }

    #[test]
    #[should_panic(expected = "standard output is no JSON")]
    fn text_is_not_json() {
        output().json();
    }
}
