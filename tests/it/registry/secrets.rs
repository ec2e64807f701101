//! Passwords, tokens and refresh tokens of registries, planted, and found
//! nowhere: in no output, no record and no file but their own.

use serde_json::json;

use super::between::{Act, Between};
use super::entering::{credentials, with_password};
use super::server::Server;
use super::tokens::{NAME, PASSWORD, REFRESH, Tokens};
use crate::harness::{Obreia, Scratch};
use crate::keys::secrets::Planted;
use crate::keys::{PASSPHRASE, obreia, place};

/// A key of the keystore, so that there are records to be looked at.
const KEY: &str = "kms://model-sign/dev";

fn prepared() -> Scratch {
    let scratch = place();
    obreia(&scratch, &["key", "create", KEY]).run().ok();
    scratch.write("app.bin", "hello");
    scratch
}

/// What is done with a registry.
fn uses(name: &str) -> Vec<Vec<String>> {
    [
        &["push", "app.bin", name][..],
        &["sign", name, "--key", KEY],
        &["verify", name, "--key", KEY, "--explain"],
        &["tree", name],
        &["copy", name, "oci-layout:copied"],
        &["download", name, "evidence", "--force"],
        &["promote", name, "oci-layout:live:v1", "--key", KEY],
        &["doctor", "registry", name, "--write"],
    ]
    .iter()
    .map(|args| args.iter().map(|arg| (*arg).to_owned()).collect())
    .collect()
}

/// Those that need no key to be unlocked, which takes time.
fn looks(name: &str) -> Vec<Vec<String>> {
    let quick = ["tree", "download", "doctor"];
    let all = uses(name).into_iter();
    all.filter(|args| quick.contains(&args[0].as_str()))
        .collect()
}

fn with(scratch: &Scratch, auth: &str, args: &[String]) -> Obreia {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    obreia(scratch, &args).args(["--registry-auth", auth])
}

/// An error in the registry's own form that quotes what it was sent.
fn echo(status: u16, secret: &str) -> Act {
    let body =
        json!({"errors": [{"code": "DENIED", "message": format!("not with {secret}, please")}]});
    Act::Answer(status, "", body.to_string())
}

#[test]
fn a_password() {
    let scratch = prepared();
    let Some(setup) = with_password(&scratch) else {
        return;
    };
    let Some(server) = Server::with("docker-registry", &setup) else {
        return;
    };
    let between = Between::new(&server.host);
    let wrong = "a-password-that-is-wrong";
    scratch.write("right.json", credentials(&between.host, NAME, PASSWORD));
    scratch.write("wrong.json", credentials(&between.host, NAME, wrong));
    let mut planted = Planted::new(&scratch, &[PASSWORD, wrong, PASSPHRASE])
        .in_file("right.json")
        .in_file("wrong.json");
    let name = format!("{}/test/app:v1", between.host);
    for args in uses(&name) {
        planted.run(true, || with(&scratch, "right.json", &args));
    }
    for args in uses(&name) {
        planted.fails(|| (), || with(&scratch, "wrong.json", &args));
    }
    // It repeats the password, or what was made of it.
    use base64::Engine as _;
    let sent = base64::engine::general_purpose::STANDARD.encode(format!("{NAME}:{PASSWORD}"));
    for secret in [PASSWORD, &sent] {
        for status in [400, 401, 403, 500] {
            for args in looks(&name) {
                planted.run(None, || {
                    between.forget();
                    // The first is asked without it, and says that it is wanted.
                    between.next("/v2/", Act::Slow(std::time::Duration::ZERO));
                    for _ in 0..8 {
                        between.next("/v2/", echo(status, secret));
                    }
                    with(&scratch, "right.json", &args)
                });
                between.forget();
            }
        }
    }
    planted.nowhere();
}

#[test]
fn tokens_and_what_they_are_got_for() {
    let scratch = prepared();
    let Some(tokens) = Tokens::start(&scratch) else {
        return;
    };
    let Some(server) = Server::with("docker-registry", &tokens.setup()) else {
        return;
    };
    let between = Between::new(&server.host);
    scratch.write("password.json", credentials(&between.host, NAME, PASSWORD));
    let refresh = json!({"auths": {&between.host: {"identitytoken": REFRESH}}});
    scratch.write("refresh.json", refresh.to_string());
    let mut planted = Planted::new(&scratch, &[PASSWORD, REFRESH, PASSPHRASE])
        .in_file("password.json")
        .in_file("refresh.json");
    let name = format!("{}/test/app:v1", between.host);
    for (auth, secret) in [("password.json", PASSWORD), ("refresh.json", REFRESH)] {
        for args in uses(&name) {
            planted.run(true, || with(&scratch, auth, &args));
        }
        let tree = &looks(&name)[0];
        for status in [200, 400, 401, 500] {
            planted.fails(
                || {
                    tokens.front.forget();
                    (0..5).for_each(|_| tokens.front.next("/token", echo(status, secret)));
                },
                || with(&scratch, auth, tree),
            );
        }
        for body in [
            json!(secret),
            json!({"token": [secret]}),
            json!({"token": "", "x": secret}),
        ] {
            let act = Act::Answer(200, "", body.to_string());
            planted.fails(
                || tokens.front.next("/token", act.clone()),
                || with(&scratch, auth, tree),
            );
        }
        tokens.front.forget();
    }
    // The registry repeats the token that it was shown.
    for status in [400, 401, 403, 500] {
        for args in looks(&name) {
            planted.run(None, || {
                between.forget();
                // The first is asked without a token, and says where to get one.
                between.next("/v2/", Act::Slow(std::time::Duration::ZERO));
                (0..8).for_each(|_| between.next("/v2/", Act::Quote(status)));
                with(&scratch, "password.json", &args)
            });
            between.forget();
        }
    }
    let given = tokens.given();
    assert!(
        given.len() > 20,
        "only {} tokens were given out",
        given.len()
    );
    // Each ends in a signature of its own; the rest says nothing secret.
    let tails = given.iter().map(|token| token.rsplit('.').next().unwrap());
    planted.also(tails);
    planted.nowhere();
}
