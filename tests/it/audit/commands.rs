//! What `audit` prints, and what it refuses.

use super::{copied, fill, sign, signed};
use crate::harness::Scratch;
use crate::keys::run;

#[test]
fn records_tell_who_did_what_with_which_key_and_never_the_content() {
    let scratch = signed();
    let shown = run(&scratch, &["audit", "show", "-o", "json"]).ok().json();
    assert_eq!(shown["schema"], "obreia.audit-records/v1");
    assert_eq!(
        (shown["size"].as_u64(), shown["found"].as_u64()),
        (Some(6), Some(6))
    );
    let [.., intent, outcome] = shown["records"].as_array().unwrap().as_slice() else {
        panic!("{shown}");
    };
    for record in [intent, outcome] {
        assert_eq!(record["op"], "sign");
        assert_eq!(record["provider"], "embedded");
        assert_eq!(record["key"]["path"], "kms://model-sign/a");
        assert_eq!(record["key"]["version"], 1);
        assert!(record["key"]["id"].as_str().unwrap().len() > 30);
        assert!(record["caller"].as_str().unwrap().starts_with("uid:"));
        assert!(record["payload"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(record["request_id"], intent["request_id"]);
    }
    assert_eq!(intent["phase"], "intent");
    assert_eq!(outcome["result"], "ok");
    assert!(outcome["latency_us"].is_u64());
    for file in scratch.files() {
        if file.starts_with("state/audit") {
            let bytes = scratch.read(&file);
            let content = b"the content of a.txt";
            assert!(
                !bytes.windows(content.len()).any(|w| w == content),
                "{file}"
            );
        }
    }
    run(&scratch, &["audit", "show", "-n", "2"])
        .ok()
        .stdout_has("intent")
        .stdout_has("kms://model-sign/a?version=1")
        .stdout_has("(2 of 6 records")
        .stdout_lacks("create");
}

#[test]
fn records_are_found_by_all_that_is_asked() {
    let scratch = signed();
    run(
        &scratch,
        &[
            "sign",
            "a.txt",
            "--key",
            "kms://model-sign/a?version=1",
            "--output",
            "b",
        ],
    )
    .ok();
    run(&scratch, &["key", "disable", "kms://model-sign/a"]).ok();
    sign(&scratch).expect_code(5);
    fill(&scratch, 300);
    let found = |args: &[&str]| {
        let out = run(
            &scratch,
            &[&["audit", "search", "-o", "json", "-n", "3"], args].concat(),
        );
        out.ok().json()["found"].as_u64().unwrap()
    };
    let digest = |n: usize| {
        let json = run(&scratch, &["audit", "search", "-o", "json", "--op", "sign"])
            .ok()
            .json();
        json["records"][n]["payload"].as_str().map(str::to_owned)
    };
    assert_eq!(found(&["--op", "create"]), 2);
    assert_eq!(
        found(&["--op", "sign", "--provider", "embedded", "--result", "ok"]),
        2
    );
    assert_eq!(found(&["--key", "kms://model-sign/a"]), 9);
    assert_eq!(found(&["--key", "kms://model-sign"]), 309);
    assert_eq!(found(&["--key", "kms://model-si"]), 0);
    assert_eq!(found(&["--caller", "uid:1"]), 300);
    assert_eq!(found(&["--request", "request-7"]), 2);
    assert_eq!(found(&["--result", "failed"]), 1);
    assert_eq!(found(&["--result", "denied"]), 1);
    assert_eq!(found(&["--since", "1h", "--op", "create"]), 2);
    assert_eq!(found(&["--until", "1h", "--op", "create"]), 0);
    assert_eq!(found(&["--since", "2100-01-01T00:00:00Z"]), 0);
    assert_eq!(digest(0), None, "records of the filling have none");
    run(&scratch, &["audit", "search", "--since", "yesterday"])
        .expect_code(2)
        .stderr_has("\"yesterday\" is no time");
    run(&scratch, &["audit", "search", "--op", "melt"])
        .ok()
        .stdout_has("no records");
}

#[test]
fn a_whole_log_verifies_where_it_is_and_as_a_copy() {
    let scratch = signed();
    run(&scratch, &["audit", "verify"])
        .ok()
        .stdout_has("WHOLE obreia.dev/audit/")
        .stdout_has("6 records")
        .stdout_has("with the key that lies beside the log");
    let copy = copied(&scratch);
    // No configuration, no state: the copy and the key are enough.
    let verify = ["audit", "verify", "--log", "log", "--key", "log.pub"];
    let out = copy.obreia().args(verify).args(["-o", "json"]).run();
    let json = out.ok().json();
    assert_eq!(json["schema"], "obreia.audit-verify/v1");
    assert_eq!(json["verdict"], "whole");
    assert_eq!(
        (json["size"].as_u64(), json["checkpoint"].as_u64()),
        (Some(6), Some(6))
    );
    std::fs::remove_file(copy.join("log/journal")).unwrap();
    copy.obreia()
        .args(verify)
        .run()
        .ok()
        .stdout_lacks("beside the log");
    copy.obreia()
        .args(&verify[..4])
        .run()
        .expect_code(2)
        .stderr_has("--key");
    copy.obreia()
        .args(["audit", "show", "--log", "log"])
        .run()
        .ok()
        .stdout_has("kms://model-sign/a");
}

#[test]
fn another_logs_key_and_what_is_no_key() {
    let scratch = signed();
    let copy = copied(&scratch);
    let other = run(&signed(), &["audit", "key"]).ok().stdout.clone();
    copy.write("other.pub", other.as_bytes());
    let verify = |key: &str| {
        let args = ["audit", "verify", "--log", "log", "--key", key];
        copy.obreia().args(args).run()
    };
    verify("other.pub")
        .expect_code(1)
        .stdout_has("BROKEN")
        .stdout_has("is not signed by");
    verify(other.trim()).expect_code(1);
    run(&scratch, &["audit", "verify", "--key", other.trim()]).expect_code(1);
    verify("none.pub")
        .expect_code(2)
        .stderr_has("obreia audit key");
    verify("log/checkpoint")
        .expect_code(2)
        .stderr_has("holds no log's public key");
    let key = copy.read_text("log.pub");
    verify(key.trim()).ok();
    let altered = key.trim().replace("obreia.dev", "obreia.com");
    verify(&altered).expect_code(2);
}

#[test]
fn the_log_must_have_grown_from_a_checkpoint_that_was_kept() {
    let scratch = signed();
    scratch.write("kept", scratch.read("state/audit/checkpoint"));
    let older = copied(&scratch);
    sign(&scratch).ok();
    let verify = ["audit", "verify", "--extends"];
    run(&scratch, &[&verify[..], &["kept"]].concat()).ok();
    // The older copy does not know of what came after it.
    older.write("newer", scratch.read("state/audit/checkpoint"));
    let log = ["--log", "log", "--key", "log.pub"];
    older
        .obreia()
        .args(verify)
        .arg("newer")
        .args(log)
        .run()
        .expect_code(1)
        .stdout_has("newer")
        .stdout_has("older copy");
    let other = signed();
    scratch.write("others", other.read("state/audit/checkpoint"));
    run(&scratch, &[&verify[..], &["others"]].concat())
        .expect_code(2)
        .stderr_has("is no checkpoint of that log");
}

#[test]
fn where_there_is_no_log() {
    let scratch = Scratch::new();
    for command in ["show", "verify", "key", "search"] {
        scratch
            .obreia()
            .args(["audit", command])
            .run()
            .expect_code(3)
            .stderr_has("obreia init");
    }
    scratch
        .obreia()
        .args(["audit", "show", "--log", "nowhere"])
        .run()
        .expect_code(4)
        .stderr_has("error[audit-missing]")
        .stderr_has("nowhere");
    let out = scratch
        .obreia()
        .args(["audit", "show", "--log", "x", "-o", "json"])
        .run();
    assert_eq!(out.expect_code(4).json()["code"], "audit-missing");
}
