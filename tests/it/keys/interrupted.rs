//! SIGKILL while a provider is being asked: the intent stands in the log, the
//! outcome does not, and nothing else is lost by it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::codes::shown;
use super::vault::{Act, Between};
use super::{obreia, place, records, run};
use crate::harness::{Scratch, testdata};

const URI: &str = "openbao://k";

fn verified(scratch: &Scratch) -> Value {
    let out = run(scratch, &["audit", "verify", "-o", "json"]);
    out.ok().json()
}

#[test]
fn killed_between_intent_and_outcome() {
    let scratch = place();
    scratch.write("a.txt", "hello");
    let file = testdata("keys/p256.pkcs8.pem");
    let acknowledged = |bundle: &str| {
        let file = file.to_str().unwrap();
        let args = ["sign", "a.txt", "--key", file, "--output", bundle];
        run(&scratch, &args).ok();
    };
    acknowledged("before.json");
    let before = records(&scratch).len();

    // It shows the key, and is never done with signing.
    let service = Between::new("127.0.0.1:9");
    for round in 0..2 {
        service.next("GET /v1/transit/keys/k", shown(|_| ()));
        service.next("/sign/k", Act::Slow(Duration::from_secs(3600)));
        let running = obreia(&scratch, &["sign", "a.txt", "--key", URI])
            .env("VAULT_ADDR", service.address())
            .env("VAULT_TOKEN", "s.token")
            .spawn();
        let begun = Instant::now();
        while !service.seen().iter().any(|line| line.contains("/sign/k")) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it does not sign"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        let out = running.kill();
        assert_eq!(out.signal, Some(9), "{out}");
        assert!(!scratch.join("a.txt.sigstore.json").exists());

        let log = verified(&scratch);
        let cut_short = round + 1;
        assert_eq!(log["verdict"], "whole");
        assert_eq!(log["size"], before + 3 * round + 1, "{log}");
        assert_eq!(log["unfinished_count"], cut_short, "{log}");
        let last = &log["unfinished"][round];
        assert_eq!((&last["op"], &last["key"]), (&"sign".into(), &URI.into()));
        assert_eq!(last["seq"], before + 3 * round);
        let last = records(&scratch).pop().unwrap();
        assert_eq!(
            (&last["phase"], &last["op"]),
            (&"intent".into(), &"sign".into())
        );
        assert!(last["payload"].as_str().unwrap().starts_with("sha256:"));
        run(&scratch, &["audit", "verify"])
            .ok()
            .stdout_has("sign of openbao://k by uid:")
            .stdout_has("has no outcome");

        // The next one works, and says nothing of how the other ended.
        acknowledged(&format!("after{round}.json"));
        let log = verified(&scratch);
        assert_eq!(log["size"], before + 3 * (round + 1), "{log}");
        assert_eq!(log["unfinished_count"], cut_short, "{log}");
    }
    // What was acknowledged before is on record still.
    let ok = records(&scratch)
        .iter()
        .filter(|r| r["op"] == "sign" && r["phase"] == "outcome" && r["result"] == "ok")
        .count();
    assert_eq!(ok, 3);
}
