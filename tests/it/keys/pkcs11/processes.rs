//! Several processes at one token, and processes that are killed.

use std::time::{Duration, Instant};

use super::{Hsm, PIN};
use crate::harness::{Obreia, Output};

/// SoftHSM writes to its token's file at each login, and one that logs in
/// meanwhile may be told of a general error. obreia leaves it at that, since a
/// PIN may have been spent; whoever ran it knows better, and runs it again.
fn let_in(mut done: Output, again: impl Fn() -> Obreia) -> Output {
    for _ in 0..10 {
        if !done.stderr.contains("C_Login: CKR_GENERAL_ERROR") {
            break;
        }
        done.expect_code(4).stderr_has("error[provider-failed]");
        done = again().run();
    }
    done
}

#[test]
fn two_processes_sign_with_one_key_at_once() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = hsm.create("k", "p256");
    hsm.scratch.write("a.txt", "hello");
    let outputs: Vec<_> = (0..6).map(|n| format!("{n}.json")).collect();
    let sign = |output| hsm.obreia(&["sign", "a.txt", "--key", &uri, "--output", output]);
    let running: Vec<_> = outputs.iter().map(|n| sign(n).spawn()).collect();
    for (one, output) in running.into_iter().zip(&outputs) {
        let_in(one.wait(), || sign(output)).ok();
    }
    for n in 0..6 {
        let bundle = format!("{n}.json");
        hsm.run(&["verify", "a.txt", "--key", &uri, "--bundle", &bundle])
            .ok();
    }
    super::super::records(&hsm.scratch);
}

#[test]
fn of_two_that_make_the_same_key_one_wins() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = "pkcs11:token=hsm;object=same";
    let create = || hsm.obreia(&["key", "create", uri]);
    let (one, two) = (create().spawn(), create().spawn());
    let (one, two) = (let_in(one.wait(), create), let_in(two.wait(), create));
    match (one.code, two.code) {
        (Some(0), Some(2)) => two.stderr_has("there is already a key"),
        (Some(2), Some(0)) => one.stderr_has("there is already a key"),
        _ => panic!("{one}\n{two}"),
    };
    hsm.scratch.write("a.txt", "hello");
    hsm.run(&["sign", "a.txt", "--key", uri]).ok();
}

/// Processes that hold modules of this test's folder.
fn helpers(hsm: &Hsm) -> usize {
    let conf = hsm.scratch.join("softhsm2.conf");
    let wanted = format!("SOFTHSM2_CONF={}", conf.display());
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter(|process| {
            let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
            let has = |bytes: &[u8], text: &str| {
                bytes
                    .windows(text.len())
                    .any(|window| window == text.as_bytes())
            };
            has(&read("cmdline"), "__pkcs11-module") && has(&read("environ"), &wanted)
        })
        .count()
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_is_left_running() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    hsm.scratch.write("a.txt", "hello");
    hsm.run(&["sign", "a.txt", "--key", &uri]).ok();
    until("a module's process is left", || helpers(&hsm) == 0);
    // Killed while its module hangs, it takes the module with it.
    hsm.mode("hang");
    let running = hsm
        .bare(&["sign", "a.txt", "--force", "--key", &uri])
        .env("PKCS11_PIN", PIN)
        .spawn();
    until("the module was not asked", || hsm.noted("sign") >= 3);
    until("the module's process is not seen", || helpers(&hsm) == 1);
    running.kill();
    until("the module's process outlives obreia", || {
        helpers(&hsm) == 0
    });
}
