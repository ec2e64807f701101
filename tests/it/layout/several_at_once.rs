//! Several processes on one layout, and processes that are killed.

use std::time::Duration;

use super::{attestation, model, run, signature};
use crate::harness::Scratch;

#[test]
fn processes_that_push_at_once_lose_nothing() {
    let scratch = Scratch::new();
    scratch.write("base", b"the same file");
    let started: Vec<_> = (0..8)
        .map(|i| {
            // One subject, eight signatures, eight tags.
            let dir = format!("p{i}");
            scratch.write(format!("{dir}/f"), b"the same file");
            scratch.write(format!("{dir}/f.sigstore.json"), signature(&[i]));
            let to = format!("oci-layout:{}:t{i}", scratch.join("l").display());
            scratch.obreia().dir(dir).args(["push", "f", &to]).spawn()
        })
        .collect();
    for one in started {
        one.wait().ok();
    }
    let tree = run(&scratch, ["tree", "oci-layout:l:t0", "-o", "json"])
        .ok()
        .json();
    assert_eq!(tree["root"]["referrers"].as_array().unwrap().len(), 8);
    for i in 0..8 {
        run(&scratch, ["tree", &format!("oci-layout:l:t{i}")]).ok();
    }
}

#[test]
fn a_killed_push_leaves_the_old_state_and_is_completed_by_the_next() {
    let scratch = Scratch::new();
    model(&scratch);
    run(&scratch, ["push", "m", "oci-layout:l:v1"]).ok();
    let before = run(&scratch, ["tree", "oci-layout:l:v1", "-o", "json"])
        .ok()
        .json();
    scratch.write("m/weights/large.bin", vec![7; 24 << 20]);
    scratch.write(
        "m.more.sigstore.json",
        attestation("https://x.example/more", b"m"),
    );
    for millis in [0, 2, 5, 10, 20, 40, 80, 160] {
        let running = scratch
            .obreia()
            .args(["push", "m", "oci-layout:l:v1"])
            .spawn();
        std::thread::sleep(Duration::from_millis(millis));
        let ended = running.kill();
        let after = run(&scratch, ["tree", "oci-layout:l:v1", "-o", "json"])
            .ok()
            .json();
        if ended.code == Some(0) {
            break;
        }
        // Either the old artifact or, killed after its last step, the new one whole.
        if after != before {
            let path = format!("out{millis}");
            run(&scratch, ["pull", "oci-layout:l:v1", &path]).ok();
            break;
        }
    }
    run(&scratch, ["push", "m", "oci-layout:l:v1"]).ok();
    run(&scratch, ["pull", "oci-layout:l:v1", "out"]).ok();
    assert_eq!(scratch.read("out/weights/large.bin").len(), 24 << 20);
    run(&scratch, ["tree", "oci-layout:l:v1"])
        .ok()
        .stdout_has("https://x.example/more");
}
