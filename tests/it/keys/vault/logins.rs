//! The ways of logging in that need a party of their own: an issuer of
//! tokens, a Kubernetes API.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use obreia::crypto::{KeyKind, PrivateKey, Scheme};
use obreia::digest::Algorithm;
use serde_json::{Value, json};

use super::{Act, Bao, Between, policy, server};
use crate::harness::between::{Call, Said};
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

/// A Kubernetes mount of its own, whose API server is a stand-in.
struct Pods {
    bao: &'static Bao,
    scratch: Scratch,
    mount: &'static str,
    cluster: Between,
    issuer: PrivateKey,
    /// With which OpenBao asks the API server.
    reviewer: String,
}

impl Pods {
    fn new(mount: &'static str) -> Option<Self> {
        let bao = server()?;
        let issuer = PrivateKey::generate(KeyKind::Rsa { bits: 2048 }).unwrap();
        let reviewer = claims(json!({"sub": "system:serviceaccount:bao:reviewer"}));
        let pods = Self {
            bao,
            scratch: place(),
            mount,
            cluster: Between::new("127.0.0.1:9"),
            reviewer: token(&issuer, &reviewer),
            issuer,
        };
        bao.key(mount, "ecdsa-p256");
        let at = format!("sys/auth/{mount}");
        bao.admin("PUT", &at, &json!({"type": "kubernetes"}));
        let policies = format!("sys/policies/acl/{mount}");
        bao.admin("PUT", &policies, &json!({"policy": policy(mount)}));
        let openssl = peer("openssl").expect("a system program is never left out");
        let request = "req -x509 -newkey rsa:2048 -nodes -subj /CN=ca -keyout ca.key -out ca.pem";
        let made = pods.scratch.obreia().program(openssl);
        made.args(request.split(' ')).run().ok();
        pods.asks(&pods.cluster.address());
        let role = json!({
            "bound_service_account_names": "signer", "bound_service_account_namespaces": "ns",
            "token_policies": mount,
        });
        bao.admin("PUT", &format!("auth/{mount}/role/signer"), &role);
        Some(pods)
    }

    /// Where OpenBao finds the API server from now on.
    fn asks(&self, address: &str) {
        let config = json!({
            "kubernetes_host": address, "token_reviewer_jwt": self.reviewer,
            "disable_local_ca_jwt": true, "kubernetes_ca_cert": self.scratch.read_text("ca.pem"),
        });
        let at = format!("auth/{}/config", self.mount);
        self.bao.admin("PUT", &at, &config);
    }

    /// A token as the API server issues them to pods, which name their
    /// audiences in a list.
    fn issued(&self, namespace: &str, name: &str, uid: &str) -> String {
        let account = json!({"name": name, "uid": uid});
        let mine = json!({
            "aud": ["https://kubernetes.default.svc"],
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": account},
        });
        token(&self.issuer, &claims(mine))
    }

    /// The next token is reviewed as an API server does it: for one that may
    /// ask, with the audiences of those asked for that it is good for. It
    /// takes `good` alone, for `ns`'s `signer` of the uid `u1`.
    fn reviews(&self, good: &str) {
        let (bearer, good) = (format!("Bearer {}", self.reviewer), good.to_owned());
        let json = |status, body: Value| {
            Said::new(status, body.to_string()).with("Content-Type", "application/json")
        };
        let judge = move |call: &Call| {
            if call.header("authorization") != Some(&bearer) {
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
                });
                return json(401, status);
            }
            let asked: Value = serde_json::from_slice(&call.body).unwrap();
            let status = if asked["spec"]["token"] == *good {
                json!({
                    "authenticated": true, "audiences": asked["spec"]["audiences"],
                    "user": {
                        "username": "system:serviceaccount:ns:signer", "uid": "u1",
                        "groups": ["system:serviceaccounts", "system:serviceaccounts:ns"],
                    },
                })
            } else {
                json!({"authenticated": false, "error": "invalid bearer token", "user": {}})
            };
            let review = json!({
                "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
                "metadata": {}, "spec": asked["spec"], "status": status,
            });
            json(201, review)
        };
        self.cluster
            .next("/tokenreviews", Act::Judged(Arc::new(judge)));
    }

    fn sign(&self, token: &str, role: &str) -> Output {
        self.scratch.write("jwt", token);
        let auth = format!(
            "method = \"kubernetes\"\nmount = {:?}\nrole = {role:?}\njwt = {{ file = \"jwt\" }}",
            self.mount
        );
        sign(self.bao, &self.scratch, self.mount, &auth)
    }

    /// Not let in, and what the pod shows is not shown again.
    #[track_caller]
    fn keeps_out(&self, token: &str, role: &str, says: &str) {
        let out = self.sign(token, role);
        out.expect_code(5)
            .stderr_has("error[kms-login]")
            .stderr_has("does not accept the login (kubernetes)")
            .stderr_has(says)
            .stderr_has("hint: check the credential");
        assert!(!out.to_string().contains(token), "{out}");
        assert!(!self.scratch.join("a.txt.sigstore.json").exists());
    }
}

#[test]
fn a_service_account_logs_in() {
    let Some(pods) = Pods::new("by-pod") else {
        return;
    };
    let good = pods.issued("ns", "signer", "u1");
    pods.reviews(&good);
    pods.sign(&format!("{good}\n"), "signer").expect_code(0);
    assert!(pods.cluster.done());
    assert_eq!(pods.cluster.seen().len(), 1);
    // Outside a pod there is no token in the usual place.
    let usual = "method = \"kubernetes\"\nrole = \"signer\"";
    sign(pods.bao, &pods.scratch, pods.mount, usual)
        .expect_code(3)
        .stderr_has("error[not-configured]")
        .stderr_has("serviceaccount/token");
}

#[test]
fn a_service_account_that_the_role_or_the_cluster_does_not_know() {
    let Some(pods) = Pods::new("not-by-pod") else {
        return;
    };
    let good = pods.issued("ns", "signer", "u1");
    // The role's own say comes first, and the cluster is not asked.
    for (token, role, says) in [
        (
            pods.issued("other", "signer", "u1"),
            "signer",
            "namespace not authorized",
        ),
        (
            pods.issued("ns", "other", "u1"),
            "signer",
            "account name not authorized",
        ),
        (good.clone(), "absent", "invalid role name"),
        ("no-token".to_owned(), "signer", ""),
    ] {
        pods.keeps_out(&token, role, says);
        assert!(pods.cluster.seen().is_empty(), "{says}");
    }
    // A token that was taken back, and one of an account that was made anew.
    pods.reviews("another");
    pods.keeps_out(&good, "signer", "permission denied");
    let renewed = pods.issued("ns", "signer", "u2");
    pods.reviews(&renewed);
    pods.keeps_out(&renewed, "signer", "permission denied");
    assert!(pods.cluster.done());
    assert_eq!(pods.cluster.seen().len(), 2);
    // OpenBao says no more of an API server that is not there.
    pods.asks("http://127.0.0.1:9");
    pods.keeps_out(&good, "signer", "permission denied");
    pods.asks(&pods.cluster.address());
    pods.reviews(&good);
    pods.sign(&good, "signer").expect_code(0);
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
