//! The command line: reads arguments, calls [`crate::ops`], renders.
//!
//! One file per command, each with its arguments and a `run`; nothing here
//! decides anything about trust.

mod config;
mod context;
mod guard;
mod inspect;
mod late;
mod output;
mod progress;
mod quantity;
mod select;
mod tree;
mod verdict;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use context::Context;
use late::Late;
pub use output::Output;
use quantity::{count, size};

use crate::ops::{Exit, Failure};

#[cfg(feature = "sign")]
mod attest;
#[cfg(feature = "sign")]
mod audit;
#[cfg(feature = "sign")]
mod completions;
#[cfg(feature = "sign")]
mod copy;
#[cfg(feature = "sign")]
mod doctor;
#[cfg(feature = "sign")]
mod download;
#[cfg(feature = "sign")]
mod init;
#[cfg(feature = "sign")]
mod key;
#[cfg(feature = "sign")]
mod keystore;
#[cfg(feature = "sign")]
mod passphrase;
#[cfg(feature = "sign")]
mod plugin;
#[cfg(feature = "sign")]
mod plugin_front;
#[cfg(feature = "sign")]
mod policy;
#[cfg(feature = "sign")]
mod promote;
#[cfg(feature = "sign")]
mod pull;
#[cfg(feature = "sign")]
mod push;
#[cfg(feature = "sign")]
mod quickstart;
#[cfg(feature = "sign")]
mod sbom;
#[cfg(feature = "sign")]
mod sign;
#[cfg(feature = "sign")]
mod signing;

/// Signs, attests, promotes and guards images, SBOMs and ML models with keys that stay in a KMS or an HSM.
#[derive(Debug, Parser)]
#[command(
    name = "obreia",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done or allowed, 1 denied, 2 usage, 3 configuration or policy, \
4 undetermined, 5 not permitted, 70 a bug.\n\nStart with: obreia quickstart"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Configuration file (default: ./obreia.toml, the user's, then /etc/obreia/obreia.toml)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "OBREIA_CONFIG",
        hide_env_values = true
    )]
    pub config: Option<PathBuf>,
    /// How to print results
    #[arg(short = 'o', global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub rendering: Format,
    /// Print errors and verdicts only
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print more of what is done
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Open no network connection at all
    #[arg(long, global = true)]
    pub offline: bool,
    /// Credentials for registries, as Docker's config.json has them (default: Docker's own, then Podman's)
    #[arg(long, global = true, value_name = "FILE")]
    pub registry_auth: Option<PathBuf>,
    /// Speak to that registry without TLS; on this machine that needs no flag
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<String>,
    /// Show no progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs, with a versioned schema.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole chain on a model in a scratch folder, and show every step
    #[cfg(feature = "sign")]
    Quickstart(Late<quickstart::Arguments>),
    /// Make a place for keys: configuration, sealed keystore, audit log, first policy
    #[cfg(feature = "sign")]
    Init(Late<init::Arguments>),
    /// Make, show, import, rotate and disable keys
    #[cfg(feature = "sign")]
    Key(Late<key::Arguments>),
    /// Back up and restore the keystore, change its passphrase
    #[cfg(feature = "sign")]
    Keystore(Late<keystore::Arguments>),
    /// Show, search, verify and prove what was done with keys
    #[cfg(feature = "sign")]
    Audit(Late<audit::Arguments>),
    /// Sign an artifact
    #[cfg(feature = "sign")]
    Sign(Late<sign::Arguments>),
    /// Sign a statement about an artifact: provenance, SBOM, test result, …
    #[cfg(feature = "sign")]
    Attest(Late<attest::Arguments>),
    /// Say whether an artifact may be trusted, and exactly why
    Verify(Late<verify::Arguments>),
    /// Start a command only when everything it needs is verified
    Guard(Late<guard::Arguments>),
    /// Show what is in a bundle, in a file or where it hangs, without believing any of it
    Inspect(Late<inspect::Arguments>),
    /// Write a CycloneDX ML-BOM of a model
    #[cfg(feature = "sign")]
    Sbom(Late<sbom::Arguments>),
    /// Check, test and lock policies
    #[cfg(feature = "sign")]
    Policy(Late<policy::Arguments>),
    /// Use obreia's keys from cosign and its like
    #[cfg(feature = "sign")]
    Plugin(Late<plugin::Arguments>),
    /// Say what works, what does not, and what will not for long
    #[cfg(feature = "sign")]
    Doctor(Late<doctor::Arguments>),
    /// Show the configuration in force
    Config(Late<config::Arguments>),
    /// Show what an artifact is made of, and what is said about it
    Tree(Late<tree::Arguments>),
    /// Pack a model, SBOM or file into an OCI layout or registry, with its evidence
    #[cfg(feature = "sign")]
    Push(Late<push::Arguments>),
    /// Take a model, SBOM or file out of an OCI layout or registry
    #[cfg(feature = "sign")]
    Pull(Late<pull::Arguments>),
    /// Write what is said about an artifact into files
    #[cfg(feature = "sign")]
    Download(Late<download::Arguments>),
    /// Copy an artifact into production, if its policies allow it
    #[cfg(feature = "sign")]
    Promote(Late<promote::Arguments>),
    /// Copy an artifact with everything that belongs to it
    #[cfg(feature = "sign")]
    Copy(Late<copy::Arguments>),
    /// Write shell completions to standard output
    #[cfg(feature = "sign")]
    Completions(Late<completions::Arguments>),
    /// Write man pages into a folder
    #[cfg(feature = "sign")]
    Man(Late<completions::ManArguments>),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // A process that obreia started for itself; nothing of the command line is its.
    #[cfg(feature = "sign")]
    if let Some(code) = crate::keys::host_pkcs11_module(std::env::args_os()) {
        return code;
    }
    #[cfg(feature = "sign")]
    if plugin_front::is_asked_for() {
        return plugin_front::main();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(usage_code(&error));
        }
    };
    let mut output = Output::new(&cli.global);
    let guards = matches!(&cli.command, Command::Guard(guard) if guard.0.has_command());
    end_on_panic(&output, guards);
    let exit = match dispatch(cli, &mut output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    };
    ExitCode::from(code(exit, guards))
}

const fn code(exit: Exit, guards: bool) -> u8 {
    match exit {
        // The guarded command's own codes pass through, so the guard's must be told apart.
        Exit::Denied if guards => 126,
        _ if guards => 125,
        _ => exit.code(),
    }
}

/// A panic, in whatever thread, is a bug and is reported as one: exit 70. It
/// is never an allowed, and never a denial either. The process ends from
/// within the hook, so it does so in builds that cannot unwind as well.
fn end_on_panic(output: &Output, guards: bool) {
    let mut output = output.clone();
    if guards {
        output.to_standard_error();
    }
    let output = Mutex::new(output);
    std::panic::set_hook(Box::new(move |info| {
        // The message may hold what was being worked on; the place does not.
        let at = info
            .location()
            .map(|at| format!("{}:{}", at.file(), at.line()))
            .unwrap_or_default();
        if let Ok(mut output) = output.lock() {
            output.failure(&bug(&at));
        }
        #[expect(clippy::exit, reason = "nothing may go on after a check did not hold")]
        std::process::exit(code(Exit::Bug, guards).into());
    }));
}

fn bug(at: &str) -> Failure {
    Failure::new(Exit::Bug, "obreia failed in a way that it should not")
        .cause(format!("a check inside the program did not hold, at {at}"))
        .hint("nothing was decided; please report it with the command that was run, SECURITY.md says where")
}

/// The exit code of a command line that cannot be read, or of `--help`.
fn usage_code(error: &clap::Error) -> u8 {
    let guards =
        std::env::args_os().any(|a| a == "guard") && std::env::args_os().any(|a| a == "--");
    match error.exit_code() {
        0 => 0,
        _ if guards => 125,
        _ => Exit::Usage.code(),
    }
}

fn dispatch(cli: Cli, output: &mut Output) -> Result<Exit, Failure> {
    let context = Context::new(&cli.global);
    match cli.command {
        Command::Verify(arguments) => arguments.0.run(&context, output),
        Command::Guard(arguments) => arguments.0.run(&context, output),
        Command::Inspect(arguments) => arguments.0.run(&context, output),
        Command::Config(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Quickstart(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Init(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Key(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Keystore(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Audit(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Doctor(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Sign(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Attest(arguments) => arguments.0.run(&context, output),
        Command::Tree(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Push(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Pull(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Download(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Promote(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Copy(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Sbom(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Policy(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Plugin(arguments) => arguments.0.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Completions(arguments) => arguments.0.run(output),
        #[cfg(feature = "sign")]
        Command::Man(arguments) => arguments.0.run(output),
    }
}

/// How long what still runs when a command is done is waited for.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs a future to its end on this thread; starting more threads would cost
/// more than most commands take.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Undetermined, "cannot start the runtime").cause(e))?;
    let done = runtime.block_on(future);
    // What was given up on, a name that is looked up or a lock that is waited
    // for in a thread, is not waited for.
    runtime.shutdown_timeout(LAST_WORDS);
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs itself again, since the hook ends the process.
    #[test]
    fn a_panic_in_any_thread_is_a_bug_and_neither_allowed_nor_denied() {
        const NAME: &str = "a_panic_in_any_thread_is_a_bug_and_neither_allowed_nor_denied";
        if let Ok(asked) = std::env::var("OBREIA_TEST_PANIC") {
            let cli = Cli::try_parse_from(["obreia", "verify", "x", "--key", "k"]).unwrap();
            end_on_panic(&Output::new(&cli.global), asked == "guard");
            let _ = std::thread::spawn(|| panic!("secret {}", 1)).join();
            return;
        }
        for (asked, expected) in [("plain", 70), ("guard", 125)] {
            let done = std::process::Command::new(std::env::current_exe().unwrap())
                .args([&format!("cli::tests::{NAME}"), "--exact", "--nocapture"])
                .env("OBREIA_TEST_PANIC", asked)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert_eq!(done.status.code(), Some(expected), "{said}");
            assert!(
                said.contains("mod.rs:") && !said.contains("secret"),
                "{said}"
            );
        }
    }

    #[test]
    fn a_thread_that_was_given_up_on_does_not_hold_up_the_end() {
        use std::time::{Duration, Instant};

        let begun = Instant::now();
        let done = block_on(async {
            let stuck = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_secs(30)));
            tokio::time::timeout(Duration::from_millis(10), stuck)
                .await
                .is_err()
        });
        assert!(done.unwrap());
        assert!(begun.elapsed() < Duration::from_secs(15));
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
