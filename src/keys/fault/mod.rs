mod codes;
mod damage;
mod tell;

#[cfg(test)]
mod tests;

pub use damage::{Damage, Stored};
pub use tell::FaultClass;

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
    /// A URI that its provider cannot read.
    #[error("{uri} names no key: {why}")]
    BadUri {
        /// The URI, without credentials.
        uri: String,
        /// What is wrong with it.
        why: String,
    },
    /// The provider is not part of this build.
    #[error("keys of {scheme}: are not built into this obreia")]
    NotCompiled {
        /// The URI's scheme.
        scheme: String,
        /// The Cargo feature that has it.
        feature: &'static str,
    },
    /// Something that the provider needs is not set.
    #[error("{provider} is not configured: {why}")]
    NotConfigured {
        /// The provider.
        provider: &'static str,
        /// What is missing or wrong, and where to set it.
        why: String,
    },
    /// It would take a network connection, and there may be none.
    #[error("{provider} is asked over the network, and --offline allows no connection")]
    Offline {
        /// The provider.
        provider: &'static str,
    },
    /// No connection, or one that broke.
    #[error("{provider} at {endpoint} cannot be reached: {cause}")]
    Unreachable {
        /// The provider.
        provider: &'static str,
        /// Scheme, host and port.
        endpoint: String,
        /// What the network said.
        cause: String,
    },
    /// The other side is not who it should be.
    #[error("{provider} at {endpoint} does not prove that it is the one: {cause}")]
    Tls {
        /// The provider.
        provider: &'static str,
        /// Scheme, host and port.
        endpoint: String,
        /// What the check of its certificate said.
        cause: String,
    },
    /// Too many requests, also after waiting.
    #[error("{provider} at {endpoint} turns requests away: too many")]
    Throttled {
        /// The provider.
        provider: &'static str,
        /// Scheme, host and port.
        endpoint: String,
    },
    /// The key service is sealed or in standby.
    #[error("{provider} at {endpoint} is {state}")]
    Sealed {
        /// The provider.
        provider: &'static str,
        /// Scheme, host and port.
        endpoint: String,
        /// `sealed`, `in standby`, `not initialised`.
        state: &'static str,
    },
    /// The provider knows the caller, or not, and will not do it.
    #[error("{provider} refuses {what}: {cause}")]
    Refused {
        /// The provider.
        provider: &'static str,
        /// The key, or the operation.
        what: String,
        /// What it said.
        cause: String,
    },
    /// No credential, or one that is not taken.
    #[error("{provider} does not accept the login ({how}): {cause}")]
    Login {
        /// The provider.
        provider: &'static str,
        /// The way of logging in: `token`, `approle`, `PIN`.
        how: &'static str,
        /// What it said; never the credential.
        cause: String,
    },
    /// The token locked its PIN, or is about to.
    #[error("the PIN of {token} {state}")]
    PinLocked {
        /// The token.
        token: String,
        /// `is locked`, `has one try left, which is not spent here`.
        state: &'static str,
    },
    /// No such token in any slot, or it was pulled out.
    #[error("the token {token} is not there: {cause}")]
    NoToken {
        /// What was asked for.
        token: String,
        /// What the module said.
        cause: String,
    },
    /// The key is to be deleted and does nothing until then.
    #[error("{0} is pending deletion")]
    PendingDeletion(String),
    /// A key that is not for signing.
    #[error("{key} is a key for {usage}, not for signing")]
    WrongUsage {
        /// The key.
        key: String,
        /// What it is for.
        usage: String,
    },
    /// A key of a family, size or hash that cannot be used here.
    #[error("{key}: {why}")]
    WrongAlgorithm {
        /// The key.
        key: String,
        /// What does not go together.
        why: String,
    },
    /// The provider shows another public key than before for the same version.
    #[error("{provider} shows another public key for {key} than it did before")]
    PublicKeyChanged {
        /// The provider.
        provider: &'static str,
        /// The key with its version.
        key: String,
    },
    /// A plugin, or the process that holds a PKCS#11 module, did not do its part.
    #[error("{plugin} {failure}")]
    Plugin {
        /// The program.
        plugin: String,
        /// How it failed: `was ended by signal 9`.
        failure: String,
    },
    /// What went wrong with the key that a rule leads to.
    #[error("{name} is {uri} by {place}: {fault}")]
    Mapped {
        /// The name that was asked for.
        name: String,
        /// The provider's, without credentials.
        uri: String,
        /// The rule's line.
        place: String,
        /// What went wrong; never another one of these.
        fault: Box<KeyFault>,
    },
    /// The audit log did not take the intent, so nothing was done.
    #[error(transparent)]
    Audit(#[from] AuditFault),
    /// The audit log did not take the outcome.
    #[error("{done}, and the record of that could not be written: {audit}")]
    Unrecorded {
        /// What had come of it by then.
        done: String,
        /// Why it is not recorded.
        audit: AuditFault,
    },
    /// The change was acknowledged, and what came of it could not be looked at.
    #[error("{key} was changed, but could not be shown then: {fault}")]
    NotShown {
        /// The key.
        key: String,
        /// What went wrong after that.
        fault: Box<KeyFault>,
    },
    /// A change of several versions that ended before its last one.
    #[error("{fault}; {done} of {of} versions were changed before that")]
    Partly {
        /// How many were changed.
        done: usize,
        /// How many were to be.
        of: usize,
        /// What went wrong then.
        fault: Box<KeyFault>,
    },
    /// A change that must not be made twice, and may have been made.
    #[error("{fault}; whether it was done is not known")]
    Unsure {
        /// What went wrong; never another one of these.
        fault: Box<KeyFault>,
    },
}
