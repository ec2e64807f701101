use crate::audit::AuditFault;
use crate::crypto::KeyError;

/// Why a key cannot be had, used or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// The passphrase does not open it.
    #[error("the passphrase does not open {0}")]
    WrongPassphrase(String),
    /// There is no passphrase to try.
    #[error("cannot open {what}: {why}")]
    NoPassphrase {
        /// What should be opened.
        what: String,
        /// Why there is none.
        why: String,
    },
    /// Custody said no.
    #[error("not permitted by rule {rule}: {why}")]
    NotPermitted {
        /// The rule that decided.
        rule: &'static str,
        /// What it found.
        why: String,
    },
    /// The key was disabled.
    #[error("{0} is disabled")]
    Disabled(String),
    /// No key of that name.
    #[error("there is no key {0}")]
    NoSuchKey(String),
    /// The key has no such version.
    #[error("{key} has no version {version}")]
    NoSuchVersion {
        /// The key.
        key: String,
        /// The version asked for.
        version: u32,
    },
    /// That version verifies nothing any more.
    #[error("version {version} of {key} is retired and verifies nothing any more")]
    Retired {
        /// The key.
        key: String,
        /// The version.
        version: u32,
    },
    /// `kms://` was asked for and no state folder is configured.
    #[error("there is no keystore to look {0} up in")]
    NoKeystore(String),
    /// The state folder holds no keystore.
    #[error("there is no keystore at {0}")]
    KeystoreMissing(String),
    /// The keystore was changed by something else than obreia, or damaged.
    #[error("the keystore {path} is damaged: {damage}")]
    Damaged {
        /// The database.
        path: String,
        /// What is wrong with it.
        damage: Damage,
    },
    /// A URI that no provider answers to.
    #[error("no key provider answers to {0}")]
    NoProvider(String),
    /// A provider that cannot do this at all.
    #[error("{provider} keys cannot be {what}")]
    Unsupported {
        /// The provider.
        provider: &'static str,
        /// Past participle: `rotated`.
        what: &'static str,
    },
    /// A file that cannot be read, a database that cannot be written.
    #[error("cannot {doing} {what}: {cause}")]
    Unavailable {
        /// Infinitive: `read`.
        doing: &'static str,
        /// The file.
        what: String,
        /// What the operating system or the database said.
        cause: String,
    },
    /// Another process held it for too long.
    #[error("{0} is in use by another process")]
    Busy(String),
    /// The provider did not answer in time.
    #[error("{provider} did not answer within {seconds} s")]
    Deadline {
        /// The provider.
        provider: &'static str,
        /// How long it was given.
        seconds: u64,
    },
    /// The provider failed.
    #[error("{provider} failed: {cause}")]
    Provider {
        /// The provider.
        provider: &'static str,
        /// What it said.
        cause: String,
    },
    /// The provider gave a signature that its own public key refuses.
    #[error("the signature that {key} made does not verify with its own public key")]
    SelfCheck {
        /// The key.
        key: String,
    },
    /// A file that is no key.
    #[error("{path} is not a usable key file: {why}")]
    BadFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A public key that obreia does not verify with.
    #[error("{path} is not a usable public key: {error}")]
    BadPublicKey {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: KeyError,
    },
    /// Only a public key where a private one is needed.
    #[error("{0} is a public key, which cannot sign")]
    OnlyPublic(String),
    /// Only an encrypted private key where a public one is needed.
    #[error("{0} is an encrypted private key, and verifying opens none")]
    OnlyEncrypted(String),
    /// The name is taken.
    #[error("there is already {0}")]
    Exists(String),
    /// A name that a key or an alias cannot have.
    #[error("{name} cannot be a key's name: {why}")]
    BadName {
        /// The name.
        name: String,
        /// Why not.
        why: String,
    },
    /// The scheme and what is to be signed do not go together, or the request
    /// makes no sense for this key.
    #[error("{key}: {why}")]
    BadRequest {
        /// The key.
        key: String,
        /// Why not.
        why: String,
    },
    /// The audit log did not take the event, so nothing was done, or what was
    /// done was not handed out.
    #[error(transparent)]
    Audit(#[from] AuditFault),
}

/// What is wrong with a keystore.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The database cannot be read as one.
    #[error("it is no whole SQLite database ({0})")]
    NotADatabase(String),
    /// A table, row or field that should be there is not, or is malformed.
    #[error("{0}")]
    Malformed(String),
    /// A format that this version does not know.
    #[error("its format is {0}, and this version reads format 1")]
    Format(i64),
    /// A seal slot was altered.
    #[error("seal slot {0} was altered")]
    Slot(i64),
    /// A sealed record belongs to another key or version.
    #[error("the sealed key under {0} belongs to another record: rows were swapped or overwritten")]
    Swapped(Stored),
    /// A record does not open under what stands beside it.
    #[error(
        "{0} was altered: its sealed key does not open with the state, path and public key that stand beside it"
    )]
    Altered(Stored),
    /// A record is not what was last written; told without unlocking.
    #[error(
        "{0} is not as it was last written: it was altered, or an older copy stands in its place"
    )]
    Changed(Stored),
    /// The public key beside a sealed private key is not its own.
    #[error("the public key of {0} is not that of its private key")]
    Mismatch(Stored),
    /// Records came or went.
    #[error("it holds {found} records, and {sealed} were sealed: records were removed or added")]
    Count {
        /// How many there are.
        found: u64,
        /// How many were there when it was last written.
        sealed: u64,
    },
    /// Each record is genuine, but they are not the ones last written.
    #[error("{0} is not as it was last written: an older copy stands in its place")]
    RolledBack(Stored),
    /// A name, alias or slot list was changed.
    #[error("{0} was altered")]
    Index(&'static str),
    /// The head itself was altered.
    #[error("the seal over the whole keystore was altered")]
    Head,
    /// All of it is older than what the audit log has seen.
    #[error(
        "it is at generation {found}, and the audit log has seen {seen}: an older copy was put in its place"
    )]
    Older {
        /// The keystore's generation.
        found: u64,
        /// The audit log's.
        seen: u64,
    },
}

/// A stored key version, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The key's path.
    pub path: String,
    /// The version; `None` for the key's own record.
    pub version: Option<u32>,
}

impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            Some(version) => write!(f, "kms://{}?version={version}", self.path),
            None => write!(f, "kms://{}", self.path),
        }
    }
}

/// What kind of fault it is, for exit codes and HTTP statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultClass {
    /// The request or the file given with it is wrong.
    Usage,
    /// What is configured or stored is wrong.
    Config,
    /// Could not be done; trying again may help.
    Unavailable,
    /// Not permitted.
    NotPermitted,
}

impl KeyFault {
    /// What kind of fault it is.
    pub const fn class(&self) -> FaultClass {
        match self {
            Self::WrongPassphrase(_) | Self::NotPermitted { .. } | Self::Disabled(_) => {
                FaultClass::NotPermitted
            }
            Self::NoSuchKey(_)
            | Self::NoSuchVersion { .. }
            | Self::Retired { .. }
            | Self::NoKeystore(_)
            | Self::KeystoreMissing(_)
            | Self::Damaged { .. }
            | Self::NoProvider(_) => FaultClass::Config,
            Self::Unavailable { .. }
            | Self::Busy(_)
            | Self::Deadline { .. }
            | Self::Provider { .. }
            | Self::SelfCheck { .. }
            | Self::Audit(_) => FaultClass::Unavailable,
            Self::NoPassphrase { .. }
            | Self::Unsupported { .. }
            | Self::BadFile { .. }
            | Self::BadPublicKey { .. }
            | Self::OnlyPublic(_)
            | Self::OnlyEncrypted(_)
            | Self::Exists(_)
            | Self::BadName { .. }
            | Self::BadRequest { .. } => FaultClass::Usage,
        }
    }

    /// The kind of fault in one word, for the audit log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongPassphrase(_) => "wrong-passphrase",
            Self::NoPassphrase { .. } => "no-passphrase",
            Self::NotPermitted { .. } => "denied",
            Self::Disabled(_) => "disabled",
            Self::NoSuchKey(_) | Self::NoSuchVersion { .. } => "no-such-key",
            Self::Retired { .. } => "retired",
            Self::NoKeystore(_) | Self::KeystoreMissing(_) => "no-keystore",
            Self::Damaged { .. } => "damaged",
            Self::NoProvider(_) => "no-provider",
            Self::Unsupported { .. } => "unsupported",
            Self::Unavailable { .. } => "unavailable",
            Self::Busy(_) => "busy",
            Self::Deadline { .. } => "deadline",
            Self::Provider { .. } => "provider-failed",
            Self::SelfCheck { .. } => "self-check-failed",
            Self::BadFile { .. }
            | Self::BadPublicKey { .. }
            | Self::OnlyPublic(_)
            | Self::OnlyEncrypted(_) => "bad-key-file",
            Self::Exists(_) => "exists",
            Self::BadName { .. } | Self::BadRequest { .. } => "bad-request",
            Self::Audit(_) => "audit-failed",
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::WrongPassphrase(_) => {
                "check the passphrase, and which keystore or file it belongs to"
            }
            Self::NoPassphrase { .. } => {
                "set OBREIA_PASSPHRASE (COSIGN_PASSWORD for cosign's key files), give --passphrase-file FILE, or run on a terminal"
            }
            Self::NotPermitted { rule, .. } => match *rule {
                "key-disabled" => "enable it with: obreia key enable KEY",
                "version-not-active" => "leave ?version= out to sign with the active version",
                _ => "use a key whose purpose permits it, for example kms://model-sign/…",
            },
            Self::Disabled(_) => "enable it with: obreia key enable KEY",
            Self::NoSuchKey(_) | Self::NoSuchVersion { .. } => {
                "list what there is with: obreia key list"
            }
            Self::Retired { .. } => "sign again with the active version",
            Self::NoKeystore(_) => {
                "make one with: obreia init DIR, and give --config DIR/obreia.toml or run inside DIR"
            }
            Self::KeystoreMissing(_) => {
                "make one with: obreia init DIR, or put a copy back with: obreia keystore restore FILE"
            }
            Self::Damaged { damage, .. } => match damage {
                Damage::Older { .. } => {
                    "put the newer file back, or accept this one with: obreia keystore restore FILE --force"
                }
                Damage::Format(_) => "use a newer obreia",
                _ => {
                    "put a good copy back with: obreia keystore restore FILE --force, and find out who changed it"
                }
            },
            Self::NoProvider(_) => "use kms://…, or a key file",
            Self::Busy(_) | Self::Deadline { .. } => "try again",
            Self::SelfCheck { .. } => {
                "the signature was thrown away; check the provider's health before signing again"
            }
            Self::OnlyPublic(_) => "give the private key",
            Self::OnlyEncrypted(_) => "give the public key, as in cosign.pub",
            Self::Exists(_) => {
                "choose another name, or make a new version with: obreia key rotate KEY"
            }
            Self::Audit(fault) => fault.hint(),
            Self::BadFile { .. } | Self::BadPublicKey { .. } => {
                "give a PEM key, or cosign's encrypted private key"
            }
            Self::Unsupported { .. }
            | Self::Unavailable { .. }
            | Self::Provider { .. }
            | Self::BadName { .. }
            | Self::BadRequest { .. } => return None,
        })
    }
}
