//! Sessions: lost, few, many; tokens that go and come back.

use std::time::Duration;

use obreia::custody::Caller;
use obreia::keys::{Key, KeyFault, SignInput};
use obreia::reference::KeyRef;

use super::{Hsm, block_on, open, sign};

const LONG: Duration = Duration::from_secs(60);

/// `count` signatures in flight at once; all must be made.
pub(super) fn at_once(key: Key, count: usize) {
    for signed in outcomes(key, count) {
        signed.unwrap();
    }
}

/// What becomes of `count` signatures in flight at once.
fn outcomes(key: Key, count: usize) -> Vec<Result<(), KeyFault>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let key = std::sync::Arc::new(key);
    let tasks: Vec<_> = (0..count)
        .map(|n| {
            let key = std::sync::Arc::clone(&key);
            runtime.spawn(async move {
                let message = format!("message {n}");
                key.sign(SignInput::Message(message.as_bytes()), &Caller::local(0))
                    .await
            })
        })
        .collect();
    tasks
        .into_iter()
        .map(|task| runtime.block_on(task).unwrap().map(drop))
        .collect()
}

#[test]
fn a_session_that_is_lost_is_opened_and_logged_in_anew() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    for mode in ["loses-once", "sleeps-once"] {
        let keyring = hsm.keyring(LONG, None);
        block_on(async {
            let key = open(&keyring, &uri).await.unwrap();
            sign(&key, b"x").await.unwrap();
            let (starts, logins) = (hsm.noted("initialize"), hsm.noted("login"));
            hsm.mode(mode);
            sign(&key, b"x").await.unwrap();
            assert_eq!(hsm.noted("initialize"), starts, "{mode}");
            assert_eq!(hsm.noted("login"), logins + 1, "{mode}");
        });
        hsm.mode("");
    }
}

#[test]
fn sessions_that_are_always_lost_end_in_a_fault() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    let keyring = hsm.keyring(LONG, None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        hsm.mode("loses");
        let before = hsm.noted("sign");
        let fault = sign(&key, b"x").await.unwrap_err();
        assert!(matches!(fault, KeyFault::Provider { .. }), "{fault}");
        assert!(
            fault.to_string().contains("CKR_SESSION_HANDLE_INVALID"),
            "{fault}"
        );
        assert_eq!(hsm.noted("sign"), before + 2);
        hsm.mode("");
        sign(&key, b"x").await.unwrap();
    });
}

#[test]
fn a_token_that_is_pulled_out_and_put_back() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = hsm.create("k", "p256");
    let (there, away) = (hsm.scratch.join("tokens"), hsm.scratch.join("away"));
    let keyring = hsm.keyring(LONG, None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        sign(&key, b"x").await.unwrap();
        for _ in 0..2 {
            std::fs::rename(&there, &away).unwrap();
            std::fs::create_dir(&there).unwrap();
            let fault = sign(&key, b"x").await.unwrap_err();
            assert!(matches!(fault, KeyFault::NoToken { .. }), "{fault}");
            assert!(fault.hint().unwrap().contains("put the token back"));
            std::fs::remove_dir_all(&there).unwrap();
            std::fs::rename(&away, &there).unwrap();
            sign(&key, b"x").await.unwrap();
        }
    });
}

#[test]
fn a_key_that_was_replaced_under_its_name_does_not_sign() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    let keyring = hsm.keyring(LONG, None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        sign(&key, b"x").await.unwrap();
        for kind in ["privkey", "pubkey"] {
            hsm.pkcs11_tool(&["--delete-object", "--type", kind, "--label", "k"])
                .ok();
        }
        hsm.pkcs11_tool(&[
            "--keypairgen",
            "--key-type",
            "EC:prime256v1",
            "--label",
            "k",
            "--id",
            "07",
        ])
        .ok();
        hsm.mode("loses-once");
        let fault = sign(&key, b"x").await.unwrap_err();
        assert_eq!(fault.code(), "public-key-changed", "{fault}");
    });
    hsm.mode("");
    // Nor does another process take it for the one it knew.
    hsm.scratch.write("a.txt", "hello");
    let out = hsm.run(&["sign", "a.txt", "-o", "json", "--key", &uri]);
    out.fails("public-key-changed", "obreia key forget KEY");
}

#[test]
fn a_token_with_one_session_signs_one_after_the_other() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    hsm.mode("one-session slow");
    let keyring = hsm.keyring(LONG, None);
    let key = block_on(open(&keyring, &uri)).unwrap();
    at_once(key, 6);
    assert_eq!(hsm.noted("overlap"), 0);
}

#[test]
fn a_module_that_is_not_thread_safe_has_one_call_at_a_time() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    // It says so itself.
    hsm.mode("cant-lock slow");
    let keyring = hsm.keyring(LONG, None);
    at_once(block_on(open(&keyring, &uri)).unwrap(), 6);
    assert_eq!(hsm.noted("overlap"), 0);
    // The configuration says so.
    hsm.mode("slow");
    let keyring = hsm.keyring(LONG, Some(1));
    at_once(block_on(open(&keyring, &uri)).unwrap(), 6);
    assert_eq!(hsm.noted("overlap"), 0);
    // Otherwise several are made at once.
    let keyring = hsm.keyring(LONG, Some(4));
    let key = block_on(open(&keyring, &uri)).unwrap();
    at_once(key, 16);
    assert!(hsm.noted("overlap") > 0);
}

#[test]
fn who_waited_in_vain_for_a_turn_does_not_end_the_others() {
    let Some(hsm) = Hsm::faulty() else { return };
    let uri = hsm.create("k", "p256");
    hsm.mode("slow");
    // Twice as much work as there is time for.
    let deadline = Duration::from_secs(8);
    let keyring = hsm.keyring(deadline, Some(1));
    let key = block_on(open(&keyring, &uri)).unwrap();
    let starts = hsm.noted("initialize");
    let outcomes = outcomes(key, 320);
    let (signed, late): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert!(!signed.is_empty() && !late.is_empty());
    for fault in late.into_iter().filter_map(Result::err) {
        assert!(matches!(fault, KeyFault::Deadline { .. }), "{fault}");
    }
    let key = block_on(open(&keyring, &uri)).unwrap();
    block_on(sign(&key, b"x")).unwrap();
    assert_eq!(hsm.noted("initialize"), starts, "the process was killed");
}

#[test]
fn many_signatures_at_once() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = hsm.create("k", "p256");
    let keyring = hsm.keyring(LONG, None);
    let key = block_on(open(&keyring, &uri)).unwrap();
    at_once(key, 32);
    let key = block_on(open(&keyring, &uri)).unwrap();
    at_once(key, 200);
}

#[test]
fn large_messages_and_small_ones_share_the_way() {
    let Some(hsm) = Hsm::new() else { return };
    let uri = hsm.create("k", "ed25519");
    let keyring = hsm.keyring(LONG, None);
    block_on(async {
        let key = open(&keyring, &uri).await.unwrap();
        for size in [0, 1, 1_000, 100_000, 20_000_000] {
            sign(&key, &vec![7; size]).await.unwrap();
        }
        // More than is ever signed whole.
        let fault = sign(&key, &vec![7; 40_000_000]).await.unwrap_err();
        assert_eq!(fault.code(), "bad-request", "{fault}");
        sign(&key, b"x").await.unwrap();
    });
}

#[test]
fn two_keys_and_two_keyrings_do_not_get_in_each_others_way() {
    let Some(hsm) = Hsm::new() else { return };
    let one = hsm.create("one", "p256");
    let two = hsm.create("two", "p384");
    let rings = [hsm.keyring(LONG, None), hsm.keyring(LONG, None)];
    block_on(async {
        let mut keys = Vec::new();
        for ring in &rings {
            for uri in [&one, &two] {
                keys.push(open(ring, uri).await.unwrap());
            }
        }
        for key in &keys {
            sign(key, b"x").await.unwrap();
        }
        let trusted = rings[0]
            .trusted(&KeyRef::parse(&two).unwrap())
            .await
            .unwrap();
        assert_eq!(&trusted[0].public_key, keys[3].public_key());
    });
}
