//! `k8s://NAMESPACE/SECRET` against an API server that proves who it is and
//! asks who is there.

mod server;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{place, records};
use crate::harness::{Obreia, Scratch, peer, testdata};
use crate::interop::cosign_verifies;
pub(super) use server::{Server, TOKEN};

pub(super) const KEY: &str = "k8s://ci/signer";
const PATH: &str = "/api/v1/namespaces/ci/secrets/signer";

/// A cluster's authority, its server's certificate and a client's, as `openssl`
/// makes them.
fn certificates(scratch: &Scratch) {
    let openssl = peer("openssl").expect("a system program is never left out");
    let run = |args: &str| {
        scratch
            .obreia()
            .program(&openssl)
            .args(args.split(' '))
            .run()
            .ok();
    };
    for (name, extension) in [
        ("ca", "basicConstraints=critical,CA:TRUE"),
        ("other", "basicConstraints=critical,CA:TRUE"),
    ] {
        run(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name} -addext {extension}"
        ));
    }
    for (name, alternative) in [
        ("server", "IP:127.0.0.1"),
        ("elsewhere", "DNS:elsewhere.example"),
        ("client", "DNS:client"),
    ] {
        scratch.write("ext", format!("subjectAltName={alternative}\n"));
        run(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        run(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2 -extfile ext"
        ));
    }
}

fn secret() -> serde_json::Value {
    let part = |name: &str| STANDARD.encode(std::fs::read(testdata("keys").join(name)).unwrap());
    json!({"kind": "Secret", "apiVersion": "v1", "data": {
        "cosign.key": part("cosign.key"),
        "cosign.pub": part("cosign.pub"),
        "cosign.password": STANDARD.encode("throw-away"),
    }})
}

/// A keystore's folder with a file to sign, the certificates, and a running server.
pub(super) fn cluster(certificate: &str) -> (Scratch, Server) {
    let scratch = place();
    scratch.write("f", "some bytes");
    certificates(&scratch);
    let server = Server::start(&scratch.path(), certificate, PATH, &secret());
    (scratch, server)
}

pub(super) fn kubeconfig(scratch: &Scratch, server: &Server, authority: &str, user: &str) {
    let text = format!(
        "current-context: here\n\
         contexts: [{{name: here, context: {{cluster: c, user: u}}}}]\n\
         clusters:\n- name: c\n  cluster: {{server: '{}', certificate-authority: {authority}.pem}}\n\
         users:\n- name: u\n  user: {user}\n",
        server.address
    );
    scratch.write("kubeconfig", text);
}

pub(super) fn with(scratch: &Scratch, args: &[&str]) -> Obreia {
    scratch
        .obreia()
        .env("KUBECONFIG", scratch.join("kubeconfig"))
        .args(args)
}

const SIGN: &[&str] = &["sign", "f", "--key", KEY, "-o", "json", "--force"];
const VERIFY: &[&str] = &["verify", "f", "--key", KEY, "-o", "json"];

#[test]
fn a_secret_signs_and_is_asked_for_once() {
    let (scratch, server) = cluster("server");
    kubeconfig(&scratch, &server, "ca", &format!("{{token: {TOKEN}}}"));
    with(&scratch, SIGN).run().ok();
    assert_eq!(server.asked(), [PATH]);
    with(&scratch, VERIFY).run().ok();
    with(&scratch, VERIFY).arg("--offline").run().ok();
    assert!(server.asked().is_empty());
    let public = testdata("keys").join("cosign.pub");
    let args = ["verify", "f", "--key", public.to_str().unwrap()];
    with(&scratch, &args).run().ok();
    let last = records(&scratch).pop().unwrap();
    assert_eq!(
        (&last["provider"], &last["key"]["path"]),
        (&json!("k8s"), &json!(KEY))
    );
    assert_eq!(last["result"], "ok");
}

#[test]
fn what_one_cluster_showed_is_not_believed_of_another() {
    let (scratch, server) = cluster("server");
    let user = format!("{{token: {TOKEN}}}");
    kubeconfig(&scratch, &server, "ca", &user);
    with(&scratch, SIGN).run().ok();
    with(&scratch, VERIFY).run().ok();
    // Another key goes by the same name there.
    let pem = std::fs::read(testdata("keys").join("p256.pkcs8.pem")).unwrap();
    let other = json!({"kind": "Secret", "apiVersion": "v1", "data": {
        "cosign.key": STANDARD.encode(pem),
    }});
    let there = Server::start(&scratch.path(), "server", PATH, &other);
    kubeconfig(&scratch, &there, "ca", &user);
    let unknown = with(&scratch, VERIFY).arg("--offline").run();
    assert_eq!(unknown.expect_code(4).json()["code"], "offline");
    with(&scratch, VERIFY).run().expect_code(1);
    assert_eq!(there.asked(), [PATH]);
    with(&scratch, SIGN).run().ok();
    with(&scratch, VERIFY).run().ok();
    // Nor did its note end the first one's.
    kubeconfig(&scratch, &server, "ca", &user);
    server.asked();
    with(&scratch, VERIFY).run().expect_code(1);
    with(&scratch, SIGN).run().ok();
    with(&scratch, VERIFY).arg("--offline").run().ok();
}

#[test]
fn cosign_verifies_what_a_secret_signs() {
    let (scratch, server) = cluster("server");
    kubeconfig(&scratch, &server, "ca", &format!("{{token: {TOKEN}}}"));
    let public = std::fs::read(testdata("keys").join("cosign.pub")).unwrap();
    scratch.write("k.pub", public);
    cosign_verifies(&scratch, KEY, &[], &|args| with(&scratch, args).run());
}

#[test]
fn a_client_certificate_proves_who_asks_too() {
    let (scratch, server) = cluster("server");
    kubeconfig(
        &scratch,
        &server,
        "ca",
        "{client-certificate: client.pem, client-key: client.key}",
    );
    with(&scratch, SIGN).run().ok();
    assert_eq!(server.asked(), [PATH]);
}

#[test]
fn inside_a_pod_the_service_account_is_used() {
    let (scratch, server) = cluster("server");
    scratch.write("account/token", format!("{TOKEN}\n"));
    scratch.write("account/ca.crt", scratch.read("ca.pem"));
    let config = scratch.read_text("obreia.toml");
    let account = "\n[keys.k8s]\nservice-account = \"account\"\n";
    scratch.write("obreia.toml", format!("{config}{account}"));
    let (host, port) = server
        .address
        .trim_start_matches("https://")
        .rsplit_once(':')
        .unwrap();
    scratch
        .obreia()
        .env("KUBERNETES_SERVICE_HOST", host)
        .env("KUBERNETES_SERVICE_PORT", port)
        .args(SIGN)
        .run()
        .ok();
    assert_eq!(server.asked(), [PATH]);
}

#[test]
fn a_server_that_is_not_the_one_gets_no_token() {
    for (certificate, authority) in [("server", "other"), ("elsewhere", "ca")] {
        let (scratch, server) = cluster(certificate);
        kubeconfig(&scratch, &server, authority, &format!("{{token: {TOKEN}}}"));
        for args in [SIGN, VERIFY] {
            scratch.write("f.sigstore.json", "{}");
            let out = with(&scratch, args).run();
            out.fails("kms-tls", "give the authority that signed its certificate");
            out.stderr_lacks(TOKEN);
        }
        assert!(server.asked().is_empty());
    }
}

#[test]
fn who_may_not_is_told_so() {
    let (scratch, server) = cluster("server");
    let code = |user: &str, key: &str, exit: i32| {
        kubeconfig(&scratch, &server, "ca", user);
        let out = with(&scratch, &["sign", "f", "--key", key, "-o", "json"]).run();
        out.stderr_lacks("let-me-in").stderr_lacks("throw-away");
        out.expect_code(exit).json()["code"].clone()
    };
    assert_eq!(code("{token: wrong-token}", KEY, 5), "kms-login");
    assert_eq!(code("{}", KEY, 5), "kms-login");
    let token = format!("{{token: {TOKEN}}}");
    assert_eq!(code(&token, "k8s://ci/forbidden", 5), "kms-refused");
    assert_eq!(code(&token, "k8s://ci/absent", 3), "no-such-key");
    assert_eq!(code(&token, "k8s://ci/elsewhere", 4), "provider-failed");
    assert_eq!(code(&token, "k8s://ci", 2), "bad-request");
    let exec =
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: aws-iam-authenticator}}";
    assert_eq!(code(exec, KEY, 3), "not-configured");
    with(&scratch, SIGN)
        .run()
        .stderr_has("running \"aws-iam-authenticator\" (exec)");
    scratch
        .obreia()
        .args(SIGN)
        .run()
        .expect_code(3)
        .stderr_has("this is no pod");
    assert!(!scratch.join("f.sigstore.json").exists());
}
