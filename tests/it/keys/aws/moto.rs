//! moto's server: what we make there, AWS' own command line finds, and the
//! other way round. It signs the digest of a digest, which is how a signature
//! that does not verify looks from outside.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{refused, stand_in};
use crate::harness::{Obreia, Scratch, peer};

/// A server that ends with this value, and with this process however it ends.
struct Moto {
    process: Child,
    url: String,
    scratch: Scratch,
}

impl Moto {
    /// `None` in a quick run.
    fn start() -> Option<Self> {
        let server = peer("moto_server")?;
        let scratch = super::place();
        scratch.write("f", b"some bytes\n");
        let port = stand_in::closed_port();
        // The shell waits for the end of its input, which is ours to hold.
        let script = "\"$@\" >/dev/null 2>&1 & cat >/dev/null; kill $!; wait";
        let process = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(server)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "moto does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self {
            process,
            url: format!("http://127.0.0.1:{port}"),
            scratch,
        })
    }

    fn with_environment(&self, command: Obreia) -> Obreia {
        command
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    fn obreia(&self, args: &[&str]) -> Obreia {
        let command = self.with_environment(self.scratch.obreia()).args(args);
        command
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "testing")
    }

    /// AWS' own command line.
    fn aws(&self, args: &[&str]) -> Value {
        let out = self
            .obreia(&["kms"])
            .program(peer("aws").unwrap())
            .args(args);
        out.args(["--output", "json"]).run().ok().json()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ended = self.process.wait();
    }
}

#[test]
fn keys_made_here_are_found_by_aws_own_command_line() {
    let Some(moto) = Moto::start() else { return };
    let key = "awskms:///alias/release";
    for (algorithm, spec) in [
        ("p256", "ECC_NIST_P256"),
        ("p384", "ECC_NIST_P384"),
        ("rsa-3072", "RSA_3072"),
    ] {
        let key = format!("awskms:///alias/{algorithm}");
        moto.obreia(&["key", "create", &key, "--algorithm", algorithm])
            .run()
            .ok();
        let found = moto.aws(&["describe-key", "--key-id", &format!("alias/{algorithm}")]);
        assert_eq!(found["KeyMetadata"]["KeySpec"], spec);
        assert_eq!(found["KeyMetadata"]["KeyUsage"], "SIGN_VERIFY");
    }
    moto.obreia(&["key", "create", key]).run().ok();
    let theirs = moto.aws(&["get-public-key", "--key-id", "alias/release"]);
    let ours = moto
        .obreia(&["key", "public", key])
        .run()
        .ok()
        .stdout
        .clone();
    let ours: String = ours.lines().filter(|l| !l.starts_with('-')).collect();
    assert_eq!(theirs["PublicKey"], ours.as_str());

    let state = |moto: &Moto| {
        let found = moto.aws(&["describe-key", "--key-id", "alias/release"]);
        found["KeyMetadata"]["KeyState"].clone()
    };
    moto.obreia(&["key", "disable", key]).run().ok();
    assert_eq!(state(&moto), "Disabled");
    moto.obreia(&["key", "enable", key]).run().ok();
    assert_eq!(state(&moto), "Enabled");

    // moto hashes once more, so that nobody can verify what it signs.
    let sign = moto.obreia(&["sign", "f", "--key", key, "-o", "json"]);
    refused(&sign.run(), 4, "self-check-failed");
    assert!(!moto.scratch.join("f.sigstore.json").exists());
}

#[test]
fn keys_made_by_aws_own_command_line_are_found_here() {
    let Some(moto) = Moto::start() else { return };
    let made = moto.aws(&[
        "create-key",
        "--key-usage",
        "SIGN_VERIFY",
        "--key-spec",
        "ECC_NIST_P521",
    ]);
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let id = made["KeyMetadata"]["KeyId"].as_str().unwrap();
    for name in [arn, id] {
        let shown = moto.obreia(&["key", "show", &format!("awskms:///{name}"), "-o", "json"]);
        let shown = shown.run().ok().json().to_string();
        assert!(
            shown.contains("ecdsa-p521-sha512") && shown.contains(arn),
            "{shown}"
        );
    }
    let made = moto.aws(&["create-key"]);
    let encrypts = made["KeyMetadata"]["Arn"].as_str().unwrap();
    let sign = moto.obreia(&[
        "sign",
        "f",
        "--key",
        &format!("awskms:///{encrypts}"),
        "-o",
        "json",
    ]);
    refused(&sign.run(), 5, "wrong-usage");
    let absent = arn.replace(id, "00000000-0000-0000-0000-000000000000");
    let sign = moto.obreia(&[
        "sign",
        "f",
        "--key",
        &format!("awskms:///{absent}"),
        "-o",
        "json",
    ]);
    refused(&sign.run(), 3, "no-such-key");
}

/// The way of GitHub's runners and of Kubernetes' service accounts.
#[test]
fn a_web_identity_is_exchanged_for_credentials() {
    let Some(moto) = Moto::start() else { return };
    let key = "awskms:///alias/release";
    moto.obreia(&["key", "create", key]).run().ok();
    let token = moto.scratch.write("token", "a.web.identity");
    let show = || {
        moto.with_environment(moto.scratch.obreia())
            .args(["key", "show", key, "-o", "json"])
    };
    refused(&show().run(), 5, "kms-login");
    let role = "arn:aws:iam::123456789012:role/signer";
    let with_role = show().env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
    with_role.env("AWS_ROLE_ARN", role).run().ok();
}
