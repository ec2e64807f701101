//! A real OpenBao server of the tests' own. It ends with the process that
//! started it, however that ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const ROOT: &str = "root-token-of-the-tests";

pub(crate) struct Bao {
    program: PathBuf,
    /// `host:port`.
    pub(crate) host: String,
    /// What may do everything.
    pub(crate) token: String,
    /// `host:port` of the listener that speaks TLS.
    pub(crate) tls: String,
    dir: TempDir,
    child: Child,
}

impl Bao {
    /// In memory, unsealed, with transit engines at `transit/` and `second/`.
    pub(crate) fn dev(program: &Path) -> Self {
        let bao = Self::start(program, &dev_flags);
        bao.until(|health| health == Some(200));
        for mount in ["transit", "second"] {
            bao.admin(
                "PUT",
                &format!("sys/mounts/{mount}"),
                &json!({"type": "transit"}),
            );
        }
        bao
    }

    /// As [`Bao::dev`], and with a second listener that speaks TLS, has a
    /// certificate for `localhost` alone, and looks at clients' certificates.
    /// `ca.pem`, `client.pem` and `client.key` lie in [`Bao::folder`].
    pub(crate) fn with_tls(program: &Path, openssl: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        certificates(openssl, dir.path());
        let at = |name: &str| dir.path().join(name).display().to_string();
        let tls = free();
        let config = dir.path().join("bao.hcl");
        let text = format!(
            "listener \"tcp\" {{\n address = \"{tls}\"\n tls_cert_file = {:?}\n \
             tls_key_file = {:?}\n tls_client_ca_file = {:?}\n}}\n",
            at("server.pem"),
            at("server.key"),
            at("ca.pem")
        );
        std::fs::write(&config, text).unwrap();
        let flags = |host: &str| {
            let mut flags = dev_flags(host);
            flags.push(format!("-config={}", config.display()));
            flags
        };
        let mut bao = Self::start(program, &flags);
        bao.until(|health| health == Some(200));
        bao.admin("PUT", "sys/mounts/transit", &json!({"type": "transit"}));
        bao.dir = dir;
        bao.tls = tls;
        bao
    }

    /// What lies beside it.
    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// On the disk, as an operator starts one: neither initialised nor unsealed.
    pub(crate) fn on_disk(program: &Path) -> Self {
        let config = |host: &str, dir: &Path, cluster: &str| {
            format!(
                "storage \"raft\" {{\n path = {dir:?}\n node_id = \"a\"\n}}\n\
                 listener \"tcp\" {{\n address = \"{host}\"\n tls_disable = true\n}}\n\
                 api_addr = \"http://{host}\"\ncluster_addr = \"http://{cluster}\"\n"
            )
        };
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let file = dir.path().join("bao.hcl");
        let flags = |host: &str| {
            std::fs::write(&file, config(host, &data, &free())).unwrap();
            vec!["server".to_owned(), format!("-config={}", file.display())]
        };
        let mut bao = Self::start(program, &flags);
        bao.dir = dir;
        bao.until(|health| health == Some(501));
        bao
    }

    /// Makes its keys; returns the one that unseals.
    pub(crate) fn initialise(&mut self) -> String {
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let made = self.admin("PUT", "sys/init", &shares);
        self.token = made["root_token"].as_str().unwrap().to_owned();
        made["keys"][0].as_str().unwrap().to_owned()
    }

    pub(crate) fn unseal(&self, key: &str) {
        self.admin("PUT", "sys/unseal", &json!({ "key": key }));
        self.until(|health| health == Some(200));
    }

    fn start(program: &Path, flags: &dyn Fn(&str) -> Vec<String>) -> Self {
        let host = free();
        let dir = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        // The shell reads until we are gone, and takes the server with it.
        let child = Command::new("sh")
            .args(["-c", "\"$@\" & pid=$!; cat; kill -9 $pid", "sh"])
            .arg(program)
            .args(flags(&host))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            program: program.to_owned(),
            host,
            token: ROOT.to_owned(),
            tls: String::new(),
            dir,
            child,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Waits until its health is as wanted.
    fn until(&self, wanted: impl Fn(Option<u16>) -> bool) {
        let begun = Instant::now();
        loop {
            let health = ask(&self.host, "GET", "sys/health", None, None).ok();
            if wanted(health.map(|(status, _)| status)) {
                return;
            }
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{} does not come up: {log}",
                self.program.display()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Does something as the operator; what it answers.
    #[track_caller]
    pub(crate) fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.try_as(&self.token, method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    pub(crate) fn try_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        ask(&self.host, method, path, Some(token), body.as_deref()).unwrap()
    }

    /// A key in `transit/`.
    pub(crate) fn key(&self, name: &str, kind: &str) {
        self.admin(
            "PUT",
            &format!("transit/keys/{name}"),
            &json!({ "type": kind }),
        );
    }

    pub(crate) fn rotate(&self, name: &str) {
        self.admin("PUT", &format!("transit/keys/{name}/rotate"), &json!({}));
    }

    /// A token that may do what the policy says.
    pub(crate) fn token(&self, policy: &str, more: Value) -> String {
        let name = format!("p{}", fingerprint(policy));
        self.admin(
            "PUT",
            &format!("sys/policies/acl/{name}"),
            &json!({ "policy": policy }),
        );
        let mut body = json!({ "policies": [name] });
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        let made = self.admin("PUT", "auth/token/create", &body);
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

impl Drop for Bao {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

fn dev_flags(host: &str) -> Vec<String> {
    vec![
        "server".to_owned(),
        "-dev".to_owned(),
        "-dev-no-store-token".to_owned(),
        format!("-dev-root-token-id={ROOT}"),
        format!("-dev-listen-address={host}"),
    ]
}

/// An authority, and what it signed: a server's and a client's certificate.
fn certificates(openssl: &Path, dir: &Path) {
    let run = |args: &[&str]| {
        let done = Command::new(openssl)
            .args(args)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let ca = [
        "req", "-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem",
    ];
    run(&[&ca[..], &key].concat());
    for (name, extension) in [
        ("server", "subjectAltName=DNS:localhost"),
        ("client", "extendedKeyUsage=clientAuth"),
    ] {
        let (file, request, out) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
        );
        let subject = format!("/CN={name}");
        let make = [
            "req", "-subj", &subject, "-addext", extension, "-keyout", &file, "-out", &request,
        ];
        run(&[&make[..], &key].concat());
        run(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &request,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-copy_extensions",
            "copy",
            "-out",
            &out,
        ]);
    }
}

fn fingerprint(text: &str) -> String {
    let sum = text.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    format!("{sum:x}")
}

fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// One request, as plain as can be; status and body.
pub(crate) fn ask(
    host: &str,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&str>,
) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let body = body.unwrap_or_default();
    // HTTP/1.0: the answer ends with the connection, and comes in no chunks.
    write!(
        stream,
        "{method} /v1/{path} HTTP/1.0\r\nHost: {host}\r\nX-Vault-Request: true\r\n{}Content-Length: {}\r\n\r\n{body}",
        token.map_or_else(String::new, |t| format!("X-Vault-Token: {t}\r\n")),
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    Ok((status.unwrap_or_default(), body))
}
