//! Keys in Kubernetes secrets, against the stand-in for an API server.

use super::*;
use crate::keys::k8s::{KEY, TOKEN, cluster, kubeconfig, with};

#[test]
fn a_secret_is_tried_and_a_certificate_that_ends_is_told() {
    let (scratch, server) = cluster("server");
    kubeconfig(&scratch, &server, "ca", &format!("{{token: {TOKEN}}}"));
    let doctor = || with(&scratch, &["doctor", "keys", KEY, "-o", "json"]).run();
    let out = doctor();
    assert_eq!(report(&out, 0)["result"], "ok", "{out}");
    assert!(!out.to_string().contains(TOKEN));
    // Those of the test are good for two days.
    let user = "{client-certificate: client.pem, client-key: client.key}";
    kubeconfig(&scratch, &server, "ca", user);
    let told = report(&doctor(), 0);
    is(
        check(&told, "provider", "k8s"),
        "warning",
        "certificate-expires",
    );
    // A token of a service account says itself when it ends.
    let token = "e30.eyJleHAiOjEwMDB9.c2ln";
    kubeconfig(&scratch, &server, "ca", &format!("{{token: {token}}}"));
    let told = report(&doctor(), 5);
    assert_eq!(told["result"], "failed");
    kubeconfig(&scratch, &server, "other", &format!("{{token: {TOKEN}}}"));
    let told = report(&doctor(), 4);
    is(check(&told, "key", KEY), "undetermined", "kms-tls");
}
