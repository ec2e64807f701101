//! Keys in AWS KMS: against a stand-in that checks every request, against
//! moto, and beside AWS' own command line and cosign.

mod credentials;
mod faults;
mod held;
mod interop;
mod model;
mod moto;

mod sigv4;
mod stand_in;
mod using;

use held::Kind;
use serde_json::Value;
use stand_in::REGION;
pub(super) use stand_in::{ACCESS_KEY, Fault, SECRET_KEY, StandIn};

use super::place;
use crate::harness::{Obreia, Output, Scratch};

pub(super) const KEY: &str = "awskms:///alias/k";

/// A stand-in with a P-256 key `alias/k`, and a folder with a state and a file `f`.
pub(super) struct Case {
    pub(super) server: StandIn,
    pub(super) scratch: Scratch,
    pub(super) arn: String,
}

impl Case {
    pub(super) fn new() -> Self {
        Self::of(StandIn::start(), Kind::P256)
    }

    fn of(server: StandIn, kind: Kind) -> Self {
        let scratch = place();
        scratch.write("f", b"some bytes\n");
        let arn = server.key(kind, "alias/k");
        Self {
            server,
            scratch,
            arn,
        }
    }

    /// The binary, with what AWS' users have in their environment.
    pub(super) fn obreia(&self, args: &[&str]) -> Obreia {
        self.anonymous(args)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    }

    /// The same without credentials.
    pub(super) fn anonymous(&self, args: &[&str]) -> Obreia {
        self.scratch
            .obreia()
            .env("AWS_REGION", REGION)
            .env("AWS_ENDPOINT_URL_KMS", self.server.url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .args(args)
    }

    pub(super) fn run(&self, args: &[&str]) -> Output {
        self.obreia(args).run()
    }

    pub(super) fn sign(&self, key: &str) -> Output {
        self.run(&["sign", "f", "--key", key, "--force", "-o", "json"])
    }

    /// `obreia.toml` with that section.
    fn configure(&self, keys_aws: &str) {
        let text = format!("version = 1\n[keys.aws]\n{keys_aws}\n");
        self.scratch.write("obreia.toml", text);
    }
}

/// Exit code and the code of the error.
#[track_caller]
fn refused(out: &Output, exit: i32, code: &str) -> Value {
    let error = out.expect_code(exit).json();
    assert_eq!(error["code"], code, "{out}");
    error
}
