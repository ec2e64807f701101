//! The binary, started as `sigstore-kms-kms`: one request in the arguments,
//! one answer on standard output, and nothing else.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use super::passphrase::Passphrases;
use super::signing::SigningKey;
use super::{Context, Format, Global, Output, block_on, bug};
use crate::custody::Caller;
use crate::environment::Environment;
use crate::ops::keyring::{Locked, Unlock, UnlockError};
use crate::ops::plugin::{self, PROGRAM, Reply};
use crate::ops::{Exit, Failure};
use crate::secret::Secret;

/// Whether the process was started under the plugin's name.
pub(super) fn is_asked_for() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name() == Some(PROGRAM.as_ref())
}

/// Answers, and ends with 0 where it was done and 1 where not: callers look at
/// the answer alone, but for an end by a signal.
pub(super) fn main() -> ExitCode {
    let global = Global {
        config: Environment::of_process()
            .get("OBREIA_CONFIG")
            .map(Into::into),
        rendering: Format::Json,
        quiet: true,
        verbose: 0,
        offline: false,
        no_progress: true,
        registry_auth: None,
        plain_http: Vec::new(),
    };
    answer_on_panic(global.clone());
    let (reply, done) = match answer(&global) {
        Ok(reply) => (reply, true),
        Err(failure) => (plugin::refusal(&failure), false),
    };
    let written = Output::new(&global).json(&reply);
    match done && written.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// A bug is told as everything else is: callers read the answer alone.
fn answer_on_panic(global: Global) {
    std::panic::set_hook(Box::new(move |info| {
        let at = info
            .location()
            .map(|at| format!("{}:{}", at.file(), at.line()))
            .unwrap_or_default();
        let _ = Output::new(&global).json(&plugin::refusal(&bug(&at)));
        #[expect(clippy::exit, reason = "nothing may go on after a check did not hold")]
        std::process::exit(1);
    }));
}

fn answer(global: &Global) -> Result<Reply, Failure> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [version, text] = arguments.as_slice() else {
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "{PROGRAM} is run by cosign and its like, with two arguments; people run obreia"
            ),
        ));
    };
    let not_text = || Failure::new(Exit::Usage, "the arguments are not UTF-8");
    let request = plugin::read(
        version.to_str().ok_or_else(not_text)?,
        text.to_str().ok_or_else(not_text)?,
    )?;
    let context = Context::new(global);
    let config = context.config()?;
    let keyring = context.keyring_of(&config);
    let unlock = Unasked(Passphrases::new(None, &config, &context));
    let caller = Caller {
        front: "plugin",
        ..SigningKey::caller()
    };
    // A person at a terminal is not the message.
    let stdin = std::io::stdin();
    let mut input: Box<dyn Read> = match stdin.is_terminal() {
        true => Box::new(std::io::empty()),
        false => Box::new(stdin.lock()),
    };
    let answer = plugin::answer(&request, &keyring, &unlock, &caller, input.as_mut());
    block_on(answer)?
}

/// Passphrases that need not be asked for: standard input is the message.
struct Unasked(Passphrases);

impl Unlock for Unasked {
    fn passphrase(&self, what: &Locked) -> Result<Secret, UnlockError> {
        self.0.given(what)?.ok_or(UnlockError::NotGiven)
    }
}
