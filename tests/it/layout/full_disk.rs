//! Writes that fail half way. A limit on the size of files stands in for a
//! full disk: both are refusals of the system in the middle of a write.

use super::{model, run};
use crate::harness::{Output, Scratch};

/// Runs the binary where no file may grow over 32 KiB.
fn cramped(scratch: &Scratch, args: &str) -> Output {
    let binary = env!("CARGO_BIN_EXE_obreia");
    let script = format!("trap '' XFSZ; ulimit -f 64; exec {binary} {args}");
    scratch.obreia().program("sh").args(["-c", &script]).run()
}

#[test]
fn a_push_that_does_not_fit_changes_nothing_that_is_seen() {
    let scratch = Scratch::new();
    model(&scratch);
    run(&scratch, ["push", "m", "oci-layout:l:v1"]).ok();
    let before = scratch.files();
    let tree = run(&scratch, ["tree", "oci-layout:l:v1"])
        .ok()
        .stdout
        .clone();
    scratch.write("m/weights/large.bin", vec![7; 1 << 20]);
    cramped(&scratch, "push m oci-layout:l:v1")
        .expect_code(4)
        .stderr_has("cannot write");
    std::fs::remove_file(scratch.join("m/weights/large.bin")).unwrap();
    // Whole blobs of earlier files would be allowed to stay; here there are no new ones.
    assert_eq!(scratch.files(), before);
    run(&scratch, ["tree", "oci-layout:l:v1"])
        .ok()
        .stdout_has(&tree);
}

#[test]
fn a_pull_and_a_copy_that_do_not_fit_leave_no_name() {
    let scratch = Scratch::new();
    model(&scratch);
    scratch.write("m/weights/large.bin", vec![7; 1 << 20]);
    run(&scratch, ["push", "m", "oci-layout:l:v1"]).ok();
    let before = scratch.files();
    cramped(&scratch, "pull oci-layout:l:v1 out")
        .expect_code(4)
        .stderr_has("nothing was left half written");
    assert_eq!(scratch.files(), before);
    cramped(&scratch, "copy oci-layout:l:v1 oci-layout:d:v1").expect_code(4);
    run(&scratch, ["tree", "oci-layout:d:v1"])
        .expect_code(2)
        .stderr_has("has no tag");
    assert!(
        !scratch
            .files()
            .iter()
            .any(|f| f.contains(".tmp") || f.contains(".partial"))
    );
    // With room again, the same command goes on.
    run(&scratch, ["copy", "oci-layout:l:v1", "oci-layout:d:v1"]).ok();
}
