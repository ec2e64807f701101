//! What holds of every cloud whose service turns away, fails or falls silent.

use super::standin::{Answer, Server};
use crate::harness::{Output, Scratch};
use crate::keys::records;

/// A folder of this test's own with something to sign, a configuration that
/// ends with `settings`, and nothing else.
pub(crate) fn place(settings: &str) -> Scratch {
    let scratch = crate::keys::place();
    let config = scratch.read_text("obreia.toml");
    scratch.write("obreia.toml", format!("{config}{settings}"));
    scratch.write("app.bin", "what is signed");
    scratch
}

/// The command ended so, and said so to people, none of `secrets` among it.
#[track_caller]
pub(crate) fn refused(out: &Output, (exit, code): (i32, &str), says: &str, secrets: &[&str]) {
    let out = out.expect_code(exit);
    out.stderr_has(&format!("error[{code}]")).stderr_has(says);
    for secret in secrets {
        out.stderr_lacks(secret);
    }
}

#[track_caller]
pub(crate) fn nothing_was_signed(scratch: &Scratch) {
    let files = scratch.files();
    assert!(
        !files.iter().any(|f| f.ends_with(".sigstore.json")),
        "{files:?}"
    );
}

/// A key that is known in a folder, and nothing signed there yet.
pub(crate) struct Cloud<'a> {
    pub(crate) server: &'a Server,
    pub(crate) scratch: &'a Scratch,
    pub(crate) sign: &'a dyn Fn() -> Output,
    /// What the service calls signing.
    pub(crate) operation: &'static str,
    /// What is asked for before anything else, by each process anew.
    pub(crate) login: &'static [&'static str],
    /// What is asked for to know the key.
    pub(crate) looks: &'static [&'static str],
    /// As it turns away.
    pub(crate) busy: Answer,
    /// As it fails.
    pub(crate) down: Answer,
}

impl Cloud<'_> {
    #[track_caller]
    fn refused(&self, code: &str, says: &str) {
        let out = (self.sign)();
        refused(&out, (4, code), says, &[]);
        nothing_was_signed(self.scratch);
        let last = records(self.scratch).pop().unwrap();
        assert_eq!(last["result"], code);
    }

    #[track_caller]
    fn asked(&self, more: &[&str]) {
        assert_eq!(self.server.asked(), [self.login, more].concat());
    }

    pub(crate) fn turned_away_and_then_served(&self) {
        for _ in 0..2 {
            self.server.fault(self.operation, self.busy.clone());
        }
        (self.sign)().ok();
        self.asked(&[self.operation; 3]);
    }

    pub(crate) fn turned_away_for_good(&self) {
        for _ in 0..5 {
            self.server.fault(self.operation, self.busy.clone());
        }
        self.refused("kms-throttled", "turns requests away");
        self.asked(&[self.operation; 5]);
    }

    /// A second signature would be one that nobody asked for; looking twice
    /// does no harm.
    pub(crate) fn an_error_is_not_followed_by_a_second_signature(&self) {
        self.server.fault(self.operation, self.down.clone());
        self.refused("provider-failed", "answered 503");
        self.asked(&[self.operation]);
        std::fs::remove_dir_all(self.scratch.join("state/known-keys")).unwrap();
        let last = self.looks[self.looks.len() - 1];
        self.server.fault(last, self.down.clone());
        (self.sign)().ok();
        self.asked(&[self.looks, &[last, self.operation]].concat());
    }

    pub(crate) fn cut_after_the_request_was_sent(&self) {
        self.server.fault(self.operation, Answer::Cut);
        self.refused("kms-unreachable", "broke after the request was sent");
        self.asked(&[self.operation]);
    }
}
