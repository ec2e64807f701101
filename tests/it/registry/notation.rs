//! Notation signs and obreia verifies, in every registry; timestamps are
//! OpenSSL's, which Notation looks at before it keeps them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use rcgen::date_time_ymd;
use serde_json::json;

use super::put_image;
use super::server::{ALL, Server};
use crate::harness::notary::{For, Party, params};
use crate::harness::{Output, Scratch, peer};

const KEY: &str = "acme.example";
const SUBJECT: &str = "C=US, ST=WA, L=Seattle, O=Notary, CN=acme.example";

struct Case {
    scratch: Scratch,
    notation: PathBuf,
    server: Server,
    registry: &'static str,
}

impl Case {
    fn new(registry: &'static str) -> Option<Self> {
        let notation = peer("notation")?;
        let case = Self {
            scratch: Scratch::new(),
            notation,
            server: Server::start(registry)?,
            registry,
        };
        case.notation(&["cert", "generate-test", KEY]).ok();
        Some(case)
    }

    fn image(&self, tag: &str) -> String {
        let digest = put_image(&self.server.host, "test/app", tag);
        format!("{}/test/app@{digest}", self.server.host)
    }

    fn notation(&self, args: &[&str]) -> Output {
        self.scratch
            .obreia()
            .program(&self.notation)
            .env("XDG_CONFIG_HOME", self.scratch.path().join("config"))
            .args(args)
            .run()
    }

    fn they_sign(&self, image: &str, format: &str, more: &[&str]) {
        let args = [
            "sign",
            "--insecure-registry",
            "--force-referrers-tag=false",
            "--signature-format",
            format,
            "--key",
            KEY,
            image,
        ];
        self.notation(&[&args, more].concat()).ok();
    }

    fn we_verify(&self, image: &str, more: &[&str]) -> Output {
        let root = format!("config/notation/localkeys/{KEY}.crt");
        let args = [
            "verify",
            image,
            "--certificate-roots",
            &root,
            "--certificate-subject",
            SUBJECT,
            "-o",
            "json",
        ];
        self.scratch.obreia().args([&args, more].concat()).run()
    }

    fn row(&self, what: &str) {
        println!("| {} | {what} | notation → ours | holds |", self.registry);
    }
}

#[test]
fn what_notation_signs_is_verified() {
    for registry in ALL {
        let Some(case) = Case::new(registry) else {
            return;
        };
        for (format, name) in [("jws", "JWS"), ("cose", "COSE")] {
            let image = case.image(format);
            case.we_verify(&image, &[])
                .expect_code(1)
                .stdout_has("no-signature");
            case.they_sign(&image, format, &["--user-metadata", "stage=prod"]);
            let said = case.we_verify(&image, &[]).ok().json();
            assert_eq!(said["evidence"][0]["verified"], true, "{said}");
            // Another signer's certificate is not this one's.
            let other = ["--at", "2200-01-01T00:00:00Z"];
            case.we_verify(&image, &other)
                .expect_code(1)
                .stdout_has("certificate-expired");
            case.row(&format!("signature, Notation {name}"));
        }
        let image = case.image("ends");
        case.they_sign(&image, "jws", &["--expiry", "1h"]);
        case.we_verify(&image, &[]).ok();
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
        let at = ["--at", &later.to_string()];
        case.we_verify(&image, &at)
            .expect_code(1)
            .stdout_has("signature-expired");
        case.row("signature that ends, Notation JWS");
    }
}

#[test]
fn timestamps_that_notation_keeps_are_verified() {
    let (Some(case), Some(openssl)) = (Case::new("registry"), peer("openssl")) else {
        return;
    };
    // By the clock: OpenSSL takes no other time.
    let valid = |name, purpose| {
        let mut params = params(name, purpose);
        params.not_after = date_time_ymd(2200, 1, 1);
        params
    };
    let root = Party::alone(valid("time root", For::Issuing));
    let time = root.issue(valid("time", For::Time));
    case.scratch.write("time-root.pem", root.pem());
    case.scratch.write("time.pem", time.pem());
    case.scratch.write("time.key", time.key_pem());
    case.scratch.write("other.pem", Party::root("other").pem());
    case.scratch.write("ts.cnf", TS);
    let service = Service::start(openssl, case.scratch.path().to_owned());
    let stamped = [
        "--timestamp-url",
        &service,
        "--timestamp-root-cert",
        "time-root.pem",
    ];
    let policy = json!({"apiVersion": "obreia/v1", "kind": "VerificationPolicy",
        "metadata": {"name": "timed"}, "spec": {"match": [{"kind": "image"}],
        "authorities": [{"name": "acme", "certificates": {
            "roots": [format!("config/notation/localkeys/{KEY}.crt")],
            "timestampRoots": ["time-root.pem"], "subjects": [SUBJECT]}}],
        "signatures": {"formats": ["notation"], "maxAge": "1h"},
        "time": {"require": "signed"}}});
    case.scratch.write("timed.yaml", policy.to_string());
    for (format, name) in [("jws", "JWS"), ("cose", "COSE")] {
        let image = case.image(format);
        let verify = ["verify", &image, "--policy", "timed.yaml"];
        let timed = || case.scratch.obreia().args(verify).run();
        case.they_sign(&image, format, &[]);
        timed().expect_code(1).stdout_has("time-untrusted");
        case.they_sign(&image, format, &stamped);
        timed().ok();
        let wrong = ["--timestamp-roots", "other.pem"];
        let said = case.we_verify(&image, &wrong).ok().json();
        let of_stamped = said["evidence"].as_array().unwrap().iter();
        let told = of_stamped.filter(|one| one["reasons"][0]["code"] == "timestamp-not-trusted");
        assert_eq!(told.count(), 1, "{said}");
        case.row(&format!(
            "signature with a timestamp of OpenSSL's, Notation {name}"
        ));
    }
}

/// Without an accuracy: the certificates may have begun in the same second.
const TS: &str = "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_digest = sha256\n\
default_policy = 1.2.3.4.1\ndigests = sha256, sha384, sha512\nordering = no\n\
tsa_name = no\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n";

/// A timestamp service: each request is OpenSSL's to answer.
struct Service;

impl Service {
    /// Its address. It ends with the tests' process.
    fn start(openssl: PathBuf, dir: PathBuf) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                let mut line = String::new();
                while reader.read_line(&mut line).unwrap() > 2 {
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut query = vec![0; length];
                reader.read_exact(&mut query).unwrap();
                std::fs::write(dir.join("query"), query).unwrap();
                let answered = Command::new(&openssl)
                    .current_dir(&dir)
                    .args(["ts", "-reply", "-config", "ts.cnf", "-section", "t"])
                    .args(["-queryfile", "query", "-signer", "time.pem"])
                    .args([
                        "-inkey",
                        "time.key",
                        "-chain",
                        "time-root.pem",
                        "-out",
                        "reply",
                    ])
                    .output()
                    .unwrap();
                assert!(answered.status.success(), "{answered:?}");
                let reply = std::fs::read(dir.join("reply")).unwrap();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n",
                    reply.len()
                )
                .unwrap();
                stream.write_all(&reply).unwrap();
            }
        });
        address
    }
}
