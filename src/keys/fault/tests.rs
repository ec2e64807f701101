//! Every kind of fault, and what `docs/keys.md` says of it.

use std::path::Path;

use super::*;
use crate::crypto::KeyError;

/// Keys, and what lists the others that are where they are not.
const SOMEWHERE: [(&str, &str); 9] = [
    ("kms://a", "obreia key list"),
    ("openbao://a", "obreia key list openbao://"),
    ("vault://a", "obreia key list openbao://"),
    ("hashivault://a", "obreia key list openbao://"),
    ("awskms:///a", "obreia key list awskms://"),
    ("pkcs11:object=a", "obreia key list pkcs11:"),
    ("azurekms://v/a", "obreia key list azurekms://VAULT"),
    (
        "gcpkms://projects/a",
        "obreia key list gcpkms://projects/P/locations/L/keyRings/R",
    ),
    ("k8s://a/b", "check its name, and where it is asked for"),
];

/// One of each kind; one that is missing here does not compile.
fn all() -> Vec<KeyFault> {
    use KeyFault as F;
    let s = || "s".to_owned();
    let rules = ["key-disabled", "version-not-active", "purpose-forbids"];
    let denied = rules.map(|rule| F::NotPermitted { rule, why: s() });
    let damages = [
        Damage::Older { found: 1, seen: 2 },
        Damage::Format(2),
        Damage::Head,
    ];
    let damaged = damages.map(|damage| F::Damaged { path: s(), damage });
    let (provider, endpoint, cause) = ("p", s(), s());
    let mut all = vec![
        F::WrongPassphrase(s()),
        F::NoPassphrase {
            what: s(),
            why: s(),
        },
        F::Disabled(s()),
        F::NoSuchKey(s()),
        F::NoSuchVersion {
            key: "kms://s".to_owned(),
            version: 1,
        },
        F::Retired {
            key: s(),
            version: 1,
        },
        F::NoKeystore(s()),
        F::KeystoreMissing(s()),
        F::NoProvider(s()),
        F::NotCompiled {
            scheme: s(),
            feature: "full",
        },
        F::Unsupported {
            provider,
            what: "w",
        },
        F::Unavailable {
            doing: "read",
            what: s(),
            cause: s(),
        },
        F::Busy(s()),
        F::Deadline {
            provider,
            seconds: 1,
        },
        F::Provider {
            provider,
            cause: s(),
        },
        F::SelfCheck { key: s() },
        F::BadFile {
            path: s(),
            why: s(),
        },
        F::BadPublicKey {
            path: s(),
            error: KeyError::NotPem,
        },
        F::OnlyPublic(s()),
        F::OnlyEncrypted(s()),
        F::Exists(s()),
        F::BadName {
            name: s(),
            why: s(),
        },
        F::BadRequest { key: s(), why: s() },
        F::BadUri { uri: s(), why: s() },
        F::NotConfigured { provider, why: s() },
        F::Offline { provider },
        F::Unreachable {
            provider,
            endpoint: s(),
            cause: s(),
        },
        F::Tls {
            provider,
            endpoint: s(),
            cause,
        },
        F::Throttled {
            provider,
            endpoint: s(),
        },
        F::Sealed {
            provider,
            endpoint,
            state: "sealed",
        },
        F::Refused {
            provider,
            what: s(),
            cause: s(),
        },
        F::Login {
            provider,
            how: "token",
            cause: s(),
        },
        F::PinLocked {
            token: s(),
            state: "is locked",
        },
        F::NoToken {
            token: s(),
            cause: s(),
        },
        F::PendingDeletion(s()),
        F::WrongUsage {
            key: s(),
            usage: s(),
        },
        F::WrongAlgorithm { key: s(), why: s() },
        F::PublicKeyChanged { provider, key: s() },
        F::Plugin {
            plugin: s(),
            failure: s(),
        },
        F::Audit(AuditFault::Missing("log".into())),
        F::Unrecorded {
            done: s(),
            audit: AuditFault::Missing("log".into()),
        },
        F::NotShown {
            key: s(),
            fault: Box::new(F::Offline { provider }),
        },
    ];
    for fault in [
        F::Deadline {
            provider,
            seconds: 1,
        },
        F::Unreachable {
            provider,
            endpoint: s(),
            cause: s(),
        },
        F::Provider {
            provider,
            cause: s(),
        },
        F::Plugin {
            plugin: s(),
            failure: s(),
        },
    ] {
        all.push(F::Unsure {
            fault: Box::new(fault),
        });
    }
    all.push(F::Busy(s()).partly(1, 2));
    all.extend(SOMEWHERE.map(|(name, _)| F::NoSuchKey(name.to_owned())));
    all.extend(denied);
    all.extend(damaged);
    for fault in &all {
        match fault {
            F::WrongPassphrase(_)
            | F::NoPassphrase { .. }
            | F::NotPermitted { .. }
            | F::Disabled(_)
            | F::NoSuchKey(_)
            | F::NoSuchVersion { .. }
            | F::Retired { .. }
            | F::NoKeystore(_)
            | F::KeystoreMissing(_)
            | F::Damaged { .. }
            | F::NoProvider(_)
            | F::Unsupported { .. }
            | F::Unavailable { .. }
            | F::Busy(_)
            | F::Deadline { .. }
            | F::Provider { .. }
            | F::SelfCheck { .. }
            | F::BadFile { .. }
            | F::BadPublicKey { .. }
            | F::OnlyPublic(_)
            | F::OnlyEncrypted(_)
            | F::Exists(_)
            | F::BadName { .. }
            | F::BadRequest { .. }
            | F::BadUri { .. }
            | F::NotCompiled { .. }
            | F::NotConfigured { .. }
            | F::Offline { .. }
            | F::Unreachable { .. }
            | F::Tls { .. }
            | F::Throttled { .. }
            | F::Sealed { .. }
            | F::Refused { .. }
            | F::Login { .. }
            | F::PinLocked { .. }
            | F::NoToken { .. }
            | F::PendingDeletion(_)
            | F::WrongUsage { .. }
            | F::WrongAlgorithm { .. }
            | F::PublicKeyChanged { .. }
            | F::Plugin { .. }
            | F::Audit(_)
            | F::Unrecorded { .. }
            | F::NotShown { .. }
            | F::Unsure { .. }
            | F::Partly { .. }
            | F::Mapped { .. } => {}
        }
    }
    all
}

#[test]
fn the_list_of_codes_is_complete() {
    let mut found: Vec<(&str, FaultClass)> = all().iter().map(|f| (f.code(), f.class())).collect();
    // The log has codes and hints of its own.
    found.retain(|(code, _)| !code.starts_with("audit-"));
    found.sort_by_key(|(code, _)| *code);
    found.dedup();
    assert_eq!(found, KeyFault::CODES);
}

/// Somebody who is sent to another list finds nothing there either.
#[test]
fn what_is_missing_is_looked_for_where_it_was_asked_for() {
    for (key, list) in SOMEWHERE {
        let told = [
            KeyFault::NoSuchKey(key.to_owned()),
            KeyFault::NoSuchVersion {
                key: key.to_owned(),
                version: 1,
            },
        ];
        for fault in told {
            let hint = fault.hint().unwrap();
            assert!(hint.ends_with(list), "{key}: {hint}");
        }
    }
}

#[test]
fn what_was_done_before_it_went_wrong_is_counted() {
    let refused = || KeyFault::Refused {
        provider: "p",
        what: "to change k".to_owned(),
        cause: "no".to_owned(),
    };
    assert_eq!(refused().partly(0, 3), refused());
    let told = refused().partly(2, 3);
    assert_eq!(
        (told.code(), told.class(), told.hint()),
        (refused().code(), refused().class(), refused().hint())
    );
    assert!(
        told.to_string()
            .ends_with("2 of 3 versions were changed before that")
    );
}

#[test]
fn a_rule_on_the_way_changes_neither_code_nor_class() {
    for fault in all() {
        let mapped = KeyFault::Mapped {
            name: "kms://model-sign/dev".to_owned(),
            uri: "openbao://a".to_owned(),
            place: "obreia.toml:3".to_owned(),
            fault: Box::new(fault.clone()),
        };
        assert_eq!(
            (mapped.code(), mapped.class()),
            (fault.code(), fault.class())
        );
        assert_eq!(mapped.hint().is_some(), fault.hint().is_some());
        assert_eq!(mapped.root(), fault.root());
        assert!(mapped.to_string().ends_with(&fault.to_string()));
    }
}

/// The page's row of a code: `| \`code\` | exit | meaning | what to do |`.
#[test]
fn the_page_has_every_code_with_its_exit_code_and_hint() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/keys.md");
    let text = std::fs::read_to_string(page).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| *line != "| code | exit | what | what to do |")
        .skip(2)
        .take_while(|line| line.starts_with("| "))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let codes: Vec<String> = rows
        .iter()
        .map(|r| r[1].trim_matches('`').to_owned())
        .collect();
    let expected: Vec<&str> = KeyFault::CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, expected, "rows of docs/keys.md");
    for fault in all() {
        if matches!(fault, KeyFault::Audit(_) | KeyFault::Unrecorded { .. }) {
            continue;
        }
        let row = rows
            .iter()
            .find(|row| row[1].trim_matches('`') == fault.code())
            .unwrap();
        let exit = match fault.class() {
            FaultClass::Usage => "2",
            FaultClass::Config => "3",
            FaultClass::Unavailable => "4",
            FaultClass::NotPermitted => "5",
        };
        assert_eq!(row[2], exit, "{}", fault.code());
        assert!(!row[3].is_empty(), "{}", fault.code());
        if let Some(hint) = fault.hint() {
            let said = row[4].replace('`', "");
            assert!(
                said.contains(hint),
                "{}: {hint:?} is not in {said:?}",
                fault.code()
            );
        }
    }
}
