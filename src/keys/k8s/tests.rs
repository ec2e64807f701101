use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::K8sKeys;
use crate::environment::Environment;
use crate::keys::context::Context;
use crate::keys::contract::{Case, Fixed, holds, run};
use crate::keys::settings::K8s;
use crate::keys::{FaultClass, KeyFault, KeyProvider, KeyReader, Settings};
use crate::reference::KeyRef;
use crate::time::{Clock, Timestamp};

const TOKEN: &str = "let-me-in";
const SIGNER: &str = "/api/v1/namespaces/ci/secrets/signer";

fn uri(text: &str) -> KeyRef {
    KeyRef::parse(text).unwrap()
}

fn pem(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/keys");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

fn secret(parts: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<String, Value> = parts
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!(STANDARD.encode(text))))
        .collect();
    json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "signer"}, "type": "Opaque", "data": data})
}

fn cosigns() -> Value {
    secret(&[
        ("cosign.key", &pem("cosign.key")),
        ("cosign.pub", &pem("cosign.pub")),
        ("cosign.password", "throw-away"),
    ])
}

/// An API server with one secret, on this machine without TLS; who has not the
/// token is turned away.
struct Server {
    address: String,
    asked: Arc<AtomicUsize>,
    answer: Arc<Mutex<(u16, String)>>,
}

impl Server {
    fn with(secret: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            answer: Arc::new(Mutex::new((200, secret.to_string()))),
        };
        let (asked, answer) = (Arc::clone(&server.asked), Arc::clone(&server.answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut chunk = [0; 4096];
                while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                    match stream.read(&mut chunk) {
                        Ok(read) if read > 0 => request.extend_from_slice(&chunk[..read]),
                        _ => break,
                    }
                }
                asked.fetch_add(1, Ordering::SeqCst);
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                let (status, body) =
                    if !request.contains(&format!("authorization: Bearer {TOKEN}\r\n")) {
                        (
                            401,
                            json!({"kind": "Status", "message": "Unauthorized"}).to_string(),
                        )
                    } else if path == "/version" {
                        (200, "{}".to_owned())
                    } else if path == SIGNER {
                        answer.lock().unwrap().clone()
                    } else {
                        (
                            404,
                            json!({"kind": "Status", "reason": "NotFound"}).to_string(),
                        )
                    };
                let head = format!(
                    "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(body.as_bytes());
            }
        });
        server
    }

    fn answer(&self, status: u16, body: impl ToString) {
        *self.answer.lock().unwrap() = (status, body.to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A kubeconfig in a folder of its own.
struct Kube {
    folder: tempfile::TempDir,
    settings: Settings,
    now: i64,
}

impl Kube {
    fn new(kubeconfig: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, kubeconfig).unwrap();
        let environment = Environment::from([("KUBECONFIG", file.to_str().unwrap())]);
        Self {
            folder,
            settings: Settings {
                environment,
                ..Settings::default()
            },
            now: 1_795_000_000,
        }
    }

    fn at(server: &str) -> Self {
        Self::new(&kubeconfig(server, &format!("token: {TOKEN}")))
    }

    fn keys(&self) -> K8sKeys {
        let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(self.now));
        K8sKeys::new(
            &Context::new(&self.settings, &clock),
            &self.settings.keys.k8s,
        )
    }

    fn fault(&self, key: &str) -> KeyFault {
        run(self.keys().trusted(&uri(key))).unwrap_err()
    }
}

fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         contexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: x}}\n\
         clusters:\n- name: c\n  cluster:\n    server: {server}\n\
         users:\n- name: u\n  user:\n    {user}\n"
    )
}

#[test]
fn contract_holds() {
    let plain = secret(&[("cosign.key", &pem("p384.pkcs8.pem"))]);
    for secret in [cosigns(), plain] {
        let server = Server::with(&secret);
        let kube = Kube::at(&server.address);
        run(holds(&Case {
            provider: &kube.keys(),
            key: uri("k8s://ci/signer"),
            absent: uri("k8s://ci/another"),
            missing: "no-such-key",
            foreign: uri("env://SIGNER"),
            unlock: &Fixed("not asked for"),
            wrong: None,
            public_is_known: true,
        }));
    }
}

#[test]
fn verifying_asks_once_and_offline_not_at_all() {
    let server = Server::with(&cosigns());
    let mut kube = Kube::at(&server.address);
    kube.settings.state = Some(kube.folder.path().join("state"));
    let key = uri("k8s://ci/signer");
    kube.settings.offline = true;
    assert_eq!(kube.fault("k8s://ci/signer").code(), "offline");
    kube.settings.offline = false;
    let seen = run(kube.keys().trusted(&key)).unwrap();
    assert_eq!(run(kube.keys().trusted(&key)).unwrap(), seen);
    assert_eq!(server.asked(), 1);
    kube.now += 301;
    run(kube.keys().trusted(&key)).unwrap();
    assert_eq!(server.asked(), 2);
    kube.settings.offline = true;
    kube.now += 1_000_000;
    assert_eq!(run(kube.keys().trusted(&key)).unwrap(), seen);
    assert_eq!(server.asked(), 2);
    assert_eq!(
        run(kube.keys().open(&key, &Fixed("")))
            .err()
            .unwrap()
            .code(),
        "offline"
    );
}

#[test]
fn a_key_that_changes_under_its_name_is_noticed() {
    let server = Server::with(&cosigns());
    let mut kube = Kube::at(&server.address);
    kube.settings.state = Some(kube.folder.path().join("state"));
    run(kube.keys().trusted(&uri("k8s://ci/signer"))).unwrap();
    server.answer(200, secret(&[("cosign.key", &pem("p256-b.pkcs8.pem"))]));
    kube.now += 301;
    assert_eq!(kube.fault("k8s://ci/signer").code(), "public-key-changed");
    let open = run(kube.keys().open(&uri("k8s://ci/signer"), &Fixed("")));
    assert_eq!(open.err().unwrap().code(), "public-key-changed");
}

#[test]
fn without_a_password_of_its_own_another_is_asked_for() {
    let server = Server::with(&secret(&[("cosign.key", &pem("cosign.key"))]));
    let kube = Kube::at(&server.address);
    let key = uri("k8s://ci/signer");
    run(kube.keys().open(&key, &Fixed("throw-away"))).unwrap();
    let wrong = run(kube.keys().open(&key, &Fixed("wrong"))).err().unwrap();
    assert_eq!(wrong.code(), "wrong-passphrase");
    // Verifying opens nothing, and says what is missing.
    let fault = kube.fault("k8s://ci/signer");
    assert!(
        fault.to_string().contains("it has no cosign.pub"),
        "{fault}"
    );
}

#[test]
fn what_the_server_says_is_told_apart() {
    let server = Server::with(&cosigns());
    let kube = Kube::at(&server.address);
    let status = |text: &str| json!({"kind": "Status", "message": text}).to_string();
    let long = "x".repeat(3 << 20);
    for (code, body, fault, class, says) in [
        (
            403,
            status("secrets is forbidden"),
            "kms-refused",
            FaultClass::NotPermitted,
            "forbidden (403)",
        ),
        (
            403,
            "<html>not from here".to_owned(),
            "provider-failed",
            FaultClass::Unavailable,
            "answers 403",
        ),
        (
            500,
            "oops".to_owned(),
            "provider-failed",
            FaultClass::Unavailable,
            "answers 500",
        ),
        (
            302,
            String::new(),
            "provider-failed",
            FaultClass::Unavailable,
            "answers 302",
        ),
        (
            200,
            "{}".to_owned(),
            "bad-key-file",
            FaultClass::Usage,
            "is no secret",
        ),
        (
            200,
            "hunter2".to_owned(),
            "bad-key-file",
            FaultClass::Usage,
            "is no secret",
        ),
        (
            200,
            json!({"kind": "Secret"}).to_string(),
            "bad-key-file",
            FaultClass::Usage,
            "is empty",
        ),
        (
            200,
            secret(&[("tls.key", "x")]).to_string(),
            "bad-key-file",
            FaultClass::Usage,
            "neither cosign.key nor cosign.pub",
        ),
        (
            200,
            secret(&[("cosign.pub", "hunter2")]).to_string(),
            "bad-key-file",
            FaultClass::Usage,
            "k8s://ci/signer",
        ),
        (
            200,
            json!({"kind": "Secret", "data": {"cosign.pub": "hunter2!"}}).to_string(),
            "bad-key-file",
            FaultClass::Usage,
            "cosign.pub is not base64",
        ),
        (
            200,
            long,
            "provider-failed",
            FaultClass::Unavailable,
            "longer than",
        ),
    ] {
        server.answer(code, body);
        let found = kube.fault("k8s://ci/signer");
        assert_eq!((found.code(), found.class()), (fault, class), "{found}");
        let text = found.to_string();
        assert!(text.contains(says), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert_eq!(kube.fault("k8s://ci/another").code(), "no-such-key");
    let other = Kube::new(&kubeconfig(&server.address, "token: hunter2"));
    let fault = other.fault("k8s://ci/signer");
    assert_eq!(fault.code(), "kms-login");
    assert!(!fault.to_string().contains("hunter2"), "{fault}");
    assert_eq!(run(other.keys().probe()).unwrap_err().code(), "kms-login");
    run(kube.keys().probe()).unwrap();
}

#[test]
fn halves_that_do_not_belong_together_and_public_halves_do_not_sign() {
    let server = Server::with(&cosigns());
    let kube = Kube::at(&server.address);
    let open = || {
        run(kube.keys().open(&uri("k8s://ci/signer"), &Fixed("")))
            .err()
            .unwrap()
    };
    server.answer(
        200,
        secret(&[
            ("cosign.key", &pem("p256.pkcs8.pem")),
            ("cosign.pub", &pem("p256-b.pub.pem")),
        ]),
    );
    assert!(
        open().to_string().contains("not the public half"),
        "{}",
        open()
    );
    server.answer(200, secret(&[("cosign.pub", &pem("p256.pub.pem"))]));
    assert!(
        open().to_string().contains("which cannot sign"),
        "{}",
        open()
    );
}

#[test]
fn names_that_lead_elsewhere_are_not_asked_for() {
    let server = Server::with(&cosigns());
    let kube = Kube::at(&server.address);
    for bad in [
        "k8s://ci",
        "k8s://ci/",
        "k8s:///signer",
        "k8s://ci/signer/status",
        "k8s://ci/..",
        "k8s://../signer",
        "k8s://ci/signer?watch=1",
        "k8s://ci/sig%2fner",
        "k8s://CI/signer",
        "k8s://ci/signer?version=1",
    ] {
        assert_eq!(kube.fault(bad).code(), "bad-request", "{bad}");
    }
    assert_eq!(server.asked(), 0);
}

#[test]
fn what_would_weaken_the_connection_is_refused_by_name() {
    let folder = Path::new("/nowhere");
    for (server, user, says) in [
        (
            "https://c.example\n    insecure-skip-tls-verify: true",
            "token: x",
            "insecure-skip-tls-verify",
        ),
        (
            "https://c.example\n    tls-server-name: other",
            "token: x",
            "tls-server-name",
        ),
        (
            "https://c.example\n    proxy-url: http://p",
            "token: x",
            "proxy-url",
        ),
        (
            "https://c.example",
            "exec: {command: aws, args: [eks]}",
            "running \"aws\" (exec)",
        ),
        (
            "https://c.example",
            "auth-provider: {name: gcp}",
            "auth-provider",
        ),
        ("https://c.example", "username: admin", "name and password"),
        ("https://c.example", "as: admin", "acts as somebody else"),
        ("https://c.example", "client-key: k.pem", "/k.pem"),
        ("https://c.example", "tokenFile: absent", "absent"),
        ("http://c.example", "token: x", "must begin with https://"),
        (
            "http://127.0.0.1.evil.example",
            "token: x",
            "must begin with https://",
        ),
        ("c.example", "token: x", "must begin with https://"),
        (
            "https://c.example\n    certificate-authority-data: '!'",
            "token: x",
            "certificate-authority-data",
        ),
        (
            "https://c.example\n    certificate-authority-data: aGVsbG8=",
            "token: x",
            "holds no certificate",
        ),
        (
            "https://c.example",
            "token: [hunter2]",
            "is no kubeconfig: line 14",
        ),
    ] {
        let kube = Kube::new(&kubeconfig(server, user));
        let fault = kube.fault("k8s://ci/signer");
        assert_eq!(
            (fault.code(), fault.class()),
            ("not-configured", FaultClass::Config),
            "{fault}"
        );
        assert!(fault.to_string().contains(says), "{says}: {fault}");
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
    }
    let mut kube = Kube::at("https://c.example");
    kube.settings.keys.k8s.context = Some("there".to_owned());
    assert!(
        kube.fault("k8s://ci/signer")
            .to_string()
            .contains("no context \"there\"")
    );
    kube.settings.keys.k8s = K8s {
        kubeconfig: Some(folder.join("config")),
        ..K8s::default()
    };
    assert!(
        kube.fault("k8s://ci/signer")
            .to_string()
            .contains("/nowhere/config")
    );
    // No kubeconfig, and no pod around us.
    kube.settings = Settings::default();
    assert!(
        kube.fault("k8s://ci/signer")
            .to_string()
            .contains("this is no pod")
    );
    let pod = [
        ("KUBERNETES_SERVICE_HOST", "fd00::1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
    ];
    kube.settings.environment = Environment::from(pod);
    kube.settings.keys.k8s.service_account = Some(folder.to_owned());
    assert!(
        kube.fault("k8s://ci/signer")
            .to_string()
            .contains("/nowhere/token")
    );
}

#[test]
fn kubeconfigs_are_merged_and_the_first_is_heard() {
    let server = Server::with(&cosigns());
    let mut kube = Kube::new(
        "current-context: here\ncontexts:\n- name: here\n  context: {cluster: c, user: u}\n",
    );
    let folder = kube.folder.path();
    let second = folder.join("second");
    std::fs::write(folder.join("token"), format!("{TOKEN}\n")).unwrap();
    std::fs::write(&second, kubeconfig(&server.address, "tokenFile: token")).unwrap();
    let list = format!("{0}/config:{0}/absent:{0}/second", folder.display());
    kube.settings.environment = Environment::from([("KUBECONFIG", list.as_str())]);
    run(kube.keys().trusted(&uri("k8s://ci/signer"))).unwrap();
    kube.settings.environment = Environment::from([("KUBECONFIG", "/nowhere/a:/nowhere/b")]);
    assert!(
        kube.fault("k8s://ci/signer")
            .to_string()
            .contains("none of the files")
    );
}
