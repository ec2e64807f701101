//! `NAME://…`: keys behind programs called `sigstore-kms-NAME`, of Sigstore's
//! plugin protocol `v1`. Any scheme that no provider of ours answers to is one.

mod create;
mod program;
pub mod protocol;
mod sign;
mod target;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::context::Context;
use super::known::{Known, KnownVersion};
use super::settings::Plugin;
use super::{
    BoxFuture, Capabilities, DescribeKey, Described, DescribedVersion, KeyFault, KeyProvider,
    KeyReader, Notices, Settings, Signer, Unlock, Warning,
};
use crate::canon;
use crate::crypto::{KeyKind, PublicKey, Scheme};
use crate::custody::KeyState;
use crate::digest::Algorithm;
use crate::limits;
use crate::reference::KeyRef;
use crate::time::Timestamp;
use crate::trust::{TrustedKey, VersionState};
use program::Program;
use protocol::{Init, Reply, Request, RpcOptions};
use target::Target;
use words::plain;

const PROVIDER: &str = "plugin";

/// Keys behind plugins. Clones share what is known of them.
#[derive(Clone)]
pub(super) struct PluginKeys {
    context: Context,
    settings: BTreeMap<String, Plugin>,
    notices: Notices,
    withheld: Vec<String>,
    taken: &'static [&'static str],
}

impl PluginKeys {
    /// `taken` are the schemes that providers of ours answer to, in whatever
    /// build: no program on `PATH` stands in for one that is not compiled in.
    pub(super) fn new(
        context: &Context,
        settings: &BTreeMap<String, Plugin>,
        of: &Settings,
        taken: &'static [&'static str],
    ) -> Self {
        Self {
            context: context.clone(),
            settings: settings.clone(),
            notices: of.notices.clone(),
            withheld: of.withheld.clone(),
            taken,
        }
    }

    /// The public key: what is known of it, and otherwise what the plugin says.
    async fn public(&self, key: &KeyRef) -> Result<TrustedKey, KeyFault> {
        let target = self.target(key)?;
        if let Some(known) = self.known(key)? {
            let mut trusted = known.trusted(PROVIDER, key)?.swap_remove(0);
            trusted.scheme = target.scheme_of(&trusted.public_key);
            return Ok(trusted);
        }
        self.may_run()?;
        let mut request = self.request(&target, "publicKey", Algorithm::Sha256);
        request.public_key = Some(protocol::PublicKeyArguments {
            public_key_options: Some(protocol::CallOptions {
                rpc_options: rpc(&request.init_options),
            }),
        });
        let (program, reply) = self.ask(&target, &request, Vec::new()).await?;
        let answer = reply
            .public_key
            .ok_or_else(|| silent(&program, "publicKey"))?;
        let public = read_key(&program, &answer)?;
        let trusted = target.trusted(public);
        self.learn(key, &trusted)?;
        Ok(trusted)
    }

    /// What is known of that very version, or of the key where none is named.
    fn known(&self, key: &KeyRef) -> Result<Option<Known>, KeyFault> {
        let keys = &self.context.known;
        let offline = self.context.offline;
        let found = match (self.place(key), key.version().is_some() || offline) {
            // A version's key never changes; which one is the newest does.
            (Ok(place), true) => keys.any(key, &place)?,
            (Ok(place), false) => keys.fresh(key, &place)?,
            // Offline the program need not be there.
            (Err(_), _) if offline => keys.anywhere(key)?,
            (Err(fault), _) => return Err(fault),
        };
        Ok(found.and_then(|mut known| {
            known.versions.retain(|v| v.version == key.version());
            (!known.versions.is_empty()).then_some(known)
        }))
    }

    /// The program that shows the key: another one may mean another key.
    fn place(&self, key: &KeyRef) -> Result<String, KeyFault> {
        Ok(self
            .program(&self.target(key)?)?
            .path()
            .display()
            .to_string())
    }

    fn program(&self, target: &Target) -> Result<Program, KeyFault> {
        let environment = &self.context.environment;
        Program::find(&target.scheme, target.program.as_deref(), environment)
    }

    /// Takes note of one version beside those that are known.
    fn learn(&self, key: &KeyRef, trusted: &TrustedKey) -> Result<(), KeyFault> {
        let place = self.place(key)?;
        let before = self.context.known.any(key, &place)?;
        let mut versions = vec![KnownVersion {
            version: trusted.version,
            name: None,
            public_key: trusted.public_key.to_pem(),
            scheme: trusted.scheme.to_string(),
            state: trusted.state.as_str().to_owned(),
        }];
        let mut at = self.context.known.now();
        for old in before.iter().flat_map(|known| &known.versions) {
            if old.version != trusted.version {
                versions.push(old.clone());
                // What is known of the newest is not fresher for this.
                if let (None, Some(before)) = (old.version, &before) {
                    at = before.at;
                }
            }
        }
        versions.sort_by_key(|v| std::cmp::Reverse(v.version.unwrap_or(u32::MAX)));
        let known = Known {
            at,
            id: trusted.key_id.clone(),
            versions,
        };
        self.context.known.learn(PROVIDER, key, &place, known)
    }

    /// A plugin may do what it likes, the network included.
    fn may_run(&self) -> Result<(), KeyFault> {
        match self.context.offline {
            true => Err(KeyFault::Offline { provider: PROVIDER }),
            false => Ok(()),
        }
    }

    fn deadline(&self, target: &Target) -> Duration {
        // Within the deadline that the pipeline sets, so that what is said of
        // it is said by the one who knows.
        let most = self.context.deadline.mul_f32(0.95);
        target.timeout.map_or(most, |own| own.min(most))
    }

    fn request(&self, target: &Target, method: &str, hash: Algorithm) -> Request {
        let deadline = i64::try_from(self.deadline(target).as_nanos()).unwrap_or(i64::MAX);
        let until = self.context.clock.now().nanos().saturating_add(deadline);
        let init = Init {
            ctx_deadline: Some(Timestamp::from_nanos(until)),
            protocol_version: protocol::VERSION.to_owned(),
            key_resource_id: target.resource.clone(),
            hash_func: protocol::hash_number(hash),
            rpc_options: Some(RpcOptions {
                ctx_deadline: Some(Timestamp::from_nanos(until)),
                key_version: Some(target.version.map_or_else(String::new, |v| v.to_string())),
                remote_verification: Some(false),
            }),
        };
        Request::new(init, method)
    }

    /// Runs the plugin once, and reads its one answer.
    async fn ask(
        &self,
        target: &Target,
        request: &Request,
        message: Vec<u8>,
    ) -> Result<(Program, Reply), KeyFault> {
        let program = self.program(target)?;
        let text = serde_json::to_string(request)
            .map_err(|e| program.failed(format!("cannot be asked: {e}")))?;
        let printed = program
            .run(&text, message, self.deadline(target), self)
            .await?;
        let limit = limits::PLUGIN_ANSWER as u64;
        let reply: Reply = canon::parse_as(&printed.answer, limit).map_err(|e| {
            let how = match printed.status.code() {
                Some(0) | None => String::new(),
                Some(code) => format!(" (it ended with exit code {code})"),
            };
            program.failed(match printed.answer.trim_ascii().is_empty() {
                true => format!("gave no answer{how}{}", printed.last_words),
                false => format!(
                    "gave an answer that is not one JSON object of the protocol{how}: {e}{}",
                    printed.last_words
                ),
            })
        })?;
        // As the protocol has it, the exit code says nothing where there is an answer.
        match reply.error_message.as_deref() {
            Some(said) if !said.is_empty() => {
                Err(program.failed(format!("says: {}", plain(said, 512))))
            }
            _ => Ok((program, reply)),
        }
    }
}

fn rpc(init: &Init) -> RpcOptions {
    init.rpc_options.clone().unwrap_or_default()
}

fn read_key(program: &Program, answer: &protocol::PublicKeyPem) -> Result<PublicKey, KeyFault> {
    PublicKey::from_pem(&answer.public_key_pem.0)
        .map_err(|e| program.failed(format!("gave a public key that cannot be used: {e}")))
}

fn silent(program: &Program, method: &str) -> KeyFault {
    program.failed(format!("gave an answer without {method}"))
}

impl KeyReader for PluginKeys {
    fn reads(&self, key: &KeyRef) -> bool {
        match key {
            KeyRef::Provider { scheme, uri } => {
                uri.contains("://") && !self.taken.contains(&scheme.as_str())
            }
            KeyRef::Kms { .. } | KeyRef::File(_) => false,
        }
    }

    fn trusted<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Vec<TrustedKey>, KeyFault>> {
        Box::pin(async move { Ok(vec![self.public(key).await?]) })
    }
}

impl KeyProvider for PluginKeys {
    /// Any that is nobody else's.
    fn schemes(&self) -> &'static [&'static str] {
        &["*"]
    }

    fn open<'a>(
        &'a self,
        key: &'a KeyRef,
        _: &'a dyn Unlock,
    ) -> BoxFuture<'a, Result<Box<dyn Signer>, KeyFault>> {
        Box::pin(self.open_signer(key))
    }

    fn name(&self) -> &'static str {
        PROVIDER
    }

    /// Whether the programs that are configured are there; runs none.
    fn is_asked(&self) -> bool {
        false
    }

    fn probe(&self) -> BoxFuture<'_, Result<Vec<Warning>, KeyFault>> {
        Box::pin(async {
            for (scheme, plugin) in &self.settings {
                let environment = &self.context.environment;
                Program::find(scheme, plugin.program.as_deref(), environment)?;
            }
            Ok(Vec::new())
        })
    }

    fn capabilities(&self) -> Capabilities<'_> {
        Capabilities {
            describe: Some(self),
            generate: Some(self),
            ..Capabilities::default()
        }
    }
}

impl DescribeKey for PluginKeys {
    fn describe<'a>(&'a self, key: &'a KeyRef) -> BoxFuture<'a, Result<Described, KeyFault>> {
        Box::pin(async move { Ok(described(self.public(key).await?)) })
    }

    /// The protocol cannot list.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Described>, KeyFault>> {
        Box::pin(async {
            Err(KeyFault::Unsupported {
                provider: PROVIDER,
                what: "listed",
            })
        })
    }
}

fn described(key: TrustedKey) -> Described {
    Described {
        id: key.key_id,
        path: key.path,
        provider: PROVIDER,
        purpose: None,
        state: KeyState::Enabled,
        scheme: key.scheme,
        aliases: Vec::new(),
        created: None,
        versions: vec![DescribedVersion {
            version: key.version,
            state: VersionState::Active,
            grace_until: None,
            created: None,
            public_key: key.public_key,
        }],
        generation: None,
    }
}

/// Where nothing else was configured, Sigstore's own convention.
fn scheme_of(public: &PublicKey, rsa: Option<Scheme>) -> Scheme {
    match (public.kind(), rsa) {
        (KeyKind::Rsa { .. }, Some(scheme)) => scheme,
        _ => public.default_scheme(),
    }
}
