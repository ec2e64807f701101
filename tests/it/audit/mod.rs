//! The audit log, through the binary.

mod commands;
mod faults;
mod peer;
mod proofs;

use obreia::audit::{self, Event, KeyRecord, Phase};
use obreia::time::Timestamp;

use crate::harness::Scratch;
use crate::keys::{block_on, place, run};

/// A place with a key, which signed `a.txt`: six records in the log.
fn signed() -> Scratch {
    let scratch = place();
    scratch.write("a.txt", "the content of a.txt");
    run(&scratch, &["key", "create", "kms://model-sign/a"]).ok();
    sign(&scratch).ok();
    scratch
}

fn sign(scratch: &Scratch) -> crate::harness::Output {
    let args = ["sign", "a.txt", "--key", "kms://model-sign/a", "--force"];
    run(scratch, &args)
}

/// Appends `count` records more, through the library.
fn fill(scratch: &Scratch, count: u64) {
    let sink = audit::open(&scratch.join("state"));
    block_on(async {
        for n in 0..count / 2 {
            for phase in [Phase::Intent, Phase::Outcome] {
                let result = (phase == Phase::Outcome).then(|| "ok".to_owned());
                let event = Event {
                    time: Timestamp::from_secs(1_795_000_000),
                    phase,
                    request_id: format!("request-{n}"),
                    front: "test".into(),
                    caller: "uid:1".into(),
                    method: "local".into(),
                    operation: "sign".into(),
                    key: Some(KeyRecord {
                        id: None,
                        path: "kms://model-sign/filled".into(),
                        uri: None,
                        version: Some(1),
                    }),
                    provider: Some("test".into()),
                    decision: "allow".into(),
                    rule: "x".into(),
                    payload: None,
                    result,
                    latency_us: None,
                    provider_request: None,
                    generation: None,
                    changes_keystore: false,
                };
                sink.append(&event).await.unwrap();
            }
        }
    });
}

/// A copy of the log's folder alone in a place of its own, with its public key.
fn copied(scratch: &Scratch) -> Scratch {
    let copy = Scratch::new();
    for file in scratch.files() {
        if let Some(name) = file.strip_prefix("state/audit/") {
            copy.write(format!("log/{name}"), scratch.read(&file));
        }
    }
    let key = run(scratch, &["audit", "key"]);
    copy.write("log.pub", &key.ok().stdout);
    copy
}

/// All that tells of the log, as it is now.
fn parts(scratch: &Scratch) -> Vec<(String, Vec<u8>)> {
    let files = scratch.files().into_iter();
    let parts = files.filter(|file| file.starts_with("state/audit"));
    parts
        .map(|file| (file.clone(), scratch.read(&file)))
        .collect()
}

/// Puts it back as it was.
fn put_back(scratch: &Scratch, parts: &[(String, Vec<u8>)]) {
    std::fs::remove_dir_all(scratch.join("state/audit")).unwrap();
    for (file, bytes) in parts {
        scratch.write(file, bytes);
    }
}
