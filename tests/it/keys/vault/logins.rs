//! The ways of logging in that need a party of their own: an issuer of
//! tokens, a Kubernetes API.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use obreia::crypto::{KeyKind, PrivateKey, Scheme};
use obreia::digest::Algorithm;
use serde_json::{Value, json};

use super::{Act, Bao, Between, policy, server};
use crate::harness::{Output, Scratch, peer};
use crate::keys::{obreia, place};

const RS256: Scheme = Scheme::RsaPkcs1(Algorithm::Sha256);

/// A JSON Web Token, signed with RS256.
fn token(key: &PrivateKey, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(&json!({"alg": "RS256", "typ": "JWT"})),
        part(claims)
    );
    let signature = key.sign(RS256, signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn claims(more: Value) -> Value {
    let mut claims = json!({
        "iss": "https://issuer.example",
        "aud": "obreia",
        "sub": "system:serviceaccount:ns:signer",
        "iat": 1_700_000_000,
        "nbf": 1_700_000_000,
        "exp": 4_000_000_000_u64,
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn sign(bao: &Bao, scratch: &Scratch, key: &str, auth: &str) -> Output {
    scratch.write("a.txt", "hello");
    scratch.write(
        "vault.toml",
        format!(
            "version = 1\n[keys.vault]\naddress = {:?}\n[keys.vault.auth]\n{auth}\n",
            bao.address()
        ),
    );
    let key = format!("openbao://{key}");
    let args = [
        "--config",
        "vault.toml",
        "sign",
        "a.txt",
        "--force",
        "--key",
        &key,
    ];
    obreia(scratch, &args).run()
}

#[test]
fn a_json_web_token_logs_in() {
    let Some(bao) = server() else { return };
    bao.key("by-jwt", "ecdsa-p256");
    let issuer = PrivateKey::generate(KeyKind::Rsa { bits: 2048 }).unwrap();
    let other = PrivateKey::generate(KeyKind::Rsa { bits: 2048 }).unwrap();
    bao.admin("PUT", "sys/auth/jwt", &json!({"type": "jwt"}));
    bao.admin(
        "PUT",
        "sys/policies/acl/by-jwt",
        &json!({"policy": policy("by-jwt")}),
    );
    let keys = json!({"jwt_validation_pubkeys": [issuer.public_key().to_pem()]});
    bao.admin("PUT", "auth/jwt/config", &keys);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["obreia"],
        "token_policies": "by-jwt",
    });
    bao.admin("PUT", "auth/jwt/role/signer", &role);
    let scratch = place();
    let auth = "method = \"jwt\"\nrole = \"signer\"\njwt = { file = \"jwt\" }";
    let with = |token: &str| {
        scratch.write("jwt", token);
        sign(bao, &scratch, "by-jwt", auth)
    };
    let good = token(&issuer, &claims(json!({})));
    with(&format!("{good}\n")).expect_code(0);
    for bad in [
        token(&other, &claims(json!({}))),
        token(&issuer, &claims(json!({"aud": "another"}))),
        token(&issuer, &claims(json!({"exp": 1_700_000_001}))),
        "no-token".to_owned(),
    ] {
        let out = with(&bad);
        out.expect_code(5)
            .stderr_has("error[kms-login]")
            .stderr_has("(jwt)");
        assert!(!out.to_string().contains(&bad), "{out}");
    }
    with("").expect_code(3).stderr_has("error[not-configured]");
    std::fs::remove_file(scratch.join("jwt")).unwrap();
    sign(bao, &scratch, "by-jwt", auth)
        .expect_code(3)
        .stderr_has("the jwt at");
    let elsewhere = "method = \"jwt\"\nmount = \"nowhere\"\njwt = { env = \"OBREIA_PASSPHRASE\" }";
    sign(bao, &scratch, "by-jwt", elsewhere).expect_code(3);
}

// Never seen to pass: OpenBao answers "permission denied" to what stands in for
// the API server here. docs/gaps.md says so.
#[test]
#[ignore = "the stand-in for the API server does not satisfy OpenBao yet"]
fn a_service_account_logs_in() {
    let Some(bao) = server() else { return };
    bao.key("by-pod", "ecdsa-p256");
    let issuer = PrivateKey::generate(KeyKind::Rsa { bits: 2048 }).unwrap();
    let jwt = token(
        &issuer,
        &claims(json!({
            // The API server writes a list of them.
            "aud": ["obreia"],
            "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "signer", "uid": "u1"}},
        })),
    );
    // Stands in for the API server, which reviews tokens.
    let cluster = Between::new("127.0.0.1:9");
    bao.admin("PUT", "sys/auth/kubernetes", &json!({"type": "kubernetes"}));
    bao.admin(
        "PUT",
        "sys/policies/acl/by-pod",
        &json!({"policy": policy("by-pod")}),
    );
    let scratch = place();
    let openssl = peer("openssl").expect("a system program is never left out");
    let request = "req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -keyout ca.key -out ca.pem";
    let made = scratch
        .obreia()
        .program(openssl)
        .args(request.split(' '))
        .run();
    made.ok();
    let config = json!({
        "kubernetes_host": cluster.address(), "token_reviewer_jwt": jwt,
        "disable_local_ca_jwt": true, "kubernetes_ca_cert": scratch.read_text("ca.pem"),
    });
    bao.admin("PUT", "auth/kubernetes/config", &config);
    let role = json!({
        "bound_service_account_names": "signer", "bound_service_account_namespaces": "ns",
        "token_policies": "by-pod",
    });
    bao.admin("PUT", "auth/kubernetes/role/signer", &role);
    let review = |status: Value| {
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status,
        });
        cluster.next("tokenreviews", Act::Answer(201, "", body.to_string()));
    };
    scratch.write("jwt", &jwt);
    let auth = "method = \"kubernetes\"\nrole = \"signer\"\njwt = { file = \"jwt\" }";
    review(json!({
        "authenticated": true,
        "user": {
            "username": "system:serviceaccount:ns:signer", "uid": "u1",
            "groups": ["system:serviceaccounts"],
        },
    }));
    sign(bao, &scratch, "by-pod", auth).expect_code(0);
    assert!(cluster.done());
    review(json!({"authenticated": false, "error": "expired"}));
    sign(bao, &scratch, "by-pod", auth)
        .expect_code(5)
        .stderr_has("error[kms-login]")
        .stderr_has("(kubernetes)");
    // Outside a pod there is no token in the usual place.
    sign(
        bao,
        &scratch,
        "by-pod",
        "method = \"kubernetes\"\nrole = \"signer\"",
    )
    .expect_code(3)
    .stderr_has("serviceaccount/token");
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused() {
    let Some(bao) = server() else { return };
    let scratch = place();
    for auth in [
        "method = \"password\"",
        "method = \"token\"",
        "method = \"token\"\ntoken = \"s.in-clear\"",
        "method = \"approle\"\nsecret_id = { env = \"A\" }",
        "method = \"kubernetes\"",
        "method = \"cert\"\nrole_id = { env = \"A\" }",
    ] {
        let out = sign(bao, &scratch, "by-none", auth);
        out.expect_code(3);
    }
}
