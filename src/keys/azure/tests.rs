//! The contract suite, run against the stand-in of the integration tests.

#[allow(dead_code)]
#[path = "../../../tests/it/keys/azure/vault.rs"]
mod vault;

use std::sync::Arc;

use vault::{CLIENT, SECRET, TENANT, Vault};

use super::*;
use crate::environment::Environment;
use crate::keys::contract::{self, Case, Fixed, run};
use crate::keys::keeping::{Keeping, keeps};
use crate::keys::settings::Settings;
use crate::keys::standin;
use crate::time::{Clock, Timestamp};

fn provider(vault: &Vault) -> AzureKeys {
    let clock: Arc<dyn Clock> = Arc::new(Timestamp::from_secs(1_795_000_000));
    let settings = Settings {
        environment: Environment::from([
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_CLIENT_SECRET", SECRET),
        ]),
        ..Settings::default()
    };
    let azure = Azure {
        endpoint: Some(vault.server.origin.clone()),
        authority: Some(vault.server.origin.clone()),
        rsa: serde_json::from_value("rsa-pss-sha384".into()).ok(),
        ..Azure::default()
    };
    AzureKeys::new(&azure, &Context::new(&settings, &clock))
}

#[test]
fn keys_are_kept_as_by_every_provider() {
    let vault = Vault::start();
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
        run(keeps(&Keeping {
            provider: &provider(&vault),
            fresh: &|word| KeyRef::parse(&format!("azurekms://acme/{kind}-{word}")).unwrap(),
            kind,
            unlock: &Fixed("unused"),
            replaced_versions_sign: true,
        }));
    }
}

#[test]
fn the_contract_holds_for_every_kind_of_key() {
    let vault = Vault::start();
    let provider = provider(&vault);
    for (name, kind) in [
        ("p256", KeyKind::EcP256),
        ("p384", KeyKind::EcP384),
        ("p521", KeyKind::EcP521),
        ("rsa", KeyKind::Rsa { bits: 2048 }),
    ] {
        vault.make(name, kind);
        let key = |uri: &str| KeyRef::parse(uri).unwrap();
        run(contract::holds(&Case {
            provider: &provider,
            key: key(&format!("azurekms://acme/{name}")),
            absent: key("azurekms://acme/absent"),
            missing: "no-such-key",
            foreign: key("gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k"),
            unlock: &Fixed("unused"),
            wrong: None,
            public_is_known: true,
        }));
    }
}
