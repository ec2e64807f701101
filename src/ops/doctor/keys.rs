//! Keys, wherever they are: opened, tried, and asked what will become of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::unlocking::Once;
use super::{Check, Finding, Group, KeySeen, Request, policies};
use crate::config::Config;
use crate::crypto::{PublicKey, Scheme};
use crate::custody::KeyState;
use crate::keys::{Described, Key, KeyFault, Keyring, Operation, Performed, Warning};
use crate::reference::KeyRef;

/// A key that is looked at, under all of its names.
struct Entry {
    key: KeyRef,
    names: BTreeSet<String>,
    /// What the keystore lists of it, where nothing else names it.
    listed: Option<Described>,
}

pub(super) async fn look(config: &Config, request: &Request<'_>, checks: &mut Vec<Check>) {
    let mut providers: BTreeMap<&'static str, (KeyRef, bool)> = BTreeMap::new();
    let entries = match request.keys {
        [] => configured(config, request.keyring, &mut providers, checks).await,
        keys => named(request.keyring, keys),
    };
    let all = request.keys.is_empty();
    if entries.is_empty() && all && checks.iter().all(|c| c.group != Group::Keys) {
        let none = Check::ok(Group::Keys, "keys", "keys");
        let none = none.warns("no-keys", "no key is configured");
        checks.push(none.hint("name one: obreia doctor keys KEY; or make one with: obreia key create kms://model-sign/dev"));
    }
    let unlock = Once::new(request.unlock);
    for entry in &entries {
        let examined = Examiner {
            request,
            unlock: &unlock,
            entry,
        };
        let opened = examined.examine(checks).await;
        if let Ok(provider) = request.keyring.provider(&entry.key) {
            let known = providers.entry(provider);
            known.or_insert((entry.key.clone(), false)).1 |= opened;
        }
    }
    for (provider, (place, opened)) in providers {
        probe(request, provider, &place, opened, checks).await;
    }
    if all {
        policies::look(config, request.keyring, checks).await;
    }
}

/// The keys that are named: under each once, whatever they are called.
fn named(keyring: &Keyring, keys: &[KeyRef]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for key in keys {
        let target = |key: &KeyRef| keyring.route(key).map(|route| route.target).ok();
        let same = entries
            .iter_mut()
            .find(|entry| target(key).is_some() && target(&entry.key) == target(key));
        match same {
            Some(entry) => {
                entry.names.insert(key.to_string());
            }
            None => entries.push(Entry {
                key: key.clone(),
                names: BTreeSet::from([key.to_string()]),
                listed: None,
            }),
        }
    }
    entries
}

/// What the configuration and the keystore name.
async fn configured(
    config: &Config,
    keyring: &Keyring,
    providers: &mut BTreeMap<&'static str, (KeyRef, bool)>,
    checks: &mut Vec<Check>,
) -> Vec<Entry> {
    let mut found: BTreeMap<String, Entry> = BTreeMap::new();
    let mut add = |path: &str, name: String, listed: Option<&Described>| {
        let path = path.trim_start_matches("kms://");
        let Ok(path) = crate::reference::KeyPath::parse(path) else {
            return;
        };
        let entry = found.entry(path.to_string()).or_insert_with(|| Entry {
            key: KeyRef::Kms {
                path: path.clone(),
                version: None,
            },
            names: BTreeSet::from([format!("kms://{path}")]),
            listed: listed.cloned(),
        });
        entry.names.insert(name);
        if listed.is_none() {
            entry.listed = None;
        }
    };
    match keyring.list().await {
        Ok(keys) => {
            for key in &keys {
                add(&key.path, key.path.clone(), Some(key));
                for alias in &key.aliases {
                    add(&key.path, format!("kms://{alias}"), Some(key));
                }
            }
        }
        // There need not be one, and whether there should be is told elsewhere.
        Err(KeyFault::NoKeystore(_) | KeyFault::KeystoreMissing(_)) => {}
        Err(fault) => {
            let check = Check::ok(Group::Keys, "keys", "the keystore's keys");
            checks.push(check.fault(fault));
        }
    }
    for rule in config.keys.rules.all() {
        if let Some(path) = rule.exact() {
            add(path.as_str(), format!("kms://{path}"), None);
            continue;
        }
        let place = KeyRef::Provider {
            scheme: rule.scheme().to_owned(),
            uri: match rule.scheme() {
                "pkcs11" => "pkcs11:".to_owned(),
                scheme => format!("{scheme}://"),
            },
        };
        let check = Check::ok(Group::Keys, "rule", format!("kms://{}", rule.matches()));
        match keyring.provider(&place) {
            Ok(provider) => {
                providers.entry(provider).or_insert((place, false));
                checks.push(check.detail(format!(
                    "leads to {}; its keys are tried when they are named: obreia doctor keys kms://…",
                    rule.to()
                )));
            }
            Err(fault) => checks.push(check.fault(fault)),
        }
    }
    for (alias, path) in config.keys.aliases.all() {
        add(path.as_str(), format!("kms://{alias}"), None);
    }
    found.into_values().collect()
}

/// Asks a provider about itself. What it lacks for that its keys may not need.
async fn probe(
    request: &Request<'_>,
    provider: &'static str,
    place: &KeyRef,
    opened: bool,
    checks: &mut Vec<Check>,
) {
    let check = || Check::ok(Group::Keys, "provider", provider);
    match request.keyring.probe_provider(place).await {
        Ok(warnings) if warnings.is_empty() => {
            let asked = request.keyring.is_asked(place).unwrap_or(true);
            checks.push(check().detail(match (asked, opened) {
                (true, _) => "answers",
                (false, true) => "is set up",
                (false, false) => "is set up; who it is for shows when a key is tried",
            }));
        }
        Ok(warnings) => checks.extend(warnings.iter().map(|told| check().warning(told))),
        Err(fault) => {
            let told = check().fault(fault);
            if !opened || told.result == Finding::Undetermined {
                checks.push(told);
            }
        }
    }
}

/// One key's turn.
struct Examiner<'a> {
    request: &'a Request<'a>,
    unlock: &'a Once<'a>,
    entry: &'a Entry,
}

impl Examiner<'_> {
    fn check(&self, check: &'static str) -> Check {
        Check::ok(Group::Keys, check, self.entry.key.to_string())
    }

    /// Whether it could be opened.
    async fn examine(&self, checks: &mut Vec<Check>) -> bool {
        let (keyring, key) = (self.request.keyring, &self.entry.key);
        let mut seen = KeySeen {
            names: self.entry.names.iter().cloned().collect(),
            provider: keyring.provider(key).ok(),
            uri: keyring.route(key).ok().and_then(|r| Some(r.names()?.1)),
            ..KeySeen::default()
        };
        let fails = |seen: &KeySeen, fault| self.check("key").fault(fault).of_key(seen.clone());
        if let Some(listed) = &self.entry.listed
            && listed.state == KeyState::Disabled
        {
            seen.scheme = Some(listed.scheme.to_string());
            let off = self.check("key").warns("disabled", "it is disabled");
            let off = off.hint("enable it with: obreia key enable KEY");
            checks.push(off.of_key(seen));
            return false;
        }
        // What verifies is seen without unlocking anything.
        let trusted = match keyring.trusted(key).await {
            Ok(trusted) => trusted,
            // A public key that is sealed with its private one.
            Err(fault) if matches!(fault.root(), KeyFault::OnlyEncrypted(_)) => Vec::new(),
            Err(fault) => {
                checks.push(fails(&seen, fault));
                return false;
            }
        };
        if let Some(first) = trusted.first() {
            look_at(&mut seen, first.scheme, first.version, &first.public_key);
        }
        self.unlock.begin();
        let begun = Instant::now();
        let opened = match keyring.open_key(key, self.unlock).await {
            Ok(opened) => opened,
            Err(fault) => {
                self.unlock.ended(&fault);
                checks.push(fails(&seen, fault));
                return false;
            }
        };
        let took = begun.elapsed().saturating_sub(self.unlock.spent());
        seen.latency_us.open = Some(micros(took));
        let (version, public) = (opened.info().version, opened.public_key());
        look_at(&mut seen, opened.scheme(), version, public);
        if !trusted.is_empty() && trusted.iter().all(|key| key.public_key != *public) {
            let fault = KeyFault::PublicKeyChanged {
                provider: opened.info().provider,
                key: opened.info().to_string(),
            };
            checks.push(fails(&seen, fault));
            return true;
        }
        let mut warnings = Vec::new();
        match self.probe(&opened, &mut seen).await {
            Ok(whole) => warnings.extend(whole),
            Err(fault) => {
                checks.push(fails(&seen, fault));
                return true;
            }
        }
        let mut doubt = None;
        match keyring.outlook(key).await {
            Ok(told) => warnings.extend(told),
            Err(fault) => match fault.root() {
                KeyFault::Refused { .. } | KeyFault::Unsupported { .. } => {
                    seen.unseen = Some(format!("how it is set up is not shown: {fault}"));
                }
                _ => doubt = Some(self.check("outlook").fault(fault)),
            },
        }
        let detail = told(&seen, self.signs(&opened));
        checks.push(self.check("key").detail(detail).of_key(seen));
        checks.extend(warnings.iter().map(|w| self.check("outlook").warning(w)));
        checks.extend(doubt);
        true
    }

    /// Tries it; a warning where it signs less than it should.
    async fn probe(&self, key: &Key, seen: &mut KeySeen) -> Result<Option<Warning>, KeyFault> {
        if !self.request.probe || !self.signs(key) {
            return Ok(None);
        }
        let Performed::Probed(probed) = key.perform(Operation::Probe, self.request.caller).await?
        else {
            return Ok(None);
        };
        seen.latency_us.sign = Some(micros(probed.sign));
        seen.latency_us.verify = Some(micros(probed.verify));
        Ok(probed.whole_messages_only.map(|why| Warning {
            code: "whole-messages-only",
            text: format!("it signs no digests: {why}"),
        }))
    }

    /// Of keys that nobody named, those that are for something else are not
    /// signed with to see that they refuse it.
    fn signs(&self, key: &Key) -> bool {
        let purpose = key.info().purpose.as_ref();
        self.entry.listed.is_none() || purpose.is_none_or(|purpose| purpose.signs())
    }
}

fn look_at(seen: &mut KeySeen, scheme: Scheme, version: Option<u32>, public: &PublicKey) {
    seen.version = version;
    seen.kind = Some(public.kind().to_string());
    seen.scheme = Some(scheme.to_string());
    seen.hash = scheme.hash().map(|hash| hash.name());
    seen.fingerprint = Some(public.id().hex());
}

/// What is known of it, in one line.
fn told(seen: &KeySeen, signs: bool) -> String {
    let mut parts = Vec::new();
    parts.extend(seen.scheme.clone());
    parts.push(match seen.hash {
        Some(hash) => format!("of a {hash} digest"),
        None => "of the whole message".to_owned(),
    });
    parts.extend(seen.version.map(|version| format!("version {version}")));
    parts.extend(seen.provider.map(|provider| match &seen.uri {
        Some(uri) => format!("{provider} ({uri})"),
        None => provider.to_owned(),
    }));
    let latency = &seen.latency_us;
    let measured = [
        ("opened", latency.open),
        ("signed", latency.sign),
        ("verified", latency.verify),
    ];
    for (what, took) in measured {
        parts.extend(took.map(|us| format!("{what} in {}.{} ms", us / 1_000, us % 1_000 / 100)));
    }
    if latency.sign.is_none() {
        parts.push(match signs {
            true => "not signed with".to_owned(),
            false => "not signed with, which it is not for".to_owned(),
        });
    }
    parts.extend(seen.unseen.clone());
    parts.join(", ")
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
