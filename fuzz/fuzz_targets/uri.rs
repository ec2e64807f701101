//! URIs of keys, as every provider reads them: whatever is asked for, nothing
//! is connected to, and no credential in a URI is shown.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use obreia::keys::{Keyring, Settings};
use obreia::reference::KeyRef;
use obreia::time::Timestamp;
use tokio::runtime::{Builder, Runtime};

const SECRET: &str = "s3cr3t-";

thread_local! {
    /// No state, no environment, no helper, and no network.
    static KEYS: (Runtime, Keyring) = {
        let settings = Settings { offline: true, ..Settings::default() };
        let clock = Arc::new(Timestamp::from_secs(1_795_000_000));
        let runtime = Builder::new_current_thread().enable_time().build();
        (runtime.expect("a runtime"), Keyring::new(settings, clock))
    };
}

/// What is said of a key that nobody can have here.
fn refused(key: &KeyRef) -> Option<String> {
    KEYS.with(|(runtime, keyring)| {
        let trusted = runtime.block_on(keyring.trusted(key));
        trusted.err().map(|fault| fault.to_string())
    })
}

fuzz_target!(|data: &str| {
    let Ok(key) = KeyRef::parse(data) else {
        return;
    };
    let whole = key.without_version();
    assert_eq!(whole.version(), None);
    assert_eq!(whole.without_version(), whole);
    // Files are read, which is no matter of names.
    if !matches!(key, KeyRef::File(_)) {
        assert!(refused(&key).is_some(), "{key}");
    }
    if data.contains(['?', '&', ';', '/', '\0']) {
        return;
    }
    for uri in [
        format!("pkcs11:token=t;object=o?pin-value={SECRET}{data}"),
        format!("hashivault://{SECRET}{data}@host/k"),
        format!("awskms:///alias/k?secret={SECRET}{data}"),
    ] {
        let key = KeyRef::parse(&uri).expect("it has a scheme");
        assert!(!key.to_string().contains(SECRET), "{key}");
        let said = refused(&key).unwrap_or_default();
        assert!(!said.contains(SECRET), "{said}");
    }
});
