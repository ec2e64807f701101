//! Where credentials and regions come from, and whom they are shown to.

use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::stand_in::{StandIn, head};
use super::{ACCESS_KEY, Case, KEY, Kind, REGION, SECRET_KEY, refused};
use crate::harness::{Scratch, peer};

#[test]
fn a_profile_gives_region_and_credentials() {
    let case = Case::new();
    let home = case.scratch.home();
    std::fs::create_dir(home.join(".aws")).unwrap();
    let write =
        |name: &str, text: String| std::fs::write(home.join(".aws").join(name), text).unwrap();
    write(
        "credentials",
        format!(
            "[signer]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
        ),
    );
    write(
        "config",
        format!(
            "[profile signer]\nregion = {REGION}\nendpoint_url = {}\n",
            case.server.url()
        ),
    );
    let sign = |args: &[&str]| {
        let base = ["sign", "f", "--key", KEY, "--force", "-o", "json"];
        case.scratch
            .obreia()
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args([&base[..], args].concat())
    };
    sign(&[]).env("AWS_PROFILE", "signer").run().ok();
    // Configured, it comes before credentials in the environment.
    case.configure("profile = \"signer\"");
    sign(&[])
        .env("AWS_ACCESS_KEY_ID", "AKIDOFSOMEBODYELSE00")
        .env("AWS_SECRET_ACCESS_KEY", "not the right one")
        .run()
        .ok();
    case.configure("profile = \"absent\"");
    let out = sign(&[]).env("AWS_REGION", REGION).run();
    refused(&out, 5, "kms-login");
}

#[test]
fn a_program_that_gives_credentials_is_asked_and_not_quoted() {
    let case = Case::new();
    let home = case.scratch.home();
    std::fs::create_dir(home.join(".aws")).unwrap();
    let config = |program: &str| {
        let text = format!("[default]\ncredential_process = {program}\n");
        std::fs::write(home.join(".aws/config"), text).unwrap();
    };
    let given = case.scratch.write(
        "given.json",
        format!("{{\"Version\":1,\"AccessKeyId\":\"{ACCESS_KEY}\",\"SecretAccessKey\":\"{SECRET_KEY}\"}}"),
    );
    config(&format!("cat {}", given.display()));
    let args = ["sign", "f", "--key", KEY, "--force", "-o", "json"];
    case.anonymous(&args).run().ok();
    let script = case
        .scratch
        .write("fail.sh", "echo it is THE-SECRET >&2; exit 3\n");
    config(&format!("sh {}", script.display()));
    let out = case.anonymous(&args).run();
    refused(&out, 5, "kms-login");
    out.stdout_lacks("THE-SECRET").stderr_lacks("THE-SECRET");
}

#[test]
fn the_instance_gives_credentials_where_nobody_else_does() {
    let case = Case::new();
    let (url, asked) = metadata_service();
    let out = case
        .anonymous(&["sign", "f", "--key", KEY, "-o", "json"])
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url)
        .run();
    out.ok();
    let asked = asked.lock().unwrap();
    // By the second version of the protocol: a token first.
    assert!(asked[0].starts_with("PUT /latest/api/token"), "{asked:?}");
    let calls = case.server.calls();
    assert_eq!(calls[0].headers["x-amz-security-token"], "OF-THE-INSTANCE");
}

/// An instance's metadata service with a role.
fn metadata_service() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                while let Some(lines) = head(&mut stream) {
                    let line = lines[0].clone();
                    let role = "/latest/meta-data/iam/security-credentials";
                    let (status, body) = if line.starts_with("PUT /latest/api/token") {
                        (200, "a-token".to_owned())
                    } else if line.starts_with(&format!("GET {role}/the-role ")) {
                        let expires = "2099-01-01T00:00:00Z";
                        (
                            200,
                            serde_json::json!({
                                "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                                "AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY,
                                "Token": "OF-THE-INSTANCE", "Expiration": expires,
                            })
                            .to_string(),
                        )
                    } else if line.starts_with(&format!("GET {role}")) {
                        (200, "the-role".to_owned())
                    } else {
                        (404, String::new())
                    };
                    log.lock().unwrap().push(line);
                    let answer = format!(
                        "HTTP/1.1 {status} X\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, asked)
}

#[test]
fn without_credentials_or_region_it_says_what_to_set() {
    let case = Case::new();
    let args = ["sign", "f", "--key", KEY, "-o", "json"];
    let out = case.anonymous(&args).run();
    refused(&out, 5, "kms-login");
    out.says("none were found");
    let out = case.obreia(&args).without_env("AWS_REGION").run();
    refused(&out, 3, "not-configured");
    out.says("AWS_REGION");
    assert!(case.server.asked().is_empty());
}

#[test]
fn wrong_credentials_are_refused_by_the_signature() {
    let case = Case::new();
    let out = case
        .obreia(&["sign", "f", "--key", KEY, "-o", "json"])
        .env("AWS_SECRET_ACCESS_KEY", "another secret")
        .run();
    refused(&out, 5, "kms-login");
    out.stdout_lacks("another secret")
        .stderr_lacks("another secret");
    case.server.forgive();
}

/// An authority, and a certificate of its making for `name`.
struct Tls {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

fn tls(scratch: &Scratch, name: &str) -> Tls {
    let openssl = peer("openssl").expect("a system program is never left out");
    let run = |args: &[&str]| {
        let curve = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        scratch
            .obreia()
            .program(&openssl)
            .args(["req", "-x509", "-days", "2"])
            .args(curve)
            .args(args)
            .run()
            .ok();
    };
    run(&[
        "-subj",
        "/CN=authority",
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    ]);
    let san = format!("subjectAltName={name}");
    run(&[
        "-subj",
        "/CN=server",
        "-keyout",
        "tls.key",
        "-out",
        "tls.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-addext",
        &san,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-addext",
        "extendedKeyUsage=serverAuth",
    ]);
    Tls {
        authority: scratch.join("ca.pem"),
        certificate: scratch.join("tls.pem"),
        key: scratch.join("tls.key"),
    }
}

#[test]
fn an_endpoint_in_the_name_is_spoken_to_by_https() {
    let scratch = Scratch::new();
    let tls = tls(&scratch, "IP:127.0.0.1");
    let case = Case::of(StandIn::start_tls(&tls.certificate, &tls.key), Kind::P256);
    let key = format!("awskms://{}/alias/k", case.server.host());
    let sign = |key: &str| {
        case.obreia(&["sign", "f", "--key", key, "--force", "-o", "json"])
            .without_env("AWS_ENDPOINT_URL_KMS")
    };
    // An authority that nobody vouches for.
    let out = sign(&key).run();
    refused(&out, 4, "kms-tls");
    assert!(case.server.asked().is_empty());
    sign(&key).env("AWS_CA_BUNDLE", &tls.authority).run().ok();
    case.configure(&format!("ca = \"{}\"", tls.authority.display()));
    sign(&key).run().ok();
    // Another name than the certificate's.
    let key = format!("awskms://localhost:{}/alias/k", case.server.port());
    case.server.asked();
    let out = sign(&key).run();
    refused(&out, 4, "kms-tls");
    assert!(case.server.asked().is_empty());
    case.configure("ca = \"absent.pem\"");
    refused(&sign(&key).run(), 3, "not-configured");
}

pub(super) fn loopback_tls(scratch: &Scratch) -> (PathBuf, PathBuf, PathBuf) {
    let tls = tls(scratch, "IP:127.0.0.1,DNS:localhost");
    (tls.authority, tls.certificate, tls.key)
}
