use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::passphrase::Passphrases;
use super::signing::SigningKey;
use super::{Context, Output, block_on};
use crate::crypto::KeyKind;
use crate::ops::key::{self, AliasIn, KeyView, RouteView, RuleView};
use crate::ops::keyring::{Administer, Keyring, Keys, NewKey};
use crate::ops::{Exit, Failure};
use crate::reference::{KeyPath, KeyRef};
use crate::time::Span;
use crate::trust::VersionState;

/// `obreia key`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key
    #[command(after_help = "Examples:\n  \
obreia key create kms://model-sign/prod/acme/fraud\n  \
obreia key create kms://image-sign/dev --algorithm ed25519 --alias images\n\n\
A name is purpose/environment/…; the purpose says what the key may do:\n\
artifact-sign, attest-sign, image-sign, model-sign, release-sign, sbom-sign, pki-ca.")]
    Create {
        #[command(flatten)]
        new: New,
        /// Family and size
        #[arg(long, value_enum, default_value_t = Algorithm::P256, value_name = "ALGORITHM")]
        algorithm: Algorithm,
        #[command(flatten)]
        unlock: UnlockFile,
    },
    /// List the keys
    #[command(after_help = "Examples:\n  \
obreia key list -o json\n  \
obreia key list openbao://\n  \
obreia key list 'openbao://team/transit/?namespace=team'\n  \
obreia key list 'pkcs11:token=hsm'\n  \
obreia key list awskms://\n  \
obreia key list azurekms://acme\n\n\
A provider is named by its scheme alone, or by a mount, token or vault of it.")]
    List {
        /// Another provider's keys instead of the keystore's: openbao://, pkcs11:token=hsm, …
        provider: Option<String>,
    },
    /// Show one key with its versions, and how its name leads to it
    #[command(after_help = "Examples:\n  \
obreia key show kms://model-sign/prod/acme/fraud\n  \
obreia key show openbao://model-sign--prod--acme--fraud")]
    Show {
        /// kms://…, or another provider's URI
        key: String,
    },
    /// Forget the public keys that a provider showed for a key
    #[command(
        after_help = "Example:\n  obreia key forget kms://model-sign/prod/acme/fraud\n\n\
Public keys are remembered, so that one that changes is noticed. Forget one only\n\
when you know who changed it, and why."
    )]
    Forget {
        /// kms://…, or another provider's URI
        key: String,
    },
    /// Print a public key as PEM
    #[command(after_help = "Examples:\n  \
obreia key public kms://model-sign/prod/acme/fraud > fraud.pub\n  \
obreia key public 'kms://model-sign/prod/acme/fraud?version=1'\n  \
obreia key public signer.pem")]
    Public {
        /// kms://…[?version=N], or a key file
        key: String,
    },
    /// Take a key file into the keystore
    #[command(after_help = "Examples:\n  \
obreia key import signer.pem kms://model-sign/prod/acme/fraud\n  \
obreia key import cosign.key kms://image-sign/dev --key-passphrase-file cosign.pass\n\n\
The file is left as it is: destroy it once the import is verified.")]
    Import {
        /// PEM (PKCS #8, SEC 1, PKCS #1), or cosign's encrypted private key
        file: String,
        #[command(flatten)]
        new: New,
        /// File that holds the key file's password (else COSIGN_PASSWORD, or a prompt)
        #[arg(long, value_name = "FILE")]
        key_passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        unlock: UnlockFile,
    },
    /// Make a new version that signs from now on
    #[command(after_help = "Examples:\n  \
obreia key rotate kms://model-sign/prod/acme/fraud\n  \
obreia key rotate kms://model-sign/prod/acme/fraud --grace 72h\n\n\
Older versions keep verifying what they signed.")]
    Rotate {
        /// kms://…
        key: String,
        /// How long the old version counts as in grace: 90s, 15m, 72h, 30d, 4w; 0s for not at all
        #[arg(long, default_value = "30d", value_name = "SPAN")]
        grace: Span,
        #[command(flatten)]
        unlock: UnlockFile,
    },
    /// Stop all use of a key, verifying included, until it is enabled again
    #[command(after_help = "Example:\n  obreia key disable kms://model-sign/prod/acme/fraud")]
    Disable(One),
    /// Let a disabled key be used again
    #[command(after_help = "Example:\n  obreia key enable kms://model-sign/prod/acme/fraud")]
    Enable(One),
    /// Let one version that is not active verify nothing any more, for good
    #[command(
        after_help = "Example:\n  obreia key retire 'kms://model-sign/prod/acme/fraud?version=1'"
    )]
    Retire {
        /// kms://…?version=N
        key: String,
        #[command(flatten)]
        unlock: UnlockFile,
    },
}

#[derive(Debug, Args)]
struct New {
    /// The new key's name: kms://purpose/environment/…
    key: String,
    /// Another name, one word; repeatable
    #[arg(long = "alias", value_name = "NAME")]
    aliases: Vec<String>,
    /// Accept a signing purpose that is not one of the known ones
    #[arg(long)]
    new_purpose: bool,
}

#[derive(Debug, Args)]
struct One {
    /// kms://…
    key: String,
    #[command(flatten)]
    unlock: UnlockFile,
}

#[derive(Debug, Args)]
struct UnlockFile {
    /// File that holds the keystore's passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// ECDSA on P-256
    P256,
    /// ECDSA on P-384
    P384,
    /// ECDSA on P-521
    P521,
    /// Ed25519
    Ed25519,
    /// RSA with 3072 bits
    #[value(name = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits
    #[value(name = "rsa-4096")]
    Rsa4096,
}

impl From<Algorithm> for KeyKind {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P256 => Self::EcP256,
            Algorithm::P384 => Self::EcP384,
            Algorithm::P521 => Self::EcP521,
            Algorithm::Ed25519 => Self::Ed25519,
            Algorithm::Rsa3072 => Self::Rsa { bits: 3072 },
            Algorithm::Rsa4096 => Self::Rsa { bits: 4096 },
        }
    }
}

impl New {
    fn read(&self) -> Result<NewKey, Failure> {
        let aliases = self.aliases.iter().map(|alias| {
            let name = alias.strip_prefix("kms://").unwrap_or(alias);
            KeyPath::parse(name)
        });
        Ok(NewKey {
            key: key::whole(&self.key)?,
            aliases: aliases.collect::<Result<_, _>>()?,
            new_purpose: self.new_purpose,
        })
    }
}

impl Arguments {
    /// Does what the subcommand says.
    ///
    /// # Errors
    /// Where it was not done.
    pub fn run(self, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
        let keyring = context.keyring()?;
        let mut change = |verb, change, unlock| {
            let described = administer(&keyring, context, change, unlock)?;
            output.info(&format!("{verb} {}", described.path))?;
            shown(&described, output)
        };
        match self.command {
            Command::List { provider } => list(&keyring, provider.as_deref(), output),
            Command::Show { key } => {
                let (route, view) = block_on(key::shown(&keyring, &key::whole(&key)?))??;
                with_route(&route, &view, output)
            }
            Command::Forget { key } => forget(&keyring, &key::whole(&key)?, output),
            Command::Public { key } => public(&keyring, &key, output),
            Command::Create {
                new,
                algorithm,
                unlock,
            } => {
                let new = &new.read()?;
                let kind = algorithm.into();
                change("made", Administer::Create { new, kind }, unlock)
            }
            Command::Import {
                file,
                new,
                key_passphrase_file,
                unlock,
            } => {
                let new = &new.read()?;
                let config = context.config()?;
                let passwords = Passphrases::new(key_passphrase_file, &config, context);
                let private = &keyring.load_file(&file, &passwords)?;
                change("imported", Administer::Import { new, private }, unlock)
            }
            Command::Rotate { key, grace, unlock } => {
                let key = &key::whole(&key)?;
                change("rotated", Administer::Rotate { key, grace }, unlock)
            }
            Command::Disable(one) => {
                let key = &key::whole(&one.key)?;
                change("disabled", Administer::Disable(key), one.unlock)
            }
            Command::Enable(one) => {
                let key = &key::whole(&one.key)?;
                change("enabled", Administer::Enable(key), one.unlock)
            }
            Command::Retire { key, unlock } => {
                let (key, version) = key::versioned(&key)?;
                let key = &key;
                change(
                    "retired a version of",
                    Administer::Retire { key, version },
                    unlock,
                )
            }
        }
    }
}

fn administer(
    keyring: &Keyring,
    context: &Context,
    change: Administer<'_>,
    unlock: UnlockFile,
) -> Result<KeyView, Failure> {
    let passphrases = Passphrases::new(unlock.passphrase_file, &context.config()?, context);
    let caller = SigningKey::caller();
    let described = block_on(keyring.administer(change, &caller, &passphrases))??;
    Ok(KeyView::from(&described))
}

fn list(keyring: &Keyring, provider: Option<&str>, output: &mut Output) -> Result<Exit, Failure> {
    let found = match provider {
        Some(provider) => block_on(keyring.list_at(&key::whole(provider)?))??,
        None => block_on(keyring.list())??,
    };
    let keys: Vec<KeyView> = found.iter().map(KeyView::from).collect();
    // What a provider has is asked of it alone.
    let configured = match provider {
        Some(_) => Keys::default(),
        None => keyring.settings().keys.clone(),
    };
    let rules: Vec<RuleView> = configured.rules.all().iter().map(RuleView::from).collect();
    if output.is_json() {
        output.json(&json!({
            "schema": "obreia.keys/v1",
            "keys": keys,
            "rules": rules,
            "aliases": configured.aliases,
        }))?;
        return Ok(Exit::Done);
    }
    for key in &keys {
        let active = key
            .versions
            .iter()
            .find(|version| version.state == VersionState::Active)
            .and_then(|version| version.version)
            .map_or_else(String::new, |version| format!("  version {version}"));
        output.line(&format!(
            "{}  {}  {}{active}{}",
            key.path,
            key.state.as_str(),
            key.scheme,
            also(&key.aliases)
        ))?;
    }
    for rule in &rules {
        output.line(&format!(
            "kms://{}  is {}  by {}",
            rule.matches, rule.to, rule.place
        ))?;
    }
    for (alias, path) in configured.aliases.all() {
        output.line(&format!("kms://{alias}  is kms://{path}"))?;
    }
    match provider {
        Some(provider) if keys.is_empty() => {
            output.info(&format!("no keys to sign with at {provider}"))?;
        }
        None if keys.is_empty() && rules.is_empty() => {
            output.info("no keys yet; make one with: obreia key create kms://model-sign/dev")?;
        }
        _ => {}
    }
    Ok(Exit::Done)
}

fn with_route(route: &RouteView, key: &KeyView, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(&json!({"schema": "obreia.key/v1", "key": key, "route": route}))?;
        return Ok(Exit::Done);
    }
    if let (Some(alias_in), Some(path)) = (route.alias_in, &route.path) {
        let place = match alias_in {
            AliasIn::Configuration => "[keys.alias]",
            AliasIn::Keystore => "the keystore",
        };
        output.info(&format!(
            "{} is an alias of {path}, in {place}",
            route.asked
        ))?;
    }
    if let (Some(rule), Some(path)) = (&route.rule, &route.path) {
        output.info(&format!(
            "{path} is {}\n  by {}: {} leads to {}",
            route.uri, rule.place, rule.matches, rule.to
        ))?;
    }
    shown(key, output)
}

fn forget(keyring: &Keyring, key: &KeyRef, output: &mut Output) -> Result<Exit, Failure> {
    let known = keyring.forget(key)?;
    if output.is_json() {
        output.json(&json!({
            "schema": "obreia.forgotten/v1",
            "key": key.to_string(),
            "was_known": known,
        }))?;
    } else if known {
        output.info(&format!("forgot the public keys of {key}"))?;
    } else {
        output.info(&format!("no public key of {key} was known"))?;
    }
    Ok(Exit::Done)
}

fn shown(key: &KeyView, output: &mut Output) -> Result<Exit, Failure> {
    if output.is_json() {
        output.json(&json!({"schema": "obreia.key/v1", "key": key}))?;
        return Ok(Exit::Done);
    }
    output.info(&format!(
        "{}{}\n  id {} at {}\n  {}, {}{}",
        key.path,
        also(&key.aliases),
        key.id,
        key.provider,
        key.state.as_str(),
        key.scheme,
        key.created
            .map_or_else(String::new, |at| format!(", made {at}"))
    ))?;
    for version in &key.versions {
        let until = version
            .grace_until
            .map(|until| format!(" until {until}"))
            .unwrap_or_default();
        output.info(&format!(
            "  {}{}{until}  sha256:{}",
            version
                .version
                .map_or_else(String::new, |n| format!("version {n}  ")),
            version.state.as_str(),
            version.fingerprint
        ))?;
    }
    Ok(Exit::Done)
}

fn public(keyring: &Keyring, key: &str, output: &mut Output) -> Result<Exit, Failure> {
    let key = KeyRef::parse(key)?;
    let (public, scheme) = block_on(key::public(keyring, &key))??;
    if output.is_json() {
        output.json(&json!({
            "schema": "obreia.public-key/v1",
            "key": key.to_string(),
            "kind": public.kind().to_string(),
            "scheme": scheme.to_string(),
            "fingerprint": public.id().hex(),
            "public_key": public.to_pem(),
        }))?;
    } else {
        output.bytes(public.to_pem().as_bytes())?;
    }
    Ok(Exit::Done)
}

fn also(aliases: &[String]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    format!("  also {}", aliases.join(", "))
}
