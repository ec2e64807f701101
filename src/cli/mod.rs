//! The command line: reads arguments, calls [`crate::ops`], renders.
//!
//! One file per command, each with its arguments and a `run`; nothing here
//! decides anything about trust.

mod config;
mod context;
mod guard;
mod inspect;
mod output;
mod progress;
mod quantity;
mod select;
mod tree;
mod verdict;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use context::Context;
pub use output::Output;
use quantity::{count, size};

use crate::ops::{Exit, Failure};

#[cfg(feature = "sign")]
mod attest;
#[cfg(feature = "sign")]
mod completions;
#[cfg(feature = "sign")]
mod copy;
#[cfg(feature = "sign")]
mod init;
#[cfg(feature = "sign")]
mod key;
#[cfg(feature = "sign")]
mod keystore;
#[cfg(feature = "sign")]
mod passphrase;
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
    Quickstart(quickstart::Arguments),
    /// Make a place for keys: configuration, sealed keystore, audit log, first policy
    #[cfg(feature = "sign")]
    Init(init::Arguments),
    /// Make, show, import, rotate and disable keys
    #[cfg(feature = "sign")]
    Key(key::Arguments),
    /// Back up and restore the keystore, change its passphrase
    #[cfg(feature = "sign")]
    Keystore(keystore::Arguments),
    /// Sign an artifact
    #[cfg(feature = "sign")]
    Sign(sign::Arguments),
    /// Sign a statement about an artifact: provenance, SBOM, test result, …
    #[cfg(feature = "sign")]
    Attest(attest::Arguments),
    /// Say whether an artifact may be trusted, and exactly why
    Verify(verify::Arguments),
    /// Start a command only when everything it needs is verified
    Guard(guard::Arguments),
    /// Show what is in a bundle, without believing any of it
    Inspect(inspect::Arguments),
    /// Write a CycloneDX ML-BOM of a model
    #[cfg(feature = "sign")]
    Sbom(sbom::Arguments),
    /// Check, test and lock policies
    #[cfg(feature = "sign")]
    Policy(policy::Arguments),
    /// Show the configuration in force
    Config(config::Arguments),
    /// Show what an artifact is made of, and what is said about it
    Tree(tree::Arguments),
    /// Pack a model, SBOM or file into an OCI layout, with its evidence
    #[cfg(feature = "sign")]
    Push(push::Arguments),
    /// Take a model, SBOM or file out of an OCI layout
    #[cfg(feature = "sign")]
    Pull(pull::Arguments),
    /// Copy an artifact into production, if its policies allow it
    #[cfg(feature = "sign")]
    Promote(promote::Arguments),
    /// Copy an artifact with everything that belongs to it
    #[cfg(feature = "sign")]
    Copy(copy::Arguments),
    /// Write shell completions to standard output
    #[cfg(feature = "sign")]
    Completions(completions::Arguments),
    /// Write man pages into a folder
    #[cfg(feature = "sign")]
    Man(completions::ManArguments),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(usage_code(&error));
        }
    };
    let mut output = Output::new(&cli.global);
    let guards = matches!(&cli.command, Command::Guard(guard) if guard.has_command());
    let done = catching(|| dispatch(cli, &mut output));
    let exit = match done {
        Ok(exit) => exit,
        Err(failure) => {
            output.failure(&failure);
            failure.exit
        }
    };
    ExitCode::from(match exit {
        // The guarded command's own codes pass through, so the guard's must be told apart.
        Exit::Denied if guards => 126,
        _ if guards => 125,
        _ => exit.code(),
    })
}

/// A panic is a bug, and is reported as one: exit 70, whatever was asked. It
/// is never an allowed, and never a denial either.
fn catching(run: impl FnOnce() -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    let seen = Arc::new(Mutex::new(String::new()));
    let place = Arc::clone(&seen);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if let (Some(at), Ok(mut seen)) = (info.location(), place.lock()) {
            *seen = format!("{}:{}", at.file(), at.line());
        }
    }));
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    std::panic::set_hook(before);
    done.unwrap_or_else(|_| {
        let at = seen.lock().map(|at| at.clone()).unwrap_or_default();
        Err(Failure::new(Exit::Bug, "obreia failed in a way that it should not")
            .cause(format!("a check inside the program did not hold, at {at}"))
            .hint("nothing was decided; please report it with the command that was run, SECURITY.md says where"))
    })
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
        Command::Verify(arguments) => arguments.run(&context, output),
        Command::Guard(arguments) => arguments.run(&context, output),
        Command::Inspect(arguments) => arguments.run(&context, output),
        Command::Config(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Quickstart(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Init(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Key(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Keystore(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Sign(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Attest(arguments) => arguments.run(&context, output),
        Command::Tree(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Push(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Pull(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Promote(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Copy(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Sbom(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Policy(arguments) => arguments.run(&context, output),
        #[cfg(feature = "sign")]
        Command::Completions(arguments) => arguments.run(output),
        #[cfg(feature = "sign")]
        Command::Man(arguments) => arguments.run(output),
    }
}

/// Runs a future to its end on this thread; starting more threads would cost
/// more than most commands take.
pub fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Undetermined, "cannot start the runtime").cause(e))?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_bug_and_neither_allowed_nor_denied() {
        let failure = catching(|| panic!("secret {}", 1)).unwrap_err();
        assert_eq!(failure.exit, Exit::Bug);
        assert!(
            failure
                .cause
                .is_some_and(|c| c.contains("mod.rs:") && !c.contains("secret"))
        );
        assert_eq!(catching(|| Ok(Exit::Denied)), Ok(Exit::Denied));
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
