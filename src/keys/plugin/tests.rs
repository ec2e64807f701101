use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{PluginKeys, program::Program};
use crate::crypto::KeyKind;
use crate::environment::Environment;
use crate::keys::context::Context;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::settings::{Plugin, RsaScheme};
use crate::keys::{FaultClass, KeyFault, KeyProvider, KeyReader, NewKey, Notices, Settings};
use crate::reference::KeyRef;
use crate::time::{Clock, Timestamp};

const NOW: i64 = 1_795_000_000;

fn project(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn uri(text: &str) -> KeyRef {
    KeyRef::parse(text).unwrap()
}

/// Plugins as `settings` have them, and what they said.
struct Plugins {
    settings: Settings,
    now: i64,
    said: Arc<Mutex<Vec<String>>>,
}

impl Plugins {
    fn new() -> Self {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("relative::{}:{path}", project("testdata/plugins"));
        Self {
            settings: Settings {
                deadline: Duration::from_secs(20),
                environment: Environment::from([("PATH", path.as_str())]),
                ..Settings::default()
            },
            now: NOW,
            said: Arc::default(),
        }
    }

    fn keys(&self) -> PluginKeys {
        let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(self.now));
        let said = Arc::clone(&self.said);
        PluginKeys::new(
            &Context::new(&self.settings, &clock),
            &self.settings.keys.plugin,
            &Settings {
                notices: Notices::to(move |line| said.lock().unwrap().push(line.to_owned())),
                ..self.settings.clone()
            },
            &["vault"],
        )
    }

    fn trusted(&self, key: &str) -> Result<crate::trust::TrustedKey, KeyFault> {
        run(self.keys().trusted(&uri(key))).map(|mut keys| keys.swap_remove(0))
    }

    fn fault(&self, key: &str) -> KeyFault {
        self.trusted(key).unwrap_err()
    }
}

#[test]
fn contract_holds() {
    // Not Ed25519: the openssl program signs no empty message with it.
    for name in ["p256", "p384", "p521", "rsa2048"] {
        let plugins = Plugins::new();
        run(holds(&Case {
            provider: &plugins.keys(),
            key: uri(&format!(
                "pem://{}",
                project(&format!("testdata/keys/{name}.pkcs8.pem"))
            )),
            absent: uri("pem:///nowhere.pem"),
            missing: "plugin-failed",
            foreign: uri("vault://x"),
            unlock: &Fixed("not asked for"),
            wrong: None,
            public_is_known: true,
        }));
    }
}

#[test]
fn ed25519_signs_the_message_itself() {
    let key = uri(&format!(
        "pem://{}",
        project("testdata/keys/ed25519.pkcs8.pem")
    ));
    let signer = run(Plugins::new().keys().open(&key, &Fixed(""))).unwrap();
    assert!(signer.prehashed().is_none());
    let message = vec![7; 300_000];
    let signature = run(signer.sign(&message)).unwrap();
    let scheme = signer.scheme();
    scheme
        .verify(signer.public_key(), &message, &signature)
        .unwrap();
}

#[test]
fn each_failure_has_its_own_words() {
    let plugins = Plugins::new();
    for (name, says) in [
        ("garbage", "gave an answer that is not one JSON object"),
        ("twice", "gave an answer that is not one JSON object"),
        ("empty", "gave no answer"),
        ("other", "gave an answer without publicKey"),
        ("flood", "printed more than 65536 bytes and was ended"),
        ("signal", "was ended by signal 9"),
        (
            "silent",
            "gave no answer (it ended with exit code 3); its last words: no such token",
        ),
        ("refuses", "says: the token is locked"),
        ("paints", "says: no\\u{1b}[2J\\nALLOWED"),
        ("nokey", "gave a public key that cannot be used"),
    ] {
        let fault = plugins.fault(&format!("faulty://{name}"));
        let text = fault.to_string();
        assert!(text.starts_with("sigstore-kms-faulty "), "{text}");
        assert!(text.contains(says), "{name}: {text}");
        assert_eq!(fault.code(), "plugin-failed");
        assert_eq!(fault.class(), FaultClass::Unavailable);
    }
    assert_eq!(
        plugins.said.lock().unwrap().as_slice(),
        [
            "sigstore-kms-faulty: no such token",
            "sigstore-kms-faulty: \\u{1b}[2Jtouch it"
        ]
    );
}

/// Whether a process of that number runs.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended and waits for its parent.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let mut plugins = Plugins::new();
    // The plugin's environment is the process's, so the file is named by a
    // program that sets it.
    let program = wrapper(folder.path(), &pids);
    plugins.settings.keys.plugin = BTreeMap::from([(
        "faulty".to_owned(),
        Plugin {
            program: Some(program),
            timeout_seconds: Some(5),
            ..Plugin::default()
        },
    )]);
    let fault = plugins.fault("faulty://hang");
    assert_eq!(
        fault.to_string(),
        "sigstore-kms-faulty did not answer within 5 s and was ended"
    );
    assert_eq!(fault.code(), "plugin-failed");
    let said = plugins.said.lock().unwrap().clone();
    assert_eq!(said, ["sigstore-kms-faulty: waiting for the token"]);
    let pids = std::fs::read_to_string(&pids).unwrap();
    assert_eq!(pids.split_whitespace().count(), 2, "{pids}");
    for pid in pids.split_whitespace() {
        let deadline = Instant::now() + Duration::from_secs(60);
        while lives(pid) {
            assert!(Instant::now() < deadline, "process {pid} lives on");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A program that runs the faulty plugin with a variable of its own. Written
/// by another process: a file that is open for writing here cannot be run.
fn wrapper(folder: &Path, pids: &Path) -> PathBuf {
    let program = folder.join("wrapper");
    let text = format!(
        "#!/bin/sh\nFAULTY_PIDS='{}' exec '{}' \"$@\"\n",
        pids.display(),
        project("testdata/plugins/sigstore-kms-faulty")
    );
    let script = "printf %s \"$1\" > \"$0\"; chmod +x \"$0\"";
    let status = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(&program)
        .arg(text)
        .status()
        .unwrap();
    assert!(status.success());
    program
}

#[test]
fn a_pipe_that_is_held_open_holds_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let mut plugins = Plugins::new();
    plugins.settings.keys.plugin = BTreeMap::from([(
        "faulty".to_owned(),
        Plugin {
            program: Some(wrapper(folder.path(), &pids)),
            ..Plugin::default()
        },
    )]);
    plugins.trusted("faulty://held").unwrap();
    let pid = std::fs::read_to_string(&pids).unwrap();
    // Not ours to end: it may be an agent that is meant to stay.
    assert!(lives(pid.trim()));
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn what_is_odd_but_within_the_protocol_works() {
    let plugins = Plugins::new();
    // An exit code beside an answer says nothing; much on standard error is cut.
    plugins.trusted("faulty://exits").unwrap();
    plugins.trusted("faulty://noise").unwrap();
    let said = plugins.said.lock().unwrap();
    let shown: usize = said.iter().map(String::len).sum();
    assert!(shown < 128 << 10, "{shown}");
    assert!(said.last().unwrap().ends_with("(more is not shown)"));
}

#[test]
fn programs_that_are_not_there_and_names_that_are_none() {
    let plugins = Plugins::new();
    let fault = plugins.fault("acme://key");
    assert_eq!(fault.code(), "not-configured");
    assert_eq!(fault.class(), FaultClass::Config);
    assert!(
        fault
            .to_string()
            .contains("there is no program sigstore-kms-acme in a folder of PATH"),
        "{fault}"
    );
    for bad in ["../../bin/sh://x", "a b://x", "-x://x", "faulty://", "://x"] {
        let fault = plugins.fault(bad);
        assert_eq!(fault.class(), FaultClass::Usage, "{bad}: {fault}");
        assert_eq!(fault.code(), "bad-request", "{bad}: {fault}");
    }
    let long = format!("faulty://{}", "x".repeat(4097));
    assert_eq!(plugins.fault(&long).code(), "bad-request");
    assert_eq!(plugins.fault("vault://x").code(), "no-provider");
}

#[test]
fn what_lies_in_the_working_folder_is_not_run() {
    let folder = Path::new("testdata/plugins");
    assert!(folder.join("sigstore-kms-pem").exists());
    for path in ["testdata/plugins", "./testdata/plugins", "", ":"] {
        let environment = Environment::from([("PATH", path)]);
        let found = Program::find("pem", None, &environment);
        assert!(
            matches!(found, Err(KeyFault::NotConfigured { .. })),
            "{path}"
        );
    }
}

#[test]
fn a_configured_program_is_the_one_that_runs() {
    let mut plugins = Plugins::new();
    let plugin = |program: &str| {
        BTreeMap::from([(
            "acme".to_owned(),
            Plugin {
                program: Some(PathBuf::from(program)),
                ..Plugin::default()
            },
        )])
    };
    plugins.settings.keys.plugin = plugin(&project("testdata/plugins/sigstore-kms-faulty"));
    plugins.trusted("acme://key").unwrap();
    run(plugins.keys().probe()).unwrap();
    // Not there, and there but no program.
    for program in ["/nowhere/acme".to_owned(), project("Cargo.toml")] {
        plugins.settings.keys.plugin = plugin(&program);
        assert!(plugins.fault("acme://key").to_string().contains(&program));
        assert!(run(plugins.keys().probe()).is_err());
    }
}

#[test]
fn offline_nothing_is_run_but_what_is_known_counts() {
    let state = tempfile::tempdir().unwrap();
    let mut plugins = Plugins::new();
    plugins.settings.state = Some(state.path().to_owned());
    let key = format!("pem://{}", project("testdata/keys/p256.pkcs8.pem"));
    plugins.settings.offline = true;
    assert_eq!(plugins.fault(&key).code(), "offline");
    plugins.settings.offline = false;
    let seen = plugins.trusted(&key).unwrap();
    plugins.settings.offline = true;
    // Long after the note went stale.
    plugins.now += 1_000_000;
    assert_eq!(plugins.trusted(&key).unwrap(), seen);
    let open = run(plugins.keys().open(&uri(&key), &Fixed(""))).err();
    assert_eq!(open.unwrap().code(), "offline");
}

#[test]
fn rsa_signs_as_configured() {
    let mut plugins = Plugins::new();
    let key = format!("pem://{}", project("testdata/keys/rsa2048.pkcs8.pem"));
    let of = |rsa: &str| {
        BTreeMap::from([(
            "pem".to_owned(),
            Plugin {
                rsa: RsaScheme::from_name(rsa),
                ..Plugin::default()
            },
        )])
    };
    assert_eq!(
        plugins.trusted(&key).unwrap().scheme.to_string(),
        "rsa-pkcs1-sha256"
    );
    plugins.settings.keys.plugin = of("rsa-pss-sha384");
    assert_eq!(
        plugins.trusted(&key).unwrap().scheme.to_string(),
        "rsa-pss-sha384"
    );
}

#[test]
fn a_named_version_is_known_beside_the_newest_and_never_instead_of_it() {
    let plugins = Plugins::new();
    let keys = plugins.keys();
    let (newest, first) = (uri("faulty://k"), uri("faulty://k?version=1"));
    let versions = |key: &KeyRef| {
        let trusted = run(keys.trusted(key)).unwrap();
        trusted.iter().map(|key| key.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(&first), [Some(1)]);
    assert_eq!(versions(&newest), [None]);
    assert_eq!(versions(&first), [Some(1)]);
    let known = keys.context.known.anywhere(&newest).unwrap().unwrap();
    let all: Vec<_> = known.versions.iter().map(|v| v.version).collect();
    assert_eq!(all, [None, Some(1)]);
}

#[test]
fn keys_are_made_where_the_plugin_makes_them() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = Plugins::new();
    let keys = plugins.keys();
    let make = |key: &str, kind| {
        let new = NewKey {
            key: uri(key),
            aliases: Vec::new(),
            new_purpose: false,
        };
        let generate = keys.capabilities().generate.unwrap();
        run(generate.generate(&new, kind, &Fixed("")))
    };
    let key = format!("pem://{}/new.pem", folder.path().display());
    let made = make(&key, KeyKind::EcP256).unwrap();
    assert_eq!(made.path, key);
    assert_eq!(made.versions[0].public_key.kind(), KeyKind::EcP256);
    assert_eq!(
        plugins.trusted(&key).unwrap().public_key,
        made.versions[0].public_key
    );
    let again = make(&key, KeyKind::EcP256).unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
    let other = make(&format!("{key}2"), KeyKind::EcP384).unwrap_err();
    assert!(
        other
            .to_string()
            .contains("makes no ecdsa-p384 keys, only: ecdsa-p256, ed25519"),
        "{other}"
    );
    assert_eq!(
        make(&format!("{key}?version=1"), KeyKind::EcP256)
            .unwrap_err()
            .code(),
        "bad-request"
    );
}
