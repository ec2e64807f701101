//! What logs in to the clouds.

use serde_json::{Value, json};

use super::super::standin::Answer;
use super::{Planted, uses};
use crate::harness::Obreia;

#[test]
fn aws_credentials() {
    use super::super::aws::{Case, Fault, KEY, SECRET_KEY};

    // AWS repeats the request's headers where its signature does not fit.
    const SAID: &str = "The Canonical String: x-amz-security-token:THE-SESSION-TOKEN/+= was sent";
    const SESSION: &str = "THE-SESSION-TOKEN/+=";
    let case = Case::new();
    let mut planted = Planted::new(&case.scratch, &[SECRET_KEY, SESSION]);
    let run = |args: &[&str]| case.obreia(args).env("AWS_SESSION_TOKEN", SESSION);
    for args in uses(KEY) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || run(&args));
    }
    let sent = |call: &super::super::aws::StandIn| {
        let calls = call.calls();
        calls.iter().any(|c| {
            c.headers
                .get("x-amz-security-token")
                .is_some_and(|t| t == SESSION)
        })
    };
    assert!(sent(&case.server));
    let sign = ["sign", "f", "--force", "--key", KEY];
    for (status, kind) in [
        (400, "InvalidSignatureException"),
        (400, "AccessDeniedException"),
        (400, "ValidationException"),
        (400, "NobodyKnowsException"),
        (403, "Forbidden"),
        (500, "KMSInternalException"),
    ] {
        planted.fails(
            // More than are tried, where trying again may help.
            || {
                case.server
                    .fail("Sign", vec![Fault::Error(status, kind, SAID); 5])
            },
            || run(&sign),
        );
        let doctor = || run(&["doctor", "keys", KEY]);
        planted.fails(
            || {
                case.server
                    .fail("Sign", vec![Fault::Error(status, kind, SAID); 5])
            },
            doctor,
        );
        case.server.spend();
    }
    planted.fails(|| case.server.fail("Sign", [Fault::Cut]), || run(&sign));
    planted.fails(|| case.server.fail("Sign", [Fault::Garbage]), || run(&sign));
    let wrong = "a-secret-key-that-is-not-the-right-one";
    planted.secrets.push(wrong.to_owned());
    planted.fails(|| (), || run(&sign).env("AWS_SECRET_ACCESS_KEY", wrong));
    case.server.forgive();
    planted.nowhere();
}

#[test]
fn azure_credentials() {
    use super::super::azure::{KEY, SECRET, Vault, place, with};

    const TOKEN: &str = "entra-access-token";
    const FEDERATED: &str = "a.federated.token";
    let vault = Vault::start();
    let scratch = place(&vault);
    scratch.write("f", "hello");
    scratch.write("token", FEDERATED);
    vault.make("models", obreia::crypto::KeyKind::EcP256);
    let secrets = [SECRET, TOKEN, FEDERATED, "a-wrong-client-secret"];
    let mut planted = Planted::new(&scratch, &secrets).in_file("token");
    let run = |args: &[&str]| with(&scratch, args);
    let federated = |args: &[&str]| {
        let command = with(&scratch, args).without_env("AZURE_CLIENT_SECRET");
        command.env("AZURE_FEDERATED_TOKEN_FILE", scratch.join("token"))
    };
    for args in uses(KEY) {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        planted.run(true, || run(&args));
        planted.run(true, || federated(&args));
    }
    let sign = ["sign", "f", "--force", "--key", KEY];
    planted.fails(|| (), || run(&sign).env("AZURE_CLIENT_SECRET", secrets[3]));
    let said = |secret: &str| format!("what is {secret} to me");
    let error = |secret: &str| json!({"error": {"code": said(secret), "message": said(secret)}});
    for status in [200, 400, 403, 404] {
        let answer = || Answer::Json(status, error(TOKEN));
        planted.fails(|| vault.server.fault("sign", answer()), || run(&sign));
    }
    for (secret, command) in [
        (SECRET, &run as &dyn Fn(&[&str]) -> Obreia),
        (FEDERATED, &federated as &dyn Fn(&[&str]) -> Obreia),
    ] {
        for status in [400, 401] {
            let answer = || {
                let body = json!({"error": said(secret), "error_description": said(secret)});
                Answer::Json(status, body)
            };
            planted.fails(|| vault.server.fault("token", answer()), || command(&sign));
        }
        let raw = || {
            Answer::Raw(
                200,
                format!("{{\"access_token\": [\"{secret}\"]}}").into_bytes(),
            )
        };
        planted.fails(|| vault.server.fault("token", raw()), || command(&sign));
        planted.fails(
            || vault.server.fault("token", raw()),
            || command(&["doctor", "keys", KEY]),
        );
    }
    let raw = || Answer::Raw(200, format!("{{\"kid\": [\"{TOKEN}\"]}}").into_bytes());
    planted.fails(|| vault.server.fault("sign", raw()), || run(&sign));
    planted.fails(|| vault.server.fault("sign", Answer::Cut), || run(&sign));
    planted.nowhere();
}

/// The private key of a service account, the tokens that it signs for itself,
/// a user's refresh token, another issuer's token, and what Google gives for
/// these.
#[test]
fn google_credentials() {
    use super::super::gcp::{FEDERATED, P256, REFRESH, Service, TOKEN, place, with};

    let service = Service::start();
    let scratch = place(&service);
    scratch.write("f", "hello");
    scratch.write("user.json", service.user());
    let token = scratch.write("token", FEDERATED);
    scratch.write("federated.json", service.federated(&token));
    scratch.write("stolen.json", service.stolen_name());
    scratch.write(
        "spent.json",
        service.user().replace(REFRESH, "spent-refresh-token"),
    );
    let key = service.make("models", P256);
    let mut planted = Planted::new(
        &scratch,
        &[TOKEN, REFRESH, FEDERATED, "spent-refresh-token"],
    );
    for file in ["account.json", "stolen.json"] {
        let account: Value = serde_json::from_str(&scratch.read_text(file)).unwrap();
        let pem = account["private_key"].as_str().unwrap();
        // Each line of it by itself: a message could be cut anywhere.
        let lines = pem
            .lines()
            .filter(|line| !line.starts_with("-----") && line.len() == 64);
        planted.secrets.extend(lines.map(ToOwned::to_owned));
    }
    for file in [
        "account.json",
        "user.json",
        "token",
        "stolen.json",
        "spent.json",
    ] {
        planted = planted.in_file(file);
    }
    let run = |file: &str, args: &[&str]| {
        let command = with(&scratch, args);
        command.env("GOOGLE_APPLICATION_CREDENTIALS", scratch.join(file))
    };
    for file in ["account.json", "user.json", "federated.json"] {
        for args in uses(&key) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            planted.run(true, || run(file, &args));
        }
    }
    planted.run(true, || run("account.json", &["key", "rotate", &key]));
    planted.run(true, || {
        run("account.json", &["config", "show", "--origin"])
    });
    let sign = ["sign", "f", "--force", "--key", &key];
    for file in ["stolen.json", "spent.json"] {
        planted.fails(|| (), || run(file, &sign));
        planted.fails(|| (), || run(file, &["key", "show", &key]));
    }
    // Services that repeat what they were sent.
    let said = |secret: &str| format!("what is {secret} to me");
    for (file, secret) in [("user.json", REFRESH), ("federated.json", FEDERATED)] {
        for status in [400, 401, 403, 500] {
            let body = || json!({"error": said(secret), "error_description": said(secret)});
            let answer = || Answer::Json(status, body());
            let prepare = || (0..4).for_each(|_| service.server.fault("token", answer()));
            planted.fails(prepare, || run(file, &sign));
            service.server.spend();
        }
        let raw = format!("{{\"access_token\": [\"{secret}\"]}}").into_bytes();
        let answer = || service.server.fault("token", Answer::Raw(200, raw.clone()));
        planted.fails(answer, || run(file, &sign));
        planted.fails(answer, || run(file, &["doctor", "keys", &key]));
        service.server.spend();
    }
    for status in [200, 400, 401, 403, 404] {
        let body =
            json!({"error": {"code": status, "status": said(TOKEN), "message": said(TOKEN)}});
        let answer = || Answer::Json(status, body.clone());
        let prepare = || service.server.fault("asymmetricSign", answer());
        planted.fails(prepare, || run("user.json", &sign));
    }
    let raw = || Answer::Raw(200, format!("{{\"name\": [\"{TOKEN}\"]}}").into_bytes());
    for answer in [raw(), Answer::Cut] {
        let prepare = || service.server.fault("asymmetricSign", answer.clone());
        planted.fails(prepare, || run("user.json", &sign));
    }
    // The tokens that the account signed for itself.
    let calls = service.server.calls();
    let bearers = calls.iter().filter_map(|(_, call)| {
        let bearer = call.header("authorization").strip_prefix("Bearer ")?;
        bearer.contains('.').then(|| bearer.to_owned())
    });
    planted.secrets.extend(bearers);
    planted.secrets.sort();
    planted.secrets.dedup();
    assert!(
        planted
            .secrets
            .iter()
            .any(|secret| secret.starts_with("ey"))
    );
    planted.nowhere();
}
