//! How real registries let us in: by name and password, by tokens that
//! somebody else gives out, by what a helper keeps. And what is said where
//! they do not: that, and never that there is no signature.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::between::{Act, Between};
use super::key;
use super::says_there_is_none;
use super::server::{DISTRIBUTION, Server, Setup};
use super::tokens::{NAME, PASSWORD, REFRESH, Tokens, Wrong};
use crate::harness::{Obreia, Output, Scratch, peer};

/// `config.json` as `docker login` writes it.
pub(super) fn credentials(host: &str, name: &str, password: &str) -> String {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    json!({"auths": {host: {"auth": auth}}}).to_string()
}

/// The configuration of a registry that lets in who is in a file of `htpasswd`.
pub(super) fn with_password(scratch: &Scratch) -> Option<Setup> {
    let htpasswd = peer("htpasswd")?;
    let command = scratch.obreia().program(htpasswd);
    let line = command.args(["-nbBC", "4", NAME, PASSWORD]).run();
    let file = scratch.write("htpasswd", line.ok().stdout.trim());
    Some(Setup {
        auth: format!(
            "auth:\n  htpasswd:\n    realm: here\n    path: {}\n",
            file.display()
        ),
        ..Setup::default()
    })
}

/// A registry, and a file as something to push there.
struct Case {
    scratch: Scratch,
    host: String,
}

impl Case {
    fn new(scratch: &Scratch, host: &str) -> Self {
        scratch.write("app.bin", "hello");
        Self {
            scratch: scratch.clone(),
            host: host.to_owned(),
        }
    }

    fn name(&self) -> String {
        format!("{}/test/app:v1", self.host)
    }

    fn with(&self, auth: &str, args: &[&str]) -> Obreia {
        self.scratch
            .obreia()
            .args(args)
            .args(["--registry-auth", auth])
    }

    fn push(&self, auth: &str) -> Output {
        self.with(auth, &["push", "app.bin", &self.name(), "-o", "json"])
            .run()
    }

    fn sign(&self, auth: &str) -> Output {
        let key = key("p256.pkcs8.pem");
        let args = ["sign", &self.name(), "--key", &key, "-o", "json"];
        self.with(auth, &args).run()
    }

    fn verify(&self, auth: &str) -> Output {
        let key = key("p256.pub.pem");
        let args = ["verify", &self.name(), "--key", &key, "-o", "json"];
        self.with(auth, &args).run()
    }

    /// Nothing is done and nothing is decided, the registry and the request are
    /// named, and nobody says that there is no signature.
    #[track_caller]
    fn refused(&self, auth: &str) {
        for (out, exit) in [
            (self.push(auth), 5),
            (self.sign(auth), 5),
            (self.verify(auth), 4),
        ] {
            let said = out.expect_code(exit).json();
            let code = [&said["code"], &said["reasons"][0]["code"]];
            assert!(code.contains(&&json!("registry-denied")), "{out}");
            assert!(!says_there_is_none(&out), "{out}");
            assert!(out.to_string().contains("http://127.0.0.1:"), "{out}");
            assert!(out.to_string().contains("docker login"), "{out}");
        }
    }
}

#[test]
fn by_name_and_password() {
    for name in DISTRIBUTION {
        let scratch = Scratch::new();
        let Some(setup) = with_password(&scratch) else {
            return;
        };
        let Some(server) = Server::with(name, &setup) else {
            return;
        };
        let case = Case::new(&scratch, &server.host);
        scratch.write("right.json", credentials(&server.host, NAME, PASSWORD));
        scratch.write(
            "wrong.json",
            credentials(&server.host, NAME, "a-wrong-password"),
        );
        scratch.write("other.json", credentials("other.example", NAME, PASSWORD));
        case.push("right.json").ok();
        case.sign("right.json").ok();
        case.verify("right.json").ok();
        case.refused("wrong.json");
        case.refused("other.json");
        case.with(
            "right.json",
            &["doctor", "registry", &case.name(), "--write"],
        )
        .run()
        .ok()
        .stdout_has("let in by a name and a password");
        case.with("wrong.json", &["doctor", "registry", &case.name()])
            .run()
            .expect_code(5);
        for command in [&["tree"][..], &["copy", "--dry-run"], &["download"]] {
            let rest = match command[0] {
                "tree" => vec![case.name()],
                _ => vec![case.name(), "oci-layout:x".to_owned()],
            };
            let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
            case.with("wrong.json", &[command, &rest[..]].concat())
                .run()
                .expect_code(5);
        }
        println!("| {name} | htpasswd | push, sign, verify; refused as such | holds |");
    }
}

#[test]
fn by_a_token_for_each_scope_which_is_got_once() {
    for name in DISTRIBUTION {
        let scratch = Scratch::new();
        let Some(tokens) = Tokens::start(&scratch) else {
            return;
        };
        let Some(server) = Server::with(name, &tokens.setup()) else {
            return;
        };
        let case = Case::new(&scratch, &server.host);
        scratch.write("right.json", credentials(&server.host, NAME, PASSWORD));
        scratch.write(
            "wrong.json",
            credentials(&server.host, NAME, "a-wrong-password"),
        );
        let refresh = json!({"auths": {&server.host: {"identitytoken": REFRESH}}});
        scratch.write("refresh.json", refresh.to_string());
        case.push("right.json").ok();
        tokens.asked();
        case.sign("right.json").ok();
        let asked = tokens.asked();
        let (pull, push) = ("repository:test/app:pull", "repository:test/app:pull,push");
        assert_eq!(asked, [pull, push], "{name}");
        case.verify("right.json").ok();
        assert_eq!(tokens.asked(), [pull]);
        case.verify("refresh.json").ok();
        assert_eq!(tokens.asked(), [pull]);
        case.refused("wrong.json");
        assert_eq!(tokens.asked(), Vec::<String>::new());
        let text = case.verify("wrong.json").to_string();
        assert!(
            text.contains(&format!("GET {}/token: 401", tokens.front.address())),
            "{text}"
        );
        // A token that another may use, or that nobody believes.
        for wrong in [
            Wrong {
                audience: Some("another-registry"),
                ..Wrong::default()
            },
            Wrong {
                expired: true,
                ..Wrong::default()
            },
            Wrong {
                forged: true,
                ..Wrong::default()
            },
        ] {
            tokens.wrong(wrong.clone());
            tokens.asked();
            case.refused("right.json");
            // Each run asks for one, and does not go on asking.
            assert_eq!(tokens.asked().len(), 3, "{wrong:?}");
        }
        // One that lets us read and not write: that is what is not permitted.
        tokens.wrong(Wrong {
            reads_only: true,
            ..Wrong::default()
        });
        case.verify("right.json").ok();
        scratch.write("app.bin", "another");
        let out = case.push("right.json");
        assert_eq!(
            out.expect_code(5).json()["code"],
            "registry-denied",
            "{out}"
        );
        tokens.wrong(Wrong::default());
        // The server of tokens does not answer, or gives none.
        for (act, times, exit) in [
            (Act::Answer(503, "", String::new()), 5, 4),
            (Act::CutBefore, 5, 4),
            (Act::Garbage(9), 1, 4),
            (Act::Answer(200, "", "{}".to_owned()), 1, 4),
            (Act::Answer(403, "", String::new()), 1, 4),
        ] {
            for _ in 0..times {
                tokens.front.next("/token", act.clone());
            }
            let out = case.verify("right.json");
            out.expect_code(exit);
            assert!(!says_there_is_none(&out), "{out}");
            assert!(out.to_string().contains("/token: "), "{out}");
            assert!(tokens.front.done());
        }
        case.verify("right.json").ok();
        println!(
            "| {name} | token | push, sign, verify, refresh token; wrong audience, expired, forged, read-only refused | holds |"
        );
    }
}

#[test]
fn a_token_that_ends_on_the_way_is_got_anew_once() {
    let scratch = Scratch::new();
    let Some(tokens) = Tokens::start(&scratch) else {
        return;
    };
    let Some(server) = Server::with("docker-registry", &tokens.setup()) else {
        return;
    };
    let between = Between::new(&server.host);
    let case = Case::new(&scratch, &between.host);
    scratch.write("right.json", credentials(&between.host, NAME, PASSWORD));
    // More than is sent at once, so that it ends in the middle of a blob.
    scratch.write("app.bin", vec![7; 9 << 20]);
    let ended = || Act::Answer(401, tokens.challenge(), String::new());
    between.next("PATCH", ended());
    case.push("right.json").ok();
    assert!(between.done());
    let push = "repository:test/app:pull,push";
    let again = tokens.asked();
    assert_eq!(
        again.iter().filter(|scope| *scope == push).count(),
        2,
        "{again:?}"
    );
    case.sign("right.json").ok();
    tokens.asked();
    between.next("/referrers/", ended());
    case.verify("right.json").ok();
    assert_eq!(tokens.asked().len(), 2);
    // Refused with the new one too: then it is refused.
    for _ in 0..2 {
        between.next("/referrers/", ended());
    }
    let out = case.verify("right.json");
    assert_eq!(
        out.expect_code(4).json()["reasons"][0]["code"],
        "registry-denied",
        "{out}"
    );
    assert_eq!(tokens.asked().len(), 2);
    assert!(between.done());
}

#[test]
fn by_what_a_helper_keeps() {
    let scratch = Scratch::new();
    let Some(setup) = with_password(&scratch) else {
        return;
    };
    let Some(server) = Server::with("docker-registry", &setup) else {
        return;
    };
    let case = Case::new(&scratch, &server.host);
    let helper = |script: &str| {
        let at = scratch.write(
            "bin/docker-credential-of-the-test",
            format!("#!/bin/sh\ncat >asked\n{script}\n"),
        );
        std::fs::set_permissions(&at, PermissionsExt::from_mode(0o755)).unwrap();
    };
    let per_host = json!({"credHelpers": {&server.host: "of-the-test"}});
    let store = json!({"credsStore": "of-the-test"});
    scratch.write("docker/config.json", per_host.to_string());
    scratch.write("store/config.json", store.to_string());
    let run = |folder: &str, args: &[&str]| {
        let path = std::env::var("PATH").unwrap_or_default();
        let command = scratch.obreia().args(args);
        command
            .env("PATH", format!("{}:{path}", scratch.join("bin").display()))
            .env("DOCKER_CONFIG", scratch.join(folder))
            .run()
    };
    let push = ["push", "app.bin", &case.name(), "-o", "json"];
    let answer = json!({"ServerURL": &server.host, "Username": NAME, "Secret": PASSWORD});
    helper(&format!("echo '{answer}'"));
    for folder in ["docker", "store"] {
        run(folder, &push).ok();
        assert_eq!(scratch.read_text("asked").trim(), server.host);
    }
    // None there, a wrong one, one that fails, one that says nothing sensible.
    helper("echo 'credentials not found in native keychain'; exit 1");
    run("docker", &push).expect_code(5).says("401");
    let wrong = json!({"ServerURL": "", "Username": NAME, "Secret": "a-wrong-secret"});
    helper(&format!("echo '{wrong}'"));
    run("docker", &push)
        .expect_code(5)
        .says("401")
        .stdout_lacks("a-wrong-secret")
        .stderr_lacks("a-wrong-secret");
    for (script, exit) in [
        ("echo 'the keychain is locked; it holds hunter2'; exit 1", 4),
        ("echo hunter2", 3),
        ("kill -9 $$", 4),
    ] {
        helper(script);
        run("docker", &push)
            .expect_code(exit)
            .says(&server.host)
            .says("credential helper")
            .stderr_lacks("hunter2")
            .stdout_lacks("hunter2");
    }
    std::fs::remove_file(scratch.join("bin/docker-credential-of-the-test")).unwrap();
    run("docker", &push)
        .expect_code(3)
        .says("credential helper");
    // What is named on the command line comes first.
    scratch.write("right.json", credentials(&server.host, NAME, PASSWORD));
    run(
        "docker",
        &[&push[..], &["--registry-auth", "right.json"]].concat(),
    )
    .ok();
}
