//! Keys in tokens: SoftHSM, as it is and behind a module that fails as told,
//! and Kryoptic.

mod commands;
mod faulty;
mod kryoptic;
mod peers;
mod pins;
mod processes;
mod sessions;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use obreia::custody::Caller;
use obreia::environment::Environment;
use obreia::keys::{
    Key, KeyFault, Keyring, Keys, Locked, Pkcs11, Pkcs11Module, Settings, SignInput, Unlock,
    UnlockError,
};
use obreia::reference::KeyRef;
use obreia::secret::Secret;
use obreia::time::Timestamp;

use crate::harness::{Obreia, Output, Scratch, peer, testdata};

pub(crate) const PIN: &str = "135-hsm-79";

/// SoftHSM with one token, `hsm`, in a scratch folder, and an audit log.
pub(crate) struct Hsm {
    pub(crate) scratch: Scratch,
    module: PathBuf,
}

impl Hsm {
    /// `None` in a quick run.
    pub(crate) fn new() -> Option<Self> {
        let util = peer("softhsm2-util")?;
        // With an audit log, as everybody has one who runs `init`.
        let scratch = super::place();
        std::fs::create_dir(scratch.join("tokens")).unwrap();
        let tokens = scratch.join("tokens");
        let conf = format!("directories.tokendir = {}\n", tokens.display());
        scratch.write("softhsm2.conf", conf);
        let hsm = Self {
            scratch,
            module: softhsm_module(),
        };
        let init = [
            "--init-token",
            "--free",
            "--label",
            "hsm",
            "--so-pin",
            "00000000",
        ];
        hsm.bare(&[])
            .program(util)
            .args(init)
            .args(["--pin", PIN])
            .run()
            .ok();
        Some(hsm)
    }

    /// Another token of that label and PIN: Kryoptic.
    pub(crate) fn kryoptic() -> Option<Self> {
        let (module, tool) = (peer("libkryoptic_pkcs11.so")?, peer("pkcs11-tool")?);
        let scratch = super::place();
        let token = scratch.join("token.sql");
        let conf = format!("[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = {token:?}\n");
        scratch.write("kryoptic.conf", conf);
        let hsm = Self { scratch, module };
        let init = |args: &[&str]| {
            let command = hsm.bare(&[]).program(&tool);
            let module = ["--module", hsm.module.to_str().unwrap()];
            command
                .args(module)
                .args(["--so-pin", "00000000"])
                .args(args)
                .run()
                .ok();
        };
        init(&["--init-token", "--slot", "1", "--label", "hsm"]);
        let login = ["--token-label", "hsm", "--login", "--login-type", "so"];
        init(&[&login[..], &["--init-pin", "--pin", PIN]].concat());
        Some(hsm)
    }

    /// SoftHSM behind `testdata/pkcs11/faulty.c`.
    pub(crate) fn faulty() -> Option<Self> {
        let mut hsm = Self::new()?;
        hsm.module = faulty_module();
        hsm.configure("");
        hsm.mode("");
        Some(hsm)
    }

    /// Writes the configuration anew, with more about the module in it.
    pub(crate) fn configure(&self, more: &str) {
        let module = format!(
            "version = 1\n[keys.pkcs11.modules.m]\npath = {:?}\nenvironment = [\"FAULTY_*\"]\n{more}\n",
            self.module
        );
        self.scratch.write("obreia.toml", module);
    }

    /// What the faulty module does from now on.
    pub(crate) fn mode(&self, words: &str) {
        self.scratch.write("mode.new", words);
        std::fs::rename(self.scratch.join("mode.new"), self.scratch.join("mode")).unwrap();
    }

    /// How often the faulty module noted `what`.
    pub(crate) fn noted(&self, what: &str) -> usize {
        let log = std::fs::read_to_string(self.scratch.join("log")).unwrap_or_default();
        log.lines().filter(|line| *line == what).count()
    }

    /// The binary, with the module but without a PIN.
    pub(crate) fn bare(&self, args: &[&str]) -> Obreia {
        let mut command = self.scratch.obreia().args(args);
        for (name, value) in self.variables() {
            command = command.env(name, value);
        }
        command
    }

    pub(crate) fn obreia(&self, args: &[&str]) -> Obreia {
        self.bare(args).env("PKCS11_PIN", PIN)
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.obreia(args).run()
    }

    /// A key of that label.
    pub(crate) fn create(&self, label: &str, algorithm: &str) -> String {
        let uri = format!("pkcs11:token=hsm;object={label}");
        self.run(&["key", "create", &uri, "--algorithm", algorithm])
            .ok();
        uri
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let path = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("SOFTHSM2_CONF", path(self.scratch.join("softhsm2.conf"))),
            ("KRYOPTIC_CONF", path(self.scratch.join("kryoptic.conf"))),
            ("PKCS11_MODULE_PATH", path(self.module.clone())),
            ("FAULTY_MODULE", path(softhsm_module())),
            ("FAULTY_MODE", path(self.scratch.join("mode"))),
            ("FAULTY_LOG", path(self.scratch.join("log"))),
        ]
    }

    /// The same keys through the library.
    pub(crate) fn keyring(&self, deadline: Duration, threads: Option<usize>) -> Keyring {
        let variables = self.variables();
        let pairs: [(&str, &str); 6] = std::array::from_fn(|i| (variables[i].0, &*variables[i].1));
        let module = Pkcs11Module {
            path: self.module.clone(),
            pin: None,
            threads,
            environment: vec!["FAULTY_*".to_owned()],
            rsa: None,
        };
        let settings = Settings {
            state: Some(self.scratch.join("state")),
            deadline,
            environment: Environment::from(pairs),
            helper: Some(PathBuf::from(env!("CARGO_BIN_EXE_obreia"))),
            keys: Keys {
                pkcs11: Pkcs11 {
                    module: None,
                    modules: [("m".to_owned(), module)].into(),
                },
                ..Keys::default()
            },
            ..Settings::default()
        };
        Keyring::new(settings, Arc::new(Timestamp::from_secs(1_795_000_000)))
    }

    pub(crate) fn pkcs11_tool(&self, args: &[&str]) -> Output {
        let tool = peer("pkcs11-tool").expect("a quick run ended before");
        self.bare(&[])
            .program(tool)
            .args(["--module", self.module.to_str().unwrap()])
            .args(["--token-label", "hsm", "--login", "--pin", PIN])
            .args(args)
            .run()
    }
}

/// Answers with the token's PIN.
pub(crate) struct RightPin;

impl Unlock for RightPin {
    fn passphrase(&self, what: &Locked) -> Result<Secret, UnlockError> {
        assert!(matches!(what, Locked::Token { token, .. } if token == "hsm"));
        Ok(Secret::from(PIN.to_owned()))
    }
}

pub(crate) async fn open(keyring: &Keyring, uri: &str) -> Result<Key, KeyFault> {
    keyring
        .open_key(&KeyRef::parse(uri).unwrap(), &RightPin)
        .await
}

pub(crate) async fn sign(key: &Key, message: &[u8]) -> Result<Vec<u8>, KeyFault> {
    let signed = key
        .sign(SignInput::Message(message), &Caller::local(0))
        .await?;
    Ok(signed.signature)
}

/// A runtime as a daemon has it: several threads are not needed to have
/// several signatures in flight.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    super::block_on(future)
}

/// Where distributions put SoftHSM's module.
pub(crate) fn softhsm_module() -> PathBuf {
    let folders = [
        "/usr/lib/softhsm",
        "/usr/lib/x86_64-linux-gnu/softhsm",
        "/usr/lib/aarch64-linux-gnu/softhsm",
        "/usr/lib64/pkcs11",
        "/usr/lib64/softhsm",
        "/usr/local/lib/softhsm",
    ];
    let mut paths = folders.iter().map(|f| Path::new(f).join("libsofthsm2.so"));
    paths
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("libsofthsm2.so is in none of {folders:?}: install softhsm2"))
}

/// The faulty module, compiled once per run.
fn faulty_module() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let (built, new) = (
                folder.join("faulty.so"),
                folder.join(format!("faulty-{}.so", std::process::id())),
            );
            let cc = peer("cc").expect("a system program is never left out");
            let done = std::process::Command::new(cc)
                .args(["-shared", "-fPIC", "-O1", "-o"])
                .arg(&new)
                .arg(testdata("pkcs11/faulty.c"))
                .output()
                .unwrap();
            assert!(
                done.status.success(),
                "{}",
                String::from_utf8_lossy(&done.stderr)
            );
            std::fs::rename(new, &built).unwrap();
            built
        })
        .clone()
}

/// The code and the whole text of a failure, as programs get it.
#[track_caller]
pub(crate) fn failed(out: &Output, exit: i32, code: &str) -> String {
    let error = out.expect_code(exit).json();
    assert_eq!(error["schema"], "obreia.error/v1", "{out}");
    assert_eq!(error["code"], code, "{out}");
    error.to_string()
}
