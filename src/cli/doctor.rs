use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::{Style, visible};
use super::passphrase::Passphrases;
use super::signing::SigningKey;
use super::{Context, Output, block_on, count, select};
use crate::config::Config;
use crate::ops::doctor::{self, Check, Finding, Group, Report, Request};
use crate::ops::{Exit, Failure};
use crate::reference::{ArtifactRef, KeyRef};

/// `obreia doctor`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
obreia doctor\n  \
obreia doctor --no-probe -o json\n  \
obreia doctor keys kms://model-sign/prod/acme/fraud\n  \
obreia doctor registry registry.example/team/web:v1\n\n\
Each line is ok, a warning (works, and will not for long), undetermined (could not be\n\
found out) or failed. Keys are tried: each is signed with once, and the audit log has\n\
it as the operation probe.\n\n\
Exit codes: 0 ok or warnings, 4 undetermined, and for what failed: 3 configuration,\n\
5 not permitted, 2 usage, 4 a key that signs wrongly or no audit log.")]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    probe: Probe,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at the configuration, the files that it names, and the clock
    #[command(after_help = "Example:\n  obreia doctor config")]
    Config,
    /// Look at the audit log: whether it takes records, and for how long
    #[command(after_help = "Example:\n  obreia doctor audit")]
    Audit,
    /// Look at the embedded keystore without unlocking it
    #[command(after_help = "Example:\n  obreia doctor keystore -o json")]
    Keystore,
    /// Open keys, sign with each and verify, and say what would fail later
    #[command(after_help = "Examples:\n  \
obreia doctor keys\n  \
obreia doctor keys kms://model-sign/prod/acme/fraud openbao://release\n  \
obreia doctor keys --no-probe -o json\n  \
obreia --offline doctor keys\n\n\
Without KEY: all keys of the keystore, of rules without wildcards and of aliases.\n\
A wrong PIN or passphrase is given once and not again. What is signed says nothing\n\
about anything, and the signature is thrown away.")]
    Keys {
        /// kms://…, another provider's URI, or a key file
        #[arg(value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        probe: Probe,
    },
    /// Look at a registry: how it is reached, what it permits, what it can do
    #[command(after_help = "Examples:\n  \
obreia doctor registry registry.example/team/web:v1\n  \
obreia doctor registry registry.example/team/web:v1 --write -o json\n\n\
Reads only, unless --write says otherwise. What --write leaves behind is nothing: an \
upload is begun and given up, a blob that is there is mounted where it is, and a manifest \
that is there is written once more, under a condition that does not hold.")]
    Registry(Registry),
}

#[derive(Debug, Args)]
struct Registry {
    /// HOST/REPOSITORY[:TAG|@DIGEST]; an image that is there to try with
    #[arg(value_name = "REPOSITORY")]
    name: String,
    /// Try writing too: begin an upload and give it up, and write a manifest that is there already
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Debug, Default, Args)]
struct Probe {
    /// Open keys, and sign with none
    #[arg(long)]
    no_probe: bool,
    /// File that holds the keystore's or key file's passphrase, or the token's PIN
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Arguments {
    /// Looks, and tells.
    ///
    /// # Errors
    /// Where a KEY is none; everything else is an answer.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let (groups, keys, probe): (&[Group], _, _) = match self.command {
            None => (&Group::ALL, Vec::new(), self.probe),
            Some(Command::Config) => (&[Group::Config], Vec::new(), self.probe),
            Some(Command::Audit) => (&[Group::Audit], Vec::new(), self.probe),
            Some(Command::Keystore) => (&[Group::Keystore], Vec::new(), self.probe),
            Some(Command::Keys { keys, probe }) => {
                // Said before `keys` it is meant all the same.
                let probe = Probe {
                    no_probe: self.probe.no_probe || probe.no_probe,
                    passphrase_file: probe.passphrase_file.or(self.probe.passphrase_file),
                };
                (&[Group::Keys], keys, probe)
            }
            Some(Command::Registry(registry)) => return registry.run(context, output),
        };
        let keys = keys.iter().map(|key| KeyRef::parse(key));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let loaded = context.config();
        let none = Config::default();
        let config = loaded.as_ref().unwrap_or(&none);
        let report = block_on(doctor::examine(Request {
            groups,
            keys: &keys,
            probe: !probe.no_probe,
            config: loaded.as_ref().map_err(Clone::clone),
            keyring: &context.keyring_of(config),
            environment: &context.environment,
            caller: &SigningKey::caller(),
            unlock: &Passphrases::new(probe.passphrase_file, config, context),
        }))?;
        tell(&report, output)
    }
}

impl Registry {
    fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let artifact = select::artifact(&self.name)?;
        let ArtifactRef::Registry {
            host,
            repository,
            select,
        } = &artifact
        else {
            return Err(Failure::new(
                Exit::Usage,
                format!("{artifact} is no repository of a registry"),
            )
            .hint("name HOST/REPOSITORY[:TAG]"));
        };
        let registries = context.registries(true);
        let report = block_on(doctor::registry::examine(doctor::registry::Request {
            host,
            repository,
            select,
            registries: registries.as_ref().map_err(Clone::clone),
            write: self.write,
            offline: context.offline,
            now: context.now(),
        }))?;
        tell(&report, output)
    }
}

fn tell(report: &Report, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(report)?;
    } else {
        print(report, output)?;
    }
    Ok(report.exit())
}

fn print(report: &Report, output: &mut Output) -> Result<(), Failure> {
    for check in &report.checks {
        let line = line(check, output);
        match check.result {
            Finding::Ok => output.info(&line)?,
            _ => output.line(&line)?,
        }
        if let Some(hint) = check
            .hint
            .as_deref()
            .filter(|_| check.result != Finding::Ok)
        {
            output.line(&format!("  hint: {}", visible(hint)))?;
        }
    }
    if report.offline {
        output.info("(offline: nothing was asked over the network)")?;
    }
    let of = |finding| report.checks.iter().filter(|c| c.result == finding).count();
    output.info(&format!(
        "{} ok, {}, {} undetermined, {} failed",
        of(Finding::Ok),
        count(of(Finding::Warning), "warning"),
        of(Finding::Undetermined),
        of(Finding::Failed)
    ))
}

fn line(check: &Check, output: &Output) -> String {
    let style = match check.result {
        Finding::Ok => Style::Green,
        Finding::Warning | Finding::Undetermined => Style::Yellow,
        Finding::Failed => Style::Red,
    };
    let code = check
        .code
        .map(|code| format!("[{code}]"))
        .unwrap_or_default();
    let detail = check.detail.as_deref().map(visible).unwrap_or_default();
    let about = match detail.as_str() {
        "" => String::new(),
        detail => format!(": {detail}"),
    };
    format!(
        "{}  {:<8}  {}{about}",
        output.paint(
            style,
            &format!("{:<12}", format!("{}{code}", check.result.as_str()))
        ),
        check.group.as_str(),
        visible(&check.subject),
    )
}
