//! Secrets, planted everywhere, and found nowhere: in no output, no record, no
//! note of a key, no file, no argument of a program that is started. Each
//! provider is used, refused, cut off, and answered with what it was sent.

#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
mod clouds;

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::pkcs11::Hsm;
use super::vault::{Act, Between, ROOT, policy, server, with};
use super::{PASSPHRASE, obreia, place};
use crate::harness::{Obreia, Output, Scratch, testdata};

/// What was planted, and all that was said since.
pub(crate) struct Planted {
    scratch: Scratch,
    secrets: Vec<String>,
    /// Files that hold a secret because it was put there.
    holders: Vec<PathBuf>,
    said: Vec<Output>,
}

impl Planted {
    pub(crate) fn new(scratch: &Scratch, secrets: &[&str]) -> Self {
        Self {
            scratch: scratch.clone(),
            secrets: secrets.iter().map(|s| (*s).to_owned()).collect(),
            holders: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Others, which were not known before.
    pub(crate) fn also<'a>(&mut self, secrets: impl Iterator<Item = &'a str>) {
        self.secrets.extend(secrets.map(str::to_owned));
    }

    pub(crate) fn in_file(mut self, file: &str) -> Self {
        self.holders.push(self.scratch.join(file));
        self
    }

    /// Runs it as people do and as programs do, as talkative as it gets.
    #[track_caller]
    pub(crate) fn run(&mut self, succeeds: impl Into<Option<bool>>, command: impl Fn() -> Obreia) {
        let succeeds = succeeds.into();
        for more in [&["-vv"][..], &["-vv", "-o", "json"]] {
            let out = command()
                .args(more)
                .env("RUST_BACKTRACE", "full")
                .env("RUST_LOG", "trace")
                .env("OBREIA_LOG", "trace")
                .run();
            if let Some(succeeds) = succeeds {
                assert_eq!(out.code == Some(0), succeeds, "{out}");
            }
            self.said.push(out);
        }
    }

    /// As [`Planted::run`], each time after the server was told what to do.
    #[track_caller]
    pub(crate) fn fails(&mut self, prepare: impl Fn(), command: impl Fn() -> Obreia) {
        let command = || {
            prepare();
            command()
        };
        self.run(false, command);
    }

    /// Looks everywhere.
    #[track_caller]
    pub(crate) fn nowhere(&self) {
        assert!(self.said.len() > 4, "little was said");
        for secret in &self.secrets {
            assert!(secret.len() >= 8, "{secret:?} is found by chance");
            for form in forms(secret) {
                for out in &self.said {
                    let text = out.to_string();
                    // The harness shows the command line, which is ours.
                    assert!(!text.contains(&form), "{form} is in\n{text}");
                }
                for file in everything(&self.scratch) {
                    if self.holders.iter().any(|held| file.starts_with(held)) {
                        continue;
                    }
                    let bytes = std::fs::read(&file).unwrap();
                    let text = String::from_utf8_lossy(&bytes);
                    assert!(!text.contains(&form), "{form} is in {}", file.display());
                }
            }
        }
        let files = everything(&self.scratch);
        let log = files
            .iter()
            .any(|f| f.to_string_lossy().contains("state/audit/"));
        assert!(log, "the log was looked at");
    }
}

/// A secret as it is, and as it is often written.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let escaped = secret.replace('\n', "\\n");
    vec![
        secret.to_owned(),
        escaped,
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        hex,
    ]
}

fn everything(scratch: &Scratch) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![scratch.path(), scratch.home()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

/// What is done with a key.
fn uses(key: &str) -> Vec<Vec<String>> {
    [
        &["sign", "f", "--force", "--key", key][..],
        &["verify", "f", "--explain", "--key", key],
        &["key", "show", key],
        &["doctor", "keys", key],
    ]
    .iter()
    .map(|args| args.iter().map(|arg| (*arg).to_owned()).collect())
    .collect()
}

fn echo(status: u16, secret: &str) -> Act {
    let said = format!("1 error occurred: got {secret}, and no thanks");
    Act::Answer(status, "", json!({ "errors": [said] }).to_string())
}

#[test]
fn a_vault_token() {
    let Some(bao) = server() else { return };
    bao.key("silent", "ecdsa-p256");
    let between = Between::new(&bao.host);
    let scratch = place();
    scratch.write("f", "hello");
    let wrong = "s.a-token-that-is-not-taken";
    let mut planted = Planted::new(&scratch, &[ROOT, wrong, PASSPHRASE]);
    let (key, address) = ("openbao://silent", between.address());
    let run = |token: &str, args: &[&str]| with(&scratch, &address, token, args);
    for args in uses(key) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || run(ROOT, &args));
    }
    planted.run(true, || run(ROOT, &["key", "rotate", key]));
    planted.run(true, || run(ROOT, &["key", "list", "openbao://"]));
    planted.run(true, || run(ROOT, &["config", "show", "--origin"]));
    let sign = ["sign", "f", "--force", "--key", key];
    planted.fails(|| (), || run(wrong, &sign));
    planted.fails(
        || (),
        || run(ROOT, &["sign", "f", "--key", "openbao://absent-silent"]),
    );
    for status in [200, 400, 403, 404, 500, 503] {
        planted.fails(
            || between.next("sign/silent", echo(status, ROOT)),
            || run(ROOT, &sign),
        );
    }
    for body in [
        json!(ROOT),
        json!({ "data": ROOT }),
        json!({"data": {"signature": ROOT}}),
        json!({"data": {"signature": format!("vault:v2:{ROOT}")}, "request_id": ROOT}),
        json!({"request_id": [ROOT], ROOT: 1}),
    ] {
        let act = || Act::Answer(200, "", body.to_string());
        planted.fails(|| between.next("sign/silent", act()), || run(ROOT, &sign));
    }
    planted.fails(
        || between.next("sign/silent", Act::CutAfter),
        || run(ROOT, &sign),
    );
    planted.fails(
        || between.next("sign/silent", Act::Garbage(9)),
        || run(ROOT, &sign),
    );
    // What doctor asks beside it; without that the key still works.
    for part in ["sys/health", "lookup-self"] {
        planted.run(None::<bool>, || {
            between.next(part, echo(403, ROOT));
            run(ROOT, &["doctor", "keys", key])
        });
    }
    assert!(between.done());
    planted.nowhere();
    let text = everything(&scratch);
    assert!(
        text.iter()
            .any(|f| f.to_string_lossy().contains("known-keys"))
    );
}

#[test]
fn a_vault_secret_id() {
    let Some(bao) = server() else { return };
    bao.key("by-role", "ecdsa-p256");
    let (status, _) = bao.try_as(
        ROOT,
        "PUT",
        "sys/auth/secret-role",
        &json!({"type": "approle"}),
    );
    assert!(status < 300);
    bao.admin(
        "PUT",
        "sys/policies/acl/by-role",
        &json!({"policy": policy("by-role")}),
    );
    let role = "auth/secret-role/role/signer";
    bao.admin("PUT", role, &json!({"token_policies": "by-role"}));
    let id = |path: &str, body: Value, field: &str| {
        let answer = bao.admin(if body.is_null() { "GET" } else { "PUT" }, path, &body);
        answer["data"][field].as_str().unwrap().to_owned()
    };
    let role_id = id(&format!("{role}/role-id"), Value::Null, "role_id");
    let secret_id = id(&format!("{role}/secret-id"), json!({}), "secret_id");
    let between = Between::new(&bao.host);
    let scratch = place();
    scratch.write("f", "hello");
    let config = format!(
        "[keys.vault]\naddress = {:?}\n[keys.vault.auth]\nmethod = \"approle\"\nmount = \"secret-role\"\n\
         role_id = {{ env = \"ROLE_ID\" }}\nsecret_id = {{ file = \"secret-id\" }}\n",
        between.address()
    );
    let text = scratch.read_text("obreia.toml");
    scratch.write("obreia.toml", format!("{text}{config}"));
    scratch.write("secret-id", &secret_id);
    let mut planted = Planted::new(&scratch, &[&secret_id, &role_id]).in_file("secret-id");
    let run = |args: &[&str]| obreia(&scratch, args).env("ROLE_ID", &role_id);
    for args in uses("openbao://by-role") {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || run(&args));
    }
    let sign = ["sign", "f", "--force", "--key", "openbao://by-role"];
    let login = "auth/secret-role/login";
    for status in [200, 400, 403, 404, 500, 503] {
        planted.fails(
            || between.next(login, echo(status, &secret_id)),
            || run(&sign),
        );
    }
    for body in [
        json!({ "auth": secret_id }),
        json!({"auth": {"client_token": 1, "lease_duration": secret_id}}),
        json!({"auth": {"client_token": "", "x": role_id}}),
    ] {
        let act = || Act::Answer(200, "", body.to_string());
        planted.fails(|| between.next(login, act()), || run(&sign));
    }
    planted.fails(|| between.next(login, Act::CutBefore), || run(&sign));
    planted.fails(
        || between.next(login, Act::CutBefore),
        || run(&["doctor", "keys", "openbao://by-role"]),
    );
    planted.nowhere();
}

#[test]
fn a_pin() {
    let Some(hsm) = Hsm::faulty() else { return };
    let scratch = &hsm.scratch;
    scratch.write("f", "hello");
    let (pin, wrong) = (super::pkcs11::PIN, "wrong-pin-000000");
    // Of other providers: none of a module's business.
    let other = "hvs.of-another-provider";
    let mut planted = Planted::new(scratch, &[pin, wrong, other]).in_file("tokens");
    let uri = hsm.create("k", "p256");
    let run = |pin: &str, args: &[&str]| {
        let command = hsm.bare(args).env("PKCS11_PIN", pin);
        command.env("VAULT_TOKEN", other)
    };
    for args in uses(&uri) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || run(pin, &args));
    }
    let sign = ["sign", "f", "--force", "--key", &uri];
    planted.fails(|| (), || run(wrong, &sign));
    planted.run(true, || run(pin, &sign));
    for mode in [
        "login-fails",
        "login-locks",
        "no-signing",
        "segfault",
        "abort",
        "garbage",
        "flips",
    ] {
        planted.fails(|| hsm.mode(mode), || run(pin, &sign));
        planted.fails(|| hsm.mode(mode), || run(pin, &["doctor", "keys", &uri]));
    }
    planted.nowhere();

    // While it signs, its processes are there for everybody to list.
    hsm.mode("hang");
    let running = run(pin, &sign).spawn();
    let mut seen = 0;
    let begun = std::time::Instant::now();
    while seen == 0 && begun.elapsed().as_secs() < 25 {
        for (arguments, environment) in helpers_of(running.id()) {
            seen += 1;
            for secret in [pin, other] {
                assert!(!arguments.contains(secret), "{arguments}");
                assert!(!environment.contains(secret), "{environment}");
            }
        }
    }
    running.kill();
    assert!(seen > 0, "the process that holds the module was not seen");
}

/// Arguments and environment of the processes that hold modules for `parent`.
fn helpers_of(parent: u32) -> Vec<(String, String)> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let mut found = Vec::new();
    for process in processes.filter_map(Result::ok) {
        let read = |name: &str| {
            let bytes = std::fs::read(process.path().join(name)).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
        };
        let of_ours = read("status").is_some_and(|s| s.contains(&format!("PPid:\t{parent}\n")));
        if let (true, Some(arguments), Some(environment)) =
            (of_ours, read("cmdline"), read("environ"))
            && arguments.contains("__pkcs11-module")
        {
            found.push((arguments, environment));
        }
    }
    found
}

#[test]
fn a_kubernetes_token_and_the_secrets_password() {
    use super::k8s::{KEY, TOKEN, cluster, kubeconfig, with};

    let (scratch, server) = cluster("server");
    kubeconfig(&scratch, &server, "ca", &format!("{{token: {TOKEN}}}"));
    let wrong = "another-bearer-token";
    let mut planted = Planted::new(&scratch, &[TOKEN, "throw-away", wrong]).in_file("kubeconfig");
    for args in uses(KEY) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || with(&scratch, &args));
    }
    for name in ["absent", "forbidden", "echo", "garbage"] {
        let key = format!("k8s://ci/{name}");
        for args in [
            &["sign", "f", "--force", "--key", &key][..],
            &["doctor", "keys", &key],
        ] {
            planted.fails(|| (), || with(&scratch, args));
        }
    }
    kubeconfig(&scratch, &server, "ca", &format!("{{token: {wrong}}}"));
    planted.fails(
        || (),
        || with(&scratch, &["sign", "f", "--force", "--key", KEY]),
    );
    kubeconfig(&scratch, &server, "other", &format!("{{token: {TOKEN}}}"));
    planted.fails(
        || (),
        || with(&scratch, &["sign", "f", "--force", "--key", KEY]),
    );
    planted.nowhere();
}

#[test]
fn keys_in_the_environment_in_files_and_their_passwords() {
    let scratch = place();
    scratch.write("f", "hello");
    let read = |name: &str| std::fs::read_to_string(testdata("keys").join(name)).unwrap();
    let (pem, sealed) = (read("p256.pkcs8.pem"), read("cosign.key"));
    // One line of each that tells them from all others.
    let line = |pem: &str| pem.lines().nth(1).unwrap().to_owned();
    let wrong = "a-wrong-password-of-a-key";
    let secrets = [
        line(&pem),
        line(&sealed),
        "throw-away".to_owned(),
        wrong.to_owned(),
    ];
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let mut planted = Planted::new(&scratch, &secrets).in_file("signer.pem");
    scratch.write("signer.pem", &pem);
    let run = |password: &str, args: &[&str]| {
        let command = obreia(&scratch, args).env("COSIGN_PASSWORD", password);
        command.env("PLAIN", &pem).env("SEALED", &sealed).env(
            "BROKEN",
            format!("-----BEGIN PRIVATE KEY-----\n{}", line(&pem)),
        )
    };
    for key in ["env://PLAIN", "env://SEALED", "signer.pem"] {
        for command in ["sign", "doctor"] {
            let args = match command {
                "sign" => vec!["sign", "f", "--force", "--key", key],
                _ => vec!["doctor", "keys", key],
            };
            planted.run(true, || run("throw-away", &args));
        }
    }
    for key in ["env://SEALED", "env://BROKEN", "env://ABSENT"] {
        for args in [
            &["sign", "f", "--force", "--key", key][..],
            &["doctor", "keys", key],
            &["verify", "f", "--key", key],
        ] {
            planted.fails(|| (), || run(wrong, args));
        }
    }
    planted.nowhere();
}

#[test]
fn the_keystores_passphrase() {
    let scratch = Scratch::new();
    scratch.write("f", "hello");
    let (next, wrong) = ("the next passphrase of it", "a wrong passphrase of it");
    let mut planted = Planted::new(&scratch, &[PASSPHRASE, next, wrong]);
    let run = |args: &[&str]| obreia(&scratch, args);
    run(&["init", "."]).run().ok();
    let key = "kms://model-sign/dev";
    run(&["key", "create", key]).run().ok();
    for args in uses(key) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || run(&args));
    }
    planted.run(true, || run(&["key", "rotate", key]));
    planted.run(true, || run(&["keystore", "backup", "copy.db", "--force"]));
    planted.run(true, || run(&["keystore", "restore", "copy.db", "--force"]));
    for args in [
        &["sign", "f", "--force", "--key", key][..],
        &["key", "rotate", key],
        &["doctor", "keys", key],
        &["keystore", "restore", "copy.db", "--force"],
    ] {
        planted.fails(|| (), || run(args).env("OBREIA_PASSPHRASE", wrong));
    }
    run(&["keystore", "passwd"])
        .env("OBREIA_NEW_PASSPHRASE", next)
        .run()
        .ok();
    planted.fails(|| (), || run(&["sign", "f", "--force", "--key", key]));
    // One that was written where none belongs, by mistake.
    let text = scratch.read_text("obreia.toml");
    scratch.write(
        "bad.toml",
        format!("{text}[keystore]\npassphrase = {next:?}\n"),
    );
    planted.holders.push(scratch.join("bad.toml"));
    planted.fails(|| (), || run(&["doctor", "--config", "bad.toml"]));
    planted.nowhere();
}

#[test]
fn what_a_plugin_is_started_with() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = place();
    scratch.write("f", "hello");
    let pem = testdata("plugins").join("sigstore-kms-pem");
    // Notes what it is given, then does what the demonstration does, or fails.
    let spy = scratch.write(
        "bin/sigstore-kms-spy",
        format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >>\"$SPY_LOG\"\nenv >>\"$SPY_ENVIRONMENT\"\n\
             case \"$SPY_MODE\" in\n garbage) echo 'no answer' ;;\n signal) kill -9 $$ ;;\n refuses) echo '{{\"errorMessage\":\"no\"}}' ;;\n *) exec {} \"$@\" ;;\nesac\n",
            pem.display()
        ),
    );
    std::fs::set_permissions(&spy, PermissionsExt::from_mode(0o755)).unwrap();
    let of_the_plugin = "hvs.which-the-plugin-logs-in-with";
    let mut planted = Planted::new(&scratch, &[PASSPHRASE, of_the_plugin]).in_file("environment");
    let key = format!(
        "spy://{}",
        testdata("keys").join("p256.pkcs8.pem").display()
    );
    let mode = std::cell::Cell::new("");
    let run = |args: &[&str]| {
        let path = std::env::var("PATH").unwrap_or_default();
        obreia(&scratch, args)
            .env("PATH", format!("{}:{path}", scratch.join("bin").display()))
            .env("SPY_LOG", scratch.join("arguments"))
            .env("SPY_ENVIRONMENT", scratch.join("environment"))
            .env("SPY_MODE", mode.get())
            .env("PLUGIN_TOKEN", of_the_plugin)
    };
    for args in uses(&key) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || run(&args));
    }
    for failure in ["garbage", "signal", "refuses"] {
        mode.set(failure);
        planted.fails(|| (), || run(&["sign", "f", "--force", "--key", &key]));
        planted.fails(|| (), || run(&["doctor", "keys", &key]));
    }
    let arguments = scratch.read_text("arguments");
    assert!(arguments.contains("signMessage"), "{arguments}");
    // Its own credential it has from the environment, and ours it has not.
    let environment = scratch.read_text("environment");
    assert!(environment.contains(of_the_plugin));
    assert!(!environment.contains(PASSPHRASE), "{environment}");
    planted.nowhere();
}
