//! Keys in a real OpenBao, and in one with a faulty server before it.

mod bao;
mod commands;
mod cosign;
mod faults;
mod logins;
mod requests;
mod sealed;
mod sessions;

use std::sync::OnceLock;

pub(super) use crate::harness::between::{Act, Between};
use crate::harness::{Obreia, Output, Scratch, peer};
pub(super) use bao::{Bao, ROOT};

/// The one server of these tests, which no test seals or stops; `None` in a
/// quick run.
pub(super) fn server() -> Option<&'static Bao> {
    static SERVER: OnceLock<Option<Bao>> = OnceLock::new();
    let bao = peer("bao")?;
    SERVER.get_or_init(|| Some(Bao::dev(&bao))).as_ref()
}

/// The binary, told of a server as Vault's own tools are.
pub(super) fn with(scratch: &Scratch, address: &str, token: &str, args: &[&str]) -> Obreia {
    super::obreia(scratch, args)
        .env("VAULT_ADDR", address)
        .env("VAULT_TOKEN", token)
}

fn run(scratch: &Scratch, address: &str, args: &[&str]) -> Output {
    with(scratch, address, ROOT, args).run()
}

/// What the documentation tells operators to grant.
pub(super) fn policy(key: &str) -> String {
    format!(
        "path \"transit/keys/{key}\" {{ capabilities = [\"read\"] }}\n\
         path \"transit/sign/{key}\" {{ capabilities = [\"update\"] }}\n\
         path \"transit/sign/{key}/*\" {{ capabilities = [\"update\"] }}\n"
    )
}
