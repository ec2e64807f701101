use super::{Damage, KeyFault};

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
    /// What went wrong at the key itself, by whatever rule it was reached.
    pub fn root(&self) -> &Self {
        match self {
            Self::Mapped { fault, .. } | Self::Unsure { fault } | Self::Partly { fault, .. } => {
                fault.root()
            }
            fault => fault,
        }
    }

    /// What kind of fault it is.
    pub fn class(&self) -> FaultClass {
        match self {
            Self::Mapped { fault, .. } | Self::Unsure { fault } | Self::Partly { fault, .. } => {
                fault.class()
            }
            Self::WrongPassphrase(_)
            | Self::NotPermitted { .. }
            | Self::Disabled(_)
            | Self::Refused { .. }
            | Self::Login { .. }
            | Self::PinLocked { .. }
            | Self::PendingDeletion(_)
            | Self::WrongUsage { .. } => FaultClass::NotPermitted,
            Self::NoSuchKey(_)
            | Self::NoSuchVersion { .. }
            | Self::Retired { .. }
            | Self::NoKeystore(_)
            | Self::KeystoreMissing(_)
            | Self::Damaged { .. }
            | Self::NoProvider(_)
            | Self::NotCompiled { .. }
            | Self::NotConfigured { .. } => FaultClass::Config,
            Self::Unavailable { .. }
            | Self::Busy(_)
            | Self::Deadline { .. }
            | Self::Provider { .. }
            | Self::SelfCheck { .. }
            | Self::Offline { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Throttled { .. }
            | Self::Sealed { .. }
            | Self::NoToken { .. }
            | Self::PublicKeyChanged { .. }
            | Self::Plugin { .. }
            | Self::Unrecorded { .. }
            | Self::NotShown { .. }
            | Self::Audit(_) => FaultClass::Unavailable,
            Self::NoPassphrase { .. }
            | Self::Unsupported { .. }
            | Self::BadFile { .. }
            | Self::BadPublicKey { .. }
            | Self::OnlyPublic(_)
            | Self::OnlyEncrypted(_)
            | Self::Exists(_)
            | Self::BadName { .. }
            | Self::BadUri { .. }
            | Self::WrongAlgorithm { .. }
            | Self::BadRequest { .. } => FaultClass::Usage,
        }
    }

    /// The kind of fault in one word, for the audit log.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Mapped { fault, .. } | Self::Unsure { fault } | Self::Partly { fault, .. } => {
                fault.code()
            }
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
            Self::BadName { .. } | Self::BadUri { .. } | Self::BadRequest { .. } => "bad-request",
            Self::NotCompiled { .. } => "not-compiled",
            Self::NotConfigured { .. } => "not-configured",
            Self::Offline { .. } => "offline",
            Self::Unreachable { .. } => "kms-unreachable",
            Self::Tls { .. } => "kms-tls",
            Self::Throttled { .. } => "kms-throttled",
            Self::Sealed { .. } => "kms-sealed",
            Self::Refused { .. } => "kms-refused",
            Self::Login { .. } => "kms-login",
            Self::PinLocked { .. } => "pin-locked",
            Self::NoToken { .. } => "no-token",
            Self::PendingDeletion(_) => "pending-deletion",
            Self::WrongUsage { .. } => "wrong-usage",
            Self::WrongAlgorithm { .. } => "wrong-algorithm",
            Self::PublicKeyChanged { .. } => "public-key-changed",
            Self::Plugin { .. } => "plugin-failed",
            Self::NotShown { .. } => "not-shown",
            Self::Unrecorded { audit, .. } | Self::Audit(audit) => audit.code(),
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Mapped { fault, .. } => match **fault {
                Self::NoSuchKey(_) => {
                    "make it with: obreia key create KEY, or correct the rule in [keys]"
                }
                _ => return fault.hint(),
            },
            // The rest is done by trying again, once that is mended.
            Self::Partly { fault, .. } => return fault.hint(),
            Self::WrongPassphrase(_) => {
                "check the passphrase, and which keystore or file it belongs to"
            }
            Self::NoPassphrase { .. } => {
                "set OBREIA_PASSPHRASE (COSIGN_PASSWORD for cosign's key files, PKCS11_PIN for tokens), give --passphrase-file FILE, or run on a terminal"
            }
            Self::NotPermitted { rule, .. } => match *rule {
                "key-disabled" => "enable it with: obreia key enable KEY",
                "version-not-active" => "leave ?version= out to sign with the active version",
                _ => "use a key whose purpose permits it, for example kms://model-sign/…",
            },
            Self::Disabled(_) => "enable it with: obreia key enable KEY",
            Self::NoSuchKey(key) | Self::NoSuchVersion { key, .. } => listing(key),
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
            Self::NotCompiled { feature, .. } => match *feature {
                "aws" => "use the released binary, or build with --features aws",
                "azure" => "use the released binary, or build with --features azure",
                "gcp" => "use the released binary, or build with --features gcp",
                _ => "use the released binary, or build with --features full",
            },
            Self::NotConfigured { .. } => "docs/providers.md lists what each provider needs",
            Self::Offline { .. } => {
                "leave --offline out, or verify with a public key in a file or a locked policy"
            }
            Self::Unreachable { .. } => {
                "check the address and the network; what was done before the connection broke is in the key service's own audit log"
            }
            Self::Tls { .. } => {
                "check the address, and give the authority that signed its certificate; a check that can be turned off is none"
            }
            Self::Throttled { .. } => {
                "sign less at once, or ask for a higher limit; each signature takes one request"
            }
            Self::Sealed { .. } => "unseal the key service, or name its active node",
            Self::Refused { .. } => {
                "grant the caller the right to use this key for signing, and to read its public key"
            }
            Self::Login { .. } => "check the credential and that it has not expired",
            Self::PinLocked { .. } => {
                "let the token's security officer reset the PIN; it was not tried again"
            }
            Self::NoToken { .. } => {
                "put the token back, or check its label, serial number and slot"
            }
            Self::PendingDeletion(_) => "cancel the deletion, or sign with another key",
            Self::WrongUsage { .. } => "make a key for signing (SIGN_VERIFY)",
            Self::PublicKeyChanged { .. } => {
                "somebody replaced the key under its name: find out who, and only then forget the old one with: obreia key forget KEY"
            }
            Self::Busy(_) | Self::Deadline { .. } => "try again",
            Self::SelfCheck { .. } => {
                "the signature was thrown away; check the provider's health before signing again"
            }
            Self::OnlyPublic(_) => "give the private key",
            Self::OnlyEncrypted(_) => "give the public key, as in cosign.pub",
            Self::Exists(_) => {
                "choose another name, or make a new version with: obreia key rotate KEY"
            }
            Self::NotShown { .. } => {
                "the change stands and need not be made again: look with: obreia key show KEY"
            }
            Self::Unsure { .. } => "look with: obreia key show KEY, before trying again",
            Self::Unrecorded { audit, .. } | Self::Audit(audit) => audit.hint(),
            Self::BadFile { .. } | Self::BadPublicKey { .. } => {
                "give a PEM key, or cosign's encrypted private key"
            }
            Self::Provider { .. } => {
                "try again; if it stays so, look at this time in the provider's own log, and try the key alone with: obreia doctor keys KEY"
            }
            // The two kinds of programs that keys are behind.
            Self::Plugin { plugin, .. } => match plugin.starts_with("sigstore-kms-") {
                true => {
                    "run the plugin by hand to see what it says, check its version and its credentials, and give it longer with timeout in [keys.plugin.NAME]"
                }
                false => {
                    "try the module with its vendor's tool, or pkcs11-tool --module FILE --list-slots; the next use starts it anew"
                }
            },
            Self::Unsupported { .. } => "docs/providers.md says what each provider offers",
            Self::Unavailable { .. } => {
                "see that it is there, may be read and written, and has room; then try again"
            }
            Self::BadName { .. } | Self::BadUri { .. } | Self::BadRequest { .. } => {
                "correct the name or the request: docs/keys.md says how keys are named"
            }
            Self::WrongAlgorithm { .. } => {
                "use a key of another kind, as made with: obreia key create KEY --algorithm p256"
            }
        })
    }
}

/// What lists the keys that are where `key` is not.
fn listing(key: &str) -> &'static str {
    match key.split(':').next().unwrap_or_default() {
        "kms" => "list what there is with: obreia key list",
        "openbao" | "hashivault" | "vault" => "list what there is with: obreia key list openbao://",
        "awskms" => "list what there is with: obreia key list awskms://",
        "pkcs11" => "list what there is with: obreia key list pkcs11:",
        "azurekms" => "list what there is with: obreia key list azurekms://VAULT",
        "gcpkms" => {
            "list what there is with: obreia key list gcpkms://projects/P/locations/L/keyRings/R"
        }
        _ => "check its name, and where it is asked for",
    }
}
