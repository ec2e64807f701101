//! TLS with real registries: authorities of one's own, certificates that prove
//! nothing, client certificates; by way of a proxy, since what is on this
//! machine is spoken to without TLS unless somebody says otherwise.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};

use super::entering::{credentials, with_password};
use super::says_there_is_none;
use super::server::{DISTRIBUTION, Server, Setup};
use super::tokens::{NAME, PASSWORD};
use crate::harness::{Obreia, Output, Scratch, not_run, peer, testdata};

/// A name that is not this machine's.
const HOST: &str = "registry.test:5443";

/// A proxy that knows one way only: to a server of the test's.
struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// It lives as long as the test's process.
    fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (own, server) = (Arc::clone(&asked), server.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (own, server) = (Arc::clone(&own), server.clone());
                std::thread::spawn(move || tunnel(stream, &server, &own));
            }
        });
        Self { address, asked }
    }

    /// The first lines of what it was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn tunnel(stream: TcpStream, server: &str, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    asked.lock().unwrap().push(first.trim().to_owned());
    let mut line = first.clone();
    while !line.trim().is_empty() {
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
    let (mut to_client, mut from_client) = (stream, reader);
    if !first.starts_with("CONNECT ") {
        return to_client
            .write_all(b"HTTP/1.1 405 x\r\nContent-Length: 0\r\n\r\n")
            .ok();
    }
    let mut behind = TcpStream::connect(server).ok()?;
    to_client.write_all(b"HTTP/1.1 200 x\r\n\r\n").ok()?;
    let mut back = behind.try_clone().ok()?;
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut back, &mut to_client);
        let _closed = to_client.shutdown(Shutdown::Both);
    });
    let _ended = std::io::copy(&mut from_client, &mut behind);
    let _closed = behind.shutdown(Shutdown::Both);
    Some(())
}

/// Two authorities and what they signed.
struct Certificates {
    scratch: Scratch,
    openssl: std::path::PathBuf,
}

impl Certificates {
    fn new(scratch: &Scratch) -> Option<Self> {
        let made = Self {
            scratch: scratch.clone(),
            openssl: peer("openssl")?,
        };
        for name in ["ca", "stranger"] {
            made.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                 -subj /CN={name} -addext keyUsage=critical,keyCertSign -keyout {name}.key -out {name}.pem"
            ));
        }
        Some(made)
    }

    fn openssl(&self, line: &str) {
        let command = self.scratch.obreia().program(&self.openssl);
        command.args(line.split_whitespace()).run().ok();
    }

    /// `NAME.key` and `NAME.pem` for a host or an address, signed by `by`.
    fn leaf(&self, name: &str, by: &str, names: &str, more: &str) {
        self.scratch.write(
            "leaf.cnf",
            format!("basicConstraints=critical,CA:FALSE\nsubjectAltName={names}\n"),
        );
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        if more.is_empty() {
            self.openssl(&format!(
                "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2 -extfile leaf.cnf -out {name}.pem"
            ));
            return;
        }
        // As an authority with records does it, which may say when it ends.
        self.scratch.write("records", "");
        self.scratch.write("serial", "01\n");
        self.scratch.write(
            "ca.cnf",
            "[ca]\ndefault_ca=it\n[it]\ndatabase=records\nserial=serial\nnew_certs_dir=.\n\
             default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n",
        );
        self.openssl(&format!(
            "ca -config ca.cnf -batch -notext {more} -cert {by}.pem -keyfile {by}.key -extfile leaf.cnf -in {name}.csr -out {name}.pem"
        ));
    }

    fn setup(&self, leaf: &str, clients: &str) -> Setup {
        let at = |name: String| self.scratch.join(name).display().to_string();
        let mut tls = format!(
            "  tls:\n    certificate: {}\n    key: {}\n",
            at(format!("{leaf}.pem")),
            at(format!("{leaf}.key"))
        );
        if !clients.is_empty() {
            tls.push_str(&format!(
                "    clientcas:\n      - {}\n",
                at(format!("{clients}.pem"))
            ));
        }
        Setup {
            tls,
            ..Setup::default()
        }
    }
}

/// A place with an audit log, since keys are used.
fn configure(scratch: &Scratch, registries: &str) {
    if !scratch.join("made.toml").exists() {
        crate::keys::obreia(scratch, &["init", "."]).run().ok();
        scratch.write("made.toml", scratch.read("obreia.toml"));
    }
    let made = scratch.read_text("made.toml");
    scratch.write("obreia.toml", format!("{made}\n[registries]\n{registries}"));
}

fn through(scratch: &Scratch, proxy: &Proxy, args: &[&str]) -> Obreia {
    scratch
        .obreia()
        .args(args)
        .env("HTTPS_PROXY", &proxy.address)
        .env("https_proxy", &proxy.address)
}

fn push(scratch: &Scratch, proxy: &Proxy, host: &str) -> Output {
    scratch.write("app.bin", "hello");
    let name = format!("{host}/test/app:v1");
    through(scratch, proxy, &["push", "app.bin", &name, "-o", "json"]).run()
}

/// Undetermined, with the request, the reason and what to do; and no word of
/// signatures that are not there.
#[track_caller]
fn undetermined(out: &Output, words: &[&str]) {
    let said = out.expect_code(4).json();
    let code = [&said["code"], &said["reasons"][0]["code"]];
    assert!(
        code.iter().any(|code| **code == "registry-unreachable"),
        "{out}"
    );
    assert!(!says_there_is_none(out), "{out}");
    for word in words {
        out.says(word);
    }
}

#[test]
fn an_authority_of_ones_own_and_certificates_that_prove_nothing() {
    let public = testdata("keys/p256.pub.pem").display().to_string();
    let private = testdata("keys/p256.pkcs8.pem").display().to_string();
    for name in DISTRIBUTION {
        let scratch = Scratch::new();
        let Some(certificates) = Certificates::new(&scratch) else {
            return;
        };
        certificates.leaf("good", "ca", "DNS:registry.test", "");
        certificates.leaf("other", "ca", "DNS:other.test", "");
        let past = "-startdate 20200101000000Z -enddate 20200201000000Z";
        certificates.leaf("ended", "ca", "DNS:registry.test", past);
        let start = |leaf: &str| Server::with(name, &certificates.setup(leaf, ""));
        let Some(server) = start("good") else { return };
        let proxy = Proxy::to(&server.host);
        let verify = |proxy: &Proxy| {
            let at = format!("{HOST}/test/app:v1");
            let args = ["verify", &at, "--key", &public, "-o", "json"];
            through(&scratch, proxy, &args).run()
        };
        // Nobody said whose word counts; somebody else's does.
        for registries in ["", "authorities = [\"stranger.pem\"]\n"] {
            configure(&scratch, registries);
            let words = [
                "https://registry.test:5443/v2/",
                "does not prove who it is",
                "[registries] authorities",
            ];
            undetermined(&push(&scratch, &proxy, HOST), &words);
            undetermined(&verify(&proxy), &words);
        }
        configure(&scratch, "authorities = [\"ca.pem\"]\n");
        push(&scratch, &proxy, HOST).ok();
        let at = format!("{HOST}/test/app:v1");
        through(&scratch, &proxy, &["sign", &at, "--key", &private])
            .run()
            .ok();
        verify(&proxy).ok();
        through(&scratch, &proxy, &["doctor", "registry", &at, "--write"])
            .run()
            .ok()
            .stdout_has("https://registry.test:5443");
        // The proxy sees where to, and nothing else.
        let asked = proxy.asked();
        let expected = "CONNECT registry.test:5443 HTTP/1.1";
        assert!(
            !asked.is_empty() && asked.iter().all(|line| line == expected),
            "{asked:?}"
        );
        for leaf in ["other", "ended"] {
            let Some(server) = start(leaf) else { return };
            let proxy = Proxy::to(&server.host);
            let words = ["does not prove who it is"];
            undetermined(&push(&scratch, &proxy, HOST), &words);
            undetermined(&verify(&proxy), &words);
        }
        println!(
            "| {name} | TLS, own authority, by a proxy | push, sign, verify; unknown, other name, expired refused | holds |"
        );
    }
    // What is configured and cannot be used.
    let scratch = Scratch::new();
    let proxy = Proxy::to("127.0.0.1:9");
    scratch.write("bad.pem", "none");
    for file in ["bad.pem", "nowhere.pem"] {
        configure(&scratch, &format!("authorities = [\"{file}\"]\n"));
        push(&scratch, &proxy, HOST)
            .expect_code(3)
            .says("[registries]");
    }
    configure(&scratch, "plain_http = [\"a.test\"]\ntls = [\"a.test\"]\n");
    push(&scratch, &proxy, "a.test")
        .expect_code(3)
        .says("and in tls");
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn a_client_certificate_where_one_is_wanted() {
    for name in DISTRIBUTION {
        let scratch = Scratch::new();
        let Some(certificates) = Certificates::new(&scratch) else {
            return;
        };
        certificates.leaf("good", "ca", "DNS:registry.test", "");
        certificates.leaf("client", "ca", "DNS:client.test", "");
        certificates.leaf("foreign", "stranger", "DNS:client.test", "");
        let setup = certificates.setup("good", "ca");
        let Some(server) = Server::with(name, &setup) else {
            return;
        };
        let proxy = Proxy::to(&server.host);
        let client = |name: &str| {
            format!(
                "authorities = [\"ca.pem\"]\n[registries.client.\"{HOST}\"]\ncertificate = \"{name}.pem\"\nkey = {{ file = \"{name}.key\" }}\n"
            )
        };
        configure(&scratch, "authorities = [\"ca.pem\"]\n");
        let out = push(&scratch, &proxy, HOST);
        undetermined(
            &out,
            &["https://registry.test:5443/v2/", "[registries.client.\\\""],
        );
        configure(&scratch, &client("foreign"));
        undetermined(&push(&scratch, &proxy, HOST), &["[registries.client.\\\""]);
        configure(&scratch, &client("client"));
        push(&scratch, &proxy, HOST).ok();
        configure(&scratch, &client("absent"));
        push(&scratch, &proxy, HOST).expect_code(3);
        // A certificate and somebody else's key.
        let mixed = client("client").replace("client.key", "good.key");
        configure(&scratch, &mixed);
        push(&scratch, &proxy, HOST).expect_code(3);
        println!("| {name} | TLS, client certificate | none, foreign and own | holds |");
    }
}

#[test]
fn tls_on_this_machine_is_spoken_where_that_is_said() {
    let scratch = Scratch::new();
    let Some(certificates) = Certificates::new(&scratch) else {
        return;
    };
    certificates.leaf("good", "ca", "IP:127.0.0.1", "");
    let setup = certificates.setup("good", "");
    let Some(server) = Server::with("docker-registry", &setup) else {
        return;
    };
    let proxy = Proxy::to("127.0.0.1:9");
    configure(&scratch, "authorities = [\"ca.pem\"]\n");
    undetermined(
        &push(&scratch, &proxy, &server.host),
        &["speaks TLS", "[registries] tls"],
    );
    let tls = format!("authorities = [\"ca.pem\"]\ntls = [\"{}\"]\n", server.host);
    configure(&scratch, &tls);
    push(&scratch, &proxy, &server.host).ok();
    configure(&scratch, &tls.replace("ca.pem", "stranger.pem"));
    undetermined(
        &push(&scratch, &proxy, &server.host),
        &["does not prove who it is"],
    );
    // What stays on this machine is no proxy's business.
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn without_tls_nobody_else_is_spoken_to_unless_that_is_said() {
    let scratch = Scratch::new();
    let Some(setup) = with_password(&scratch) else {
        return;
    };
    let Some(server) = Server::with("docker-registry", &setup) else {
        return;
    };
    let proxy = Proxy::to(&server.host);
    scratch.write("auth.json", credentials(HOST, NAME, PASSWORD));
    scratch.write("app.bin", "hello");
    let name = format!("{HOST}/test/app:v1");
    let args = [
        "push",
        "app.bin",
        &name,
        "--registry-auth",
        "auth.json",
        "-o",
        "json",
    ];
    let out = through(&scratch, &proxy, &args).run();
    undetermined(&out, &["no TLS connection", "--plain-http"]);
    assert!(!out.to_string().contains(PASSWORD), "{out}");
    // With the flag, at an address that is this machine's and not loopback.
    let Some(own) = own_address() else {
        return not_run("this machine has no address but loopback");
    };
    let setup = Setup {
        address: own.clone(),
        ..setup
    };
    let Some(server) = Server::with("docker-registry", &setup) else {
        return;
    };
    scratch.write("auth.json", credentials(&server.host, NAME, PASSWORD));
    let name = format!("{}/test/app:v1", server.host);
    let args = [
        "push",
        "app.bin",
        &name,
        "--registry-auth",
        "auth.json",
        "-o",
        "json",
    ];
    let run = |more: &[&str]| {
        scratch
            .obreia()
            .args(args)
            .args(more)
            .env("NO_PROXY", &own)
            .run()
    };
    undetermined(&run(&[]), &["no TLS connection", "--plain-http"]);
    run(&["--plain-http", &server.host]).ok();
    let doctor = [
        "doctor",
        "registry",
        &name,
        "--registry-auth",
        "auth.json",
        "--plain-http",
        &server.host,
    ];
    scratch
        .obreia()
        .args(doctor)
        .run()
        .ok()
        .stdout_has("warning[no-tls]");
    configure(&scratch, &format!("plain_http = [\"{}\"]\n", server.host));
    run(&[]).ok();
}

/// An address by which others may reach this machine. Nothing is sent.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    let other = !address.is_loopback() && !address.is_unspecified();
    let free = TcpListener::bind((address, 0)).is_ok();
    (other && free).then(|| address.to_string())
}
