//! Who we are to Google, and what is said where Google does not believe it.

use super::service::Service;
use super::{P256, place, refused, verify, with};
use crate::harness::{Output, Scratch};

/// Signs with the credentials in `file`.
fn sign_as(scratch: &Scratch, file: &str, key: &str) -> Output {
    with(scratch, &["sign", "app.bin", "--force", "--key", key])
        .env("GOOGLE_APPLICATION_CREDENTIALS", scratch.join(file))
        .run()
}

#[test]
fn a_user_logs_in() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    scratch.write("user.json", service.user());
    sign_as(&scratch, "user.json", &key).ok();
    let asked = service.server.asked();
    assert_eq!(
        asked,
        ["token", "list", "getPublicKey", "asymmetricSign"],
        "one token for all"
    );
    // What gcloud left is found where gcloud leaves it.
    let gcloud = scratch.home().join(".config/gcloud");
    std::fs::create_dir_all(&gcloud).unwrap();
    let left = gcloud.join("application_default_credentials.json");
    std::fs::write(left, service.user()).unwrap();
    with(&scratch, &["sign", "app.bin", "--force", "--key", &key])
        .without_env("GOOGLE_APPLICATION_CREDENTIALS")
        .run()
        .ok();
    assert_eq!(service.server.asked(), ["token", "asymmetricSign"]);
}

#[test]
fn an_identity_of_another_issuer_logs_in() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let token = scratch.write("token", "a.federated.token");
    scratch.write("federated.json", service.federated(&token));
    sign_as(&scratch, "federated.json", &key).ok();
    let (operation, call) = service.server.calls().remove(0);
    assert_eq!(operation, "token");
    let form = call.form();
    assert_eq!(form["subject_token"], "a.federated.token");
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:token-exchange"
    );
    scratch.write("token", "another.token");
    let out = sign_as(&scratch, "federated.json", &key);
    refused(&out, 5, "kms-login", "workload identity");
    out.stderr_lacks("another.token");
}

#[test]
fn a_machine_has_an_identity() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let host = service.server.origin.trim_start_matches("http://");
    let sign = |host: &str| {
        with(&scratch, &["sign", "app.bin", "--force", "--key", &key])
            .without_env("GOOGLE_APPLICATION_CREDENTIALS")
            .env("GCE_METADATA_HOST", host)
            .run()
    };
    sign(host).ok();
    let asked = service.server.asked();
    assert_eq!(asked, ["machine", "list", "getPublicKey", "asymmetricSign"]);
    let out = sign("127.0.0.1:1");
    refused(&out, 5, "kms-login", "no credentials file is set up");
}

#[test]
fn credentials_that_are_not_believed() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    // Signed by a key that Google does not know.
    scratch.write("stolen.json", service.stolen_name());
    let out = sign_as(&scratch, "stolen.json", &key);
    refused(&out, 5, "kms-login", "service account");
    // A service that repeats the secret it was sent: only its status is shown.
    let spent = service.user().replace("user-refresh-token", "spent-token");
    scratch.write("spent.json", spent);
    let out = sign_as(&scratch, "spent.json", &key);
    refused(&out, 5, "kms-login", "the token service answered 400");
    out.stderr_lacks("spent-token");
    let asked = service.server.asked();
    assert_eq!(asked, ["list", "token"], "nobody asks twice");
}

#[test]
fn credentials_that_are_none() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let account = service.service_account();
    for (text, says) in [
        ("PRIVATE KEY".to_owned(), "it is not JSON"),
        ("{}".to_owned(), "is no type of credentials"),
        (
            r#"{"type": "gdch_service_account"}"#.to_owned(),
            "is no type of credentials",
        ),
        (
            r#"{"type": "service_account", "project_id": "PRIVATE KEY"}"#.to_owned(),
            "it lacks what service account credentials need",
        ),
        (
            account.replace("http://127.0.0.1", "http://192.0.2.1"),
            "its token_uri is no https:// address",
        ),
    ] {
        scratch.write("none.json", &text);
        let out = sign_as(&scratch, "none.json", &key);
        refused(&out, 3, "not-configured", says);
        refused(&out, 3, "not-configured", "none.json");
    }
    let out = sign_as(&scratch, "absent.json", &key);
    refused(&out, 3, "not-configured", "absent.json");
    assert!(service.server.asked().is_empty());
}

#[test]
fn a_file_and_a_project_in_the_configuration_come_first() {
    let service = Service::start();
    let scratch = place(&service);
    let key = service.make("models", P256);
    let config = scratch.read_text("obreia.toml");
    scratch.write(
        "obreia.toml",
        format!("{config}credentials_file = \"account.json\"\nquota_project = \"payer\"\n"),
    );
    scratch.write("none.json", "{}");
    sign_as(&scratch, "none.json", &key).ok();
    for (operation, call) in service.server.calls() {
        assert_eq!(call.header("x-goog-user-project"), "payer", "{operation}");
    }
    service.server.asked();
    // From another folder, the file is the same.
    scratch.write("elsewhere/app.bin", "what is signed");
    with(&scratch, &["--config", "../obreia.toml", "sign", "app.bin"])
        .args(["--key", &key])
        .dir(scratch.join("elsewhere"))
        .run()
        .ok();
    for bad in [
        "http://192.0.2.1",
        "https://kms.example/path",
        "kms.example",
    ] {
        let origin = &service.server.origin;
        scratch.write("obreia.toml", config.replace(origin, bad));
        let out = verify(&scratch, &key);
        refused(&out, 3, "not-configured", "endpoint in [keys.gcp]");
    }
}
